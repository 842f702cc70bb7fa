"""The labeler: its API, and the page as a person uses it in a real browser."""

from __future__ import annotations

import getpass
import hashlib
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from axe_playwright_python.sync_playwright import Axe
from browsing import Pages, looking
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from starlette.requests import Request
from store_world import entry_of, verdict_of
from web_world import World, world

from hydrad.classify.labels import meaning_of
from hydrad.domain import Role, Status, zulu
from hydrad.store.images import ImageFolder
from hydrad.store.labels.defining import Hand
from hydrad.store.labels.labelling import history, labelled
from hydrad.store.labels.marking import Mark, give
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.web.app import application, site_of
from hydrad.web.doors.visitors import Visitor

PLOT = "CDC time/№ 1"  # a name may hold anything
ME = getpass.getuser()
LAPTOP = {"width": 1366, "height": 768}


def picture(seed: int, nudge: int = 0) -> bytes:
    """A small picture; other seeds look quite different, other nudges alike."""
    grey = np.random.default_rng(seed).integers(0, 255, (16, 24), np.uint8)
    pixels = np.repeat(np.kron(grey, np.ones((10, 10), np.uint8))[..., None], 3, 2)
    pixels[0, : nudge + 1] ^= 4  # no eye sees it, but it is another file
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def see(here: World, pictures: Sequence[bytes], plot: str = PLOT, *, first: int = 0, **words: Any) -> list[str]:
    """Keep images with verdicts as the daemon does; returns their hashes."""
    folder = ImageFolder(here.config.store.images)
    parcels, hashes = [], []
    for n, data in enumerate(pictures, first):
        at = here.began + timedelta(seconds=n)
        sha256 = hashlib.sha256(data).hexdigest()
        folder.keep(data, sha256, "png")
        good = {"label": "Good", "confidence": 0.97, "scores": {"Good": 0.97, "Bad": 0.02, "NoData": 0.01}}
        told = {"status": Status.GOOD, "sha256": sha256, "path": f"/data/{n}.png", "taken_at": at, **good, **words}
        verdict = verdict_of(plot, at, **told)
        entry = replace(entry_of(verdict), size=len(data))
        parcels.append(Parcel(entry=entry, verdict=verdict, image=ImageFacts(len(data), "png", 240, 160)))
        hashes.append(sha256)
    here.store.put(parcels)
    return hashes


def given(here: World, plot: str = PLOT) -> dict[str, str]:
    """What the data base says: label by image."""
    return {one.sha256: one.label for one in labelled(here.store) if one.plot == plot}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    found = world(tmp_path / "hall")
    with found.store:
        yield found


# ---- the API ----


class Asked:
    """The application asked without a server."""

    def __init__(self, app: Any, portal: BlockingPortal) -> None:
        self._reached = httpx.ASGITransport(app, client=("127.0.0.1", 50000))
        self._portal = portal

    def get(self, address: str, **words: Any) -> httpx.Response:
        return self._portal.call(partial(self._ask, "GET", address, **words))

    def post(self, address: str, **words: Any) -> httpx.Response:
        return self._portal.call(partial(self._ask, "POST", address, **words))

    async def _ask(self, method: str, address: str, **words: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._reached, base_url="http://127.0.0.1") as client:
            return await client.request(method, address, **words)


@contextmanager
def asking(here: World, role: Role = Role.ADMIN, name: str = "otto") -> Iterator[Asked]:
    """The API as somebody with this role finds it."""

    class Known:
        def whom(self, _request: Request) -> Visitor:
            return Visitor(name, role, "counting-3")

    with ExitStack() as stack:
        site = replace(site_of(here.config, stack), gate=Known())  # type: ignore[arg-type]  # all that is asked of a gate
        yield Asked(application(site), stack.enter_context(start_blocking_portal()))


def marks(hashes: Sequence[str], label: str | None, at: datetime, plot: str = PLOT) -> dict[str, Any]:
    return {
        "marks": [
            {"id": f"{n}", "plot": plot, "sha256": one, "label": label, "at": zulu(at)} for n, one in enumerate(hashes)
        ]
    }


def effects(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["effect"] for one in answer.json()["marks"]]


