"""An older data base in the place of the one that was written: what it lacks is given again, and nothing twice."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from databases import Database
from sqlalchemy import func, select
from store_world import change_of, entry_of, later, leave, picture_of, until, verdict_of

from hydrad.config import Store as StoreSection
from hydrad.domain import Outcome, Status
from hydrad.errors import StoreAway
from hydrad.store.backup import restoring, taking
from hydrad.store.backup.archive import Archive
from hydrad.store.engine import WentBack
from hydrad.store.outbox import given
from hydrad.store.outbox.book import Outgoing, Refusal
from hydrad.store.outbox.delivery import Delivery
from hydrad.store.outbox.journal import Journal
from hydrad.store.packing import Parcel
from hydrad.store.queries import Store
from hydrad.store.tables import episodes, files, hours, settings, verdicts

KEEP_S = 3600.0
FIGURES = {
    "verdicts": select(func.count()).select_from(verdicts),
    "keys": select(func.count(verdicts.c.digest.distinct())),
    "files": select(func.count()).select_from(files),
    "episodes": select(func.count()).select_from(episodes),
    "in episodes": select(func.sum(episodes.c.images)),
    "by the hour": select(func.sum(hours.c.images)),
    "settings": select(func.count()).select_from(settings),
}


@pytest.fixture(autouse=True)
def _few_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given, "TOGETHER", 7)


@contextmanager
def opened(home: Path, keep_s: float = KEEP_S) -> Iterator[Journal]:
    with Journal(home / "journal.db", home / "images", keep_given_s=keep_s) as journal:
        yield journal


async def find(journal: Journal, first: int, last: int) -> None:
    """Images of two plots, some bad, a rejected file and a change by hand."""
    for n in range(first, last):
        for plot in ("CDC_a", "CDC_b"):
            status = Status.BAD if n % 10 in {3, 4} else Status.GOOD
            verdict = verdict_of(plot, later(60 * n), status=status, path=f"/data/{plot}_{n}.png")
            await journal.record(entry_of(verdict), verdict, picture_of(f"{plot}{n}"), None)
    await journal.record(
        entry_of(verdict_of(), Outcome.REJECTED, path=f"/torn/{last}.png", plot=None), None, None, None
    )
    await journal.change(change_of(last / 100, later(60 * last)))


async def deliver(journal: Journal, store: Store) -> None:
    """As a daemon does from its start until nothing waits."""
    with Delivery(journal, store, batch=5) as delivery:
        await delivery._look_for_lost()
        await delivery._deliver()


def figures(store: Store) -> dict[str, int]:
    with store.reading() as connection:
        found = {name: int(connection.scalar(query) or 0) for name, query in FIGURES.items()}
    return found | {kind.value: count for kind, count in store.ledger_counts().items()}


def put_back(backup: Path, database: Database, journal: Path) -> None:
    with Archive(backup) as archive, restoring.alone(journal) as book:
        restoring.check(archive, database.url, replace=True)
        restoring.restore(archive, database.url)
        restoring.prepare_journal(book, database.url)


async def test_what_was_delivered_after_the_backup_is_delivered_again_once(database: Database, tmp_path: Path) -> None:
    backup = tmp_path / "b.zip"
    with Store(database.url) as store:
        with opened(tmp_path) as journal:
            await find(journal, 0, 12)
            await deliver(journal, store)
            before = figures(store)
            taking.take(database.url, backup, taking.What())
            await find(journal, 12, 40)
            await deliver(journal, store)
            whole = figures(store)
            await find(journal, 40, 42)  # and this waits when the data base is lost
        put_back(backup, database, tmp_path / "journal.db")
        assert figures(store) == before != whole
        with opened(tmp_path) as journal:
            await deliver(journal, store)
            with_what_waited = figures(store)
            await deliver(journal, store)
        assert figures(store) == with_what_waited
    assert with_what_waited == whole | {
        "verdicts": whole["verdicts"] + 4,
        "keys": whole["keys"] + 4,
        "files": whole["files"] + 5,
        "by the hour": whole["by the hour"] + 4,
        "settings": whole["settings"] + 1,
        "judged": whole["judged"] + 4,
        "rejected": whole["rejected"] + 1,
    }


async def test_a_data_base_that_lost_nothing_is_given_nothing(database: Database, tmp_path: Path) -> None:
    with Store(database.url) as store, opened(tmp_path) as journal:
        await find(journal, 0, 10)
        await deliver(journal, store)
        with Delivery(journal, store) as delivery:
            await delivery._look_for_lost()
        assert journal.waiting == 0


async def test_one_that_was_replaced_while_it_was_away_is_found_out_when_it_is_back(
    database: Database, tmp_path: Path
) -> None:
    """As a server that failed over to a copy which was behind: nobody stopped the daemon, nobody told it."""
    backup = tmp_path / "b.zip"
    with Store(database.url) as store, opened(tmp_path) as journal:
        taking.take(database.url, backup, taking.What())
        with Delivery(journal, store, first_wait_s=0.01, longest_wait_s=0.05) as delivery:
            task = asyncio.create_task(delivery.run())
            await find(journal, 0, 10)
            await until(lambda: not journal.waiting)
            whole = figures(store)
            reading, store.reading = store.reading, _away  # type: ignore[method-assign]
            await until(lambda: not delivery.ok)
            with Archive(backup) as archive:
                await asyncio.to_thread(restoring.restore, archive, database.url)
            store.reading = reading  # type: ignore[method-assign]
            await until(lambda: delivery.ok and not journal.waiting)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert figures(store) == whole


async def test_one_that_is_replaced_while_a_batch_is_struck_out_lacks_nothing_in_the_end(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next batch finds out that the one before is not there any more, which the journal is just striking out."""
    backup = tmp_path / "b.zip"
    found_out = asyncio.Event()
    with Store(database.url) as store, opened(tmp_path) as journal:
        taking.take(database.url, backup, taking.What())
        now = datetime.now(UTC)
        for n in range(30):
            verdict = verdict_of(at=now + timedelta(seconds=n), path=f"/data/{n}.png")
            await journal.record(entry_of(verdict), verdict, picture_of(f"{n}"), None)
        put, strike, loop, puts = store.put, journal.delivered, asyncio.get_running_loop(), itertools.count(1)

        def put_into_another(parcels: Sequence[Parcel], after: Parcel | None = None) -> None:
            if next(puts) == 3:
                with Archive(backup) as archive:
                    restoring.restore(archive, database.url)
            try:
                put(parcels, after)
            except WentBack:
                loop.call_soon_threadsafe(found_out.set)
                raise

        async def strike_late(parcels: Sequence[Outgoing], refused: Sequence[Refusal] = ()) -> None:
            if parcels[0].id == second:
                await found_out.wait()
            await strike(parcels, refused)

        monkeypatch.setattr(store, "put", put_into_another)
        monkeypatch.setattr(journal, "delivered", strike_late)
        second = (await journal.outgoing(6))[5].id
        with Delivery(journal, store, batch=5, first_wait_s=0.01, longest_wait_s=0.05) as delivery:
            task = asyncio.create_task(delivery.run())
            await until(lambda: not journal.waiting)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert found_out.is_set()
        whole = figures(store)
    assert (whole["verdicts"], whole["keys"], whole["files"], whole["by the hour"]) == (30, 30, 30, 30)


