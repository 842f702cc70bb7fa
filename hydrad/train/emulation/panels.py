"""What each histogram of a picture shows: counts as colours or as heights, on what ground, with which palette."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from hydrad.domain import Pixels
from hydrad.train.emulation.colours import (
    LIGHT,
    VIVID,
    Colour,
    Palette,
    among,
    chain,
    codes_of,
    commonest,
    of_code,
    steps,
)
from hydrad.train.emulation.frames import LEAST_COLOURS, Frame, Rectangle, find

Places = npt.NDArray[np.intp]  # of pixels in the flattened picture

MOST_COLOURS: Final = 48  # of a palette that is guessed
INK: Final = 60  # the brightest a tick may be
TICK_SHARE: Final = 28  # a tick is no longer than the frame's side by this
GREY: Final[Colour] = np.array((200, 200, 200), np.uint8)  # behind maps whose palette ends in the page's own white


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One histogram as it was read from a picture.

    ``kind`` is "map" where colours stand for counts, "curve" where heights do. ``palette`` is empty for a curve.
    """

    frame: Frame
    kind: Literal["map", "curve"]
    empty: Colour  # of a bin without counts
    palette: Palette


def read(pixels: Pixels) -> tuple[Panel, ...]:
    """The panels of a picture, row by row; a picture without frames is one panel from edge to edge.

    Args:
        pixels: uint8 RGB, shape (height, width, 3); any picture.
    """
    height, width = pixels.shape[:2]
    found = find(pixels)
    if not found:
        whole = Frame(Rectangle(0, 0, width, height))
        looks = _look(pixels, whole)
        return (Panel(whole, looks.kind, commonest(_rim(pixels)), looks.palette),)
    page = commonest(_rim(pixels))
    looks_of = [_look(pixels, frame) for frame in found]
    grounds = [_ground(pixels, frame, looks) for frame, looks in zip(found, looks_of, strict=True)]
    panels = []
    for frame, looks, ground in zip(found, looks_of, grounds, strict=True):
        empty = ground
        if empty is None and looks.kind == "map":
            empty = next(
                (g for g, other in zip(grounds, looks_of, strict=True) if g is not None and other.kind == "map"), None
            )
        if empty is None:
            empty = page
            if looks.kind == "map" and among(page, looks.palette) and not _cornered(pixels, frame, page):
                empty = GREY
        panels.append(Panel(frame, looks.kind, empty, looks.palette))
    return tuple(panels)


@dataclass(frozen=True, slots=True, eq=False)
class _Looks:
    kind: Literal["map", "curve"]
    palette: Palette


def _look(pixels: Pixels, frame: Frame) -> _Looks:
    if frame.bar is not None:
        return _Looks("map", steps(pixels[frame.bar.window]))
    inside = frame.inside
    some = pixels[inside.window][:: max(1, inside.height // 64), :: max(1, inside.width // 64)].reshape(-1, 3)
    vivid = some[np.ptp(some, axis=1) > VIVID]
    colours, counts = np.unique(vivid, axis=0, return_counts=True)
    if len(colours) < LEAST_COLOURS:
        return _Looks("curve", np.zeros((0, 3), np.uint8))
    return _Looks("map", chain(colours[np.argsort(-counts, kind="stable")[:MOST_COLOURS]]))


def _ground(pixels: Pixels, frame: Frame, looks: _Looks) -> Colour | None:
    """The commonest light grey or white in a frame that the palette does not use for counts."""
    inside = pixels[frame.inside.window]
    one, right, below = inside[:-1:2, :-1:2], inside[:-1:2, 1::2], inside[1::2, :-1:2]
    green = one[..., 1]
    flat = (green > LIGHT) & (green == right[..., 1]) & (green == below[..., 1])
    for other in (0, 2):
        flat &= (one[..., other] > green - 6) & (one[..., other] < np.minimum(green, 249) + 6)
    found = one[flat]
    if not len(found):
        return None
    codes, counts = np.unique(codes_of(found), return_counts=True)
    for n in np.argsort(-counts, kind="stable")[:8]:
        colour = of_code(int(codes[n]))
        if counts[n] >= 3 and not among(colour, looks.palette):
            return colour
    return None


def _cornered(pixels: Pixels, frame: Frame, colour: Colour) -> bool:
    """Whether at least three corners inside a frame have this colour."""
    inside = pixels[frame.inside.window]
    near, far = slice(3, 6), slice(-6, -3)
    return sum(bool((inside[rows, columns] == colour).all()) for rows in (near, far) for columns in (near, far)) >= 3


def _rim(pixels: Pixels) -> Pixels:
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


def clean(pixels: Pixels, panel: Panel) -> Pixels:
    """The inside of a panel's frame as its histogram alone has painted it: ticks and boxes are empty, uint8 RGB."""
    inside = panel.frame.inside
    result = pixels[inside.window].copy()
    for box in panel.frame.boxes:
        result[box.top - inside.top : box.bottom - inside.top, box.left - inside.left : box.right - inside.left] = (
            panel.empty
        )
    for rows, columns in ticks(pixels, panel):
        result[rows, columns] = _beneath(result, rows, columns, panel)
    return result


def ticks(pixels: Pixels, panel: Panel) -> list[tuple[Places, Places]]:
    """Rows and columns, counted from the frame's inside, of the ticks along its four sides."""
    inside = pixels[panel.frame.inside.window]
    if panel.frame.inside.area == pixels.shape[0] * pixels.shape[1]:
        return []  # no frame, no ticks
    height, width = inside.shape[:2]
    found = []
    for upright, far in ((False, False), (False, True), (True, False), (True, True)):
        deep = max(5, (width if upright else height) // TICK_SHARE)
        side = np.swapaxes(inside, 0, 1) if upright else inside
        ink = side[-1 if far else 0].max(axis=1) < INK
        alone = ink.copy()
        alone[1:-1] &= ~(ink[:-2] & ink[2:])
        alone[0] = alone[-1] = False
        lines = np.flatnonzero(alone)
        strip = (side[::-1][: deep + 1] if far else side[: deep + 1])[:, lines]
        run = np.logical_and.accumulate(strip.max(axis=2) < INK, axis=0)
        run &= ~run[-1]  # what goes on is no tick
        along, number = np.nonzero(run)
        across = lines[number]
        if far:
            along = len(side) - 1 - along
        found.append((across, along) if upright else (along, across))
    return found


def _beneath(inside: Pixels, rows: Places, columns: Places, panel: Panel) -> Pixels:
    """What ticks hide: of a map its neighbours' colour, of a curve nothing."""
    if panel.kind == "curve":
        return np.broadcast_to(panel.empty, (len(rows), 3))
    upright = len(np.unique(columns)) < len(np.unique(rows))
    if upright:
        return inside[rows, np.maximum(columns - 2, 0)]
    return inside[np.maximum(rows - 2, 0), columns]
