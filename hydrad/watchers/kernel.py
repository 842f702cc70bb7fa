"""The kernel's own word on what happens in folders of this machine: inotify, read by watchdog in a thread of its own.

Of watchdog only the reader stands between. Its Observer holds back everything behind a move out of the tree for half a
second, follows links into loops, and keeps to itself that the kernel's queue ran over.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Final, Self

from watchdog.observers.inotify_c import CallbackId, InotifyEvent, InotifyFD, Mask, WatchDescriptor
from watchdog.observers.inotify_c import InotifyConstants as Told

from hydrad import log
from hydrad.watchers.deeds import Deed, Event
from hydrad.watchers.layouts import legible

_log = log.get("watchers")

_WATCHED: Final = Mask(
    (Told.IN_MODIFY | Told.IN_CLOSE_WRITE | Told.IN_MOVE | Told.IN_CREATE | Told.IN_DELETE)
    | (Told.IN_DELETE_SELF | Told.IN_MOVE_SELF | Told.IN_ONLYDIR | Told.IN_EXCL_UNLINK)
    | Told.IN_MASK_ADD  # else the kernel clears the mask of a folder that is entered again, and is deaf for that moment
)
_DEEDS: Final = (
    (Told.IN_MOVED_TO, Deed.MOVED_IN),
    (Told.IN_MOVED_FROM | Told.IN_DELETE, Deed.REMOVED),
    (Told.IN_CLOSE_WRITE, Deed.CLOSED),
    (Told.IN_MODIFY, Deed.WRITTEN),
    (Told.IN_CREATE, Deed.CREATED),
)
_MOVES: Final = 1000  # renames of which only the first half was told
_STOP_S: Final = 2.0  # the reader needs milliseconds unless a file system hangs


class _Reader(InotifyFD):
    """watchdog's reader, one for each root: the one that it shares never ends, and one overflow there costs all."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "kernel"
        # It claims to read from its birth on: stopped before its first turn it would leave its descriptors open.
        self._is_reading = False

    @classmethod
    def _create_inotify_fd(cls) -> int:
        descriptor = super()._create_inotify_fd()
        os.set_inheritable(descriptor, False)  # watchdog would hand it down to every program that is started
        return descriptor


class FolderWatch:
    """Watches any number of folders below a root. A context manager: left, its thread and descriptors are gone.

    Args:
        root: whose end (deleted, moved, unmounted) is told as LOST, as is an overflow of the kernel's queue.
        tell: called with each event, in order, in the reader's thread; it must be quick and must not raise.

    Raises:
        OSError: when the kernel has no descriptor to spare (EMFILE: ``fs.inotify.max_user_instances``).
    """

    def __init__(self, root: str, tell: Callable[[Event], None]) -> None:
        self._root = root
        self._tell = tell
        self._lock = threading.Lock()  # taken before watchdog's own, never after it
        self._closed = False
        self._folders: dict[WatchDescriptor, tuple[str, CallbackId]] = {}
        self._ids = map(CallbackId, count())
        self._last: InotifyEvent | None = None
        self._moves: dict[int, str] = {}
        self._written: set[str] = set()
        self._full = False
        self._refused: set[str] = set()  # folders that it was said of that they cannot be watched
        self._reader = _Reader()
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and give the descriptors back."""
        with self._lock:
            self._closed = True
        self._reader.stop()
        self._reader.join(_STOP_S)

    @property
    def listens(self) -> bool:
        """Whether somebody still reads what the kernel tells."""
        return self._reader.is_alive()

    def enter(self, folder: str) -> None:
        """Watch one folder, not those below it; a folder that cannot be watched is left to the rounds. Any thread."""
        try:
            with self._lock:
                if not self._closed:
                    self._watch(folder)
                    self._refused.discard(folder)
        except (FileNotFoundError, NotADirectoryError):
            self._refused.discard(folder)
        except OSError as fault:
            full = fault.errno == errno.ENOSPC
            said = folder in self._refused
            self._refused.add(folder)
            if not said and (not full or not self._full):
                cure = "raise fs.inotify.max_user_watches" if full else ""
                _log.warning("folder_is_not_watched_but_visited", path=legible(folder), why=fault.strerror, cure=cure)
            self._full |= full

    def leave(self, folder: str) -> None:
        """A folder was moved or is away: what is watched in and below it would go by names that are wrong now."""
        with self._lock:
            if self._closed:
                return
            gone = {
                watch: id_
                for watch, (path, id_) in self._folders.items()
                if path == folder or path.startswith(f"{folder}/")
            }
            self._reader.remove_callbacks(list(gone.items()))
            for watch in gone:
                del self._folders[watch]

    def on_event(self, event: InotifyEvent) -> None:
        """Called by watchdog with everything that the kernel tells of a folder that is watched."""
        if event is self._last:
            return  # it came while the folder was entered anew, and both entries heard it
        self._last = event
        with self._lock:
            folder, _ = self._folders.get(event.wd, (None, None))
        if folder is None:
            return
        if event.name:
            for told in self._events(f"{folder}/{os.fsdecode(event.name)}", event):
                self._tell(told)
        elif folder == self._root:
            self._tell(Event(folder, Deed.LOST))  # deleted, moved or unmounted

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Called by watchdog when the kernel has ended a watch because its folder is no more."""
        with self._lock:
            folder, _ = self._folders.pop(wd, (None, None))
            lost = folder == self._root and not self._closed
        if lost:
            self._tell(Event(self._root, Deed.LOST))

    def on_queue_overflow(self) -> None:
        """Called by watchdog when the kernel had more to tell than it may keep."""
        _log.warning("kernel_dropped_events", root=legible(self._root), cure="looking at every file")
        self._tell(Event(self._root, Deed.LOST))

    def _watch(self, folder: str) -> None:
        id_ = next(self._ids)
        watch = self._reader.add_callback(os.fsencode(folder), _WATCHED, self, id_)
        if watch < 0:  # watchdog passes over a folder that may not be read, and keeps a watch that is none
            self._reader.remove_callbacks([(watch, id_)])
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
        if (before := self._folders.get(watch)) is not None:
            self._reader.remove_callbacks([(watch, before[1])])  # in this order, so that nothing goes unheard
        self._folders[watch] = folder, id_

    def _events(self, path: str, event: InotifyEvent) -> Iterator[Event]:
        if event.mask & Told.IN_ISDIR:
            if event.is_moved_from:
                self.leave(path)
            if event.is_moved_to or event.is_create:
                yield Event(path, Deed.FOLDER_CAME)
            return
        if event.is_moved_to and (old := self._moves.pop(event.cookie, None)) is not None:
            yield Event(old, Deed.RENAMED)
        if event.is_moved_from:
            if len(self._moves) >= _MOVES:
                self._moves.clear()  # they went out of the tree: nobody will ask
            self._moves[event.cookie] = path
        for mask, deed in _DEEDS:
            if event.mask & mask:
                yield Event(path, self._as_heard(path, deed))
                return

    def _as_heard(self, path: str, deed: Deed) -> Deed:
        if deed is Deed.WRITTEN:
            self._written.add(path)
        elif deed in {Deed.CLOSED, Deed.REMOVED}:
            heard = path in self._written
            self._written.discard(path)
            return Deed.RELEASED if deed is Deed.CLOSED and not heard else deed
        return deed
