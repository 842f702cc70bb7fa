"""What goes once it has been kept long enough: the bytes of images nobody labelled, drew for labelling, or must see."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select, true, update

from hydrad.domain import Status
from hydrad.saving import TELLING
from hydrad.store.images import SHELVES, ImageFolder, Kept
from hydrad.store.queries import Store
from hydrad.store.tables import images, shadows, standings, verdicts

AT_ONCE = 500  # images in one transaction

_BEGINNING = (datetime(1000, 1, 1, tzinfo=UTC), 0)  # servers know no earlier years


@dataclass(frozen=True, slots=True)
class Freed:
    """What one step removed, and what it found that no row knows and left alone."""

    images: int = 0
    size: int = 0  # bytes
    unknown: int = 0  # files

    def __add__(self, other: Freed) -> Freed:
        return Freed(self.images + other.images, self.size + other.size, self.unknown + other.unknown)


@dataclass(frozen=True, slots=True)
class Holding:
    """The images whose bytes are kept."""

    images: int
    size: int  # bytes


def holding(store: Store) -> Holding:
    """How many images the data base says are kept; one that is several plots' counts for each."""
    query = select(func.count(), func.coalesce(func.sum(images.c.size), 0)).where(images.c.kept == true())
    with store.reading() as connection:
        count, size = connection.execute(query).one()
    return Holding(count, int(size))


class Purge:
    """Removes images from one folder; used by one thread at a time.

    An image stays while a person labelled it, it was drawn for labelling, any verdict of it is telling (bad, without
    data, suspect, unfamiliar, unconfirmed, or another than a model in shadow gave), or its plot's newest verdict is
    about it. Its row and its verdicts stay in any case. A content that several plots have stays while one needs it.
    """

    def __init__(self, store: Store, folder: ImageFolder) -> None:
        self._store = store
        self._folder = folder
        self._after = _BEGINNING  # the time and row of the last image looked at
        self._shown: frozenset[int] = frozenset()  # passed over because they were their plots' newest

    def round(self, limit: datetime, *, whole: bool) -> Iterator[Freed]:
        """Remove what was both taken and last kept before ``limit`` (aware), a few hundred images at each step.

        Args:
            whole: look again at images passed over earlier, and into the folder for files whose rows were let go
                while they stayed; without it only at what has grown old since the last round.

        Raises:
            StoreAway: the data base does not answer; the next round goes on where this one ended.
            TryAgain: the folder does not answer.
        """
        if whole:
            self._after, self._shown = _BEGINNING, frozenset()
        shown, self._shown = sorted(self._shown), frozenset()
        for start in range(0, len(shown), AT_ONCE):
            yield self._free(self._rows(shown[start : start + AT_ONCE]), limit)
        while rows := self._page(limit):
            yield self._free([row for row in rows if not row.sampled and row.label_id is None], limit)
            self._after = rows[-1].taken_at, rows[-1].id
        if whole:
            for shelf in SHELVES:
                found = self._folder.shelf(shelf)
                while files := list(islice(found, AT_ONCE)):
                    yield self._tidy(files, limit)

    def _page(self, limit: datetime) -> Sequence[Row[Any]]:
        taken_at, number = self._after
        query = (
            select(*_COLUMNS)
            .where(images.c.kept == true(), images.c.taken_at >= taken_at, images.c.taken_at < limit)
            .where(or_(images.c.taken_at > taken_at, images.c.id > number))
            .order_by(images.c.taken_at, images.c.id)
            .limit(AT_ONCE)
        )
        with self._store.reading() as connection:
            return connection.execute(query).all()

    def _rows(self, numbers: Sequence[int]) -> Sequence[Row[Any]]:
        with self._store.reading() as connection:
            query = select(*_COLUMNS).where(images.c.id.in_(numbers), images.c.kept == true())
            return connection.execute(query).all()

    def _free(self, rows: Sequence[Row[Any]], limit: datetime) -> Freed:
        """First the rows, then the bytes: what a crash leaves in between is found by :meth:`_tidy`."""
        # One whose file is not here is another daemon's; one whose file is young was kept again, for an arrival that
        # the data base need not know of yet.
        old = [row for row in rows if self._folder.older(row.sha256, row.format, limit)]
        if not old:
            return Freed()
        gone: set[int] = set()

        def let_go(connection: Connection) -> None:
            gone.clear()
            gone.update(self._let_go(connection, [row.id for row in old]))

        self._store.insist(let_go)
        return self._remove([row for row in old if row.id in gone], limit)

    def _let_go(self, connection: Connection, numbers: Sequence[int]) -> set[int]:
        spare = _spare(connection, numbers)
        shown = _shown(connection, spare)
        self._shown |= shown
        gone = spare - shown
        if gone:
            connection.execute(update(images).where(images.c.id.in_(gone)).values(kept=False))
        return gone

    def _remove(self, rows: Sequence[Row[Any]], limit: datetime) -> Freed:
        if not rows:
            return Freed()
        hashes = {row.sha256 for row in rows}
        with self._store.reading() as connection:
            needed = set(connection.scalars(select(images.c.sha256).where(_of(hashes), images.c.kept == true())))
        sizes = {(row.sha256, row.format): row.size for row in rows if row.sha256 not in needed}
        back = {sha256 for sha256, format_ in sizes if not self._folder.discard(sha256, format_, limit)}
        if back:  # kept again in the meantime
            with self._store.writing() as connection:
                connection.execute(update(images).where(_of(back)).values(kept=True))
        removed = [size for (sha256, _), size in sizes.items() if sha256 not in back]
        return Freed(len(removed), sum(removed))

    def _tidy(self, files: Sequence[Kept], limit: datetime) -> Freed:
        """Settle which of these files are there although their rows were let go; leave those that no row knows."""
        hashes = {file.sha256 for file in files}
        with self._store.reading() as connection:
            query = select(images.c.id, images.c.sha256, images.c.kept).where(_of(hashes))
            rows = connection.execute(query).all()
        known, kept = {row.sha256 for row in rows}, {row.sha256 for row in rows if row.kept}
        strange = [file for file in files if file.sha256 not in known]  # or too young to be known
        unknown = sum(self._folder.older(file.sha256, file.format, limit) for file in strange)
        left = [file for file in files if file.sha256 in known - kept]
        if not left:
            return Freed(unknown=unknown)
        after_all = self._keep_after_all([row for row in rows if row.sha256 not in kept])
        removed = [
            file.size
            for file in left
            if file.sha256 not in after_all
            and self._folder.older(file.sha256, file.format, limit)
            and self._folder.discard(file.sha256, file.format, limit)
        ]
        return Freed(len(removed), sum(removed), unknown)

    def _keep_after_all(self, rows: Sequence[Row[*tuple[Any, ...]]]) -> set[str]:
        """Mark as kept those of these rows, whose files are there, that something speaks for; return their contents."""
        needed: set[int] = set()

        def mark(connection: Connection) -> None:
            numbers = [row.id for row in rows]
            spare = _spare(connection, numbers)
            needed.clear()
            needed.update(set(numbers) - (spare - _shown(connection, spare)))
            if needed:
                connection.execute(update(images).where(images.c.id.in_(needed)).values(kept=True))

        self._store.insist(mark)
        return {row.sha256 for row in rows if row.id in needed}


