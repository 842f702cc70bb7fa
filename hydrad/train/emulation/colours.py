"""Colours of a drawing: as one number, the commonest of them, those of a scale."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hydrad.domain import Pixels

Colour = npt.NDArray[np.uint8]  # shape (3,): red, green, blue
Palette = npt.NDArray[np.uint8]  # shape (colours, 3), from few counts to many

LIGHT: Final = 150  # the darkest ground empty bins are known to have
VIVID: Final = 60  # between the strongest and the weakest of a colour that is no grey
INK_TINT: Final = 12  # between the strongest and the weakest of what is no ink on a bar
MOST_STEPS: Final = 254  # of a palette: one byte tells them and the empty bin apart


def codes_of(some: Pixels) -> npt.NDArray[np.int32]:
    """Each colour as one number, 0xRRGGBB; the last axis is gone."""
    wide = some.astype(np.int32)
    codes: npt.NDArray[np.int32] = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    return codes


def of_code(code: int) -> Colour:
    """The colour of such a number."""
    return np.array((code >> 16, code >> 8 & 255, code & 255), np.uint8)


def commonest(some: Pixels) -> Colour:
    """The colour most of these pixels have."""
    found, counts = np.unique(codes_of(some), return_counts=True)
    return of_code(int(found[counts.argmax()]))


def among(colour: Colour, palette: Palette) -> bool:
    """Whether a palette has this colour, or one that nobody could tell from it."""
    return bool((np.abs(palette.astype(np.int16) - colour) <= 4).all(axis=1).any())


def steps(bar: Pixels) -> Palette:
    """The colours of a colour bar from below to above, each once; rows that something is written over are left out."""
    middle = bar[:, bar.shape[1] // 2]
    even = (bar[:, 1:-1] == middle[:, None]).all(axis=(1, 2))
    coloured = (np.ptp(middle, axis=1) > INK_TINT) | (middle.min(axis=1) > LIGHT)
    kept = middle[even & coloured][::-1]
    new = np.append(np.ones(min(1, len(kept)), np.bool_), (kept[1:] != kept[:-1]).any(axis=1))
    return np.ascontiguousarray(kept[new][:MOST_STEPS])


def chain(colours: Palette) -> Palette:
    """Colours in an order in which each resembles the last one, beginning with the darkest."""
    left = colours.astype(np.int64)
    order = [int(np.argmin(left @ (299, 587, 114)))]
    free = np.ones(len(left), np.bool_)
    while True:
        free[order[-1]] = False
        if not free.any():
            return np.ascontiguousarray(colours[order])
        distance = ((left - left[order[-1]]) ** 2).sum(axis=1)
        order.append(int(np.argmin(np.where(free, distance, np.iinfo(np.int64).max))))
