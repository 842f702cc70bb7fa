"""The figures of the status page, on each data base."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select
from store_world import MORNING, entry_of, later, verdict_of

from hydrad.domain import BeamState, Cause, Status
from hydrad.store import tables
from hydrad.store.history import figures
from hydrad.store.history.figures import Alarm, HourlyImages, Tally, Witness
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.queries import Store

FACTS = ImageFacts(1000, "png", 8, 6)
HOUR = 3600.0


def see(store: Store, *seen: tuple[str, Status, float]) -> None:
    """Judged images of plots, at these seconds after MORNING."""
    verdicts = [
        verdict_of(plot, later(s), status=status, severity=status.severity, path=f"/data/{plot}_{n}_{s}.png")
        for n, (plot, status, s) in enumerate(seen)
    ]
    store.put([Parcel(entry_of(verdict), verdict, FACTS) for verdict in verdicts])


def flicker(plot: str, times: int, every_s: float, start: float = 0.0) -> Sequence[tuple[str, Status, float]]:
    """A plot that goes bad so often, and is good again half-way to the next."""
    return [
        one
        for n in range(times)
        for one in ((plot, Status.BAD, start + n * every_s), (plot, Status.GOOD, start + (n + 0.5) * every_s))
    ]


def acknowledge(store: Store, plot: str, at_s: float) -> None:
    """Somebody saw this plot's newest episode."""
    with store.writing() as connection:
        number = connection.scalar(
            select(tables.episodes.c.id)
            .join(tables.plots, tables.plots.c.id == tables.episodes.c.plot_id)
            .where(tables.plots.c.name == plot)
            .order_by(tables.episodes.c.id.desc())
        )
        connection.execute(
            insert(tables.acknowledgements).values(
                episode_id=number, person="ana", host="c1", comment="", acknowledged_at=later(at_s)
            )
        )


def test_alarms_are_counted_by_ten_minutes_by_plot_and_one_by_one(store: Store) -> None:
    see(store, *flicker("CDC_a", 5, 60.0), *flicker("CDC_b", 2, 1200.0), ("CDC_c", Status.SUSPECT, 30.0))
    ten = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)  # MORNING is a minute later
    assert figures.alarms_by_ten_minutes(store, MORNING) == {ten: 6, ten + timedelta(minutes=20): 1}
    assert figures.alarms_count(store, later(100)) == 4
    assert figures.alarms(store, later(200)) == [
        Alarm("CDC_a", later(240)),
        Alarm("CDC_b", later(1200)),
    ]
    assert figures.most_frequent(store, MORNING) == [Tally("CDC_a", 5), Tally("CDC_b", 2)]
    assert figures.most_frequent(store, MORNING, limit=1) == [Tally("CDC_a", 5)]


def test_a_plot_that_is_now_well_now_not_is_restless(store: Store) -> None:
    see(store, *flicker("CDC_a", 6, 100.0), *flicker("CDC_b", 5, 100.0))
    assert figures.restless(store, MORNING, 6) == [Tally("CDC_a", 6)]
    assert figures.restless(store, later(51), 5) == [Tally("CDC_a", 5)]


def test_an_alarm_stands_until_its_plot_is_well(store: Store) -> None:
    see(
        store,
        ("CDC_a", Status.NODATA, 50),
        ("CDC_b", Status.BAD, 10),
        ("CDC_c", Status.BAD, 0),
        ("CDC_d", Status.STALE, 0),
    )
    see(store, ("CDC_c", Status.GOOD, 60), ("CDC_b", Status.SUSPECT, 70))
    found = figures.standing(store, later(1000))
    assert [(one.plot, one.status, one.alarmed_at) for one in found] == [
        ("CDC_b", Status.BAD, later(10)),
        ("CDC_a", Status.NODATA, later(50)),
    ]
    assert [one.plot for one in figures.standing(store, later(50))] == ["CDC_b"]


def test_an_answer_is_the_first_that_somebody_gave(store: Store) -> None:
    see(store, ("CDC_a", Status.BAD, 0), ("CDC_b", Status.SUSPECT, 0), ("CDC_b", Status.BAD, 100))
    acknowledge(store, "CDC_a", 300)
    acknowledge(store, "CDC_a", 900)
    acknowledge(store, "CDC_b", 50)  # while it was suspect only
    assert sorted(figures.answers(store, MORNING)) == [timedelta(0), timedelta(seconds=300)]
    assert figures.answers(store, later(1000)) == []


def test_images_are_counted_by_hour_over_all_plots(store: Store) -> None:
    see(
        store,
        ("CDC_a", Status.GOOD, 0),
        ("CDC_b", Status.GOOD, 60),
        ("CDC_b", Status.BAD, 90),
        ("CDC_b", Status.BAD, HOUR),
    )
    hour = datetime(2026, 11, 23, 7, tzinfo=UTC)
    found = figures.images_by_hour(store, hour)
    assert sorted(found, key=lambda one: (one.hour, one.status)) == [
        HourlyImages(hour, Status.GOOD, 2),
        HourlyImages(hour, Status.BAD, 1),
        HourlyImages(hour + timedelta(hours=1), Status.BAD, 1),
    ]
    assert len(figures.images_by_hour(store, hour + timedelta(hours=1))) == 1


def test_plots_are_counted_as_they_stand_and_those_never_judged_are_unknown(store: Store) -> None:
    see(
        store,
        ("CDC_a", Status.GOOD, 0),
        ("CDC_b", Status.BAD, 0),
        ("CDC_b", Status.GOOD, 10),
        ("CDC_c", Status.STALE, 0),
    )
    entry = entry_of(verdict_of("CDC_never"), sha256=None)
    store.put([Parcel(entry)])
    counted = {status: count for status, count in figures.plots_by_status(store).items() if count}
    assert counted == {Status.GOOD: 2, Status.STALE: 1, Status.UNKNOWN: 1}


def test_a_witness_is_an_image_with_the_beam_of_its_own_time(store: Store) -> None:
    see(store, ("CDC_a", Status.GOOD, 0), ("CDC_b", Status.NODATA, 100))
    store.put([Parcel(verdict=verdict_of("CDC_b", later(200), status=Status.NOBEAM, cause=Cause.CLOCK))])
    assert figures.witnesses(store, later(-10)) == [Witness("CDC_a", Status.GOOD, BeamState.ON)]
    assert figures.witnesses(store, later(1)) == []
