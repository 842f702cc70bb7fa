"""What a reprocessing said: each file once, apart from all that is judged live, and laid beside it."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from databases import Database
from sqlalchemy import func, select
from store_world import MEANINGS, MORNING, entry_of, later, verdict_of

from hydrad.domain import Beam, BeamState, Outcome, Status
from hydrad.errors import ConfigurationError, HydradError
from hydrad.store.backup import restoring, taking
from hydrad.store.backup.archive import Archive
from hydrad.store.labels.defining import Hand
from hydrad.store.labels.marking import Mark, give
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.queries import Store
from hydrad.store.reprocessing import records
from hydrad.store.reprocessing.beside import beside
from hydrad.store.reprocessing.kept import kept_images
from hydrad.store.reprocessing.records import Asked, Rejudged, key_of
from hydrad.store.tables import plots, reprocessed, runs, verdicts

ASKED = Asked("cdc-8", "ab" * 32, "/archive", "rsai, in UTC")
FACTS = ImageFacts(5000, "png", 8, 6, sampled=True)
ON_ONE_KIND = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)  # a rule, the same on every kind
OTTO = Hand("otto", "counting-3", "page", MORNING)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def begun(store: Store, asked: Asked = ASKED, *, again: bool = False) -> int:
    return records.begin(store, asked, files=9, by="otto", host="counting-3", again=again).id


def said(n: int, label: str = "Good", plot: str = "CDC_a", **words: object) -> Rejudged:
    """What is said of the nth file."""
    one = Rejudged(
        plot, f"Run000001/{plot}_{n:04d}.png", Outcome.JUDGED, sha256=sha(f"{plot} {n}"), run=1, taken_at=later(n),
        label=label, confidence=0.9, confirmed=True, scores={label: 0.9}, novelty=0.25,
    )  # fmt: skip
    return replace(one, **words)


def unread(n: int) -> Rejudged:
    return Rejudged("CDC_a", said(n).path, Outcome.PENDING, "Input/output error")


def counts(store: Store, number: int) -> tuple[int, int, int]:
    one = records.one(store, number)
    return one.judged, one.rejected, one.pending


def rows(store: Store) -> list[tuple[str, str | None]]:
    with store.reading() as connection:
        query = select(reprocessed.c.path, reprocessed.c.label).order_by(reprocessed.c.path)
        return [tuple(row) for row in connection.execute(query)]


def test_a_file_is_there_once_however_often_it_is_said(store: Store) -> None:
    number = begun(store)
    records.keep(store, number, [said(1), said(2)])
    records.keep(store, number, [said(2, "Bad"), said(3), said(3)])
    assert rows(store) == [(said(n).path, "Good") for n in (1, 2, 3)]
    assert counts(store, number) == (3, 0, 0)
    keys = [one.key for one in (said(1), said(4))]
    assert records.done(store, number, keys) == {said(1).key}


def test_two_who_do_the_same_at_once_leave_each_file_once(store: Store) -> None:
    number = begun(store)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: records.keep(store, number, [said(n + k) for k in range(8)]), range(24)))
    assert [path for path, _ in rows(store)] == [said(n).path for n in range(31)]
    assert counts(store, number) == (31, 0, 0)


def test_a_file_that_could_not_be_read_is_not_done_until_it_was(store: Store) -> None:
    number = begun(store)
    records.keep(store, number, [unread(1), said(2), said(3, outcome=Outcome.REJECTED, reason="no image", label=None)])
    assert counts(store, number) == (1, 1, 1)
    assert records.done(store, number, [said(n).key for n in (1, 2, 3)]) == {said(2).key, said(3).key}
    records.keep(store, number, [unread(1)])
    assert counts(store, number) == (1, 1, 1)
    records.keep(store, number, [said(1, "Bad")])
    assert counts(store, number) == (2, 1, 0)
    assert (said(1).path, "Bad") in rows(store)
    records.keep(store, number, [unread(1)])
    assert counts(store, number) == (2, 1, 0)


@ON_ONE_KIND
def test_asked_for_again_it_is_gone_on_with_and_another_is_another(store: Store) -> None:
    number = begun(store)
    records.keep(store, number, [said(1)])
    ended = records.end(store, number)
    assert ended.ended_at is not None
    assert begun(store) == number
    assert records.one(store, number).ended_at is None
    others = [
        begun(store, replace(ASKED, **other))
        for other in ({"model": "cdc-9"}, {"model_sha256": "cd" * 32}, {"source": "/b"}, {"names": "plain"})
    ]
    anew = begun(store, again=True)
    assert len({number, anew, *others}) == 6
    assert begun(store) == anew
    assert [one.id for one in records.all_of_them(store)] == sorted({number, anew, *others}, reverse=True)


def test_nothing_of_it_is_seen_where_live_verdicts_are(store: Store) -> None:
    number = begun(store)
    records.keep(store, number, [said(1, "Bad", "A_plot_never_seen"), unread(2)])
    assert store.standings() == []
    assert store.log() == []
    assert list(store.ledger_files()) == []
    assert not any(store.ledger_counts().values())
    with store.reading() as connection:
        assert not any(connection.scalar(select(func.count()).select_from(one)) for one in (plots, runs, verdicts))


@ON_ONE_KIND
def test_forgotten_it_is_gone_and_no_other_with_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "AT_ONCE", 2)
    first, second = begun(store), begun(store, again=True)
    for number in (first, second):
        records.keep(store, number, [said(n) for n in range(5)])
    assert sum(records.forget(store, first)) == 5
    assert [one.id for one in records.all_of_them(store)] == [second]
    assert len(rows(store)) == 5
    with pytest.raises(ConfigurationError, match=f"no reprocessing {first}"):
        list(records.forget(store, first))
    with pytest.raises(HydradError, match="was forgotten while it went on"):
        records.keep(store, first, [said(9)])


@ON_ONE_KIND
def test_names_of_any_bytes_are_told_apart(store: Store) -> None:
    number = begun(store)
    odd = [said(1, path=path) for path in ("a\udcff.png", "a\\udcff.png", "A.png", "a.png", "ä.png", "x" * 5000)]
    records.keep(store, number, odd)
    assert {path for path, _ in rows(store)} == {one.path for one in odd}
    assert key_of("a", "b/c") != key_of("a/b", "c")


@pytest.fixture
def lived(store: Store) -> Store:
    """Five images of one plot were judged live; people have labelled two of them, and one that nobody judged."""
    live = [
        (0, "Good", Status.GOOD, True, BeamState.ON),
        (1, "Good", Status.GOOD, True, BeamState.ON),
        (2, "Bad", Status.BAD, True, BeamState.ON),
        (3, "Bad", Status.NOBEAM, True, BeamState.OFF),
        (4, "NoData", Status.SUSPECT, False, BeamState.ON),
    ]
    parcels = []
    for n, label, status, sure, beam in live:
        for when in (0, 1000):  # judged twice: the newest counts
            before = "Bad" if when == 0 else label
            verdict = verdict_of(
                "CDC_a", later(n + when), sha256=sha(f"CDC_a {n}"), path=f"/live/{n}-{when}.png", label=before,
                status=status, confirmed=sure, confidence=0.8, meanings=MEANINGS, beam=Beam(beam), model="cdc-7",
            )  # fmt: skip
            parcels.append(Parcel(entry_of(verdict), verdict, FACTS))
    store.put(parcels)
    give(store, [Mark("CDC_a", sha("CDC_a 0"), "Good", OTTO), Mark("CDC_a", sha("CDC_a 1"), "Bad", OTTO)], MEANINGS.get)
    return store


def test_it_is_laid_beside_what_served_and_what_people_said(lived: Store) -> None:
    number = begun(lived)
    now = [
        said(0, "Good"),
        said(1, "Bad"),
        said(2, "Good", confidence=0.99),
        said(3, "Bad"),
        said(4, "NoData"),
        said(5, "Bad"),  # nobody ever saw it
        said(0, "Bad", "FDC_b", sha256=sha("CDC_a 0")),  # the same content, of a plot that did not have it
        unread(8),
    ]
    records.keep(lived, number, now)
    found = beside(lived, number, MEANINGS)
    assert (found.images, found.judged_before, found.agreed) == (7, 5, 3)
    assert (found.alarming_to_both, found.alarms_added, found.alarms_missed) == (0, 2, 1)
    assert dict(found.plots) == {
        "CDC_a": {
            ("Good", "Good"): 1, ("Good", "Bad"): 1, ("Bad", "Good"): 1, ("Bad", "Bad"): 1, ("NoData", "NoData"): 1,
        }
    }  # fmt: skip
    assert (found.labelled, found.agreed_with_people) == (2, 2)
    assert dict(found.people) == {"CDC_a": {("Good", "Good"): 1, ("Bad", "Bad"): 1}}
    assert [(one.before, one.now, one.by) for one in found.worst] == [
        ("Bad", "Good", "cdc-7"),
        ("Good", "Bad", "cdc-7"),
    ]
    assert found.refused == {("pending", "Input/output error"): 1}


@ON_ONE_KIND
def test_the_worst_are_those_of_which_both_were_surest_and_people_most(
    lived: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hydrad.store.reprocessing.beside.AT_ONCE", 2)
    monkeypatch.setattr("hydrad.store.reprocessing.beside.WORST", 2)
    number = begun(lived)
    records.keep(
        lived, number,
        [said(0, "NoData", confidence=0.5), said(1, "Good", confidence=0.8), said(2, "Good", confidence=0.99)],
    )  # fmt: skip
    found = beside(lived, number, MEANINGS)
    assert found.images == 3
    assert [(one.by, one.before, one.now) for one in found.worst] == [
        ("people", "Bad", "Good"),
        ("cdc-7", "Bad", "Good"),
    ]


@ON_ONE_KIND
def test_the_images_that_are_kept_are_found_once_for_each_plot(lived: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydrad.store.reprocessing.kept.AT_ONCE", 2)
    found = [(one.plot, one.sha256, one.format) for one in kept_images(lived)]
    assert found == [("CDC_a", sha(f"CDC_a {n}"), "png") for n in range(5)]


def test_a_backup_has_it_too(store: Store, database: Database, tmp_path: Path) -> None:
    number = begun(store)
    records.keep(store, number, [said(1), unread(2)])
    taking.take(database.url, tmp_path / "backup.zip", taking.What())
    list(records.forget(store, number))
    with Archive(tmp_path / "backup.zip") as archive:
        restoring.restore(archive, database.url)
    assert counts(store, number) == (1, 0, 1)
    assert rows(store) == [(said(1).path, "Good"), (unread(2).path, None)]
