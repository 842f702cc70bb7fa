"""Hands over files that a person names, once each: for images that no producer writes to a watched folder."""

from __future__ import annotations

import asyncio
import heapq
import os
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hydrad.domain import Arrival
from hydrad.watchers.arriving import arrival_of, rested_s
from hydrad.watchers.folders import look_at
from hydrad.watchers.layouts import Names, plain
from hydrad.watchers.settling import BACK_OFF_S, Look

TICK_S: Final = 1.0
_SOONEST_S: Final = 0.2


class ReplayWatcher:
    """A watcher whose files are put in by hand, with :meth:`submit`; in the order in which they came.

    Args:
        names: the layouts of the watched folders: a file that lies in one of them is read by its layout.
        patience_s: how long a file may lie unfinished before it is rejected, in s.
    """

    def __init__(self, names: Iterable[Names] = (), *, patience_s: float = 30.0) -> None:
        self._names = tuple(names)
        self.patience_s = patience_s
        self._queue: list[tuple[float, int, Arrival]] = []
        self._count = 0
        self._news = asyncio.Event()
        self._handing = False
        self._ticked_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.clear()

    @property
    def pending(self) -> int:
        """Files put in and not handed over yet."""
        return len(self._queue)

    @property
    def ticked_at(self) -> float:
        """``time.monotonic()`` of its last sign of life."""
        return time.monotonic() if self._handing else self._ticked_at

    def submit(
        self, path: Path, *, plot: str | None = None, run: int | None = None, submission: int | None = None
    ) -> None:
        """Put a file in, whatever its name; on the loop's thread.

        Args:
            path: of the file; it need not exist, whoever reads it will find out.
            plot: instead of the one its path tells.
            run: likewise.
            submission: to be carried along.
        """
        now = datetime.now(UTC)
        path = path.absolute()
        here = next((names for names in self._names if path.is_relative_to(names.root)), None)
        caption = plain(path) if here is None else here.caption(os.fspath(path), now=now)
        if plot is not None:
            caption = replace(caption, plot=plot)
        if run is not None:
            caption = replace(caption, run=run)
        try:
            look = look_at(os.fspath(path))
        except OSError:
            look = None
        look = look or Look(0, 0, 0, 0)
        self._put(arrival_of(path, look, caption, now=now, at_rest_s=0.0, submission=submission), 0.0)

    async def arrivals(self) -> AsyncIterator[Arrival]:
        """Yield what was put in, for ever; each once, unless asked to look again."""
        while True:
            self._ticked_at = time.monotonic()
            wait_s = self._queue[0][0] - time.monotonic() if self._queue else TICK_S
            if not self._queue or wait_s > 0:
                await self._sleep(min(wait_s, TICK_S))
                continue
            _, _, arrival = heapq.heappop(self._queue)
            now = datetime.now(UTC)
            self._handing = True
            yield replace(arrival, seen_at=now, at_rest_s=rested_s(arrival, now))
            self._handing = False
            await asyncio.sleep(0)

    def again(self, arrival: Arrival) -> None:
        """Hand this file over again after as long as it has been tried already, 5 s at most."""
        tried_s = rested_s(arrival, datetime.now(UTC))
        self._put(arrival, time.monotonic() + min(max(tried_s, _SOONEST_S), BACK_OFF_S))

    def missed(self, arrival: Arrival) -> None:
        """Nothing: whoever hands a file in by hand does so again if it is there after all."""

    def _put(self, arrival: Arrival, due_at: float) -> None:
        self._count += 1
        heapq.heappush(self._queue, (due_at, self._count, arrival))
        self._news.set()

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()
