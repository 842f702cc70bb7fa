"""The status page in a real browser: what is wrong has a word, and the beam's threshold can be mended there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import web_world
from axe_playwright_python.sync_playwright import Axe
from browsing import Pages, looking, until
from playwright.sync_api import Browser, Page, expect
from web_world import DETAILS, Seen, World, usual, world

from hydrad.domain import BeamState, Change, Health, Status
from hydrad.store import changing
from hydrad.store.images import ImageFolder

pytestmark = pytest.mark.browser

NEED = ("CDC_occupancy", "CDC_time", "FCAL_map")
OFF = {**DETAILS["beam"], "state": "OFF", "current": 4.2, "reason": "beam 4.2 nA, on above 5"}  # type: ignore[dict-item]  # a table


@dataclass(frozen=True)
class Scene:
    """A furnished data base and the pages over it."""

    world: World
    pages: Pages


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A hall with two hours of trouble, and a daemon that is well."""
    home = tmp_path_factory.mktemp("status")
    here = world(home)
    here = World(here.home, here.settings, here.store, datetime.now(UTC) - timedelta(hours=2))
    with here.store, Pages(here.settings) as pages:
        here.serve()
        here.see(*usual())
        here.beat()
        yield Scene(here, pages)


def see_without_beam(here: World, seen: Seen) -> None:
    """An image that filled while the beam was said to be off."""
    parcel = web_world._parcel(here, seen, ImageFolder(here.config.store.images))
    assert parcel.verdict is not None
    beam = replace(parcel.verdict.beam, state=BeamState.OFF, current=4.2)
    here.store.put([replace(parcel, verdict=replace(parcel.verdict, beam=beam))])


