"""What the wall shows: how every plot stands, its newest image, and the stretch of trouble it is in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy import func as sql

from hydrad.domain import Cause, HeatMap, Severity
from hydrad.store.columns import digest
from hydrad.store.queries import Store
from hydrad.store.rows import FiledVerdict, PlotStanding, filed_verdicts, heatmap_from, standing_words
from hydrad.store.tables import detectors, episodes, images, plots, standings, verdicts

AT_ONCE = 500  # rows read by one statement


@dataclass(frozen=True, slots=True)
class OpenEpisode:
    """The stretch of trouble that a plot is in."""

    id: int
    started_at: datetime  # aware, UTC
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None


@dataclass(frozen=True, slots=True)
class PlotNow(PlotStanding):
    """How a plot stands, and what there is to show of it."""

    model: str | None = None
    sha256: str | None = None
    width: int | None = None  # pixels
    height: int | None = None
    heatmap: bool = False
    episode: OpenEpisode | None = None


@dataclass(frozen=True, slots=True)
class Showing:
    """All plots at one moment, by name; ``after`` is the newest verdict's row that is surely in it."""

    after: int
    plots: Sequence[PlotNow]


@dataclass(frozen=True, slots=True)
class KeptImage:
    """An image that the data base knows."""

    sha256: str
    format: str
    width: int  # pixels
    height: int
    kept: bool


def showing(store: Store, names: Collection[str] = ()) -> Showing:
    """How these plots stand, or all; plots that are not known are left out."""
    query = (
        select(
            standings,
            plots.c.id.label("number"),
            plots.c.name.label("plot"),
            detectors.c.name.label("detector"),
            verdicts.c.model,
            verdicts.c.sha256,
            verdicts.c.cause,
            verdicts.c.heatmap_rows,
            images.c.width,
            images.c.height,
        )
        .select_from(plots)
        .outerjoin(detectors, detectors.c.id == plots.c.detector_id)
        .outerjoin(standings, standings.c.plot_id == plots.c.id)
        .outerjoin(verdicts, verdicts.c.id == standings.c.verdict_id)
        .outerjoin(images, images.c.id == verdicts.c.image_id)
    )
    if names:
        query = query.where(plots.c.digest.in_([digest(name) for name in names]))
    with store.reading() as connection:
        after = newest_id(connection)  # first: what comes between the two is told twice, and never lost
        rows = connection.execute(query).all()
        unwell = [row.number for row in rows if row.status is not None and row.status.severity is not Severity.NO_ALARM]
        troubled = _open_episodes(connection, unwell)
    found = [_plot_now(row, troubled.get(row.number)) for row in rows]
    return Showing(after, sorted(found, key=lambda one: one.plot))


def newest_id(connection: Connection) -> int:
    """The highest row number of all verdicts; 0 while there is none."""
    return connection.scalar(select(sql.max(verdicts.c.id))) or 0


def verdict(store: Store, number: int) -> FiledVerdict | None:
    """The verdict of a row, or None."""
    with store.reading() as connection:
        return next(iter(filed_verdicts(connection, [number])), None)


def after(store: Store, number: int, limit: int) -> Sequence[FiledVerdict]:
    """The verdicts of the rows after this one, oldest row first."""
    query = select(verdicts.c.id).where(verdicts.c.id > number).order_by(verdicts.c.id).limit(limit)
    with store.reading() as connection:
        return filed_verdicts(connection, connection.scalars(query).all())


def heatmap(store: Store, number: int) -> HeatMap | None:
    """Where the model looked in a verdict's image, shape (rows, columns), or None.

    A verdict that no new image caused is about an image judged before: then it is that one's.
    """
    columns = verdicts.c
    wanted = select(columns.heatmap, columns.heatmap_rows, columns.heatmap_columns)
    asked = select(columns.plot_id, columns.sha256, columns.judged_at, columns.cause).where(columns.id == number)
    with store.reading() as connection:
        row = connection.execute(asked).one_or_none()
        if row is None:
            return None
        query = wanted.where(columns.id == number)
        if row.cause is not Cause.IMAGE:
            if row.sha256 is None:
                return None
            earlier = (
                select(columns.id)
                .where(columns.plot_id == row.plot_id, columns.judged_at <= row.judged_at)
                .where(columns.cause == Cause.IMAGE, columns.sha256 == row.sha256)
                .order_by(columns.judged_at.desc())
                .limit(1)
            )
            query = wanted.where(columns.id == connection.scalar(earlier))
        found = connection.execute(query).one_or_none()
    return None if found is None else heatmap_from(found)


def kept_image(store: Store, sha256: str) -> KeptImage | None:
    """What the data base knows of an image of this content, or None.

    Args:
        sha256: 64 hexadecimal digits.
    """
    query = select(images.c.format, images.c.width, images.c.height, images.c.kept).where(images.c.sha256 == sha256)
    with store.reading() as connection:
        rows = connection.execute(query).all()
    if not rows:
        return None
    row = next((row for row in rows if row.kept), rows[0])  # several plots may have had it
    return KeptImage(sha256, row.format, row.width, row.height, row.kept)


def _open_episodes(connection: Connection, numbers: Sequence[int]) -> dict[int, OpenEpisode]:
    found: dict[int, OpenEpisode] = {}
    columns = episodes.c
    for start in range(0, len(numbers), AT_ONCE):
        query = (
            select(columns.plot_id, columns.id, columns.started_at, columns.acknowledged_at, columns.acknowledged_by)
            .where(columns.plot_id.in_(numbers[start : start + AT_ONCE]), columns.ended_at.is_(None))
            .order_by(columns.id)
        )
        for row in connection.execute(query):
            found[row.plot_id] = OpenEpisode(row.id, row.started_at, row.acknowledged_at, row.acknowledged_by)
    return found


def _plot_now(row: Any, episode: OpenEpisode | None) -> PlotNow:
    if row.status is None:
        return PlotNow(**standing_words(row))
    # One that no new image caused shows the heatmap of its image, which whoever wants it looks up.
    hot = row.heatmap_rows is not None if row.cause is Cause.IMAGE else row.label is not None
    return PlotNow(
        **standing_words(row),
        model=row.model,
        sha256=row.sha256,
        width=row.width,
        height=row.height,
        heatmap=hot,
        episode=episode,
    )
