"""Scores of plots that somebody looks at, remembered: of two weeks, only what is new is read again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from hydrad.store.history import series
from hydrad.store.history.series import Known, Series
from hydrad.store.queries import Store

PLOTS: Final = 32  # about 2 MB each at an image every half minute
KEPT: Final = timedelta(days=15)  # a day more than anybody asks for
LATE_ROWS: Final = 20_000  # of all plots: a row may become visible after one with a higher number

Key = tuple[int, tuple[str, ...]]  # of the plot, and of its labels, whose places the series holds


class Remembered:
    """Gives what :func:`series.scores` gives, from memory where it can. Any thread may ask."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._series: OrderedDict[Key, tuple[datetime, Series]] = OrderedDict()  # with the time they begin at
        self._busy: dict[Key, threading.Lock] = {}
        self._lock = threading.Lock()

    def scores(self, plot: Known, since: datetime) -> Series:
        """What the images judged since a time scored; verdicts never change, so only new ones are asked for.

        Args:
            since: aware.
        """
        now = datetime.now(UTC)
        key = plot.id, plot.labels
        with self._lock:
            busy = self._busy.setdefault(key, threading.Lock())
        with busy:  # two who ask for the same plot share one answer
            with self._lock:
                begins, held = self._series.get(key, (None, None))
            if begins is None or held is None or since < begins:
                begins = min(since, now - KEPT)
                held = series.scores(self._store, plot, begins)
            elif len(held):
                fresh = series.scores(self._store, plot, begins, after=int(held.id.max()) - LATE_ROWS)
                held = _merged(held, fresh)
            else:
                held = series.scores(self._store, plot, begins)
            with self._lock:
                self._keep(key, max(begins, now - KEPT), held)
        return _since(held, since)

    def _keep(self, key: Key, begins: datetime, held: Series) -> None:
        self._series[key] = begins, _since(held, begins)
        self._series.move_to_end(key)
        while len(self._series) > PLOTS:
            gone, _ = self._series.popitem(last=False)
            self._busy.pop(gone, None)


def _merged(held: Series, fresh: Series) -> Series:
    new = fresh.where(~np.isin(fresh.id, held.id))
    if not len(new):
        return held
    both = Series(*(np.concatenate([getattr(held, one.name), getattr(new, one.name)]) for one in fields(Series)))
    return both.where(np.argsort(both.at, kind="stable"))


def _since(held: Series, since: datetime) -> Series:
    micros = int((since - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
    return held.where(np.arange(np.searchsorted(held.at, micros), len(held)))
