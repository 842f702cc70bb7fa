"""Colours, lines and letters on a bare array of pixels, fast enough to draw a hall's plots every few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from hydrad.domain import Pixels

Sheet = npt.NDArray[np.uint32]  # shape (height, width), four bytes a pixel: red, green, blue, unused
Colours = npt.NDArray[np.uint32]  # shape (n,), packed as a sheet's pixels


def packed(*colours: Sequence[int]) -> Colours:
    """RGB triples (0 to 255) as a sheet holds them."""
    return np.array([[*colour, 255] for colour in colours], np.uint8).view(np.uint32).reshape(-1)


BLACK: Final = packed((0, 0, 0))[0]
WHITE: Final = packed((255, 255, 255))[0]
GREY: Final = packed((200, 200, 200))[0]


def gradient(stops: Sequence[tuple[float, float, float]], levels: int) -> Colours:
    """A colour table of ``levels`` steps through evenly spaced stops (RGB, 0 to 1)."""
    table = np.array(stops)
    places = np.linspace(0, len(table) - 1, levels)
    channels = [np.interp(places, np.arange(len(table)), table[:, n]) for n in range(3)]
    return packed(*np.round(np.stack(channels, axis=1) * 255).astype(int).tolist())


BIRD: Final = gradient(
    (
        (0.2082, 0.1664, 0.5293),
        (0.0592, 0.3599, 0.8684),
        (0.0780, 0.5041, 0.8385),
        (0.0232, 0.6419, 0.7914),
        (0.1802, 0.7178, 0.6425),
        (0.5301, 0.7492, 0.4662),
        (0.8186, 0.7328, 0.3499),
        (0.9956, 0.7862, 0.1968),
        (0.9764, 0.9832, 0.0539),
    ),
    64,
)
GLOW: Final = gradient(
    (
        (0.0, 0.0, 0.3),
        (0.0, 0.0, 0.7),
        (0.0, 0.55, 0.75),
        (0.0, 0.85, 0.0),
        (1.0, 0.0, 0.0),
        (1.0, 0.5, 0.0),
        (1.0, 1.0, 0.0),
        (1.0, 1.0, 1.0),
    ),
    64,
)


def sheet(height: int, width: int) -> Sheet:
    """A white sheet."""
    return np.full((height, width), WHITE, np.uint32)


def pixels(drawn: Sheet) -> Pixels:
    """The sheet as uint8 RGB, shape (height, width, 3)."""
    height, width = drawn.shape
    return np.asarray(Image.frombuffer("RGBX", (width, height), drawn, "raw", "RGBX", 0, 1).convert("RGB"))


def box(on: Sheet, left: int, top: int, right: int, bottom: int) -> None:
    """The outline of a rectangle in black, one pixel wide, corners included."""
    on[top, left : right + 1] = BLACK
    on[bottom, left : right + 1] = BLACK
    on[top : bottom + 1, left] = BLACK
    on[top : bottom + 1, right] = BLACK


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@lru_cache(maxsize=8192)
def _letters(text: str, size: int, upright: bool) -> npt.NDArray[np.uint16]:
    """How much of the ground each pixel of a text lets through, 0 to 255; shape (height, width)."""
    font = _font(size)
    left, _, right, _ = font.getbbox(text)
    drawn = Image.new("L", (max(1, int(right - left) + 1), int(size * 1.35)), 0)
    ImageDraw.Draw(drawn).text((-left, 0), text, font=font, fill=255)
    ink = np.asarray(drawn)
    return (255 - (np.rot90(ink) if upright else ink)).astype(np.uint16)


def write(
    on: Sheet,
    text: str,
    x: float,
    y: float,
    size: int,
    *,
    across: float = 0.0,
    down: float = 0.0,
    upright: bool = False,
) -> None:
    """Write black letters so that the point (x, y) lies at the shares ``across`` and ``down`` of the text's box.

    Args:
        size: height of the letters in pixels.
        across: 0 for text that begins at x, 0.5 centred, 1 ends there.
        down: 0 for text below y, 0.5 centred, 1 above it.
        upright: turned by 90°, read from below.
    """
    if not text:
        return
    through = _letters(text, size, upright)
    height, width = through.shape
    left, top = round(x - across * width), round(y - down * height)
    rows = slice(max(0, top), min(on.shape[0], top + height))
    columns = slice(max(0, left), min(on.shape[1], left + width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    seen = through[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left, None]
    ground = on.view(np.uint8).reshape(*on.shape, 4)[rows, columns, :3]
    ground[...] = ground * seen // 255


def width_of(text: str, size: int) -> int:
    """How wide a text would be, in pixels."""
    return int(_letters(text, size, upright=False).shape[1])
