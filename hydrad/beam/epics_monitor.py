"""The beam as EPICS has it, from PVs that may vanish, freeze, or never change."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from hydrad import log
from hydrad.beam.timeline import Timeline
from hydrad.config import EpicsBeam, FixedBeam
from hydrad.domain import Beam, BeamState
from hydrad.epics.calendar import Calendar
from hydrad.epics.listening import Listening, Reading
from hydrad.errors import HydradError

TICK_S = 0.5  # how soon it is in the log that a PV gave no sign of life

_log = log.get("beam")


class EpicsBeamMonitor:
    """Follows the configured PVs; one that gives no sign of life for ``stale_s`` makes the beam UNKNOWN."""

    def __init__(
        self,
        section: EpicsBeam,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._section = section
        self._clock = clock
        self._wall = wall
        self._calendar = Calendar(clock, wall)
        self._timeline = Timeline(section, clock())
        self._listening = Listening("beam", self._timeline.names, stale_s=section.stale_s, clock=clock)

    def __enter__(self) -> Self:
        """Connect, from the event loop's thread; the first to do so in a process should be its main thread.

        Raises:
            ConfigurationError: when pyepics is not installed, libca cannot be loaded, or no PV can have such a name.
        """
        self._listening.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._listening.__exit__(kind, fault, at)
        self._catch_up()
        for name in self._timeline.names:
            self._timeline.lost(name, "is no longer watched", self._clock())

    @property
    def section(self) -> EpicsBeam | FixedBeam:
        """What the configuration says; another's limits hold from now on, ``on_above`` among them."""
        return self._section

    @section.setter
    def section(self, section: EpicsBeam | FixedBeam) -> None:
        if not isinstance(section, EpicsBeam):
            raise TypeError(f"a beam of EPICS is not {section.kind}")
        self._section = section
        self._catch_up()
        self._timeline.limit(section, self._clock())

    @property
    def on_above(self) -> float:
        """The current that means beam, in ``units``; may be set while running, ChangeRefused if it makes no sense."""
        return self._timeline.on_above

    @on_above.setter
    def on_above(self, current: float) -> None:
        self._catch_up()
        self._timeline.set_on_above(current, self._clock())

    def now(self) -> Beam:
        """The last reading and its state; ``read_at`` is when it was made or last confirmed."""
        self._catch_up()
        beam = self._timeline.at(self._clock())
        return replace(
            beam,
            read_at=self._date(self._timeline.read_at_s()),
            since=self._date(self._timeline.back_at_s()),
        )

    def during(self, start: datetime, end: datetime) -> Beam:
        """The state that held longest over [start, end] (aware), the mean current; ``read_at`` is the end.

        Raises:
            ValueError: when the end lies before the start.
        """
        self._catch_up()
        start_s, end_s = map(self._calendar.instant, (start, end))
        return replace(self._timeline.over(start_s, end_s, self._clock()), read_at=min(end, self._wall()))

    async def run(self) -> None:
        """Log when the beam comes, goes or is lost, for ever.

        Raises:
            HydradError: when the thread that asks the PVs has ended.
        """
        said: tuple[BeamState, str] | None = None
        while True:
            if not self._listening.alive:
                raise HydradError("the thread that asks the beam PVs has ended")
            beam = self.now()
            # The reason of a beam that is off has its current in it.
            saying = beam.state, beam.reason if beam.state is BeamState.UNKNOWN else ""
            if saying != said:
                said = saying
                tell = _log.warning if beam.state is BeamState.UNKNOWN else _log.info
                tell(f"beam_{beam.state.name.lower()}", current=beam.current, units=beam.units, reason=beam.reason)
            await self._listening.wait(TICK_S)

    def _catch_up(self) -> None:
        """Take in what was heard since; whoever asks first does it, so that nobody is told yesterday's beam."""
        for item in self._listening.heard():
            if isinstance(item, Reading):
                self._timeline.read(item.name, float(item.value), item.severity, item.at_s)
            else:
                self._timeline.lost(item.name, item.trouble, item.at_s)

    def _date(self, instant_s: float | None) -> datetime | None:
        return None if instant_s is None else self._calendar.date(instant_s)