def test_marks_count_once_however_often_they_are_sent_and_the_newer_one_stands(here: World) -> None:
    hashes = see(here, [picture(n) for n in range(3)])
    now = datetime.now(UTC) - timedelta(minutes=5)
    with asking(here) as otto, asking(here, name="anna") as anna:
        mine = marks(hashes, "Good", now)
        assert effects(otto.post("/api/v1/labellings", json=mine)) == ["given"] * 3
        assert effects(otto.post("/api/v1/labellings", json=mine)) == ["same"] * 3
        later = marks(hashes[:1], "Bad", now + timedelta(seconds=9))
        assert effects(anna.post("/api/v1/labellings", json=later)) == ["changed"]
        assert effects(otto.post("/api/v1/labellings", json=mine)) == ["left", "same", "same"]
        back = marks(hashes[1:2], None, now + timedelta(seconds=10))
        assert effects(anna.post("/api/v1/labellings", json=back)) == ["taken_back"]
    assert given(here) == {hashes[0]: "Bad", hashes[2]: "Good"}
    told = [(one.label, one.hand.person, one.hand.via) for one in history(here.store, PLOT, hashes[0])]
    assert told == [("Good", "otto", "page"), ("Bad", "anna", "page")]
    assert [one.hand.at for one in history(here.store, PLOT, hashes[0])] == [now, now + timedelta(seconds=9)]


def test_what_cannot_be_given_is_said_mark_by_mark_and_the_rest_is_given(here: World) -> None:
    hashes = see(here, [picture(1)])
    now = datetime.now(UTC)
    body = {
        "marks": [
            *marks(hashes, "Never defined", now)["marks"],
            *marks(["0" * 64], "Good", now)["marks"],
            *marks(hashes, "Good", now, plot="no such plot")["marks"],
            *marks(hashes, "Good", now + timedelta(days=400))["marks"],
        ]
    }
    with asking(here) as client:
        assert effects(client.post("/api/v1/labellings", json=body)) == [
            "no_such_label", "unknown", "no_such_label", "given",
        ]  # fmt: skip
    assert set(here.store.labels(PLOT)) == {"Good", "Bad", "NoData"}
    (deed,) = history(here.store, PLOT, hashes[0])
    assert deed.hand.at <= datetime.now(UTC)  # a clock that goes ahead outlives nobody


def test_what_is_no_request_of_ours_is_refused_and_never_a_fault(here: World) -> None:
    see(here, [picture(1)])
    one = marks(["0" * 64], "Good", datetime.now(UTC))["marks"][0]
    wrong: list[Any] = [
        {}, [], {"marks": []}, {"marks": [one] * 501}, {"marks": [{**one, "sha256": "g" * 64}]},
        {"marks": [{**one, "at": "yesterday"}]}, {"marks": [{**one, "at": "2026-01-01T00:00:00"}]},
        {"marks": [{**one, "at": "9999-12-31T23:59:59-23:00"}]}, {"marks": [{**one, "id": ""}]},
        {"marks": [{**one, "label": "x" * 40}]}, {"marks": [{**one, "more": 1}]},
    ]  # fmt: skip
    with asking(here) as client:
        for body in wrong:
            assert client.post("/api/v1/labellings", json=body).status_code == 422, body
        for query in (
            "plot=%00", "plot=nobody", "plot=", "plot=CDC%ED%A0%80",
        ):  # fmt: skip
            assert client.get(f"/api/v1/labeler/sheet?{query}").status_code == 404, query
        for query in (
            "limit=0", "limit=1001", "skip=-1", "mode=other", "run=9223372036854775808", "since=0001-01-01T00:00:00Z",
            f"label={'x' * 40}", "until=2026-11-23", "odd=1",
        ):  # fmt: skip
            asked = client.get("/api/v1/labeler/sheet", params=f"plot=CDC&{query}")
            assert asked.status_code == 422, (query, asked.text)
        assert client.get("/labeler?plot=nobody", headers={"accept": "text/html"}).status_code == 404
        for name in ("", " x", "x" * 40, "é" * 20, "a\nb"):
            answer = client.post("/api/v1/plots/CDC time%2F№ 1/labels", json={"name": name})
            assert answer.status_code == 422, name


