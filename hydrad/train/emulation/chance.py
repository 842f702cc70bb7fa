"""Stretches, blocks, bands and spots of whole bins, drawn by chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hydrad.train.emulation.heights import Heights
from hydrad.train.emulation.levels import Cells, Levels

Mask = npt.NDArray[np.bool_]


def stretch(rng: np.random.Generator, cells: Cells, low: float, high: float) -> Mask:
    """A stretch of bins along an axis, as a mask of its pixels; its length between shares of the axis."""
    bins = int(cells[-1]) + 1
    long = max(1, round(bins * float(rng.uniform(low, high))))
    first = int(rng.integers(bins - long + 1))
    mask: Mask = (cells >= first) & (cells < first + long)
    return mask


def block(rng: np.random.Generator, what: Levels | Heights, height: int) -> Mask:
    """A block of whole bins; of a curve, from top to bottom."""
    if isinstance(what, Heights):
        return np.broadcast_to(stretch(rng, what.bins, 0.05, 0.3), (height, len(what.bins)))
    both: Mask = stretch(rng, what.rows, 0.05, 0.3)[:, None] & stretch(rng, what.columns, 0.05, 0.3)
    return both


def band(rng: np.random.Generator, what: Levels, mask: Mask) -> Mask:
    """All of the mask where it is limited; else a row, a column or a block of bins, or everything."""
    kind = rng.integers(7)
    if not mask.all():
        return mask
    if what.filled > 0.4:
        mask = what.numbers > 0  # nearly every channel there is counts: where none does, there is none
    if kind == 0:
        return mask
    rows = stretch(rng, what.rows, 0.03, 0.3) if kind < 5 else np.ones(len(what.rows), np.bool_)
    columns = stretch(rng, what.columns, 0.03, 0.3) if kind > 2 else np.ones(len(what.columns), np.bool_)
    return mask & rows[:, None] & columns


def spots(rng: np.random.Generator, what: Levels, mask: Mask) -> Mask:
    """A few bins of those that count, where the mask allows it; none smaller than three pixels across."""
    able = np.flatnonzero(mask & (what.numbers > 0))
    found = np.zeros(mask.shape, np.bool_)
    for place in rng.choice(able, size=min(len(able), int(rng.integers(2, 7))), replace=False):
        row, column = divmod(int(place), mask.shape[1])
        rows = _around(what.rows, row)
        columns = _around(what.columns, column)
        found[rows, columns] |= what.numbers[rows, columns] > 0
    return found


def _around(cells: Cells, place: int) -> slice:
    first, last = np.searchsorted(cells, (cells[place], cells[place] + 1))
    if last - first < 3:
        return slice(max(0, place - 1), place + 2)
    return slice(int(first), int(last))
