"""When has a file come to rest? The rule alone: no clock, no file system, no waiting.

A file is offered

* at once when it was renamed or linked into place, or when its writer closed it (the decoder is the judge of whether
  it is whole: if not, it is offered again);
* else when size and time of writing have been the same for ``settle_s``; ten times as long while somebody is known to
  have it open for writing;
* and anyway ``overdue_s`` after it began to change, so that a file that never rests is seen now and then.

Each sighting (path, size, time of writing) is offered once. The traps:

* *Old content under a new time.* A file rewritten in place can still decode as the picture it was. It is offered
  again when its writer closes it, and whatever was written in between has changed its time: the last thing offered of
  a file is what it ended as.
* *New content under an old time.* A file system's clock ticks (a few ms; 1 or 2 s where the time has no fraction). A
  file that was offered within a tick of its last change can change once more and look the same, so then a close or a
  rename is enough to offer it again; later on, only if the inode is another or its own time (ctime) moved. Where no
  events tell of closing, a file must rest for a tick before it is offered.
* *New looks of old content.* A change of mode, owner or links moves only the ctime: no new sighting.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol

Stamp = tuple[int, int]  # size in bytes and mtime_ns: with its path, a sighting
HELD_OPEN: Final = 10  # times settle_s that a file rests before it is offered over its writer's head
COLD_S: Final = 600.0  # after this the ledger's memory of a file is enough
JUST_NOW_S: Final = 10.0  # what somebody did to a file is told of within this
BACK_OFF_S: Final = 5.0  # an unfinished file is looked at again after as long as it has rested, but this at most
_FINE_TICK_NS: Final = 20_000_000
_COARSE_TICK_NS: Final = 2_000_000_000


class Known(Protocol):
    """A file whose story is told, as it was then."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def mtime_ns(self) -> int:
        """Time of the last write."""
        ...


class Look(NamedTuple):
    """What the file system said of a file at one moment, symbolic links followed."""

    size: int  # bytes
    mtime_ns: int
    ctime_ns: int
    inode: int

    @property
    def stamp(self) -> Stamp:
        """Size and time of the last write."""
        return self.size, self.mtime_ns

    @property
    def tick_ns(self) -> int:
        """How far apart two changes must be for this file system's clock to tell them apart."""
        return _FINE_TICK_NS if self.mtime_ns % 1_000_000_000 else _COARSE_TICK_NS


class Hint(Enum):
    """Why we looked."""

    LEFT = auto()  # it lay there when we came
    FOUND = auto()  # we went through the folders, or its time had come
    WRITING = auto()  # somebody created it or is writing to it
    CLOSED = auto()  # whoever wrote to it closed it
    RELEASED = auto()  # somebody closed it who may have written to it before we listened, and has not since
    PLACED = auto()  # it was renamed or linked into place
    REMOVED = auto()  # its name is there no more
    RENAMED = auto()  # it lives on under another name below the root


class Sight(NamedTuple):
    """What somebody who went to look came back with."""

    path: str
    hint: Hint
    look: Look | None = None  # None: it was not there


class Settled(NamedTuple):
    """A file to be offered."""

    path: str
    look: Look | None  # None: it was gone before anybody could look
    at_rest_s: float


_NO_LOOK: Final = Look(-1, -1, -1, -1)  # that no file has


class _Offered(NamedTuple):
    look: Look
    fresh: bool  # it was offered within a tick of its last change


@dataclass(slots=True)
class _Waiting:
    look: Look | None
    began_at: float
    changed_at: float
    due_at: float
    backlog: bool
    not_before: float = 0.0
    placed: bool = False
    writing: bool = False
    ready: bool = False


