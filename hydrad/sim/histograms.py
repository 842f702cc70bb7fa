"""A histogram before it is drawn: what each channel counts on average, and what it counted this time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal
from zlib import crc32

import numpy as np
import numpy.typing as npt

Means = npt.NDArray[np.float64]  # shape (rows, columns)
Counts = npt.NDArray[np.int64]  # shape (rows, columns); one row for a one-dimensional histogram
Groups = npt.NDArray[np.int32]  # shape (rows, columns): the group each channel belongs to, -1 for none

HALL_SEED: Final = 2718  # efficiencies and dead channels are the hall's own, the same in every image
RUN_RATE_SPREAD: Final = 0.03
RUN_TILT_SPREAD: Final = 0.04
RUN_SHIFT_SPREAD: Final = 0.25  # of a peak's width


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis measures, over which range."""

    title: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rings:
    """Channels on concentric rings: as many on each as ``straws`` says, from ``inner`` to ``outer`` (axis units)."""

    straws: tuple[int, ...]
    inner: float
    outer: float


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """One panel of a canvas.

    ``means`` are the counts of one image at full beam and the usual statistics, shape (rows, columns). The groups say
    which channels fail together. ``peak_bins`` is the width (σ) of what ``x`` measures in bins, None where ``x``
    numbers channels; ``gain`` tells that a fault scales ``x`` rather than shifts it.
    """

    title: str
    x: Axis
    y: Axis
    means: Means
    boards: Groups | None = None
    sectors: Groups | None = None
    bands: Groups | None = None
    peak_bins: float | None = None
    gain: bool = False
    dark: float = 0.5  # mean counts of noise and cosmics in the whole histogram, beam or not
    kind: Literal["map", "bars"] = "map"
    log: bool = False  # counts on a logarithmic scale
    colour: tuple[int, int, int] = (0, 0, 153)  # of the outline of bars
    fill: tuple[int, int, int] | None = None
    rings: Rings | None = None

    @property
    def live(self) -> npt.NDArray[np.bool_]:
        """Channels that exist and count, shape (rows, columns)."""
        return self.means > 0


@dataclass(frozen=True, slots=True)
class Drift:
    """How a run differs from the next: a little in rate, in evenness, in calibration."""

    rate: float
    tilt: float
    phase: float  # radians
    shift: float  # in peak widths

    @classmethod
    def of(cls, run: int, plot: str) -> Drift:
        """The drift of a plot in a run; the same whenever it is asked for."""
        rng = np.random.default_rng([HALL_SEED, run, crc32(plot.encode())])
        return cls(
            rate=float(np.exp(rng.normal(0.0, RUN_RATE_SPREAD))),
            tilt=float(rng.normal(0.0, RUN_TILT_SPREAD)),
            phase=float(rng.uniform(0.0, 2 * np.pi)),
            shift=float(np.clip(rng.normal(0.0, RUN_SHIFT_SPREAD), -0.6, 0.6)),
        )


def sample(histogram: Histogram, rng: np.random.Generator, drift: Drift, exposure: float) -> Counts:
    """Counts of one image, shape as the histogram's means.

    Args:
        exposure: beam times statistics; 1.0 for a usual image at full beam, 0.0 without beam.
    """
    means = _drifted(histogram, drift)
    counts = rng.poisson(means * (exposure * drift.rate)) if exposure > 0 else np.zeros(means.shape, np.int64)
    places = np.flatnonzero(histogram.live)
    strays = rng.choice(places, size=rng.poisson(histogram.dark)) if places.size else places
    np.add.at(counts.reshape(-1), strays, 1)
    return counts


def _drifted(histogram: Histogram, drift: Drift) -> Means:
    means = histogram.means
    columns = means.shape[1]
    if histogram.peak_bins is not None:
        grid = np.arange(columns, dtype=float)
        places = grid - drift.shift * histogram.peak_bins
        return np.stack([np.interp(places, grid, row) for row in means])
    if histogram.rings is not None:
        angles = 2 * np.pi * np.concatenate([np.arange(n) / n for n in histogram.rings.straws])
    else:
        angles = np.pi * np.arange(columns) / columns
    tilted: Means = means * (1 + drift.tilt * np.cos(angles + drift.phase))
    return tilted


def efficiencies(name: str, shape: tuple[int, int], *, spread: float = 0.05, dead: int = 0) -> Means:
    """Each channel's own efficiency, the same for ever; ``dead`` of them are known to be dead."""
    rng = np.random.default_rng([HALL_SEED, crc32(name.encode())])
    values = np.exp(rng.normal(0.0, spread, shape))
    if dead:
        values.reshape(-1)[rng.choice(values.size, size=dead, replace=False)] = 0.0
    return values


def blocks(shape: tuple[int, int], rows: int, columns: int, *, first: int = 0) -> Groups:
    """Neighbouring channels in groups of ``rows`` × ``columns``, numbered from ``first``."""
    across = -(-shape[1] // columns)
    row, column = np.indices(shape)
    return (first + row // rows * across + column // columns).astype(np.int32)


def peak(bins: int, centre: float, width: float, area: float) -> Means:
    """A Gaussian over ``bins`` bins; centre and σ in bins, area in counts."""
    z = (np.arange(bins) + 0.5 - centre) / width
    shape: Means = np.exp(-0.5 * z * z) / (width * np.sqrt(2 * np.pi))
    return area * shape


def landau(bins: int, mode: float, width: float, area: float) -> Means:
    """A Landau-like peak with its long tail (Moyal's form); mode and width in bins, area in counts."""
    z = np.clip((np.arange(bins) + 0.5 - mode) / width, -6.0, None)
    shape: Means = np.exp(-0.5 * (z + np.exp(-z)))
    return shape * (area / float(shape.sum()))


def tail(bins: int, slope: float, area: float) -> Means:
    """A falling exponential from the first bin; slope in bins, area in counts."""
    shape: Means = np.exp(-np.arange(bins) / slope)
    return shape * (area / float(shape.sum()))
