"""Runs from reading to reading: the one that is going, and the one that an image of the last minutes belongs to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import NamedTuple

from hydrad.config import EpicsRun
from hydrad.domain import SOME_RUN, Run, RunState
from hydrad.epics.source import Source, grow_stale

MOST_SPANS = 2000  # a state that flickers shortens the memory, not the daemon's life
LARGEST = 2**31 - 1  # what a longin holds


class _Span(NamedTuple):
    """What held from ``since_s`` until the next span begins."""

    since_s: float
    run: Run


class Timeline:
    """Readings in, runs out, on a clock of seconds that the caller owns and that never runs backwards."""

    def __init__(self, section: EpicsRun, began_at_s: float) -> None:
        self._section = section
        wanted = {
            section.number_pv: "run number PV",
            section.state_pv: "run state PV",
            section.type_pv: "run type PV",
        }
        self._sources = {name: Source(f"{what} {name}", "") for name, what in wanted.items() if name is not None}
        self._now_s = began_at_s
        self._spans = [_Span(began_at_s, self._judge())]
        # Nothing is known yet: what is due is given its time, as if a run had just begun.
        self._known = section.state_pv is None and section.type_pv is None
        self._was_due = True
        self._due_since_s = None if self._known else began_at_s

    @property
    def names(self) -> tuple[str, ...]:
        """The PVs that have to be heard."""
        return tuple(self._sources)

    def read(self, name: str, value: str, severity: int, at_s: float) -> None:
        """A value came in, be it new or the old one confirmed."""
        self._advance(at_s)
        self._sources[name].take(value.strip(), severity, self._now_s)
        self._note()

    def lost(self, name: str, trouble: str, at_s: float) -> None:
        """The value of this PV cannot be trusted any more; ``trouble`` says why, after the PV's name."""
        self._advance(at_s)
        self._sources[name].trouble = trouble
        self._note()

    def at(self, at_s: float) -> Run:
        """The run at this moment, which is now or later than anything told so far."""
        self._advance(at_s)
        return self._spans[-1].run

    def due_since_s(self) -> float | None:
        """When images became due again after they had not been; None if they have been all along."""
        return self._due_since_s

    def of(self, number: int | None, start_s: float, end_s: float, now_s: float) -> Run:
        """The run that an image belongs to which filled over [start, end].

        Args:
            number: what its path says; where it contradicts the PV, it wins, and the run's ``reason`` says so unless it
                is one that was going before.
        """
        self._advance(now_s)
        held = self._held_longest(start_s, max(start_s, min(end_s, self._now_s)))
        if number is None or held.number is None or number == held.number:
            return replace(held, number=held.number if number is None else number, reason="")
        earlier = self._remembered(number)
        if earlier is not None:
            return replace(earlier, reason="")
        return Run(held.state, number, reason=f"the path says run {number}, the PV {held.number}")

    def _held_longest(self, start_s: float, end_s: float) -> Run:
        """Of equal ones the one that masks nothing; before the history began nothing is known."""
        shares: dict[Run, float] = defaultdict(float)
        first = self._spans[0].since_s
        if start_s < first:
            shares[SOME_RUN] += min(end_s, first) - start_s
        for since_s, until_s, run in self._pieces():
            if until_s > start_s and since_s <= end_s:
                shares[run] += min(until_s, end_s) - max(since_s, start_s)
        return max(shares, key=lambda run: (shares[run], not run.masked))

    def _remembered(self, number: int) -> Run | None:
        """The run of this number as it was for most of its time: its type may have been set late, or unset early."""
        shares: dict[Run, float] = defaultdict(float)
        for since_s, until_s, run in self._pieces():
            if run.number == number:
                shares[run] += until_s - since_s
        return max(shares, key=lambda run: (run.type != "", shares[run]), default=None)

    def _pieces(self) -> Iterator[tuple[float, float, Run]]:
        spans = self._spans
        for n, (since_s, run) in enumerate(spans):
            yield since_s, spans[n + 1].since_s if n + 1 < len(spans) else float("inf"), run

    def _advance(self, to_s: float) -> None:
        for moment_s in grow_stale(self._sources, self._section.stale_s, to_s):
            self._now_s = max(self._now_s, moment_s)
            self._note()
        self._now_s = max(self._now_s, to_s)

    def _note(self) -> None:
        run = self._judge()
        due = run.state is not RunState.IDLE and not run.masked
        if not self._known and not any(
            self._troubled(name) for name in (self._section.state_pv, self._section.type_pv)
        ):
            self._known = True
            self._due_since_s = None  # as far as anybody knows, it has been going all along
        elif due and not self._was_due:
            self._due_since_s = self._now_s
        self._was_due = due
        if run != self._spans[-1].run:
            self._spans.append(_Span(self._now_s, run))
            del self._spans[:-MOST_SPANS]

    def _judge(self) -> Run:
        words = (
            self._section.type_pv and not self._troubled(self._section.type_pv) and self._value(self._section.type_pv)
        )
        kind = words or ""
        troubles = [f"{source.label} {source.trouble}" for source in self._sources.values() if source.trouble]
        number = self._number()
        if self._section.number_pv is not None and number is None and not self._troubled(self._section.number_pv):
            label = self._sources[self._section.number_pv].label
            troubles.append(f"{label} reads {self._value(self._section.number_pv)!r}, which is no run number")
        return Run(
            state=self._state(),
            number=number,
            type=kind,
            masked=bool(kind) and _fits(kind, self._section.masked_types),
            reason="; ".join(troubles),
        )

    def _state(self) -> RunState:
        name = self._section.state_pv
        if name is None or self._troubled(name):
            return RunState.UNKNOWN
        return RunState.RUNNING if _fits(self._value(name), self._section.running) else RunState.IDLE

    def _number(self) -> int | None:
        name = self._section.number_pv
        if name is None or self._troubled(name):
            return None
        try:
            number = float(self._value(name))
        except ValueError:
            return None
        return int(number) if 0 <= number <= LARGEST and number == int(number) else None

    def _troubled(self, name: str | None) -> bool:
        return name is not None and bool(self._sources[name].trouble)

    def _value(self, name: str) -> str:
        return self._sources[name].value


def _fits(words: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(words.casefold(), pattern.casefold()) for pattern in patterns)