def test_labels_are_defined_by_labelers_and_redefined_by_experts(here: World) -> None:
    see(here, [picture(1)])
    address = "/api/v1/plots/CDC time%2F№ 1/labels"
    with (
        asking(here, Role.LABELER) as labeler,
        asking(here, Role.EXPERT) as expert,
        asking(here, Role.VIEWER) as viewer,
    ):
        cosmic = {"name": "Cosmic", "meaning": "other", "colour": "#123456"}
        all_of_them = labeler.post(address, json=cosmic).json()
        assert all_of_them[-1] == {**cosmic, "images": 0}
        assert labeler.post(address, json={"name": "Cosmic", "meaning": "bad"}).status_code == 403
        assert labeler.post(address, json={"name": "Cosmic", "colour": "#654321"}).status_code == 200
        assert expert.post(address, json={"name": "Cosmic", "meaning": "bad"}).json()[-1]["meaning"] == "bad"
        assert viewer.get(address).json() == labeler.get(address).json()
        assert viewer.post(address, json=cosmic).status_code == 403
        assert viewer.get("/labeler").status_code == 403
        assert viewer.post("/api/v1/labellings", json=marks(["0" * 64], None, datetime.now(UTC))).status_code == 403
        assert labeler.get("/api/v1/plots/nobody/labels").status_code == 404


# ---- the page ----


def comes(page: Page, fact: Callable[[], object], why: Callable[[], str] = lambda: "") -> None:
    """Return when something has become true; the browser's requests pass through this thread, so it must not sleep."""
    deadline = time.monotonic() + 20
    while not fact():
        assert time.monotonic() < deadline, f"it never became so {why()}"
        page.wait_for_timeout(20)


@contextmanager
def labelling(
    here: World, chromium: Browser, *, plot: str = PLOT, mode: str = "", pages: Pages | None = None, **options: Any
) -> Iterator[Page]:
    """The labeler's page of a plot, with its first tiles."""
    with ExitStack() as stack:
        pages = pages or stack.enter_context(Pages(here.settings))
        page = stack.enter_context(looking(chromium, pages.address, **{"viewport": LAPTOP, **options}))
        show(page, plot, mode)
        yield page


def show(page: Page, plot: str = PLOT, mode: str = "") -> None:
    from urllib.parse import quote  # noqa: PLC0415  only here

    page.goto(f"/labeler?plot={quote(plot, safe='')}{mode}")
    expect(page.locator(".tile").first).to_be_focused()


@dataclass(frozen=True)
class Bench:
    """A plot of its own in a hall that the tests of this module share."""

    here: World
    pages: Pages
    plot: str

    def see(self, pictures: Sequence[bytes], **words: Any) -> list[str]:
        return see(self.here, pictures, self.plot, **words)

    def given(self) -> dict[str, str]:
        return given(self.here, self.plot)

    def labelling(self, chromium: Browser, **options: Any) -> AbstractContextManager[Page]:
        return labelling(self.here, chromium, plot=self.plot, pages=self.pages, **options)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Pages]]:
    """A hall and its pages."""
    found = world(tmp_path_factory.mktemp("hall"))
    with found.store, Pages(found.settings) as pages:
        yield found, pages


@pytest.fixture
def bench(served: tuple[World, Pages], request: pytest.FixtureRequest) -> Bench:
    """Where one test labels."""
    return Bench(*served, f"CDC {request.node.name}/№ 1")


def shown(page: Page) -> list[str]:
    """The hashes of the tiles of this page."""
    found: list[str] = page.locator(".tile").evaluate_all("tiles => tiles.map(tile => tile.dataset.sha256)")
    return found


def turn(page: Page, key: str = "Enter") -> None:
    before = page.locator("#where").inner_text().split(":")[0]
    page.keyboard.press(key)
    expect(page.locator("#where")).not_to_contain_text(f"{before}:")


def saved(page: Page) -> None:
    expect(page.locator("#saved")).to_have_text("All saved")


