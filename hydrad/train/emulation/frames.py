"""Where the histograms of a picture stand: frames of thin lines, boxes of text upon them, colour bars beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from hydrad.domain import Pixels
from hydrad.train.emulation.colours import LIGHT, VIVID, codes_of, steps

Mask = npt.NDArray[np.bool_]  # shape (height, width)
Segments = npt.NDArray[np.intp]  # shape (segments, 3): the line, and the first and last pixel along it

DARK: Final = 110  # the brightest a frame's line may be
NEUTRAL: Final = 40  # between the strongest and the weakest colour of a line
LEAST_SIDE: Final = 24  # pixels: what is smaller is no frame
MOST_LINES: Final = 400  # more dark lines than any canvas has: it is no drawing
SLACK: Final = 2  # pixels by which lines may miss a corner
LEAST_FRAME: Final = 0.004  # of the picture's area
PART: Final = 0.3  # of a side that is seen beside a box of text
LEAST_COLOURS: Final = 8  # of a palette


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Pixels from ``left`` to ``right`` and ``top`` to ``bottom``; the last ones are not part of it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top

    @property
    def area(self) -> int:
        """In pixels."""
        return max(0, self.width) * max(0, self.height)

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns, to index a picture with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def meets(self, other: Rectangle) -> Rectangle:
        """What both have in common; its area is 0 if nothing."""
        return Rectangle(
            max(self.left, other.left), max(self.top, other.top),
            min(self.right, other.right), min(self.bottom, other.bottom),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """Where one histogram stands: the inside of its frame, the boxes of text upon it, its colour bar if it has one."""

    inside: Rectangle
    boxes: tuple[Rectangle, ...] = ()
    bar: Rectangle | None = None


def find(pixels: Pixels) -> tuple[Frame, ...]:
    """The frames of a picture: rectangles of thin dark lines; a box of text may hide their upper right corner."""
    dark = _dark(pixels)
    flat, upright = _segments(dark), _segments(np.ascontiguousarray(dark.T))
    if not 2 <= len(flat) <= MOST_LINES or not 2 <= len(upright) <= MOST_LINES:
        return ()
    frames: list[Rectangle] = []
    inner: list[Rectangle] = []
    for one in sorted(_rectangles(flat, upright), key=lambda one: -one.area):
        if _is_solid(dark, one):
            continue
        around = next((n for n, other in enumerate(frames) if one.meets(other).area > 0), None)
        if around is None:
            if one.area >= LEAST_FRAME * pixels.shape[0] * pixels.shape[1]:
                frames.append(one)
        elif one.area > 0.9 * frames[around].area:
            frames[around] = one.meets(frames[around])  # the inner edge of a thick line
        elif one.area < 0.5 * frames[around].area:
            inner.append(one)
    frames.sort(key=lambda one: (round(20 * one.top / pixels.shape[0]), one.left))
    bars = [_bar(pixels, one) for one in frames]
    return tuple(
        Frame(one, _texts(pixels, one, inner), bar)
        for one, bar in zip(frames, bars, strict=True)
        if not any(other is not None and one.meets(other).area > 0.5 * one.area for other in bars)
    )


def _is_solid(dark: Mask, one: Rectangle) -> bool:
    """Whether it is dark beside its left and its lower line as well: then they are no lines."""
    left = dark[one.top : one.bottom, min(one.left + SLACK, one.right - 1)]
    below = dark[max(one.top, one.bottom - 1 - SLACK), one.left : one.right]
    return bool(left.mean() > 0.8 and below.mean() > 0.8)


def _dark(pixels: Pixels) -> Mask:
    """Black and dark grey, as frames are drawn."""
    red, green, blue = (np.asarray(channel) for channel in Image.fromarray(pixels).split())
    dark = green < DARK
    dark &= red < DARK
    dark &= blue < DARK
    dark &= blue < green + np.uint8(NEUTRAL)  # no overflow: the dark ones decide
    dark &= red < green + np.uint8(NEUTRAL)
    return dark


def _segments(dark: Mask) -> Segments:
    """Unbroken dark stretches along rows: (row, first, last) of each, at least a frame's least side long."""
    lines = np.flatnonzero(np.count_nonzero(dark, axis=1) >= LEAST_SIDE)
    edges = np.diff(np.pad(dark[lines].view(np.int8), ((0, 0), (1, 1))), axis=1)
    row, first = np.nonzero(edges == 1)
    _, after = np.nonzero(edges == -1)
    long = after - first >= LEAST_SIDE
    return np.stack([lines[row[long]], first[long], after[long] - 1], axis=1)


def _rectangles(flat: Segments, upright: Segments) -> list[Rectangle]:
    """The insides of all rectangles whose lower and left sides are whole and whose others are there in part."""
    y, x0, x1 = flat.T
    x, y0, y1 = upright.T
    corners = (np.abs(y[:, None] - y1) <= SLACK) & (np.abs(x0[:, None] - x) <= SLACK)
    found = []
    for low, left in np.argwhere(corners)[:MOST_LINES]:
        width, height = x1[low] - x[left], y[low] - y0[left]
        if width < LEAST_SIDE or height < LEAST_SIDE:
            continue
        tops = (np.abs(y - y0[left]) <= SLACK) & (x0 <= x[left] + SLACK) & (x1 >= x[left] + PART * width)
        rights = (np.abs(x - x1[low]) <= SLACK) & (y1 >= y[low] - SLACK) & (y0 <= y[low] - PART * height)
        if tops.any() and rights.any():
            found.append(Rectangle(int(x[left]) + 1, int(y0[left]) + 1, int(x1[low]), int(y[low])))
    return found


def _texts(pixels: Pixels, inside: Rectangle, found: Sequence[Rectangle]) -> tuple[Rectangle, ...]:
    """Boxes of text upon a frame: light, and not standing on its lower side as a bar would; with their outlines."""
    boxes = []
    for one in found:
        within = one.meets(inside)
        if within.area == 0 or one.bottom >= inside.bottom - SLACK:
            continue
        if (pixels[one.window][::2, ::2].min(axis=2) > LIGHT).mean() > 0.5:
            grown = Rectangle(one.left - 1, one.top - 1, one.right + 1, one.bottom + 1)
            boxes.append(grown.meets(inside))
    return tuple(boxes)


def _bar(pixels: Pixels, inside: Rectangle) -> Rectangle | None:
    """The colour bar to the right of a frame: as high, each row of one colour, many colours from row to row."""
    first = inside.right + 1
    last = min(pixels.shape[1], first + max(48, inside.width // 4))
    if last - first < 5:
        return None
    codes = codes_of(pixels[inside.top : inside.bottom, first:last])
    alike = (codes[:, 1:] == codes[:, :-1]).mean(axis=0) > 0.85
    many = (codes[1:] != codes[:-1]).sum(axis=0) >= LEAST_COLOURS - 1
    start = 0
    for n in range(len(alike) + 1):
        if n < len(alike) and alike[n] and many[n]:
            continue
        if n - start >= 3:
            found = Rectangle(first + start, inside.top, first + n + 1, inside.bottom)
            column = pixels[found.window][:, found.width // 2]
            if len(steps(pixels[found.window])) >= LEAST_COLOURS and (np.ptp(column, axis=1) > VIVID).mean() > 0.3:
                return found
        start = n + 1
    return None
