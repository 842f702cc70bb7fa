"""The threshold editor: what a move would have done is what the rule would have said, on the page as on the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Pages, looking, until
from httpx import Client
from playwright.sync_api import Browser, Page, expect
from store_world import leave
from web_world import MEANINGS, Seen, World, world

from hydrad.domain import Beam, BeamState, Change, Meaning, Prediction, Rules, Status
from hydrad.store.labels import marking
from hydrad.store.labels.defining import Hand
from hydrad.store.labels.marking import Mark
from hydrad.store.packing import Parcel
from hydrad.verdict import Standing, judge

PLOT = "CDC_occupancy"
MANY = "CDC_time"
API = f"/api/v1/plots/{PLOT}"
DESK = {"width": 1366, "height": 900}
PHONE = {"width": 390, "height": 844}
OWN = {"Good": 0.5, "Bad": 0.99, "NoData": 0.5}  # of the model that serves
FAULTY = {"Bad", "NoData"}
RAISED = {Status.BAD, Status.NODATA}

# Label, confidence, and what people said: two streaks of faults, one of them wrongly called one.
STORY: list[tuple[str, float, str | None]] = [
    ("Good", 0.95, "Good"), ("Good", 0.4, None), ("Bad", 0.80, "Bad"), ("Bad", 0.85, "Bad"), ("Bad", 0.90, None),
    ("Good", 0.97, None), ("Good", 0.98, "Good"), ("Good", 0.93, None), ("Bad", 0.60, "Good"), ("Bad", 0.62, "Good"),
    ("Good", 0.55, "Bad"), ("Good", 0.9, None), ("Good", 0.9, None), ("NoData", 0.99, "NoData"), ("NoData", 0.7, None),
    ("Good", 0.8, None), ("Good", 0.8, None),
]  # fmt: skip


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = world(tmp_path_factory.mktemp("thresholds"))
    with made.store:
        made.serve()
        made.see(*(Seen(PLOT, Status.GOOD, 60.0 * n, label, sure) for n, (label, sure, _) in enumerate(STORY)))
        hand = Hand("anna", "h", "page", datetime.now(UTC))
        verdicts = zip(made.verdicts.values(), STORY, strict=True)
        marks = [Mark(PLOT, one.sha256 or "", said, hand) for one, (*_, said) in verdicts if said is not None]
        marking.give(made.store, marks, lambda _: Meaning.OTHER)
        made.see(Seen(MANY, Status.GOOD, 0.0))
        crowd(made)
        made.beat()
        yield made


def crowd(made: World) -> None:
    """Two thousand images of one plot that nobody drew, with every turn that confidence, novelty and beam can take."""
    rng = np.random.default_rng(20261123)
    pattern = next(one for one in made.verdicts.values() if one.plot == MANY)
    parcels = []
    for n in range(2000):
        label = str(rng.choice(["Good", "Bad", "NoData"], p=[0.6, 0.3, 0.1]))
        verdict = replace(
            pattern,
            key=f"crowd {n}",
            judged_at=datetime.now(UTC) - timedelta(days=10) + timedelta(seconds=300 * n),
            label=label,
            confidence=float(rng.choice([0.5, 0.62, 0.7, 0.9, 0.99, 1.0])) if n % 3 else float(rng.random()),
            novelty=float(rng.random() * 1.1),
            beam=Beam(BeamState(int(rng.choice(3, p=[0.1, 0.85, 0.05])))),
        )
        parcels.append(Parcel(verdict=verdict))
    made.store.put(parcels)


@pytest.fixture(scope="module")
def served(hall: World) -> Iterator[Pages]:
    with Pages(hall.settings) as running:
        yield running


@pytest.fixture
def client(served: Pages) -> Iterator[Client]:
    with Client(base_url=served.address) as asking:
        yield asking


@pytest.fixture(autouse=True)
def as_the_model_has_it(hall: World) -> None:
    """Each test begins with the model's own thresholds."""
    newest = {change.key: change.value for change in hall.store.newest_settings() if change.plot == PLOT}
    for label, value in OWN.items():
        if newest.get(f"threshold.{label}", value) != value:
            by_caput(hall, value, f"threshold.{label}")


def by_caput(hall: World, value: float, key: str = "threshold.Bad", plot: str = PLOT) -> None:
    leave(hall.store, Change(key, value, "shift", "console-2", datetime.now(UTC), "ca", plot))


def moves(hall: World) -> list[Change]:
    return [filed.change for filed in hall.store.settings_after(0)]


