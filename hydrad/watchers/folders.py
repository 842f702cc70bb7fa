"""Goes through the folders below a root and tells which files in them look new or changed."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hydrad import log
from hydrad.watchers.layouts import Names, legible
from hydrad.watchers.settling import Look, Settling

_log = log.get("watchers")

WARM_S: Final = 600.0  # a folder is looked into on every round for this long after something happened in it

Identity = tuple[int, int]  # device and inode of a folder


class Stopped(Exception):
    """The round was broken off because the watcher closes."""


@dataclass(slots=True)
class Round:
    """What one walk through the folders found."""

    files: list[tuple[str, Look]] = field(default_factory=list)  # new or changed, the oldest first
    vanished: list[str] = field(default_factory=list)  # remembered files that are no longer there
    away: OSError | None = None  # why the root could not be listed


@dataclass(slots=True)
class _Folder:
    identity: Identity
    mtime_ns: int
    warm_until: float  # monotonic


@dataclass(slots=True)
class _Walk:
    """One round under way."""

    full: bool
    folders: dict[str, _Folder]
    elsewhere: set[Identity]  # folders that a link must not lead to: they have a place of their own
    visited: set[Identity] = field(default_factory=set)
    files: list[tuple[str, Look]] = field(default_factory=list)
    there: set[str] = field(default_factory=set)
    faults: int = 0


def look_at(path: str, *, afresh: bool = False) -> Look | None:
    """How a regular file looks, links followed; None for anything else. Blocks.

    Args:
        path: of the file.
        afresh: open it, which makes a network file system ask its server instead of its memory.

    Raises:
        FileNotFoundError: it is not there, or a link leads nowhere.
        OSError: it cannot be told.
    """
    status = os.stat(path)  # noqa: PTH116  of tens of thousands of paths few ever become a Path
    if not stat.S_ISREG(status.st_mode):
        return None
    if afresh:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError:
            return _look(status)  # whoever reads it will find out, and say so
        try:
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    return _look(status)


class Folders:
    """The tree below one root; folders behind symbolic links belong to it, but each folder once.

    A full round looks at every file. A short one goes into those folders only whose own time has changed or in which
    something happened lately, and passes over files there that are known and old: its cost grows with what happens,
    not with what has been kept. Rounds block; they are made one at a time.

    Args:
        names: which files and folders count.
        settling: knows how files looked last; asked from the round's thread.
        enter: called with each folder before its files are listed, so that a watch set on it misses none.
    """

    def __init__(
        self,
        names: Names,
        settling: Settling,
        *,
        enter: Callable[[str], None] | None = None,
    ) -> None:
        self._names = names
        self._settling = settling
        self._enter = enter
        self._folders: dict[str, _Folder] = {}
        self._identities: set[Identity] = set()  # replaced, never changed: two threads read it
        self._complaints: set[str] = set()
        self._voiced: set[str] = set()  # since the last full round began
        self._root: Identity | None = None  # as it was when it was last there
        self._stop = threading.Event()
        self.progress_at = time.monotonic()

    def stop(self) -> None:
        """Make a round that is under way raise Stopped; from any thread."""
        self._stop.set()

    def full_round(self) -> Round:
        """Look at every file below the root."""
        remembered = self._settling.remembered()
        self._voiced.clear()
        try:
            walk = _Walk(full=True, folders={}, elsewhere=self._above())
            self._walk(walk, [self._names.root])
        except OSError as fault:
            return Round(away=fault)
        root = walk.folders[self._names.root].identity
        if self._root not in {None, root} and len(walk.folders) == 1 and not walk.files:
            return Round(away=OSError(errno.ENODEV, "it is another folder and empty, as when a disk is not mounted"))
        self._root = root
        self._folders = walk.folders
        self._identities = walk.visited
        self._complaints &= self._voiced  # what is gone is no grievance any more
        # What lies in a folder that could not be listed has not vanished.
        vanished = [] if walk.faults else [p for p in remembered if p not in walk.there and not os.path.lexists(p)]
        return Round(_oldest_first(walk.files), vanished)

    def short_round(self) -> Round:
        """Look where something happened; before the first full round, everywhere."""
        if not self._folders:
            return self.full_round()
        now = time.monotonic()
        stirred = []
        for path, folder in list(self._folders.items()):
            self._go_on()
            try:
                status = os.stat(path)  # noqa: PTH116  see above
            except OSError as fault:
                if path == self._names.root:
                    return Round(away=fault)
                del self._folders[path]
                continue
            if status.st_mtime_ns != folder.mtime_ns or now < folder.warm_until:
                stirred.append(path)
        try:
            elsewhere = {folder.identity for folder in self._folders.values()} | self._above()
            walk = _Walk(full=False, folders=self._folders, elsewhere=elsewhere)
            self._walk(walk, stirred)
        except OSError as fault:
            return Round(away=fault)
        return Round(_oldest_first(walk.files))

    def below(self, path: str) -> list[tuple[str, Look]]:
        """The files in a folder that has just appeared, the oldest first; may be called beside a round."""
        walk = _Walk(full=True, folders={}, elsewhere=self._identities | self._above())
        if Path(path).is_symlink():
            self._walk(walk, (), [path])
        else:
            self._walk(walk, [path])
        self._identities = self._identities | walk.visited
        return _oldest_first(walk.files)

    def _above(self) -> set[Identity]:
        """The folders that the root lies in: a link to one of them leads in a circle."""
        above = set()
        for parent in Path(self._names.root).resolve().parents:
            status = parent.stat()
            above.add((status.st_dev, status.st_ino))
        return above

    def _walk(self, walk: _Walk, starts: Iterable[str], links: Iterable[str] = ()) -> None:
        ahead = deque(starts)
        linked = deque(links)  # last, so that a folder goes by its own name and not by a link's
        while ahead or linked:
            self._go_on()
            by_link = not ahead
            path = (ahead or linked).popleft()
            try:
                identity = _identity(os.stat(path))  # noqa: PTH116  see above
                if identity in walk.visited or (by_link and identity in walk.elsewhere):
                    continue
                walk.visited.add(identity)
                self._list(walk, path, ahead, linked)
                self._complaints.discard(path)
            except OSError as fault:
                walk.faults += not isinstance(fault, FileNotFoundError | NotADirectoryError)
                if path == self._names.root:
                    raise
                self._complain(path, "folder_cannot_be_read", fault)

    def _list(self, walk: _Walk, path: str, ahead: deque[str], linked: deque[str]) -> None:
        if self._enter is not None:
            self._enter(path)
        status = os.stat(path)  # noqa: PTH116  after the watch is set, so that no change falls between the two
        was = walk.folders.get(path)
        happened = was is None or was.mtime_ns != status.st_mtime_ns
        with os.scandir(path) as entries:
            for entry in entries:
                self._go_on()
                if self._is_folder(walk, entry):
                    if walk.full or entry.path not in walk.folders:
                        (linked if entry.is_symlink() else ahead).append(entry.path)
                elif self._names.wants_file(entry.path):
                    happened |= self._notice(walk, entry)
        now = time.monotonic()
        warm_until = now + WARM_S if happened else now if was is None else was.warm_until
        walk.folders[path] = _Folder(_identity(status), status.st_mtime_ns, warm_until)

    def _is_folder(self, walk: _Walk, entry: os.DirEntry[str]) -> bool:
        try:
            return entry.is_dir() and self._names.wants_folder(entry.path)
        except OSError as fault:
            walk.faults += 1
            self._complain(entry.path, "entry_cannot_be_read", fault)
            return False

    def _notice(self, walk: _Walk, entry: os.DirEntry[str]) -> bool:
        """Note a file if it looks other than it did last; whether it does."""
        if not walk.full and self._settling.sleeps(entry.path, wall_ns=time.time_ns()):
            return False
        try:
            status = entry.stat()
        except OSError as fault:
            if entry.is_symlink():
                self._complain(entry.path, "link_waits_for_its_target", fault)
            return False
        if not stat.S_ISREG(status.st_mode):
            self._complain(entry.path, "passed_over", OSError("it is no regular file"))
            return False
        self._complaints.discard(entry.path)
        walk.there.add(entry.path)
        look = _look(status)
        if look.stamp == self._settling.last_stamp(entry.path):
            return False
        walk.files.append((entry.path, look))
        return True

    def _complain(self, path: str, event: str, fault: OSError) -> None:
        self._voiced.add(path)
        if path not in self._complaints:
            self._complaints.add(path)
            _log.warning(event, path=legible(path), why=fault.strerror or str(fault))

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Stopped
        self.progress_at = time.monotonic()


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def _look(status: os.stat_result) -> Look:
    return Look(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _oldest_first(files: list[tuple[str, Look]]) -> list[tuple[str, Look]]:
    return sorted(files, key=lambda file: (file[1].mtime_ns, file[0]))
