"""The pipeline's own pulse: how many images a second, how late, where their time goes, and whether it has stopped."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hydrad.domain import Health, Timing

WINDOW_S = 60.0
STAGES = ("wait", "read", "classify", "judge", "tell", "keep")  # of an image's way through the house
STALLED_AFTER_S = 30.0  # a part that shows no sign of life for this long has stopped


class Pulse:
    """Counts judged images over the last minute, and times the stages of their way."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beats: deque[tuple[float, float]] = deque()
        self._spent: dict[str, deque[tuple[float, float]]] = {name: deque() for name in STAGES}

    def beat(self, latency_s: float) -> None:
        """One image has become a verdict, ``latency_s`` after it came to rest."""
        self._beats.append((self._clock(), latency_s))
        self._forget()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what an image goes through here; what fails is not counted."""
        began = self._clock()
        yield
        self.spent(name, self._clock() - began)

    def spent(self, name: str, took_s: float) -> None:
        """An image was in this stage for so long; a clock that was set back makes it 0."""
        now = self._clock()
        self._spent[name].append((now, max(0.0, took_s)))
        _forget(self._spent[name], now - WINDOW_S)

    @property
    def stages(self) -> Mapping[str, Timing]:
        """Of the last minute, in the order of the way; without those that no image went through."""
        for spent in self._spent.values():
            _forget(spent, self._clock() - WINDOW_S)
        return {
            name: Timing(_quantile(0.5, took_s), _quantile(0.99, took_s))
            for name, spent in self._spent.items()
            if (took_s := sorted(took_s for _, took_s in spent))
        }

    @property
    def images_per_s(self) -> float:
        """Over the last minute."""
        self._forget()
        return len(self._beats) / WINDOW_S

    @property
    def latency_s(self) -> float:
        """99th percentile over the last minute; 0.0 when there was no image."""
        self._forget()
        return _quantile(0.99, sorted(latency for _, latency in self._beats))

    @property
    def last_beat(self) -> float | None:
        """``time.monotonic()`` of the newest verdict of the last minute."""
        return self._beats[-1][0] if self._beats else None

    def _forget(self) -> None:
        _forget(self._beats, self._clock() - WINDOW_S)


def _forget(timed: deque[tuple[float, float]], horizon: float) -> None:
    while timed and timed[0][0] < horizon:
        timed.popleft()


def _quantile(share: float, ordered: Sequence[float]) -> float:
    """The least of these that so large a share does not exceed; 0.0 where there are none."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else 0.0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How the pipeline is, and why if it is not well."""

    health: Health
    why: str = ""
    silent: Sequence[str] = ()  # parts that show no sign of life


def diagnose(
    now: float,
    ticked_at: Mapping[str, float],
    *,
    troubles: Mapping[str, bool],
    stuck_for_s: float,
    nothing_for_s: float = 0.0,
    stalled_after_s: float = STALLED_AFTER_S,
) -> Diagnosis:
    """Judge the pipeline by its own progress.

    Args:
        now: ``time.monotonic()``.
        ticked_at: the last sign of life of each part that must keep ticking, by its name.
        troubles: what is wrong though work goes on, by what one says about it.
        stuck_for_s: how long files have waited without one of them being judged.
        nothing_for_s: how long neither a canary that should have come out nor any other image was judged.
        stalled_after_s: how long a part may be silent.
    """
    silent = [name for name, at in ticked_at.items() if now - at > stalled_after_s]
    if silent:
        return Diagnosis(Health.STALLED, f"no sign of life from {', '.join(silent)}", silent)
    if stuck_for_s > STALLED_AFTER_S:
        return Diagnosis(Health.STALLED, f"files wait, and none was judged for {stuck_for_s:.0f} s")
    if nothing_for_s > STALLED_AFTER_S:
        return Diagnosis(Health.STALLED, f"no image was judged for {nothing_for_s:.0f} s, nor the canary that was sent")
    wrong = [words for words, is_so in troubles.items() if is_so]
    return Diagnosis(Health.DEGRADED, "; ".join(wrong)) if wrong else Diagnosis(Health.OK)
