"""An instant has one date, and another only when the host's clock was set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hydrad.epics.calendar import SET, Calendar

MORNING = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)


class Host:
    """A host's two clocks."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.wall = MORNING
        self.calendar = Calendar(lambda: self.seconds, lambda: self.wall)

    def later(self, seconds: float, *, slewed: timedelta = timedelta(0)) -> None:
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds) + slewed


@given(st.lists(st.integers(-400, 400), max_size=100))
def test_the_same_instant_keeps_its_date_while_clocks_differ_by_microseconds(slews_us: list[int]) -> None:
    host = Host()
    dates = {host.calendar.date(1000.0)}
    for slew_us in slews_us:
        host.later(0.37, slewed=timedelta(microseconds=slew_us))
        dates.add(host.calendar.date(1000.0))
    assert dates == {MORNING}


def test_a_clock_that_was_set_dates_anew() -> None:
    host = Host()
    host.later(5.0, slewed=-timedelta(hours=1))
    assert host.calendar.date(host.seconds) == host.wall
    assert host.calendar.date(1000.0) == MORNING - timedelta(hours=1)


def test_a_clock_that_is_slewed_for_long_is_followed() -> None:
    host = Host()
    for _ in range(1000):
        host.later(1.0, slewed=timedelta(microseconds=500))
        assert abs(host.calendar.date(host.seconds) - host.wall) <= SET


def test_an_instant_of_a_date_is_that_which_has_it() -> None:
    host = Host()
    host.later(7.25)
    assert host.calendar.instant(MORNING + timedelta(seconds=2.5)) == 1002.5
    assert host.calendar.date(host.calendar.instant(MORNING)) == MORNING
