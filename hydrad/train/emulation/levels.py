"""A coloured map of counts read back from its picture, changed, and drawn again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from hydrad.domain import Pixels
from hydrad.train.emulation.colours import MOST_STEPS, Palette
from hydrad.train.emulation.panels import Panel

Numbers = npt.NDArray[np.uint8]  # shape (height, width): 0 for an empty bin, else its place in the palette, from 1
Cells = npt.NDArray[np.intp]  # shape (pixels along an axis,): the bin each one shows

LUCKS: Final = 64  # kinds of chance a bin can meet: enough that no two neighbours look alike
_BITS: Final = 5  # of each colour by which it is looked up
_EDGE_SHARE: Final = 0.03  # of the lines across, that change where a bin ends


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """What a map shows: a level per pixel, and which pixels are one bin (nearly, where bins are no rectangles)."""

    numbers: Numbers
    colours: Palette  # of level 0, 1, …
    rows: Cells
    columns: Cells

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """What each level stands for, as a share of the highest one; shape (levels + 1,)."""
        return np.arange(len(self.colours)) / max(1, len(self.colours) - 1)

    @property
    def filled(self) -> float:
        """The share of pixels that are not empty, 0 to 1."""
        return float(np.count_nonzero(self.numbers) / max(1, self.numbers.size))

    def mean(self) -> float:
        """The mean share of the highest level, over bins that are not empty."""
        held = self.counted()
        held[0] = 0
        return float(held @ self.values / max(1, held.sum()))

    def counted(self, where: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.int64]:
        """How many pixels each level has, of all or where a mask allows it; shape (levels + 1,)."""
        mask = None if where is None else Image.fromarray(where.view(np.uint8) * np.uint8(255))
        return np.array(Image.fromarray(self.numbers).histogram(mask)[: len(self.colours)], np.int64)

    def lucks(self, rng: np.random.Generator) -> Numbers:
        """A number below :data:`LUCKS` for each pixel, the same all over a bin."""
        shape = (int(self.rows[-1]) + 1, int(self.columns[-1]) + 1)
        drawn = rng.integers(LUCKS, size=shape, dtype=np.uint8)
        return np.take(np.take(drawn, self.columns, axis=1), self.rows, axis=0)

    def told(self, table: npt.NDArray[np.float64], lucks: Numbers | None = None) -> Levels:
        """Every bin's value replaced by ``table[level, luck]`` (shares of the highest level; 0 and less is empty).

        Args:
            table: shape (levels + 1, LUCKS), or (levels + 1, 1) where chance has no part.
            lucks: as :meth:`lucks` gives them.
        """
        most = len(self.colours) - 1
        steps = np.ceil(np.clip(table, 0.0, 1.0) * most - 1e-9).astype(np.uint8)
        if lucks is None:
            return replace(self, numbers=steps[:, 0].take(self.numbers))
        places = self.numbers.astype(np.uint16)
        places *= steps.shape[1]
        places += lucks
        return replace(self, numbers=steps.reshape(-1).take(places))

    def ending(self, end: float, rng: np.random.Generator) -> Levels:
        """The same counts on a scale that ends at a share of where it ended; where in its step each was, is chance."""
        within = np.arange(len(self.colours))[:, None] - (np.arange(LUCKS) + 0.5) / LUCKS
        return self.told(within / max(1, len(self.colours) - 1) / end, self.lucks(rng))

    def drawn(self) -> Pixels:
        """As pixels, uint8 RGB, shape (height, width, 3)."""
        packed = np.zeros((len(self.colours), 4), np.uint8)
        packed[:, :3] = self.colours
        wide = packed.view(np.uint32).reshape(-1).take(self.numbers)  # four bytes at once are faster than three
        height, width = wide.shape
        return np.asarray(Image.frombuffer("RGBX", (width, height), wide, "raw", "RGBX", 0, 1).convert("RGB"))


def read(clean: Pixels, panel: Panel) -> Levels:
    """The levels inside a panel.

    Args:
        clean: the inside of its frame without ticks and boxes, uint8 RGB.
        panel: of kind "map".
    """
    numbers = numbers_of(clean, panel)
    return Levels(numbers, _colours(panel), _cells(numbers), _cells(numbers.T))


def numbers_of(colours: Pixels, panel: Panel) -> Numbers:
    """The level that each colour of a panel stands for: the last axis is gone."""
    shift = 8 - _BITS
    codes = (colours[..., 0] >> shift).astype(np.uint16)
    for channel in (1, 2):
        codes <<= _BITS
        codes |= colours[..., channel] >> shift
    return _nearest(_colours(panel).tobytes()).take(codes)


def _colours(panel: Panel) -> Palette:
    return np.concatenate([panel.empty[None], panel.palette[:MOST_STEPS]])


@lru_cache(maxsize=64)
def _nearest(colours: bytes) -> Numbers:
    """The level nearest to each colour of few bits, shape (2 ** (3 * _BITS),)."""
    table = np.frombuffer(colours, np.uint8).reshape(-1, 3).astype(np.float32)
    codes = np.arange(2 ** (3 * _BITS))
    side, step = 2**_BITS, 2 ** (8 - _BITS)
    seen = np.stack([codes // side**2, codes // side % side, codes % side], axis=1) * step + (step - 1) / 2
    # Colours are compared as coarsely as they are looked up, or white would be nearer to a light yellow than to white.
    coarse = np.floor(table / step) * step + (step - 1) / 2
    result = np.empty(len(codes), np.uint8)
    for start in range(0, len(codes), 4096):
        part = seen[start : start + 4096, None].astype(np.float32)
        result[start : start + 4096] = ((part - coarse) ** 2).sum(axis=2).argmin(axis=1)
    return result


def _cells(numbers: Numbers) -> Cells:
    """The bin each row of pixels belongs to: from where rows change all along, or else as thick as bins mostly are."""
    length, across = numbers.shape
    some = numbers[:, :: max(1, across // 96)]
    changed = (some[1:] != some[:-1]).sum(axis=1)
    edges = np.append(False, changed > _EDGE_SHARE * some.shape[1])
    if edges.any() and edges.mean() < 0.4 and np.count_nonzero(changed[~edges[1:]]) < 0.2 * length:
        return np.cumsum(edges)
    # Of neighbours some are alike by chance, hence a little less than the mean stretch without a change.
    stretch = 0.8 * length / (1 + changed.sum() / max(1, np.count_nonzero(some.any(axis=0))))
    return np.arange(length) // int(np.clip(round(stretch), 1, max(1, length // 24)))
