"""A file that has its verdict gets no second one, from whomever it comes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from browsing import until
from databases import Database
from sqlalchemy import func, select, text
from store_world import entry_of, later, verdict_of

from hydrad.domain import Outcome
from hydrad.store import tables
from hydrad.store.packing import Parcel
from hydrad.store.queries import Store
from hydrad.store.writing.writes import write_parcels

WAITING = text(
    "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%FOR UPDATE%' AND id <> CONNECTION_ID()"
)


def test_a_file_that_was_judged_by_another_daemon_keeps_the_verdict_it_has(store: Store) -> None:
    first = verdict_of(path="/data/a.png")
    again = verdict_of(path="/data/a.png", at=later(1))
    new = verdict_of(path="/data/b.png", at=later(2))
    store.put([Parcel(entry_of(first), first)])
    entry = replace(entry_of(again), mtime_ns=entry_of(first).mtime_ns)
    store.put([Parcel(entry, again), Parcel(entry_of(new), new)])
    assert [filed.verdict.key for filed in store.log()] == [new.key, first.key]
    assert store.ledger_counts()[Outcome.JUDGED] == 2
    with store.reading() as connection:
        assert connection.scalar(select(func.sum(tables.hours.c.images))) == 2
    assert [one.judged_at for one in store.standings()] == [later(2)]


def test_a_file_that_was_rejected_is_judged_after_all(store: Store) -> None:
    verdict = verdict_of(path="/data/a.png", at=later(1))
    entry = entry_of(verdict)
    store.put([Parcel(replace(entry, outcome=Outcome.REJECTED, reason="torn", done_at=later(0)))])
    store.put([Parcel(replace(entry, done_at=later(5)), verdict)])
    assert [filed.verdict.key for filed in store.log()] == [verdict.key]
    assert store.ledger_counts()[Outcome.JUDGED] == 1


def test_a_file_that_another_daemon_judges_at_the_same_moment_gets_one_verdict(
    store: Store, database: Database
) -> None:
    if database.kind == "sqlite":
        pytest.skip("one writes at a time")
    before, first, second = (
        verdict_of(path=f"/data/{name}.png", run=1, at=later(n)) for n, name in enumerate(("before", "a", "a"))
    )
    store.put([Parcel(entry_of(before), before)])  # the plot and the run are known, as in ordinary life
    entry = replace(entry_of(second), mtime_ns=entry_of(first).mtime_ns)
    with ThreadPoolExecutor(1) as beside:
        with store.writing() as connection:
            write_parcels(connection, [Parcel(entry_of(first), first)])
            done = beside.submit(store.put, [Parcel(entry, second)])
            with store.reading() as looking:
                until(lambda: looking.scalar(WAITING) or done.done())
        done.result(20)
    assert [filed.verdict.key for filed in store.log()] == [first.key, before.key]
    assert store.ledger_counts()[Outcome.JUDGED] == 2
