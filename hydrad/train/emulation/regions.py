"""Which pixels belong together: the regions of a channel map, or boxes drawn on a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from hydrad import image_files, images
from hydrad.domain import Pixels
from hydrad.errors import ConfigurationError, ImageError

Places = npt.NDArray[np.intp]  # of pixels in the flattened picture, ascending
Numbers = npt.NDArray[np.int32]  # shape (height, width): the region each pixel belongs to, -1 for none

LEAST_SHARE: Final = 1e-4  # of the map; a colour with less is the edge of something
MOST_REGIONS: Final = 4096
_BLEND_SHARE: Final = 2e-3  # a colour with more is no blend at an edge
_BLENDS_FROM: Final = 40_000  # pixels: smaller maps have channels of one pixel, and nobody smooths them


@dataclass(frozen=True, slots=True, eq=False)
class ChannelMap:
    """A picture of a plot in which every region has a colour of its own, numbered by colour (red, green, blue).

    A region need not be in one piece. It may be of another size than the plot's images: it is stretched over them.
    """

    numbers: Numbers
    count: int

    def over(self, height: int, width: int) -> tuple[Places, ...]:
        """The pixels of each region in a picture of this size; empty for one that is too small to be seen there."""
        rows, columns = _nearest(height, self.numbers.shape[0]), _nearest(width, self.numbers.shape[1])
        flat = self.numbers[np.ix_(rows, columns)].reshape(-1)
        order = np.argsort(flat, kind="stable")
        ends = np.searchsorted(flat[order], np.arange(self.count + 1))
        return tuple(order[ends[n] : ends[n + 1]] for n in range(self.count))


def load(path: Path) -> ChannelMap:
    """Read a channel map from an image file.

    Raises:
        ConfigurationError: the file cannot be read, is no image, or shows no regions.
    """
    try:
        pixels = images.pixels_of(image_files.read(path))
    except (OSError, ImageError) as fault:
        raise ConfigurationError(f"map: {path} cannot be read: {fault}") from fault
    try:
        return channel_map(pixels)
    except ConfigurationError as fault:
        raise ConfigurationError(f"map: {path}: {fault}") from fault


def channel_map(pixels: Pixels) -> ChannelMap:
    """The regions of a map that is already in memory, uint8 RGB of shape (height, width, 3).

    White, black and the colour that prevails along the map's border are no regions; neither are colours of less than
    0.01 % of its pixels, nor those that merely blend two neighbours along a smoothed edge.

    Raises:
        ConfigurationError: it has none, or so many colours that they cannot be regions.
    """
    codes = _codes(pixels)
    colours, number, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    number = number.reshape(codes.shape)
    border = np.concatenate([number[0], number[-1], number[:, 0], number[:, -1]])
    least = LEAST_SHARE * codes.size
    kept = sizes >= least
    kept &= (colours != 0) & (colours != 0xFFFFFF)
    kept[np.bincount(border).argmax()] = False
    if codes.size >= _BLENDS_FROM:
        small = kept & (sizes < _BLEND_SHARE * codes.size)
        if small.any():
            blended = np.bincount(number[_blends(pixels)], minlength=len(colours))
            kept &= ~(small & (blended > 0.8 * sizes))
    count = int(kept.sum())
    if count == 0:
        raise ConfigurationError("it has no regions: each needs a colour of its own beside the ground's")
    if count > MOST_REGIONS:
        raise ConfigurationError(f"its {count} colours cannot all be regions: draw it without shading, save it as PNG")
    names = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
    return ChannelMap(names[number], count)


def box_places(boxes: Sequence[tuple[float, float, float, float]], height: int, width: int) -> tuple[Places, ...]:
    """The pixels of each box, given as (left, top, right, bottom) in shares of the picture; at least one pixel each."""
    found = []
    for left, top, right, bottom in boxes:
        x, y = min(int(left * width), width - 1), min(int(top * height), height - 1)
        columns = np.arange(x, max(x + 1, round(right * width)))
        rows = np.arange(y, max(y + 1, round(bottom * height)))
        found.append((rows[:, None] * width + columns).reshape(-1))
    return tuple(found)


def check_boxes(boxes: Sequence[tuple[float, float, float, float]]) -> None:
    """Refuse boxes without an inside, or that reach out of the picture.

    Raises:
        ConfigurationError: one sentence for each.
    """
    faults = [
        f"boxes: {box} is no box: left, top, right, bottom are shares of the picture, 0 ≤ left < right ≤ 1 and likewise"
        for box in boxes
        if not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1)
    ]
    if faults:
        raise ConfigurationError(*faults)


def _nearest(length: int, of: int) -> npt.NDArray[np.intp]:
    return ((np.arange(length) + 0.5) * (of / length)).astype(np.intp)


def _codes(pixels: Pixels) -> npt.NDArray[np.int32]:
    wide = pixels.astype(np.int32)
    codes: npt.NDArray[np.int32] = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    return codes


def _blends(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Pixels whose colour lies between those of two unlike neighbours on either side of it."""
    wide = np.pad(pixels.astype(np.int16), ((1, 1), (1, 1), (0, 0)), mode="edge")
    middle = wide[1:-1, 1:-1]
    found = np.zeros(pixels.shape[:2], np.bool_)
    for one, other in ((wide[1:-1, :-2], wide[1:-1, 2:]), (wide[:-2, 1:-1], wide[2:, 1:-1])):
        between = (np.minimum(one, other) - 2 <= middle) & (middle <= np.maximum(one, other) + 2)
        unlike = (middle != one).any(axis=2) & (middle != other).any(axis=2)
        found |= between.all(axis=2) & unlike
    return found
