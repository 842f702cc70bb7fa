"""The simulated hall: ask it for any of its plots, with any faults, at any beam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from hydrad.domain import Pixels
from hydrad.errors import ConfigurationError
from hydrad.sim import calorimeters, canvas, counters, effects, trackers
from hydrad.sim.faults import Fault
from hydrad.sim.histograms import Counts, Drift, sample
from hydrad.sim.plots import PlotKind

PLOTS: Final[Mapping[str, PlotKind]] = MappingProxyType(
    {plot.name: plot for plot in (*trackers.plots(), *calorimeters.plots(), *counters.plots())}
)


def render(
    plot: str,
    *,
    seed: int,
    faults: Sequence[Fault] = (),
    beam: float = 1.0,
    run: int = 1,
    statistics: float = 1.0,
) -> Pixels:
    """One image of a plot as its producer would draw it: uint8 RGB, shape (height, width, 3).

    Equal arguments give equal pixels. Faults that are about other plots, or make no sense for this one, are ignored,
    so that ``Fault("empty", at="CDC_*")`` can be handed to all of them.

    Args:
        seed: of this image's statistics.
        beam: share of the usual beam, 0 to 1; at 0 only a handful of noise counts is left.
        run: run number; a run differs a little from the next in rates and calibrations.
        statistics: how long the image filled, in units of the usual time.

    Raises:
        KeyError: when the hall has no such plot.
    """
    return canvas.draw(
        PLOTS[plot], counts(plot, seed=seed, faults=faults, beam=beam, run=run, statistics=statistics), f"Run {run}"
    )


def counts(
    plot: str,
    *,
    seed: int,
    faults: Sequence[Fault] = (),
    beam: float = 1.0,
    run: int = 1,
    statistics: float = 1.0,
) -> tuple[Counts, ...]:
    """The counts that :func:`render` draws with the same arguments, one array (rows, columns) per panel."""
    kind = PLOTS[plot]
    drift = Drift.of(run, plot)
    rng = _rng(plot, seed, run)
    values = tuple(sample(histogram, rng, drift, beam * statistics) for histogram in kind.histograms)
    for n, fault in enumerate(faults):
        if concerns(fault, plot):
            values = effects.apply(kind, fault, values, _rng(plot, seed, run, n + 1))
    return values


def faults_of(plot: str) -> Sequence[str]:
    """The names of the faults that make sense for a plot; see :data:`hydrad.sim.faults.FAULTS`."""
    return effects.possible(PLOTS[plot])


def places(plot: str, fault: str) -> int:
    """How many boards, sectors, bands or panels of a plot a fault can strike: ``Fault.where`` is below it."""
    return effects.places(PLOTS[plot], fault)


def concerns(fault: Fault, plot: str) -> bool:
    """Whether a fault changes a plot of the hall."""
    return fault.hits(plot) and fault.name in effects.possible(PLOTS[plot])


def plots_of(fault: Fault) -> Sequence[str]:
    """The plots a fault changes.

    Raises:
        ConfigurationError: when there are none.
    """
    found = [plot for plot in PLOTS if concerns(fault, plot)]
    if found:
        return found
    named = [plot for plot in PLOTS if fault.hits(plot)]
    if not named:
        raise ConfigurationError(f"--fault: no plot is called {fault.at!r}; there are {', '.join(PLOTS)}")
    possible = sorted({name for plot in named for name in effects.possible(PLOTS[plot])})
    raise ConfigurationError(f"--fault: {fault.at} knows no {fault.name}, only {', '.join(possible)}")


def marked(plot: str, fault: Fault) -> npt.NDArray[np.bool_]:
    """The pixels that show what a fault changes, bool of shape (height, width): where a heatmap should point."""
    kind = PLOTS[plot]
    return canvas.shown(kind, effects.touched(kind, fault))


def _rng(plot: str, *seeds: int) -> np.random.Generator:
    return np.random.default_rng([crc32(plot.encode()), *seeds])
