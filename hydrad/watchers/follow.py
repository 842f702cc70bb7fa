"""Follows one watched folder: hears of what is new or goes to look, lets it settle, and hands it over."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from hydrad import log
from hydrad.config import Watch
from hydrad.domain import Arrival
from hydrad.inbox import Inbox
from hydrad.watchers.arriving import arrival_of, rested_s
from hydrad.watchers.deeds import Deed, Event
from hydrad.watchers.folders import Folders, Round, Stopped
from hydrad.watchers.layouts import Names, legible
from hydrad.watchers.mounts import choose
from hydrad.watchers.scout import Scout
from hydrad.watchers.settling import Hint, Known, Look, Settled, Settling, Sight

if TYPE_CHECKING:
    from hydrad.watchers.kernel import FolderWatch

_log = log.get("watchers")

Seen = Callable[[str], Known | None]
Gone = Callable[[Sequence[str]], None]

TICK_S: Final = 1.0  # signs of life are never further apart
AWAY_S: Final = 1.0  # how often a root that is away is looked for
FULL_SHARE: Final = 20  # a full round may take a twentieth of the time,
SHORT_SHARE: Final = 10  # short ones a tenth
STOP_S: Final = 2.0  # how long closing waits for a file system that does not answer
SKEW_S: Final = 600.0  # another host's clock may be wrong by this
_BREATH: Final = 256  # files handled between two turns of the event loop
_ANY_NAME: Final = {Deed.FOLDER_CAME, Deed.CREATED, Deed.MOVED_IN, Deed.LOST}


class FolderWatcher:
    """What hearing and looking have in common. Entered, inside a running event loop, it watches.

    Args:
        watch: its section of the configuration.
        zone: the hall's, in which names give times.
        seen: the ledger's memory of a path: size and mtime_ns of the file when its story was told; None for one that
            is unknown or still pending. Asked often and from any thread: must be quick.
        gone: told, on the event loop, which files that were handed over are no longer there.
        poll_s: how often to look where something happened, if nobody tells.
    """

    hears: ClassVar[bool]  # whether the kernel is asked to tell

    def __init__(
        self,
        watch: Watch,
        zone: tzinfo,
        *,
        seen: Seen = lambda _: None,
        gone: Gone = lambda _: None,
        poll_s: float = 1.0,
    ) -> None:
        self._gone = gone
        self.root = watch.root
        self.patience_s = watch.patience_s
        self._names = Names(watch, zone)
        self._watch = watch
        self._poll_s = min(poll_s, watch.rescan_s)
        settle_s = watch.settle_ms / 1000
        self._settling = Settling(
            settle_s=settle_s,
            overdue_s=watch.patience_s,
            trusted_age_s=settle_s if self.hears else SKEW_S,
            told=seen,
            hears=self.hears,
        )
        self._folders = Folders(self._names, self._settling, enter=self._enter_folder)
        self._scout = Scout(self._names, self._folders)
        self._kernel: FolderWatch | None = None
        self._found: deque[Sight] = deque()
        self._round: Future[Round] | None = None
        self._looking: Future[Sequence[Sight]] | None = None
        self._began_at = 0.0
        self._full = True  # the round under way, or the last one
        self._urgent = False  # events were lost since the last round began
        self._away = False
        self._full_at = 0.0
        self._short_at = 0.0
        self._first = True  # a full round finds what lay there before we came
        self._handing = False
        self._ticked_at = time.monotonic()

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._inbox: Inbox[Event] = Inbox(self._loop, key=lambda event: event.path)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="watch")
        if self.hears:
            self._listen()
        self._start_round(time.monotonic())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folders.stop()
        if self._kernel is not None:
            self._kernel.close()
        works: list[Future[Any]] = [work for work in (self._round, self._looking) if work is not None]
        unfinished = wait(works, STOP_S).not_done
        if unfinished:
            _log.error("file_system_does_not_answer", root=legible(self._names.root), waited_s=STOP_S)
        self._threads.shutdown(wait=not unfinished, cancel_futures=True)

    @property
    def pending(self) -> int:
        """Files seen that have not come to rest or were not taken yet."""
        return self._settling.pending + len(self._found)

    @property
    def ticked_at(self) -> float:
        """``time.monotonic()`` of the last sign of life; a round that hangs gives none, a slow taker does not count."""
        ticked_at = time.monotonic() if self._handing else self._ticked_at
        if self._round is not None and not self._round.done():
            return min(ticked_at, max(self._folders.progress_at, self._began_at))
        return ticked_at

    async def arrivals(self) -> AsyncIterator[Arrival]:
        """Yield files at rest, for ever; each sighting (path, size, mtime) once, unless asked to look again."""
        while True:
            self._ticked_at = time.monotonic()
            try:
                await self._take_in()
            except Stopped:
                return
            for _ in range(_BREATH):
                settled = self._settling.take(now=time.monotonic(), wall_ns=time.time_ns())
                if settled is None:
                    await self._inbox.wait(self._quiet_s())
                    break
                self._handing = True
                yield self._arrival(settled)
                self._handing = False
            else:
                await asyncio.sleep(0)

    def again(self, arrival: Arrival) -> None:
        """Offer this file again when it has changed, or after as long as it has rested already, 5 s at most."""
        look = Look(arrival.size, arrival.mtime_ns, 0, 0)
        rest_s = rested_s(arrival, datetime.now(UTC))
        self._settling.again(os.fspath(arrival.path), look, rested_s=rest_s, now=time.monotonic())
        self._inbox.nudge()

    def missed(self, arrival: Arrival) -> None:
        """Offer this file, which was not there to be read, should it be found again, even as it was."""
        self._settling.missed(os.fspath(arrival.path))

    def _listen(self) -> None:
        from hydrad.watchers.kernel import FolderWatch  # noqa: PLC0415  who only polls, or asks for help, needs no watchdog

        try:
            self._kernel = FolderWatch(self._names.root, self._hear)
        except OSError as fault:
            self._go_deaf(fault.strerror or str(fault), "raise fs.inotify.max_user_instances; until then it is polled")

    def _go_deaf(self, why: str, cure: str) -> None:
        _log.error("kernel_does_not_watch", root=legible(self._names.root), why=why, cure=cure)
        self._kernel = None
        self._settling.hears = False

    def _hear(self, event: Event) -> None:
        """Called in the thread of watchdog's reader."""
        # What has no image's name can still be a folder, or a link to one.
        if event.deed in _ANY_NAME or self._names.wants_file(event.path):
            self._inbox.post(event)

    def _look_everywhere(self) -> None:
        self._urgent = True
        self._full_at = 0.0
        self._inbox.nudge()

    def _enter_folder(self, folder: str) -> None:
        if (kernel := self._kernel) is not None:  # the event loop may give it up meanwhile
            kernel.enter(folder)

    async def _take_in(self) -> None:
        """Take notice of everything that came to our ears and eyes since the last time."""
        if lost := self._inbox.take_loss():
            _log.warning(
                "events_were_dropped", root=legible(self._names.root), events=lost, cure="looking at every file"
            )
            self._look_everywhere()
        if self._kernel is not None and not self._kernel.listens:
            self._kernel.close()
            self._go_deaf("its reader has ended", "restart; until then it is polled")
            self._look_everywhere()
        events = self._inbox.drain()
        if any(event.deed is Deed.LOST for event in events):
            events = [event for event in events if event.deed is not Deed.LOST]
            self._look_everywhere()
        self._finish_round()
        now = time.monotonic()
        if self._round is None and now >= min(self._full_at, self._short_at):
            self._start_round(now)
        due = self._settling.due(now)
        found = [self._found.popleft() for _ in range(min(len(self._found), _BREATH))]
        # What events told of a file since the round passed it is newer than what the round saw: look once more.
        due += [sight.path for sight in found if self._settling.last_stamp(sight.path) is not None]
        self._notice([sight for sight in found if self._settling.last_stamp(sight.path) is None])
        if events or due:
            self._looking = self._threads.submit(self._scout.look, events, due, afresh=self._kernel is None)
            self._notice(await asyncio.wrap_future(self._looking))

    def _notice(self, sights: Sequence[Sight]) -> None:
        now, wall_ns = time.monotonic(), time.time_ns()
        for sight in sights:
            self._settling.see(sight, now=now, wall_ns=wall_ns)

    def _start_round(self, now: float) -> None:
        # Where the kernel tells, a short round would find nothing that it has not told.
        self._full = self._kernel is not None or now >= self._full_at
        self._urgent = False
        self._began_at = now
        self._round = self._threads.submit(self._folders.full_round if self._full else self._folders.short_round)
        self._round.add_done_callback(lambda _: self._inbox.nudge())

    def _finish_round(self) -> None:
        if self._round is None or not self._round.done():
            return
        found, self._round = self._round.result(), None
        now = time.monotonic()
        took_s = now - self._began_at
        if self._full:
            # An alarm during the round may be about a folder that it had passed already.
            self._full_at = 0.0 if self._urgent else now + max(self._watch.rescan_s, FULL_SHARE * took_s)
        self._short_at = self._full_at if self._kernel else now + max(self._poll_s, SHORT_SHARE * took_s)
        if found.away is not None:
            self._lose_root(found.away, now)
            return
        if self._away:
            _log.info("root_is_back", root=legible(self._names.root))
        hint = Hint.LEFT if self._first or self._away else Hint.FOUND
        self._first = self._away = False
        self._found.extend(Sight(path, hint, look) for path, look in found.files)
        self._settling.forget(found.vanished)
        if found.vanished:
            self._gone(found.vanished)
        if self._full:
            self._settling.let_go(wall_ns=time.time_ns())

    def _lose_root(self, why: OSError, now: float) -> None:
        if not self._away:
            _log.error("root_is_away", root=legible(self._names.root), why=why.strerror or str(why))
        self._away = True
        self._full_at = self._short_at = now + min(AWAY_S, self._watch.rescan_s)
        if self._kernel is not None:
            self._kernel.leave(self._names.root)

    def _quiet_s(self) -> float:
        """How long there is nothing to do unless somebody rings."""
        if self._found:
            return 0.0
        now = time.monotonic()
        times = [self._settling.next_due_at()]
        if self._round is None:
            times += [self._full_at, self._short_at]
        return max(0.0, min([TICK_S, *(at - now for at in times if at is not None)]))

    def _arrival(self, settled: Settled) -> Arrival:
        now = datetime.now(UTC)
        look = settled.look
        if look is None:
            _log.warning("file_was_gone_before_it_was_looked_at", path=legible(settled.path))
            look = Look(0, time.time_ns(), 0, 0)
        caption = self._names.caption(settled.path, now=now)
        return arrival_of(Path(settled.path), look, caption, now=now, at_rest_s=settled.at_rest_s)


class InotifyWatcher(FolderWatcher):
    """For folders that only this machine writes to: the kernel tells, and regular rounds find what it did not."""

    hears = True


class PollingWatcher(FolderWatcher):
    """For folders that other machines write to: rounds find what is new, short ones often, full ones seldom."""

    hears = False


def watcher_of(watch: Watch, zone: tzinfo, seen: Seen = lambda _: None, gone: Gone = lambda _: None) -> FolderWatcher:
    """What a ``[[watch]]`` asks for, or its file system needs; the arguments are those of :class:`FolderWatcher`."""
    kind = choose(watch.kind, watch.root)
    _log.info("folder_followed", root=legible(os.fspath(watch.root)), kind=kind, rescan_s=watch.rescan_s)
    return (InotifyWatcher if kind == "inotify" else PollingWatcher)(watch, zone, seen=seen, gone=gone)
