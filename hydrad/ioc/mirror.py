"""The mirror: an ai per plot and two waveforms of all of them, for alarm trees and screens that were there before."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime

from hydrad import config
from hydrad.domain import Meaning, Severity, Status, Verdict
from hydrad.ioc.alarm import QUIET, Alarm
from hydrad.ioc.names import Names
from hydrad.ioc.records import Analog, Record
from hydrad.ioc.waveforms import Array
from hydrad.ioc.wire import Dbr

# What was said of the last image says nothing of the present.
_UNKNOWN = frozenset({Status.UNKNOWN, Status.STALE, Status.NOMODEL})


class Mirror(Analog):
    """P(good) - P(bad) of a plot, with limits of the operators.

    The limits rest while nothing is expected of the plot, as with no beam or switched off; the number stays honest.
    """

    __slots__ = ("_rests",)

    def __init__(self, name: str, plot: str, limits: config.MirrorLimits) -> None:
        super().__init__(name, f"{plot}: P(good) - P(bad)"[:40], precision=3, between=(-1.0, 1.0))
        self._rests = False
        self.hihi, self.high, self.low, self.lolo, self.hyst = (
            limits.hihi, limits.high, limits.low, limits.lolo, limits.hyst
        )  # fmt: skip
        self.hhsv, self.hsv, self.lsv, self.llsv = (
            Severity[level] for level in (limits.hhsv, limits.hsv, limits.lsv, limits.llsv)
        )

    def tell(self, verdict: Verdict, stamp: float) -> None:
        """Post what a verdict says."""
        self._rests = verdict.status is not Status.GOOD and verdict.status.severity is Severity.NO_ALARM
        self.post(balance(verdict), stamp)

    def end(self, stamp: float, alarm: Alarm) -> None:
        """Nothing is known any more."""
        self._rests = False
        self.post(math.nan, stamp, alarm)

    def _alarm_of_value(self) -> Alarm:
        return QUIET if self._rests else super()._alarm_of_value()


class Mirrors:
    """All mirrors, in the order in which their plots were first seen."""

    def __init__(self, names: Names, limits: config.MirrorLimits) -> None:
        self._names = names
        self._limits = limits
        self._each: list[Mirror] = []
        self._values = Array(names.of_mirrors("wf"), "P(good) - P(bad) of all plots", Dbr.DOUBLE)
        self._called = Array(names.of_mirrors("wfnames"), "PVs that wf is of, in its order", Dbr.STRING)

    def records(self) -> Iterator[Record]:
        """The two waveforms."""
        yield from (self._values, self._called)

    def add(self, plot: str) -> Mirror:
        """The mirror of one more plot."""
        mirror = Mirror(self._names.mirror(plot), plot, self._limits)
        self._each.append(mirror)
        return mirror

    def show(self, now: datetime) -> None:
        """Post what has changed since, in one event for all."""
        stamp = now.timestamp()
        self._values.show(tuple(float(mirror.value) for mirror in self._each), stamp)
        self._called.show(tuple(mirror.name for mirror in self._each), stamp)

    def end(self, stamp: float, alarm: Alarm) -> None:
        """Nothing is known any more; each mirror says so by itself."""
        self._values.post(self._values.value, stamp, alarm)  # type: ignore[arg-type]  # an array goes round in no other


def balance(verdict: Verdict) -> float:
    """P(good) - P(bad), where empty counts as bad; NaN where nothing can be said of the present."""
    if verdict.status in _UNKNOWN or not verdict.scores:
        return math.nan
    signs = {Meaning.GOOD: 1.0, Meaning.BAD: -1.0, Meaning.EMPTY: -1.0}
    return sum(score * signs.get(verdict.meanings[label], 0.0) for label, score in verdict.scores.items())