def by_hand(hall: World, plot: str, thresholds: Mapping[str, float], **delays: int) -> dict[str, int]:
    """What the rule makes of a plot's images, one after the other."""
    rules = Rules("CDC", thresholds=thresholds, model="m", **delays)
    human = {one.sha256: said for one, (*_, said) in zip(hall.verdicts.values(), STORY, strict=False)}
    counts = dict.fromkeys(
        ("images", "alarms", "images_alarmed", "false", "missed", "confirmed", "unconfirmed", "alarms_false"), 0
    )
    standing, labels = Standing(), None
    for filed in reversed(hall.store.log(plot=plot, limit=10_000)):
        one = filed.verdict
        if one.plot != plot or one.label is None or one.confidence is None:
            continue
        prediction = Prediction("m", {one.label: one.confidence}, MEANINGS, novelty=one.novelty)
        standing = judge(prediction, one.beam, rules, standing, one.judged_at)
        said = human.get(one.sha256 or "") if plot == PLOT else None
        faulty = standing.finding is not None and standing.finding.value in {"bad", "empty"}
        masked = standing.finding is not None and standing.finding.value == "masked"
        sure = one.confidence >= thresholds[one.label]
        counts["images"] += 1
        counts["confirmed" if sure else "unconfirmed"] += 1
        counts["false"] += faulty and said is not None and said not in FAULTY
        counts["missed"] += said in FAULTY and not faulty and not masked
        if standing.earned in RAISED:
            if labels is None:
                labels = []
                counts["alarms"] += 1
            counts["images_alarmed"] += 1
            labels.append(said)
        elif labels is not None:
            counts["alarms_false"] += not FAULTY & set(labels) and any(labels)
            labels = None
    if labels is not None:
        counts["alarms_false"] += not FAULTY & set(labels) and any(labels)
    return counts


TRIALS = [("Bad", 0.99), ("Bad", 0.8), ("Bad", 0.6), ("Bad", 0.0), ("Good", 0.56), ("Good", 1.0), ("NoData", 0.995)]


@pytest.mark.parametrize("plot", [PLOT, MANY])
@pytest.mark.parametrize(("label", "value"), TRIALS)
def test_the_server_counts_what_the_rule_says(hall: World, client: Client, plot: str, label: str, value: float) -> None:
    answer = client.get(f"/api/v1/plots/{plot}/what-if", params={"label": label, "value": value}).json()
    assert answer["now"] == by_hand(hall, plot, OWN)
    assert answer["then"] == by_hand(hall, plot, {**OWN, label: value})
    assert answer["present"] == OWN[label]
    assert len(answer["images"]) == min(60, answer["turned"])


def test_the_images_that_turn_are_named_nearest_first(hall: World, client: Client) -> None:
    answer = client.get(f"{API}/what-if", params={"label": "Bad", "value": 0.7}).json()
    numbers = {filed.id: filed.verdict.confidence for filed in hall.store.log(plot=PLOT, limit=100)}
    assert [numbers[number] for number in answer["images"]] == [0.80, 0.85, 0.90]
    assert client.get(f"{API}/what-if", params={"label": "Nonsense", "value": 0.7}).status_code == 404
    assert client.get(f"{API}/what-if", params={"label": "Bad", "value": "nan"}).status_code == 422


def test_scores_are_sent_with_what_it_takes_to_judge_them(client: Client) -> None:
    scores = client.get(f"{API}/scores").json()
    assert scores["labels"] == ["Good", "Bad", "NoData"]
    assert scores["meanings"] == scores["human_meanings"] == ["good", "bad", "empty"]
    assert scores["thresholds"] == OWN
    assert [scores["labels"][n] for n in scores["label"]] == [label for label, *_ in STORY]
    assert scores["confidence"] == [sure for _, sure, _ in STORY]
    assert [None if n < 0 else scores["labels"][n] for n in scores["human"]] == [said for *_, said in STORY]


# ---- the page ----


def figures(page: Page) -> dict[str, int]:
    rows = page.locator("#outcome tbody tr").evaluate_all(
        "rows => rows.map((row) => [row.dataset.figure, parseInt(row.cells[2].textContent)])"
    )
    return dict(rows)


def ready(page: Page, plot: str = PLOT) -> None:
    page.goto(f"/library/thresholds?plot={plot}")
    expect(page.locator("#loading")).to_be_hidden()
    expect(page.locator("#outcome tbody tr")).to_have_count(7)


