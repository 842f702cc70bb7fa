"""Which images are the same picture, which ones nearly are, and which ones two people called by two names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from hydrad.train.examples import Truth

BLOCK: Final = 8  # pixels of the prepared picture per side of a square that is averaged
ALIKE: Final = 2  # grey levels of 255 by which the averages of two near-duplicates differ at most, anywhere
AT_ONCE: Final = 4000  # near-duplicates come soon after each other: compared are no more than so many in a row

Images = npt.NDArray[np.uint8]  # shape (images, height, width, channels)
Numbers = npt.NDArray[np.int64]


def copies(pixels: Sequence[str], truth: Truth) -> Numbers:
    """Images whose pixels equal an earlier one's of the same label: they tell a network nothing new."""
    seen: set[tuple[str, int]] = set()
    found = []
    for n, key in enumerate(zip(pixels, truth.tolist(), strict=True)):
        if key in seen:
            found.append(n)
        seen.add(key)
    return np.array(found, np.int64)


def contradictions(pixels: Sequence[str], truth: Truth) -> Numbers:
    """Images whose pixels equal another one's of another label: a network that sees only pixels cannot tell them."""
    called: dict[str, set[int]] = defaultdict(set)
    for sha256, label in zip(pixels, truth.tolist(), strict=True):
        called[sha256].add(label)
    return np.array([n for n, sha256 in enumerate(pixels) if len(called[sha256]) > 1], np.int64)


def near(images: Images, kinds: Sequence[Hashable]) -> Numbers:
    """Number images so that near-duplicates have the same number.

    Only images of one kind (plot, label and run) can be near-duplicates. They are when no square of ``BLOCK`` pixels
    differs by more than ``ALIKE`` grey levels on average. A mean over the picture would not do: one dead board changes
    few pixels, but those a lot, and statistical fluctuations change every square of two separate fills.

    Args:
        images: prepared.
        kinds: of each image.
    """
    small = _averages(images)
    members: dict[Hashable, list[int]] = defaultdict(list)
    for n, kind in enumerate(kinds):
        members[kind].append(n)
    twins = np.zeros(len(images), np.int64)
    count = 0
    for chosen in members.values():
        for start in range(0, len(chosen), AT_ONCE):
            numbers = np.array(chosen[start : start + AT_ONCE])
            found = _led(small[numbers])
            twins[numbers] = found + count
            count += int(found.max()) + 1
    return twins


def _averages(images: Images) -> npt.NDArray[np.int16]:
    """Grey levels of the squares, shape (images, squares); what is left over at an edge belongs to the last square."""
    count, height, width, _ = images.shape
    rows, columns = np.arange(0, max(height - BLOCK, 0) + 1, BLOCK), np.arange(0, max(width - BLOCK, 0) + 1, BLOCK)
    areas = np.diff(np.append(rows, height))[:, None] * np.diff(np.append(columns, width))
    small = np.empty((count, len(rows) * len(columns)), np.int16)
    for n, image in enumerate(images):
        grey = image.mean(axis=2, dtype=np.float32)
        sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=0), columns, axis=1)
        small[n] = np.rint(sums / areas).ravel()
    return small


def _led(small: npt.NDArray[np.int16]) -> Numbers:
    """Each picture joins the first one that it is like; where there is none, others may join it."""
    leaders = np.empty_like(small)
    found = np.zeros(len(small), np.int64)
    count = 0
    for n, one in enumerate(small):
        like = np.flatnonzero(np.abs(leaders[:count] - one).max(axis=1, initial=0) <= ALIKE)
        if len(like):
            found[n] = like[0]
            continue
        leaders[count] = one
        found[n] = count
        count += 1
    return found
