"""The beam's states, thresholds and history, on a clock that the test turns."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrad.beam.timeline import GRAIN_S, KEPT_S, MOST_SPANS, Timeline
from hydrad.config import EpicsBeam
from hydrad.domain import BeamState, Severity
from hydrad.errors import ChangeRefused

ON, OFF, UNKNOWN = BeamState.ON, BeamState.OFF, BeamState.UNKNOWN
PV, PV2, PERMIT = "IBCAD00CRCUR6", "IBCAD00CRCUR5", "PLC_HLD"


def watched(*readings: tuple[float, float], began_at_s: float = 0.0, **keys: Any) -> Timeline:
    """A timeline of one PV that has heard (at_s, current)."""
    timeline = Timeline(EpicsBeam(**{"pv": PV, **keys}), began_at_s)
    for at_s, current in readings:
        timeline.read(PV, current, Severity.NO_ALARM, at_s)
    return timeline


def test_before_the_first_reading_the_beam_is_unknown_and_not_off() -> None:
    beam = watched().at(1)
    assert (beam.state, beam.current, beam.reason) == (UNKNOWN, None, f"beam PV {PV} has not connected yet")
    assert watched().read_at_s() is None


def test_the_first_reading_between_the_thresholds_is_no_beam() -> None:
    beam = watched((1, 4.0)).at(2)
    assert (beam.state, beam.reason) == (OFF, "beam 4 nA, on above 5")


def test_a_reading_between_the_thresholds_keeps_what_was_even_over_a_loss() -> None:
    timeline = watched((1, 6.0), (2, 4.0))
    assert timeline.at(3).state is ON
    timeline.lost(PV, "disconnected", 4)
    assert timeline.at(5).reason == f"beam PV {PV} disconnected"
    timeline.read(PV, 4.0, Severity.NO_ALARM, 6)
    assert timeline.at(6).state is ON


def test_other_limits_hold_from_then_on_and_judge_afresh() -> None:
    timeline = watched((0, 25.0), on_above=5, off_below=3)
    timeline.limit(EpicsBeam(pv=(PV,), on_above=30, off_below=20, noise_above=100), 10)
    assert (timeline.on_above, timeline.at(10).state, timeline.over(0, 9, 10).state) == (30, OFF, ON)
    timeline.read(PV, 31.0, Severity.NO_ALARM, 11)
    timeline.read(PV, 21.0, Severity.NO_ALARM, 12)
    assert timeline.at(12).state is ON
    timeline.read(PV, 101.0, Severity.NO_ALARM, 13)
    assert timeline.at(13).state is UNKNOWN
    with pytest.raises(ChangeRefused, match="below 100"):
        timeline.set_on_above(100, 14)


def test_a_beam_that_comes_back_says_since_when_but_one_that_was_only_lost_does_not() -> None:
    timeline = watched((1, 100.0))
    assert timeline.back_at_s() is None
    timeline.lost(PV, "disconnected", 2)
    timeline.read(PV, 100.0, Severity.NO_ALARM, 3)
    assert timeline.back_at_s() is None
    timeline.read(PV, 0.0, Severity.NO_ALARM, 4)
    timeline.lost(PV, "disconnected", 5)
    timeline.read(PV, 100.0, Severity.NO_ALARM, 6)
    timeline.read(PV, 101.0, Severity.NO_ALARM, 7)
    assert timeline.back_at_s() == 6


def test_the_lower_threshold_follows_the_upper_one_in_proportion() -> None:
    timeline = watched((0, 25.0), on_above=5, off_below=3)
    timeline.set_on_above(20, 1)
    assert timeline.at(1).state is ON
    timeline.read(PV, 12.0, Severity.NO_ALARM, 2)
    assert timeline.at(2).state is ON
    timeline.read(PV, 11.9, Severity.NO_ALARM, 3)
    assert (timeline.at(3).state, timeline.at(3).reason) == (OFF, "beam 11.9 nA, off below 12")
    timeline.set_on_above(5, 4)
    timeline.read(PV, 3.0, Severity.NO_ALARM, 5)
    assert timeline.at(5).state is ON


def test_a_raised_threshold_judges_the_present_reading_afresh() -> None:
    timeline = watched((0, 15.0))
    timeline.set_on_above(20, 1)
    assert (timeline.at(1).state, timeline.at(1).reason) == (OFF, "beam 15 nA, on above 20")


@pytest.mark.parametrize("nonsense", [0.0, -1.0, math.nan, math.inf, 500.0, 501.0])
def test_a_threshold_that_makes_no_sense_is_refused_and_changes_nothing(nonsense: float) -> None:
    timeline = watched((0, 6.0), noise_above=500)
    with pytest.raises(ChangeRefused, match="beam threshold"):
        timeline.set_on_above(nonsense, 1)
    assert (timeline.on_above, timeline.at(1).state) == (5.0, ON)


def test_noise_is_unknown_and_says_so() -> None:
    beam = watched((0, 100.0), (1, 812.0), noise_above=500).at(1)
    assert (beam.state, beam.current, beam.reason) == (
        UNKNOWN,
        None,
        f"beam PV {PV} reads above 500 nA, which is noise",
    )


def test_without_permit_noise_is_off() -> None:
    timeline = watched((0, 812.0), noise_above=500, permit_pv=PERMIT, permit_value=6)
    assert timeline.at(0).reason == f"permit PV {PERMIT} has not connected yet"
    timeline.read(PERMIT, 3, Severity.NO_ALARM, 1)
    beam = timeline.at(1)
    assert (beam.state, beam.current) == (OFF, 812)
    assert beam.reason == f"no beam permit: permit PV {PERMIT} is 3, not 6"
    timeline.read(PERMIT, 6, Severity.NO_ALARM, 2)
    assert timeline.at(2).state is UNKNOWN


def test_a_lost_reading_is_unknown_even_without_permit() -> None:
    timeline = watched((0, 50.0), permit_pv=PERMIT, permit_value=6)
    timeline.read(PERMIT, 3, Severity.NO_ALARM, 0)
    timeline.lost(PV, "disconnected", 1)
    assert timeline.at(1).state is UNKNOWN


@pytest.mark.parametrize("severity", [Severity.NO_ALARM, Severity.MINOR, Severity.MAJOR])
def test_a_reading_outside_its_limits_is_still_a_reading(severity: Severity) -> None:
    timeline = watched()
    timeline.read(PV, 100.0, severity, 1)
    assert timeline.at(1).state is ON


def test_a_reading_goes_stale_at_its_own_moment_whoever_asks_and_when() -> None:
    timeline = watched((0, 100.0), stale_s=40)
    assert timeline.at(39.9).state is ON
    beam = timeline.at(1000)
    assert (beam.state, beam.reason) == (UNKNOWN, f"beam PV {PV} gave no sign of life for 40 s")
    before = timeline.over(0, 79, 1000)
    assert (before.state, before.current) == (ON, 100)
    assert timeline.over(0, 81, 1000).state is UNKNOWN
    assert timeline.read_at_s() == 0


def test_the_same_value_confirmed_keeps_a_reading_fresh() -> None:
    timeline = watched(*((at_s, 100.0) for at_s in range(0, 400, 39)), stale_s=40)
    beam = timeline.over(0, 400, 400)
    assert (beam.state, beam.current, beam.reason) == (ON, 100, "")
    assert timeline.read_at_s() == 390


def test_of_several_pvs_the_least_counts_and_the_oldest_says_when() -> None:
    timeline = watched((1, 100.0), pv=(PV, PV2))
    assert timeline.at(1).reason == f"beam PV {PV2} has not connected yet"
    timeline.read(PV2, 1.0, Severity.NO_ALARM, 2)
    assert (timeline.at(2).state, timeline.at(2).current) == (OFF, 1.0)
    assert timeline.read_at_s() == 1


def test_the_state_that_held_longest_wins_the_window() -> None:
    timeline = watched((0, 100.0), (10, 0.0), (31, 80.0))
    beam = timeline.over(0, 40, 40)
    assert (beam.state, beam.reason) == (OFF, "beam 0 nA, off below 3, for 21 of 40 s")
    assert beam.current == pytest.approx((10 * 100 + 9 * 80) / 40)
    assert timeline.over(0, 20, 40).state is ON  # ten seconds each
    assert timeline.over(35, 35, 40).current == 80
    assert timeline.over(15, 15, 40).state is OFF


def test_a_tie_goes_to_unknown_before_on_before_off() -> None:
    timeline = watched((0, 100.0), (10, 0.0))
    timeline.lost(PV, "disconnected", 20)
    assert timeline.over(0, 20, 30).state is ON
    beam = timeline.over(0, 30, 30)
    assert (beam.state, beam.current) == (UNKNOWN, 50)
    assert beam.reason == f"beam PV {PV} disconnected, for 10 of 30 s"


def test_a_window_before_the_history_is_unknown_and_one_in_the_future_is_now() -> None:
    timeline = watched((1000, 100.0), began_at_s=1000)
    past = timeline.over(900, 930, 1010)
    assert (past.state, past.current, past.reason) == (UNKNOWN, None, "no record of the beam then")
    assert timeline.over(990, 1009, 1010).state is UNKNOWN
    assert timeline.over(992, 1009, 1010).state is ON
    assert timeline.over(1005, 1100, 1010).state is ON
    assert timeline.over(1050, 1100, 1010).current == 100
    with pytest.raises(ValueError, match="before its start"):
        timeline.over(10, 9, 1010)


def test_the_clock_never_runs_backwards() -> None:
    timeline = watched((10, 100.0))
    timeline.read(PV, 0.0, Severity.NO_ALARM, 9.9)  # heard before, handed over after
    assert timeline.at(5).state is OFF
    assert timeline.over(9, 10, 10).state is UNKNOWN


def test_ten_readings_a_second_for_an_hour_stay_small_and_the_last_quarter_stays_known() -> None:
    timeline = watched(window_s=30)
    tracemalloc.start()
    try:
        for tick in range(36_000):
            timeline.read(PV, 100 + (tick * 7919) % 101 - 50, Severity.NO_ALARM, tick / 10)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 3_000_000
    assert len(timeline._spans) < 2 * KEPT_S / GRAIN_S + 256
    oldest = timeline.over(3600 - KEPT_S - 30, 3600 - KEPT_S, 3600)
    assert oldest.state is ON
    assert oldest.current == pytest.approx(100, abs=0.5)
    assert timeline.over(0, 30, 3600).state is UNKNOWN


def test_a_beam_that_flickers_a_thousand_times_a_second_does_not_fill_the_memory() -> None:
    timeline = watched()
    for tick in range(MOST_SPANS + 10_000):
        timeline.read(PV, 100 * (tick % 2), Severity.NO_ALARM, tick / 1000)
    assert len(timeline._spans) <= MOST_SPANS


# What a control system may do, in any order.


@dataclass(frozen=True)
class Event:
    after_s: float
    name: str
    value: float = 0.0
    severity: Severity = Severity.NO_ALARM
    lost: bool = False


waits = st.sampled_from([0.0, 0.0625, 0.125, 0.25, 1.0, 3.0, 8.0])
currents = st.sampled_from([-0.5, 0.0, 2.9, 3.0, 4.0, 4.99, 5.0, 6.0, 100.0, 501.0, math.nan, math.inf]) | st.floats(
    0, 600
)
severities = st.sampled_from([*[Severity.NO_ALARM] * 5, Severity.MAJOR, Severity.INVALID])
beams = st.builds(
    Event, waits, st.sampled_from([PV, PV2]), currents, severities, st.integers(0, 9).map(lambda n: n == 0)
)
permits = st.builds(Event, waits, st.just(PERMIT), st.sampled_from([6.0, 6.0, 6.0, 3.0]))
stories = st.lists(beams | beams | beams | permits, max_size=60)
STALE_S = 10.0


@dataclass
class Told:
    """A timeline to which a story is told up to any moment."""

    story: list[Event]
    permit: bool = True

    def __post_init__(self) -> None:
        keys: dict[str, Any] = {"permit_pv": PERMIT, "permit_value": 6} if self.permit else {}
        self.timeline = Timeline(EpicsBeam(pv=(PV, PV2), noise_above=500, stale_s=STALE_S, **keys), 0.0)
        times = accumulate(event.after_s for event in self.story)
        self.coming = [(at_s, e) for at_s, e in zip(times, self.story, strict=True) if self.permit or e.name != PERMIT]
        self.ends_s = self.coming[-1][0] if self.coming else 0.0

    def until(self, moment_s: float) -> Timeline:
        while self.coming and self.coming[0][0] <= moment_s:
            at_s, event = self.coming.pop(0)
            if event.lost:
                self.timeline.lost(event.name, "disconnected", at_s)
            else:
                self.timeline.read(event.name, event.value, event.severity, at_s)
        return self.timeline


@given(stories, waits)
def test_the_beam_is_known_exactly_while_every_input_can_be_trusted(story: list[Event], later_s: float) -> None:
    heard: dict[str, tuple[float, Event]] = {}
    at_s = 0.0
    told = Told(story)
    for event in story:
        at_s += event.after_s
        heard[event.name] = (at_s, event)
    beam = told.until(at_s).at(at_s + later_s)
    trusted = len(heard) == 3 and all(
        not event.lost
        and event.severity < Severity.INVALID
        and math.isfinite(event.value)
        and at_s + later_s - heard_s < STALE_S
        for heard_s, event in heard.values()
    )
    if not trusted:
        assert (beam.state, beam.current) == (UNKNOWN, None)
        assert beam.reason
    elif heard[PERMIT][1].value != 6:
        assert beam.state is OFF
    else:
        readings = [heard[name][1].value for name in (PV, PV2)]
        assert (beam.state is UNKNOWN) == (max(readings) > 500)
        assert beam.current == (None if max(readings) > 500 else min(readings))
        if beam.state is ON:
            assert min(readings) >= 3


@given(st.lists(st.floats(-10, 400), min_size=1, max_size=80), st.floats(0.5, 20), st.floats(0, 1))
def test_between_the_thresholds_the_beam_never_flips(values: list[float], on_above: float, ratio: float) -> None:
    timeline = watched(on_above=on_above, off_below=on_above * ratio)
    before = OFF
    for at_s, current in enumerate(values):
        timeline.read(PV, current, Severity.NO_ALARM, at_s)
        state = timeline.at(at_s).state
        assert state is (ON if current >= on_above else OFF if current < on_above * ratio else before)
        before = state


@given(stories, st.booleans(), st.data())
def test_a_window_equals_its_samples(story: list[Event], permit: bool, data: st.DataObject) -> None:
    """Sampled in the middle of every sixteenth of a second: all times of the stories are multiples of it."""
    step_s = 0.0625
    whole = Told(story, permit)
    length = round(whole.ends_s / step_s) + 320
    start = data.draw(st.integers(-40, length - 1))
    end = data.draw(st.integers(start + 1, length + 40))
    window = whole.until(whole.ends_s).over(start * step_s, end * step_s, length * step_s)

    stepwise = Told(story, permit)
    middles_s = [(n + 0.5) * step_s for n in range(length)]
    samples = [stepwise.until(middle_s).at(middle_s) for middle_s in middles_s][max(start, 0) : max(end, 0)]
    lasted = Counter(sample.state for sample in samples)
    lasted[UNKNOWN] += max(min(end, 0) - min(start, 0), 0)
    most = max(lasted.values())
    assert window.state is next(state for state in (UNKNOWN, ON, OFF) if lasted[state] == most)
    currents = [sample.current for sample in samples if sample.current is not None]
    if currents:
        # Where the window cuts readings that are kept as their mean, it may be off by what they differ in.
        grain = 2 * GRAIN_S * 610 / (len(currents) * step_s)
        assert window.current == pytest.approx(sum(currents) / len(currents), abs=grain)
    else:
        assert window.current is None


@given(st.lists(st.floats(5, 400), min_size=1, max_size=60), st.integers(1, 4))
def test_the_mean_over_all_readings_is_exact_however_dense_they_are(currents: list[float], per_grain: int) -> None:
    step_s = GRAIN_S / per_grain
    timeline = watched(*((n * step_s, current) for n, current in enumerate(currents)))
    beam = timeline.over(0, len(currents) * step_s, len(currents) * step_s)
    assert beam.current == pytest.approx(sum(currents) / len(currents), rel=1e-6)
