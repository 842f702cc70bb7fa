"""Is it flat? A figure sampled over hours, the line through it, and how much of a rise is still called none."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowance:
    """How far a figure may rise while it is watched: by a share of its median, or by so much, if that is more."""

    share: float
    at_least: float

    def of(self, median: float) -> float:
        """In the figure's own unit."""
        return max(self.share * median, self.at_least)


@dataclass(frozen=True, slots=True)
class Course:
    """How a figure went after the warm-up."""

    first: float  # median of the first tenth
    last: float  # median of the last tenth
    median: float
    most: float
    per_s: float  # slope
    rise: float  # slope times duration
    allowed: float

    @property
    def flat(self) -> bool:
        """False if it rose by more than is allowed."""
        return self.rise <= self.allowed


def course(samples: Sequence[tuple[float, float]], allowance: Allowance) -> Course:
    """The course of (seconds, figure) samples, in the order of time.

    The slope is the median of the slopes between samples (Theil, 1950; Sen, 1968): a spike, or a tooth of a saw, does
    not bend it.

    Raises:
        ValueError: there are fewer than three samples.
    """
    if len(samples) < 3:
        raise ValueError(f"{len(samples)} samples say nothing of a slope")
    figures = [figure for _, figure in samples]
    tenth = max(1, len(figures) // 10)
    median = statistics.median(figures)
    per_s = _slope(samples)
    return Course(
        first=statistics.median(figures[:tenth]),
        last=statistics.median(figures[-tenth:]),
        median=median,
        most=max(figures),
        per_s=per_s,
        rise=per_s * (samples[-1][0] - samples[0][0]),
        allowed=allowance.of(median),
    )


def _slope(samples: Sequence[tuple[float, float]]) -> float:
    step = max(1, len(samples) // 300)  # of more, the pairs would be millions
    pairs = itertools.combinations(samples[::step], 2)
    return statistics.median((late - early) / (end - begin) for (begin, early), (end, late) in pairs if end > begin)
