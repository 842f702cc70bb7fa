"""The wire chambers of the simulated hall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from hydrad.sim.histograms import Axis, Groups, Histogram, Means, Rings, blocks, efficiencies, landau, peak
from hydrad.sim.panels import spectrum
from hydrad.sim.plots import PlotKind

CDC_RINGS: Final = (
    *(42, 42, 54, 54, 66, 66, 80, 80, 93, 93, 106, 106, 123, 123),
    *(135, 135, 146, 146, 158, 158, 170, 170, 182, 182, 197, 197, 209, 209),
)
CHANNELS_PER_BOARD: Final = 24


def plots() -> Sequence[PlotKind]:
    """All plots of the central, forward and sector drift chambers."""
    return (*_central(), *_forward(), *_sectors())


def _central() -> Sequence[PlotKind]:
    rings = Rings(CDC_RINGS, inner=10.5, outer=56.0)
    numbers = np.concatenate([np.full(n, ring) for ring, n in enumerate(CDC_RINGS)])
    turns = np.concatenate([np.arange(n) / n for n in CDC_RINGS])
    per_turn = np.array([round(2 * n / CHANNELS_PER_BOARD) for n in CDC_RINGS[::2]])  # a board serves a pair of rings
    first = np.concatenate([[0], np.cumsum(per_turn)[:-1]])
    pair = numbers // 2
    boards = first[pair] + np.floor(turns * per_turn[pair]).astype(int)
    hits = 420.0 * (12.0 / (10.5 + 1.625 * numbers)) ** 1.15 * (1 + 0.05 * np.cos(2 * np.pi * turns - 0.6))
    shape = (1, len(numbers))
    occupancy = Histogram(
        title="",
        x=Axis("x [cm]", -60, 60),
        y=Axis("y [cm]", -60, 60),
        means=hits.reshape(shape) * efficiencies("CDC_occupancy", shape, dead=6),
        boards=_row(boards),
        sectors=_row(np.floor(turns * 8)),
        bands=_row(numbers),
        rings=rings,
        dark=6,
    )
    bins = 120
    return (
        PlotKind("CDC_occupancy", "CDC hits per straw", (occupancy,), width=1000, height=920),
        PlotKind(
            "CDC_adc",
            "CDC pulse amplitude",
            (spectrum("", "amplitude", (0, 4096), landau(bins, 9, 3.2, 42000), gain=True, peak_bins=3.0, log=True),),
            width=900,
            height=640,
        ),
        PlotKind(
            "CDC_time",
            "CDC drift time",
            (spectrum("", "time [ns]", (-100, 1100), _drift_times(bins, 10, 70, 38000), peak_bins=2.0),),
            width=900,
            height=640,
        ),
        PlotKind(
            "CDC_multiplicity",
            "CDC hits per event",
            (spectrum("", "hits", (0, 400), _hits_per_event(100, 24.0, 9000), gain=True, peak_bins=7.0),),
            width=900,
            height=640,
        ),
    )


def _forward() -> Sequence[PlotKind]:
    wires, planes = 96, 6
    place = np.abs(np.arange(wires) - 47.5) / 48
    wire_maps, strip_maps, times = [], [], []
    for package in range(4):
        profile = 330.0 * np.exp(-2.2 * place) * (1.0 + 0.12 * package)
        profile[44:52] *= 0.35  # the wires near the beam are deadened
        wire_maps.append(
            _grid(
                f"package {package + 1} wires",
                "wire",
                "plane",
                profile * np.ones((planes, 1)),
                name=f"FDC_wires{package}",
            )
        )
        strips = np.repeat(330.0 * np.exp(-1.7 * place), 2) * np.ones((2 * planes, 1))
        strip_maps.append(_grid(f"package {package + 1} strips", "strip", "plane", strips, name=f"FDC_strips{package}"))
        times.append(
            spectrum(
                f"package {package + 1}", "time [ns]", (-100, 500), _drift_times(100, 16, 38, 16000 + 2500 * package),
                peak_bins=2.0,
            )
        )  # fmt: skip
    return (
        PlotKind("FDC_occupancy", "FDC occupancy", (*wire_maps, *strip_maps), width=1600, height=900, columns=4),
        PlotKind("FDC_time", "FDC drift time", tuple(times), width=1200, height=900, columns=2),
        PlotKind(
            "FDC_multiplicity",
            "FDC hits per event",
            (spectrum("", "hits", (0, 600), _hits_per_event(100, 20.0, 8500), gain=True, peak_bins=6.0),),
            width=900,
            height=640,
        ),
    )


def _sectors() -> Sequence[PlotKind]:
    layers, wires = 36, 112
    maps, times = [], []
    for sector in range(6):
        layer, wire = np.indices((layers, wires))
        hits = np.where(layer < 12, 120.0, 46.0) * np.exp(-wire / np.where(layer < 12, 60.0, 45.0))
        hits = hits * (1 + 0.4 * np.exp(-0.5 * ((wire - 13) / 7.0) ** 2)) + 1.2
        shape = (layers, wires)
        maps.append(
            Histogram(
                title=f"sector {sector + 1}",
                x=Axis("wire", 0, wires),
                y=Axis("layer", 0, layers),
                means=hits * efficiencies(f"DC_occupancy{sector}", shape, dead=4),
                boards=blocks(shape, 6, 16),
                sectors=blocks(shape, 6, wires),
                bands=blocks(shape, 2, wires),
                log=True,
                dark=3,
            )
        )
        times.append(
            spectrum(f"sector {sector + 1}", "TDC [ns]", (0, 1200), _drift_times(90, 18, 30, 12000), peak_bins=2.0)
        )
    return (
        PlotKind("DC_occupancy", "DC occupancy", tuple(maps), width=1378, height=636, columns=2, style="grey"),
        PlotKind("DC_time", "DC time", tuple(times), width=1378, height=636, columns=3, style="grey"),
    )


def _row(values: npt.NDArray[np.generic]) -> Groups:
    return values.astype(np.int32).reshape(1, -1)


def _grid(title: str, x: str, y: str, hits: Means, *, name: str) -> Histogram:
    shape = (hits.shape[0], hits.shape[1])
    return Histogram(
        title=title,
        x=Axis(x, 0, shape[1]),
        y=Axis(y, 0.5, shape[0] + 0.5),
        means=hits * efficiencies(name, shape, dead=1),
        boards=blocks(shape, 1, CHANNELS_PER_BOARD),
        sectors=blocks(shape, 1, shape[1]),
        bands=blocks(shape, shape[0], 8),
        dark=1,
    )


def _drift_times(bins: int, start: float, length: float, area: float) -> Means:
    """Rises at once, falls slowly: the drift times of a cell; all in bins."""
    places = np.arange(bins) + 0.5
    rise = 1 / (1 + np.exp(-(places - start) / 1.0))
    fall = np.exp(-np.clip(places - start, 0, None) / (0.42 * length)) / (1 + np.exp((places - start - length) / 2.0))
    shape: Means = rise * fall + 0.012
    return shape * (area / float(shape.sum()))


def _hits_per_event(bins: int, mode: float, area: float) -> Means:
    return landau(bins, mode, 0.3 * mode, 0.9 * area) + peak(bins, 1.0, 1.5, 0.1 * area)
