"""A curve or a row of bars read back from its picture, changed, and drawn again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from hydrad.domain import Pixels
from hydrad.train.emulation.colours import Colour, commonest
from hydrad.train.emulation.panels import TICK_SHARE, Panel

Values = npt.NDArray[np.float64]  # shape (pixels along x,): heights, in shares of the frame's
MOST_EDGES: Final = 100  # by which the width of bins is found
LEAST_FIT: Final = 0.5  # of edges to a raster of bins, 0 to 1
PEN_SLACK: Final = 1.5  # pixels by which a pen's edge may miss a bin's
MOST_THICK: Final = 8  # pixels of a pen; what goes deeper is a filling

Bins = npt.NDArray[np.intp]  # shape (pixels along x,): the bin each one shows


@dataclass(frozen=True, slots=True, eq=False)
class Heights:
    """What a curve shows: how high it stands above each pixel of the axis, and what it is drawn with."""

    values: Values
    bins: Bins
    pen: Colour
    fill: Colour | None
    thick: int  # pixels of the pen

    @property
    def top(self) -> float:
        """The highest value; 0 for a curve that is not there."""
        return float(self.values.max(initial=0.0))

    @property
    def number(self) -> int:
        """Of bins."""
        return int(self.bins[-1]) + 1

    def by_bin(self) -> Values:
        """The mean value of each bin, shape (number,)."""
        return np.bincount(self.bins, self.values) / np.bincount(self.bins)

    def with_bins(self, values: Values) -> Heights:
        """Other values, one for each bin, on an axis that keeps the highest where the highest was."""
        highest = float(values.max(initial=0.0))
        scaled = values * (self.top / highest) if highest > 0 else np.zeros_like(values)
        return replace(self, values=np.maximum(scaled, 0.0)[self.bins])


def read(clean: Pixels, panel: Panel) -> Heights:
    """The heights inside a panel.

    Args:
        clean: the inside of its frame without ticks and boxes, uint8 RGB.
        panel: of kind "curve".
    """
    height, width = clean.shape[:2]
    there = clean[..., 0] != panel.empty[0]
    for channel in (1, 2):
        there |= clean[..., channel] != panel.empty[channel]
    first = there.argmax(axis=0)
    tops = np.where(there[first, np.arange(width)], first, height)
    # A tick that was taken out of a curve leaves a gap of one pixel.
    gaps = (tops[:-2] == tops[2:]) & (np.abs(tops[1:-1] - tops[2:]) <= height // TICK_SHARE)
    tops[1:-1][gaps] = tops[2:][gaps]
    drawn = np.flatnonzero(tops < height)
    if not len(drawn):
        return Heights(np.zeros(width), np.arange(width), np.zeros(3, np.uint8), None, 1)
    pen = commonest(clean[tops[drawn], drawn])
    thick = _thickness(clean, tops, drawn, pen)
    fill: Colour | None = None
    if thick == MOST_THICK:
        fill, thick = pen, 1  # all of it is one colour: filled, without an outline
    elif (deep := tops[drawn] < height - thick - 5).any():
        under = commonest(clean[((tops[drawn] + thick + height) // 2)[deep], drawn[deep]])
        fill = None if bool((under == panel.empty).all() | (under == pen).all()) else under
    return Heights((height - tops) / height, _bins(tops), pen, fill, thick)


def draw(heights: Heights, empty: Colour, height: int) -> Pixels:
    """The curve on an empty ground, uint8 RGB, shape (height, pixels along x, 3)."""
    tops = height - np.round(np.clip(heights.values, 0.0, 1.0) * height).astype(np.int64)
    width = len(tops)
    row = np.arange(height)[:, None]
    shades = np.zeros((height, width), np.uint8)
    if heights.fill is not None:
        shades[row >= tops] = 1
    before = np.concatenate([tops[:1], tops[:-1]])
    upper, lower = np.minimum(tops, before), np.maximum(tops, before)
    line = (row >= upper) & (row < np.maximum(lower, upper + heights.thick)) & (upper < height)
    if heights.thick > 1:
        line[:, :-1] |= line[:, 1:] & (row < np.maximum(lower, upper)[1:])
    shades[line] = 2
    return np.stack([empty, empty if heights.fill is None else heights.fill, heights.pen])[shades]


def _bins(tops: npt.NDArray[np.intp]) -> Bins:
    """The bin of each pixel: the fewest bins of one width that let the heights change where they do."""
    width = len(tops)
    numbers = np.arange(2, width // 2)
    steps = np.diff(tops)
    # A pen is broad: it rises early and falls late, so each is looked at by itself.
    sides = [edges for edges in (np.flatnonzero(steps < 0) + 1, np.flatnonzero(steps > 0) + 1) if len(edges)]
    number = sum(map(len, sides))
    if number >= 6 and len(numbers):
        turns = [_turns(numbers, edges, width) for edges in sides]
        fit = np.zeros(len(numbers))
        for turn, edges in zip(turns, sides, strict=True):
            fit += np.abs(turn) * (len(edges) / number)
        best = int(np.flatnonzero(fit >= 0.85 * fit.max())[0])
        if fit[best] > LEAST_FIT:
            late = float(np.angle(sum(turn[best] for turn in turns))) / (2 * np.pi)
            if abs(late) * width < PEN_SLACK * numbers[best]:
                late = 0.0  # the first bin begins where the axis does
            bins: Bins = np.floor(np.arange(width) * (int(numbers[best]) / width) - late + 1e-9).astype(np.intp)
            bins -= bins[0]
            return bins
    return np.arange(width) * min(50, width) // width


def _turns(numbers: npt.NDArray[np.intp], edges: npt.NDArray[np.intp], width: int) -> npt.NDArray[np.complex128]:
    """For each number of bins how well edges fit its raster: of length one if perfectly, its angle their offset."""
    some = edges[:: 1 + len(edges) // MOST_EDGES]
    turns: npt.NDArray[np.complex128] = np.exp(2j * np.pi / width * np.outer(numbers, some)).mean(axis=1)
    return turns


def _thickness(clean: Pixels, tops: npt.NDArray[np.intp], drawn: npt.NDArray[np.intp], pen: Colour) -> int:
    """How many pixels down from the top the pen reaches, at most places."""
    height = len(clean)
    for deep in range(1, MOST_THICK):
        rows = tops[drawn] + deep
        fits = rows < height
        if not fits.any() or (clean[rows[fits], drawn[fits]] == pen).all(axis=1).mean() < 0.6:
            return deep
    return MOST_THICK
