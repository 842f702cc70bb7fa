"""Runs as EPICS has them, from PVs that stand still for hours and may vanish or freeze."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from hydrad import log
from hydrad.config import EpicsRun
from hydrad.domain import Run
from hydrad.epics.calendar import Calendar
from hydrad.epics.listening import Listening, Reading
from hydrad.errors import HydradError
from hydrad.runs.timeline import Timeline

TICK_S = 0.5  # how soon it is in the log that a PV gave no sign of life

_log = log.get("runs")


class EpicsRunMonitor:
    """Follows the configured PVs; what gives no sign of life for ``stale_s`` is not known, and masks nothing."""

    def __init__(
        self,
        section: EpicsRun,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._calendar = Calendar(clock, wall)
        self._timeline = Timeline(section, clock())
        self._listening = Listening("run", self._timeline.names, stale_s=section.stale_s, text=True, clock=clock)
        self._contradicted = ""

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

    def now(self) -> Run:
        """The run that is going, with what could not be read as its reason."""
        self._catch_up()
        run, due_s = self._timeline.at(self._clock()), self._timeline.due_since_s()
        return replace(run, since=None if due_s is None else self._calendar.date(due_s))

    def during(self, start: datetime, end: datetime, number: int | None) -> Run:
        """The run that an image belongs to which filled over [start, end] (aware); ``number`` is what its path says."""
        self._catch_up()
        start_s, end_s = map(self._calendar.instant, (start, end))
        run = self._timeline.of(number, start_s, end_s, self._clock())
        if run.reason and run.reason != self._contradicted:
            self._contradicted = run.reason
            _log.warning("run_contradicted", why=run.reason, so="the path is believed")
        return run

    async def run(self) -> None:
        """Log when runs begin, end or are lost, for ever.

        Raises:
            HydradError: when the thread that asks the PVs has ended.
        """
        said: Run | None = None
        while True:
            if not self._listening.alive:
                raise HydradError("the thread that asks the run PVs has ended")
            run = replace(self.now(), since=None)
            if run != said:
                said = run
                tell = _log.warning if run.reason else _log.info
                tell(
                    f"run_{run.state.name.lower()}",
                    number=run.number,
                    type=run.type,
                    masked=run.masked,
                    reason=run.reason,
                )
            await self._listening.wait(TICK_S)

    def _catch_up(self) -> None:
        """Take in what was heard since; whoever asks first does it, so that nobody is told yesterday's run."""
        for item in self._listening.heard():
            if isinstance(item, Reading):
                self._timeline.read(item.name, str(item.value), item.severity, item.at_s)
            else:
                self._timeline.lost(item.name, item.trouble, item.at_s)