def violations(page: Page) -> list[str]:
    """What axe-core finds."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]


def part(page: Page, name: str) -> str:
    return page.locator("#parts .part", has=page.get_by_role("heading", name=name, exact=True)).inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1366, 768), (390, 844), (3840, 2160)], ids=["laptop", "phone", "wall"])
def test_the_page_is_accessible_and_fits_at_every_size(
    chromium: Browser, scene: Scene, scheme: str, size: tuple[int, int], tmp_path: Path
) -> None:
    scene.world.beat()
    viewport = {"width": size[0], "height": size[1]}
    with looking(chromium, scene.pages.address, viewport=viewport, color_scheme=scheme) as page:
        page.goto("/status")
        expect(page.locator("#parts .part")).not_to_have_count(0)
        for summary in page.get_by_text("As figures").all():
            summary.click()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        page.screenshot(path=tmp_path / "status.png", full_page=True)


def test_it_says_what_works_in_words_and_what_waits_in_numbers(chromium: Browser, scene: Scene) -> None:
    scene.world.beat(outbox=12)
    with looking(chromium, scene.pages.address) as page:
        page.goto("/status")
        assert "WORKS" in part(page, "Daemon")
        assert "counting-1" in part(page, "Daemon")
        assert "1 model in service" in part(page, "Models")
        assert "HYDRA:TEST:" in part(page, "PV server")
        assert "2 clients are connected" in part(page, "PV server")
        assert "12 records" in part(page, "Outbox")
        assert "80 % FREE" in part(page, "Disk of the images")
        expect(page.locator("#stages tr")).to_have_count(6)
        expect(page.locator("#stages tr", has_text="classify")).to_contain_text("15.0 ms")
        expect(page.locator("#ledger div", has_text="judged").locator("dd")).to_have_text(str(len(usual())))
        expect(page.locator("#standing")).to_contain_text("CDC_occupancy")
        expect(page.locator("#days .column")).to_have_count(14)


def test_what_changes_is_drawn_without_a_reload_and_keeps_the_focus(chromium: Browser, scene: Scene) -> None:
    scene.world.beat()
    with looking(chromium, scene.pages.address) as page:
        page.goto("/status")
        expect(page.locator("#headline")).not_to_contain_text("Daemon")
        page.get_by_label("because").focus()
        scene.world.beat(health=Health.STALLED, why="no sign of life from the classifier")
        expect(page.locator("#headline")).to_contain_text("Daemon")
        assert "STALLED" in part(page, "Daemon")
        assert "No sign of life from the classifier" in part(page, "Daemon")
        assert page.evaluate("document.activeElement.id") == "why"
        scene.world.beat(ago_s=60)
        expect(page.locator("#parts .part", has_text="Daemon").first).to_contain_text("SILENT")
        assert "UNKNOWN" in part(page, "Beam")


def test_plots_that_are_full_without_beam_are_told_and_an_expert_mends_the_threshold(
    chromium: Browser, scene: Scene
) -> None:
    here = scene.world
    here.beat(beam=OFF)
    late = (datetime.now(UTC) - here.began).total_seconds()
    for plot in NEED:
        see_without_beam(here, Seen(plot, Status.GOOD, late))
    with looking(chromium, scene.pages.address) as page:
        page.goto("/status")
        warning = page.locator("#beam-warning")
        expect(warning).to_contain_text("3 of 3 plots that need beam are full")
        expect(warning).to_contain_text("OFF at 4.2 nA")
        page.get_by_label("The beam is on above").fill("3.5")
        expect(page.locator("#would")).to_contain_text("4.2 nA would be ON")
        page.get_by_label("because").fill("plots are full")
        page.get_by_role("button", name="Set").click()
        expect(page.locator("#notes")).to_contain_text("on above 3.5 nA from now on; it was 5")
    (change,) = here.store.newest_settings()
    assert (change.key, change.value, change.old, change.via, change.reason) == (
        "beam.on_above", 3.5, 5.0, "page", "plots are full",
    )  # fmt: skip


def test_what_experts_put_to_pvs_stands_there_and_is_taken_back(chromium: Browser, scene: Scene) -> None:
    store = scene.world.store
    scene.world.beat()
    for key, value, old, reason in (
        ("pv.STATUS.THSV", 1.0, 2.0, ""),
        ("pv.mirror.LOLO", -0.5, 0.0, ""),
        ("reason", 1.0, None, "HV work"),
    ):
        changing.put(
            store,
            Change(
                key, value, "ana", "console-2", datetime.now(UTC), "ca", plot="CDC_occupancy", old=old, reason=reason
            ),
        )
    with looking(chromium, scene.pages.address) as page:
        page.goto("/status")
        rows = page.locator("#changes tbody tr")
        expect(rows.nth(0)).to_contain_text("HV work")
        expect(rows.nth(0).get_by_role("button")).to_have_count(0)
        expect(rows.nth(1)).to_contain_text("PV mirror.LOLO")
        expect(rows.nth(1)).to_contain_text("-0.5")
        expect(rows.nth(2)).to_contain_text("CDC_occupancy")
        expect(rows.nth(2)).to_contain_text("MAJOR")
        expect(rows.nth(2)).to_contain_text("MINOR")
        rows.nth(2).get_by_role("button", name="Revert").click()
        expect(rows.nth(0)).to_contain_text("takes back what ana did")
    change = store.settings_after(0)[-1].change
    assert (change.key, change.value, change.old) == ("pv.STATUS.THSV", 2.0, 1.0)


def test_a_threshold_that_cannot_be_is_refused_and_changes_nothing(chromium: Browser, scene: Scene) -> None:
    scene.world.beat()
    before = scene.world.store.newest_settings()
    with looking(chromium, scene.pages.address) as page:
        page.goto("/status")
        for value in ("0", "-3", '"much"', "null", "1e400"):
            status = page.evaluate(
                """async (body) => (await fetch("/api/v1/beam/on_above",
                    {method: "PUT", headers: {"Content-Type": "application/json"}, body})).status""",
                f'{{"value": {value}}}',
            )
            assert status == 422, value
    assert scene.world.store.newest_settings() == before


def test_a_page_that_nobody_answers_says_so_over_everything(chromium: Browser, scene: Scene) -> None:
    scene.world.beat()
    with looking(chromium, scene.pages.address) as page:
        page.goto("/status")
        expect(page.locator("#gone")).to_be_hidden()
        page.route("**/api/v1/status", lambda route: route.abort())
        expect(page.locator("#gone")).to_contain_text("Not live")
        page.unroute("**/api/v1/status")
        expect(page.locator("#gone")).to_be_hidden()


def test_the_document_holds_only_numbers_that_json_has(chromium: Browser, scene: Scene) -> None:
    scene.world.beat()
    with looking(chromium, scene.pages.address) as page:
        text = page.goto("/api/v1/status")
        assert text is not None
        document = json.loads(text.body(), parse_constant=pytest.fail)
        assert document["now"].endswith("Z")
        until(lambda: document["level"] in {"well", "watch"})
