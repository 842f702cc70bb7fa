"""Is a run going, which one, and of what type? From PVs where the lab has them, else from the images' paths."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol, Self

from hydrad.config import EpicsRun, PathRun
from hydrad.ports import RunMonitor
from hydrad.runs.by_path import PathRunMonitor
from hydrad.runs.epics_monitor import EpicsRunMonitor


class Watch(RunMonitor, AbstractContextManager["Watch"], Protocol):
    """A run monitor as the daemon lives with it: entered inside the event loop, with a task that runs for ever."""

    def __enter__(self) -> Self:
        """Begin to watch."""
        ...

    async def run(self) -> None:
        """Never return; raise HydradError when watching has become impossible."""
        ...


def monitor(section: EpicsRun | PathRun) -> Watch:
    """The monitor that the configuration asks for."""
    match section:
        case EpicsRun():
            return EpicsRunMonitor(section)
        case PathRun():
            return PathRunMonitor()
