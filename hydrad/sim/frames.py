"""What stands around a panel: its frame, ticks, numbers, titles and statistics box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hydrad.sim import ink
from hydrad.sim.histograms import Counts, Histogram
from hydrad.sim.plots import PlotKind
from hydrad.sim.scales import Tick, linear_ticks


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a panel lies on the sheet, and where its frame lies in it; pixels, edges included."""

    pad_left: int
    pad_top: int
    pad_width: int
    pad_height: int
    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels from edge to edge inside the frame."""
        return self.right - self.left - 1

    @property
    def height(self) -> int:
        """Likewise."""
        return self.bottom - self.top - 1

    @property
    def letters(self) -> int:
        """The size of the numbers on its axes."""
        return int(np.clip(0.034 * min(self.pad_height, 1.1 * self.pad_width), 11, 22))


@lru_cache(maxsize=256)
def frames(plot: PlotKind) -> tuple[Frame, ...]:
    """The frames of a plot's panels, row by row."""
    found = []
    for n, histogram in enumerate(plot.histograms):
        row, column = divmod(n, plot.columns)
        left, right = (plot.width * column // plot.columns, plot.width * (column + 1) // plot.columns)
        top, bottom = (plot.height * row // plot.rows, plot.height * (row + 1) // plot.rows)
        width, height = right - left, bottom - top
        small = plot.style == "grey"
        bar = histogram.kind == "map"
        edges = (
            left + max(46, round(width * (0.085 if small else 0.1))),
            top + max(18, round(height * (0.055 if small else 0.095))),
            right - max(14, round(width * (0.075 if bar and small else 0.12 if bar else 0.05))) - (10 if bar else 0),
            bottom - max(34, round(height * (0.13 if small else 0.11))),
        )
        found.append(Frame(left, top, width, height, *edges))
    return tuple(found)


def surround(sheet: ink.Sheet, plot: PlotKind, histogram: Histogram, frame: Frame) -> None:
    """Draw the frame of a panel, its scales along x and, for a map, along y, and its titles."""
    size = frame.letters
    ink.box(sheet, frame.left, frame.top, frame.right, frame.bottom)
    many = 5 if frame.width < 300 else 10
    for tick in linear_ticks(histogram.x.low, histogram.x.high, many):
        x = frame.left + 1 + round(tick.share * (frame.width - 1))
        sheet[frame.bottom - max(4, frame.height // 60) : frame.bottom, x] = ink.BLACK
        ink.write(sheet, tick.label, x, frame.bottom + 3, size, across=0.5)
    if histogram.kind == "map":
        ticks = linear_ticks(histogram.y.low, histogram.y.high, 5 if frame.height < 250 else 10)
        numbers_beside(sheet, frame, ticks, frame.left, 1)
    middle = plot.style == "grey"
    title_x = (frame.left + frame.right) / 2 if middle else frame.right
    below = frame.bottom + 4 + round(size * 1.15)
    ink.write(sheet, histogram.x.title, title_x, below, size + (3 if middle else 0), across=0.5 if middle else 1.0)
    title_y = (frame.top + frame.bottom) / 2 if middle else frame.top
    ink.write(
        sheet, histogram.y.title, max(frame.pad_left + 2, frame.left - 4 * size), title_y, size + (2 if middle else 0),
        down=0.5 if middle else 0.0, upright=True,
    )  # fmt: skip
    title = histogram.title or plot.title
    narrow = not middle and histogram.kind == "bars" and frame.pad_width < 700  # leave room for the box
    title_x, across = (frame.left + size, 0.0) if narrow else ((frame.left + frame.right) / 2, 0.5)
    ink.write(sheet, title, title_x, frame.top - 3, size + (0 if middle else 4), across=across, down=1)


def numbers_beside(sheet: ink.Sheet, frame: Frame, ticks: Sequence[Tick], x: int, inward: int) -> None:
    """Ticks and numbers of a vertical scale: to the left of ``x`` when ``inward`` is 1, to its right when -1."""
    size = frame.letters
    for tick in ticks:
        y = frame.bottom - 1 - round(tick.share * (frame.height - 1))
        length = max(4, frame.width // 80) // (1 if tick.label else 2)
        if inward > 0:
            sheet[y, x + 1 : x + 1 + length] = ink.BLACK
        else:
            sheet[y, x - 3 : x] = ink.BLACK
        exponent = max(9, size - 5)
        before = ink.width_of(tick.raised, exponent) if tick.raised and inward > 0 else 0
        place, across = (x - 4 - before, 1.0) if inward > 0 else (x + 4, 0.0)
        ink.write(sheet, tick.label, place, y, size, across=across, down=0.5)
        after = ink.width_of(tick.label, size) if inward < 0 else 0
        ink.write(sheet, tick.raised, place + after, y + 2, exponent, down=1)


def statistics_box(sheet: ink.Sheet, histogram: Histogram, counts: Counts, frame: Frame) -> None:
    """Draw the box in the upper right corner: entries, means and spreads."""
    size = max(10, round(frame.letters * 0.85))
    lines = _facts(histogram, counts)
    width = max(round(frame.pad_width * 0.16), size * 9)
    step = round(size * 1.3)
    right = frame.right + min(8, (frame.pad_left + frame.pad_width - frame.right) // 3)
    left, top = right - width, max(frame.pad_top + 2, frame.top - step)
    bottom = top + step * len(lines) + 6
    sheet[top : bottom + 1, left : right + 1] = ink.WHITE
    ink.box(sheet, left, top, right, bottom)
    for n, (name, value) in enumerate(lines):
        y = top + 3 + n * step
        ink.write(sheet, name, left + 4, y, size)
        ink.write(sheet, value, right - 4, y, size, across=1.0)


def _facts(histogram: Histogram, counts: Counts) -> list[tuple[str, str]]:
    entries = int(counts.sum())
    facts = [("Entries", str(entries))]
    if histogram.rings is not None:
        return facts
    axes = [("x", histogram.x, counts.sum(axis=0)), ("y", histogram.y, counts.sum(axis=1))]
    two = histogram.kind == "map"
    means, spreads = [], []
    for name, axis, sums in axes[: 2 if two else 1]:
        centres = axis.low + (np.arange(len(sums)) + 0.5) * (axis.high - axis.low) / len(sums)
        mean = float(sums @ centres) / entries if entries else 0.0
        spread = np.sqrt(max(0.0, float(sums @ (centres - mean) ** 2) / entries)) if entries else 0.0
        means.append((f"Mean {name}" if two else "Mean", f"{mean:.4g}"))
        spreads.append((f"Std Dev {name}" if two else "Std Dev", f"{spread:.4g}"))
    return facts + means + spreads
