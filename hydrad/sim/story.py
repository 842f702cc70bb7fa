"""What goes wrong in the simulated hall, and when: faults and beam trips as a schedule that a seed decides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from hydrad.domain import Meaning
from hydrad.sim.faults import FAULTS, Fault
from hydrad.sim.hall import PLOTS, faults_of

SHORTEST_BEAT_S: Final = 20.0
IMAGES_PER_BEAT: Final = 4  # enough for an on-delay of two, with room for the eye
REST: Final = 0.75  # of a beat, between two events
FIRST_FAULTS: Final = ("dead_board", "hot_channels", "noisy_board", "dead_sector")  # those a newcomer sees at once


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens from ``start_s`` to ``end_s`` after the start: a fault, or a beam trip without one."""

    start_s: float
    end_s: float
    says: str
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """The schedule: what was asked for, and with ``beat_s`` a story that goes on for ever."""

    faults: Sequence[Fault] = ()
    trips: Sequence[tuple[float, float]] = ()  # start, length (s)
    plots: Sequence[str] = field(default_factory=lambda: tuple(PLOTS))
    seed: int = 1
    beat_s: float | None = None  # how long each of the story's events lasts; None: no story

    def events(self, start_s: float, end_s: float) -> Sequence[Event]:
        """Everything that goes on at some time in [start_s, end_s), in order of its beginning."""
        asked = [
            *(Event(fault.start_s, fault.end_s, _says(fault), fault) for fault in self.faults),
            *(Event(start, start + length, "beam trip") for start, length in self.trips),
        ]
        told = self._story(start_s, end_s)
        found = [event for event in (*asked, *told) if event.start_s < end_s and event.end_s > start_s]
        return sorted(found, key=lambda event: event.start_s)

    def faults_during(self, start_s: float, end_s: float) -> Sequence[Fault]:
        """The faults that an image filled over this time shows: those that lasted most of it."""
        faults = [event.fault for event in self.events(start_s, end_s) if event.fault is not None]
        return [fault for fault in faults if fault.lasts(start_s, end_s)]

    def trips_during(self, start_s: float, end_s: float) -> Sequence[tuple[float, float]]:
        """The beam trips that touch this time, as (start, end) in seconds."""
        return [(event.start_s, event.end_s) for event in self.events(start_s, end_s) if event.fault is None]

    def _story(self, start_s: float, end_s: float) -> Sequence[Event]:
        if self.beat_s is None or not self.plots:
            return ()
        pace = self.beat_s * (1 + REST)
        first = max(0, math.floor(start_s / pace) - 1)
        last = max(0, math.ceil(end_s / pace))
        return [self._chapter(n, REST * self.beat_s + n * pace, self.beat_s) for n in range(first, last)]

    def _chapter(self, n: int, start_s: float, length_s: float) -> Event:
        """In turn: one plot goes wrong, a detector dies with the beam on, the beam trips."""
        rng = np.random.default_rng([self.seed, n])
        turn, number = n % 3, int(rng.integers(1 << 31))
        if turn == 2:
            return Event(start_s, start_s + length_s, "beam trip")
        if turn == 1:
            owners = [PLOTS[plot].detector for plot in self.plots]
            several = sorted({owner for owner in owners if owners.count(owner) > 1}) or sorted(set(owners))
            at, name = f"{rng.choice(several)}_*", "empty"
        else:
            at, name = self._single(rng, first=n == 0)
        fault = Fault(name, at, seed=number, strength=0.8, start_s=start_s, length_s=length_s)
        return Event(start_s, start_s + length_s, _says(fault), fault)

    def _single(self, rng: np.random.Generator, *, first: bool) -> tuple[str, str]:
        choices = [
            (plot, name) for plot in self.plots for name in faults_of(plot) if FAULTS[name].meaning is Meaning.BAD
        ]
        plain = [choice for choice in choices if choice[1] in FIRST_FAULTS] if first else []
        pool = plain or choices
        return pool[int(rng.integers(len(pool)))]


def _says(fault: Fault) -> str:
    return f"{fault.at}: {FAULTS[fault.name].says}"