class Settling:
    """The files below one root that are on their way to rest, and those that have been offered.

    ``now`` is a clock that never goes back, in s; ``wall_ns`` the file system's clock as well as we know it.

    Args:
        settle_s: how long a file's size and time must stay the same.
        overdue_s: how long a file may go on changing before it is offered all the same.
        trusted_age_s: a file whose last change lies further back than this by the wall clock has been at rest since
            then; a younger one rests from when it was first looked at. Large where another host's clock sets times.
        told: the ledger's memory of a path; must be quick, and bear to be asked from any thread.
        hears: whether somebody will say when a file is closed.
    """

    def __init__(
        self,
        *,
        settle_s: float,
        overdue_s: float,
        trusted_age_s: float,
        told: Callable[[str], Known | None],
        hears: bool,
    ) -> None:
        self._settle_s = settle_s
        self._overdue_s = overdue_s
        self._trusted_age_s = trusted_age_s
        self._told = told
        self.hears = hears
        self._waiting: dict[str, _Waiting] = {}
        self._offered: dict[str, _Offered] = {}
        self._timers: list[tuple[float, str]] = []
        self._ready: list[tuple[bool, int, str]] = []

    @property
    def pending(self) -> int:
        """Files that have not come to rest, or have and were not taken yet."""
        return len(self._waiting)

    def last_stamp(self, path: str) -> Stamp | None:
        """Size and time of a file as it is known, or None; may be asked from any thread."""
        known = self._waiting.get(path) or self._offered.get(path)
        if known is not None and known.look is not None:
            return known.look.stamp
        told = self._told(path)
        return None if told is None else (told.size, told.mtime_ns)

    def sleeps(self, path: str, *, wall_ns: int) -> bool:
        """Whether a file is known, has been offered, and was written long ago; may be asked from any thread."""
        stamp = None if path in self._waiting else self.last_stamp(path)
        return stamp is not None and wall_ns - stamp[1] > COLD_S * 1e9

    def remembered(self) -> list[str]:
        """The paths of files offered that the ledger does not remember for us; may be asked from any thread."""
        return list(self._offered)

    def see(self, sight: Sight, *, now: float, wall_ns: int) -> None:
        """Take notice of how a file looks now, or that it is not there."""
        path, hint, look = sight
        if hint is Hint.RENAMED:
            self._waiting.pop(path, None)
            self._offered.pop(path, None)
        elif hint is Hint.REMOVED:
            self._gone(path, now)
        elif look is None:
            # Told of and gone when looked at, it may have been renamed: then that is told next.
            self._missed(path, now if hint is Hint.FOUND else now + self._settle_s, now)
        else:
            self._there(path, look, hint, now, wall_ns)

    def forget(self, paths: Iterable[str]) -> None:
        """Files that were offered are no longer there; should they come again, they are new ones."""
        for path in paths:
            self._offered.pop(path, None)

    def missed(self, path: str) -> None:
        """A file that was offered was not there to be read: whatever is found by its name is news."""
        if path in self._offered:
            self._offered[path] = _Offered(_NO_LOOK, fresh=False)

    def let_go(self, *, wall_ns: int) -> None:
        """Leave it to the ledger to remember files that nothing has happened to for long."""
        for path, (look, _) in list(self._offered.items()):
            if wall_ns - look.ctime_ns > COLD_S * 1e9 and self._is_told(path, look):
                del self._offered[path]

    def again(self, path: str, look: Look, *, rested_s: float, now: float) -> None:
        """Offer a file once more, as soon as it changes or after a while.

        Args:
            path: of a file that has been taken.
            look: what it looked like then.
            rested_s: how long it has not changed.
            now: the clock.
        """
        if path in self._waiting:
            return
        was = self._offered.pop(path, None)
        pause_s = min(max(rested_s, self._settle_s), BACK_OFF_S)
        at = now + pause_s
        waiting = _Waiting(look if was is None else was.look, now, now - rested_s, at, backlog=False, not_before=at)
        self._waiting[path] = waiting
        self._schedule(path, waiting, at, now)

    def due(self, now: float) -> list[str]:
        """The files whose time has come: look at each, then tell with :meth:`see`.

        Those of which nothing is told are due again after a while.
        """
        paths = []
        while self._timers and self._timers[0][0] <= now:
            due_at, path = heapq.heappop(self._timers)
            waiting = self._waiting.get(path)
            if waiting is not None and not waiting.ready and waiting.due_at == due_at:
                paths.append(path)
        for path in paths:
            self._schedule(path, self._waiting[path], now + BACK_OFF_S, now)
        return paths

    def next_due_at(self) -> float | None:
        """When :meth:`due` should be asked next."""
        return self._timers[0][0] if self._timers else None

    def take(self, *, now: float, wall_ns: int) -> Settled | None:
        """The next file to be offered, or None: what happens now before what lay there, the oldest first."""
        while self._ready:
            backlog, mtime_ns, path = heapq.heappop(self._ready)
            waiting = self._waiting.get(path)
            if waiting is None or not waiting.ready or self._rank(path, waiting) != (backlog, mtime_ns, path):
                continue
            del self._waiting[path]
            look = waiting.look
            if look is None:
                return Settled(path, None, 0.0)
            fresh = wall_ns - look.ctime_ns < look.tick_ns
            self._offered[path] = _Offered(look, fresh)
            return Settled(path, look, 0.0 if waiting.placed else max(0.0, now - waiting.changed_at))
        return None

    def _there(self, path: str, look: Look, hint: Hint, now: float, wall_ns: int) -> None:
        waiting = self._waiting.get(path)
        if waiting is None:
            if not self._is_news(path, look, hint, wall_ns):
                return
            age_s = (wall_ns - max(look.mtime_ns, look.ctime_ns)) / 1e9
            rested_s = age_s if age_s >= self._trusted_age_s else 0.0
            waiting = _Waiting(look, now, now - rested_s, now, backlog=hint is Hint.LEFT)
            self._waiting[path] = waiting
        elif waiting.look is None or look.stamp != waiting.look.stamp:
            waiting.changed_at, waiting.not_before = now, 0.0
        elif waiting.ready and hint in {Hint.LEFT, Hint.FOUND}:
            return
        waiting.look = look
        if hint is Hint.WRITING:
            waiting.writing, waiting.placed, waiting.changed_at = True, False, now
        elif hint in {Hint.CLOSED, Hint.RELEASED, Hint.PLACED}:
            waiting.writing, waiting.placed = False, hint is Hint.PLACED
            self._schedule(path, waiting, now, now)
            return
        self._schedule(path, waiting, self._due_at(waiting, look), now)

    def _gone(self, path: str, now: float) -> None:
        """In a moment we look whether the name is back; if not, the file is missed."""
        waiting = self._waiting.get(path)
        if waiting is not None and not waiting.ready:
            self._schedule(path, waiting, now + self._settle_s, now)

    def _missed(self, path: str, due_at: float, now: float) -> None:
        """Whoever reads it will find it gone, and that is on record then."""
        waiting = self._waiting.get(path)
        if waiting is None and path not in self._offered:
            self._waiting[path] = waiting = _Waiting(None, now, now, due_at, backlog=False)
        if waiting is not None and not waiting.ready:
            self._schedule(path, waiting, due_at, now)

    def _is_news(self, path: str, look: Look, hint: Hint, wall_ns: int) -> bool:
        # Acted upon, and not so long ago that the last change must be another act's.
        acted = hint in {Hint.CLOSED, Hint.PLACED}
        just_now = acted and wall_ns - look.ctime_ns < JUST_NOW_S * 1e9
        offered = self._offered.get(path)
        if offered is None:
            return just_now or not self._is_told(path, look)
        if look.stamp != offered.look.stamp:
            return True
        return (just_now and offered.fresh) or (acted and look != offered.look)

    def _is_told(self, path: str, look: Look) -> bool:
        told = self._told(path)
        return told is not None and (told.size, told.mtime_ns) == look.stamp

    def _due_at(self, waiting: _Waiting, look: Look) -> float:
        rest_s = self._settle_s * (HELD_OPEN if waiting.writing else 1)
        if not self.hears:
            rest_s = max(rest_s, look.tick_ns / 1e9)
        return max(waiting.not_before, min(waiting.changed_at + rest_s, waiting.began_at + self._overdue_s))

    def _schedule(self, path: str, waiting: _Waiting, due_at: float, now: float) -> None:
        waiting.due_at = due_at
        waiting.ready = due_at <= now
        if waiting.ready:
            heapq.heappush(self._ready, self._rank(path, waiting))
        else:
            heapq.heappush(self._timers, (due_at, path))

    @staticmethod
    def _rank(path: str, waiting: _Waiting) -> tuple[bool, int, str]:
        return (waiting.backlog, 0 if waiting.look is None else waiting.look.mtime_ns, path)
