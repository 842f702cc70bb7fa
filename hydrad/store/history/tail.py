"""Following verdicts as they come, by row number, without losing one whose writer was slower than the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy import func as sql

from hydrad.store.history.newest import newest_id
from hydrad.store.queries import Store
from hydrad.store.rows import FiledVerdict, filed_verdicts
from hydrad.store.tables import acknowledgements, episodes, plots, verdicts

AT_ONCE = 500  # verdicts told by one look
MOST_BEHIND = 5000  # rows; whoever is further behind is better served by looking at how all plots stand
LATE_S = 60.0  # a row number that was skipped may still become visible for so long: transactions end sooner
MOST_GAPS = 2000
LOOK_BACK = 100  # rows in which the first look searches for gaps


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody has seen a plot's stretch of trouble."""

    plot: str
    episode: int
    person: str
    at: datetime  # aware, UTC


@dataclass(frozen=True, slots=True)
class Look:
    """What is new. ``late`` are those whose row number lies below one told before; ``missed``: some were left out."""

    verdicts: Sequence[FiledVerdict] = ()
    late: frozenset[int] = frozenset()
    missed: bool = False
    acknowledged: Sequence[Acknowledged] = ()


class Tail:
    """Tells every verdict once. Not thread-safe: one caller at a time.

    Row numbers are handed out when a transaction writes, and become visible when it ends: a lower number may become
    visible after a higher one. So numbers that were skipped are asked for again for a while.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._last: int | None = None
        self._acknowledged: int = 0  # the newest acknowledgement told
        self._gaps: dict[int, float] = {}  # skipped numbers, and when they are given up

    @property
    def last(self) -> int:
        """The highest row number told, or there at the first look."""
        return self._last or 0

    def look(self) -> Look:
        """What has become visible since the last look; blocks, and raises what the Store raises."""
        with self._store.reading() as connection:
            newest = newest_id(connection)
            if self._last is None:
                self._begin(connection, newest)
                return Look()
            if newest < self._last or newest - self._last > MOST_BEHIND:  # another data base, or far behind
                self._gaps.clear()
                self._begin(connection, newest)
                return Look(missed=True)
            late = self._filled(connection)
            fresh = self._fresh(connection) if newest > self._last else []
            found = filed_verdicts(connection, [*late, *fresh])
            seen = self._seen(connection)
        self._advance(late, fresh)
        self._acknowledged = max((number for number, _ in seen), default=self._acknowledged)
        return Look(found, frozenset(late), acknowledged=[one for _, one in seen])

    def _begin(self, connection: Connection, newest: int) -> None:
        floor = max(0, newest - LOOK_BACK)
        query = select(verdicts.c.id).where(verdicts.c.id > floor, verdicts.c.id <= newest)
        self._note_gaps(floor, connection.scalars(query.order_by(verdicts.c.id)).all())
        self._acknowledged = connection.scalar(select(sql.max(acknowledgements.c.id))) or 0
        self._last = newest

    def _seen(self, connection: Connection) -> Sequence[tuple[int, Acknowledged]]:
        columns = acknowledgements.c
        query = (
            select(columns.id, columns.person, columns.acknowledged_at, episodes.c.id.label("episode"), plots.c.name)
            .join(episodes, episodes.c.id == columns.episode_id)
            .join(plots, plots.c.id == episodes.c.plot_id)
            .where(columns.id > self._acknowledged)
            .order_by(columns.id)
            .limit(AT_ONCE)
        )
        return [
            (row.id, Acknowledged(row.name, row.episode, row.person, row.acknowledged_at))
            for row in connection.execute(query)
        ]

    def _fresh(self, connection: Connection) -> Sequence[int]:
        query = select(verdicts.c.id).where(verdicts.c.id > self._last).order_by(verdicts.c.id).limit(AT_ONCE)
        return connection.scalars(query).all()

    def _filled(self, connection: Connection) -> Sequence[int]:
        if not self._gaps:
            return []
        return connection.scalars(select(verdicts.c.id).where(verdicts.c.id.in_(list(self._gaps)))).all()

    def _advance(self, late: Sequence[int], fresh: Sequence[int]) -> None:
        for number in late:
            del self._gaps[number]
        now = self._clock()
        self._gaps = {number: end for number, end in self._gaps.items() if end > now}
        if fresh:
            self._note_gaps(self.last, fresh)
            self._last = fresh[-1]

    def _note_gaps(self, last: int, present: Sequence[int]) -> None:
        end = self._clock() + LATE_S
        for number in present:
            first = max(last + 1, number - MOST_GAPS)
            self._gaps |= dict.fromkeys(range(first, number), end)
            last = number
        for number in list(self._gaps)[: max(0, len(self._gaps) - MOST_GAPS)]:
            del self._gaps[number]
