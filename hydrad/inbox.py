"""The letter box at the door: foreign threads drop things in, the event loop takes them out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """A bounded mailbox that keeps only the newest item of each key, in the order in which the keys came.

    ``post``, ``nudge`` and ``pending`` may be used from any thread, even after the loop has closed; all else belongs
    to the loop's own thread, and to one reader.

    Args:
        loop: the event loop that reads.
        key: what makes two items stand for the same thing; of these only the newest is kept.
        limit: how many keys wait at most. What comes on top of that is dropped, and :meth:`take_loss` tells.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, key: Callable[[T], Hashable] = id, limit: int = 10_000
    ) -> None:
        self._loop = loop
        self._key = key
        self._limit = limit
        self._lock = threading.Lock()
        self._items: dict[Hashable, T] = {}
        self._lost = 0
        self._ringing = False
        self._bell = asyncio.Event()

    @property
    def pending(self) -> int:
        """How many items wait."""
        return len(self._items)

    def post(self, item: T) -> None:
        """Drop an item in: it takes the place of one with the same key, or goes to the end; any thread."""
        key = self._key(item)
        with self._lock:
            if key in self._items or len(self._items) < self._limit:
                self._items[key] = item
            else:
                self._lost += 1
        self.nudge()

    def nudge(self) -> None:
        """Wake whoever waits although there may be nothing to take; any thread."""
        with self._lock:
            if self._ringing:
                return  # one ring answers for all that comes before the loop gets round to it
            self._ringing = True
        try:
            self._loop.call_soon_threadsafe(self._ring)
        except RuntimeError:
            return  # the loop has closed: nobody will read this any more

    def take_loss(self) -> int:
        """How many items were dropped since the last call: if any, look for yourself what there is."""
        with self._lock:
            lost, self._lost = self._lost, 0
        return lost

    def drain(self) -> list[T]:
        """Take everything that waits, now; the oldest key first."""
        with self._lock:
            items, self._items = list(self._items.values()), {}
        return items

    async def wait(self, timeout_s: float | None = None) -> None:
        """Return as soon as there is something to take, something was lost, someone nudged, or the time is over."""
        if not self._items and not self._lost:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._bell.wait()
            except TimeoutError:
                return
        self._bell.clear()

    async def get(self) -> T:
        """Wait for the next item and take it."""
        while True:
            with self._lock:
                if self._items:
                    return self._items.pop(next(iter(self._items)))
            self._bell.clear()
            with self._lock:
                if self._items:
                    continue
            await self._bell.wait()

    async def __aiter__(self) -> AsyncIterator[T]:
        """Every item, for ever."""
        while True:
            yield await self.get()

    def _ring(self) -> None:
        with self._lock:
            self._ringing = False
        self._bell.set()
