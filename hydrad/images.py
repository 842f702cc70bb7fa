"""From a file's bytes to the picture they show, or to the reason why they show none: the only decoder there is."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import stat
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from hydrad.domain import Picture, Pixels
from hydrad.endings import Frame, has_all_rows, measure
from hydrad.errors import UnfinishedImage, UnreadableImage

MAX_BYTES: Final = 64 * 2**20
MAX_PIXELS: Final = 50_000_000
# What Pillow and the libraries below it are known to raise on files that are complete and wrong.
_FAULTS: Final = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError,
    struct.error, zlib.error, Image.DecompressionBombError, Warning,
)  # fmt: skip


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Make a picture of a PNG, JPEG or GIF file (its first frame); the content decides which, never a name.

    Transparency is laid on white, 16-bit grey is scaled to 8 bits. The pixels are RGB, uint8, shape
    (height, width, 3), contiguous and not writable.

    Args:
        data: the whole file.
        max_pixels: width times height above which no memory is spent on it.

    Raises:
        UnfinishedImage: these are the first bytes of an image, or bytes with a hole at their end; more may follow.
        UnreadableImage: more bytes would not help.
    """
    frame = measure(data)
    if frame.width * frame.height > max_pixels:
        raise UnreadableImage(f"{frame.width} × {frame.height} pixels are more than the {max_pixels} allowed")
    pixels = _pixels(data, frame)
    pixels.setflags(write=False)
    shape = "{}x{}x{}:".format(*pixels.shape)
    return Picture(
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        pixels=pixels,
        pixels_sha256=_sha256(shape.encode(), pixels),
        format=frame.format,
    )


def read(path: Path, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The content of a regular file, read once; blocks.

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
    return data


class ImageReader:
    """The decoder of the story: reads and decodes in threads of its own. A context manager.

    Args:
        threads: how many files are read at a time.
        max_bytes: larger files are refused unread.
        max_pixels: larger pictures are refused undecoded.
    """

    def __init__(self, *, threads: int = 2, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> None:
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels
        self._readers = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._readers.shutdown(cancel_futures=True)

    async def __call__(self, path: Path) -> Picture:
        """Return the picture; raise UnfinishedImage, UnreadableImage, or OSError when the file cannot be read."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._look, path)

    def _look(self, path: Path) -> Picture:
        return decode(read(path, max_bytes=self._max_bytes), max_pixels=self._max_pixels)


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


def _pixels(data: bytes, frame: Frame) -> Pixels:
    try:
        with Image.open(io.BytesIO(data), formats=(frame.format,)) as image:
            image.load()
            # Pillow leaves rows black that a PNG's data stop short of; to count them costs as much as to decode them.
            if frame.format == "png" and (frame.interlaced or not _last_row(image).any()) and not has_all_rows(data):
                raise UnreadableImage("it is a complete png file in which rows are missing")
            return _rgb(image)
    except _FAULTS as fault:
        raise UnreadableImage(f"it is a complete {frame.format} file that cannot be decoded: {fault}") from fault


def _last_row(image: Image.Image) -> npt.NDArray[Any]:
    return np.asarray(image.crop((0, image.height - 1, image.width, image.height)))


def _rgb(image: Image.Image) -> Pixels:
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep_grey(image)
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"), dtype=np.uint8, order="C")


def _from_deep_grey(image: Image.Image) -> Pixels:
    # Pillow would cut off at 255 where the file means 65535.
    depth = np.asarray(image).astype(np.float64)
    grey = np.clip(np.rint(depth / 257), 0, 255).astype(np.uint8)
    if (clear := image.info.get("transparency")) is not None:
        grey[depth == clear] = 255
    return np.ascontiguousarray(np.repeat(grey[:, :, np.newaxis], 3, axis=2))


def _sha256(head: bytes, pixels: Pixels) -> str:
    digest = hashlib.sha256(head)
    digest.update(pixels.data)
    return digest.hexdigest()
