"""From files to prepared pictures, a few at a time: however many there are, few lie in memory at full size."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from hydrad import image_files, images
from hydrad.classify.prepare import Preparation, Prepared
from hydrad.domain import Pixels
from hydrad.errors import ImageError
from hydrad.train.labelled import Labelled
from hydrad.train.progress import Progress, Tell

TELL_EVERY_S: Final = 0.5

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, eq=False)
class Unread:
    """An image that could not be read, and why."""

    record: Labelled
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Labelled images as a network is given them; one entry per image that could be read."""

    records: tuple[Labelled, ...]
    images: npt.NDArray[np.uint8]  # shape (images, height, width, channels)
    pixels: tuple[str, ...]  # digests of the pixels at full size
    unread: tuple[Unread, ...] = ()


def decoded(record: Labelled) -> Pixels:
    """An image as it came; raises ImageError or OSError when it cannot be read."""
    return images.pixels_of(image_files.read(record.path))


def read(records: Sequence[Labelled], preparation: Preparation, tell: Tell, *, threads: int = 1) -> Gathered:
    """Read and prepare all of these; those that cannot be read are left out and named.

    Args:
        records: their order is kept.
        preparation: what the network wants.
        tell: hears of the progress; may raise Stopped.
        threads: how many images are decoded at a time; Pillow lets go of Python's lock while it decodes, so threads
            are as fast as processes and share what they have read.
    """
    stack = np.empty((len(records), *preparation.shape), np.uint8)
    kept: list[Labelled] = []
    pixels: list[str] = []
    unread = []

    def look(record: Labelled) -> tuple[Prepared, str] | str:
        try:
            picture = images.picture_of(image_files.read(record.path), [preparation])
        except (ImageError, OSError) as fault:
            return str(fault)
        return picture.views[preparation], picture.pixels_digest

    found = in_threads(look, records, threads)
    for record, one in zip(records, told(found, len(records), "reading", tell), strict=True):
        if isinstance(one, str):
            unread.append(Unread(record, one))
            continue
        stack[len(kept)] = one[0]
        kept.append(record)
        pixels.append(one[1])
    return Gathered(tuple(kept), stack[: len(kept)], tuple(pixels), tuple(unread))


def in_threads(act: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """What ``act`` makes of each item, in order; only a few more than there are threads wait to be fetched."""
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="hydrad-read")
    try:
        for item in items:
            waiting.append(pool.submit(act, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def told(items: Iterable[R], count: int, stage: str, tell: Tell) -> Iterator[R]:
    """The same items, and word of how many have passed."""
    started = last = time.monotonic()
    for n, item in enumerate(items):
        yield item
        now = time.monotonic()
        if now - last >= TELL_EVERY_S or n + 1 == count:
            last = now
            left_s = (now - started) / (n + 1) * (count - n - 1)
            tell(Progress(stage, (n + 1) / count, left_s=round(left_s, 1)))
