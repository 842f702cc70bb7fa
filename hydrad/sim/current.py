"""The beam current over time: steady with noise, gone in a trip, back on a ramp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hydrad.sim.story import Scenario

STEP_S: Final = 0.05  # of the integral over an image's time
RAMP_S: Final = 2.0
SLOW_NOISE: Final = 0.02
FAST_NOISE: Final = 0.008
ELECTRONICS: Final = 0.0005  # of the nominal current, read without beam


@dataclass(frozen=True, slots=True)
class BeamCourse:
    """The current a scenario gives; equal seeds give equal currents."""

    scenario: Scenario
    nominal: float = 200.0  # in the hall's units
    seed: int = 1

    def share(self, at_s: float) -> float:
        """The beam at a time since the start, as a share of the nominal current without its noise, 0 to 1."""
        return float(self._shares(np.array([at_s]))[0])

    def filled(self, start_s: float, end_s: float) -> float:
        """The mean of :meth:`share` from ``start_s`` to ``end_s``: how full an image of that time is."""
        steps = max(1, round((end_s - start_s) / STEP_S))
        return float(self._shares(start_s + (np.arange(steps) + 0.5) * (end_s - start_s) / steps).mean())

    def _shares(self, times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        shares = np.ones(times_s.shape)
        for start, end in self.scenario.trips_during(float(times_s[0]) - RAMP_S, float(times_s[-1]) + STEP_S):
            since = np.where(times_s < start, np.inf, times_s - end)
            shares = np.minimum(shares, np.clip(since / RAMP_S, 0.0, 1.0))
        return shares

    def current(self, at_s: float) -> float:
        """What the beam-current monitor reads, in the hall's units; never negative."""
        rng = np.random.default_rng([self.seed, int(max(0.0, at_s) * 1000)])
        slow = SLOW_NOISE * np.sin(2 * np.pi * (at_s / 47.0 + 0.618 * self.seed))
        share = self.share(at_s) * (1 + slow + FAST_NOISE * rng.normal()) + ELECTRONICS * abs(rng.normal())
        return float(max(0.0, share) * self.nominal)