_COLUMNS = [images.c[name] for name in ("id", "sha256", "format", "size", "taken_at", "sampled", "label_id")]


def _of(hashes: Collection[str]) -> Any:
    return images.c.sha256.in_(hashes)


def _spare(connection: Connection, numbers: Collection[int]) -> set[int]:
    """Those of these images that nothing speaks for, locked until the transaction ends."""
    query = select(images.c.id).where(images.c.id.in_(numbers), images.c.sampled != true(), images.c.label_id.is_(None))
    spare = set(connection.scalars(query.order_by(images.c.id).with_for_update()))
    if not spare:
        return spare
    # Without beam nothing can be said of an image, so nothing is telling: a shutdown must not fill the disk.
    beam = verdicts.c.status != Status.NOBEAM
    doubted = and_(beam, verdicts.c.label.is_not(None), or_(verdicts.c.confirmed != true(), verdicts.c.novelty > 1))
    about = verdicts.c.image_id.in_(spare)
    telling = select(verdicts.c.image_id).distinct().where(about, or_(verdicts.c.status.in_(TELLING), doubted))
    spare -= set(connection.scalars(telling))
    disputed = (
        select(verdicts.c.image_id)
        .distinct()
        .join(shadows, shadows.c.verdict_id == verdicts.c.id)
        .where(about, beam, shadows.c.label != verdicts.c.label)
    )
    return spare - set(connection.scalars(disputed))


def _shown(connection: Connection, numbers: Collection[int]) -> set[int]:
    """Those of these images that the newest verdicts of their plots are about."""
    if not numbers:
        return set()
    query = (
        select(images.c.id)
        .join(standings, standings.c.plot_id == images.c.plot_id)
        .join(verdicts, verdicts.c.id == standings.c.verdict_id)
        .where(images.c.id.in_(numbers), verdicts.c.image_id == images.c.id)
    )
    return set(connection.scalars(query))
