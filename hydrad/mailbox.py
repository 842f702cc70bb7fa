"""What verbs and pages leave in the data base for the daemon, and the daemon's sign of life there."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self, TypeVar

from hydrad import __version__, log
from hydrad.bulletin import NOWHERE, Surroundings, written
from hydrad.desk import Desk
from hydrad.domain import Vitals
from hydrad.errors import TryAgain
from hydrad.library import Library
from hydrad.store.mail import Mail, collected
from hydrad.store.outbox.journal import Journal
from hydrad.store.queries import Store
from hydrad.store.rivals import Rivals
from hydrad.store.rows import Heartbeat
from hydrad.watchers.replay import ReplayWatcher

LOOK_EVERY_S = 0.5
BEAT_EVERY_S = 2.0

_log = log.get("mailbox")
T = TypeVar("T")


class Mailbox:
    """Looks into the data base for changes and submissions; a context manager whose :meth:`run` is a root task.

    While the data base is away, or the local disk full, it waits: the delivery and the journal say so, once.

    Args:
        house: what the sign of life tells of besides the vitals.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        desk: Desk,
        tray: ReplayWatcher,
        library: Library,
        *,
        house: Surroundings = NOWHERE,
    ) -> None:
        self._store = store
        self._journal = journal
        self._desk = desk
        self._tray = tray
        self._library = library
        self._house = house
        self._rivals = Rivals(self._is_mine)
        self._vitals: Vitals | None = None
        self._began_at = datetime.now(UTC)
        self._beat_at = float("-inf")
        self._following = True  # what an earlier daemon took and did not finish is still being taken again

    def __enter__(self) -> Self:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="mailbox")
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._executor.shutdown(cancel_futures=True)

    @property
    def rival(self) -> str:
        """Which other daemon lives on this data base, in a sentence; empty if none does."""
        return self._rivals.words

    async def show_vitals(self, vitals: Vitals) -> None:
        """What the next sign of life shall say."""
        self._vitals = vitals

    async def tick(self, now: datetime) -> None:
        """Nothing that grows old by the second stands here."""

    async def run(self) -> NoReturn:
        """Look, for ever."""
        while True:
            try:
                await self._beat()
                await self._open(await self._away(self._look))
            except TryAgain as why:  # the data base, or the journal's disk: both are said to be away by others
                _log.debug("looks_again_later", why=str(why))
                await asyncio.sleep(BEAT_EVERY_S)
            await asyncio.sleep(LOOK_EVERY_S)

    def _look(self) -> Mail:
        taken_before = self._began_at if self._following else None
        mail = collected(self._store, after=self._journal.cursor, taken_before=taken_before)
        self._following = bool(mail.submissions) and self._following
        return mail

    async def _open(self, mail: Mail) -> None:
        self._library.look(mail.places)
        for submission in mail.submissions:
            _log.info("file_handed_in", path=submission.path, by=submission.by, plot=submission.plot)
            self._tray.submit(Path(submission.path), plot=submission.plot, run=submission.run, submission=submission.id)
        for filed in mail.changes:
            if filed.origin != self._journal.identity:
                await self._desk.adopt(filed.change)
        await self._journal.adopt(mail.changes)

    async def _beat(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._vitals is None or now - self._beat_at < BEAT_EVERY_S:
            return
        vitals = self._vitals
        self._rivals.look(await self._away(lambda: self._store.beat(self._sign_of_life(vitals))))
        self._beat_at = now

    def _is_mine(self, sign: Heartbeat) -> bool:
        return (sign.host, sign.pid, sign.started_at) == (socket.gethostname(), os.getpid(), self._began_at)

    def _sign_of_life(self, vitals: Vitals) -> Heartbeat:
        return Heartbeat(
            host=socket.gethostname(),
            pid=os.getpid(),
            started_at=self._began_at,
            beat_at=datetime.now(UTC),
            version=__version__,
            health=vitals.health,
            why=vitals.why,
            pending=vitals.pending,
            details=written(vitals, self._house),
        )

    async def _away(self, ask: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, ask)
