"""What the status page counts: alarms, what stands, how soon people answer, images by the hour, what speaks of beam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, String, cast, select
from sqlalchemy import func as sql

from hydrad.domain import BeamState, Cause, Status
from hydrad.store.queries import Store
from hydrad.store.tables import acknowledgements, episodes, hours, plots, standings, verdicts

MOST = 20_000  # alarms read one by one: in a day, more than anybody could have looked at


@dataclass(frozen=True, slots=True)
class Alarm:
    """A plot became BAD or NODATA."""

    plot: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """A plot, and how often something happened to it."""

    plot: str
    times: int


@dataclass(frozen=True, slots=True)
class StandingAlarm:
    """An alarm that has not ended."""

    episode: int
    plot: str
    status: Status  # the worst of it
    alarmed_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None


@dataclass(frozen=True, slots=True)
class HourlyImages:
    """How many images had this status in an hour."""

    hour: datetime
    status: Status
    images: int


@dataclass(frozen=True, slots=True)
class Witness:
    """What a plot's newest image showed, and the beam while it filled."""

    plot: str
    status: Status
    beam: BeamState


def alarms_by_ten_minutes(store: Store, since: datetime) -> Mapping[datetime, int]:
    """How many alarms began in each ten minutes in which one did."""
    # Times begin as text with day, hour and the tens of minutes, in every data base.
    slot = sql.substr(cast(episodes.c.alarmed_at, String(26)), 1, 15)
    query = select(slot, sql.count()).where(episodes.c.alarmed_at >= since).group_by(slot)
    with store.reading() as connection:
        return {datetime.fromisoformat(f"{begun}0:00+00:00"): alarms for begun, alarms in connection.execute(query)}


def alarms(store: Store, since: datetime) -> Sequence[Alarm]:
    """The newest alarms, the oldest of them first; at most ``MOST``."""
    query = (
        select(plots.c.name, episodes.c.alarmed_at)
        .join(plots, plots.c.id == episodes.c.plot_id)
        .where(episodes.c.alarmed_at >= since)
        .order_by(episodes.c.alarmed_at.desc())
        .limit(MOST)
    )
    with store.reading() as connection:
        return [Alarm(*row) for row in connection.execute(query)][::-1]


def alarms_count(store: Store, since: datetime) -> int:
    """How many there were."""
    with store.reading() as connection:
        return connection.scalar(select(sql.count()).where(episodes.c.alarmed_at >= since)) or 0


def most_frequent(store: Store, since: datetime, limit: int = 10) -> Sequence[Tally]:
    """The plots with the most alarms, those with the most first."""
    return _tallied(store, episodes.c.alarmed_at >= since, limit=limit)


def restless(store: Store, since: datetime, least: int) -> Sequence[Tally]:
    """The plots that became well again at least so many times since then, the most restless first."""
    return _tallied(store, episodes.c.ended_at >= since, least=least)


def _tallied(store: Store, which: ColumnElement[bool], *, least: int = 1, limit: int = 100) -> Sequence[Tally]:
    times = sql.count().label("times")
    # A sum has no index: else a data base would walk through all episodes, in the order of plots, to group a few.
    plot_id = (episodes.c.plot_id + 0).label("plot_id")
    counted = (
        select(plot_id, times)
        .where(which)
        .group_by(plot_id)
        .having(sql.count() >= least)
        .order_by(times.desc(), plot_id)
        .limit(limit)
        .subquery()
    )
    query = select(plots.c.name, counted.c.times).join(plots, plots.c.id == counted.c.plot_id)
    with store.reading() as connection:
        return sorted((Tally(*row) for row in connection.execute(query)), key=lambda one: (-one.times, one.plot))


def standing(store: Store, before: datetime) -> Sequence[StandingAlarm]:
    """Alarms that were raised before this time and have not ended, the longest first."""
    query = (
        select(
            episodes.c.id,
            plots.c.name,
            episodes.c.status,
            episodes.c.alarmed_at,
            episodes.c.acknowledged_at,
            episodes.c.acknowledged_by,
        )
        .join(plots, plots.c.id == episodes.c.plot_id)
        .where(episodes.c.ended_at.is_(None), episodes.c.alarmed_at < before)
        .order_by(episodes.c.alarmed_at)
    )
    with store.reading() as connection:
        return [StandingAlarm(*row) for row in connection.execute(query)]


def answers(store: Store, since: datetime) -> Sequence[timedelta]:
    """How long each alarm that people answered had stood when the first of them did."""
    first = sql.min(acknowledgements.c.acknowledged_at)
    query = (
        select(episodes.c.alarmed_at, first)
        .join(episodes, episodes.c.id == acknowledgements.c.episode_id)
        .where(acknowledgements.c.acknowledged_at >= since, episodes.c.alarmed_at >= since)
        .group_by(episodes.c.id, episodes.c.alarmed_at)
    )
    with store.reading() as connection:
        return [max(answered - alarmed, timedelta(0)) for alarmed, answered in connection.execute(query)]


def images_by_hour(store: Store, since: datetime, until: datetime | None = None) -> Sequence[HourlyImages]:
    """What was judged in each hour that begins in this time, over all plots."""
    query = (
        select(hours.c.hour, hours.c.status, sql.sum(hours.c.images))
        .where(hours.c.hour >= since)
        .group_by(hours.c.hour, hours.c.status)
        .order_by(hours.c.hour)
    )
    if until is not None:
        query = query.where(hours.c.hour < until)
    with store.reading() as connection:
        return [HourlyImages(hour, status, int(images)) for hour, status, images in connection.execute(query)]


def plots_by_status(store: Store) -> Mapping[Status, int]:
    """How many plots stand how; UNKNOWN are those too that were never judged."""
    with store.reading() as connection:
        rows = connection.execute(select(standings.c.status, sql.count()).group_by(standings.c.status)).all()
        known = connection.scalar(select(sql.count()).select_from(plots)) or 0
    counted = dict.fromkeys(Status, 0) | {row[0]: row[1] for row in rows}
    counted[Status.UNKNOWN] += known - sum(counted.values())
    return counted


def witnesses(store: Store, since: datetime) -> Sequence[Witness]:
    """What plots with an image taken since then say of the beam."""
    query = (
        select(plots.c.name, verdicts.c.status, verdicts.c.beam_state)
        .select_from(standings)
        .join(plots, plots.c.id == standings.c.plot_id)
        .join(verdicts, verdicts.c.id == standings.c.verdict_id)
        .where(standings.c.taken_at >= since, verdicts.c.cause == Cause.IMAGE)
    )
    with store.reading() as connection:
        return [Witness(*row) for row in connection.execute(query)]
