"""A plot of the simulated hall: a canvas of one or more histograms, drawn in one of two styles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hydrad.sim.histograms import Histogram


@dataclass(frozen=True, slots=True, eq=False)
class PlotKind:
    """One named canvas.

    ``style`` "white" has a statistics box and white grounds, "grey" grey grounds and no box: the two that halls use.
    """

    name: str  # DET_what
    title: str
    histograms: tuple[Histogram, ...]
    width: int = 1200  # pixels
    height: int = 800  # pixels
    columns: int = 1  # of panels
    style: Literal["white", "grey"] = "white"

    @property
    def detector(self) -> str:
        """The part of the name before the first ``_``."""
        return self.name.split("_", 1)[0]

    @property
    def rows(self) -> int:
        """Rows of panels."""
        return -(-len(self.histograms) // self.columns)
