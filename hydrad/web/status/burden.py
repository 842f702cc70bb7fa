"""What alarms ask of a shift: how many an hour, floods, chatter, what stands, how soon somebody answers.

The figures to stay below are those of ISA-18.2 and EEMUA 191 for one operator.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from hydrad.domain import zulu
from hydrad.store.history import figures
from hydrad.store.history.figures import Alarm
from hydrad.store.queries import Store
from hydrad.web.documents import StatusName, Words

MANAGEABLE_PER_H: Final = 6
MOST_PER_H: Final = 12
FLOOD: Final = 10  # more than so many within FLOOD_WITHIN
FLOOD_WITHIN: Final = timedelta(minutes=10)
CHATTER: Final = 3  # alarms of one plot within CHATTER_WITHIN
CHATTER_WITHIN: Final = timedelta(minutes=1)
RESTLESS: Final = 6  # times that a plot was unwell and became well again within an hour
STANDING_AFTER: Final = timedelta(hours=1)
SHIFT_H: Final = 8
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(hours=24)
WEEK: Final = timedelta(days=7)
SHOWN: Final = 50  # plots in a list

Load = Literal["manageable", "much", "too much"]
Count = Annotated[int, Field(ge=0)]


class Slot(BaseModel):
    """The alarms of an hour or a shift."""

    start: str = Field(description="ISO 8601, UTC")
    end: str
    alarms: Count
    per_h: float = Field(description="over as much of it as has passed")
    load: Load


class Span(BaseModel):
    """The alarms of a longer time."""

    alarms: Count
    per_h: float
    worst_h: Count = Field(description="most in one hour of the clock")
    load: Load


class Flood(BaseModel):
    """A time in which alarms came faster than anybody can look at them."""

    start: str
    end: str
    alarms: Count


class PlotCount(BaseModel):
    """A plot, and how often."""

    plot: Words
    times: Count


class LongAlarm(BaseModel):
    """An alarm that stands for more than an hour."""

    episode: int
    plot: Words
    status: StatusName
    alarmed_at: str
    acknowledged_at: str | None
    acknowledged_by: Words | None


class Answered(BaseModel):
    """How soon people acknowledged the alarms of the last seven days; None where they did not."""

    alarms: Count
    acknowledged: Count
    median_s: float | None
    p90_s: float | None


class Alarms(BaseModel):
    """All of it."""

    last_hour: Count
    day: Span
    week: Span
    hours: list[Slot] = Field(description="of the last 24 hours and the present one")
    shifts: list[Slot] = Field(description="of 8 hours, in the hall's time, of the last seven days")
    floods: list[Flood] = Field(description="of the last 24 hours: more than 10 alarms within 10 minutes")
    chattering: list[PlotCount] = Field(
        description="3 alarms within a minute, in the last 24 hours; times: such minutes"
    )
    restless: list[PlotCount] = Field(description="well again 6 times or more in the last hour")
    standing: list[LongAlarm] = Field(description="for more than an hour, the longest first")
    standing_more: Count = Field(description="that stand too and are not in the list")
    answered: Answered
    frequent: list[PlotCount] = Field(description="in the last seven days, the most frequent first")


def weigh(store: Store, now: datetime, zone: tzinfo) -> Alarms:
    """The figures as they are now.

    Args:
        now: aware.
        zone: in which shifts change at 0, 8 and 16 o'clock.
    """
    now = now.astimezone(UTC)
    shifts = list(shifts_since(now - WEEK, now, zone))
    tens = figures.alarms_by_ten_minutes(store, min(now - WEEK, shifts[0][0]))
    recent = figures.alarms(store, now - DAY)
    stands = figures.standing(store, now - STANDING_AFTER)
    answers = sorted(one.total_seconds() for one in figures.answers(store, now - WEEK))
    week = _span(tens, now - WEEK, now)
    return Alarms(
        last_hour=sum(alarm.at > now - HOUR for alarm in recent),
        day=_span(tens, now - DAY, now),
        week=week,
        hours=[_slot(tens, start, start + HOUR, now) for start in _hours_since(now - DAY, now)],
        shifts=[_slot(tens, start, end, now) for start, end in shifts],
        floods=[Flood(start=_z(a), end=_z(b), alarms=n) for a, b, n in floods(recent)],
        chattering=_counts(chatter(recent)),
        restless=[PlotCount(plot=one.plot, times=one.times) for one in figures.restless(store, now - HOUR, RESTLESS)][
            :SHOWN
        ],
        standing=[
            LongAlarm(
                episode=one.episode,
                plot=one.plot,
                status=one.status.name,
                alarmed_at=_z(one.alarmed_at),
                acknowledged_at=zulu(one.acknowledged_at),
                acknowledged_by=one.acknowledged_by,
            )
            for one in stands[:SHOWN]
        ],
        standing_more=max(0, len(stands) - SHOWN),
        answered=Answered(
            alarms=week.alarms,
            acknowledged=len(answers),
            median_s=quantile(0.5, answers),
            p90_s=quantile(0.9, answers),
        ),
        frequent=[PlotCount(plot=one.plot, times=one.times) for one in figures.most_frequent(store, now - WEEK)],
    )


def load(per_h: float) -> Load:
    """How much so many alarms an hour are for one operator."""
    if per_h <= MANAGEABLE_PER_H:
        return "manageable"
    return "much" if per_h <= MOST_PER_H else "too much"


def floods(alarms: Sequence[Alarm]) -> list[tuple[datetime, datetime, int]]:
    """Begin, end and number of alarms of each time with more than ``FLOOD`` within ten minutes.

    Args:
        alarms: in the order of time.
    """
    found: list[tuple[int, int]] = []  # of the first and the last alarm
    first = 0
    for last, alarm in enumerate(alarms):
        while alarm.at - alarms[first].at >= FLOOD_WITHIN:
            first += 1
        if last - first >= FLOOD:
            if found and first <= found[-1][1]:
                found[-1] = found[-1][0], last
            else:
                found.append((first, last))
    return [(alarms[a].at, alarms[b].at, b - a + 1) for a, b in found]


def chatter(alarms: Sequence[Alarm]) -> Mapping[str, int]:
    """By plot, in how many separate minutes it raised ``CHATTER`` alarms or more."""
    times: defaultdict[str, list[datetime]] = defaultdict(list)
    for alarm in alarms:
        times[alarm.plot].append(alarm.at)
    found: dict[str, int] = {}
    for plot, theirs in times.items():
        n = 0
        while n + CHATTER <= len(theirs):
            if theirs[n + CHATTER - 1] - theirs[n] < CHATTER_WITHIN:
                found[plot] = found.get(plot, 0) + 1
                minute_ends = theirs[n] + CHATTER_WITHIN
                while n < len(theirs) and theirs[n] < minute_ends:
                    n += 1
            else:
                n += 1
    return found


def quantile(share: float, ordered: Sequence[float]) -> float | None:
    """The least that so large a share does not exceed; None where there are none."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


