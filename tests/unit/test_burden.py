"""What alarms ask of a shift: floods, chatter, shifts, quantiles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_world import later

from hydrad.domain import BeamState, Status
from hydrad.store.history.figures import Alarm, HourlyImages, Witness
from hydrad.web.status.beam import contradiction
from hydrad.web.status.burden import chatter, floods, load, quantile, shifts_since
from hydrad.web.status.health import BeamTold
from hydrad.web.status.page import DAYS, per_day

NEW_YORK = ZoneInfo("America/New_York")
ON = BeamTold(state="ON", current=6.0, units="nA", on_above=5.0)
OFF = BeamTold(state="OFF", current=4.2, units="nA", on_above=5.0)


def alarms(*seconds: float, plot: str = "CDC_a") -> list[Alarm]:
    return [Alarm(plot, later(s)) for s in seconds]


def test_ten_alarms_in_ten_minutes_are_none_and_eleven_are_a_flood() -> None:
    ten = [59.9 * n for n in range(10)]
    assert floods(alarms(*ten)) == []
    assert floods(alarms(*ten, 599.5)) == [(later(0), later(599.5), 11)]
    assert floods(alarms(*ten, 600.0)) == []


def test_a_flood_that_goes_on_is_one_and_a_later_one_is_another() -> None:
    first = [30.0 * n for n in range(40)]
    second = [7200 + 10.0 * n for n in range(11)]
    assert floods(alarms(*first, *second)) == [(later(0), later(1170), 40), (later(7200), later(7300), 11)]


@given(st.lists(st.integers(0, 4000), max_size=60))
def test_an_alarm_lies_in_a_flood_if_some_ten_minutes_around_it_hold_more_than_ten(times: list[int]) -> None:
    times.sort()
    found = floods(alarms(*times))
    for moment in times:
        windows = [[t for t in times if start <= t < start + 600] for start in times]
        crowded = any(moment in window and len(window) > 10 for window in windows)
        assert any(start <= later(moment) <= end for start, end, _ in found) == crowded
    for start, end, count in found:
        assert count == sum(start <= later(t) <= end for t in times)


def test_three_alarms_of_one_plot_within_a_minute_are_chatter() -> None:
    assert chatter(alarms(0, 30, 59.9)) == {"CDC_a": 1}
    assert chatter(alarms(0, 30, 60)) == {}
    assert chatter(alarms(0, 10, 20, 30, 40) + alarms(300, 310, 320)) == {"CDC_a": 2}
    assert chatter([*alarms(0, 1), *alarms(2, plot="CDC_b")]) == {}


@pytest.mark.parametrize(
    ("per_h", "word"), [(0, "manageable"), (6, "manageable"), (6.1, "much"), (12, "much"), (12.1, "too much")]
)
def test_six_an_hour_are_manageable_and_twelve_are_the_most(per_h: float, word: str) -> None:
    assert load(per_h) == word


@given(st.integers(0, 10**8), st.sampled_from(["America/New_York", "UTC", "Asia/Kolkata", "Australia/Lord_Howe"]))
def test_shifts_follow_each_other_and_cover_the_week(seconds: int, zone: str) -> None:
    now = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    shifts = list(shifts_since(now - timedelta(days=7), now, ZoneInfo(zone)))
    assert shifts[0][0] <= now - timedelta(days=7) < shifts[0][1]
    assert shifts[-1][0] <= now < shifts[-1][1]
    assert all(end == start for (_, end), (start, _) in pairwise(shifts))
    assert {start.astimezone(ZoneInfo(zone)).hour for start, _ in shifts} == {0, 8, 16}
    assert all(timedelta(hours=7) <= end - start <= timedelta(hours=9) for start, end in shifts)


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile(0.5, []) is None
    assert quantile(0.5, [7.0]) == 7.0
    assert (quantile(0.5, [1, 2, 3, 4]), quantile(0.9, list(range(1, 11)))) == (2, 9)


def witnesses(status: Status, beam: BeamState, count: int) -> list[Witness]:
    return [Witness(f"CDC_{status.name}_{n}", status, beam) for n in range(count)]


def test_half_of_the_plots_full_without_beam_contradict_it() -> None:
    empty = witnesses(Status.NOBEAM, BeamState.OFF, 5)
    assert contradiction(OFF, [*empty, *witnesses(Status.GOOD, BeamState.OFF, 4)]).warning is None
    found = contradiction(OFF, [*empty, *witnesses(Status.GOOD, BeamState.OFF, 5)])
    assert found.warning is not None
    assert "5 of 10 plots that need beam are full" in found.warning
    assert "OFF at 4.2 nA (it is on above 5 nA)" in found.warning


def test_images_that_filled_before_the_beam_went_contradict_nothing() -> None:
    assert contradiction(OFF, witnesses(Status.GOOD, BeamState.ON, 9)).warning is None


def test_nearly_all_plots_empty_with_beam_contradict_it_and_some_do_not() -> None:
    good = witnesses(Status.GOOD, BeamState.ON, 2)
    assert contradiction(ON, [*good, *witnesses(Status.NODATA, BeamState.ON, 7)]).warning is None
    found = contradiction(ON, [*good, *witnesses(Status.NODATA, BeamState.ON, 8)])
    assert "8 of 10 plots that need beam are empty" in (found.warning or "")
    assert contradiction(ON, witnesses(Status.NODATA, BeamState.ON, 1)).warning is None


def test_a_beam_that_nobody_knows_contradicts_nothing() -> None:
    unknown = BeamTold(state="UNKNOWN")
    assert contradiction(unknown, witnesses(Status.GOOD, BeamState.OFF, 9)).warning is None


def test_an_hour_belongs_to_the_day_that_the_hall_has_then() -> None:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    found = [
        HourlyImages(datetime(2026, 11, 24, 4, tzinfo=UTC), Status.GOOD, 7),  # 23 o'clock of the day before
        HourlyImages(datetime(2026, 11, 24, 5, tzinfo=UTC), Status.NODATA, 2),
        HourlyImages(datetime(2026, 11, 24, 6, tzinfo=UTC), Status.BAD, 1),
        HourlyImages(datetime(2026, 10, 1, 6, tzinfo=UTC), Status.BAD, 99),
    ]
    days = per_day(found, now, NEW_YORK)
    assert len(days) == DAYS
    assert (days[-2].day, days[-2].good, days[-2].faulty) == ("2026-11-23", 7, 0)
    assert (days[-1].day, days[-1].good, days[-1].faulty) == ("2026-11-24", 0, 3)
    assert sum(day.faulty for day in days) == 3
