"""The canaries' verdicts in the data base: the newest of each, and nowhere that people look."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import func, select
from store_world import MORNING, later, verdict_of

from hydrad.domain import Status, Verdict
from hydrad.store import tables
from hydrad.store.outbox.delivery import Delivery
from hydrad.store.outbox.journal import Journal
from hydrad.store.packing import Parcel
from hydrad.store.queries import Store
from hydrad.store.rows import FiledCanary
from hydrad.store.tables import METADATA


def put(store: Store, *canaries: Verdict, origin: str = "journal-1") -> None:
    store.put([Parcel(canary=canary, origin=origin) for canary in canaries])


def filed(verdict: Verdict) -> FiledCanary:
    return FiledCanary(verdict.sha256 or "", verdict.status, verdict.judged_at)


def test_of_each_model_the_newest_is_there_and_comes_again_without_harm(store: Store) -> None:
    first, second, other = verdict_of("m1"), verdict_of("m1", later(300)), verdict_of("m2", status=Status.GOOD)
    put(store, first)
    assert store.canary("journal-1", "m1") == filed(first)
    put(store, first, other, second)
    put(store, second)
    assert store.canary("journal-1", "m1") == filed(second)
    assert store.canary("journal-1", "m2") == filed(other)


def test_two_daemons_do_not_take_each_others(store: Store) -> None:
    mine, theirs = verdict_of("m1"), verdict_of("m1", later(5))
    put(store, mine)
    put(store, theirs, origin="journal-2")
    assert store.canary("journal-1", "m1") == filed(mine)
    assert store.canary("journal-2", "m1") == filed(theirs)
    assert store.canary("journal-3", "m1") is None


def test_no_other_table_has_anything_of_them(store: Store) -> None:
    with store.reading() as connection:
        before = {name: connection.scalar(select(func.count()).select_from(t)) for name, t in METADATA.tables.items()}
    put(store, verdict_of("m1"))
    with store.reading() as connection:
        after = {name: connection.scalar(select(func.count()).select_from(t)) for name, t in METADATA.tables.items()}
    assert {name for name in after if after[name] != before[name]} == {tables.canaries.name}


async def test_it_travels_by_the_journal_and_leaves_no_standing_for_the_next_daemon(
    store: Store, tmp_path: Path
) -> None:
    canary = verdict_of("m1", MORNING)
    with Journal(tmp_path / "journal.db", tmp_path / "images") as journal:
        await journal.keep_canary(canary)
    with Journal(tmp_path / "journal.db", tmp_path / "images") as journal, Delivery(journal, store) as delivery:
        assert journal.standings() == {}
        await delivery._deliver()
        assert store.canary(journal.identity, "m1") == filed(canary)
        assert journal.waiting == 0
