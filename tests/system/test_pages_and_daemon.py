"""Pages and PVs of one hall: a dead board turns a card red, and a threshold moved on either side shows on the other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Pages, looking
from daemon import Daemon, dump
from playwright.sync_api import Browser, expect

from hydrad.domain import Status
from hydrad.shipped import folder as shipped_bundle
from hydrad.sim.faults import Fault
from hydrad.train.assemble import random_bundle

pytestmark = [pytest.mark.system, pytest.mark.keras, pytest.mark.browser]

PLOT = "CDC_occupancy"
QUIET = ("CDC_time", "FCAL_map", "TOF_timing")
PATIENCE_MS = 20_000


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """With the model that knows the simulated hall."""
    bundle = shipped_bundle()
    shutil.copytree(bundle, tmp_path / "models" / bundle.name)
    with Daemon(tmp_path, layout="rsai") as hydrad:
        yield hydrad.start()


def test_a_dead_board_turns_the_card_red_with_its_heatmap_and_no_reload(daemon: Daemon, chromium: Browser) -> None:
    for plot in (PLOT, *QUIET):
        dump(daemon, plot, 1)
    with (
        Pages(daemon.settings) as pages,
        looking(chromium, pages.address, viewport={"width": 1366, "height": 768}) as page,
    ):
        page.goto("/")
        card = page.locator(f'article.card[data-plot="{PLOT}"]')
        expect(card).to_have_attribute("data-status", "GOOD", timeout=PATIENCE_MS)
        page.evaluate("window.never = 'loaded again'")
        for chunk in (2, 3):
            dump(daemon, PLOT, chunk, [Fault("dead_board", at=PLOT, where=88)])
            daemon.until(lambda chunk=chunk: daemon.ask_json("ledger")[0]["judged"] >= len(QUIET) + chunk)
        expect(card).to_have_attribute("data-status", "BAD", timeout=PATIENCE_MS)
        assert daemon.pv("CDC:OCCUPANCY:STATUS").get() == Status.BAD
        expect(page.locator("#wanted article.card")).to_have_count(1)
        page.locator("#heat").check()
        page.wait_for_function(
            "plot => [...document.querySelectorAll(`article.card[data-plot='${plot}'] .picture img`)]"
            ".filter(image => image.complete && image.naturalWidth > 0).length >= 2",
            arg=PLOT,
        )
        assert page.evaluate("window.never") == "loaded again"


def test_a_threshold_moved_on_the_page_reaches_the_pv_and_the_reverse(daemon: Daemon, chromium: Browser) -> None:
    dump(daemon, PLOT, 1)
    daemon.until(lambda: daemon.ask_json("ledger")[0]["judged"] >= 1)
    threshold = daemon.pv("CDC:OCCUPANCY:THRESH:BAD")
    with (
        Pages(daemon.settings) as pages,
        looking(chromium, pages.address, viewport={"width": 1366, "height": 768}) as page,
    ):
        page.goto(f"/library/thresholds?plot={PLOT}")
        label = page.locator('section[data-label="Bad"]')
        number = label.locator('input[type="number"]')
        number.fill("0.83")
        number.press("Tab")
        label.get_by_role("button", name="Apply").click()
        daemon.until(lambda: threshold.get() == pytest.approx(0.83))
        threshold.put(0.71, wait=True)
        expect(label).to_contain_text("0.71", timeout=PATIENCE_MS)
    changes = [(c["value"], c["via"]) for c in daemon.ask_json("thresholds", "list")]
    assert changes == [(pytest.approx(0.71), "ca")]


def test_a_model_promoted_on_the_page_is_what_the_daemon_serves_next(
    daemon: Daemon, chromium: Browser, tmp_path: Path
) -> None:
    made = random_bundle("plain", ("Good", "Bad", "NoData"), [PLOT], tmp_path / "made", 32, model_id="next", seed=3)
    aside = daemon.home / "next.aside"
    shutil.copytree(made.folder, aside)
    dump(daemon, PLOT, 1)
    daemon.until(lambda: daemon.ask_json("ledger")[0]["judged"] >= 1)
    with (
        Pages(daemon.settings) as pages,
        looking(chromium, pages.address, viewport={"width": 1366, "height": 768}) as page,
    ):
        aside.rename(daemon.home / "models" / "next")
        daemon.ask("models", "shadow", "next", "--wait-s", "30")
        page.goto("/library")
        card = page.locator('[data-model="next"]')
        card.locator('[data-deed="promote"]').click()
        outlook = page.locator("#decision-outlook")
        expect(outlook).to_contain_text(f"{PLOT}")
        expect(outlook).to_contain_text("simulated-hall → next")
        page.fill("#decision-reason", "its shadow agreed")
        page.click("#decision-do")
        expect(card.locator(".place")).to_contain_text("in service", timeout=PATIENCE_MS)
        daemon.until(lambda: served(daemon, "next"))
        dump(daemon, PLOT, 2)
        daemon.until(lambda: daemon.ask_json("log", "--plot", PLOT)[0]["model"] == "next")
        decided = daemon.ask_json("models", "show", "next")[0]["history"]
        assert "its shadow agreed" in [move["reason"] for move in decided]


def served(hydrad: Daemon, model: str) -> bool:
    """Whether the daemon has done what was decided about this model."""
    rows = {row["id"]: row for row in hydrad.ask_json("models", "list")}
    return rows[model]["state"] == "in_service" and PLOT in rows[model]["serves"]
