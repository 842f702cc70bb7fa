"""Everything reaches the data base once, in order, and what it refuses stops nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from databases import Database
from store_world import all_of, change_of, entry_of, later, picture_of, until, verdict_of
from structlog.testing import capture_logs

from hydrad.domain import Outcome, Status
from hydrad.errors import StoreAway, TryAgain
from hydrad.store import engine
from hydrad.store.outbox.book import Outgoing, Refusal
from hydrad.store.outbox.delivery import Delivery, open_parcels
from hydrad.store.outbox.journal import Journal
from hydrad.store.packing import Parcel
from hydrad.store.queries import Store


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.db", tmp_path / "images") as opened:
        yield opened


@asynccontextmanager
async def delivering(journal: Journal, store: Store, *, batch: int = 500) -> AsyncIterator[Delivery]:
    with Delivery(journal, store, batch=batch, first_wait_s=0.05, longest_wait_s=0.2) as delivery:
        task = asyncio.create_task(delivery.run())
        yield delivery
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def refused_in(journal: Journal) -> list[tuple[str, str]]:
    return journal._book._connection.execute("SELECT why, document FROM refused ORDER BY id").fetchall()


async def test_what_waits_is_delivered_and_the_journal_emptied(journal: Journal, store: Store) -> None:
    verdicts = [verdict_of(f"CDC_{n % 4}", later(n), path=f"/data/{n}") for n in range(40)]
    heatmap = np.full((4, 5), 7, np.uint8)
    await all_of(
        *(journal.record(entry_of(verdict), verdict, picture_of(f"{n}"), heatmap) for n, verdict in enumerate(verdicts))
    )
    await journal.note(verdict_of("CDC_1", later(99), status=Status.STALE))
    await journal.change(change_of())
    async with delivering(journal, store, batch=7) as delivery:
        assert (delivery.ok, delivery.waiting) == (False, 42)
        await until(lambda: delivery.waiting == 0)
        assert delivery.ok
    assert [filed.verdict for filed in reversed(store.log())][:40] == verdicts
    assert store.ledger_counts()[Outcome.JUDGED] == 40
    assert {standing.plot: standing.status for standing in store.standings()}["CDC_1"] is Status.STALE
    (filed,) = store.settings_after(0)
    assert filed.origin == journal.identity
    kept = store.heatmap(store.log(plot="CDC_0")[0].id)
    assert kept is not None
    np.testing.assert_array_equal(kept, heatmap)
    assert await journal.outgoing(10) == []


async def test_a_journal_that_could_not_be_read_ahead_is_read_again(
    journal: Journal, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = [verdict_of(at=later(n)) for n in range(7)]
    for verdict in verdicts:
        await journal.note(verdict)
    read, asked = journal.outgoing, []

    async def outgoing(limit: int, after: int = 0) -> Sequence[Outgoing]:
        asked.append(after)
        if len(asked) == 3:
            raise TryAgain("the disk is away")
        return await read(limit, after)

    monkeypatch.setattr(journal, "outgoing", outgoing)
    async with delivering(journal, store, batch=2) as delivery:
        await until(lambda: delivery.waiting == 0)
    assert 0 == asked[0] < asked[1] < asked[2]  # twice ahead, the second time in vain
    assert asked[3] == 0
    assert [filed.verdict for filed in reversed(store.log())] == verdicts


async def test_what_comes_while_it_runs_arrives_soon(journal: Journal, store: Store) -> None:
    async with delivering(journal, store) as delivery:
        await until(lambda: delivery.ok)
        for n in range(3):
            await journal.note(verdict_of(at=later(n)))
            await until(lambda: delivery.waiting == 0)
    assert len(store.log()) == 3


async def test_an_idle_delivery_knows_that_the_data_base_answers(journal: Journal, store: Store) -> None:
    async with delivering(journal, store) as delivery:
        await until(lambda: delivery.ok)
        assert delivery.waiting == 0


async def test_what_the_data_base_refuses_is_set_aside_and_stops_nothing(journal: Journal, store: Store) -> None:
    good = [verdict_of(at=later(n)) for n in range(20)]
    odd = [verdict_of(at=later(n), reason=f"odd {n}", confidence=float("nan")) for n in (100, 101)]
    for n, verdict in enumerate(good):
        await journal.note(verdict)
        if n in {4, 11}:
            await journal.note(odd[n // 11])
    with capture_logs() as logs:
        async with delivering(journal, store) as delivery:
            await until(lambda: delivery.waiting == 0)
            assert delivery.ok
    assert [filed.verdict for filed in reversed(store.log())] == good
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["parcel_refused"] * 2
    refused = refused_in(journal)
    assert ["odd 100" in refused[0][1], "odd 101" in refused[1][1]] == [True, True]
    assert "finite" in refused[0][0]


async def test_a_parcel_nobody_can_read_is_set_aside(journal: Journal, store: Store) -> None:
    await journal.note(verdict_of())
    for document in ("no JSON", '{"verdict": {"plot": "CDC_a"}}', '{"change": 5}', "[]"):
        journal._book._connection.execute("INSERT INTO outgoing (document) VALUES (?)", (document,))
    await journal.note(verdict_of(at=later(5)))
    async with delivering(journal, store):
        await until(lambda: len(refused_in(journal)) == 4)
    assert len(store.log()) == 2
    assert await journal.outgoing(10) == []


async def test_a_record_larger_than_the_server_takes_is_set_aside(
    journal: Journal, store: Store, database: Database
) -> None:
    await journal.note(verdict_of())
    verdict = verdict_of(at=later(1))
    await journal.record(entry_of(verdict), verdict, None, np.full((5000, 5000), 39, np.uint8))
    await journal.note(verdict_of(at=later(2)))
    async with delivering(journal, store) as delivery:
        await until(lambda: delivery.waiting == 0)
        assert delivery.ok
    takes_it = database.kind == "sqlite"
    assert len(store.log()) == (3 if takes_it else 2)
    assert len(refused_in(journal)) == (0 if takes_it else 1)


async def test_killed_between_the_two_commits_is_delivered_once(journal: Journal, store: Store) -> None:
    verdicts = [verdict_of(at=later(n)) for n in range(5)]
    for verdict in verdicts:
        await journal.record(entry_of(verdict), verdict, picture_of(verdict.key), None)
    before = await journal.outgoing(3)
    with Delivery(journal, store) as first:
        assert list(first._place(open_parcels(before))) == []  # and never struck out
    async with delivering(journal, store) as delivery:
        await until(lambda: delivery.waiting == 0)
    assert [filed.verdict for filed in reversed(store.log())] == verdicts
    assert store.ledger_counts()[Outcome.JUDGED] == 5


# ---- what the data base has is struck out while it works at the next ----


Strike = Callable[[Sequence[Outgoing], Sequence[Refusal]], Awaitable[None]]


def strikes_by(monkeypatch: pytest.MonkeyPatch, journal: Journal, strike: Callable[[Strike], Strike]) -> None:
    """Let a journal strike out as the test does, which is handed how the journal does."""
    changed = strike(journal.delivered)

    async def delivered(parcels: Sequence[Outgoing], refused: Sequence[Refusal] = ()) -> None:
        await changed(parcels, refused)

    monkeypatch.setattr(journal, "delivered", delivered)


async def test_the_next_batch_does_not_wait_until_the_one_before_is_struck_out(
    journal: Journal, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = [verdict_of(at=later(n)) for n in range(7)]
    for verdict in verdicts:
        await journal.note(verdict)
    waited = []

    def late(strike: Strike) -> Strike:
        async def delivered(parcels: Sequence[Outgoing], refused: Sequence[Refusal]) -> None:
            if not waited:
                await until(lambda: len(store.log()) == 4)
            waited.append(journal.waiting)
            await strike(parcels, refused)

        return delivered

    strikes_by(monkeypatch, journal, late)
    async with delivering(journal, store, batch=2) as delivery:
        await until(lambda: delivery.waiting == 0)
    assert waited == [7, 5, 3, 1]
    assert [filed.verdict for filed in reversed(store.log())] == verdicts


async def test_what_is_refused_is_set_aside_before_more_is_handed_over(
    journal: Journal, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = [verdict_of(at=later(n)) for n in range(6)]
    odd = verdict_of(at=later(100), confidence=float("nan"))
    for verdict in (*good[:2], odd, *good[2:]):
        await journal.note(verdict)
    told: list[tuple[str, int]] = []
    put = store.put

    def heard(parcels: Sequence[Parcel], after: Parcel | None = None) -> None:
        told.append(("put", len(parcels)))
        put(parcels, after)

    monkeypatch.setattr(store, "put", heard)

    def late(strike: Strike) -> Strike:
        async def delivered(parcels: Sequence[Outgoing], refused: Sequence[Refusal]) -> None:
            if not refused:
                await until(lambda: len(store.log()) >= 3)  # while the refused one is handed over, and found out
            await strike(parcels, refused)
            told.append(("refused", len(refused)))

        return delivered

    strikes_by(monkeypatch, journal, late)
    async with delivering(journal, store, batch=2) as delivery:
        await until(lambda: delivery.waiting == 0)
    #            the first two; the odd one with another, each by itself; both are struck out; only then what comes next
    whole, halves = ("put", 2), [("put", 1), ("put", 1)]
    assert told[:7] == [whole, whole, *halves, ("refused", 0), ("refused", 1), whole]
    assert [filed.verdict for filed in reversed(store.log())] == good
    assert len(refused_in(journal)) == 1


async def test_what_could_not_be_struck_out_comes_again_and_is_there_once(
    journal: Journal, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = [verdict_of(at=later(n), path=f"/data/{n}") for n in range(7)]
    for verdict in verdicts:
        await journal.record(entry_of(verdict), verdict, picture_of(verdict.key), None)
    struck: list[int] = []

    def once_in_vain(strike: Strike) -> Strike:
        async def delivered(parcels: Sequence[Outgoing], refused: Sequence[Refusal]) -> None:
            struck.append(parcels[0].id)
            if len(struck) == 2:
                await until(lambda: len(store.log()) == 6)
                raise TryAgain("the disk is full")
            await strike(parcels, refused)

        return delivered

    strikes_by(monkeypatch, journal, once_in_vain)
    with capture_logs() as logs:
        async with delivering(journal, store, batch=2) as delivery:
            await until(lambda: delivery.waiting == 0)
    assert [line["event"] for line in logs] == ["cannot_deliver", "delivers_again"]
    assert struck[1] == struck[2]
    assert [filed.verdict for filed in reversed(store.log())] == verdicts
    assert store.ledger_counts()[Outcome.JUDGED] == 7


async def test_a_data_base_that_goes_away_meanwhile_keeps_nothing_from_being_struck_out(
    journal: Journal, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        await journal.note(verdict_of(at=later(n)))
    put, puts = store.put, []

    def away(parcels: Sequence[Parcel], after: Parcel | None = None) -> None:
        puts.append([parcel.verdict.judged_at for parcel in parcels if parcel.verdict is not None])
        if len(puts) == 2:
            raise StoreAway("gone")
        put(parcels, after)

    monkeypatch.setattr(store, "put", away)

    def late(strike: Strike) -> Strike:
        async def delivered(parcels: Sequence[Outgoing], refused: Sequence[Refusal]) -> None:
            await until(lambda: len(puts) > 1)
            await strike(parcels, refused)

        return delivered

    strikes_by(monkeypatch, journal, late)
    async with delivering(journal, store, batch=2) as delivery:
        await until(lambda: delivery.waiting == 0)
    assert puts == [[later(0), later(1)], [later(2), later(3)], [later(2), later(3)], [later(4)]]


async def test_whoever_stops_the_delivery_waits_until_it_has_struck_out(
    journal: Journal, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        await journal.note(verdict_of(at=later(n)))
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    def held(strike: Strike) -> Strike:
        async def delivered(parcels: Sequence[Outgoing], refused: Sequence[Refusal]) -> None:
            begun.set()
            await may_go_on.wait()
            await strike(parcels, refused)

        return delivered

    strikes_by(monkeypatch, journal, held)
    with Delivery(journal, store, batch=3) as delivery:
        task = asyncio.create_task(delivery.run())
        await begun.wait()
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=0.05)
        assert not done
        may_go_on.set()
        await asyncio.wait([task])
    assert task.cancelled()
    assert journal.waiting == 0


async def test_a_data_base_that_is_locked_is_waited_for_and_said_so_once(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "SQLITE_BUSY_S", 0.02)
    with Store(f"sqlite:///{tmp_path}/hydra.db") as store:
        store.ping()
        other = sqlite3.connect(tmp_path / "hydra.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with capture_logs() as logs:
            async with delivering(journal, store) as delivery:
                await journal.note(verdict_of())
                await until(lambda: logs)
                await asyncio.sleep(0.5)  # several attempts
                assert not delivery.ok
                assert delivery.waiting == 1
                other.execute("ROLLBACK")
                await until(lambda: delivery.waiting == 0)
                await until(lambda: delivery.ok)
        other.close()
        assert [line["event"] for line in logs] == ["cannot_deliver", "delivers_again"]
        assert len(store.log()) == 1
