"""The calorimeters of the simulated hall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hydrad.sim.histograms import Axis, Groups, Histogram, blocks, efficiencies, landau, tail
from hydrad.sim.panels import amplitudes, few, time_peak
from hydrad.sim.plots import PlotKind


def plots() -> Sequence[PlotKind]:
    """All plots of the barrel and the forward calorimeter."""
    return (*_barrel(), *_forward())


def _barrel() -> Sequence[PlotKind]:
    layers, sectors = 4, 192
    ends, times = [], []
    for end in ("upstream", "downstream"):
        shape = (layers, sectors)
        turn = np.arange(sectors) / sectors
        hits = np.array([260.0, 190.0, 120.0, 62.0])[:, None] * (1 + 0.06 * np.cos(2 * np.pi * turn + 1.1))
        if end == "downstream":
            hits = hits * 1.25
        ends.append(
            Histogram(
                title=f"BCAL hits, {end}",
                x=Axis("sector", 0, sectors),
                y=Axis("layer", 0.5, layers + 0.5),
                means=hits * efficiencies(f"BCAL_occupancy{end}", shape, dead=1),
                boards=blocks(shape, layers, 4),
                sectors=blocks(shape, layers, 24),
                bands=blocks(shape, 1, 32),
                dark=2,
            )
        )
        times.append(time_peak(f"BCAL time, {end}", (-60, 60), 120, 1.9, 14000, flat=0.14))
    energy = tail(120, 13, 26000) + landau(120, 5, 1.6, 9000)
    return (
        PlotKind("BCAL_occupancy", "BCAL occupancy", tuple(ends), width=1200, height=800),
        PlotKind("BCAL_adc", "BCAL pulse integral", (amplitudes("", energy, 4.0),), width=900, height=640),
        PlotKind("BCAL_timing", "BCAL time", tuple(times), width=1200, height=600, columns=2),
        PlotKind(
            "BCAL_multiplicity", "BCAL showers per event", (few("showers", 30, 6.0, 9000),), width=900, height=640
        ),
    )


def _forward() -> Sequence[PlotKind]:
    side = 59
    row, column = np.indices((side, side)) - side // 2
    radius = np.hypot(row, column)
    there = (radius < 29.6) & (np.maximum(abs(row), abs(column)) > 1)
    hits = np.where(there, 1500.0 * (radius + 2.5) ** -1.15 + 8.0, 0.0)
    shape = (side, side)
    hit_map = Histogram(
        title="",
        x=Axis("column", -29.5, 29.5),
        y=Axis("row", -29.5, 29.5),
        means=hits * efficiencies("FCAL_map", shape, spread=0.07, dead=4),
        boards=_full(blocks(shape, 4, 4), there, 8),
        sectors=_full(blocks(shape, 15, 15), there, 60),
        bands=_full(blocks(shape, 1, side), there, 20),
        log=True,
        dark=5,
    )
    spectrum = tail(120, 17, 24000) + landau(120, 8, 2.2, 5000)
    return (
        PlotKind("FCAL_map", "FCAL hits", (hit_map,), width=980, height=900),
        PlotKind("FCAL_adc", "FCAL pulse peak", (amplitudes("", spectrum, 5.0),), width=900, height=640),
        PlotKind(
            "FCAL_timing", "FCAL time", (time_peak("", (-40, 40), 160, 2.6, 21000, flat=0.1),), width=900, height=640
        ),
        PlotKind(
            "FCAL_multiplicity", "FCAL clusters per event", (few("clusters", 24, 4.0, 9500),), width=900, height=640
        ),
    )


def _full(groups: Groups, there: npt.NDArray[np.bool_], least: int) -> Groups:
    """The groups with at least so many channels; the fragments at the rim belong to none."""
    sizes = np.bincount(groups[there], minlength=int(groups.max()) + 1)
    return np.where(sizes[groups] >= least, groups, -1).astype(np.int32)
