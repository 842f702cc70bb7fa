"""The folder of images: every content once, under its hash."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from hydrad.errors import TryAgain

LEFT_BEHIND_S = 3600.0  # a half-written file older than this belongs to nobody any more


class ImageFolder:
    """Content-addressed files: ``ab/cdef….png`` for an image whose SHA-256 begins with ``abcdef``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, sha256: str, format: str) -> Path:  # noqa: A002  the picture's own word
        """Where an image of this content lies, or would lie."""
        return self._root / sha256[:2] / f"{sha256[2:]}.{format}"

    def keep(self, data: bytes, sha256: str, format: str) -> Path:  # noqa: A002  the picture's own word
        """Write an image so that it survives a loss of power, or not at all; equal content is written once.

        Raises:
            TryAgain: the disk is full or away; nothing half-written is left.
        """
        path = self.path(sha256, format)
        try:
            if not _is_whole(path, len(data)):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._write(path, data)
        except OSError as fault:
            raise TryAgain(f"cannot keep an image in {self._root}: {fault.strerror or fault}") from fault
        return path

    def sweep(self) -> None:
        """Remove what a writer that was killed has left half-written; raises TryAgain when the disk does not answer."""
        oldest = time.time() - LEFT_BEHIND_S
        try:
            for left in self._unfinished.glob("*"):
                if left.stat().st_mtime < oldest:
                    left.unlink(missing_ok=True)
        except FileNotFoundError:
            return  # another one swept
        except OSError as fault:
            raise TryAgain(f"cannot look into {self._unfinished}: {fault.strerror or fault}") from fault

    @property
    def _unfinished(self) -> Path:
        return self._root / ".unfinished"

    def _write(self, path: Path, data: bytes) -> None:
        self._unfinished.mkdir(exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._unfinished)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), 0o644)  # the pages may run as another user
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def _is_whole(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
