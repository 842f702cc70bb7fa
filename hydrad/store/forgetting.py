"""Old verdicts go when the hall says so, a few hundred at a time, and none that something still leans on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Row, delete, func, or_, select, true, update

from hydrad.store.queries import Store
from hydrad.store.tables import (
    episodes,
    files,
    images,
    labellings,
    logbook_entries,
    shadows,
    standings,
    verdicts,
)

AT_ONCE = 100  # verdicts, or files, in one transaction: nobody waits longer than for so many

_LEANING: Sequence[Column[Any]] = (  # on a verdict
    standings.c.verdict_id,
    episodes.c.first_verdict_id,
    episodes.c.last_verdict_id,
    episodes.c.worst_verdict_id,
    logbook_entries.c.verdict_id,
)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows one step removed."""

    verdicts: int = 0
    files: int = 0
    images: int = 0  # rows of images whose bytes went earlier

    def __add__(self, other: Forgotten) -> Forgotten:
        return Forgotten(self.verdicts + other.verdicts, self.files + other.files, self.images + other.images)


class Forgetting:
    """Removes old rows from the data base; used by one thread at a time.

    A verdict stays while its plot stands by it, an episode begins or ends with it or was worst by it, the logbook was
    sent it, or its image is kept or labelled. What was counted of it by the hour stays in any case. A file's row stays
    while the file is on disk; it then names no verdict any more.

    Args:
        on_disk: whether the file of this path may still be there; callable from any thread.
    """

    def __init__(self, store: Store, on_disk: Callable[[str], bool]) -> None:
        self._store = store
        self._on_disk = on_disk
        self._verdict = 0  # the last one looked at
        self._file = 0

    def round(self, limit: datetime, *, whole: bool) -> Iterator[Forgotten]:
        """Remove what was judged, or for files without a verdict seen, before ``limit`` (aware), step by step.

        Args:
            whole: look again at what was passed over earlier.

        Raises:
            StoreAway: the data base does not answer; the next round goes on where this one ended.
        """
        if whole:
            self._verdict = self._file = 0
        while rows := self._page(verdicts.c.id, verdicts.c.judged_at, self._verdict):
            if all(row.at >= limit for row in rows):
                break
            yield self._forget([row.id for row in rows if row.at < limit])
            self._verdict = rows[-1].id
        while rows := self._page(files.c.id, files.c.seen_at, self._file):
            if all(row.at >= limit for row in rows):
                break
            yield self._forget_files([row.id for row in rows if row.at < limit])
            self._file = rows[-1].id

    def _page(self, number: Column[int], at: Column[datetime], after: int) -> Sequence[Row[*tuple[Any, ...]]]:
        """The next rows in the order in which they came, but the very last: its number must not be given again."""
        newest = select(func.max(number)).scalar_subquery()
        query = select(number.label("id"), at.label("at")).where(number > after, number < newest)
        with self._store.reading() as connection:
            return connection.execute(query.order_by(number).limit(AT_ONCE)).all()

    def _forget(self, numbers: Sequence[int]) -> Forgotten:
        forgotten = Forgotten()

        def forget(connection: Connection) -> None:
            nonlocal forgotten
            forgotten = Forgotten()
            gone = _unneeded(connection, numbers)
            if not gone:
                return
            about = verdicts.c.id.in_(gone)
            pictures = set(
                connection.scalars(select(verdicts.c.image_id).where(about, verdicts.c.image_id.is_not(None)))
            )
            connection.execute(delete(shadows).where(shadows.c.verdict_id.in_(gone)))
            named = select(files.c.id, files.c.path).where(files.c.verdict_id.in_(gone))
            removed = self._remove_files(connection, connection.execute(named).all())
            connection.execute(delete(verdicts).where(about))
            forgotten = Forgotten(len(gone), removed, _remove_images(connection, pictures))

        self._store.insist(forget)
        return forgotten

    def _forget_files(self, numbers: Sequence[int]) -> Forgotten:
        """Those that no verdict stands for: rejected ones, and those whose verdicts went while they were on disk."""
        removed = 0

        def forget(connection: Connection) -> None:
            nonlocal removed
            query = select(files.c.id, files.c.path).where(files.c.id.in_(numbers), files.c.verdict_id.is_(None))
            removed = self._remove_files(connection, connection.execute(query).all())

        if numbers:
            self._store.insist(forget)
        return Forgotten(files=removed)

    def _remove_files(self, connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]]) -> int:
        there = [row.id for row in rows if self._on_disk(row.path)]
        gone = [row.id for row in rows if row.id not in set(there)]
        if there:
            connection.execute(update(files).where(files.c.id.in_(there)).values(verdict_id=None))
        if gone:
            connection.execute(delete(files).where(files.c.id.in_(gone)))
        return len(gone)


def _unneeded(connection: Connection, numbers: Collection[int]) -> set[int]:
    """Those of these verdicts that nothing leans on, locked until the transaction ends."""
    if not numbers:
        return set()
    query = select(verdicts.c.id).where(verdicts.c.id.in_(numbers)).order_by(verdicts.c.id).with_for_update()
    gone = set(connection.scalars(query))
    for column in _LEANING:
        gone -= set(connection.scalars(select(column).where(column.in_(numbers))))
    shown = (
        select(verdicts.c.id)
        .join(images, images.c.id == verdicts.c.image_id)
        .where(verdicts.c.id.in_(numbers), or_(images.c.kept == true(), images.c.label_id.is_not(None)))
    )
    return gone - set(connection.scalars(shown))


def _remove_images(connection: Connection, numbers: Collection[int]) -> int:
    """Remove the rows of those of these images of which nothing is left: no bytes, no verdict, no word of a person."""
    if not numbers:
        return 0
    query = select(images.c.id).where(images.c.id.in_(numbers), images.c.kept != true(), images.c.label_id.is_(None))
    gone = set(connection.scalars(query.order_by(images.c.id).with_for_update()))
    for column in (verdicts.c.image_id, labellings.c.image_id):
        gone -= set(connection.scalars(select(column).where(column.in_(gone)))) if gone else set()
    if gone:
        connection.execute(delete(images).where(images.c.id.in_(gone)))
    return len(gone)
