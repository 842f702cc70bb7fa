"""Which images come next to be labelled, which plots want labels, and who gave them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, update
from store_world import MORNING, entry_of, later, picture_of, verdict_of

from hydrad.domain import Meaning, Severity, Status, Verdict
from hydrad.store.labels import needs, sheets
from hydrad.store.labels.defining import Hand, define
from hydrad.store.labels.marking import Mark, give
from hydrad.store.labels.needs import Leader, Leaders, Thanks
from hydrad.store.labels.sheets import Sought, Why
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.queries import Store
from hydrad.store.tables import images

FACTS = ImageFacts(size=5000, format="png", width=640, height=480)
PLOT = "CDC_occupancy"
SURE = {"Good": 0.97, "Bad": 0.02, "NoData": 0.01}


def by_name(label: str) -> Meaning:
    return {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY}.get(label, Meaning.OTHER)


def judged(n: int, label: str = "Good", confidence: float = 0.97, plot: str = PLOT, **words: object) -> Verdict:
    """What a model said of the image taken so many seconds after MORNING."""
    second = 1 - confidence if confidence < 0.9 else (1 - confidence) / 2
    scores = {name: second for name in SURE if name != label} | {label: confidence}
    status = Status.GOOD if label == "Good" else Status.BAD
    verdict = verdict_of(
        plot,
        later(n),
        severity=status.severity,
        sha256=picture_of(f"{plot} {n}").sha256,
        label=label,
        confidence=confidence,
        scores=scores,
        status=status,
        path=f"/data/{plot}_{n:04}.png",
        taken_at=later(n),
        confirmed=confidence >= 0.65,
    )
    return replace(verdict, **words)  # type: ignore[arg-type]  # whatever a test changes of it


def put(store: Store, found: Sequence[Verdict]) -> None:
    store.put([Parcel(entry=entry_of(one), verdict=one, image=FACTS) for one in found])


def hand(person: str = "otto", seconds: float = 5000, via: str = "page") -> Hand:
    return Hand(person, "counting-3", via, later(seconds))


def mark(store: Store, found: Sequence[Verdict], label: str | None, who: Hand | None = None) -> None:
    give(store, [Mark(one.plot, one.sha256 or "", label, who or hand()) for one in found], by_name)


def shas(found: Sequence[Verdict]) -> list[str | None]:
    return [one.sha256 for one in found]


# ---- what comes next ----


def test_the_novel_the_doubted_and_the_bad_take_turns_before_a_spread_of_the_rest(store: Store) -> None:
    rest = [judged(n) for n in range(8)]
    doubts = [judged(20, "Bad", 0.6), judged(21, "Good", 0.52)]
    bad = [judged(30, "Bad", 0.98), judged(31, "NoData", 0.99, status=Status.NODATA)]
    novel = [judged(40, novelty=1.4), judged(41, novelty=2.4)]
    put(store, rest + doubts + bad + novel)
    found = sheets.unlabelled(store, PLOT, limit=100)
    expected = [novel[1], doubts[1], bad[0], novel[0], doubts[0], bad[1]]
    assert [tile.sha256 for tile in found.tiles[:6]] == shas(expected)
    assert [tile.why for tile in found.tiles[:6]] == [Why.NOVEL, Why.DOUBTED, Why.FAULTY] * 2
    assert [tile.sha256 for tile in found.tiles[6:]] == shas([rest[n] for n in (0, 4, 2, 6, 1, 5, 3, 7)])
    assert not found.more


def test_a_tile_tells_all_that_its_image_and_its_newest_verdict_say(store: Store) -> None:
    first = judged(0, "Bad", 0.6)
    put(store, [first])
    put(store, [replace(judged(0, "Good", 0.58), key=uuid.uuid4().hex, judged_at=later(9), model="cdc-8")])
    (tile,) = sheets.unlabelled(store, PLOT, limit=5).tiles
    assert (tile.run, tile.chunk, tile.taken_at, tile.width, tile.height) == (111652, 3, later(0), 640, 480)
    assert tile.said is not None
    assert (tile.said.model, tile.said.label, tile.said.confirmed) == ("cdc-8", "Good", False)
    assert tile.said.margin == pytest.approx(0.16)
    assert (tile.label, tile.by, tile.at) == (None, "", None)


def test_without_beam_nothing_is_faulty_and_without_a_model_nothing_is_said(store: Store) -> None:
    put(store, [judged(0, "NoData", 0.99, status=Status.NOBEAM)])
    none = replace(judged(1), status=Status.NOMODEL, model=None, label=None, confidence=None, scores={}, meanings={})
    put(store, [replace(none, confirmed=False)])
    whys = {tile.sha256: tile.why for tile in sheets.unlabelled(store, PLOT, limit=9).tiles}
    assert whys == {picture_of(f"{PLOT} 0").sha256: Why.SPREAD, picture_of(f"{PLOT} 1").sha256: Why.UNJUDGED}


def test_only_kept_images_of_this_plot_that_nobody_has_labelled_come(store: Store) -> None:
    found = [judged(n) for n in range(4)]
    put(store, [*found, judged(9, plot="FDC_b")])
    mark(store, found[:1], "Good")
    with store.writing() as connection:
        connection.execute(update(images).where(images.c.sha256 == found[1].sha256).values(kept=False))
    assert {tile.sha256 for tile in sheets.unlabelled(store, PLOT, limit=9).tiles} == set(shas(found[2:]))
    mark(store, found[:1], None)
    assert len(sheets.unlabelled(store, PLOT, limit=9).tiles) == 3
    assert sheets.unlabelled(store, "nobody's", limit=9).tiles == []


def test_sheets_follow_each_other_without_gap_or_repetition(store: Store) -> None:
    put(store, [judged(n, confidence=0.5 + n / 100) for n in range(25)])
    whole = sheets.unlabelled(store, PLOT, limit=100).tiles
    parts = [sheets.unlabelled(store, PLOT, limit=10, skip=skip) for skip in (0, 10, 20, 30)]
    assert [tile for part in parts for tile in part.tiles] == whole
    assert [part.more for part in parts] == [True, True, False, False]


def test_of_very_many_images_the_newest_are_looked_at_some_older_ones_and_all_that_tell_of_something(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "NEWEST", 20)
    monkeypatch.setattr(sheets, "OLDER", 3)
    monkeypatch.setattr(sheets, "EACH", 4)
    monkeypatch.setattr(sheets, "AT_ONCE", 7)
    found = [judged(n) for n in range(100)]
    found[33] = judged(33, "Bad", 0.55, status=Status.SUSPECT, severity=Severity.MINOR)
    found[44] = judged(44, novelty=1.7, status=Status.UNFAMILIAR, severity=Severity.MINOR)
    put(store, found)
    tiles = sheets.unlabelled(store, PLOT, limit=1000).tiles
    numbers = {int((tile.taken_at - MORNING).total_seconds()) for tile in tiles if tile.taken_at}
    assert numbers == {*range(80, 100), 33, 44, *range(4), *range(27, 31), *range(54, 58)}
    assert [tile.why for tile in tiles[:3]] == [Why.NOVEL, Why.DOUBTED, Why.SPREAD]


def test_an_index_alone_tells_which_images_are_the_newest(tmp_path: Path) -> None:
    asked: list[tuple[str, object]] = []
    with Store(f"sqlite:///{tmp_path}/hydra.db") as embedded:
        put(embedded, [judged(n) for n in range(3)])
        event.listen(embedded._engine, "before_cursor_execute", lambda *seen: asked.append(seen[2:4]))
        sheets.unlabelled(embedded, PLOT, limit=10)
        statement, values = next(one for one in asked if "FROM images" in one[0])
        with embedded.reading() as connection:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    index = "ix_images_plot_id_label_id_kept_taken_at"
    assert [row.detail for row in rows] == [
        f"SEARCH images USING COVERING INDEX {index} (plot_id=? AND label_id=? AND kept=?)"
    ]


@given(st.integers(0, 300))
def test_every_beginning_of_a_spread_reaches_over_the_whole(count: int) -> None:
    order = sheets.spread(range(count))
    assert sorted(order) == list(range(count))
    for size in (4, 16, 64):
        if count >= 4 * size:
            widest = max(b - a for a, b in zip(sorted(order[:size]), sorted(order[:size])[1:], strict=False))
            assert widest <= 2 * count / size + 2


# ---- labelled ones, to be looked at again ----


@pytest.fixture
def edited(store: Store) -> list[Verdict]:
    """Four labelled images, of which the model, sure of itself, calls the third something else; one without label."""
    found = [judged(0), judged(1, run=7), judged(2, "Bad", 0.98), judged(3, "Bad", 0.6), judged(4)]
    put(store, found)
    mark(store, found[:1], "Good", hand("anna", 6000))
    mark(store, found[1:2], "Bad", hand("otto", 6001))
    mark(store, found[1:2], "Good", hand("anna", 6002))
    mark(store, found[2:4], "Good", hand("otto", 6003))
    return found


def test_labelled_images_are_found_by_label_person_time_run_and_dispute(store: Store, edited: list[Verdict]) -> None:
    for sought, expected in (
        (Sought(), [3, 2, 1, 0]),
        (Sought(image=edited[1].sha256), [1]),
        (Sought(image=edited[4].sha256), []),
        (Sought(label="Good"), [3, 2, 1, 0]),
        (Sought(label="Bad"), []),
        (Sought(by="anna"), [1, 0]),
        (Sought(by="otto"), [3, 2]),
        (Sought(since=later(6001)), [3, 2, 1]),
        (Sought(until=later(6002)), [0]),
        (Sought(run=7), [1]),
        (Sought(disputed=True), [2]),
        (Sought(label="Good", by="otto", disputed=True), [2]),
        (Sought(by="nobody"), []),
    ):
        found = sheets.labelled(store, PLOT, sought, limit=10)
        assert [tile.sha256 for tile in found.tiles] == shas([edited[n] for n in expected]), sought


def test_a_labelled_tile_tells_who_said_so_last_and_when(store: Store, edited: list[Verdict]) -> None:
    tiles = {tile.sha256: tile for tile in sheets.labelled(store, PLOT, Sought(), limit=10).tiles}
    tile = tiles[edited[1].sha256 or ""]
    assert (tile.label, tile.by, tile.at, tile.why) == ("Good", "anna", later(6002), Why.LABELLED)
    assert tiles[edited[2].sha256 or ""].why is Why.DISPUTED


# ---- beside it ----


def test_the_reference_is_the_newest_good_one_that_person_and_model_agree_on(store: Store) -> None:
    found = [judged(0), judged(1), judged(2, "Bad", 0.98), judged(3)]
    put(store, found)
    newest = sheets.reference(store, PLOT)
    assert newest is not None  # nobody has labelled any: the model's word counts
    assert (newest.sha256, newest.label) == (found[3].sha256, None)
    mark(store, found[:3], "Good")
    agreed = sheets.reference(store, PLOT)
    assert agreed is not None
    assert (agreed.sha256, agreed.label) == (found[1].sha256, "Good")
    assert sheets.reference(store, "nobody's") is None


def test_where_model_and_person_never_agree_the_persons_word_counts(store: Store) -> None:
    found = [judged(0, "Bad", 0.98)]
    put(store, found)
    assert sheets.reference(store, PLOT) is None
    mark(store, found, "Good")
    shown = sheets.reference(store, PLOT)
    assert shown is not None
    assert shown.sha256 == found[0].sha256


def test_the_palette_counts_each_label_of_this_plot_alone(store: Store) -> None:
    found = [judged(n) for n in range(3)]
    put(store, [*found, other := judged(0, plot="FDC_b")])
    mark(store, found[:2], "Good")
    mark(store, [other], "Good")
    define(store, PLOT, "Cosmic", hand(), by_name, colour="#123456")
    labels = sheets.palette(store, PLOT)
    assert {one.name: one.images for one in labels} == {"Good": 2, "Bad": 0, "NoData": 0, "Cosmic": 0}
    assert labels[-1] == sheets.Paint("Cosmic", Meaning.OTHER, "#123456", chosen=True, images=0)


# ---- which plots, and who ----


def test_plots_with_doubts_and_few_labels_come_first_and_those_without_images_last(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "ENOUGH", 5)
    put(store, [judged(n, plot="A_sure") for n in range(3)])
    put(store, [judged(n, "Bad", 0.55, plot="B_unsure", status=Status.SUSPECT) for n in range(9)])
    put(store, [known := judged(0, plot="C_done")])
    mark(store, [known], "Good")
    found = needs.needs(store, later(3600))
    assert [need.plot for need in found] == ["B_unsure", "A_sure", "C_done"]
    assert [need.waiting for need in found] == [5, 3, 0]
    assert [need.unsure for need in found] == [9, 0, 0]
    assert [need.labelled for need in found] == [0, 0, 1]
    assert needs.needs(store, later(3 * 86400))[0].unsure == 0


def test_leaders_are_counted_by_day_week_and_ever_for_a_plot_and_for_all(store: Store) -> None:
    found = [judged(n) for n in range(6)]
    put(store, [*found, other := judged(0, plot="FDC_b")])
    for n, ago in enumerate((0, 2, 6, 7)):
        mark(store, found[n : n + 1], "Good", hand("otto", -86400 * ago))
    mark(store, [found[4], other], "Bad", hand("anna"))
    mark(store, found[4:5], None, hand("anna", 5001))
    mark(store, found[5:], "Good", hand("import", 0, "import"))
    leaders = Leaders(store, UTC)
    today = MORNING.date()
    assert leaders.ask(today) == Thanks([Leader("otto", 1, 3, 4), Leader("anna", 2, 2, 2)], whole=True)
    assert leaders.ask(today, PLOT).leaders == [Leader("otto", 1, 3, 4), Leader("anna", 1, 1, 1)]
    assert leaders.ask(today, "nobody's").leaders == []
    assert [one.today for one in Leaders(store, timezone(timedelta(hours=-8))).ask(today).leaders] == [0, 2]


def test_leaders_count_the_newest_first_and_on_where_they_were_and_never_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "STEP", 6)
    monkeypatch.setattr(needs, "TAIL", 2)
    found = [judged(n) for n in range(26)]
    put(store, found)
    today = (MORNING + timedelta(days=1)).date()
    mark(store, found[:15], "Good", hand(seconds=-86400 * 30))
    leaders = Leaders(store, UTC)
    asked = [leaders.ask(today) for _ in range(4)]
    assert [(one.leaders[0].ever, one.whole) for one in asked] == [(8, False), (14, False), (15, True), (15, True)]
    for n in range(15, 25, 5):
        mark(store, found[n : n + 5], "Good", hand(seconds=n))
        for _ in range(2):
            assert leaders.ask(today) == Thanks([Leader("otto", 0, n - 10, n + 5)], whole=True)
    assert Leaders(store, UTC).ask(today).leaders == [Leader("otto", 0, 8, 8)]  # of this week, so far
