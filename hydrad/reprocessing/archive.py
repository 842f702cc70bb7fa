"""The files of an archive, one after the other, however many there are: below a folder, or in hydrad's own store."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from hydrad.store.images import ImageFolder
from hydrad.store.queries import Store
from hydrad.store.reprocessing.kept import kept_images
from hydrad.watchers.layouts import Names

TELL_EVERY: Final = 1000  # files counted

Wants = Callable[[str], bool]  # whether a plot's images are to be judged


@dataclass(frozen=True, slots=True)
class Archived:
    """A file that is to be judged; nobody has looked into it."""

    path: str
    below: str  # the same as seen from the archive
    plot: str
    run: int | None
    taken_at: datetime | None  # aware, UTC; None where only its last write can tell


Portion = tuple[Archived, ...]  # files that one worker is given at once


class Source(Protocol):
    """An archive."""

    @property
    def root(self) -> Path:
        """The folder that every worker must see."""
        ...

    @property
    def says(self) -> str:
        """What it is, in a word or a path; part of what a reprocessing is known by."""
        ...

    @property
    def names(self) -> str:
        """How its names are read; likewise."""
        ...

    def files(self) -> Iterator[Archived]:
        """Every file that is there now, from the beginning, in an order that stays while nothing is changed."""
        ...


@dataclass
class FolderArchive:
    """All images below a folder, as the daemon's own watchers would find them.

    Folders behind symbolic links belong to it, each once. ``unlisted`` are folders that could not be looked into.

    Args:
        root: absolute.
        layout: reads the names; the root, or a folder above it, is its own.
        names: how it does.
    """

    root: Path
    layout: Names
    names: str
    unlisted: dict[str, str] = field(default_factory=dict)  # and why

    @property
    def says(self) -> str:
        """Its path."""
        return str(self.root)

    def files(self) -> Iterator[Archived]:
        """Folder by folder, by name; what is reached by links comes last."""
        now = datetime.now(UTC)
        self.unlisted.clear()
        visited: set[tuple[int, int]] = set()
        above = {_identity(parent) for parent in self.root.resolve().parents}
        links = deque[str]()
        yield from self._below(str(self.root), visited, links, now)
        while links:  # last, so that a folder goes by its own name and not by a link's
            link = links.popleft()
            if _identity(link) not in above:
                yield from self._below(link, visited, links, now)

    def _below(self, top: str, visited: set[tuple[int, int]], links: deque[str], now: datetime) -> Iterator[Archived]:
        ahead = [top]
        while ahead:
            folder = ahead.pop()
            try:
                if (identity := _identity(folder)) in visited:
                    continue
                visited.add(identity)
                with os.scandir(folder) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except OSError as fault:
                self.unlisted[folder] = fault.strerror or str(fault)
                continue
            inside: list[str] = []
            for entry in entries:
                if _is_folder(entry):
                    if self.layout.wants_folder(entry.path):
                        (links if entry.is_symlink() else inside).append(entry.path)
                elif self.layout.wants_file(entry.path):
                    yield self._archived(entry.path, now)
            ahead += reversed(inside)

    def _archived(self, path: str, now: datetime) -> Archived:
        said = self.layout.caption(path, now=now)
        return Archived(path, os.path.relpath(path, self.root), said.plot, said.run, said.taken_at)


@dataclass(frozen=True)
class StoreArchive:
    """The images that hydrad itself has kept, in the order in which they came; each as the image of each plot.

    Args:
        store: knows whose they are.
        root: the folder they lie in.
    """

    store: Store
    root: Path
    says: str = "store"
    names: str = "as they were judged live"

    def files(self) -> Iterator[Archived]:
        """Those whose bytes are kept, in the order in which they came."""
        folder = ImageFolder(self.root)
        for image in kept_images(self.store):
            path = folder.path(image.sha256, image.format)
            yield Archived(str(path), str(path.relative_to(self.root)), image.plot, image.run, image.taken_at)


@dataclass(slots=True)
class Extent:
    """How much there is to do."""

    files: int = 0
    others: int = 0  # files of plots that nobody asked about


def extent(source: Source, wants: Wants, told: Callable[[int], None] = lambda _: None) -> Extent:
    """Count the files without looking into them; ``told`` hears of how many, now and then."""
    found = Extent()
    for one in source.files():
        if wants(one.plot):
            found.files += 1
        else:
            found.others += 1
        if (found.files + found.others) % TELL_EVERY == 0:
            told(found.files + found.others)
    return found


def portions(files: Iterable[Archived], wants: Wants, size: int) -> Iterator[Portion]:
    """The files that are asked about, so many at a time."""
    wanted = (one for one in files if wants(one.plot))
    while portion := tuple(islice(wanted, size)):
        yield portion


def _identity(path: str | Path) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116  of tens of thousands of paths few ever become a Path
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle: whoever reads it will find out
        return False
