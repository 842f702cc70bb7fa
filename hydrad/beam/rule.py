"""What counts as beam: the least current, its two thresholds, the noise ceiling and the permit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from hydrad.config import EpicsBeam
from hydrad.domain import BeamState
from hydrad.epics.source import Source
from hydrad.errors import ChangeRefused


@dataclass(slots=True)
class Current(Source[float]):
    """A PV that reads a number."""

    value: float = math.nan

    def take(self, value: float, severity: int, at_s: float) -> None:
        """A reading came in; INVALID or not a number is as good as none."""
        Source.take(self, value, severity, at_s)
        if not self.trouble and not math.isfinite(value):
            self.trouble = f"reads {value:g}, which is no current"


@dataclass(frozen=True, slots=True)
class Limits:
    """Thresholds as they were when something was judged by them, in ``units``."""

    on_above: float
    off_below: float
    units: str

    def low(self, current: float) -> str:
        """Why this current is not beam, in words."""
        if current < self.off_below:
            return f"beam {current:.3g} {self.units}, off below {self.off_below:g}"
        return f"beam {current:.3g} {self.units}, on above {self.on_above:g}"


def threshold(current: float, units: str, noise_above: float | None = None) -> float:
    """The current, if it can be the one that means beam.

    Raises:
        ChangeRefused: when it is not positive and finite, or not below the noise ceiling.
    """
    if not (math.isfinite(current) and current > 0):
        raise ChangeRefused(f"the beam threshold must be a positive number of {units}, not {current:g}")
    if noise_above is not None and current >= noise_above:
        raise ChangeRefused(f"the beam threshold must stay below {noise_above:g} {units}: readings above are noise")
    return current


@dataclass(frozen=True, slots=True)
class Judged:
    """The beam at an instant: ``current`` is None when UNKNOWN; ``why`` is empty where the limits say it all."""

    state: BeamState
    current: float | None
    why: str
    limits: Limits = field(repr=False)

    def reason(self, current: float | None) -> str:
        """Why it is UNKNOWN or OFF, in words, with ``current`` as the figure; empty when ON."""
        if self.why or self.state is not BeamState.OFF or current is None:
            return self.why
        return self.limits.low(current)


class BeamRule:
    """ON from ``on_above``, OFF below ``off_below``, and between the two what it was."""

    def __init__(self, section: EpicsBeam) -> None:
        self._permit_value = section.permit_value
        self._units = section.units
        self._was_on = False
        self.limit(section)

    def limit(self, section: EpicsBeam) -> None:
        """Take the limits of a section, and judge afresh: between the two the beam is OFF then."""
        self._ratio = section.off_below / section.on_above
        self._noise_above = section.noise_above
        self._limits = Limits(section.on_above, section.off_below, self._units)
        self._was_on = False

    @property
    def on_above(self) -> float:
        """The current that means beam, in ``units``.

        Setting it moves ``off_below`` in proportion and judges afresh: between the two the beam is OFF then. Raises
        ChangeRefused as :func:`threshold` does.
        """
        return self._limits.on_above

    @on_above.setter
    def on_above(self, current: float) -> None:
        current = threshold(current, self._units, self._noise_above)
        if current != self._limits.on_above:
            self._limits = Limits(current, current * self._ratio, self._units)
            self._was_on = False

    def judge(self, beams: Sequence[Current], permit: Current | None) -> Judged:
        """The state that the sources stand for now. Whatever cannot be trusted makes it UNKNOWN, never OFF."""
        for source in (*beams, permit) if permit is not None else beams:
            if source.trouble:
                return self._unknown(f"{source.label} {source.trouble}")
        current = min(source.value for source in beams)
        if permit is not None and permit.value != self._permit_value:
            # Without permit the reading is electronic noise, however high.
            self._was_on = False
            return Judged(
                BeamState.OFF,
                current,
                f"no beam permit: {permit.label} is {permit.value:g}, not {self._permit_value:g}",
                self._limits,
            )
        for source in beams:
            if self._noise_above is not None and source.value > self._noise_above:
                return self._unknown(f"{source.label} reads above {self._noise_above:g} {self._units}, which is noise")
        self._was_on = current >= (self._limits.off_below if self._was_on else self._limits.on_above)
        return Judged(BeamState.ON if self._was_on else BeamState.OFF, current, "", self._limits)

    def _unknown(self, why: str) -> Judged:
        return Judged(BeamState.UNKNOWN, None, why, self._limits)
