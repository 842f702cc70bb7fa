"""Which plots want labels most, and who gave how many."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from threading import Lock
from typing import Final

from sqlalchemy import Connection, func, select, true

from hydrad.domain import Status
from hydrad.store.labels.labelling import LabelTally, tallies
from hydrad.store.places import plot_number
from hydrad.store.queries import Store
from hydrad.store.tables import hours, images, labellings, plots

ENOUGH: Final = 100  # unlabelled images of a plot that are counted: who wants more of them has enough
TRUST: Final = 10  # labels of a plot that weigh as much as none
# What a person should look at: the model says it is unsure, or there is none.
UNSURE: Final = frozenset({Status.SUSPECT, Status.UNFAMILIAR, Status.NOMODEL, Status.UNKNOWN})
STEP: Final = 1000  # old labellings counted at a time
TAIL: Final = 500  # of the newest, whose writers may not all be done: counted anew each time

Deed = tuple[str, int, date]  # who labelled, of which plot, on which day


@dataclass(frozen=True, slots=True)
class Need:
    """A plot, and how much labels would help it."""

    plot: str
    labels: Sequence[LabelTally]
    waiting: int  # kept images that nobody has labelled; ENOUGH stands for that many or more
    unsure: int  # images of the last day of which its model, if any, was not sure

    @property
    def labelled(self) -> int:
        """Images with a label."""
        return sum(one.images for one in self.labels)


@dataclass(frozen=True, slots=True)
class Leader:
    """Somebody, and how many labels they gave by hand."""

    person: str
    today: int
    week: int  # today and the six days before
    ever: int


def needs(store: Store, now: datetime) -> Sequence[Need]:
    """All plots, those first in which a label tells most: many doubts, few labels; last those without images.

    Args:
        now: aware.
    """
    by_plot: dict[str, list[LabelTally]] = defaultdict(list)
    for one in tallies(store):
        by_plot[one.plot].append(one)
    mine = images.c.plot_id == plots.c.id, images.c.label_id.is_(None), images.c.kept == true()
    nth = select(images.c.taken_at.is_(None)).where(*mine).order_by(images.c.taken_at.desc())
    many = nth.limit(1).offset(ENOUGH - 1).correlate(plots).scalar_subquery()
    doubts = (
        select(hours.c.plot_id, func.sum(hours.c.images).label("images"))
        .where(hours.c.hour >= now - timedelta(days=1), hours.c.status.in_(UNSURE))
        .group_by(hours.c.plot_id)
    )
    with store.reading() as connection:
        rows = connection.execute(select(plots.c.id, plots.c.name, many.label("many"))).all()
        few = [row.id for row in rows if row.many is None]
        counted = (
            select(images.c.plot_id, func.count().label("images"))
            .where(images.c.plot_id.in_(few), images.c.label_id.is_(None), images.c.kept == true())
            .group_by(images.c.plot_id)
        )
        waiting = {row.plot_id: row.images for row in connection.execute(counted)}
        unsure = {row.plot_id: int(row.images) for row in connection.execute(doubts)}
    found = [
        Need(
            row.name,
            by_plot[row.name],
            waiting.get(row.id, 0 if row.many is None else ENOUGH),
            unsure.get(row.id, 0),
        )
        for row in rows
    ]
    return sorted(found, key=lambda need: (not need.waiting, -_weight(need), need.plot))


def _weight(need: Need) -> float:
    return (need.unsure + 1) / (need.labelled + TRUST)


def knows(store: Store, plot: str) -> bool:
    """Whether there is such a plot."""
    with store.reading() as connection:
        return plot_number(connection, plot) is not None


@dataclass(frozen=True, slots=True)
class Thanks:
    """Those who labelled, the most of this week first."""

    leaders: Sequence[Leader]
    whole: bool  # False while old labels are still being counted; today's and this week's come first


class Leaders:
    """Counts who gave how many labels on the pages, the newest first; asked again, it goes on where it was.

    Any thread may ask.

    Args:
        zone: in which days begin.
    """

    def __init__(self, store: Store, zone: tzinfo) -> None:
        self._store = store
        self._zone = zone
        self._counts: Counter[Deed] = Counter()
        self._from: int | None = None  # the rows after this one …
        self._until = 0  # … up to this one are counted
        self._lock = Lock()

    def ask(self, today: date, plot: str | None = None) -> Thanks:
        """Who gave how many labels by today.

        Args:
            plot: count this plot's only.
        """
        with self._lock, self._store.reading() as connection:
            counts = self._counts + self._count(connection)
            whole = not self._from
            plot_id = None if plot is None else plot_number(connection, plot) or 0
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for (person, where, day), number in counts.items():
            if plot_id is None or where == plot_id:
                ago = (today - day).days
                for n, counted in enumerate((ago <= 0, ago < 7, True)):
                    sums[person][n] += number * counted
        leaders = [Leader(person, *three) for person, three in sums.items()]
        return Thanks(sorted(leaders, key=lambda one: (-one.week, -one.ever, one.person)), whole)

    def _count(self, connection: Connection) -> Counter[Deed]:
        """Count what is new and some of what is old; return the counts of the newest, which may yet change."""
        last = connection.scalar(select(func.max(labellings.c.id))) or 0
        if self._from is None:
            self._from = self._until = max(last - TAIL, 0)
        settled = max(last - TAIL, self._until)
        older = max(self._from - STEP, 0)
        self._counts += self._between(connection, self._until, settled)
        self._counts += self._between(connection, older, self._from)
        self._from, self._until = older, settled
        return self._between(connection, settled, last)

    def _between(self, connection: Connection, after: int, until: int) -> Counter[Deed]:
        if after >= until:
            return Counter()
        # Those of an import are others' work of former times, and taking a label back is none. Counted here: to group
        # by texts of any length, a server would write them to a disk.
        query = (
            select(labellings.c.person, images.c.plot_id, labellings.c.labelled_at)
            .join(images, images.c.id == labellings.c.image_id)
            .where(labellings.c.id > after, labellings.c.id <= until)
            .where(labellings.c.via == "page", labellings.c.label_id.is_not(None))
        )
        rows = connection.execute(query)
        return Counter((row.person, row.plot_id, row.labelled_at.astimezone(self._zone).date()) for row in rows)
