"""Folders of labelled images: which file shows which plot, and what label it has."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path, PurePath

from hydrad.config import Watch
from hydrad.domain import Caption, Meaning
from hydrad.store.labels.defining import Hand, why_not
from hydrad.watchers.layouts import SUFFIXES, Names, legible, plain

Read = Callable[[Path], Caption | None]  # None: its name is one of those that are ignored


@dataclass(frozen=True, slots=True)
class Offer:
    """A labelled image as somebody offers it; nobody has looked into the file yet."""

    name: str  # of the file, for reports
    label: str
    caption: Caption
    file: Path | None  # None: it is gone
    sha256: str | None = None  # that it must have
    hand: Hand | None = None  # that labelled it in former times
    meaning: Meaning | None = None
    colour: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Plot and label."""
        return self.caption.plot, self.label


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that is not taken, and why; ``no_image`` is True for one that does not even claim to be an image."""

    name: str
    reason: str
    no_image: bool = False
    key: tuple[str, str] | None = None  # plot and label


def offers(folder: Path, read: Read, *, label: str | None = None, run: int | None = None) -> Iterator[Offer | Refusal]:
    """Every file below a folder, by name.

    Args:
        folder: absolute. Holds a folder per label, in which files may lie at any depth, unless ``label`` is given.
        read: what a path says of its image.
        label: of all files; then folders have no meaning.
        run: of all files.
    """
    for file in _files(folder):
        if isinstance(file, Refusal):
            yield file
            continue
        inside = file.relative_to(folder).parts
        if label is None and len(inside) == 1:
            yield _refused(file, "lies in no label's folder; move it into one, or say --label")
            continue
        named = unicodedata.normalize("NFC", inside[0]) if label is None else label
        caption = read(file)
        if caption is None:
            yield Refusal(str(file), "has a name that is ignored", no_image=True)
        elif flaw := why_not(named):
            yield _refused(file, flaw)
        else:
            if run is not None:
                caption = Caption(caption.plot, run, caption.chunk, caption.taken_at)
            yield Offer(str(file), named, caption, file)


def by_layout(watch: Watch, zone: tzinfo) -> Read:
    """Plot, run and time as a watched folder of this layout has them."""
    names = Names(watch, zone)
    now = datetime.now(UTC)

    def read(file: Path) -> Caption | None:
        path = os.fspath(file)
        return names.caption(path, now=now) if names.wants_folder(path) else None

    return read


def by_plot(plot: str, folder: Path, *, labels: bool) -> Read:
    """All of them show one plot; a folder ``Run<number>`` tells the run.

    Args:
        folder: that is imported; its own name may be that of a run.
        labels: it holds folders of labels, whose names tell nothing else.
    """

    def read(file: Path) -> Caption:
        inside = file.relative_to(folder).parts
        return Caption(plot, plain(PurePath(folder.name, *inside[1 if labels else 0 :])).run)

    return read


def named_after(folder: Path) -> str:
    """The plot that a folder is named after; may be empty."""
    return legible(folder.name).strip()


def claims_to_be_image(file: Path) -> bool:
    """True if its name ends as an image's does."""
    return file.name.lower().endswith(SUFFIXES)


def _files(top: Path) -> Iterator[Path | Refusal]:
    """The files below a folder in the order of their names; links are followed, each folder is entered once."""
    entered: set[tuple[int, int]] = set()
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in entered:
                yield _refused(folder, "leads to a folder that has been looked into")
                continue
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as found:
                entries = sorted((entry.name, _is_folder(entry)) for entry in found)
        except OSError as fault:
            yield _refused(folder, fault.strerror or str(fault))
            continue
        folders: list[Path] = []
        for name, is_folder in entries:
            if name.startswith("."):
                yield Refusal(str(folder / name), "is hidden", no_image=True)
            elif is_folder:
                folders.append(folder / name)
            else:
                yield folder / name
        waiting += reversed(folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a ring of links; reading it will say so
        return False


def _refused(file: Path, reason: str) -> Refusal:
    return Refusal(str(file), reason, no_image=not claims_to_be_image(file))
