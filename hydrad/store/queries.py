"""What verbs, pages and the daemon ask the data base, and what they tell it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Self

from sqlalchemy import URL, Connection, Select, and_, exists, insert, or_, select, update
from sqlalchemy import func as sql

from hydrad.domain import Change, HeatMap, LedgerEntry, Outcome, Status
from hydrad.errors import StoreAway
from hydrad.store import schema, tables
from hydrad.store.colours import painted
from hydrad.store.columns import digest
from hydrad.store.engine import Beaten, Crossed, open_engine, reading, writing
from hydrad.store.packing import Parcel
from hydrad.store.rows import (
    FiledChange,
    FiledVerdict,
    Handled,
    Heartbeat,
    Label,
    PlotStanding,
    Submission,
    change_from,
    entry_from,
    heatmap_from,
    select_files,
    select_verdicts,
    verdict_from,
)
from hydrad.store.writes import write_changes, write_parcels

AT_ONCE = 1000  # rows read in one go
SUBMISSIONS_AT_ONCE = 100
TRIES = 5  # of a transaction in which other writers were first


class Store:
    """The data base; a context manager. Opening it connects to nothing, so it may be away by then.

    Every call blocks, may come from any thread, and raises StoreAway when the data base does not answer,
    SchemaMismatch when it is not of this program's schema (an embedded one is upgraded instead).
    """

    def __init__(self, url: URL | str) -> None:
        self._url = url
        self._required = False

    def __enter__(self) -> Self:
        """Make ready to connect."""
        self._engine = open_engine(self._url)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._engine.dispose()

    def ping(self) -> None:
        """Return if the data base answers."""
        with self.reading() as connection:
            connection.execute(select(1))

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
            return sorted(map(_standing, connection.execute(query)), key=lambda standing: standing.plot)

    def log(
        self,
        *,
        since: datetime | None = None,
        plot: str | None = None,
        run: int | None = None,
        status: Status | Collection[Status] | None = None,
        limit: int = 100,
    ) -> Sequence[FiledVerdict]:
        """Verdicts, newest first; what is None does not restrict.

        Args:
            since: aware.
            status: one, or any of several.
        """
        verdicts = tables.verdicts
        # By number first: every index of the log answers this by itself, and only the hits are read whole.
        query = select(verdicts.c.id, verdicts.c.judged_at).order_by(verdicts.c.judged_at.desc()).limit(limit)
        if since is not None:
            query = query.where(verdicts.c.judged_at >= since)
        if run is not None:
            query = query.where(verdicts.c.run == run)
        # One after the other: of several statuses at once a data base would sort all there are.
        queries = [query]
        if status is not None:
            wanted = {status} if isinstance(status, Status) else set(status)
            queries = [query.where(verdicts.c.status == one) for one in wanted]
        with self.reading() as connection:
            if plot is not None:
                plot_id = _plot_id(connection, plot)
                queries = [one.where(verdicts.c.plot_id == plot_id) for one in queries]
            hits = [row for one in queries for row in connection.execute(one)]
            hits = sorted(hits, key=lambda row: (row.judged_at, row.id), reverse=True)[:limit]
            found = {filed.id: filed for filed in _verdicts(connection, [row.id for row in hits])}
        return [found[row.id] for row in hits]

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
            query = select(labels).where(labels.c.plot_id == _plot_id(connection, plot)).order_by(labels.c.id)
            return painted(connection.execute(query))

    # ---- the ledger ----

    def put(self, parcels: Sequence[Parcel]) -> None:
        """Keep what these parcels hold, in one transaction; what is there already changes nothing.

        Raises:
            Unacceptable: one of them cannot be stored; none was.
        """
        self.insist(lambda connection: write_parcels(connection, parcels))

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
                _number(connection.execute(query.values(path=path, plot=plot, run=run, person=by, submitted_at=now)))
                for path in paths
            ]

    def take_submissions(self, *, again: bool = False) -> Sequence[Submission]:
        """Take the oldest files handed in that nobody has taken.

        Args:
            again: those too that somebody took and never finished, for a daemon that follows one that was killed.
        """
        submissions, files = tables.submissions, tables.files
        query = select(submissions).order_by(submissions.c.id).limit(SUBMISSIONS_AT_ONCE)
        if again:
            finished = exists().where(files.c.submission == submissions.c.id, files.c.done_at.is_not(None))
            open_ones = query.where(~finished)
        else:
            open_ones = query.where(submissions.c.taken_at.is_(None))
        with self.reading() as connection:  # asked twice a second: do not lock when there is nothing
            if not connection.execute(open_ones.limit(1)).first():
                return []
        with self.writing() as connection:
            rows = connection.execute(open_ones.with_for_update()).all()
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
            filed = {one.id: one for one in _verdicts(connection, wanted)}
        return [Handled(entry_from(rows[n]), filed.get(rows[n].verdict_id)) for n in numbers if n in rows]

    # ---- settings ----

    def append_setting(self, change: Change) -> None:
        """Add a change to the history, from a page or a verb; the daemon finds it there."""
        parcel = Parcel(change=change, ticket=uuid.uuid4().hex)
        with self.writing() as connection:
            write_changes(connection, [parcel])

    def settings_after(self, number: int) -> Sequence[FiledChange]:
        """The next changes after a row, oldest first, at most a thousand."""
        settings = tables.settings
        query = select(settings).where(settings.c.id > number).order_by(settings.c.id).limit(AT_ONCE)
        with self.reading() as connection:
            return [change_from(row) for row in connection.execute(query)]

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

    def beat(self, heartbeat: Heartbeat) -> None:
        """Leave a sign of life."""
        table = tables.heartbeats
        values = {field: getattr(heartbeat, field) for field in heartbeat.__slots__}

        def note(connection: Connection) -> None:
            if connection.execute(update(table).where(table.c.host == heartbeat.host).values(values)).rowcount == 0:
                connection.execute(insert(table).values(values))

        self.insist(note)

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

    def insist(self, act: Callable[[Connection], None]) -> None:
        """Do what adds rows that are not there; where another writer was first with one, it is there the next time."""
        for left in reversed(range(TRIES)):
            try:
                with self.writing() as connection:
                    act(connection)
            except (Beaten, Crossed):
                if not left:
                    raise
            else:
                return


def _standing(row: Any) -> PlotStanding:
    if row.status is None:
        return PlotStanding(row.plot, row.detector)
    return PlotStanding(
        plot=row.plot,
        detector=row.detector,
        status=row.status,
        severity=row.severity,
        reason=row.reason,
        label=row.label,
        confidence=row.confidence,
        taken_at=row.taken_at,
        judged_at=row.judged_at,
        run=row.run,
        bad_in_a_row=row.bad_in_a_row,
        verdict_id=row.verdict_id,
    )


def _plot_id(connection: Connection, name: str) -> int | None:
    return connection.scalar(select(tables.plots.c.id).where(tables.plots.c.digest == digest(name)))


def _verdicts(connection: Connection, numbers: Sequence[int]) -> list[FiledVerdict]:
    found: list[FiledVerdict] = []
    query: Select[Any] = select_verdicts()
    for start in range(0, len(numbers), AT_ONCE):
        chunk = numbers[start : start + AT_ONCE]
        found += map(verdict_from, connection.execute(query.where(tables.verdicts.c.id.in_(chunk))))
    return found


def _number(result: Any) -> int:
    return int(result.inserted_primary_key[0])
