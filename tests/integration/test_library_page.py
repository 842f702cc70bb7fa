"""The library as people use it: models side by side, a model trained from the page, promoted, rolled back, refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from axe_playwright_python.sync_playwright import Axe
from browsing import Pages, looking, until
from classify_world import brightness_bundle
from fastapi import Request
from playwright.sync_api import Browser, Page, expect
from training_world import MEANINGS, brought, season
from web_world import World, usual, world

from hydrad.domain import Role
from hydrad.store.models import registry, trainings
from hydrad.store.models.registry import Who
from hydrad.store.tables import ModelState, TrainingState
from hydrad.web.app import application, site_of
from hydrad.web.doors.visitors import Visitor
from hydrad.web.site import Site

ANN = Who("ann", "counting-2", "train")
TRAIN = "[train]\nwidth = 32\nheight = 32\nepochs = 3\nthreads = 1\nshift = 0.0\n"


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[World]:
    """A hall with a model in service, one in shadow and a candidate."""
    made = world(tmp_path / "hall", more=TRAIN)
    with made.store:
        made.see(*usual(1))
        made.serve()
        for name, plots in (("bright", ("CDC_*",)), ("dim", ("FCAL_*",))):
            card = brightness_bundle(made.config.store.models, name, plots, 24).manifest.model_dump(mode="json")
            registry.register(made.store, name, card, card.pop("metrics"), ANN, reason="trained")
        registry.move(made.store, "dim", ModelState.SHADOW, Who("otto", "counting-1", "page"), "let us see")
        yield made


class Api:
    """The pages, asked without a server."""

    def __init__(self, site: Site, portal: BlockingPortal) -> None:
        self._reached = httpx.ASGITransport(application(site), client=("127.0.0.1", 50000))
        self._portal = portal

    def get(self, path: str, **words: Any) -> httpx.Response:
        return self._portal.call(partial(self._ask, "GET", path, **words))

    def post(self, path: str, **words: Any) -> httpx.Response:
        return self._portal.call(partial(self._ask, "POST", path, **words))

    async def _ask(self, method: str, path: str, **words: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._reached, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **words)


@contextmanager
def asking(hall: World, **others: Any) -> Iterator[Api]:
    """Pages of this hall; ``others`` of their site are as they are said to be."""
    with ExitStack() as stack, start_blocking_portal() as portal:
        yield Api(replace(site_of(hall.config, stack), **others), portal)


@pytest.fixture
def api(hall: World) -> Iterator[Api]:
    """The pages, asked by somebody who may do everything."""
    with asking(hall) as api:
        yield api


def state_of(hall: World, name: str) -> ModelState:
    return next(place.state for place in registry.places(hall.store) if place.id == name)


def card(name: str) -> str:
    return f'[data-model="{name}"]'


def do(page: Page, name: str, deed: str, does: str, reason: str = "") -> None:
    """Decide about a model, as a person does."""
    page.click(f'{card(name)} [data-deed="{deed}"]')
    expect(page.locator("#decision-do")).to_be_enabled()
    page.fill("#decision-reason", reason)
    page.click(f'#decision-do:has-text("{does}")')
    expect(page.locator("#decision")).to_be_hidden()


# ---- the API ----


def test_models_tell_where_they_stand_and_what_they_reached(api: Api) -> None:
    found = api.get("/api/v1/models").json()
    assert [(one["id"], one["state"]) for one in found["models"]] == [
        ("simulated-hall", "in_service"), ("dim", "shadow"), ("bright", "candidate"),
    ]  # fmt: skip
    served = found["models"][0]
    assert served["faults_raised"]["low"] < served["faults_raised"]["value"] < served["faults_raised"]["high"]
    assert served["labels"][0]["recall"]["of"] == 6000
    assert "CDC_occupancy" in served["serves"]
    assert found["models"][2]["trained_by"] == "ann"
    assert [one["id"] for one in api.get("/api/v1/models", params={"plot": "FCAL_map"}).json()["models"]] == [
        "simulated-hall", "dim",
    ]  # fmt: skip
    whole = api.get("/api/v1/models/dim").json()
    assert [move["reason"] for move in whole["history"]] == ["let us see", "trained"]
    assert api.get("/api/v1/models/nobody").status_code == 404


def test_a_promotion_says_what_it_would_change_and_changes_that(hall: World, api: Api) -> None:
    brightness_bundle(hall.config.store.models, "own", ("CDC_occupancy",), 25)
    assert api.get("/api/v1/models").json()["strays"] == ["own"]
    assert api.post("/api/v1/models/own/enter").json()["state"] == "candidate"
    ahead = api.get("/api/v1/models/own/outlook", params={"deed": "promote"}).json()
    assert ahead["moves"] == [{"model": "own", "old": "candidate", "new": "in_service"}]
    (handover,) = ahead["handovers"]
    assert (handover["old"], handover["new"], handover["plots"]) == ("simulated-hall", "own", ["CDC_occupancy"])
    assert {row["label"]: (row["before"], row["after"]) for row in handover["thresholds"]} == {
        "Bad": (0.99, 0.6), "NoData": (0.5, None),
    }  # fmt: skip
    decided = api.post("/api/v1/models/own/promote", json={"reason": "better"}).json()
    assert (decided["serves"], decided["daemon"]) == (["CDC_occupancy"], False)
    last = registry.history(hall.store, "own")[0]
    assert (last.new, last.by.via, last.reason) == (ModelState.IN_SERVICE, "page", "better")
    assert api.get("/api/v1/models/own/outlook", params={"deed": "promote"}).status_code == 422


def test_a_harmed_bundle_is_refused_with_its_reason_before_anything_is_decided(hall: World, api: Api) -> None:
    (hall.config.store.models / "bright" / "model.keras").write_bytes(b"brightnesz")
    for deed in ("promote", "shadow"):
        answer = api.post(f"/api/v1/models/bright/{deed}", json={})
        assert answer.status_code == 422
        assert "model.keras is not the file it was" in answer.json()["detail"]
    assert state_of(hall, "bright") is ModelState.CANDIDATE
    shutil.rmtree(hall.config.store.models / "bright")
    assert "there is no bundle" in api.post("/api/v1/models/bright/promote", json={}).json()["detail"]


def test_who_may_only_look_or_label_decides_nothing(hall: World) -> None:
    class Labelers:
        def whom(self, _request: Request) -> Visitor:
            return Visitor("lea", Role.LABELER, "127.0.0.1")

    with asking(hall, gate=Labelers()) as api:
        number = trainings.ask(hall.store, {"plots": ["x"]}, "ann")
        for path, body in (
            ("models/bright/promote", {}), ("models/dim/retire", {}), ("models/simulated-hall/rollback", {}),
            ("models/bright/shadow", {}), ("trainings", {"plots": ["x"]}),
        ):  # fmt: skip
            assert api.post(f"/api/v1/{path}", json=body).status_code == 403
        for path in ("models/bright/enter", f"trainings/{number}/stop", f"trainings/{number}/resume"):
            assert api.post(f"/api/v1/{path}").status_code == 403
        page = api.get("/library").text
        assert "data-deed" not in page
        assert "train-form" not in page
        assert api.get(f"/api/v1/trainings/{number}").json()["log"] == []


def test_only_reports_leave_a_bundles_folder(api: Api) -> None:
    for path in (
        "model.keras", "bundle.json", "..%2f..%2fhydra.toml", "%2e%2e/report.html", "report.html%00", "REPORT.html",
    ):  # fmt: skip
        assert api.get(f"/library/simulated-hall/{path}").status_code in {404, 422}
    assert api.get("/library/bright/report.html").status_code == 404
    whole = api.get("/library/simulated-hall/report.html")
    assert whole.text.lower().startswith("<!doctype html>")
    policy = whole.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "script-src" not in policy


def test_a_training_that_cannot_be_is_refused_at_once(hall: World, api: Api, tmp_path: Path) -> None:
    records = season(tmp_path / "seen", runs=1, good=2, bad=1, plots=("CDC_x",))
    records += season(tmp_path / "seen", runs=1, good=2, bad=0, plots=("one",))
    brought(hall.store, hall.config.store.images, records, MEANINGS)
    for wish, says in (
        ({"plots": ["CDC_time"]}, "nobody has labelled an image of CDC_time"),
        ({"plots": ["one"]}, "at least two labels"),
        ({"plots": ["CDC_x"], "parent": "nobody"}, "no bundle 'nobody'"),
        ({"plots": ["CDC_x"], "id": "bright"}, "a model 'bright' already"),
        ({"plots": ["CDC_x"], "architecture": "x.keras"}, "architecture"),
        ({"plots": ["CDC_x"], "id": "../x"}, "id"),
        ({"plots": []}, "plots"),
        ({"plots": ["CDC_x"], "good_share": 0}, "good_share"),
        ({"plots": ["CDC_x"], "threads": 64}, "threads"),
    ):
        answer = api.post("/api/v1/trainings", json=wish)
        assert answer.status_code == 422, wish
        assert says in json.dumps(answer.json(), ensure_ascii=False)
    assert trainings.trainings(hall.store) == []


def test_a_training_waits_is_withdrawn_and_waits_again(hall: World, api: Api, tmp_path: Path) -> None:
    records = season(tmp_path / "seen", runs=1, good=2, bad=1)
    brought(hall.store, hall.config.store.images, records, MEANINGS)
    asked = api.post("/api/v1/trainings", json={"plots": ["CDC_x"], "epochs": 2, "emulate": False})
    assert asked.status_code == 201
    number = asked.json()["number"]
    assert trainings.training(hall.store, number).settings == {"plots": ["CDC_x"], "epochs": 2, "emulate": []}
    assert api.post(f"/api/v1/trainings/{number}/resume").status_code == 422
    assert api.post(f"/api/v1/trainings/{number}/stop").json()["state"] == "stopped"
    assert api.post(f"/api/v1/trainings/{number}/stop").status_code == 422
    assert api.post(f"/api/v1/trainings/{number}/resume").json()["state"] == "queued"
    assert api.get("/api/v1/trainings/999").status_code == 404
    with hall.store.writing() as connection:  # as another version of this program would have left it
        connection.exec_driver_sql("UPDATE trainings SET progress = '{\"curve\": 5}', settings = '{\"plots\": 7}'")
    assert api.get("/api/v1/trainings").json()["trainings"][0]["progress"]["curve"] == []


def test_a_server_that_cannot_quantize_says_so_at_once(hall: World, api: Api, tmp_path: Path) -> None:
    brought(hall.store, hall.config.store.images, season(tmp_path / "seen", runs=1, good=2, bad=1), MEANINGS)
    answer = api.post("/api/v1/trainings", json={"plots": ["CDC_x"], "int8": True})
    if find_spec("nncf") is None:
        assert answer.status_code == 422
        assert "NNCF is not installed" in answer.text
        assert trainings.trainings(hall.store) == []
    else:
        assert answer.status_code == 201
    assert api.post("/api/v1/trainings", json={"plots": ["CDC_x"], "int8": False}).status_code == 201
    assert trainings.trainings(hall.store)[0].settings == {"plots": ["CDC_x"], "int8": False}


# ---- the page ----


@pytest.mark.browser
def test_models_are_seen_side_by_side_and_decided_about_without_a_reload(hall: World, chromium: Browser) -> None:
    with Pages(hall.settings) as pages, looking(chromium, pages.address) as page:
        page.goto("/library")
        page.evaluate("window.stayed = true")
        expect(page.locator("[data-model]")).to_have_count(3)
        matrix = page.locator(f"{card('simulated-hall')} .confusion")
        expect(matrix.locator("td.right .count").nth(1)).to_have_text("4391")
        assert matrix.locator("svg.bars").count() == 5

        page.click(f'{card("bright")} [data-deed="promote"]')
        expect(page.locator("#decision-outlook")).to_contain_text("bright: candidate → in service")
        expect(page.locator("#decision-outlook")).to_contain_text("No daemon is running")
        page.keyboard.press("Escape")
        do(page, "bright", "promote", "Put into service", "for the run")
        expect(page.locator(f"{card('bright')} .place")).to_contain_text("in service")
        expect(page.locator(f"{card('bright')} [data-answer]")).to_contain_text("No daemon is running")
        assert state_of(hall, "bright") is ModelState.IN_SERVICE

        do(page, "bright", "rollback", "Undo the promotion")
        expect(page.locator(f"{card('bright')} .place")).to_contain_text("candidate")
        page.click(f"{card('bright')} summary:has-text('Decisions')")
        expect(page.locator(f"{card('bright')} .history")).to_contain_text("for the run")

        place = next(one for one in registry.places(hall.store) if one.id == "dim")
        registry.refuse(hall.store, place, "its golden outputs are others here", Who("hydrad", "counting-1", "daemon"))
        expect(page.locator(f"{card('dim')} [data-answer]")).to_contain_text("its golden outputs are others here")

        (hall.config.store.models / "bright" / "model.keras").write_bytes(b"brightnesz")
        page.click(f'{card("bright")} [data-deed="promote"]')
        page.click("#decision-do")
        expect(page.locator("#decision-refused")).to_contain_text("model.keras is not the file it was")
        page.click("#decision button[value=leave]")

        page.select_option("#filter select", "FCAL")
        expect(page.locator("[data-model]")).to_have_count(2)
        assert "detector=FCAL" in page.url
        assert page.evaluate("window.stayed")


@pytest.mark.browser
@pytest.mark.keras
@pytest.mark.timeout(300)
def test_a_model_is_trained_from_the_page_promoted_and_rolled_back(
    hall: World, chromium: Browser, tmp_path: Path
) -> None:
    records = season(tmp_path / "seen", runs=4, good=5, bad=4)
    brought(hall.store, hall.config.store.images, records, MEANINGS)
    with Pages(hall.settings) as pages, looking(chromium, pages.address) as page:
        page.set_default_timeout(120_000)
        page.goto("/library")
        page.evaluate("window.stayed = true")
        page.click("#train-open")
        expect(page.locator('[data-plot="CDC_time"]')).to_contain_text("ignored: nobody has labelled an image")
        expect(page.locator("#train-go")).to_be_disabled()
        page.check('input[value="CDC_x"]')
        expect(page.locator("#train-tells")).to_contain_text("1 plot: 20 Good · 16 Bad")
        page.fill("#train-id", "from-the-page")
        page.fill("#train-epochs", "6")
        page.click("#train-go")
        line = page.locator("[data-training]").first
        expect(line.locator(".facts-now")).to_contain_text("of 6", timeout=120_000)
        expect(line.locator(".run")).to_contain_text("done", timeout=120_000)
        expect(page.locator(card("from-the-page"))).to_be_visible(timeout=20_000)
        expect(page.locator(f"{card('from-the-page')} .place")).to_contain_text("candidate")
        assert trainings.trainings(hall.store)[0].state is TrainingState.DONE

        line.locator('[data-does="promote"]').click()
        expect(page.locator("#decision-do")).to_be_enabled()
        page.click("#decision-do")
        expect(page.locator(f"{card('from-the-page')} .place")).to_contain_text("in service")
        expect(page.locator(f"{card('from-the-page')} [data-answer]")).to_contain_text("No daemon is running")
        do(page, "from-the-page", "rollback", "Undo the promotion", "only a trial")
        expect(page.locator(f"{card('from-the-page')} .place")).to_contain_text("candidate")
        assert page.evaluate("window.stayed")
        until(lambda: not list((hall.config.store.models / ".trainings").iterdir()), 60)

        page.goto("/library/from-the-page")
        expect(page.locator("#mistaken, #reached").first).to_be_visible()
        with page.context.expect_page() as opened:
            page.click('a:has-text("on images that were taken")')
        assert "report.html" in opened.value.url


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "width", "height"), [("light", 390, 844), ("dark", 1366, 768)])
def test_everybody_can_use_it_on_every_screen(
    hall: World, chromium: Browser, tmp_path: Path, scheme: str, width: int, height: int
) -> None:
    brought(hall.store, hall.config.store.images, season(tmp_path / "seen", runs=1, good=2, bad=1), MEANINGS)
    number = trainings.begin(hall.store, {"id": "x", "plots": ["CDC_x"]}, "ann", host="elsewhere", pid=1)
    trainings.tell(
        hall.store, number, {"stage": "learning", "done": 0.4, "epoch": 2, "epochs": 5, "loss": 0.3,
                             "curve": [[1, 0.6, None], [2, 0.3, 0.9]]},
    )  # fmt: skip
    screen = {"width": width, "height": height}
    with (
        Pages(hall.settings) as pages,
        looking(chromium, pages.address, viewport=screen, color_scheme=scheme) as page,
    ):

        def require_usable() -> None:
            assert Axe().run(page).response["violations"] == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width

        page.goto("/library")
        expect(page.locator("svg.spark")).to_have_count(1)
        require_usable()
        inside = "card => [...card.querySelectorAll('table')].every(t => t.offsetWidth <= card.clientWidth)"
        assert page.locator("[data-model]").first.evaluate(inside)
        page.click(f'{card("bright")} [data-deed="promote"]')
        expect(page.locator("#decision-do")).to_be_enabled()
        require_usable()
        page.keyboard.press("Escape")
        page.click("#train-open")
        page.check('input[value="CDC_x"]')
        require_usable()
        page.goto("/library/simulated-hall")
        require_usable()


@pytest.mark.browser
def test_int8_is_asked_for_by_a_tick_and_its_cost_is_on_the_models_page(
    hall: World, chromium: Browser, tmp_path: Path
) -> None:
    brought(hall.store, hall.config.store.images, season(tmp_path / "seen", runs=1, good=2, bad=1), MEANINGS)
    settings = hall.settings.with_name("elsewhere.toml")  # of a server that leaves trainings to another
    settings.write_text(hall.settings.read_text().replace("[web]\n", "[web]\ntrains = false\n"))
    with Pages(settings) as pages, looking(chromium, pages.address) as page:
        page.goto("/library")
        page.click("#train-open")
        page.check('input[value="CDC_x"]')
        expect(page.locator("#train-int8")).not_to_be_checked()
        page.check("#train-int8")
        page.click("#train-go")
        expect(page.locator("[data-training]")).to_have_count(1)
        assert trainings.trainings(hall.store)[0].settings["int8"] is True

        page.goto("/library/simulated-hall")
        row = page.locator('#shown tr:has(th:text-is("bfloat16"))')
        expect(row).to_contain_text("4 of 10,837")
        expect(row.locator("td").last).to_have_text("no")


@pytest.mark.browser
def test_the_list_of_trainings_says_why_one_failed(hall: World, chromium: Browser) -> None:
    number = trainings.ask(hall.store, {"plots": ["CDC_nobody"], "epochs": 2}, "ann")
    with Pages(hall.settings) as pages, looking(chromium, pages.address) as page:
        page.goto("/library")
        line = page.locator(f'[data-training="{number}"]')
        expect(line.locator(".trouble")).to_contain_text("nobody has labelled an image", timeout=60_000)
        line.locator("summary").click()
        expect(line.locator("pre")).to_contain_text("hydrad: PLOT: nobody has labelled an image of 'CDC_nobody'")
        until(lambda: trainings.training(hall.store, number).state is TrainingState.FAILED)