def _away() -> None:
    raise StoreAway("gone")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_what_was_delivered_is_kept_no_longer_than_it_should_be(database: Database, tmp_path: Path) -> None:
    with Store(database.url) as store, opened(tmp_path) as journal:
        await find(journal, 0, 20)
        await deliver(journal, store)
        assert len(await journal.newest_given()) > 0
        journal._keep_given_s = 0.0
        assert await journal.newest_given() == []
        await find(journal, 20, 25)
        await deliver(journal, store)
        assert journal._book._connection.execute("SELECT count(*) FROM recent").fetchone() == (0,)
        assert journal._book._connection.execute("SELECT count(*) FROM given").fetchone() == (0,)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_what_people_set_on_a_page_is_heard_though_its_number_was_given_before(
    database: Database, tmp_path: Path
) -> None:
    backup = tmp_path / "b.zip"
    with Store(database.url) as store:
        taking.take(database.url, backup, taking.What())
        with opened(tmp_path) as journal:
            for n in range(5):
                leave(store, change_of(0.5 + n / 100, later(n)))
            await journal.adopt(store.settings_after(0))
            assert journal.cursor == 5
        put_back(backup, database, tmp_path / "journal.db")
        leave(store, change_of(0.7, later(60)))
        with opened(tmp_path) as journal:
            assert [filed.change.value for filed in store.settings_after(journal.cursor)] == [0.7]


@pytest.mark.parametrize(("delivered_h", "verdicts_d", "keeps_h"), [(48, 0, 48), (48, 30, 48), (48, 1, 12), (0, 30, 0)])
def test_nothing_is_given_again_that_the_data_base_let_go_by_itself(
    delivered_h: float, verdicts_d: float, keeps_h: float
) -> None:
    section = StoreSection(keep_delivered_h=delivered_h, keep_verdicts_d=verdicts_d)
    assert section.keep_delivered_s == 3600 * keeps_h
