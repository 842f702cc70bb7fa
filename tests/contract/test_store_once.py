"""A file that has its verdict gets no second one, from whomever it comes."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import func, select
from store_world import entry_of, later, verdict_of

from hydrad.domain import Outcome
from hydrad.store import tables
from hydrad.store.packing import Parcel
from hydrad.store.queries import Store


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
