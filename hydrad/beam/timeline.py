"""The beam from reading to reading: its state now, and which one held over a stretch of the last minutes."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from hydrad.beam.rule import BeamRule, Current, Judged
from hydrad.config import EpicsBeam
from hydrad.domain import Beam, BeamState
from hydrad.epics.source import grow_stale

KEPT_S = 900.0  # beyond window_s: how long an image may take from its histogram to its judgement
GRAIN_S = 0.2  # readings closer than this that mean the same are kept as their mean
MOST_SPANS = 50_000  # a beam that flickers faster than anybody could judge shortens the memory, not the daemon's life

BEFORE = "no record of the beam then"
_RANK = {BeamState.OFF: 0, BeamState.ON: 1, BeamState.UNKNOWN: 2}  # who wins a tie


class _Span(NamedTuple):
    """What held from ``since_s`` until the next span begins."""

    since_s: float
    held: Judged


class Timeline:
    """Readings in, states out, on a clock of seconds that the caller owns and that never runs backwards."""

    def __init__(self, section: EpicsBeam, began_at_s: float) -> None:
        self._rule = BeamRule(section)
        self._units = section.units
        self._stale_s = section.stale_s
        self._kept_s = section.window_s + KEPT_S
        self._beams = {name: Current(f"beam PV {name}") for name in section.pv}
        self._permit = None if section.permit_pv is None else Current(f"permit PV {section.permit_pv}")
        self._sources = dict(self._beams)
        if section.permit_pv is not None and self._permit is not None:
            self._sources[section.permit_pv] = self._permit
        self._now_s = began_at_s
        self._spans = [_Span(began_at_s, self._judge())]
        self._was_off = False  # when its state was last known
        self._back_at_s: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The PVs that have to be heard."""
        return tuple(self._sources)

    @property
    def on_above(self) -> float:
        """The current that means beam; see :attr:`BeamRule.on_above`."""
        return self._rule.on_above

    def set_on_above(self, current: float, at_s: float) -> None:
        """Judge by another threshold from now on; raise ChangeRefused when it makes no sense."""
        self._advance(at_s)
        self._rule.on_above = current
        self._note()

    def limit(self, section: EpicsBeam, at_s: float) -> None:
        """Judge by this section's limits from now on."""
        self._advance(at_s)
        self._rule.limit(section)
        self._note()

    def read(self, name: str, value: float, severity: int, at_s: float) -> None:
        """A value came in, be it new or the old one confirmed."""
        self._advance(at_s)
        self._sources[name].take(value, severity, self._now_s)
        self._note()

    def lost(self, name: str, trouble: str, at_s: float) -> None:
        """The value of this PV cannot be trusted any more; ``trouble`` says why, after the PV's name."""
        self._advance(at_s)
        self._sources[name].trouble = trouble
        self._note()

    def read_at_s(self) -> float | None:
        """When the oldest of the readings behind the present state was made or confirmed; None if one never was."""
        oldest = min(source.read_at_s for source in self._sources.values())
        return oldest if math.isfinite(oldest) else None

    def back_at_s(self) -> float | None:
        """When the beam last came back after having been OFF; None if it never did."""
        return self._back_at_s

    def at(self, at_s: float) -> Beam:
        """The beam at this moment, which is now or later than anything told so far."""
        self._advance(at_s)
        held = self._spans[-1].held
        return Beam(held.state, held.current, self._units, reason=held.reason(held.current))

    def over(self, start_s: float, end_s: float, now_s: float) -> Beam:
        """The state that held longest over [start, end]; UNKNOWN wins a tie over ON, ON over OFF.

        ``current`` is the time-weighted mean of what was known. What lies in the future is not looked at; before the
        history began all is UNKNOWN.
        """
        if end_s < start_s:
            raise ValueError("the end of a stretch of time lies before its start")
        self._advance(now_s)
        end_s = min(end_s, self._now_s)
        start_s = min(start_s, end_s)
        shares: dict[BeamState, _Share] = {}
        for length_s, held in self._pieces(start_s, end_s):
            shares.setdefault(held.state, _Share(held)).add(length_s, held)
        winner = max(shares.values(), key=lambda share: (round(share.lasted_s, 6), _RANK[share.last.state]))
        known = [share for share in shares.values() if share.mean is not None]
        return Beam(
            winner.last.state,
            _mean([(share.lasted_s, share.mean) for share in known if share.mean is not None]),
            self._units,
            reason=_told(winner, end_s - start_s, alone=len(shares) == 1),
        )

    def _pieces(self, start_s: float, end_s: float) -> Iterator[tuple[float, Judged]]:
        """What held over [start, end], in order, each with the seconds it lasted; one piece of 0 s for an instant."""
        first = bisect_right(self._spans, start_s, key=lambda span: span.since_s) - 1
        if first < 0:
            yield (
                min(end_s, self._spans[0].since_s) - start_s,
                Judged(BeamState.UNKNOWN, None, BEFORE, self._spans[0].held.limits),
            )
        for n in range(max(first, 0), len(self._spans)):
            since_s, held = self._spans[n]
            if since_s >= end_s and n > first:
                return
            until_s = self._spans[n + 1].since_s if n + 1 < len(self._spans) else end_s
            yield min(until_s, end_s) - max(since_s, start_s), held

    def _advance(self, to_s: float) -> None:
        for moment_s in grow_stale(self._sources, self._stale_s, to_s):
            self._now_s = max(self._now_s, moment_s)
            self._note()
        self._now_s = max(self._now_s, to_s)

    def _judge(self) -> Judged:
        return self._rule.judge(tuple(self._beams.values()), self._permit)

    def _note(self) -> None:
        """Keep what holds from now on, unless it is what held already."""
        judged = self._judge()
        spans, now_s = self._spans, self._now_s
        if judged == spans[-1].held:
            return
        if judged.state is BeamState.ON and self._was_off:
            self._back_at_s = now_s
        if judged.state is not BeamState.UNKNOWN:
            self._was_off = judged.state is BeamState.OFF
        if now_s == spans[-1].since_s:
            spans.pop()  # it held for no time at all
        elif len(spans) > 1 and now_s - spans[-2].since_s <= GRAIN_S and _alike(spans[-2].held, spans[-1].held):
            since_s, held = spans[-2]
            middle_s = spans[-1].since_s
            mean = _mean([(middle_s - since_s, held.current or 0.0), (now_s - middle_s, spans[-1].held.current or 0.0)])
            spans[-2:] = [_Span(since_s, Judged(held.state, mean, held.why, held.limits))]
        spans.append(_Span(now_s, judged))
        self._forget()

    def _forget(self) -> None:
        """Drop what is too old to be asked for, a good many at a time."""
        spans = self._spans
        if len(spans) % 256 == 0 or len(spans) > MOST_SPANS:
            old = bisect_right(spans, self._now_s - self._kept_s, key=lambda span: span.since_s) - 1
            del spans[: max(old, len(spans) - MOST_SPANS, 0)]


class _Share:
    """How long one state held within a stretch of time, and its mean current."""

    def __init__(self, held: Judged) -> None:
        self.last = held
        self.lasted_s = 0.0
        self._weighted: list[tuple[float, float]] = []

    def add(self, length_s: float, held: Judged) -> None:
        self.last = held
        self.lasted_s += length_s
        if held.current is not None:
            self._weighted.append((length_s, held.current))

    @property
    def mean(self) -> float | None:
        return _mean(self._weighted)


def _told(share: _Share, length_s: float, *, alone: bool) -> str:
    reason = share.last.reason(share.mean)
    return reason if alone or not reason else f"{reason}, for {share.lasted_s:.0f} of {length_s:.0f} s"


def _alike(one: Judged, other: Judged) -> bool:
    return (
        one.current is not None
        and other.current is not None
        and (one.state, one.why, one.limits) == (other.state, other.why, other.limits)
    )


def _mean(weighted: list[tuple[float, float]]) -> float | None:
    """The mean of values by their weights; of an instant, the last one's value."""
    if not weighted:
        return None
    total = math.fsum(weight for weight, _ in weighted)
    if total <= 0:
        return weighted[-1][1]
    return math.fsum(weight * value for weight, value in weighted) / total
