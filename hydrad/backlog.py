"""Files at rest that wait for their turn: what is new of a plot before what is late, the plot shown longest first."""

from __future__ import annotations

import asyncio
import heapq
import math
from bisect import bisect_left, insort
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from hydrad.domain import Arrival

Life = Callable[[], Awaitable[None]]  # what happens to a file once it is its turn
MOST_WAITING: Final = 100_000  # files; 0.9 kB each
PASSED_OVER_AT_ONCE: Final = 256

Waiting = tuple[Arrival, Life]
_Age = tuple[datetime, int, str]  # when it was taken, mtime_ns, path: of a plot's images the greatest is the newest


class _Rank(NamedTuple):
    """A plot's place in the queue; the least comes first."""

    late: bool  # nothing waits that is newer than what was taken of it
    turn: int  # when an image of it was taken last
    number: int  # when it queued


class _Plot:
    """The images of one plot that wait, and the newest that was ever taken."""

    def __init__(self, turn: int) -> None:
        self.waiting: dict[Path, Waiting] = {}
        self.ages: list[_Age] = []  # of those that wait, ascending
        self.taken: _Age | None = None
        self.turn = turn
        self.rank: _Rank | None = None  # None: it does not queue
        self.in_hand = False

    def put(self, arrival: Arrival, life: Life) -> None:
        if (before := self.waiting.get(arrival.path)) is not None:
            del self.ages[bisect_left(self.ages, _age(before[0]))]
        if self.taken is not None and arrival.seen_at < self.taken[0]:
            self.taken = None  # the clock has been set back since: what comes now is new
        self.waiting[arrival.path] = arrival, life
        insort(self.ages, _age(arrival))

    def pop(self, place: int) -> Waiting:
        """The newest at -1, the oldest at 0."""
        return self.waiting.pop(Path(self.ages.pop(place)[2]))

    @property
    def late(self) -> bool:
        """Whether what waits is older than what was taken."""
        return self.taken is not None and self.ages[-1] <= self.taken


class Backlog:
    """A queue in which no plot overtakes itself: one image of a plot is being judged at a time.

    Of the plots of which something newer waits than was ever taken, the one comes first of which an image was taken the
    longest ago; its newest image is taken. Only when no such plot waits it is the turn of what was overtaken.

    Args:
        most: how many files should wait at most; what :meth:`surplus` takes out keeps to that.
        hands: how many files of so many plots may be in hand at present: what is taken early may not be the newest when
            it is judged.
    """

    def __init__(self, most: int = MOST_WAITING, hands: Callable[[int], float] = lambda _: math.inf) -> None:
        self._most = most
        self._hands = hands
        self._plots: dict[str, _Plot] = {}
        self._queue: list[tuple[_Rank, str]] = []
        self._waiting = 0
        self._in_hand = 0
        self._numbers = count(1)
        self._turn = 0
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return self._waiting + self._in_hand

    def put(self, arrival: Arrival, life: Life) -> None:
        """Queue a file; a newer sighting of a path takes the place of one not yet read."""
        plot = self._plots.get(arrival.plot)
        if plot is None:
            plot = self._plots[arrival.plot] = _Plot(self._turn)  # a new plot overtakes none that waits already
        self._waiting += arrival.path not in plot.waiting
        plot.put(arrival, life)
        self._line_up(arrival.plot, plot)
        self._news.set()

    async def take(self) -> Waiting:
        """Wait for a hand, and for a plot that is not in hand, and take its newest image; :meth:`done` must follow."""
        while self._in_hand >= self._hands(len(self._plots)) or (name := self._next()) is None:
            self._news.clear()
            await self._news.wait()
        plot = self._plots[name]
        newest = plot.ages[-1]
        if not plot.late:
            plot.taken = newest
        self._turn += 1
        plot.turn, plot.in_hand = self._turn, True
        self._waiting -= 1
        self._in_hand += 1
        return plot.pop(-1)

    def done(self, arrival: Arrival) -> None:
        """The plot's next image may be taken."""
        plot = self._plots[arrival.plot]
        plot.in_hand = False
        self._in_hand -= 1
        self._line_up(arrival.plot, plot)
        self._news.set()

    @property
    def relaxed(self) -> bool:
        """Whether half as many wait as may."""
        return self._waiting <= self._most // 2

    def surplus(self) -> list[Waiting]:
        """Take out, a good many at a time, the oldest images of the plots that have most; never a plot's newest."""
        out: list[Waiting] = []
        if self._waiting <= self._most:
            return out
        for _ in range(min(PASSED_OVER_AT_ONCE, 1 + self._most // 10)):
            plot = max(self._plots.values(), key=lambda plot: len(plot.ages))
            if len(plot.ages) < 2:
                break
            out.append(plot.pop(0))
        self._waiting -= len(out)
        return out

    def _line_up(self, name: str, plot: _Plot) -> None:
        if plot.in_hand or not plot.ages:
            return
        late = plot.late
        if plot.rank is None or late < plot.rank.late:
            plot.rank = _Rank(late, plot.turn, next(self._numbers))
            heapq.heappush(self._queue, (plot.rank, name))

    def _next(self) -> str | None:
        while self._queue:
            rank, name = heapq.heappop(self._queue)
            plot = self._plots[name]
            if plot.rank == rank:  # else it has queued anew, further ahead
                plot.rank = None
                return name
        return None


def _age(arrival: Arrival) -> _Age:
    return arrival.taken_at, arrival.mtime_ns, str(arrival.path)
