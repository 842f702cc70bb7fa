"""The wall in a real browser: what is wrong comes up by itself, and nothing old ever looks good."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Pages, looking, until
from playwright.sync_api import Browser, Page, expect
from web_world import Seen, World, usual, world

from hydrad.domain import Cause, Health, Status, Verdict
from hydrad.store import news
from hydrad.store.history import episodes, newest
from hydrad.store.packing import Parcel

pytestmark = pytest.mark.browser

GOOD, BAD = Status.GOOD, Status.BAD
SOON_MS = 20_000
# Of the limits on speed, on a machine that has other things to do: as many as want each of its processors, at most 8.
SLOW = min(8.0, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


USUAL = {one.plot: one for one in usual(dumps=2)[6:]}  # how its plots stand, by name


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A hall with six plots."""
    made = world(tmp_path_factory.mktemp("hall"))
    with made.store:
        made.see(*USUAL.values())
        yield made


@pytest.fixture(scope="module")
def server(hall: World) -> Iterator[Pages]:
    """One for most of the tests."""
    with Pages(hall.settings) as pages:
        yield pages


@pytest.fixture
def here(hall: World) -> World:
    """The hall with a daemon that lives, and every plot as usual, since just now."""
    hall.beat()
    for plot, seen in USUAL.items():
        say(hall, plot, seen.status, seen.label, seen.confidence)
    news.say(hall.store, "", person="otto", host="desk-1", now=datetime.now(UTC))
    return hall


@pytest.fixture
def pages(here: World, server: Pages) -> Pages:  # noqa: ARG001  the pages of that hall
    """Where one looks at it."""
    return server


def say(here: World, plot: str, status: Status, label: str = "Good", confidence: float = 0.98, **words: Any) -> Verdict:
    """A verdict of now, on an image that is there already."""
    now = datetime.now(UTC)
    old = next((one for one in here.verdicts.values() if one.plot == plot), next(iter(here.verdicts.values())))
    words = {"reason": f"{label} at {confidence:.2f}, beam 201 nA", "taken_at": now, "cause": Cause.IMAGE} | words
    verdict = replace(
        old, key=uuid.uuid4().hex, plot=plot, detector=plot.partition("_")[0], status=status,
        severity=status.severity, label=label, confidence=confidence, judged_at=now, **words,
    )  # fmt: skip
    heatmap = np.zeros((16, 24), np.uint8)
    heatmap[6:9, 10:13] = 230
    here.store.put([Parcel(verdict=verdict, heatmap=heatmap)])
    return verdict


def card(page: Page, plot: str) -> Any:
    return page.locator(f'.card[data-plot="{plot}"]')


def mark(page: Page) -> None:
    """So that a page that was loaded again could be told."""
    page.evaluate("window.loadedOnce = true")


def require_never_reloaded(page: Page) -> None:
    assert page.evaluate("window.loadedOnce") is True