def shifts_since(since: datetime, now: datetime, zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
    """Begin and end, in UTC, of every shift that touches this time; when clocks change one is 7 or 9 h long."""
    day = since.astimezone(zone).date()
    starts: list[datetime] = []
    while not starts or starts[-1] <= now:
        starts += [
            datetime(day.year, day.month, day.day, hour, tzinfo=zone).astimezone(UTC) for hour in range(0, 24, SHIFT_H)
        ]
        day += timedelta(days=1)
    starts.append(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))
    for start, end in pairwise(starts):
        if end > since and start <= now:
            yield start, end


def _hours_since(since: datetime, now: datetime) -> Iterator[datetime]:
    start = since.replace(minute=0, second=0, microsecond=0)
    while start <= now:
        yield start
        start += HOUR


def _slot(tens: Mapping[datetime, int], start: datetime, end: datetime, now: datetime) -> Slot:
    alarms = _within(tens, start, end)
    # Of one that has only just begun nothing can be said per hour yet: it counts as if an hour had passed.
    passed = max(HOUR, min(end, now) - start)
    per_h = alarms / (passed / HOUR)
    return Slot(start=_z(start), end=_z(end), alarms=alarms, per_h=per_h, load=load(per_h))


def _span(tens: Mapping[datetime, int], since: datetime, now: datetime) -> Span:
    by_hour: defaultdict[datetime, int] = defaultdict(int)
    for begun, alarms in tens.items():
        if since <= begun <= now:
            by_hour[begun.replace(minute=0)] += alarms
    total = sum(by_hour.values())
    per_h = total / ((now - since) / HOUR)
    return Span(alarms=total, per_h=per_h, worst_h=max(by_hour.values(), default=0), load=load(per_h))


def _within(tens: Mapping[datetime, int], start: datetime, end: datetime) -> int:
    return sum(alarms for begun, alarms in tens.items() if start <= begun < end)


def _counts(found: Mapping[str, int]) -> list[PlotCount]:
    ordered = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    return [PlotCount(plot=plot, times=times) for plot, times in ordered[:SHOWN]]


def _z(moment: datetime) -> str:
    return zulu(moment) or ""
