"""The pipeline's pulse: figures of the last minute, and what stopped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrad.domain import Health, Timing
from hydrad.pulse import STALLED_AFTER_S, WINDOW_S, Diagnosis, Pulse, diagnose


class Ticker:
    time_s = 1000.0

    def __call__(self):
        return self.time_s


def test_a_pulse_without_images_is_flat():
    pulse = Pulse(Ticker())
    assert (pulse.images_per_s, pulse.latency_s, pulse.last_beat) == (0.0, 0.0, None)


def test_figures_are_those_of_the_last_minute():
    ticker = Ticker()
    pulse = Pulse(ticker)
    pulse.beat(9.0)
    ticker.time_s += 30
    for _ in range(119):
        pulse.beat(0.5)
    assert pulse.images_per_s == 2.0
    assert pulse.last_beat == 1030.0
    ticker.time_s = 1000.0 + WINDOW_S
    assert pulse.images_per_s == 2.0
    ticker.time_s += 0.001
    assert pulse.images_per_s == pytest.approx(119 / WINDOW_S)
    assert pulse.latency_s == 0.5
    ticker.time_s += WINDOW_S
    assert (pulse.images_per_s, pulse.latency_s) == (0.0, 0.0)
    assert pulse.last_beat is None


def test_one_late_image_in_a_hundred_is_forgiven():
    pulse = Pulse(Ticker())
    for n in range(200):
        pulse.beat(n + 1.0)
    assert pulse.latency_s == 198.0


@given(st.lists(st.floats(0, 100), min_size=1, max_size=250))
def test_the_latency_is_one_that_99_of_100_images_do_not_exceed(latencies):
    pulse = Pulse(Ticker())
    for latency_s in latencies:
        pulse.beat(latency_s)
    within = [latency for latency in latencies if latency <= pulse.latency_s]
    below = [latency for latency in latencies if latency < pulse.latency_s]
    assert pulse.latency_s in latencies
    assert len(within) >= 0.99 * len(latencies)
    assert len(below) < 0.99 * len(latencies)


@pytest.mark.parametrize(
    ("ticked_s_ago", "stuck_for_s", "troubles", "diagnosis"),
    [
        ({"watcher": 30, "classifier": 0}, 30, {"no data base": False}, Diagnosis(Health.OK)),
        ({}, 0, {}, Diagnosis(Health.OK)),
        (
            {"watcher": 31, "classifier": 0},
            0,
            {},
            Diagnosis(Health.STALLED, "no sign of life from watcher", ["watcher"]),
        ),
        ({"a": 31, "b": 40}, 0, {"x": True}, Diagnosis(Health.STALLED, "no sign of life from a, b", ["a", "b"])),
        ({"a": 0}, 31, {"x": True}, Diagnosis(Health.STALLED, "files wait, and none was judged for 31 s")),
        ({"a": 0}, 0, {"x": True, "y": False, "z": True}, Diagnosis(Health.DEGRADED, "x; z")),
    ],
)
def test_what_stopped_weighs_more_than_what_is_wrong(ticked_s_ago, stuck_for_s, troubles, diagnosis):
    now = 5000.0
    ticked_at = {name: now - ago for name, ago in ticked_s_ago.items()}
    assert diagnose(now, ticked_at, troubles=troubles, stuck_for_s=stuck_for_s) == diagnosis
    assert STALLED_AFTER_S == 30.0


def test_the_stages_of_an_images_way_are_timed_over_the_last_minute():
    ticker = Ticker()
    pulse = Pulse(ticker)
    for took_s in range(1, 101):
        with pulse.stage("read"):
            ticker.time_s += took_s / 1000
    pulse.spent("wait", 0.2)
    assert pulse.stages == {"wait": Timing(0.2, 0.2), "read": Timing(pytest.approx(0.05), pytest.approx(0.099))}
    assert list(pulse.stages) == ["wait", "read"]
    ticker.time_s += WINDOW_S + 0.001
    assert pulse.stages == {}


def test_what_failed_and_a_clock_that_was_set_back_spoil_no_figure():
    ticker = Ticker()
    pulse = Pulse(ticker)
    with pytest.raises(ValueError, match="torn"), pulse.stage("read"):
        raise ValueError("torn")
    pulse.spent("wait", -3.0)
    assert pulse.stages == {"wait": Timing(0.0, 0.0)}


def test_a_part_is_silent_sooner_where_somebody_waits_for_it_less_long():
    asked = {"troubles": {}, "stuck_for_s": 0.0}
    assert diagnose(100.0, {"watcher": 97.0}, **asked).health is Health.OK
    assert diagnose(100.0, {"watcher": 97.0}, **asked, stalled_after_s=2.0).silent == ["watcher"]
