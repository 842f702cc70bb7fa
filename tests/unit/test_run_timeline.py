"""Which run is going, which one an image belongs to, and what is known when a PV is lost."""

import pytest

from hydrad.config import EpicsRun
from hydrad.domain import RunState
from hydrad.runs.timeline import Timeline

NUMBER, STATE, TYPE = "DAQ:number", "DAQ:status", "DAQ:type"
SECTION = EpicsRun(number_pv=NUMBER, state_pv=STATE, type_pv=TYPE, masked_types=("cosmic*",), stale_s=40)


class Daq:
    """A timeline with PVs that a test sets; all of them are confirmed as time goes on."""

    def __init__(self, section=SECTION, **values):
        self.timeline = Timeline(section, 0.0)
        self.now_s = 0.0
        self.values = {}
        for name, value in values.items():
            self.set(name, value)

    def set(self, name, value, severity=0):
        self.values[name] = value
        self.timeline.read({"number": NUMBER, "state": STATE, "type": TYPE}[name], value, severity, self.now_s)

    def after(self, seconds):
        for _ in range(int(seconds)):
            self.now_s += 1
            for name, value in self.values.items():
                self.set(name, value)
        return self

    @property
    def run(self):
        return self.timeline.at(self.now_s)

    def image(self, number=None, ago_s=0.0, fill_s=10.0):
        end_s = self.now_s - ago_s
        return self.timeline.of(number, end_s - fill_s, end_s, self.now_s)


def going(number="100", state="running", kind="PRODUCTION"):
    return Daq(number=number, state=state, type=kind)


def test_before_anything_is_read_a_run_is_assumed_to_be_going_and_nothing_is_masked():
    run = Daq().run
    assert (run.state, run.number, run.type, run.masked) == (RunState.UNKNOWN, None, "", False)
    assert run.reason.count("has not connected yet") == 3


@pytest.mark.parametrize(
    ("words", "state"),
    [("running", RunState.RUNNING), ("Running", RunState.RUNNING), ("paused", RunState.IDLE), ("", RunState.IDLE)],
)
def test_a_run_is_going_while_the_state_reads_so(words, state):
    assert going(state=words).run.state is state


@pytest.mark.parametrize("words", ["cosmic", "COSMIC_LED", "Cosmic run"])
def test_a_type_masks_by_its_pattern_whatever_its_case(words):
    run = going(kind=words).run
    assert (run.type, run.masked, run.reason) == (words, True, "")


def test_a_lost_type_masks_nothing_and_says_so():
    daq = going(kind="cosmic")
    daq.timeline.lost(TYPE, "disconnected", 1.0)
    assert (daq.run.type, daq.run.masked) == ("", False)
    assert daq.run.reason == f"run type PV {TYPE} disconnected"
    assert daq.run.state is RunState.RUNNING


@pytest.mark.parametrize(
    ("name", "trouble"), [("state", "is INVALID"), ("number", "is INVALID"), ("type", "is INVALID")]
)
def test_an_invalid_pv_is_as_good_as_lost(name, trouble):
    daq = going(kind="cosmic", state="ended")
    daq.set(name, daq.values[name], severity=3)
    run = daq.run
    assert trouble in run.reason
    assert {"state": run.state is RunState.UNKNOWN, "number": run.number is None, "type": not run.masked}[name]


def test_a_pv_without_a_sign_of_life_is_lost_at_its_own_moment_whoever_asks_later():
    daq = going(state="ended", kind="cosmic")
    daq.now_s = 39.9
    assert daq.run.state is RunState.IDLE
    daq.now_s = 1000.0
    assert daq.run.state is RunState.UNKNOWN
    assert "gave no sign of life for 40 s" in daq.run.reason
    assert not daq.run.masked
    assert daq.timeline.due_since_s() == 40.0


