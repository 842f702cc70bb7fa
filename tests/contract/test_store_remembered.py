"""Scores from memory are those of the data base, whatever came since, and in whatever order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from databases import Database
from sqlalchemy import event
from store_world import verdict_of

from hydrad.store.history import series
from hydrad.store.history.series import Series
from hydrad.store.packing import Parcel
from hydrad.store.queries import Store
from hydrad.web import remembered
from hydrad.web.remembered import Remembered

PLOT = "CDC_occupancy"
DAY = timedelta(days=1)


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    with Store(database.url) as opened:
        yield opened


def judge(store: Store, *ages: timedelta, plot: str = PLOT) -> None:
    """Images judged so long ago, in this order."""
    now = datetime.now(UTC)
    store.put([Parcel(verdict=verdict_of(plot, now - age)) for age in ages])


def same(one: Series, other: Series) -> bool:
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name), equal_nan=f.name in {"confidence", "current"})
        for f in fields(Series)
    )


def agree(memory: Remembered, store: Store, since: datetime) -> Series:
    """What both say; fails where they differ."""
    known = series.known(store, PLOT)
    assert known is not None
    found = memory.scores(known, since)
    assert same(found, series.scores(store, known, since))
    return found


def test_what_is_remembered_is_what_the_data_base_says(store: Store) -> None:
    judge(store, 20 * DAY, 13 * DAY, 2 * DAY, DAY)
    memory = Remembered(store)
    now = datetime.now(UTC)
    assert len(agree(memory, store, now - 3 * DAY)) == 2
    assert len(agree(memory, store, now - 14 * DAY)) == 3
    assert len(agree(memory, store, now - 30 * DAY)) == 4  # longer ago than it remembers
    assert len(agree(memory, store, now - 3 * DAY)) == 2


def test_what_comes_later_is_found_also_when_it_was_judged_earlier(store: Store) -> None:
    judge(store, DAY)
    memory = Remembered(store)
    since = datetime.now(UTC) - 14 * DAY
    assert len(agree(memory, store, since)) == 1
    judge(store, DAY / 24)
    judge(store, 5 * DAY)  # the data base was away for days
    judge(store, DAY, plot="CDC_time")
    found = agree(memory, store, since)
    assert len(found) == 3
    assert (np.diff(found.at) > 0).all()


def test_a_plot_without_images_has_none_until_there_are_some(store: Store) -> None:
    judge(store, 20 * DAY)
    memory = Remembered(store)
    since = datetime.now(UTC) - 14 * DAY
    assert len(agree(memory, store, since)) == 0
    judge(store, DAY)
    assert len(agree(memory, store, since)) == 1


def test_the_plots_that_nobody_looks_at_are_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "PLOTS", 2)
    names = [f"CDC_{n}" for n in range(4)]
    for name in names:
        judge(store, DAY, plot=name)
    memory = Remembered(store)
    asked: list[str] = []
    event.listen(store._engine, "before_cursor_execute", lambda _c, _k, sql, *_: asked.append(sql))
    since = datetime.now(UTC) - 14 * DAY
    for name in (*names, names[-1], names[0]):
        known = series.known(store, name)
        assert known is not None
        assert len(memory.scores(known, since)) == 1
    assert len(memory._series) == len(memory._busy) == 2
    whole = [sql for sql in asked if "FROM verdicts" in sql and "verdicts.id >" not in sql]
    assert len(whole) == len(names) + 1  # the newest from memory, the oldest anew
