"""From the journal to the data base: everything arrives, and arrives once, however often either end is killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn, Self

from hydrad import log
from hydrad.errors import TryAgain
from hydrad.store.book import Outgoing, Refusal
from hydrad.store.engine import Dropped, Unacceptable
from hydrad.store.journal import Journal
from hydrad.store.packing import NoParcel, unpack
from hydrad.store.queries import Store

BATCH = 1000  # parcels in one transaction
GATHER_S = 0.1  # a batch that is not full waits this long for more
ASK_EVERY_S = 5.0  # while nothing is to be delivered
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
TRIES = 3  # of a batch over which a server that answers drops the connection

_log = log.get("store")


class Delivery:
    """Moves parcels from the journal to the data base; a context manager whose :meth:`run` is a root task.

    Args:
        journal: open, of this process.
        store: the data base; it need not answer yet.
        answers: whether it was seen to answer just now.
        first_wait_s: before the first new attempt while the data base is away; doubled with each.
        longest_wait_s: between two attempts.
    """

    def __init__(
        self,
        journal: Journal,
        store: Store,
        *,
        answers: bool = False,
        batch: int = BATCH,
        first_wait_s: float = FIRST_WAIT_S,
        longest_wait_s: float = LONGEST_WAIT_S,
    ) -> None:
        self._journal = journal
        self._store = store
        self._batch = batch
        self._first_wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._ok = answers
        self._away_since: float | None = None

    def __enter__(self) -> Self:
        """Start the thread that talks to the data base."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="delivery")
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the transaction under way."""
        self._executor.shutdown()

    @property
    def ok(self) -> bool:
        """True while the data base answers; False before it first has."""
        return self._ok

    @property
    def waiting(self) -> int:
        """Parcels that the data base does not have yet."""
        return self._journal.waiting

    async def run(self) -> NoReturn:
        """Deliver for ever.

        Raises:
            SchemaMismatch: the data base is not of this program's schema; somebody has to upgrade it.
        """
        wait_s = self._first_wait_s
        while True:
            try:
                parcels = await self._journal.outgoing(self._batch)
                await self._hand_over(parcels)
            except TryAgain as fault:
                self._is_away(fault)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, self._longest_wait_s)
            else:
                self._is_back()
                wait_s = self._first_wait_s
                if not parcels:
                    await self._journal.news(ASK_EVERY_S)
                if len(parcels) < self._batch:
                    await asyncio.sleep(GATHER_S)

    async def _hand_over(self, parcels: Sequence[Outgoing]) -> None:
        loop = asyncio.get_running_loop()
        if not parcels:
            await loop.run_in_executor(self._executor, self._store.ping)
            return
        refused = await loop.run_in_executor(self._executor, lambda: list(self._place(parcels)))
        for refusal in refused:
            _log.error("parcel_refused", number=refusal.id, why=refusal.why)
        await self._journal.delivered(parcels, refused)

    def _place(self, parcels: Sequence[Outgoing]) -> Iterator[Refusal]:
        """Put parcels into the data base, smaller batches where it refuses; yield those it refuses one by one."""
        try:
            self._put(parcels)
        except (Unacceptable, NoParcel) as fault:
            if len(parcels) == 1:
                yield Refusal(parcels[0].id, str(fault))
                return
            half = len(parcels) // 2
            yield from self._place(parcels[:half])
            yield from self._place(parcels[half:])

    def _put(self, parcels: Sequence[Outgoing]) -> None:
        opened = [unpack(parcel.document, parcel.heatmap) for parcel in parcels]
        for left in reversed(range(TRIES)):
            try:
                self._store.put(opened)
            except Dropped as fault:
                self._store.ping()  # else it is away
                if not left:  # a row larger than a server takes makes it hang up, as if it were away, each time anew
                    raise Unacceptable(f"{fault}, {TRIES} times over the same") from fault
            else:
                return

    def _is_away(self, fault: TryAgain) -> None:
        self._ok = False
        if self._away_since is None:
            self._away_since = time.monotonic()
            _log.warning("cannot_deliver", why=str(fault), waiting=self.waiting)

    def _is_back(self) -> None:
        self._ok = True
        if self._away_since is not None:
            away_s = round(time.monotonic() - self._away_since, 1)
            _log.info("delivers_again", after_s=away_s, waiting=self.waiting)
            self._away_since = None
