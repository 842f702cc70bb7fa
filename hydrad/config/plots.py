"""How plots are judged, and where a detector's differ."""

from __future__ import annotations

from fnmatch import fnmatchcase

from pydantic import Field

from hydrad.config.section import Section
from hydrad.config.values import Count, Flag, Positive, Window


class PlotDefaults(Section):
    """How plots are judged where nothing else is said."""

    needs_beam: Flag = True
    stale_s: Positive = 120
    on_delay: Count = 2
    off_delay: Count = 2
    on_window: Window = 0
    off_window: Window = 0
    flood_above: Count = 10


class Detector(Section):
    """A subsystem: its plots, whom to call, what to do, and where its plots differ from the defaults."""

    name: str = Field(min_length=1, max_length=40)
    plots: tuple[str, ...] = ()
    expert: str = ""
    guidance: str = ""
    needs_beam: Flag | None = None
    stale_s: Positive | None = None
    on_delay: Count | None = None
    off_delay: Count | None = None
    on_window: Window | None = None
    off_window: Window | None = None
    flood_above: Count | None = None

    def claims(self, plot: str) -> bool:
        """True if one of the patterns fits; without patterns, those named after the detector."""
        patterns = self.plots or (self.name, f"{self.name}_*")
        return any(fnmatchcase(plot, pattern) for pattern in patterns)
