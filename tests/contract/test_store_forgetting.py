"""What the data base holds once old verdicts were let go: all that something leans on, and nothing else that is old."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import Database
from sqlalchemy import event, func, select, update
from store_world import entry_of, picture_of, verdict_of

from hydrad.config import Saving
from hydrad.domain import Outcome, Status, Verdict
from hydrad.saving import Sampling
from hydrad.store import forgetting
from hydrad.store.columns import digest
from hydrad.store.forgetting import Forgetting, Forgotten
from hydrad.store.images import ImageFolder
from hydrad.store.outbox.delivery import Delivery
from hydrad.store.outbox.journal import Journal
from hydrad.store.packing import ImageFacts, Opinion, Parcel
from hydrad.store.purging import Purge
from hydrad.store.queries import Store
from hydrad.store.tables import episodes, files, hours, images, labels, shadows, verdicts
from hydrad.upkeep import Upkeep

GOOD = {"status": Status.GOOD, "label": "Good", "confidence": 0.98, "confirmed": True, "novelty": 0.3}
PLOT = "CDC_occupancy"
ON_ONE_KIND = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)  # a rule, the same on every kind


def later(seconds: float) -> datetime:
    """So long after a morning long gone, whatever the clock of this host says."""
    return datetime(2020, 3, 2, 7, 1, 2, 500001, tzinfo=UTC) + timedelta(seconds=seconds)


LIMIT = later(3600)


def judged(n: float, plot: str = PLOT, **words: Any) -> Parcel:
    """An image judged n seconds after the morning; it is well unless words say otherwise."""
    picture = picture_of(f"{plot} {n}")
    verdict = verdict_of(plot, later(n), sha256=picture.sha256, path=f"/data/{plot}_{n}.png", **(GOOD | words))
    return Parcel(entry_of(verdict), verdict, ImageFacts(len(picture.data), "png", 8, 6, sampled=False))


def of(parcel: Parcel) -> Verdict:
    assert parcel.verdict is not None
    return parcel.verdict


def put(store: Store, *parcels: Parcel) -> None:
    """With the bytes of their images gone, as the purge of images leaves them after a day."""
    store.put(parcels)
    with store.writing() as connection:
        connection.execute(update(images).values(kept=False))


def newest(store: Store, *names: str) -> None:
    """A young image of each of these plots, so that none of the older verdicts is what holds."""
    put(store, *(judged(7000 + n, name) for n, name in enumerate(names)))


def forget(store: Store, *, on_disk: Iterable[str] = (), limit: datetime = LIMIT) -> Forgotten:
    there = set(on_disk)
    return sum(Forgetting(store, there.__contains__).round(limit, whole=True), Forgotten())


def count(store: Store, table: Any) -> int:
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def keys(store: Store) -> set[str]:
    with store.reading() as connection:
        return set(connection.scalars(select(verdicts.c.verdict_key)))


def outcomes(store: Store) -> dict[str, int]:
    return {outcome.value: number for outcome, number in store.ledger_counts().items() if number}


def test_an_old_verdict_goes_with_its_files_its_image_and_what_shadows_said(store: Store) -> None:
    parcel = judged(1)
    put(store, parcel, Parcel(opinion=Opinion(of(parcel).key, "cdc-8", "Bad", 0.9, {"Bad": 0.9}, confirmed=True)))
    newest(store, PLOT)
    assert forget(store) == Forgotten(1, 1, 1)
    assert of(parcel).key not in keys(store)
    assert [count(store, table) for table in (verdicts, files, images, shadows)] == [1, 1, 1, 0]
    assert forget(store) == Forgotten()


@ON_ONE_KIND
def test_what_was_counted_of_it_stays_counted(store: Store) -> None:
    put(store, judged(1), judged(2))
    newest(store, PLOT)
    counted = count(store, hours)
    assert forget(store).verdicts == 2
    assert outcomes(store) == {"judged": 3}
    assert count(store, hours) == counted
    with store.reading() as connection:
        assert connection.scalar(select(func.sum(hours.c.images))) == 3


@ON_ONE_KIND
def test_what_is_young_stays(store: Store) -> None:
    put(store, judged(1), judged(2))
    newest(store, PLOT)
    assert forget(store, limit=later(2)).verdicts == 1
    assert count(store, verdicts) == 2


@ON_ONE_KIND
def test_what_holds_at_present_stays_however_old_it_is(store: Store) -> None:
    put(store, judged(1), judged(2, "CDC_other"), judged(3))
    newest(store, "FDC_hits")
    assert forget(store).verdicts == 1
    assert {standing.plot for standing in store.standings()} == {PLOT, "CDC_other", "FDC_hits"}


def test_an_episode_keeps_where_it_begins_where_it_ends_and_its_worst(store: Store) -> None:
    bad = [judged(n, status=Status.BAD, label="Bad", confidence=0.9) for n in (10, 20, 30, 40)]
    suspect = [judged(n, status=Status.SUSPECT, label="Bad", confidence=0.5) for n in (5, 50)]
    put(store, judged(1), *suspect[:1], *bad, *suspect[1:], judged(60))
    newest(store, PLOT)
    with store.reading() as connection:
        before = connection.execute(select(episodes)).all()
    assert len(before) == 1
    forgotten = forget(store)
    with store.reading() as connection:
        assert connection.execute(select(episodes)).all() == before
        leaned = {before[0].first_verdict_id, before[0].last_verdict_id, before[0].worst_verdict_id}
        left = set(connection.scalars(select(verdicts.c.id)))
    assert leaned < left
    assert len(left) == len(leaned) + 1
    assert forgotten.verdicts == 8 - len(leaned)


@ON_ONE_KIND
@pytest.mark.parametrize("words", [{"kept": True}, {"label": "Good"}])
def test_a_verdict_stays_as_long_as_its_image_does(store: Store, words: dict[str, Any]) -> None:
    parcel = judged(1)
    put(store, parcel, judged(2))
    newest(store, PLOT)
    with store.writing() as connection:
        label_id = connection.scalar(select(labels.c.id).where(labels.c.digest == digest("Good")))
        values = {"kept": True} if "kept" in words else {"label_id": label_id}
        connection.execute(update(images).where(images.c.sha256 == of(parcel).sha256).values(**values))
    assert forget(store).verdicts == 1
    assert of(parcel).key in keys(store)
    assert store.log(plot=PLOT)[-1].verdict.key == of(parcel).key


def test_a_file_that_is_still_on_disk_keeps_its_row_until_it_is_gone(store: Store) -> None:
    parcel = judged(1)
    path = str(of(parcel).path)
    put(store, parcel)
    newest(store, PLOT)
    assert forget(store, on_disk=[path]) == Forgotten(1, 0, 1)
    (entry,) = store.ledger_files(path=path)
    assert (entry.outcome, entry.reason) == (Outcome.JUDGED, of(parcel).reason)
    assert forget(store) == Forgotten(files=1)
    assert not list(store.ledger_files(path=path))


@ON_ONE_KIND
def test_a_rejected_file_is_forgotten_once_it_is_gone(store: Store) -> None:
    path = "/data/torn.png"
    rejected = entry_of(verdict_of(at=later(5)), Outcome.REJECTED, path=path, plot=None, sha256=None)
    put(store, Parcel(rejected), judged(6))
    newest(store, PLOT)
    assert forget(store, on_disk=[path]).files == 1
    assert forget(store).files == 1
    assert outcomes(store) == {"judged": 2, "rejected": 1}


@ON_ONE_KIND
def test_no_number_is_given_twice(store: Store) -> None:
    put(store, judged(5), judged(9, superseded=True))
    with store.reading() as connection:
        last = connection.scalar(select(func.max(verdicts.c.id)))
    forget(store)
    put(store, judged(10))
    with store.reading() as connection:
        assert connection.scalar(select(func.max(verdicts.c.id))) > last


@ON_ONE_KIND
def test_a_round_goes_on_where_the_last_one_ended_and_takes_few_rows_at_a_time(
    store: Store, monkeypatch: pytest.MonkeyPatch, statements: list[str]
) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 10)
    put(store, *(judged(n) for n in range(45)))
    newest(store, PLOT)
    rounds = Forgetting(store, lambda _: False)
    steps = list(rounds.round(LIMIT, whole=True))
    assert sum(steps, Forgotten()).verdicts == 45
    assert max(step.verdicts for step in steps) == 10
    del statements[:]
    assert sum(rounds.round(LIMIT, whole=False), Forgotten()) == Forgotten()
    assert len(statements) <= 6


def test_a_reader_and_a_writer_come_through_between_any_two_steps(
    database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 200)
    put(store, *(judged(n, f"CDC_{n % 7}") for n in range(1000)))
    newest(store, *(f"CDC_{n}" for n in range(7)))
    wanted, came_through, over = threading.Semaphore(0), threading.Semaphore(0), threading.Event()

    def work() -> None:
        with Store(database.url) as other:
            for n in range(1_000_000):
                wanted.acquire()
                if over.is_set():
                    return
                other.put([judged(8000 + n, "FDC_hits")])
                assert other.log(plot="FDC_hits", limit=1)
                came_through.release()

    thread = threading.Thread(target=work)
    thread.start()
    forgotten = Forgotten()
    try:
        for step in Forgetting(store, lambda _: False).round(LIMIT, whole=True):
            forgotten += step
            wanted.release()
            assert came_through.acquire(timeout=30)  # what a step holds, it has let go when it returns
    finally:
        over.set()
        wanted.release()
        thread.join()
    assert forgotten.verdicts == 1000


@pytest.mark.mariadb
@pytest.mark.parametrize("database_kind", ["mariadb"], indirect=True)  # an embedded one shows a reader one moment
def test_a_reader_of_the_log_does_not_stumble_over_what_goes_just_then(store: Store, database: Database) -> None:
    put(store, *(judged(n) for n in range(10)))
    newest(store, PLOT)

    due = [True]

    def gone(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if due and "verdict_key" in statement:  # its number is known, and now it is to be read
            due.clear()
            with Store(database.url) as other:
                assert forget(other).verdicts == 10

    event.listen(store._engine, "before_cursor_execute", gone)
    assert [filed.verdict.judged_at for filed in store.log(plot=PLOT)] == [later(7000)]
    assert not due


@ON_ONE_KIND
def test_whether_something_leans_on_a_verdict_is_answered_from_an_index(store: Store) -> None:
    """On a server by its own foreign keys."""
    with store.reading() as connection:
        for table, column in (
            ("files", "verdict_id"), ("standings", "verdict_id"), ("shadows", "verdict_id"),
            ("episodes", "first_verdict_id"), ("episodes", "last_verdict_id"), ("episodes", "worst_verdict_id"),
            ("logbook_entries", "verdict_id"), ("verdicts", "image_id"), ("labellings", "image_id"),
        ):  # fmt: skip
            query = f"EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {column} = 1"  # noqa: S608  names of ours
            plan = connection.exec_driver_sql(query).all()
            assert all("USING" in str(line) and "INDEX" in str(line) for line in plan), plan


async def delivered(journal: Journal, store: Store) -> None:
    with Delivery(journal, store) as delivery:
        await delivery._deliver()


def keeper(store: Store, journal: Journal, folder: Path, days: float) -> Upkeep:
    return Upkeep(
        labels=dict,
        sampling=Sampling(Saving()),
        purge=Purge(store, ImageFolder(folder)),
        forgetting=Forgetting(store, lambda path: journal.seen(path) is not None),
        deliveries=journal,
        keep_all_h=24,
        keep_verdicts_d=days,
    )


@pytest.mark.parametrize(("days", "left"), [(0, 3), (30, 2), (300, 3)])
@ON_ONE_KIND
async def test_verdicts_stay_for_as_many_days_as_the_hall_says(
    store: Store, tmp_path: Path, days: float, left: int
) -> None:
    now = datetime.now(UTC)
    with Journal(tmp_path / "journal.db", tmp_path / "images", lambda _: False) as journal:
        for ago in (200, 20, 0):
            verdict = verdict_of(PLOT, now - timedelta(days=ago), path=f"/data/{ago}.png", sha256=None, **GOOD)
            await journal.record(entry_of(verdict), verdict, None, None)
        await journal.forget(["/data/200.png", "/data/20.png"])
        await delivered(journal, store)
        with keeper(store, journal, tmp_path / "images", days) as upkeep:
            await upkeep.round()
    assert count(store, verdicts) == count(store, files) == left


@ON_ONE_KIND
async def test_what_the_journal_has_seen_and_is_on_disk_is_never_seen_anew(store: Store, tmp_path: Path) -> None:
    """The ledger forgets the verdict; the journal goes on knowing the file, and so does the file's own row."""
    long_ago = datetime.now(UTC) - timedelta(days=200)
    with Journal(tmp_path / "journal.db", tmp_path / "images", lambda _: False) as journal:
        paths: Sequence[str] = [f"/data/{n}.png" for n in range(5)]
        for n, path in enumerate(paths):
            verdict = verdict_of(PLOT, long_ago + timedelta(minutes=n), path=path, sha256=None, **GOOD)
            await journal.record(entry_of(verdict), verdict, None, None)
        await delivered(journal, store)
        await journal.forget(paths[:2])
        with keeper(store, journal, tmp_path / "images", 30) as upkeep:
            await upkeep.round()
        assert count(store, verdicts) == 1  # what holds
        assert {entry.path for entry in store.ledger_files()} == set(paths[2:])
        assert [journal.seen(path) is not None for path in paths] == [False, False, True, True, True]