def clean(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert not found, json.dumps([(one["id"], [node["target"] for node in one["nodes"][:3]]) for one in found])


def wanted(page: Page) -> list[str]:
    return page.locator("#wanted .card:visible").evaluate_all("cards => cards.map(card => card.dataset.plot)")


def test_what_is_wrong_stands_first_and_large_with_what_to_do(chromium: Browser, pages: Pages) -> None:
    with looking(chromium, pages.address) as page:
        page.goto("/")
        expect(page.locator("#wanted .card")).to_have_count(4)
        assert wanted(page) == ["CDC_occupancy", "FCAL_map", "BCAL_adc", "CDC_time"]
        bad = card(page, "CDC_occupancy")
        expect(bad).to_contain_text("BAD")
        expect(bad).to_contain_text("Bad @ 0.97")
        expect(bad).to_contain_text("Check the HV of the boards")
        expect(bad.get_by_role("link", name="cdc-expert@example.org")).to_have_attribute(
            "href", "mailto:cdc-expert@example.org?subject=CDC_occupancy"
        )
        expect(bad.get_by_role("link", name="Acknowledge CDC_occupancy")).to_have_attribute(
            "href", "/log?plot=CDC_occupancy"
        )
        expect(bad.get_by_role("link", name="CDC_occupancy", exact=True)).to_have_attribute(
            "href", "/plot/CDC_occupancy"
        )
        quiet = page.locator(".detector", has_text="TOF").locator(".card")
        expect(quiet).to_have_count(1)
        assert (quiet.bounding_box() or {})["width"] < (bad.bounding_box() or {})["width"] / 1.5
        expect(page.locator("#state-beam")).to_have_text("ON 201 nA")
        expect(page.locator("#state-run")).to_have_text("30408 · production")
        expect(page.locator("#state-daemon")).to_have_text("OK")
        expect(page.locator("#state-wrong")).to_have_text("2 bad, 2 other")
        expect(page.locator("#sign")).to_be_hidden()


def test_a_red_card_comes_up_by_itself_with_its_heatmap_and_goes_when_it_is_good_again(
    chromium: Browser, here: World, pages: Pages
) -> None:
    with looking(chromium, pages.address) as page:
        page.goto("/")
        expect(page.locator("#detectors .card")).to_have_count(2)
        mark(page)
        say(here, "TOF_timing", BAD, "Bad", 0.93, reason="Bad at 0.93 <b>")
        expect(page.locator('#wanted .card[data-plot="TOF_timing"]')).to_be_visible(timeout=SOON_MS)
        assert wanted(page)[0] == "TOF_timing"  # the newest of the worst
        came = card(page, "TOF_timing")
        expect(came).to_contain_text("Bad at 0.93 <b>")
        heat = came.locator("img.heat")
        expect(heat).to_be_visible()
        until(lambda: heat.evaluate("image => image.naturalWidth") == 24)
        expect(page).to_have_title("3 bad · Wall · hydrad TEST")
        say(here, "TOF_timing", GOOD, confidence=0.99)
        expect(page.locator('#detectors .card[data-plot="TOF_timing"]')).to_be_visible(timeout=SOON_MS)
        expect(came).to_contain_text("Good @ 0.99")
        require_never_reloaded(page)


def test_an_older_or_a_superseded_verdict_changes_no_card(chromium: Browser, here: World, pages: Pages) -> None:
    with looking(chromium, pages.address) as page:
        page.goto("/")
        expect(card(page, "TOF_timing")).to_contain_text("GOOD")
        say(here, "TOF_timing", BAD, "Bad", superseded=True)
        say(here, "PS_occupancy", BAD, "Bad")  # told after it
        expect(page.locator('#wanted .card[data-plot="PS_occupancy"]')).to_be_visible(timeout=SOON_MS)
        expect(card(page, "TOF_timing")).to_contain_text("GOOD")


def test_the_heatmap_is_laid_over_the_image_as_strongly_as_asked_and_that_is_remembered(
    chromium: Browser, pages: Pages
) -> None:
    with looking(chromium, pages.address) as page:
        page.goto("/")
        heat = card(page, "CDC_occupancy").locator("img.heat")
        expect(heat).to_be_visible()
        expect(heat).to_have_css("opacity", "0.6")
        image = card(page, "CDC_occupancy").locator(".image")
        until(lambda: image.bounding_box() == heat.bounding_box())  # once both are loaded
        page.get_by_label("Opacity").fill("30")
        expect(heat).to_have_css("opacity", "0.3")
        page.reload()
        expect(heat).to_have_css("opacity", "0.3")
        page.get_by_label("Heatmap").uncheck()
        expect(heat).to_have_count(0)


def test_the_death_of_the_daemon_shows_within_seconds_and_nothing_looks_good_any_more(
    chromium: Browser, here: World, pages: Pages
) -> None:
    with looking(chromium, pages.address) as page:
        page.goto("/")
        expect(card(page, "TOF_timing").locator(".badge")).to_have_text("GOOD")
        mark(page)
        here.beat(ago_s=11.0)
        expect(page.locator("#sign")).to_contain_text("NOT LIVE: the daemon on counting-1", timeout=SOON_MS)
        require_nothing_looks_good(page)
        expect(page.locator("#state-daemon")).to_contain_text("silent for")
        assert page.locator("#wall").evaluate("wall => getComputedStyle(wall).filter").startswith("grayscale(1)")
        here.beat(health=Health.STALLED, why="no image was judged for 5 min")
        expect(page.locator("#sign")).to_contain_text("stalled (no image was judged for 5 min)", timeout=SOON_MS)
        require_nothing_looks_good(page)
        here.beat()
        expect(page.locator("#sign")).to_be_hidden(timeout=SOON_MS)
        expect(card(page, "TOF_timing").locator(".badge")).to_have_text("GOOD")
        require_never_reloaded(page)


def require_nothing_looks_good(page: Page) -> None:
    expect(page.locator(".card .status-good")).to_have_count(0)
    expect(card(page, "TOF_timing").locator(".badge")).to_have_text("was GOOD")
    expect(page.locator("#statuses")).to_have_css("filter", "grayscale(1)")
    expect(page).to_have_title("NOT LIVE · Wall · hydrad TEST")


def test_the_death_of_the_server_shows_within_seconds_and_its_return_mends_the_page(
    chromium: Browser, here: World
) -> None:
    served = Pages(here.settings)
    with served as pages, looking(chromium, pages.address) as page:
        page.goto("/")
        expect(page.locator("#state-live")).to_have_text("live")
        mark(page)
        pages.process.kill()
        pages.process.wait()
        expect(page.locator("#sign")).to_contain_text("NOT LIVE: the connection to the server is gone", timeout=SOON_MS)
        require_nothing_looks_good(page)
        say(here, "TOF_timing", BAD, "Bad")
        with served:  # again, on the same port
            expect(page.locator("#sign")).to_be_hidden(timeout=SOON_MS)
            expect(page.locator('#wanted .card[data-plot="TOF_timing"]')).to_be_visible(timeout=SOON_MS)
            expect(page.locator("#state-live")).to_have_text("live")
            require_never_reloaded(page)


def test_a_server_that_hangs_is_noticed_though_the_connection_stands(chromium: Browser, pages: Pages) -> None:
    with looking(chromium, pages.address) as page:
        page.goto("/")
        expect(page.locator("#state-live")).to_have_text("live")
        pages.process.send_signal(signal.SIGSTOP)
        try:
            expect(page.locator("#sign")).to_contain_text("NOT LIVE: the connection", timeout=SOON_MS)
            require_nothing_looks_good(page)
        finally:
            pages.process.send_signal(signal.SIGCONT)
        expect(page.locator("#sign")).to_be_hidden(timeout=SOON_MS)


def test_a_data_base_that_goes_is_told_and_the_wall_comes_back_with_it(
    chromium: Browser, here: World, pages: Pages
) -> None:
    with looking(chromium, pages.address) as page:
        page.goto("/")
        expect(page.locator("#state-live")).to_have_text("live")
        mark(page)
        with here.store.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE heartbeats RENAME TO gone")
        expect(page.locator("#sign")).to_contain_text("NOT LIVE: the data base does not answer", timeout=SOON_MS)
        require_nothing_looks_good(page)
        with here.store.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE gone RENAME TO heartbeats")
        expect(page.locator("#sign")).to_be_hidden(timeout=SOON_MS)
        expect(card(page, "TOF_timing").locator(".badge")).to_have_text("GOOD")
        require_never_reloaded(page)


def test_a_stale_plot_is_shown_as_stale(chromium: Browser, here: World, pages: Pages) -> None:
    with looking(chromium, pages.address) as page:
        page.goto("/")
        say(here, "TOF_timing", Status.STALE, cause=Cause.CLOCK, reason="no new image for 3 min, beam 201 nA")
        stale = page.locator('#wanted .card[data-plot="TOF_timing"]')
        expect(stale).to_contain_text("STALE", timeout=SOON_MS)
        expect(stale).to_contain_text("no new image for 3 min")


def test_a_good_verdict_that_has_grown_old_is_shown_as_stale_though_nobody_says_so(
    chromium: Browser, here: World, pages: Pages
) -> None:
    say(here, "TOF_timing", GOOD, taken_at=datetime.now(UTC) - timedelta(hours=1))
    with looking(chromium, pages.address) as page:
        page.goto("/")
        stale = page.locator('#wanted .card[data-plot="TOF_timing"]')
        expect(stale).to_contain_text("STALE")
        expect(stale).to_contain_text("the daemon has not said why")
        expect(card(page, "PS_occupancy").locator(".badge")).to_have_text("GOOD")


def test_a_browser_with_a_wrong_clock_shows_right_ages(chromium: Browser, pages: Pages) -> None:
    with looking(chromium, pages.address) as page:
        page.add_init_script("const real = Date.now; Date.now = () => real() + 7200e3;")
        page.goto("/")
        expect(card(page, "TOF_timing").locator(".badge")).to_have_text("GOOD")
        expect(page.locator("#state-image")).not_to_contain_text("h")


def test_plots_are_hidden_in_this_browser_and_counted(chromium: Browser, pages: Pages) -> None:
    with looking(chromium, pages.address) as page:
        page.goto("/")
        card(page, "CDC_occupancy").get_by_role("button", name="Hide").click()
        card(page, "TOF_timing").hover()
        card(page, "TOF_timing").get_by_role("button", name="Hide").click()
        expect(card(page, "CDC_occupancy")).to_be_hidden()
        expect(page.locator("#left-out")).to_have_text("1 that needs somebody is left out, 1 quiet left out")
        page.reload()
        expect(page.locator("#hidden-count")).to_have_text("Show 2 hidden")
        expect(card(page, "TOF_timing")).to_be_hidden()
        page.get_by_label("Show 2 hidden").check()
        expect(card(page, "TOF_timing")).to_be_visible()
        page.get_by_role("button", name="Show them again for good").click()
        expect(page.locator("#hidden-box")).to_be_hidden()
        expect(card(page, "CDC_occupancy")).to_be_visible()


def test_filters_choose_by_detector_text_and_status_and_stand_in_the_address(chromium: Browser, pages: Pages) -> None:
    with looking(chromium, pages.address) as page:
        page.goto("/")
        visible = page.locator(".card:visible")
        expect(visible).to_have_count(6)
        page.get_by_label("Detector").select_option("CDC")
        expect(visible).to_have_count(2)
        page.get_by_role("button", name="BAD").click()
        expect(visible).to_have_count(1)
        expect(page.locator("#left-out")).to_contain_text("3 that need somebody are left out")
        assert page.url.endswith("?detector=CDC&status=BAD")
        page.reload()
        expect(visible).to_have_count(1)
        page.goto("/?find=occupancy")
        expect(visible).to_have_count(2)
        page.get_by_label("Find").fill("nothing of the kind")
        expect(page.locator("#why")).to_have_text("No plot fits what is asked for above.")


def test_news_are_said_on_the_page_seen_by_all_and_cleared(chromium: Browser, pages: Pages) -> None:
    with looking(chromium, pages.address) as page, looking(chromium, pages.address) as other:
        page.goto("/")
        other.goto("/")
        expect(other.locator("#state-live")).to_have_text("live")
        page.get_by_role("button", name="News…").click()
        page.get_by_label("News for everybody").fill("Access until ten <script>")
        page.get_by_role("button", name="Say it").click()
        for one in (page, other):
            expect(one.locator("#news")).to_contain_text("Access until ten <script>", timeout=SOON_MS)
        page.get_by_role("button", name="News…").click()
        page.get_by_role("button", name="Clear").click()
        for one in (page, other):
            expect(one.locator("#news")).to_be_hidden(timeout=SOON_MS)


def test_who_has_seen_it_is_shown_at_once(chromium: Browser, here: World, pages: Pages) -> None:
    with looking(chromium, pages.address) as page:
        page.goto("/")
        expect(card(page, "CDC_occupancy")).to_be_visible()
        (bad,) = newest.showing(here.store, ["CDC_occupancy"]).plots
        assert bad.episode is not None
        episodes.acknowledge(here.store, [bad.episode.id], comment="", person="anna", host="desk-1")
        expect(card(page, "CDC_occupancy")).to_contain_text("Acknowledged by anna", timeout=SOON_MS)
        expect(card(page, "CDC_occupancy").get_by_role("link", name="CDC_occupancy in the log")).to_be_visible()


def test_an_empty_wall_says_why(chromium: Browser, tmp_path: Path) -> None:
    made = world(tmp_path)
    with made.store, Pages(made.settings) as pages, looking(chromium, pages.address) as page:
        page.goto("/")
        why = page.locator("#why")
        expect(why).to_contain_text("no daemon has ever worked on this data base")
        made.beat(ago_s=600)
        expect(why).to_contain_text("has said nothing for 10 min", timeout=SOON_MS)
        made.beat(beam={"state": "OFF", "current": 0.1, "units": "nA", "reason": ""})
        expect(why).to_contain_text("no image has come yet", timeout=SOON_MS)
        expect(why).to_contain_text("There is no beam")
        made.began = datetime.now(UTC)
        made.see(Seen("CDC_time", GOOD, 0))  # a plot that the page has never heard of
        expect(card(page, "CDC_time")).to_be_visible(timeout=SOON_MS)
        expect(why).to_contain_text("Nothing needs you")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_wall_can_be_used_by_everybody(chromium: Browser, here: World, pages: Pages, scheme: Any) -> None:
    with looking(chromium, pages.address, color_scheme=scheme) as page:
        page.goto("/")
        expect(page.locator("#wanted .card")).to_have_count(4)
        page.get_by_role("button", name="News…").click()
        clean(page)
        here.beat(ago_s=11)
        expect(page.locator("#sign")).to_be_visible(timeout=SOON_MS)
        clean(page)


def test_a_phone_shows_it_without_scrolling_sideways(chromium: Browser, pages: Pages) -> None:
    phone = {"width": 390, "height": 844}
    with looking(chromium, pages.address, viewport=phone, has_touch=True) as page:
        page.goto("/")
        expect(page.locator("#wanted .card")).to_have_count(4)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_four_hundred_plots_are_painted_within_a_second_and_kept_new_without_a_stutter(
    chromium: Browser, tmp_path: Path
) -> None:
    made = world(tmp_path)
    with made.store:
        made.see(*USUAL.values())
        names = [
            f"{['CDC', 'FDC', 'BCAL', 'FCAL', 'TOF', 'PS', 'ST', 'TAGH', 'RF', 'TRIG'][n % 10]}_{n:03}"
            for n in range(394)
        ]
        made.store.put([Parcel(verdict=of(made, name)) for name in (*names, *USUAL)])
        made.beat()
        with Pages(made.settings) as pages, looking(chromium, pages.address) as page:
            page.goto("/")  # what scripts and styles there are is in the browser's cache from here on
            expect(page.locator(".card")).to_have_count(400)
            page.goto("/")
            expect(page.locator(".card")).to_have_count(400)
            painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            drawn = page.evaluate("performance.getEntriesByName('wall-drawn')[0].startTime")
            assert painted < 1000 * SLOW
            assert drawn < 2000 * SLOW
            expect(page.locator("#state-live")).to_have_text("live")
            page.evaluate(
                """() => {
                    window.longest = 0;
                    new PerformanceObserver((list) => {
                        for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
                    }).observe({ type: "longtask" });
                }"""
            )
            for name in names[:5]:
                say(made, name, BAD, "Bad")
            made.store.put([Parcel(verdict=of(made, name)) for name in names[5:]])
            expect(page.locator("#state-wrong")).to_have_text("5 bad", timeout=SOON_MS)
            assert page.evaluate("window.longest") < 500 * SLOW


def of(here: World, plot: str) -> Verdict:
    """A good verdict of now on any plot, on an image that is there already."""
    now = datetime.now(UTC)
    return replace(
        next(iter(here.verdicts.values())), key=uuid.uuid4().hex, plot=plot, detector=plot.partition("_")[0],
        status=GOOD, severity=GOOD.severity, label="Good", confidence=0.98, judged_at=now, taken_at=now,
        reason="Good at 0.98, beam 201 nA",
    )  # fmt: skip
