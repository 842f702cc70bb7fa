"""The screens with live PVs, drawn by the web runtime for CS-Studio's screens; pictures of all of them for people."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import kit
import pytest
from browsing import looking, until
from daemon import Daemon
from playwright.sync_api import Browser, Page, expect

from hydrad.verbs.processes import free_port

pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.timeout(240)]

BAD = {"Good": 0.02, "Bad": 0.9, "NoData": 0.08}
PLOTS = ("CDC_occupancy", "CDC_time", "BCAL_hits")
PARTS = ("tile", "row", "setting")  # of other screens: with macros of their own only
NOT_YET = "######"  # what the runtime shows of a PV that it has not heard of
PATIENCE_MS = 20_000
SIZE = {"width": 1900, "height": 900}
WITH_FIELD = {"textupdate", "textentry", "multi_state_led"}  # the last as screen_server.py has it drawn
ENTRIES = "main input:not([readonly])"
FIELDS = "main input, main textarea:not([aria-hidden])"


@pytest.fixture
def hydrad(tmp_path: Path) -> Iterator[Daemon]:
    """A hall in which everything is bad, with its screens."""
    with Daemon(tmp_path, scores=BAD) as daemon:
        daemon.start()
        for n in (1, 2):
            for m, plot in enumerate(PLOTS):
                daemon.land(f"{plot}.png", 10 * n + m)
            daemon.until(lambda n=n: daemon.counts()["judged"] == n * len(PLOTS))
        daemon.ask("screens", str(tmp_path / "screens"))
        yield daemon


@contextmanager
def served(hydrad: Daemon) -> Iterator[str]:
    """The address of screens and PVs."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with (hydrad.home / "screens.log").open("wb") as log:
        process = subprocess.Popen(
            [kit.PYTHON, kit.HERE / "screen_server.py", str(port), hydrad.home / "screens", kit.PAGE],
            env={**os.environ, "EPICS_CA_ADDR_LIST": f"127.0.0.1:{hydrad.port}"},
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: answers(address))
        yield address
    finally:
        process.kill()
        process.wait()


def shown(page: Page) -> list[str]:
    """All texts and values on a screen."""
    fields = [field.input_value() for field in page.locator(FIELDS).all()]
    return [*page.locator("main").inner_text().splitlines(), *fields]


def fields_of(screen: Path) -> int:
    """How many fields a screen has, with those of the screens that are embedded in it."""
    widgets = list(ET.parse(screen).getroot().iter("widget"))
    embedded = [screen.parent / widget.findtext("file", "") for widget in widgets if widget.get("type") == "embedded"]
    return sum(widget.get("type") in WITH_FIELD for widget in widgets) + sum(map(fields_of, embedded))


def show(page: Page, screen: Path) -> None:
    """Open a screen and wait until every PV on it has been heard of."""
    page.goto(f"/?file=/screens/{screen.name}")
    whole(page, screen)


def whole(page: Page, screen: Path) -> None:
    """Wait until every PV on a screen has been heard of."""
    expect(page.locator(FIELDS)).to_have_count(fields_of(screen), timeout=PATIENCE_MS)
    until(lambda: NOT_YET not in "".join(shown(page)), why=lambda: f"{shown(page)}")
    expect(page.locator(ENTRIES).and_(page.locator('[value=""]'))).to_have_count(0, timeout=PATIENCE_MS)


def answers(address: str) -> bool:
    """True once the screens are served."""
    try:
        return httpx.get(address).is_success
    except httpx.TransportError:
        return False


def test_every_screen_shows_live_values_with_its_macros_expanded(hydrad: Daemon, chromium: Browser) -> None:
    kit.PICTURES.mkdir(parents=True, exist_ok=True)
    with served(hydrad) as address, looking(chromium, address, viewport=SIZE) as page:
        said: list[str] = []
        page.on("console", lambda line: said.append(line.text))
        screens = hydrad.home / "screens"
        files = [path for path in sorted(screens.glob("*.bob")) if not path.stem.startswith(PARTS)]
        assert {"hall", "experts", "health", "detector-CDC", "detector-BCAL"} <= {path.stem for path in files}
        for screen in files:
            show(page, screen)
            page.screenshot(path=kit.PICTURES / f"{screen.stem}.png", full_page=True)
            assert not [text for text in shown(page) if "$(" in text], screen
        assert not [line for line in said if "unknown widget" in line], said

        show(page, screens / "hall.bob")
        assert {"BAD", "3", "100.00 nA", "ON", "OK"} <= set(shown(page))
        show(page, screens / "detector-CDC.bob")
        assert {"CDC_occupancy", "CDC_time", "0.900", "Bad", "Bad at 0.90, 2 in a row, beam 100 nA"} <= set(shown(page))


def test_one_goes_from_the_hall_to_the_experts_screen_types_a_threshold_and_comes_back(
    hydrad: Daemon, chromium: Browser
) -> None:
    screens = hydrad.home / "screens"
    threshold = hydrad.pv("CDC:OCCUPANCY:THRESH:BAD")
    with served(hydrad) as address, looking(chromium, address, viewport=SIZE) as page:
        show(page, screens / "hall.bob")
        # Not by a tile's button: in this runtime embedded screens of one file may share what their buttons open.
        page.get_by_role("button", name="Experts", exact=True).click()
        name = page.get_by_text("CDC_occupancy", exact=True).first
        expect(name).to_be_visible(timeout=PATIENCE_MS)
        whole(page, screens / "experts.bob")
        row = name.locator("xpath=ancestor::div[count(.//input)>3][1]")
        good, bad, nodata = (row.locator("input:not([readonly])").nth(n) for n in (5, 6, 7))  # after shelf and delays
        for field in (good, bad, nodata):
            expect(field).to_have_value("0.500", timeout=PATIENCE_MS)
        bad.fill("0.81")
        bad.press("Enter")
        hydrad.until(lambda: threshold.get() == pytest.approx(0.81))
        expect(bad).to_have_value("0.810", timeout=PATIENCE_MS)
        page.get_by_role("button", name="Hall", exact=True).click()
        expect(page.get_by_text("Hall TEST", exact=True)).to_be_visible(timeout=PATIENCE_MS)
