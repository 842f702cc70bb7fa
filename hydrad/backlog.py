"""Files at rest that wait for their turn: the plot that waited longest first, and of a plot its newest image."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from pathlib import Path

from hydrad.domain import Arrival
from hydrad.ports import Watcher

Waiting = tuple[Arrival, Watcher]


class Backlog:
    """A queue in which no plot overtakes itself: one image of a plot is being judged at a time."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, dict[Path, Waiting]] = OrderedDict()
        self._in_hand: set[str] = set()
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values())) + len(self._in_hand)

    def put(self, arrival: Arrival, watcher: Watcher) -> None:
        """Queue a file; a newer sighting of a path takes the place of one not yet read."""
        self._waiting.setdefault(arrival.plot, {})[arrival.path] = (arrival, watcher)
        self._news.set()

    async def take(self) -> Waiting:
        """Wait for a plot that is not in hand and take its newest image; :meth:`done` must follow."""
        while (plot := self._next()) is None:
            self._news.clear()
            await self._news.wait()
        images = self._waiting[plot]
        newest = max(images, key=lambda path: (images[path][0].taken_at, images[path][0].mtime_ns))
        waiting = images.pop(newest)
        if not images:
            del self._waiting[plot]
        self._in_hand.add(plot)
        return waiting

    def done(self, arrival: Arrival) -> None:
        """The plot's next image may be taken; it queues behind the plots that wait already."""
        self._in_hand.discard(arrival.plot)
        if arrival.plot in self._waiting:
            self._waiting.move_to_end(arrival.plot)
        self._news.set()

    def _next(self) -> str | None:
        return next((plot for plot in self._waiting if plot not in self._in_hand), None)
