"""The schedule of faults and trips, and the beam it gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydrad.domain import Meaning
from hydrad.errors import ConfigurationError
from hydrad.sim import hall
from hydrad.sim.current import RAMP_S, BeamCourse
from hydrad.sim.faults import Fault
from hydrad.sim.simulate import Plan, filling, plots_of, scenario
from hydrad.sim.story import Scenario

NOWHERE = Path("/nowhere")
TELLING = Plan(NOWHERE, cadence_s=5.0, story=True)


@pytest.mark.parametrize("seed", range(20))
def test_two_minutes_show_a_sick_plot_a_dead_detector_and_a_trip(seed: int) -> None:
    told = scenario(Plan(NOWHERE, cadence_s=5.0, seed=seed, story=True))
    sick, dead, trip = told.events(0, 120)
    assert sick.fault is not None
    assert dead.fault is not None
    assert trip.fault is None
    assert sick.fault.meaning is Meaning.BAD
    assert len(hall.plots_of(sick.fault)) == 1
    assert dead.fault.meaning is Meaning.EMPTY
    assert len(hall.plots_of(dead.fault)) > 1
    assert [event.end_s - event.start_s for event in (sick, dead, trip)] == [20.0, 20.0, 20.0]
    assert sick.end_s < dead.start_s < dead.end_s < trip.start_s < trip.end_s < 120


def test_the_story_goes_on_and_on_and_is_the_same_whenever_it_is_told() -> None:
    told = scenario(TELLING)
    whole = told.events(0, 7200)
    assert len(whole) > 120
    for event in whole[50:60]:
        middle = (event.start_s + event.end_s) / 2
        assert told.events(middle, middle + 0.1) == [event]
    other = scenario(Plan(NOWHERE, cadence_s=5.0, seed=2, story=True)).events(0, 7200)
    assert [event.fault for event in other] != [event.fault for event in whole]


def test_every_event_of_a_story_is_seen_in_enough_images_for_an_on_delay_of_two() -> None:
    for cadence_s in (5.0, 6.0, 30.0):
        plan = Plan(NOWHERE, cadence_s=cadence_s, story=True)
        told = scenario(plan)
        for event in told.events(0, 20 * cadence_s):
            if event.fault is not None:
                dumps = [filling(plan, told, n) for n in range(60)]
                assert sum(event.fault in dump.faults for dump in dumps) >= 3


def test_what_was_asked_for_happens_when_it_was_asked_for() -> None:
    fault = Fault("dead_board", "CDC_occupancy", start_s=10, length_s=10)
    plan = Plan(NOWHERE, cadence_s=5.0, faults=[fault], trips=[(30, 10)])
    told = scenario(plan)
    assert [n for n in range(12) if filling(plan, told, n).faults] == [3, 4]
    assert [round(filling(plan, told, n).beam, 1) for n in range(5, 11)] == [1.0, 1.0, 0.0, 0.0, 0.8, 1.0]


def test_a_fault_without_a_beginning_is_in_the_first_image_too() -> None:
    fault = Fault("dead_board", "CDC_occupancy", length_s=10)
    plan = Plan(NOWHERE, cadence_s=5.0, faults=[fault])
    told = scenario(plan)
    assert [n for n in range(6) if filling(plan, told, n).faults] == [0, 1, 2]


def test_a_trip_in_mid_interval_gives_partial_statistics() -> None:
    course = BeamCourse(Scenario(trips=[(12, 100)]))
    assert course.filled(10, 15) == pytest.approx(0.4, abs=0.02)
    assert course.filled(5, 10) == 1.0
    assert course.filled(20, 25) == 0.0


def test_after_a_trip_the_beam_comes_back_on_a_ramp() -> None:
    course = BeamCourse(Scenario(trips=[(10, 10)]))
    assert [course.share(at_s) for at_s in (9.99, 10.0, 19.99, 20.0)] == [1.0, 0.0, 0.0, 0.0]
    assert course.share(20 + RAMP_S / 2) == pytest.approx(0.5)
    assert course.share(20 + RAMP_S) == 1.0


def test_the_current_is_noisy_with_beam_and_next_to_nothing_without() -> None:
    course = BeamCourse(Scenario(trips=[(100, 100)]), nominal=200.0, seed=3)
    on = [course.current(t / 2) for t in range(200)]
    off = [course.current(100 + t / 2) for t in range(200)]
    assert len(set(on)) == len(on)
    assert all(180 < current < 220 for current in on)
    assert all(0 <= current < 1 for current in off)
    assert on == [BeamCourse(course.scenario, 200.0, 3).current(t / 2) for t in range(200)]


def test_a_plan_writes_all_plots_but_a_name_with_a_space_only_where_producers_have_one() -> None:
    assert "Faraday Cup_charge" in plots_of(Plan(NOWHERE, layout="mon12"))
    assert "Faraday Cup_charge" not in plots_of(Plan(NOWHERE, layout="rsai"))
    assert plots_of(Plan(NOWHERE, plots=["ST_adc"])) == ("ST_adc",)


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (Plan(NOWHERE, plots=["ST_adc", "XYZ_map"]), "no plot is called XYZ_map"),
        (Plan(NOWHERE, faults=[Fault("empty", "XYZ_*")]), "no plot is called 'XYZ_\\*'"),
        (Plan(NOWHERE, cadence_s=0), "--cadence-s: must be above 0"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused_by_name(plan: Plan, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        scenario(plan)
