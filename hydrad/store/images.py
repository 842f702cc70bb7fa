"""The folder of images: every content once, under its hash, for as long as somebody needs it."""

from __future__ import annotations

import os
import re
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hydrad.durable import sync_folder
from hydrad.errors import TryAgain

LEFT_BEHIND_S = 3600.0  # a half-written file older than this belongs to nobody any more
SHELVES = tuple(f"{n:02x}" for n in range(256))  # the folders that images lie in

_NAME = re.compile(r"([0-9a-f]{62})\.(\w+)")


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the folder."""

    sha256: str  # as its name says
    format: str
    size: int  # bytes


class ImageFolder:
    """Content-addressed files: ``ab/cdef….png`` for an image whose SHA-256 begins with ``abcdef``.

    A file's time of last write is that at which its content was last kept, by this host's clock.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, sha256: str, format: str) -> Path:  # noqa: A002  the picture's own word
        """Where an image of this content lies, or would lie."""
        return self._root / sha256[:2] / f"{sha256[2:]}.{format}"

    def keep(self, data: bytes, sha256: str, format: str) -> Path:  # noqa: A002  the picture's own word
        """Write an image so that it survives a loss of power, or not at all.

        Equal content is written once; then the file is as young as if it had been written now.

        Raises:
            TryAgain: the disk is full or away; nothing half-written is left.
        """
        path = self.path(sha256, format)
        try:
            if not _renewed(path, len(data)):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._write(path, data)
        except OSError as fault:
            raise TryAgain(f"cannot keep an image in {self._root}: {fault.strerror or fault}") from fault
        return path

    def older(self, sha256: str, format: str, than: datetime) -> bool:  # noqa: A002  the picture's own word
        """True if this image lies here and was last kept before that time; raises TryAgain as :meth:`keep` does."""
        try:
            return self.path(sha256, format).stat().st_mtime < than.timestamp()
        except FileNotFoundError:
            return False
        except OSError as fault:
            raise TryAgain(f"cannot look into {self._root}: {fault.strerror or fault}") from fault

    def discard(self, sha256: str, format: str, than: datetime) -> bool:  # noqa: A002  the picture's own word
        """Remove an image that was last kept before that time; True if it is gone, False if it was kept since.

        Whoever keeps the same content at this moment, in this process or another, finds it kept.

        Raises:
            TryAgain: the disk does not answer.
        """
        path = self.path(sha256, format)
        aside = self._unfinished / f"{uuid.uuid4().hex}.{format}"
        try:
            self._unfinished.mkdir(exist_ok=True)
            # Out of the way first and looked at then: what renews it from here on finds nothing and writes it anew.
            path.rename(aside)
            if aside.stat().st_mtime < than.timestamp():
                aside.unlink()
                return True
            aside.rename(path)  # over one written since: they are equal
        except FileNotFoundError:
            return True
        except OSError as fault:
            raise TryAgain(f"cannot remove an image from {self._root}: {fault.strerror or fault}") from fault
        return False

    def shelf(self, name: str) -> Iterator[Kept]:
        """What lies on one of SHELVES; names that are no image's are left out; raises TryAgain as :meth:`keep` does."""
        try:
            with os.scandir(self._root / name) as found:
                for file in found:
                    if (hit := _NAME.fullmatch(file.name)) is not None:
                        yield Kept(name + hit[1], hit[2], file.stat().st_size)
        except FileNotFoundError:  # no such shelf yet, or a file that went just now
            return
        except OSError as fault:
            raise TryAgain(f"cannot look into {self._root}: {fault.strerror or fault}") from fault

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
                _date(file.fileno())
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def _renewed(path: Path, size: int) -> bool:
    """Make a file that lies there whole as young as a new one; False if it has to be written."""
    try:
        if path.stat().st_size != size:
            return False
        _date(path)
    except (FileNotFoundError, PermissionError):  # of another owner: then we write one of our own in its place
        return False
    return True


def _date(file: Path | int) -> None:
    # By this host's clock: a network file system's server has another.
    now = time.time_ns()
    os.utime(file, ns=(now, now))
