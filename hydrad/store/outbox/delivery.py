"""From the journal to the data base: everything arrives, and arrives once, however often either end is killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from hydrad import log
from hydrad.domain import Change
from hydrad.errors import TryAgain
from hydrad.store.engine import Dropped, Unacceptable, WentBack
from hydrad.store.outbox.book import Outgoing, Refusal
from hydrad.store.outbox.journal import Journal
from hydrad.store.outbox.lost import lacks
from hydrad.store.packing import NoParcel, Parcel, unpack
from hydrad.store.queries import Store

BATCH = 1000  # parcels in one transaction
GATHER_S = 0.1  # a batch that is not full waits this long for more
ASK_EVERY_S = 5.0  # while nothing is to be delivered
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
SO = "what it had taken lately is delivered again; labels and decisions of its last moments may be missing"
TRIES = 3  # of a batch over which a server that answers drops the connection
ESCAPED = 4  # times as long may a row be as what is in it, in a statement's text

_log = log.get("store")


@dataclass(frozen=True, slots=True)
class Opened:
    """A parcel that waits, as the journal has it and as the data base wants it; None where it cannot be opened."""

    outgoing: Outgoing
    parcel: Parcel | None

    def required(self) -> Parcel:
        """The parcel; raises NoParcel."""
        return self.parcel or unpack(self.outgoing.document, self.outgoing.heatmap)


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
        self._first_wait_s = self._wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._ok = answers
        self._away_since: float | None = None
        self._last: Parcel | None = None  # of a file, that the data base took from this process
        self._went_back = False

    def __enter__(self) -> Self:
        """Start the thread that talks to the data base."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="delivery")
        self._opening = ThreadPoolExecutor(1, thread_name_prefix="delivery-opening")
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the transaction under way."""
        self._opening.shutdown(cancel_futures=True)
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
        """Deliver for ever."""
        looked = False
        while True:
            try:
                if not looked:  # what answers now may be another than the one that was given all before
                    await self._look_for_lost()
                    looked = True
                some = await self._deliver()
                if self._went_back and not some:
                    await self._say_settings_again()
            except WentBack:
                self._last, self._went_back, looked = None, True, False
            except TryAgain as fault:
                self._is_away(fault)
                looked = False
                await asyncio.sleep(self._wait_s)
                self._wait_s = min(2 * self._wait_s, self._longest_wait_s)
            else:
                self._is_back()
                if not some:
                    await self._journal.news(ASK_EVERY_S)
                await asyncio.sleep(GATHER_S)

    async def _deliver(self) -> bool:
        """Hand over batch after batch, up to the first that is not full; False if that was empty.

        While the data base works at a batch, the next is read and opened, and the one before struck out. Whoever is
        killed then hands both over again, which changes nothing.
        """
        reading = asyncio.create_task(self._next())
        striking: asyncio.Task[None] | None = None
        try:
            while True:
                parcels = await reading
                full = len(parcels) == self._batch
                if full:  # by number, since these still stand in the journal
                    reading = asyncio.create_task(self._next(parcels[-1].outgoing.id))
                refused = await self._hand_over(parcels)
                self._ok = True
                if striking is not None:
                    await asyncio.shield(striking)
                    striking = None
                if not parcels:
                    return False
                strike = self._journal.delivered([one.outgoing for one in parcels], refused)
                if full and not refused:
                    striking = asyncio.create_task(strike)
                else:
                    await strike
                if not full:
                    return True
                self._is_back()
        finally:
            reading.cancel()
            await _over(reading, striking)

    async def _next(self, after: int = 0) -> Sequence[Opened]:
        """The oldest parcels that wait, of those with higher numbers than this."""
        outgoing = await self._journal.outgoing(self._batch, after)
        return await asyncio.get_running_loop().run_in_executor(self._opening, open_parcels, outgoing)

    async def _look_for_lost(self) -> None:
        """Let wait again what the data base was given and lacks: it was failed over, or put back from a copy."""
        lost, loop = 0, asyncio.get_running_loop()
        while parcels := await self._journal.newest_given():
            if not await loop.run_in_executor(self._executor, self._lacks, parcels):
                break
            await self._journal.take_back(parcels)
            lost += len(parcels)
        if lost or self._went_back:
            self._went_back = True
            _log.error("data_base_went_back", again=lost, so=SO)

    def _lacks(self, parcels: Sequence[Outgoing]) -> bool:
        try:
            return lacks(self._store, [unpack(parcel.document, parcel.heatmap) for parcel in parcels])
        except NoParcel:  # it was taken once, so another program wrote it
            return True

    async def _hand_over(self, parcels: Sequence[Opened]) -> Sequence[Refusal]:
        """Put a batch into the data base, or ask whether it answers where there is none; what it refuses."""
        loop = asyncio.get_running_loop()
        if not parcels:
            await loop.run_in_executor(self._executor, self._store.ping, self._last)
            return []
        refused = await loop.run_in_executor(self._executor, lambda: list(self._place(parcels, self._last)))
        for refusal in refused:
            _log.error("parcel_refused", number=refusal.id, why=refusal.why)
        aside = {refusal.id for refusal in refused}
        taken = (one.required() for one in reversed(parcels) if one.outgoing.id not in aside)
        self._last = next((parcel for parcel in taken if parcel.entry is not None), self._last)
        return refused

    def _place(self, parcels: Sequence[Opened], after: Parcel | None = None) -> Iterator[Refusal]:
        """Put parcels into the data base, smaller batches where it refuses; yield those it refuses one by one."""
        try:
            self._put(parcels, after)
        except (Unacceptable, NoParcel) as fault:
            if len(parcels) == 1:
                yield Refusal(parcels[0].outgoing.id, str(fault))
                return
            half = len(parcels) // 2
            yield from self._place(parcels[:half], after)
            yield from self._place(parcels[half:], after)

    def _put(self, parcels: Sequence[Opened], after: Parcel | None) -> None:
        wanted = [one.required() for one in parcels]
        for left in reversed(range(TRIES)):
            try:
                self._store.put(wanted, after)
            except Dropped as fault:
                self._store.ping()  # else it is away
                if left:
                    continue
                # A row larger than a server takes makes it hang up, as if it were away, each time anew.
                if max(_size(one.outgoing) for one in parcels) > self._store.largest_statement() // ESCAPED:
                    raise Unacceptable(f"{fault}, {TRIES} times over the same") from fault
                raise
            else:
                return

    async def _say_settings_again(self) -> None:
        """What is in force here must stand there, whoever set it and wherever."""
        loop = asyncio.get_running_loop()
        there = await loop.run_in_executor(self._executor, self._store.newest_settings)
        newest = {_scope(change): change.at for change in there}
        for change in await loop.run_in_executor(None, self._journal.settings):
            if _scope(change) not in newest or newest[_scope(change)] < change.at:
                await self._journal.change(change)
        self._went_back = False

    def _is_away(self, fault: TryAgain) -> None:
        self._ok = False
        if self._away_since is None:
            self._away_since = time.monotonic()
            _log.warning("cannot_deliver", why=str(fault), waiting=self.waiting)

    def _is_back(self) -> None:
        self._ok = True
        self._wait_s = self._first_wait_s
        if self._away_since is not None:
            away_s = round(time.monotonic() - self._away_since, 1)
            _log.info("delivers_again", after_s=away_s, waiting=self.waiting)
            self._away_since = None


def open_parcels(parcels: Sequence[Outgoing]) -> Sequence[Opened]:
    """Open what the journal has."""
    return [Opened(parcel, _parcel(parcel)) for parcel in parcels]


def _parcel(outgoing: Outgoing) -> Parcel | None:
    try:
        return unpack(outgoing.document, outgoing.heatmap)
    except NoParcel:  # it is said, and set aside, when its turn comes
        return None


async def _over(*tasks: asyncio.Task[Any] | None) -> None:
    """Return when these have ended. A fault of theirs is no news: what was not struck out comes again."""
    begun = [task for task in tasks if task is not None]
    await asyncio.wait(begun)
    for task in begun:
        if not task.cancelled():
            task.exception()


def _scope(change: Change) -> tuple[str, str | None, str | None]:
    return change.key, change.plot, change.detector


def _size(parcel: Outgoing) -> int:
    return len(parcel.document) + len(parcel.heatmap or b"")