@pytest.mark.browser
@pytest.mark.parametrize("plot", [PLOT, MANY])
def test_moving_a_line_shows_at_once_what_the_rule_would_have_said(
    hall: World, served: Pages, chromium: Browser, plot: str
) -> None:
    with looking(chromium, served.address, viewport=DESK) as page:
        ready(page, plot)
        wanted = by_hand(hall, plot, OWN)
        assert figures(page) == {key: value for key, value in wanted.items() if key != "images"}
        tried = dict(OWN)
        for label, value in TRIALS[1:]:
            slider = page.get_by_role("slider", name=f"Threshold of {label}")
            slider.evaluate("(one, to) => { one.value = to; one.dispatchEvent(new Event('input')); }", value)
            tried[label] = value
            wanted = by_hand(hall, plot, tried)
            assert figures(page) == {key: value for key, value in wanted.items() if key != "images"}, tried


@pytest.mark.browser
@pytest.mark.parametrize("delays", [(3, 5, 2, 4), (2, 4, 1, 0), (1, 0, 3, 6)])
def test_windows_count_on_the_page_as_the_rule_counts_them(
    hall: World, served: Pages, chromium: Browser, delays: tuple[int, ...]
) -> None:
    its = dict(zip(("on_delay", "on_window", "off_delay", "off_window"), delays, strict=True))
    for key, value in its.items():
        by_caput(hall, value, key, MANY)
    with looking(chromium, served.address, viewport=DESK) as page:
        ready(page, MANY)
        wanted = by_hand(hall, MANY, OWN, **its)
        assert wanted["alarms"] > 0
        assert figures(page) == {key: value for key, value in wanted.items() if key != "images"}


@pytest.mark.browser
def test_the_images_concerned_are_shown_and_an_applied_move_is_written(
    hall: World, served: Pages, chromium: Browser
) -> None:
    with looking(chromium, served.address, viewport=DESK) as page:
        ready(page)
        panel = page.locator("section[data-label=Bad]")
        panel.get_by_role("spinbutton").fill("0.7")
        expect(page.locator("#turned")).to_contain_text("3 images labelled Bad by the model would be confirmed")
        shown = page.locator("#turned-images li")
        expect(shown).to_have_count(3)
        expect(shown.first).to_contain_text("Bad at 0.800")
        expect(shown.first).to_contain_text("people: Bad")
        until(lambda: shown.first.locator("img").evaluate("image => image.naturalWidth") > 0)
        panel.get_by_placeholder("why").fill("two dead boards came out at 0.8")
        panel.get_by_role("button", name="Apply").click()
        until(lambda: [change.value for change in moves(hall)][-1:] == [0.7])
        change = moves(hall)[-1]
        assert (change.key, change.old, change.via) == ("threshold.Bad", 0.99, "page")
        assert change.reason == "two dead boards came out at 0.8"
        expect(panel).to_contain_text("in force: 0.7")
        first = page.locator("#history tbody tr").first
        expect(first).to_contain_text("two dead boards")
        first.get_by_role("button", name="Revert").click()
        expect(panel).to_contain_text("in force: 0.99")
        assert moves(hall)[-1].value == 0.99


@pytest.mark.browser
def test_a_caput_moves_the_line_on_the_page(hall: World, served: Pages, chromium: Browser) -> None:
    with looking(chromium, served.address, viewport=DESK) as page:
        ready(page)
        panel = page.locator("section[data-label=Bad]")
        by_caput(hall, 0.61)
        expect(panel).to_contain_text("in force: 0.61", timeout=3000)
        expect(panel.locator(".present")).to_have_attribute("x", "608.5")
        wanted = by_hand(hall, PLOT, {**OWN, "Bad": 0.61})
        assert figures(page) == {key: value for key, value in wanted.items() if key != "images"}


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_everybody_can_use_the_editor(served: Pages, chromium: Browser, theme: str, size: Any) -> None:
    with looking(chromium, served.address, viewport=size, color_scheme=theme) as page:
        ready(page)
        page.locator("section[data-label=Bad]").get_by_role("spinbutton").fill("0.61")
        expect(page.locator("#turned-images li")).to_have_count(4)
        assert Axe().run(page).response["violations"] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.browser
def test_without_a_plot_one_is_chosen(served: Pages, chromium: Browser) -> None:
    with looking(chromium, served.address, viewport=DESK) as page:
        page.goto("/library/thresholds")
        page.get_by_role("link", name=MANY).click()
        expect(page.locator("#outcome tbody tr")).to_have_count(7)
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Thresholds of {MANY}")
        assert Axe().run(page).response["violations"] == []
