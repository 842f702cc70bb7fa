"""A beam that never changes, for tests and benches."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from hydrad.beam.rule import Limits, threshold
from hydrad.config import EpicsBeam, FixedBeam
from hydrad.domain import Beam, BeamState


class FixedBeamMonitor:
    """Reads the same current at any time, however long ago."""

    def __init__(self, section: FixedBeam) -> None:
        self.section = section

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        return None

    @property
    def section(self) -> EpicsBeam | FixedBeam:
        """What the configuration says; another takes ``on_above`` back to what it says."""
        return self._section

    @section.setter
    def section(self, section: EpicsBeam | FixedBeam) -> None:
        if not isinstance(section, FixedBeam):
            raise TypeError(f"a fixed beam is not {section.kind}")
        self._section = section
        self._current = section.current
        self._units = section.units
        self._on_above = section.on_above

    @property
    def on_above(self) -> float:
        """The current that means beam, in ``units``; may be set at any time, ChangeRefused if it makes no sense."""
        return self._on_above

    @on_above.setter
    def on_above(self, current: float) -> None:
        self._on_above = threshold(current, self._units)

    def now(self) -> Beam:
        """ON from ``on_above``, else OFF."""
        return self._at(datetime.now(UTC))

    def during(self, start: datetime, end: datetime) -> Beam:
        """The same as now."""
        if end < start:
            raise ValueError("the end of a stretch of time lies before its start")
        return self._at(min(end, datetime.now(UTC)))

    async def run(self) -> None:
        """Nothing to do, for ever."""
        await asyncio.Event().wait()

    def _at(self, moment: datetime) -> Beam:
        if self._current >= self._on_above:
            return Beam(BeamState.ON, self._current, self._units, moment)
        reason = Limits(self._on_above, self._on_above, self._units).low(self._current)
        return Beam(BeamState.OFF, self._current, self._units, moment, reason)
