"""What verbs, pages and the daemon ask the data base, and what they tell it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar

from sqlalchemy import URL, Connection, Select, and_, exists, insert, or_, select, text, update
from sqlalchemy import func as sql

from hydrad.domain import Change, HeatMap, LedgerEntry, Outcome, Status
from hydrad.errors import SchemaMismatch, StoreAway
from hydrad.store import schema, tables
from hydrad.store.colours import painted
from hydrad.store.columns import digest
from hydrad.store.engine import Beaten, Crossed, WentBack, is_embedded, open_engine, reading, writing
from hydrad.store.packing import Parcel
from hydrad.store.places import inserted, plot_number
from hydrad.store.rows import (
    AT_ONCE,
    FiledCanary,
    FiledChange,
    FiledVerdict,
    Handled,
    Heartbeat,
    Label,
    PlotStanding,
    Submission,
    change_from,
    entry_from,
    filed_verdicts,
    heatmap_from,
    select_files,
    sighting_digest,
    standing_words,
)
from hydrad.store.writing.writes import write_parcels

SUBMISSIONS_AT_ONCE = 100
REMEMBERED_FOR = timedelta(days=1)  # what is older may have been purged
TRIES = 5  # of a transaction in which other writers were first

T = TypeVar("T")


class Store:
    """The data base; a context manager. Opening it connects to nothing, so it may be away by then.

    Every call blocks, may come from any thread, and raises StoreAway when the data base does not answer,
    SchemaMismatch when it is not of this program's schema (an embedded one is upgraded instead).
    """

    def __init__(self, url: URL | str) -> None:
        self._url = url
        self._required = False
        self._live_on = False

    def __enter__(self) -> Self:
        """Make ready to connect."""
        self._engine = open_engine(self._url)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._engine.dispose()

    def live_on(self) -> None:
        """From now on a data base of another schema is one that is away, with the same words: who works by now goes on.

        Somebody upgrades it, or puts a backup back, and a daemon that ended by that would take its PVs with it.
        """
        self._live_on = True

    def ping(self, after: Parcel | None = None) -> None:
        """Return if the data base answers; ``after`` as in :meth:`put`."""
        with self.reading() as connection:
            connection.execute(select(1))
            _require_filed(connection, after)

    def largest_statement(self) -> int:
        """How many bytes of one statement the data base takes; one that is larger makes a server hang up."""
        if is_embedded(self._engine):
            return sys.maxsize
        with self.reading() as connection:
            return int(connection.scalar(text("SELECT @@max_allowed_packet")) or 0)

    # ---- plots and verdicts ----

    def standings(self, names: Collection[str] = ()) -> Sequence[PlotStanding]:
        """What holds of these plots at present, or of all, by name; plots that are not known are left out."""
        plots, detectors, standings = tables.plots, tables.detectors, tables.standings
        query = (
            select(standings, plots.c.name.label("plot"), detectors.c.name.label("detector"))
            .select_from(plots)
            .outerjoin(detectors, detectors.c.id == plots.c.detector_id)
            .outerjoin(standings, standings.c.plot_id == plots.c.id)
        )
        if names:
            query = query.where(plots.c.digest.in_([digest(name) for name in names]))
        with self.reading() as connection:
            found = [PlotStanding(**standing_words(row)) for row in connection.execute(query)]
        return sorted(found, key=lambda standing: standing.plot)

    def log(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        plot: str | None = None,
        run: int | None = None,
        status: Status | Collection[Status] | None = None,
        limit: int = 100,
    ) -> Sequence[FiledVerdict]:
        """Verdicts, newest first; what is None does not restrict.

        Args:
            since: aware.
            until: aware; not itself included.
            status: one, or any of several.
        """
        verdicts = tables.verdicts
        # By number first: every index of the log answers this by itself, and only the hits are read whole.
        query = select(verdicts.c.id, verdicts.c.judged_at).order_by(verdicts.c.judged_at.desc()).limit(limit)
        if since is not None:
            query = query.where(verdicts.c.judged_at >= since)
        if until is not None:
            query = query.where(verdicts.c.judged_at < until)
        if run is not None:
            query = query.where(verdicts.c.run == run)
        # One after the other: of several statuses at once a data base would sort all there are.
        queries = [query]
        if status is not None:
            wanted = {status} if isinstance(status, Status) else set(status)
            queries = [query.where(verdicts.c.status == one) for one in wanted]
        with self.reading() as connection:
            if plot is not None:
                number = plot_number(connection, plot)
                queries = [one.where(verdicts.c.plot_id == number) for one in queries]
            hits = [row for one in queries for row in connection.execute(one)]
            hits = sorted(hits, key=lambda row: (row.judged_at, row.id), reverse=True)[:limit]
            found = {filed.id: filed for filed in filed_verdicts(connection, [row.id for row in hits])}
        return [found[row.id] for row in hits if row.id in found]  # an old one may have gone since it was counted

    def heatmap(self, verdict_id: int) -> HeatMap | None:
        """The heatmap of a verdict, shape (rows, columns), or None where it has none."""
        columns = tables.verdicts.c
        query = select(columns.heatmap, columns.heatmap_rows, columns.heatmap_columns).where(columns.id == verdict_id)
        with self.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else heatmap_from(row)

    def labels(self, plot: str) -> Mapping[str, Label]:
        """A plot's labels, in the order in which they were first met, each with a colour."""
        labels = tables.labels
        with self.reading() as connection:
            query = select(labels).where(labels.c.plot_id == plot_number(connection, plot)).order_by(labels.c.id)
            return painted(connection.execute(query))

    # ---- the ledger ----

    def put(self, parcels: Sequence[Parcel], after: Parcel | None = None) -> None:
        """Keep what these parcels hold, in one transaction; what is there already changes nothing.

        Args:
            after: of a file, which must be there already.

        Raises:
            Unacceptable: one of them cannot be stored; none was.
            WentBack: ``after`` is not there; nothing was stored.
        """

        def write(connection: Connection) -> None:
            schema.require_still(connection)  # nothing of ours goes into tables that another program knows better
            _require_filed(connection, after)
            write_parcels(connection, parcels)

        self.insist(write)

    def ledger_counts(self) -> Mapping[Outcome, int]:
        """How many files had which outcome."""
        with self.reading() as connection:
            counted = {row.outcome: row.files for row in connection.execute(select(tables.tallies))}
        return {outcome: counted.get(outcome, 0) for outcome in Outcome}

    def ledger_files(
        self, *, outcome: Outcome | None = None, since: datetime | None = None, path: str | None = None
    ) -> Iterator[LedgerEntry]:
        """Files, newest first, read a thousand at a time; what is None does not restrict."""
        files = tables.files
        query = select_files().order_by(files.c.seen_at.desc(), files.c.id.desc()).limit(AT_ONCE)
        if outcome is not None:
            query = query.where(files.c.outcome == outcome)
        if since is not None:
            query = query.where(files.c.seen_at >= since)
        if path is not None:
            query = query.where(files.c.path_digest == digest(path))
        page = query
        while True:
            with self.reading() as connection:
                rows = connection.execute(page).all()
            yield from map(entry_from, rows)
            if len(rows) < AT_ONCE:
                return
            last = rows[-1]
            earlier = and_(files.c.seen_at == last.seen_at, files.c.id < last.id)
            page = query.where(files.c.seen_at <= last.seen_at, or_(files.c.seen_at < last.seen_at, earlier))

    # ---- files handed in by people ----

    def submit(
        self, paths: Sequence[str], *, by: str, plot: str | None = None, run: int | None = None
    ) -> Sequence[int]:
        """Hand files in; return their numbers, in the same order."""
        now = datetime.now(UTC)
        query = insert(tables.submissions)
        with self.writing() as connection:
            return [
                inserted(connection.execute(query.values(path=path, plot=plot, run=run, person=by, submitted_at=now)))
                for path in paths
            ]

    def take_submissions(self, *, taken_before: datetime | None = None) -> Sequence[Submission]:
        """Take the oldest files handed in that nobody has taken, a hundred of them at most.

        Args:
            taken_before: those too that somebody took before this time and never finished, for a daemon that follows
                one that was killed.
        """
        submissions = tables.submissions
        query = open_submissions(taken_before).order_by(submissions.c.id).limit(SUBMISSIONS_AT_ONCE)
        with self.writing() as connection:
            rows = connection.execute(query.with_for_update()).all()
            now = datetime.now(UTC)
            taken = submissions.c.id.in_([row.id for row in rows])
            connection.execute(update(submissions).where(taken).values(taken_at=now))
            return [Submission(row.id, row.path, row.plot, row.run, row.person, row.submitted_at, now) for row in rows]

    def handled(self, numbers: Collection[int]) -> Sequence[Handled]:
        """What became of these submissions; those still on their way are left out."""
        files = tables.files
        query = select_files().where(files.c.submission.in_(list(numbers)), files.c.done_at.is_not(None))
        with self.reading() as connection:
            rows = {row.submission: row for row in connection.execute(query.order_by(files.c.done_at))}
            wanted = [row.verdict_id for row in rows.values() if row.verdict_id is not None]
            filed = {one.id: one for one in filed_verdicts(connection, wanted)}
        return [Handled(entry_from(rows[n]), filed.get(rows[n].verdict_id)) for n in numbers if n in rows]

    # ---- settings ----

    def settings_after(self, number: int) -> Sequence[FiledChange]:
        """The next changes after a row, oldest first, at most a thousand."""
        with self.reading() as connection:
            return settings_after(connection, number)

    def newest_settings(self) -> Sequence[Change]:
        """The newest change of each setting, oldest first."""
        settings = tables.settings
        newest_first = (settings.c.changed_at.desc(), settings.c.id.desc())
        place = sql.row_number().over(partition_by=settings.c.scope, order_by=newest_first).label("place")
        ranked = select(settings.c.id, place).subquery()
        query = select(settings).join(ranked, ranked.c.id == settings.c.id).where(ranked.c.place == 1)
        with self.reading() as connection:
            rows = connection.execute(query.order_by(settings.c.changed_at, settings.c.id))
            return [change_from(row).change for row in rows]

    # ---- the daemon ----

    def beat(self, heartbeat: Heartbeat) -> Sequence[Heartbeat]:
        """Leave a sign of life; return those that were there before, the last of each host that ever had a daemon."""
        table = tables.heartbeats
        values = {field: getattr(heartbeat, field) for field in heartbeat.__slots__}

        def note(connection: Connection) -> Sequence[Heartbeat]:
            before = [Heartbeat(**row) for row in connection.execute(select(table)).mappings()]
            if connection.execute(update(table).where(table.c.host == heartbeat.host).values(values)).rowcount == 0:
                connection.execute(insert(table).values(values))
            return before

        return self.insist(note)

    def canary(self, origin: str, model: str) -> FiledCanary | None:
        """What has arrived of a model's known-bad image last, by the journal it came through; None before the first."""
        table = tables.canaries
        columns = (table.c.sha256, table.c.status, table.c.judged_at)
        with self.reading() as connection:
            row = connection.execute(select(*columns).where(table.c.digest == digest(origin, model))).one_or_none()
        return None if row is None else FiledCanary(*row)

    def heartbeat(self) -> Heartbeat | None:
        """The newest sign of life of any daemon, or None if there never was one."""
        table = tables.heartbeats
        with self.reading() as connection:
            row = connection.execute(select(table).order_by(table.c.beat_at.desc()).limit(1)).mappings().one_or_none()
        return None if row is None else Heartbeat(**row)

    # ---- how it is done ----

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to ask questions on, for this package's own modules."""
        with self._known(), reading(self._engine) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, committed at the end, for this package's own modules."""
        with self._known(), writing(self._engine) as connection:
            yield connection

    @contextmanager
    def _known(self) -> Iterator[None]:
        """Make sure of the schema before the first use, and again after the data base was away."""
        try:
            if not self._required:
                schema.require(self._engine)
                self._required = True
            yield
        except StoreAway:
            self._required = False
            raise
        except SchemaMismatch as why:
            self._required = False
            if self._live_on:
                raise StoreAway(str(why)) from why
            raise

    def insist(self, act: Callable[[Connection], T]) -> T:
        """Do what adds rows that are not there; where another writer was first with one, it is there the next time."""
        for _ in range(TRIES - 1):
            with suppress(Beaten, Crossed), self.writing() as connection:
                return act(connection)
        with self.writing() as connection:
            return act(connection)


def settings_after(connection: Connection, number: int) -> Sequence[FiledChange]:
    """What :meth:`Store.settings_after` returns."""
    settings = tables.settings
    query = select(settings).where(settings.c.id > number).order_by(settings.c.id).limit(AT_ONCE)
    return [change_from(row) for row in connection.execute(query)]


def open_submissions(taken_before: datetime | None) -> Select[Any]:
    """The files handed in that :meth:`Store.take_submissions` would take."""
    submissions, files = tables.submissions, tables.files
    untaken = submissions.c.taken_at.is_(None)
    if taken_before is None:
        return select(submissions).where(untaken)
    finished = exists().where(files.c.submission == submissions.c.id, files.c.done_at.is_not(None))
    return select(submissions).where(~finished, untaken | (submissions.c.taken_at < taken_before))


def _require_filed(connection: Connection, parcel: Parcel | None) -> None:
    if parcel is None or parcel.entry is None or parcel.entry.seen_at < datetime.now(UTC) - REMEMBERED_FOR:
        return
    files = tables.files
    if connection.scalar(select(files.c.id).where(files.c.digest == sighting_digest(parcel.entry))) is None:
        raise WentBack(f"the data base does not have {parcel.entry.path}, which it had taken")
