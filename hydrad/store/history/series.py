"""A plot's scores over time, its last images and its figures, read by columns: 25,000 images take no 25,000 rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import BigInteger, DateTime, Double, Integer, String, select, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from hydrad.domain import BeamState, Cause, Status
from hydrad.store.columns import escape
from hydrad.store.places import plot_number
from hydrad.store.queries import Store
from hydrad.store.rows import FiledVerdict, select_verdicts, verdict_from
from hydrad.store.tables import episodes, hours, images, labels, plots, runs, standings, verdicts

START: Final = 40  # letters of a label that the index holds
LATE_S: Final = 900.0  # what was judged may reach the data base so much later
RAISED: Final = (Status.BAD, Status.NODATA)
MANY: Final = 500  # rows asked for by number in one statement

Whole = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]
Small = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Images of one plot in the order in which they were judged, a column each, all of shape (images,)."""

    id: Whole  # of the verdict
    at: Whole  # judged at: µs since 1970, UTC
    status: Small  # as Status numbers them
    label: Small  # a place in ``labels`` of whoever asked; -1: none
    confidence: Real  # 0 to 1; NaN: none
    confirmed: Flags
    novel: Flags  # unlike anything the model knew
    beam: Small  # as BeamState numbers them, while the image filled
    current: Real  # of the beam; NaN: unknown
    run: Whole  # -1: unknown
    image: Whole  # number of the image; -1: none

    def __len__(self) -> int:
        return len(self.id)

    def where(self, chosen: npt.NDArray[Any]) -> Series:
        """Only these rows, by mask or by place."""
        return Series(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Known:
    """A plot as the data base knows it."""

    id: int
    name: str
    labels: tuple[str, ...]  # those it has ever had, in the order in which they were met
    numbers: tuple[int, ...]  # of the labels' rows


def known(store: Store, plot: str) -> Known | None:
    """What a plot's rows refer to; None when no such plot was ever seen."""
    with store.reading() as connection:
        number = plot_number(connection, plot)
        if number is None:
            return None
        its = select(labels.c.id, labels.c.name).where(labels.c.plot_id == number).order_by(labels.c.id)
        rows = connection.execute(its).all()
    return Known(number, plot, tuple(row.name for row in rows), tuple(row.id for row in rows))


class _Micros(FunctionElement[int]):
    """A moment as µs since 1970, made by the data base: a datetime each would take longer than all the rest."""

    type = BigInteger()
    inherit_cache = True


@compiles(_Micros)
def _on_servers(element: Any, compiler: Any, **words: Any) -> str:
    return f"TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {compiler.process(element.clauses, **words)})"


@compiles(_Micros, "sqlite")
def _embedded(element: Any, compiler: Any, **words: Any) -> str:
    moment = compiler.process(element.clauses, **words)
    return f"(CAST(strftime('%s', {moment}) AS INTEGER) * 1000000 + CAST(substr({moment}, 21, 6) AS INTEGER))"


def scores(
    store: Store, plot: Known, since: datetime, until: datetime | None = None, *, run: int | None = None, after: int = 0
) -> Series:
    """What the images judged in a time scored, those left out that came when a newer one had been judged.

    Answered by one index alone. Labels are places in ``plot.labels``.

    Args:
        since: aware, as ``until``.
        run: only this run's.
        after: only verdicts with higher numbers than this.
    """
    columns = verdicts.c
    query = select(
        columns.id,
        _Micros(columns.judged_at),
        type_coerce(columns.status, String),
        columns.label_start,
        type_coerce(columns.confidence, Double),
        type_coerce(columns.confirmed, Integer),
        type_coerce(columns.novelty, Double),
        type_coerce(columns.beam_state, String),
        type_coerce(columns.beam_current, Double),
        columns.run,
        columns.image_id,
    ).where(
        columns.plot_id == plot.id,
        columns.cause == Cause.IMAGE,
        columns.judged_at >= since,
        columns.superseded.is_(False),
    )
    if until is not None:
        query = query.where(columns.judged_at < until)
    if run is not None:
        query = query.where(columns.run == run)
    if after:
        query = query.where(columns.id > after)
    with store.reading() as connection:
        rows = connection.execute(query.order_by(columns.judged_at)).all()
    return _columns(rows, {escape(label)[:START]: place for place, label in enumerate(plot.labels)})


def _columns(rows: Sequence[Any], places: Mapping[str, int]) -> Series:
    id_, at, status, label, confidence, confirmed, novelty, beam, current, run, image = (
        zip(*rows, strict=True) if rows else ((),) * 11
    )
    said = {one.name: one.value for one in Status}
    states = {one.name: one.value for one in BeamState}
    # float64 makes NaN of None by itself, and nothing is unlike anything at NaN.
    return Series(
        id=np.array(id_, np.int64),
        at=np.array(at, np.int64),
        status=np.array([said[one] for one in status], np.int8),
        label=np.array([places.get(one, -1) for one in label], np.int8),
        confidence=np.array(confidence, np.float64),
        confirmed=np.array(confirmed, np.bool_),
        novel=np.array(novelty, np.float64) > 1.0,
        beam=np.array([states[one] for one in beam], np.int8),
        current=np.array(current, np.float64),
        run=np.array([-1 if one is None else one for one in run], np.int64),
        image=np.array([-1 if one is None else one for one in image], np.int64),
    )


def thinned(series: Series, points: int) -> Series:
    """At most about so many images, and all of those that raised an alarm.

    Of each stretch of time the lowest and the highest confidence of every label and status stay, so that no spike
    and no status goes.
    """
    if len(series) <= points:
        return series
    kind = series.label.astype(np.int64) * 16 + series.status
    kinds = len(np.unique(kind))
    stretches = max(1, points // (2 * kinds))
    span = max(1, int(series.at[-1] - series.at[0]) + 1)
    stretch = (series.at - series.at[0]) * stretches // span
    order = np.lexsort((series.confidence, kind, stretch))
    group = np.stack((stretch[order], kind[order]))
    edge = np.flatnonzero(np.any(np.diff(group, axis=1), axis=0))
    extremes = order[np.concatenate(([0], edge, edge + 1, [len(order) - 1]))]
    keep = np.isin(series.status, [status.value for status in RAISED])
    keep[extremes] = True
    return series.where(keep)


def from_run(store: Store, run: int) -> tuple[datetime, datetime] | None:
    """The time in which a run's files were seen; None for a run nobody has heard of."""
    query = select(runs.c.first_seen, runs.c.last_seen).where(runs.c.number == run)
    with store.reading() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else (row.first_seen, row.last_seen)


def reached(store: Store, number: int) -> datetime | None:
    """From when on to look for verdicts later than this one, some of which may have come late."""
    with store.reading() as connection:
        at = connection.scalar(select(verdicts.c.judged_at).where(verdicts.c.id == number))
    return None if at is None else at - timedelta(seconds=LATE_S)


def labelled(store: Store, plot: Known, since: datetime) -> Mapping[int, int]:
    """The images that people labelled, by number, each with its label's place in ``plot.labels``."""
    places = {number: place for place, number in enumerate(plot.numbers)}
    query = select(images.c.id, images.c.label_id).where(
        images.c.plot_id == plot.id, images.c.label_id.in_(plot.numbers), images.c.taken_at >= since
    )
    if not plot.numbers:
        return {}
    with store.reading() as connection:
        return {row.id: places[row.label_id] for row in connection.execute(query)}


# ---- the last images ----


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of the film."""

    filed: FiledVerdict
    kept: bool  # its bytes are there to be shown
    format: str
    heatmap: bool  # it has one
    human: str | None  # the label that people gave it


def film(
    store: Store, plot: Known, *, before: datetime | None = None, numbers: Collection[int] = (), limit: int = 30
) -> Sequence[Frame]:
    """A plot's images, the newest first: those judged before a time, or those of these verdicts."""
    columns = verdicts.c
    query = select(columns.id).where(columns.plot_id == plot.id, columns.cause == Cause.IMAGE)
    if numbers:
        query = query.where(columns.id.in_(list(numbers)[:MANY]))
    else:
        query = query.where(columns.superseded.is_(False)).order_by(columns.judged_at.desc()).limit(limit)
        if before is not None:
            query = query.where(columns.judged_at < before)
    with store.reading() as connection:
        hits = list(connection.scalars(query))
        whole = (
            select_verdicts()
            .add_columns(
                columns.heatmap_rows, images.c.kept, images.c.format, labels.c.name.label("human"), columns.image_id
            )
            .outerjoin(images, images.c.id == columns.image_id)
            .outerjoin(labels, labels.c.id == images.c.label_id)
            .where(columns.id.in_(hits))
            .order_by(columns.judged_at.desc(), columns.id.desc())
        )
        rows = connection.execute(whole).all() if hits else []
    return [
        Frame(verdict_from(row), bool(row.kept), row.format or "", row.heatmap_rows is not None, row.human)
        for row in rows
    ]


# ---- figures ----


@dataclass(frozen=True, slots=True)
class Figures:
    """A plot's figures over a time."""

    images: Mapping[datetime, Mapping[Status, int]]  # by hour (UTC) and status
    alarmed_at: datetime | None  # the last alarm there was, ever: when it began
    alarm_ended_at: datetime | None  # None while it lasts, or if there never was one
    changes_by_hour: Sequence[int]  # changes of status in each of the last 24 hours, the present one last


def figures(store: Store, plot: Known, since: datetime, now: datetime) -> Figures:
    """What a plot's hours, alarms and changes of status amount to.

    Args:
        since: from when on its images are counted; aware.
        now: aware, UTC.
    """
    by_hour = select(hours.c.hour, hours.c.status, hours.c.images).where(
        hours.c.plot_id == plot.id, hours.c.hour >= since
    )
    last_alarm = (
        select(episodes.c.alarmed_at, episodes.c.ended_at)
        .where(episodes.c.plot_id == plot.id, episodes.c.alarmed_at.is_not(None))
        .order_by(episodes.c.last_at.desc())
        .limit(1)
    )
    columns = verdicts.c
    day = (
        select(type_coerce(columns.judged_at, DateTime).label("at"), type_coerce(columns.status, String).label("said"))
        .where(columns.plot_id == plot.id, columns.judged_at >= now - timedelta(hours=24))
        .order_by(columns.judged_at, columns.id)
    )
    counted: dict[datetime, dict[Status, int]] = {}
    with store.reading() as connection:
        for row in connection.execute(by_hour):
            counted.setdefault(row.hour, {})[row.status] = row.images
        alarm = connection.execute(last_alarm).one_or_none()
        statuses = connection.execute(day).all()
    ago = Counter(
        int((now - later.at.replace(tzinfo=UTC)).total_seconds() // 3600)
        for earlier, later in pairwise(statuses)
        if earlier.said != later.said
    )
    return Figures(
        images=counted,
        alarmed_at=None if alarm is None else alarm.alarmed_at,
        alarm_ended_at=None if alarm is None else alarm.ended_at,
        changes_by_hour=[ago[hour] for hour in reversed(range(24))],
    )


def newest(store: Store, plot: Known) -> int:
    """The number of the verdict that holds of a plot; 0 before its first."""
    with store.reading() as connection:
        return connection.scalar(select(standings.c.verdict_id).where(standings.c.plot_id == plot.id)) or 0


def names(store: Store) -> Sequence[str]:
    """Every plot, by name."""
    with store.reading() as connection:
        return sorted(connection.scalars(select(plots.c.name)))
