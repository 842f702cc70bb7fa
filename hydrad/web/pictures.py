"""Images, thumbnails and heatmaps as browsers want them."""

from __future__ import annotations

import io
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from anyio import CapacityLimiter, to_thread
from PIL import Image

from hydrad import log
from hydrad.domain import HeatMap
from hydrad.errors import HydradError, ImageError, TryAgain
from hydrad.images import image_of
from hydrad.store.images import ImageFolder

MOST_BYTES: Final = 2 * 10**9  # of thumbnails; beyond it the oldest go
SWEEP_AFTER: Final = 500  # new thumbnails
AT_ONCE: Final = 2  # decoded at the same time, so that a wall of four hundred leaves the other pages their share
QUALITY: Final = 82
HOT: Final = (214, 0, 110)  # magenta: in no histogram's palette, and told from all of them by the colour-blind
COLD: Final = 40  # of 255; what is below it is left as it is

_SHA256 = re.compile(r"[0-9a-f]{64}")

_log = log.get("pictures")


class NoPicture(HydradError):
    """There is no such image, or it is kept no longer."""


@dataclass(frozen=True, slots=True)
class _Thumbnail:
    path: Path
    size: int  # bytes
    made_at: float


class Pictures:
    """Gives the bytes of kept images, and makes thumbnails of them, each once.

    Args:
        images: where the images lie.
        cache: a folder for thumbnails; it may be removed at any time.
        most_bytes: of thumbnails on the disk, about.
    """

    def __init__(self, images: ImageFolder, cache: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._images = images
        self._root = cache / "thumbnails"
        self._most_bytes = most_bytes
        self._limiter: CapacityLimiter | None = None  # belongs to the loop that first asks
        self._sweeping = threading.Lock()
        self._new = SWEEP_AFTER  # an earlier process may have left more than is allowed
        self._full = False

    def original(self, sha256: str, format: str) -> bytes:  # noqa: A002  the picture's own word
        """The image's file as it came; blocks.

        Args:
            sha256: 64 hexadecimal digits in lower case.
            format: as the data base has it.

        Raises:
            NoPicture: it does not lie there.
            TryAgain: the disk does not answer.
        """
        if _SHA256.fullmatch(sha256) is None:
            raise NoPicture("there is no such image")
        try:
            return self._images.path(sha256, format).read_bytes()
        except FileNotFoundError as fault:
            raise NoPicture("this image is kept no longer") from fault
        except OSError as fault:
            raise TryAgain(f"cannot read an image: {fault.strerror or fault}") from fault

    async def thumbnail(self, sha256: str, format: str, width: int) -> bytes:  # noqa: A002  the picture's own word
        """The image as WebP, at most ``width`` pixels wide; raises as :meth:`original` does."""
        if _SHA256.fullmatch(sha256) is None:
            raise NoPicture("there is no such image")
        path = self._root / str(width) / sha256[:2] / f"{sha256[2:]}.webp"
        held = await to_thread.run_sync(_read, path)
        if held is not None:
            return held
        if self._limiter is None:
            self._limiter = CapacityLimiter(AT_ONCE)
        return await to_thread.run_sync(self._make, sha256, format, width, path, limiter=self._limiter)

    def _make(self, sha256: str, format: str, width: int, path: Path) -> bytes:  # noqa: A002  the picture's own word
        if (held := _read(path)) is not None:  # another one asked for it meanwhile
            return held
        made = _shrunk(self.original(sha256, format), width)
        try:
            _write(path, made)
            self._full = False
        except OSError as fault:  # a full disk costs time, and nothing else
            if not self._full:
                _log.warning("thumbnails_not_kept", folder=str(self._root), why=str(fault))
            self._full = True
            return made
        self._new += 1
        if self._new >= SWEEP_AFTER and self._sweeping.acquire(blocking=False):
            try:
                self._new = 0
                self.sweep()
            finally:
                self._sweeping.release()
        return made

    def sweep(self) -> None:
        """Remove the oldest thumbnails, until what is left takes a tenth less than is allowed; blocks."""
        there = sorted(self._kept(), key=lambda one: one.made_at)
        total = sum(one.size for one in there)
        if total <= self._most_bytes:
            return
        for one in there:
            if total <= self._most_bytes * 0.9:
                return
            with suppress(OSError):  # gone already, or not ours
                one.path.unlink()
            total -= one.size

    def _kept(self) -> Iterator[_Thumbnail]:
        for folder, _, names in os.walk(self._root):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):  # gone since
                    facts = path.stat()
                    yield _Thumbnail(path, facts.st_size, facts.st_mtime)


def heat(cells: HeatMap) -> bytes:
    """A heatmap as PNG, one pixel a cell: nothing where it is cold, the hotter the less transparent."""
    rgba = np.empty((*cells.shape, 4), np.uint8)
    rgba[..., :3] = HOT
    rgba[..., 3] = np.where(cells < COLD, 0, cells)
    out = io.BytesIO()
    Image.fromarray(rgba).save(out, "PNG", optimize=True)
    return out.getvalue()


def _shrunk(data: bytes, width: int) -> bytes:
    try:
        image = image_of(data)
    except ImageError as fault:  # it was whole when it was judged: the disk has lost some of it
        raise NoPicture(f"this image cannot be read any more: {fault}") from fault
    if image.width > width:
        height = max(1, round(image.height * width / image.width))
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=QUALITY, method=2)
    return out.getvalue()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() or None
    except OSError:
        return None


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