@pytest.mark.parametrize("words", ["12.5", "none", "-1", "", "1e300", "nan"])
def test_what_is_no_run_number_is_none(words):
    run = going(number=words).run
    assert run.number is None
    assert run.reason == f"run number PV {NUMBER} reads {words!r}, which is no run number"
    assert going(number="4711.0").run.number == 4711


def test_without_a_state_pv_a_run_is_assumed_to_be_going_and_that_is_no_trouble():
    daq = Daq(EpicsRun(number_pv=NUMBER))
    daq.set("number", "7")
    assert (daq.run.state, daq.run.number, daq.run.reason) == (RunState.UNKNOWN, 7, "")
    assert daq.timeline.due_since_s() is None


def test_images_are_due_again_when_a_run_begins_or_may_have_begun_or_is_masked_no_longer():
    daq = Daq()
    assert daq.timeline.due_since_s() == 0.0  # nobody knows yet: time is given
    for name, value in {"number": "1", "state": "running", "type": "physics"}.items():
        daq.set(name, value)
    assert daq.timeline.due_since_s() is None  # it was going all along
    for name, off, on in (("state", "ended", "running"), ("type", "cosmic", "physics")):
        daq.after(10).set(name, off)
        daq.after(100).set(name, on)
        assert daq.timeline.due_since_s() == daq.now_s
    daq.after(10).set("state", "ended")
    daq.after(10).timeline.lost(STATE, "disconnected", daq.now_s)
    assert daq.timeline.due_since_s() == daq.now_s


def test_an_image_belongs_to_the_run_that_held_longest_while_it_filled():
    daq = going(number="1", kind="cosmic").after(100)
    daq.set("number", "2")
    daq.set("type", "physics")
    daq.after(4)
    assert (daq.image().number, daq.image().masked) == (1, True)
    daq.after(3)
    assert (daq.image().number, daq.image().masked) == (2, False)
    assert daq.image(ago_s=50).number == 1


def test_a_path_that_names_an_earlier_run_is_believed_with_that_runs_type():
    daq = going(number="1", kind="cosmic").after(100)
    daq.set("type", "physics")  # a second before the number changes too
    daq.after(1).set("number", "2")
    daq.after(100)
    run = daq.image(1)
    assert (run.number, run.type, run.masked, run.reason) == (1, "cosmic", True, "")
    assert not daq.image(2).masked


def test_a_path_that_contradicts_the_pv_is_believed_masks_nothing_and_it_is_said():
    daq = going(number="200", kind="cosmic").after(100)
    run = daq.image(199)
    assert (run.number, run.type, run.masked) == (199, "", False)
    assert run.reason == "the path says run 199, the PV 200"


def test_the_first_images_of_a_run_contradict_nobody_where_no_pv_tells_its_type():
    daq = Daq(EpicsRun(number_pv=NUMBER), number="1").after(100)
    daq.set("number", "2")
    daq.after(1)
    assert (daq.image(2).number, daq.image(2).reason) == (2, "")
    assert (daq.image().number, daq.image(1).reason) == (1, "")


def test_a_path_without_a_number_gets_the_pvs_and_a_lost_number_contradicts_nobody():
    daq = going(kind="cosmic").after(100)
    assert daq.image().number == 100
    daq.timeline.lost(NUMBER, "disconnected", daq.now_s)
    daq.values.pop("number")
    daq.after(100)
    assert (daq.image(7).number, daq.image(7).masked, daq.image(7).reason) == (7, True, "")
    assert daq.image().number is None


def test_what_was_before_the_daemon_is_not_known():
    daq = going(kind="cosmic").after(5)
    assert daq.image(ago_s=1000) == daq.timeline.of(None, -1000, -990, daq.now_s)
    assert not daq.image(ago_s=1000).masked


def test_a_state_that_flickers_for_ever_costs_a_bounded_memory():
    daq = going()
    for n in range(5000):
        daq.now_s += 1
        daq.set("state", "running" if n % 2 else "ended")
    assert len(daq.timeline._spans) <= 2000
