"""The pipeline's own pulse: how many images a second, how late, and whether anything has stopped."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hydrad.domain import Health

WINDOW_S = 60.0
STALLED_AFTER_S = 30.0  # a part that shows no sign of life for this long has stopped


class Pulse:
    """Counts judged images over the last minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beats: deque[tuple[float, float]] = deque()

    def beat(self, latency_s: float) -> None:
        """One image has become a verdict, ``latency_s`` after it came to rest."""
        self._beats.append((self._clock(), latency_s))
        self._forget()

    @property
    def images_per_s(self) -> float:
        """Over the last minute."""
        self._forget()
        return len(self._beats) / WINDOW_S

    @property
    def latency_s(self) -> float:
        """99th percentile over the last minute; 0.0 when there was no image."""
        self._forget()
        latencies = sorted(latency for _, latency in self._beats)
        return latencies[math.ceil(0.99 * len(latencies)) - 1] if latencies else 0.0

    @property
    def last_beat(self) -> float | None:
        """``time.monotonic()`` of the newest verdict of the last minute."""
        return self._beats[-1][0] if self._beats else None

    def _forget(self) -> None:
        horizon = self._clock() - WINDOW_S
        while self._beats and self._beats[0][0] < horizon:
            self._beats.popleft()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How the pipeline is, and why if it is not well."""

    health: Health
    why: str = ""


def diagnose(
    now: float, ticked_at: Mapping[str, float], *, troubles: Mapping[str, bool], stuck_for_s: float
) -> Diagnosis:
    """Judge the pipeline by its own progress.

    Args:
        now: ``time.monotonic()``.
        ticked_at: the last sign of life of each part that must keep ticking, by its name.
        troubles: what is wrong though work goes on, by what one says about it.
        stuck_for_s: how long files have waited without one of them being judged.
    """
    silent = [name for name, at in ticked_at.items() if now - at > STALLED_AFTER_S]
    if silent:
        return Diagnosis(Health.STALLED, f"no sign of life from {', '.join(silent)}")
    if stuck_for_s > STALLED_AFTER_S:
        return Diagnosis(Health.STALLED, f"files wait, and none was judged for {stuck_for_s:.0f} s")
    wrong = [words for words, is_so in troubles.items() if is_so]
    return Diagnosis(Health.DEGRADED, "; ".join(wrong)) if wrong else Diagnosis(Health.OK)
