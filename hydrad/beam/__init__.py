"""Is there beam? From EPICS, or fixed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol, Self

from hydrad.beam.epics_monitor import EpicsBeamMonitor
from hydrad.beam.fixed import FixedBeamMonitor
from hydrad.config import EpicsBeam, FixedBeam
from hydrad.ports import BeamMonitor


class Watch(BeamMonitor, AbstractContextManager["Watch"], Protocol):
    """A beam monitor as the daemon lives with it: entered inside the event loop, with a task that runs for ever."""

    section: EpicsBeam | FixedBeam  # by which it judges; one of the same kind may take its place while it runs

    def __enter__(self) -> Self:
        """Begin to watch."""
        ...

    async def run(self) -> None:
        """Never return; raise HydradError when watching has become impossible."""
        ...


def monitor(section: EpicsBeam | FixedBeam) -> Watch:
    """The monitor that the configuration asks for."""
    match section:
        case EpicsBeam():
            return EpicsBeamMonitor(section)
        case FixedBeam():
            return FixedBeamMonitor(section)
