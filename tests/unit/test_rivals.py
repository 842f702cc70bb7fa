"""A second daemon on the same data base is noticed by its sign of life; a dead one is not taken for living."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from hydrad.domain import Health
from hydrad.store.rivals import Rivals
from hydrad.store.rows import Heartbeat

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINE = Heartbeat("counting1", 41, NOON, NOON, "1", Health.OK)
OTHER = Heartbeat(
    "counting2", 99, NOON, NOON, "1", Health.OK, details={"pv_server": {"prefix": "HYDRA:D:", "port": 5064}}
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rivals(clock: Clock) -> Rivals:
    return Rivals(lambda sign: sign.pid == 41, clock)


def beat(sign: Heartbeat, n: int) -> Heartbeat:
    return replace(sign, beat_at=sign.beat_at + timedelta(seconds=2 * n))


@pytest.mark.parametrize("host", ["counting1", "counting2"])
def test_a_daemon_whose_sign_of_life_moves_is_named_and_said_once(rivals: Rivals, host: str) -> None:
    other = replace(OTHER, host=host)
    with capture_logs() as logs:
        for n in range(3):
            rivals.look([beat(other, n)])
    assert f"process 99 on {host}, PVs HYDRA:D:… at port 5064" in rivals.words
    assert [line["event"] for line in logs] == ["another_daemon"]


def test_a_clock_far_off_makes_no_difference(rivals: Rivals) -> None:
    for n in range(2):
        rivals.look([beat(OTHER, 10_000_000 + n)])
    assert rivals.words


def test_what_a_daemon_that_was_killed_left_is_no_life(rivals: Rivals) -> None:
    for n in range(5):
        rivals.look([OTHER, beat(MINE, n)])
    assert rivals.words == ""


def test_a_daemon_that_has_gone_is_forgotten_after_a_while(rivals: Rivals, clock: Clock) -> None:
    rivals.look([OTHER])
    rivals.look([beat(OTHER, 1)])
    clock.now += 5
    rivals.look([beat(OTHER, 1)])
    assert rivals.words
    clock.now += 6
    rivals.look([beat(OTHER, 1)])
    assert rivals.words == ""
