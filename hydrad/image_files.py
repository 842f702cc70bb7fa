"""Reads image files: once, whole, and with no more memory than there is."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import os
import stat
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from hydrad.deaths import Deaths
from hydrad.domain import Picture
from hydrad.endings import Frame
from hydrad.errors import UnfinishedImage, UnreadableImage
from hydrad.images import DECODER, MAX_PIXELS, Shown, View, measured, shown
from hydrad.room import Room

MAX_BYTES: Final = 64 * 2**20
IN_HAND_BYTES: Final = 512 * 2**20
PIXEL_BYTES: Final = 8  # what a pixel costs while it is decoded: Pillow's four as it comes, and four as RGB
REMEMBERED: Final = 2048  # pictures that are not decoded when they come again
MOST_DEATHS: Final = 3  # of a picture: decoding takes so little that kills at unlucky moments must accuse nobody


class Expecting(Protocol):
    """Whoever waits for the pictures of a plot."""

    def __call__(self, plot: str, /) -> AbstractContextManager[Sequence[View]]:
        """What is wanted of the next one; entered while it is read."""
        ...


def read(path: Path, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The content of a regular file, read once; blocks. Raises what :func:`read_dated` does."""
    return read_dated(path, max_bytes=max_bytes)[0]


def read_dated(path: Path, *, max_bytes: int = MAX_BYTES) -> tuple[bytes, int]:
    """The content of a regular file, read once, and the time of its last write in ns; blocks.

    Raises:
        UnfinishedImage: it is empty, or it changed while it was read.
        UnreadableImage: it is no regular file, or larger than ``max_bytes``.
        OSError: it cannot be opened or read.
    """
    # Before anything is opened: opening alone makes some devices act, and a socket cannot be opened at all.
    _regular(os.stat(path))  # noqa: PTH116  pathlib has no such call for a descriptor, and below it must be the same
    # Not blocking: a pipe may have taken the file's place since.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123  a descriptor has no path
        before = os.fstat(descriptor)
        _regular(before)
        if before.st_size > max_bytes:
            raise UnreadableImage(f"its {before.st_size} bytes are more than the {max_bytes} allowed")
        data = _all(file, before.st_size)
        after = os.fstat(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise UnfinishedImage("it changed while it was read")
    return data, after.st_mtime_ns


class ImageReader:
    """The decoder of the story: reads and decodes in threads of its own. A context manager.

    A picture that was decoded lately, of whatever file, is known again by its encoded pixels and not decoded: it comes
    without views. Pictures that somebody still holds count as in hand: while they are many or large, the next one
    waits.

    What a daemon was decoding when it ended without a word is decoded alone by the one that follows it; after
    MOST_DEATHS it is refused, until another decoder is installed.

    Args:
        expecting: who waits for a plot's picture, and what it wants of it; nobody when None.
        threads: how many files are read at a time; as many as there are cores, 2 to 8, when None.
        max_bytes: larger files are refused unread.
        max_pixels: larger pictures are refused undecoded.
        in_hand_bytes: that pictures in hand may cost, one of them excepted.
        in_hand: the file that remembers what is being decoded, should that be this process's end; None: none does.
    """

    def __init__(
        self,
        expecting: Expecting | None = None,
        *,
        threads: int | None = None,
        max_bytes: int = MAX_BYTES,
        max_pixels: int = MAX_PIXELS,
        in_hand_bytes: int = IN_HAND_BYTES,
        in_hand: Path | None = None,
    ) -> None:
        self._expecting = expecting or _nobody
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels
        self._room = Room(in_hand_bytes)
        self._deaths = Deaths(in_hand, most=MOST_DEATHS)
        self._decoding: dict[int, float] = {}  # by thread, since when: time.monotonic()
        self._known: dict[bytes, Shown] = {}  # by the SHA-256 of their encoded pixels; the newest last
        self._knowing = threading.Lock()
        self._readers = ThreadPoolExecutor(threads or _threads(), thread_name_prefix="decode")

    def __enter__(self) -> Self:
        self._deaths.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.open()
        self._readers.shutdown(cancel_futures=True)
        self._deaths.__exit__(kind, fault, trace)

    @property
    def ticked_at(self) -> float:
        """``time.monotonic()`` of its last sign of life; one that waits for a disk, or for work, is alive."""
        return min(list(self._decoding.values()), default=time.monotonic())

    async def __call__(self, path: Path, plot: str) -> Picture:
        """Return the picture; raise UnfinishedImage, UnreadableImage, or OSError when the file cannot be read."""
        with self._expecting(plot) as views:
            return await asyncio.get_running_loop().run_in_executor(self._readers, self._look, path, views)

    def _look(self, path: Path, views: Iterable[View]) -> Picture:
        try:
            data, written_ns = read_dated(path, max_bytes=self._max_bytes)
            frame = measured(data, self._max_pixels)
            essence = frame.picture(data)
            name = hashlib.sha256(essence).digest()
            found, cost = self._recall(name), len(data)
            if found is not None:
                self._room.enter(cost)
            else:
                found, cost = self._decode(frame, essence, views, cost, f"{DECODER}/{name.hex()}")
                self._remember(name, replace(found, views={}))
        except MemoryError as fault:  # another time there may be enough
            raise OSError(errno.ENOMEM, "there is not enough memory to decode it") from fault
        picture = found.picture(data, written_ns)
        weakref.finalize(picture, self._room.leave, cost).atexit = False
        return picture

    def _decode(self, frame: Frame, essence: bytes, views: Iterable[View], cost: int, name: str) -> tuple[Shown, int]:
        """What a picture shows, and what it goes on costing in bytes beside its file's."""
        if self._deaths.hopeless(name):
            raise UnreadableImage(f"the daemon ended {MOST_DEATHS} times while it was decoded")
        decoding = PIXEL_BYTES * frame.width * frame.height
        self._room.enter(cost + decoding)
        try:
            with self._deaths.survived([name]):
                self._decoding[threading.get_ident()] = time.monotonic()
                try:
                    found = shown(frame, essence, views)
                finally:
                    del self._decoding[threading.get_ident()]
        except BaseException:
            self._room.leave(cost + decoding)
            raise
        kept = sum(view.nbytes for view in found.views.values())
        self._room.leave(decoding - kept)
        return found, cost + kept

    def _recall(self, name: bytes) -> Shown | None:
        with self._knowing:
            found = self._known.pop(name, None)
            if found is not None:
                self._known[name] = found
            return found

    def _remember(self, name: bytes, found: Shown) -> None:
        with self._knowing:
            self._known[name] = found
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]


def _threads() -> int:
    return max(2, min(8, len(os.sched_getaffinity(0))))


def _nobody(_: str) -> AbstractContextManager[Sequence[View]]:
    return nullcontext(())


def _regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImage("it is no regular file")


def _all(file: io.FileIO, size: int) -> bytes:
    """Everything up to the end, and one byte more than ``size`` at most: enough to see that it grew."""
    parts = []
    wanted = size + 1
    while wanted > 0 and (part := file.read(wanted)):
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)