@pytest.mark.browser
def test_120_images_are_labelled_from_the_keyboard_without_a_reload(
    bench: Bench, chromium: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    hashes = bench.see([picture(n) for n in range(130)])
    wanted: dict[str, str] = {}
    keys = {"1": "Bad", "2": "Good", "3": "NoData"}
    with bench.labelling(chromium) as page:
        page.evaluate("window.stays = true")
        assert [one.inner_text() for one in page.locator("#palette .name").all()] == list(keys.values())
        began = time.monotonic()
        while len(wanted) < 120:
            tiles = shown(page)
            for sha256 in tiles[: 120 - len(wanted)]:
                key = str(1 + len(wanted) % 3)
                page.keyboard.press(key)
                wanted[sha256] = keys[key]
            if len(wanted) < 120:
                turn(page)
        given_s = time.monotonic() - began
        comes(page, lambda: bench.given() == wanted, lambda: f"{len(bench.given())} of 120")
        saved_s = time.monotonic() - began
        assert page.evaluate("window.stays") is True
        saved(page)
        expect(page.locator(".thanks")).to_contain_text("by you today. Thank you!")
        counts = page.locator("#leaders table").first.locator("tbody td")  # of this plot
        expect(counts).to_have_text(["120", "120", "120"])
    assert set(wanted) <= set(hashes)
    assert Counter(wanted.values()) == {"Bad": 40, "Good": 40, "NoData": 40}
    people = {(one.by, one.at is not None) for one in labelled(bench.here.store) if one.plot == bench.plot}
    assert people == {(ME, True)}
    rate = 120 / given_s * 60
    with capsys.disabled():
        told = f"{rate:.0f} images/min by keyboard, the last in the data base {saved_s - given_s:.2f} s after its key"
        print(f"\n{told}")  # noqa: T201  a figure to be read
    assert rate > 240


@pytest.mark.browser
def test_a_server_that_is_killed_loses_no_label_nor_does_a_page_that_is_closed(here: World, chromium: Browser) -> None:
    see(here, [picture(n) for n in range(40)])
    with ExitStack() as stack:
        pages = stack.enter_context(Pages(here.settings))
        page = stack.enter_context(labelling(here, chromium, pages=pages))
        first = shown(page)[:12]
        for _ in range(4):
            page.keyboard.press("2")
        comes(page, lambda: len(given(here)) == 4)
        saved(page)  # the page has heard of it too: what it has not heard of waits on, and is sent again
        pages.process.kill()
        pages.process.wait()
        for _ in range(4):
            page.keyboard.press("1")
        expect(page.locator("#saved")).to_contain_text("Not saved: server away. 4 labels wait in this browser.")
        expect(page.locator(".note.trouble")).to_contain_text("server away")
        for _ in range(4):
            page.keyboard.press("3")
        expect(page.locator("#saved")).to_contain_text("8 labels wait")
        assert len(given(here)) == 4
        port = int(pages.address.rsplit(":", 1)[1])
        with Pages(here.settings, port=port) as again:
            saved(page)
            wanted = dict(zip(first, ["Good"] * 4 + ["Bad"] * 4 + ["NoData"] * 4, strict=True))
            comes(page, lambda: given(here) == wanted)
            # And once more, with the page closed before the server is back.
            again.process.kill()
            again.process.wait()
            page.keyboard.press("x")
            page.keyboard.press("ArrowLeft")
            page.keyboard.press("2")
            last = page.locator(".tile.has-label").last.get_attribute("data-sha256") or ""
            expect(page.locator("#saved")).to_contain_text("wait")
            page.context.new_page()
            page.close()
        with Pages(here.settings, port=port):
            other = page.context.pages[-1]
            show(other)
            comes(other, lambda: given(here) == {**wanted, last: "Good"}, lambda: json.dumps(given(here)))
            saved(other)


@pytest.mark.browser
def test_deeds_are_undone_one_by_one_and_across_pages(bench: Bench, chromium: Browser) -> None:
    bench.see([picture(n) for n in range(60)])
    with bench.labelling(chromium) as page:
        first = shown(page)
        page.keyboard.press("1")
        page.keyboard.press("2")
        turn(page)
        second = shown(page)
        assert not set(first) & set(second)
        page.keyboard.press("g")
        expect(page.locator("#where")).to_contain_text("all labelled")
        comes(page, lambda: bench.given() == {first[0]: "Bad", first[1]: "Good", **dict.fromkeys(second, "Good")})
        page.keyboard.press("u")
        comes(page, lambda: bench.given() == {first[0]: "Bad", first[1]: "Good"})
        assert shown(page) == second
        page.keyboard.press("Control+z")  # on the page before
        expect(page.locator("#where")).to_contain_text("Page 1")
        assert shown(page) == first
        page.locator("#undo").click()
        comes(page, lambda: bench.given() == {})
        expect(page.locator("#undo")).to_be_disabled()
        expect(page.locator(".tile.has-label")).to_have_count(0)
        assert [one.label for one in history(bench.here.store, bench.plot, first[1])] == ["Good", None]


@pytest.mark.browser
def test_the_rest_is_good_leaves_what_has_a_label_and_enter_brings_the_next_page(
    bench: Bench, chromium: Browser
) -> None:
    bench.see([picture(n) for n in range(60)])
    with bench.labelling(chromium) as page:
        first = shown(page)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+L")
        expect(page.locator(".tile[aria-selected=true]")).to_have_count(3)
        page.keyboard.press("1")
        expect(page.locator(".tile").nth(4)).to_be_focused()
        page.keyboard.press("g")
        turn(page)
        expect(page.locator(".tile").first).to_be_focused()
        wanted = dict.fromkeys(first, "Good") | dict.fromkeys(first[1:4], "Bad")
        comes(page, lambda: bench.given() == wanted)
        # Passed over without a label: they come again, at the end.
        passed = shown(page)
        turn(page)
        assert not set(shown(page)) & set(passed)
        turn(page, "PageUp")
        assert shown(page) == passed


@pytest.mark.browser
def test_an_image_that_a_report_lists_is_labelled_anew(bench: Bench, chromium: Browser) -> None:
    seen = bench.see([picture(n) for n in range(3)])
    hand = Hand("anna", "counting-4", "page", datetime.now(UTC) - timedelta(days=3))
    give(bench.here.store, [Mark(bench.plot, one, "Good", hand) for one in seen], meaning_of)
    with bench.labelling(chromium, mode=f"&image={seen[1]}") as page:
        expect(page.locator(".tile")).to_have_count(1)
        assert shown(page) == [seen[1]]
        expect(page.locator(".tile")).to_be_focused()
        page.keyboard.press("1")
        comes(page, lambda: bench.given()[seen[1]] == "Bad")
        page.get_by_role("button", name="Show all that are labelled").click()
        expect(page.locator(".tile")).to_have_count(3)


@pytest.mark.browser
def test_labelled_images_are_found_by_filter_and_changed(bench: Bench, chromium: Browser) -> None:
    good = bench.see([picture(n) for n in range(3)])
    disputed = bench.see([picture(9)], first=9, label="Bad", confidence=0.99)
    hand = Hand("anna", "counting-4", "page", datetime.now(UTC) - timedelta(days=3))
    give(bench.here.store, [Mark(bench.plot, one, "Good", hand) for one in [*good[:2], *disputed]], meaning_of)
    give(bench.here.store, [Mark(bench.plot, good[2], "Bad", replace(hand, person="otto"))], meaning_of)
    with bench.labelling(chromium, mode="#edit") as page:
        expect(page.locator(".tile")).to_have_count(4)
        form = page.locator("#sought")
        form.get_by_label("By").fill("anna")
        form.get_by_role("button").click()
        expect(page.locator(".tile")).to_have_count(3)
        form.get_by_label("the model says otherwise").check()
        form.get_by_role("button").click()
        expect(page.locator(".tile")).to_have_count(1)
        expect(page.locator(".tile")).to_be_focused()
        assert shown(page) == disputed
        page.keyboard.press("1")
        comes(page, lambda: bench.given()[disputed[0]] == "Bad")
        form.get_by_label("the model says otherwise").uncheck()
        form.get_by_label("By").fill("")
        form.get_by_label("Label").select_option("Bad")
        form.get_by_label("From").fill(f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}")
        form.get_by_role("button").click()
        expect(page.locator(".tile")).to_have_count(1)
        assert shown(page) == disputed
        form.get_by_label("Run").fill("5")
        form.get_by_role("button").click()
        expect(page.locator("#end-words")).to_have_text("No labelled image is like that.")
    assert [one.hand.person for one in history(bench.here.store, bench.plot, disputed[0])] == ["anna", ME]


@pytest.mark.browser
def test_images_that_look_alike_are_one_tile_get_one_label_and_can_be_unfolded(bench: Bench, chromium: Browser) -> None:
    alike = bench.see([picture(1, nudge) for nudge in range(6)])
    other_run = bench.see([picture(1, 7)], first=10, run=5)
    others = bench.see([picture(n) for n in range(2, 20)], first=20)
    two = bench.see([picture(30), picture(30, 1)], first=60)
    with bench.labelling(chromium) as page:
        folds = page.locator(".alike:not([hidden])")
        expect(folds).to_have_count(2)
        assert sorted(folds.all_inner_texts()) == ["+1", "+5"]
        expect(page.locator(".tile")).to_have_count(len(others) + 3)
        tile = page.locator(".tile", has=page.get_by_text("+5", exact=True))
        n = page.locator(".tile").evaluate_all("tiles => tiles.findIndex(tile => tile.textContent.includes('+5'))")
        leader = tile.get_attribute("data-sha256")
        for _ in range(n):
            page.keyboard.press("ArrowRight")
        expect(tile).to_be_focused()
        page.keyboard.press("1")
        comes(page, lambda: bench.given() == dict.fromkeys(alike, "Bad"))
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("f")
        expect(page.locator(".tile")).to_have_count(len(others) + 3 + 5)
        expect(page.locator(f'.tile[data-sha256="{leader}"]')).to_be_focused()
        page.keyboard.press("x")
        comes(page, lambda: bench.given() == dict.fromkeys(set(alike) - {leader}, "Bad"))
        folds.click()
        expect(folds).to_have_count(0)
        assert set(shown(page)) == {*alike, *other_run, *others, *two}


@pytest.mark.browser
def test_images_are_painted_with_the_mouse(bench: Bench, chromium: Browser) -> None:
    bench.see([picture(n) for n in range(30)])
    with bench.labelling(chromium) as page:
        tiles = shown(page)

        def middle(n: int) -> tuple[float, float]:
            box = page.locator(".tile").nth(n).bounding_box()
            assert box
            return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

        page.locator("#palette button", has_text="Bad").click()
        page.mouse.click(*middle(0))
        page.mouse.move(*middle(2))
        page.mouse.down()
        page.mouse.move(*middle(3), steps=6)
        page.mouse.move(*middle(4), steps=6)
        page.mouse.up()
        wanted = dict.fromkeys([tiles[0], *tiles[2:5]], "Bad")
        comes(page, lambda: bench.given() == wanted)
        page.keyboard.down("Shift")
        page.mouse.click(*middle(6))
        page.keyboard.up("Shift")
        comes(page, lambda: bench.given() == wanted | dict.fromkeys(tiles[2:7], "Bad"))
        page.mouse.click(*middle(6))  # its own label again: taken back
        page.keyboard.press("u")
        page.keyboard.press("u")
        page.keyboard.press("u")  # the whole stroke
        comes(page, lambda: bench.given() == {tiles[0]: "Bad"})


@pytest.mark.browser
def test_a_label_is_defined_where_it_is_missed_and_one_looks_closer_beside_a_good_image(
    bench: Bench, chromium: Browser
) -> None:
    bench.see([picture(n) for n in range(14)])
    with bench.labelling(chromium) as page:
        page.keyboard.press("n")
        dialog = page.locator("#define")
        dialog.get_by_label("Name").fill("Hot <b>cell</b>")
        dialog.get_by_label("bad: something is wrong").check()
        dialog.get_by_label("Colour", exact=True).fill("#ff8800")
        dialog.get_by_role("button", name="Define").click()
        expect(page.locator("#palette .name")).to_have_text(["Bad", "Good", "NoData", "Hot <b>cell</b>"])
        page.locator(".tile").first.focus()
        page.keyboard.press("4")
        comes(page, lambda: list(bench.given().values()) == ["Hot <b>cell</b>"])
        page.keyboard.press("z")
        expect(page.locator("#zoom")).to_be_visible()
        second = page.locator("#zoom-this").get_attribute("src")
        assert second == f"/images/{shown(page)[1]}"
        expect(page.locator("#zoom-reference-words")).to_contain_text("all is well")
        comes(page, lambda: page.locator("#zoom-this").evaluate("image => image.complete && image.naturalWidth") == 240)
        page.keyboard.press("2")
        comes(page, lambda: len(bench.given()) == 2)
        assert page.locator("#zoom-this").get_attribute("src") == f"/images/{shown(page)[2]}"
        page.keyboard.press("z")
        expect(page.locator("#zoom")).to_be_hidden()
        page.keyboard.press("?")
        expect(page.locator("#help")).to_be_visible()
        page.keyboard.press("1")  # goes to nobody while the help is open
        page.keyboard.press("Escape")
        saved(page)
        assert len(bench.given()) == 2
    label = bench.here.store.labels(bench.plot)["Hot <b>cell</b>"]
    assert (label.meaning.value, label.colour) == ("bad", "#ff8800")


@pytest.mark.browser
def test_a_phone_labels_by_touch(bench: Bench, chromium: Browser) -> None:
    bench.see([picture(n) for n in range(20)])
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with bench.labelling(chromium, **phone) as page:
        tiles = shown(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.locator("#palette button", has_text="Good").tap()
        page.locator(".tile").nth(0).tap()
        page.locator(".tile").nth(3).tap()
        comes(page, lambda: bench.given() == dict.fromkeys([tiles[0], tiles[3]], "Good"))
        page.locator(".tile").nth(3).tap()
        comes(page, lambda: bench.given() == {tiles[0]: "Good"})
        page.locator("#rest").tap()
        comes(page, lambda: bench.given() == dict.fromkeys(tiles, "Good"))
        page.locator("#next").tap()
        expect(page.locator("#where")).to_contain_text("Page 2")


@pytest.mark.browser
def test_when_all_is_seen_the_next_plot_in_need_is_offered(here: World, chromium: Browser) -> None:
    see(here, [picture(n) for n in range(3)])
    see(here, [picture(9)], plot="FDC_b")
    with labelling(here, chromium) as page:
        page.keyboard.press("g")
        saved(page)
        page.keyboard.press("Enter")
        expect(page.locator("#end-words")).to_contain_text("You have seen every image")
        page.get_by_role("link", name="On to FDC_b").click()
        expect(page.locator("h1")).to_have_text("FDC_b")
        expect(page.locator(".tile")).to_have_count(1)
        page.goto("/labeler")
        assert [row.get_attribute("data-plot") for row in page.locator("#plots tbody tr").all()] == ["FDC_b", PLOT]
        expect(page.locator("#leaders th", has_text=ME).first).to_be_visible()
        page.get_by_label("Find").fill("fdc")
        expect(page.locator("#plots tbody tr:visible")).to_have_count(1)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_view(bench: Bench, chromium: Browser, scheme: str) -> None:
    bench.see([picture(n, nudge) for n in range(8) for nudge in range(2)], label="Bad", confidence=0.4, confirmed=False)

    def faults() -> list[str]:
        found = Axe().run(page)
        return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found.response["violations"]]

    steps: list[tuple[str, Callable[[], object]]] = [
        ("bench", lambda: page.keyboard.press("1")),
        ("range", lambda: page.keyboard.press("Shift+ArrowRight")),
        ("closer", lambda: page.keyboard.press("z")),
        ("help", lambda: (page.keyboard.press("z"), page.keyboard.press("?"))),
        ("define", lambda: (page.keyboard.press("Escape"), page.keyboard.press("n"))),
        ("edit", lambda: (page.keyboard.press("Escape"), page.locator("#mode-edit").click())),
        ("plots", lambda: page.goto("/labeler")),
    ]
    with bench.labelling(chromium, color_scheme=scheme) as page:
        for name, step in steps:
            step()
            assert faults() == [], (scheme, name)
