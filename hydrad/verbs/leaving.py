"""Labelled images on their way out: a folder per plot and label, and the table that tells their exact names."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydrad.errors import ConfigurationError, TryAgain
from hydrad.store.labels.labelling import LabelledImage
from hydrad.verbs import label_table

LONGEST = 80  # bytes of a folder's name, where file systems take 255
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u2028\u2029\ud800-\udfff]')
_ENDS = re.compile(r"[.\s]+$")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Left:
    """What was written."""

    table: Path
    written: int  # pictures
    gone: int  # labelled images whose pictures are not to be had


class Folders:
    """Names for folders that every file system takes, no two of them alike on any."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._taken: set[tuple[str, str]] = set()

    def name(self, text: str, within: str = "") -> str:
        """The folder for a text in another folder; the same whenever it is asked for."""
        if (found := self._names.get((within, text))) is None:
            plain = found = _safe(text)
            number = 2
            while (within, _folded(found)) in self._taken:
                found = f"{plain}~{number}"
                number += 1
            self._taken.add((within, _folded(found)))
            self._names[within, text] = found
        return found


def leave(
    found: Sequence[LabelledImage],
    folder: Path,
    images: Path,
    colours: Mapping[tuple[str, str], str],
    *,
    pictures: bool,
    tell: Callable[[int], None],
) -> Left:
    """Write the images and their table.

    Args:
        found: with those whose bytes are gone; the table has their labels without a file.
        folder: is made where it is not there.
        images: ``store.images``.
        colours: those that people chose, by plot and label.
        pictures: False for the table alone, which then names the files in ``images``.
        tell: is called with each number of images done.

    Raises:
        ConfigurationError: the folder cannot be written.
        TryAgain: the disk is full or away.
    """
    table = folder / label_table.NAME
    counted = [0, 0]

    def rows() -> Iterator[tuple[str, LabelledImage]]:
        place = _placed(folder, images) if pictures else lambda one: _there(one, images)
        for one in found:
            name = place(one)
            counted[not name] += 1
            tell(1)
            yield name, one

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise ConfigurationError(f"{folder}: {fault.strerror or fault}") from fault
    try:
        label_table.write(table, rows(), colours)
    except OSError as fault:
        raise TryAgain(f"cannot write to {folder}: {fault.strerror or fault}") from fault
    return Left(table, counted[0], counted[1])


def _placed(folder: Path, images: Path) -> Callable[[LabelledImage], str]:
    """What copies an image to its place and returns its name below the folder, or nothing where it is gone."""
    folders = Folders()
    taken: set[str] = set()

    def place(one: LabelledImage) -> str:
        plot = folders.name(one.plot)
        within = f"{plot}/{folders.name(one.label, plot)}"
        name = f"{within}/{one.sha256[:16]}.{one.format}"
        if name in taken:
            name = f"{within}/{one.sha256}.{one.format}"
        taken.add(name)
        data = _read(one, images)
        if data is None:
            return ""
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return name

    return place


def _there(one: LabelledImage, images: Path) -> str:
    path = one.lies_in(images)
    return str(path) if path.is_file() else ""


def _read(one: LabelledImage, images: Path) -> bytes | None:
    try:
        data = one.lies_in(images).read_bytes()
    except OSError:  # gone, or no longer to be read: the table says so
        return None
    return data if hashlib.sha256(data).hexdigest() == one.sha256 else None


def _safe(text: str) -> str:
    name = _ENDS.sub("", _UNSAFE.sub("_", text).strip())
    if name.startswith((".", "-", "~")) or _RESERVED.fullmatch(name):
        name = f"_{name}"
    return _ENDS.sub("", name.encode()[:LONGEST].decode(errors="ignore")) or "_"


def _folded(name: str) -> str:
    """Equal for names that some file system takes for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
