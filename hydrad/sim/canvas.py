"""Draws a plot: panels with frames, ticks and numbers, colour bars and statistics boxes, as ROOT and its like do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hydrad.domain import Pixels
from hydrad.sim import ink
from hydrad.sim.frames import Frame, frames, numbers_beside, statistics_box, surround
from hydrad.sim.histograms import Counts, Histogram, Rings
from hydrad.sim.plots import PlotKind
from hydrad.sim.scales import linear_ticks, log_ticks

Cells = npt.NDArray[np.int32]  # shape (height, width) of a frame in pixels: the channel each shows, -1 for none


def draw(plot: PlotKind, counts: Sequence[Counts], caption: str = "") -> Pixels:
    """The plot with these counts, uint8 RGB of shape (plot.height, plot.width, 3).

    Args:
        counts: one array per histogram, shape (rows, columns) of its means.
        caption: written small in the upper left corner, e.g. the run.
    """
    sheet = ink.sheet(plot.height, plot.width)
    for histogram, values, frame in zip(plot.histograms, counts, frames(plot), strict=True):
        if histogram.kind == "map":
            _map(sheet, plot, histogram, values, frame)
        else:
            _bars(sheet, plot, histogram, values, frame)
        surround(sheet, plot, histogram, frame)
        if plot.style == "white" and (histogram.kind == "bars" or len(plot.histograms) == 1):
            statistics_box(sheet, histogram, values, frame)
    if plot.style == "white":
        ink.write(sheet, caption, 4, 2, 11)
    return ink.pixels(sheet)


def shown(plot: PlotKind, channels: Sequence[npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
    """The pixels that show any of these channels (one mask per histogram), bool of shape (height, width)."""
    result = np.zeros((plot.height, plot.width), np.bool_)
    for histogram, mask, frame in zip(plot.histograms, channels, frames(plot), strict=True):
        inside = result[frame.top + 1 : frame.bottom, frame.left + 1 : frame.right]
        if not mask.any():
            continue
        if histogram.kind == "bars":
            inside[:] = mask.reshape(-1)[_steps(frame.width, mask.shape[1])]
        elif histogram.rings is not None:
            cells = _ring_cells(histogram.rings, (histogram.x.low, histogram.x.high), frame.height, frame.width)
            inside[:] = np.append(mask.reshape(-1), False)[cells]
        else:
            inside[:] = mask[_steps(frame.height, mask.shape[0])[::-1]][:, _steps(frame.width, mask.shape[1])]
    return result


@lru_cache(maxsize=512)
def _steps(length: int, bins: int) -> npt.NDArray[np.intp]:
    """The bin each pixel along an axis shows."""
    return np.arange(length) * bins // length


@lru_cache(maxsize=8)
def _ring_cells(rings: Rings, span: tuple[float, float], height: int, width: int) -> Cells:
    low, high = span
    x = low + (np.arange(width) + 0.5) * (high - low) / width
    y = high - (np.arange(height) + 0.5) * (high - low) / height
    radius = np.hypot(x[None, :], y[:, None])
    turn = np.arctan2(y[:, None], x[None, :]) / (2 * np.pi) % 1.0
    straws = np.array(rings.straws)
    ring = np.floor((radius - rings.inner) / (rings.outer - rings.inner) * len(straws)).astype(np.int64)
    inside = (ring >= 0) & (ring < len(straws))
    ring = np.clip(ring, 0, len(straws) - 1)
    first = np.concatenate([[0], np.cumsum(straws)[:-1]])
    straw = np.minimum((turn * straws[ring]).astype(np.int64), straws[ring] - 1)
    return np.where(inside, first[ring] + straw, -1).astype(np.int32)


def _map(sheet: ink.Sheet, plot: PlotKind, histogram: Histogram, counts: Counts, frame: Frame) -> None:
    grey = plot.style == "grey"
    table = ink.GLOW if grey or histogram.rings is not None else ink.BIRD
    ground = ink.GREY if grey else ink.WHITE
    most = int(counts.max(initial=0))
    levels = _levels(counts, most, len(table), log=histogram.log)
    colours = np.concatenate([[ground], table])[levels + 1]
    inside = sheet[frame.top + 1 : frame.bottom, frame.left + 1 : frame.right]
    if histogram.rings is not None:
        cells = _ring_cells(histogram.rings, (histogram.x.low, histogram.x.high), frame.height, frame.width)
        inside[:] = np.append(colours.reshape(-1), ground)[cells]
    else:
        across, down = _steps(frame.width, counts.shape[1]), _steps(frame.height, counts.shape[0])[::-1]
        inside[:] = np.take(np.take(colours, across, axis=1), down, axis=0)
    _colour_bar(sheet, table, most, frame, log=histogram.log)


def _levels(counts: Counts, most: int, levels: int, *, log: bool) -> npt.NDArray[np.int64]:
    """The step of the colour table for each count; -1 for an empty channel."""
    if most == 0:
        return np.full(counts.shape, -1)
    share = np.log(np.maximum(counts, 1)) / np.log(max(most, 2)) if log else counts / most
    return np.where(counts > 0, np.minimum((share * levels).astype(np.int64), levels - 1), -1)


def _colour_bar(sheet: ink.Sheet, table: ink.Colours, most: int, frame: Frame, *, log: bool) -> None:
    left = frame.right + 4
    right = left + max(8, round(frame.pad_width * 0.022))
    sheet[frame.top + 1 : frame.bottom, left + 1 : right] = table[_steps(frame.height, len(table))[::-1], None]
    ink.box(sheet, left, frame.top, right, frame.bottom)
    ticks = log_ticks(1, most) if log else linear_ticks(0, most, 5 if frame.height < 250 else 8)
    if most:
        numbers_beside(sheet, frame, ticks, right, -1)


def _bars(sheet: ink.Sheet, plot: PlotKind, histogram: Histogram, counts: Counts, frame: Frame) -> None:
    values = counts[0]
    most = int(values.max(initial=0))
    room = 2.5 if histogram.log else 1.07 if histogram.peak_bins else 1.3  # the box must not hide a channel
    high = max(1.0, most * room)
    if histogram.log:
        low = 0.5
        share = np.log(np.maximum(values, low) / low) / np.log(max(high, 2.0) / low)
    else:
        low = 0.0
        share = values / high
    inside = sheet[frame.top + 1 : frame.bottom, frame.left + 1 : frame.right]
    height = frame.height
    tops = (height - np.round(share * (height - 1)).astype(np.int64))[_steps(frame.width, len(values))]
    before = np.concatenate([[height], tops[:-1]])
    row = np.arange(height)[:, None]
    if histogram.fill is not None:
        np.copyto(inside, ink.packed(histogram.fill)[0], where=row >= tops)
    upper, lower = np.minimum(tops, before), np.maximum(tops, before)
    pen = 2 if height > 300 else 1
    drawn = (row >= upper) & (row < np.maximum(lower, upper + pen)) & (upper < height)
    colour = (0, 0, 0) if plot.style == "grey" else histogram.colour
    if pen > 1:
        drawn[:, :-1] |= drawn[:, 1:] & (row < np.maximum(lower, upper)[1:])
    np.copyto(inside, ink.packed(colour)[0], where=drawn)
    ticks = log_ticks(low, high) if histogram.log else linear_ticks(low, high, 5 if height < 250 else 9)
    numbers_beside(sheet, frame, ticks, frame.left, 1)
