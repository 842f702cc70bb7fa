"""Goes to look at what was told of, in a thread where looking may take its time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydrad.watchers.deeds import Deed, Event
from hydrad.watchers.folders import Folders, look_at
from hydrad.watchers.layouts import Names
from hydrad.watchers.settling import Hint, Sight

_PLAIN = {
    Deed.WRITTEN: Hint.WRITING,
    Deed.CLOSED: Hint.CLOSED,
    Deed.RELEASED: Hint.RELEASED,
    Deed.REMOVED: Hint.REMOVED,
    Deed.RENAMED: Hint.RENAMED,
}


class Scout:
    """Looks at single files, and into folders that have just appeared.

    Args:
        names: which files and folders count.
        folders: the tree they belong to.
    """

    def __init__(self, names: Names, folders: Folders) -> None:
        self._names = names
        self._folders = folders

    def look(self, events: Sequence[Event], due: Sequence[str], *, afresh: bool) -> Sequence[Sight]:
        """Look at what events tell of, and at files whose time has come; blocks.

        Args:
            events: in order.
            due: paths.
            afresh: ask the server of a network file system for each of ``due``.
        """
        sights = [sight for event in events for sight in self._told(event)]
        sights += [sight for path in due for sight in self._waited_for(path, afresh=afresh)]
        return sights

    def _told(self, event: Event) -> Iterator[Sight]:
        path = event.path
        if (hint := _PLAIN.get(event.deed)) is not None:
            yield from self._file(path, hint)
            return
        try:
            yield from self._come(path, moved=event.deed is Deed.MOVED_IN)
        except OSError:
            return  # the folder it lies in may not be entered any more: the next round will complain

    def _come(self, path: str, *, moved: bool) -> Iterator[Sight]:
        at = Path(path)
        linked = at.is_symlink()
        if at.is_dir():
            if self._names.wants_folder(path):
                for found, look in self._folders.below(path):
                    yield Sight(found, Hint.FOUND, look)
        elif self._names.wants_file(path):
            placed = linked or moved or _has_another_name(at)
            yield from self._file(path, Hint.PLACED if placed else Hint.WRITING)

    def _file(self, path: str, hint: Hint) -> Iterator[Sight]:
        if hint in {Hint.REMOVED, Hint.RENAMED}:
            yield Sight(path, hint)
            return
        try:
            look = look_at(path)
        except FileNotFoundError:
            if not os.path.islink(path):  # noqa: PTH114  false, not an error, where the folder may not be entered
                yield Sight(path, hint)  # a link that leads nowhere yet is left to the rounds
        except OSError:
            return  # the next round will find it, or complain
        else:
            if look is not None:
                yield Sight(path, hint, look)

    def _waited_for(self, path: str, *, afresh: bool) -> Iterator[Sight]:
        try:
            yield Sight(path, Hint.FOUND, look_at(path, afresh=afresh))
        except (FileNotFoundError, NotADirectoryError):
            yield Sight(path, Hint.FOUND)
        except OSError:
            return  # its time will come again


def _has_another_name(path: Path) -> bool:
    """Whether a file was linked here, complete, rather than created here, empty."""
    try:
        return path.lstat().st_nlink > 1
    except OSError:
        return False
