"""A daemon that has died is seen to be dead, also where its host's clock and the pages' host's differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from hydrad.domain import Health
from hydrad.store.rows import Heartbeat
from hydrad.web.clocks import Clocks, lives

MORNING = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)


@dataclass
class Hosts:
    """The daemon's host and the pages', each with a clock of its own, and the data base between them."""

    ahead: timedelta  # the daemon's clock, of the pages'
    seconds: float = 0.0
    beat: Heartbeat | None = None
    clocks: Clocks = field(init=False)

    def __post_init__(self) -> None:
        self.clocks = Clocks(self, clock=lambda: self.now, ticks=lambda: self.seconds)  # type: ignore[arg-type]  # one method of it

    @property
    def now(self) -> datetime:
        """On the pages' host."""
        return MORNING + timedelta(seconds=self.seconds)

    def heartbeat(self) -> Heartbeat | None:
        """As the data base has it."""
        return self.beat

    def live(self, for_s: int, *, host: str = "counting-1") -> None:
        """The daemon beats every second; the pages look every second."""
        for _ in range(for_s):
            at = self.now + self.ahead
            self.beat = Heartbeat(host, 1, MORNING + self.ahead, at, "0.1.0", Health.OK)
            self.seconds += 0.5
            self.look()
            self.seconds += 0.5

    def die(self, for_s: int) -> None:
        """The pages look on."""
        for _ in range(for_s):
            self.seconds += 1
            self.look()

    def look(self) -> bool:
        """What the pages say."""
        return lives(self.clocks.heartbeat(), self.now)


AHEAD = (timedelta(0), timedelta(hours=1), timedelta(hours=-1), timedelta(seconds=20), timedelta(days=-400))


@pytest.mark.parametrize("ahead", AHEAD)
def test_a_living_daemon_lives_and_a_dead_one_is_dead_whatever_its_clock_says(ahead: timedelta) -> None:
    hosts = Hosts(ahead)
    hosts.live(5)
    assert hosts.look()
    hosts.die(8)
    assert hosts.look()
    hosts.die(4)
    assert not hosts.look()
    hosts.die(3600 * 3)  # also when the pages' clock comes to the time of the last sign of life
    assert not hosts.look()
    hosts.live(3)
    assert hosts.look()


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)])
def test_whoever_looks_for_the_first_time_believes_no_clock_that_differs(ahead: timedelta) -> None:
    hosts = Hosts(ahead)
    hosts.beat = Heartbeat("counting-1", 1, MORNING, MORNING + ahead, "0.1.0", Health.OK)
    assert not hosts.look()


def test_the_age_of_a_sign_of_life_is_by_the_clock_of_the_pages() -> None:
    hosts = Hosts(timedelta(hours=1))
    hosts.live(5)
    hosts.die(30)
    beat = hosts.clocks.heartbeat()
    assert beat is not None
    assert timedelta(seconds=29) < hosts.now - beat.beat_at < timedelta(seconds=32)
    assert abs(beat.started_at - MORNING) < timedelta(seconds=2)


def test_another_host_has_another_clock() -> None:
    hosts = Hosts(timedelta(hours=1))
    hosts.live(5)
    hosts.ahead = timedelta(0)
    hosts.live(1, host="counting-2")
    assert hosts.look()
    hosts.die(11)
    assert not hosts.look()


def test_a_sign_of_life_from_a_clock_that_was_just_set_says_nothing_and_the_next_one_does() -> None:
    hosts = Hosts(timedelta(0))
    hosts.live(5)
    hosts.ahead = timedelta(hours=-2)
    hosts.live(1)
    assert not hosts.look()
    hosts.live(1)
    assert hosts.look()


def test_there_may_never_have_been_a_daemon() -> None:
    assert not Hosts(timedelta(0)).look()
