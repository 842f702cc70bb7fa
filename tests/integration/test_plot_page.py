"""A plot's page in a real browser, and what stands behind it: scores, film, figures, settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Pages, looking, until
from httpx import Client
from playwright.sync_api import Browser, Page, expect
from store_world import leave
from web_world import Seen, World, world

from hydrad.domain import Change, Status
from hydrad.store import changing
from hydrad.web import charts, pages

PLOT = "CDC_occupancy"
API = f"/api/v1/plots/{PLOT}"
ODD = "Faraday Cup/left #1?"
DESK = {"width": 1366, "height": 768}
PHONE = {"width": 390, "height": 844}


def history() -> list[Seen]:
    """An hour and a half of one plot, with a fault of six images and a new run in the middle of it."""
    seen = []
    for n in range(40):
        bad = 20 < n < 27
        label, status = ("Bad", Status.BAD) if bad else ("Good", Status.GOOD)
        fault = "dead_board" if bad else None
        seen.append(Seen(PLOT, status, n * 120, label, 0.97 if bad else 0.80 + 0.004 * n, fault, run=30408 + n // 24))
    return [*seen, Seen(ODD, Status.GOOD, 5)]


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = world(tmp_path_factory.mktemp("plot"))
    with made.store:
        made.serve()
        made.see(*history())
        made.beat()
        yield made


@pytest.fixture(scope="module")
def served(hall: World) -> Iterator[Pages]:
    with Pages(hall.settings) as running:
        yield running


@pytest.fixture
def client(served: Pages) -> Iterator[Client]:
    with Client(base_url=served.address) as asking:
        yield asking


def by_caput(hall: World, value: float, key: str = "threshold.Bad") -> None:
    """As the daemon writes what somebody put to a PV."""
    leave(hall.store, Change(key, value, "shift", "console-2", datetime.now(UTC), "ca", PLOT, old=0.99))


def newest(hall: World) -> Change:
    return hall.store.settings_after(0)[-1].change


# ---- the API ----


def test_the_series_has_every_image_the_runs_the_beam_and_the_lines(client: Client) -> None:
    course = client.get(f"{API}/series", params={"hours": 8}).json()
    points = course["points"]
    assert course["images"] == len(points["id"]) == 40
    assert points["status"].count("BAD") == 6
    assert points["current"][0] == 201.3
    assert [mark["name"] for mark in course["runs"]] == ["30408", "30409"]
    assert [line["label"] for line in course["lines"]] == ["Good", "Bad", "NoData"]
    assert course["lines"][1]["steps"][-1]["value"] == 0.99
    assert course["present"]["status"] == "GOOD"
    assert course["newest"] == max(points["id"])
    assert client.get(f"{API}/series", params={"after": course["newest"]}).json()["images"] == 0
    assert client.get(f"{API}/series", params={"after": sorted(points["id"])[-4]}).json()["images"] == 3
    assert client.get(f"{API}/series", params={"run": 30409}).json()["images"] == 16
    assert client.get(f"{API}/series", params={"run": 7}).status_code == 404


def test_a_line_is_the_models_until_somebody_moves_it(hall: World, client: Client) -> None:
    before = client.get(f"{API}/series").json()["lines"][0]["steps"]
    assert [step["value"] for step in before] == [None, 0.5]  # nothing served before the model did
    by_caput(hall, 0.61, "threshold.Good")
    steps = client.get(f"{API}/series").json()["lines"][0]["steps"]
    assert [step["value"] for step in steps] == [None, 0.5, 0.61]
    assert steps[2]["at"] > steps[1]["at"]


def test_the_film_and_the_figures_are_of_this_plot(client: Client) -> None:
    film = client.get(f"{API}/film").json()
    assert len(film) == 30
    assert film[0]["judged_at"] > film[-1]["judged_at"]
    assert all(shot["kept"] and shot["heatmap"] for shot in film)
    more = client.get(f"{API}/film", params={"before": film[-1]["judged_at"]}).json()
    assert len(more) == 10
    ids = [film[3]["id"], film[1]["id"]]
    assert {shot["id"] for shot in client.get(f"{API}/film", params={"id": ids}).json()} == set(ids)
    its = client.get(f"{API}/statistics").json()
    assert its["images"] == 40
    assert its["share_good"] == pytest.approx(34 / 40)
    assert {one["label"]: one["images"] for one in its["labels"]} == {"Good": 34, "Bad": 6}
    assert sum(sum(day["images"].values()) for day in its["days"]) == 40
    assert its["well_for_s"] > 0
    assert sum(its["changes_by_hour"]) == 2


@pytest.mark.parametrize("path", ["series", "film", "statistics", "settings", "scores", "what-if?label=Bad&value=0.5"])
def test_plots_of_any_name_are_found_and_others_are_not(client: Client, path: str) -> None:
    assert client.get(f"/api/v1/plots/Faraday%20Cup%2Fleft%20%231%3F/{path}").status_code in {200, 404}
    for name in ("nobody", "%00", "%ED%A0%80", "a" * 501):
        assert client.get(f"/api/v1/plots/{name}/{path}").status_code in {404, 422}, name


def test_the_odd_ones_page_is_there(client: Client) -> None:
    assert client.get("/plot/Faraday%20Cup%2Fleft%20%231%3F", headers={"accept": "text/html"}).status_code == 200
    assert client.get("/api/v1/plots/Faraday%20Cup%2Fleft%20%231%3F/series").json()["images"] == 1
    assert client.get("/plot/nobody", headers={"accept": "text/html"}).status_code == 404


def test_only_the_charts_own_scripts_are_served_and_packed(client: Client) -> None:
    for name in charts.NAMES:
        answer = client.get(f"{pages.AT}/bokeh/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-encoding"] == "gzip"
        assert "immutable" in answer.headers["cache-control"]
        plain = client.get(f"{pages.AT}/bokeh/{name}", headers={"accept-encoding": "identity"})
        assert plain.text == answer.text
    for other in ("bokeh.js", "compiler.js", "../../../server.py", "x/bokeh.min.js", "", "%2e%2e/bokeh.min.js"):
        assert client.get(f"{pages.AT}/bokeh/{other}").status_code == 404, other


# ---- settings ----


def test_every_setting_is_written_with_who_and_what_was_before(hall: World, client: Client) -> None:
    put = client.put(f"{API}/thresholds/NoData", json={"value": 0.8, "reason": "too many"})
    assert put.status_code == 200, put.text
    written = newest(hall)
    assert (written.key, written.value, written.old, written.via) == ("threshold.NoData", 0.8, 0.5, "page")
    assert (written.reason, written.plot) == ("too many", PLOT)
    client.put(f"{API}/settings/on_delay", json={"value": 3}).raise_for_status()
    assert (newest(hall).value, newest(hall).old) == (3, 2)
    settings = client.get(f"{API}/settings").json()
    assert settings["on_delay"] == 3
    assert {one["label"]: one["threshold"] for one in settings["labels"]}["NoData"] == 0.8


def test_shelving_wants_a_reason_and_comes_to_its_end_by_hand_too(hall: World, client: Client) -> None:
    assert "say why" in client.put(f"{API}/settings/shelve", json={"value": 30}).json()["detail"]
    client.put(f"{API}/settings/shelve", json={"value": 30, "reason": "HV work"}).raise_for_status()
    assert newest(hall).value == pytest.approx(datetime.now(UTC).timestamp() + 1800, abs=30)
    settings = client.get(f"{API}/settings").json()
    assert settings["shelved_until"]
    assert settings["reason"] == "HV work"
    client.put(f"{API}/settings/shelve", json={"value": 0}).raise_for_status()
    assert client.get(f"{API}/settings").json()["shelved_until"] is None


def test_a_revert_puts_back_what_was_before_as_a_new_change(hall: World, client: Client) -> None:
    client.put(f"{API}/thresholds/Bad", json={"value": 0.9}).raise_for_status()
    moved = client.put(f"{API}/thresholds/Bad", json={"value": 0.2}).json()
    back = client.post(f"/api/v1/settings/{moved['id']}/revert").json()
    assert (back["value"], back["old"], back["via"]) == (0.9, 0.2, "page")
    assert newest(hall).value == 0.9
    assert client.post("/api/v1/settings/99999/revert").status_code == 404
    changes = client.get("/api/v1/settings/history", params={"plot": PLOT, "limit": 2}).json()
    assert [one["value"] for one in changes] == [0.9, 0.2]
    assert len(client.get("/api/v1/settings/history", params={"limit": 1000}).json()) >= len(changes)


def test_a_limit_of_a_pv_is_taken_back_and_a_reason_is_not(hall: World, client: Client) -> None:
    put = partial(Change, by="ana", host="console-2", via="ca", plot=PLOT)
    limit = changing.put(hall.store, put("pv.mirror.LOLO", -0.5, at=datetime.now(UTC), old=0.0))
    reason = changing.put(hall.store, put("reason", 1.0, at=datetime.now(UTC), reason="HV work"))
    back = client.post(f"/api/v1/settings/{limit.id}/revert").json()
    assert (back["key"], back["value"], back["old"]) == ("pv.mirror.LOLO", 0.0, -0.5)
    assert client.post(f"/api/v1/settings/{reason.id}/revert").status_code == 422
    changes = client.get("/api/v1/settings/history", params={"plot": PLOT, "limit": 3}).json()
    assert [one["key"] for one in changes] == ["pv.mirror.LOLO", "reason", "pv.mirror.LOLO"]
    assert changes[1]["reason"] == "HV work"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("thresholds/Bad", {"value": 1.5}),
        ("thresholds/Bad", {"value": None}),
        ("thresholds/Bad", {"value": 0.5, "reason": "x" * 501}),
        ("thresholds/Bad", {"value": 0.5, "nonsense": 1}),
        ("thresholds/Nonsense", {"value": 0.5}),
        ("settings/on_delay", {"value": 0}),
        ("settings/on_delay", {"value": 2.5}),
        ("settings/enabled", {"value": 0}),
        ("settings/colour", {"value": 0}),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(hall: World, client: Client, path: str, body: Any) -> None:
    before = len(hall.store.settings_after(0))
    answer = client.put(f"{API}/{path}", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert len(hall.store.settings_after(0)) == before


# ---- the page ----


def drawn(page: Page) -> None:
    expect(page.locator("#scores .chart-place canvas").first).to_be_attached(timeout=30_000)
    expect(page.locator("#beam .chart-place canvas").first).to_be_attached(timeout=30_000)


@pytest.mark.browser
def test_a_click_on_a_point_shows_its_image_with_the_heatmap(served: Pages, chromium: Browser) -> None:
    with looking(chromium, served.address, viewport=DESK) as page:
        page.goto(f"/plot/{PLOT}")
        drawn(page)
        place = page.evaluate("""async () => {
            const { state } = await import(document.querySelector('script[src$="plot.js"]').src);
            await state.charts.scores.drawn;
            const charts = document.querySelector('script[src$="plot.js"]').src.replace("plot.js", "charts.js");
            const { pixel } = await import(charts);
            const bad = state.sources.find((one) => one.source.data.status.includes("BAD")).source.data;
            const box = document.querySelector("#scores .chart-place").getBoundingClientRect();
            const at = pixel(state.charts.scores, bad.x[2], bad.y[2]);
            return { x: box.x + at.x, y: box.y + at.y, id: bad.id[2] };
        }""")
        page.mouse.click(place["x"], place["y"])
        expect(page.locator("#large")).to_be_visible()
        expect(page.locator("#large-title")).to_contain_text("Bad at 0.97")
        heat = page.locator("#large-heat")
        expect(heat).to_be_visible()
        until(lambda: heat.evaluate("image => image.naturalWidth") > 0)
        until(lambda: page.locator("#large-image").evaluate("image => image.naturalWidth") > 0)
        page.locator("#opacity").fill("0.2")
        assert heat.evaluate("image => image.style.opacity") == "0.2"


@pytest.mark.browser
def test_the_charts_of_a_young_plot_begin_with_its_first_image(served: Pages, chromium: Browser) -> None:
    with looking(chromium, served.address, viewport=DESK) as page:
        page.goto(f"/plot/{PLOT}")
        drawn(page)
        shown = page.evaluate("""async () => {
            const { state } = await import(document.querySelector('script[src$="plot.js"]').src);
            const { start, end } = (await state.charts.scores.drawn).x_range;
            const first = Math.min(...state.sources.map((one) => Math.min(...one.source.data.x)));
            return { before: (first - start) / (end - start), hours: (end - start) / 3600000 };
        }""")
        assert 0 < shown["before"] < 0.05
        assert 2 <= shown["hours"] < 2.5


@pytest.mark.browser
def test_arrow_keys_go_along_the_film_and_more_comes_at_its_end(served: Pages, chromium: Browser) -> None:
    with looking(chromium, served.address, viewport=DESK) as page:
        page.goto(f"/plot/{PLOT}")
        shots = page.locator("#film button[data-id]")
        expect(shots).to_have_count(30)
        shots.first.focus()
        page.keyboard.press("ArrowRight")
        expect(shots.nth(0)).to_have_attribute("aria-current", "true")
        page.keyboard.press("ArrowRight")
        expect(shots.nth(1)).to_be_focused()
        page.keyboard.press("ArrowLeft")
        expect(shots.nth(0)).to_be_focused()
        page.locator("#film .more button").scroll_into_view_if_needed()
        expect(shots).to_have_count(40)


@pytest.mark.browser
def test_new_images_and_a_caput_appear_without_a_reload(hall: World, served: Pages, chromium: Browser) -> None:
    with looking(chromium, served.address, viewport=DESK) as page:
        page.goto(f"/plot/{PLOT}")
        drawn(page)
        threshold = page.locator("input[data-label=Bad]")
        expect(threshold).to_be_visible()
        before = page.locator("#film button[data-id]").count()
        page.evaluate("window.untouched = true")
        hall.see(Seen(PLOT, Status.BAD, 7000, "Bad", 0.991, "dead_board", run=30410))
        expect(page.locator("#status")).to_contain_text("BAD", timeout=5000)
        expect(page.locator("#run")).to_have_text("30410")
        expect(page.locator("#film button[data-id]")).to_have_count(before + 1)
        by_caput(hall, 0.777)
        expect(threshold).to_have_value("0.777", timeout=3000)
        expect(page.locator("#legend [data-label=Bad]")).to_contain_text("counts from 0.777")
        expect(page.locator("#history tbody tr").first).to_contain_text("shift@console-2")
        last = page.evaluate("""async () => {
            const { state } = await import(document.querySelector('script[src$="plot.js"]').src);
            return state.lines.find((one) => one.label === "Bad").source.data.y.at(-1);
        }""")
        assert last == 0.777
        assert page.evaluate("window.untouched")


@pytest.mark.browser
def test_what_somebody_writes_stays_while_others_change_the_plot(hall: World, served: Pages, chromium: Browser) -> None:
    by_caput(hall, 0.9)
    with looking(chromium, served.address, viewport=DESK) as page:
        page.goto(f"/plot/{PLOT}")
        threshold = page.locator("input[data-label=Bad]")
        good = page.locator("input[data-label=Good]")
        expect(threshold).to_have_value("0.9")
        page.get_by_label("Why").fill("dead board")
        good.fill("0.33")
        by_caput(hall, 0.8)
        expect(page.locator("#legend [data-label=Bad]")).to_contain_text("counts from 0.8")
        expect(threshold).to_have_value("0.9")  # under somebody's hands nothing moves
        good.blur()
        expect(threshold).to_have_value("0.8")
        expect(good).to_have_value("0.33")
        expect(page.get_by_label("Why")).to_have_value("dead board")


@pytest.mark.browser
def test_an_expert_moves_a_threshold_shelves_and_takes_back(hall: World, served: Pages, chromium: Browser) -> None:
    by_caput(hall, 0.9)
    with looking(chromium, served.address, viewport=DESK) as page:
        page.goto(f"/plot/{PLOT}")
        threshold = page.locator("input[data-label=Bad]")
        expect(threshold).to_have_value("0.9")
        page.get_by_label("Why").fill("dead board comes out at 0.8")
        threshold.fill("0.75")
        threshold.press("Enter")
        until(lambda: newest(hall).value == 0.75)
        assert (newest(hall).via, newest(hall).reason) == ("page", "dead board comes out at 0.8")
        expect(page.locator("#legend [data-label=Bad]")).to_contain_text("counts from 0.75")
        page.locator("#history tbody tr").first.get_by_role("button", name="Revert").click()
        until(lambda: newest(hall).value == 0.9)
        expect(threshold).to_have_value("0.9")
        page.locator("input[data-key=shelve]").fill("45")
        page.locator("input[data-key=shelve]").press("Enter")
        expect(page.locator("#notes")).to_contain_text("say why")
        page.get_by_label("Why").fill("HV work")
        page.locator("input[data-key=shelve]").press("Enter")
        expect(page.locator("#settings")).to_contain_text("HV work")
        page.get_by_role("button", name="Take it off the shelf").click()
        expect(page.locator("#settings")).to_contain_text("Watched.")


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_everybody_can_use_the_page(served: Pages, chromium: Browser, theme: str, size: Any) -> None:
    with looking(chromium, served.address, viewport=size, color_scheme=theme) as page:
        page.goto(f"/plot/{PLOT}")
        drawn(page)
        page.locator("#film button[data-id]").first.click()
        page.locator("#numbers summary").click()
        expect(page.locator("#numbers tbody tr").first).to_be_visible()
        expect(page.locator("#scores")).to_have_attribute("aria-label", re.compile("images of"))
        assert Axe().run(page).response["violations"] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.browser
def test_the_charts_follow_the_theme(served: Pages, chromium: Browser) -> None:
    with looking(chromium, served.address, viewport=DESK, color_scheme="light") as page:
        page.goto(f"/plot/{PLOT}")
        drawn(page)
        ground = """async () => {
            const { state } = await import(document.querySelector('script[src$="plot.js"]').src);
            return (await state.charts.scores.drawn).background_fill_color;
        }"""
        assert page.evaluate(ground) == "#ffffff"
        page.locator("#theme").click()
        until(lambda: page.evaluate(ground) == "#1c2327")
