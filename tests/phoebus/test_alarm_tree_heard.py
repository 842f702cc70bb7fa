"""The alarm tree with CS-Studio's Channel Access library: what its alarm server would be told, and when."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import kit
import pytest
from control_room import DEAD_BOARD, GOOD, Watch, dump, settings_for, with_shipped_model
from daemon import Daemon
from epics_env import BeamIoc
from formulas import Formula
from listening import Listener

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

PLOT, QUIET = "CDC_occupancy", "TOF_timing"
BEAM = """\
[beam]
pv = "{pv}"
on_above = 5.0
off_below = 3.0
window_s = 1
"""


def planted(hydrad: Daemon) -> Path:
    """The tree of what it has seen."""
    tree = hydrad.home / "hydrad.xml"
    hydrad.ask("alarms", "--format", "phoebus", str(tree))
    return tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'A'==2||!('B'==1||'A'==2)", 1),
        ("'A'==2||!('B'==1||'A'==1)", 0),
        ("'A' < 2 && 'B' >= 1", 0),
        ("!'A' | 'B' & 'B'", 0),
        ("'GONE'<2", 0),
        ("'GONE'==2||!('GONE'==1)", 1),
    ],
)
def test_a_filter_is_worked_out_as_the_alarm_server_does(text: str, value: int) -> None:
    assert Formula(text).value({"A": 1, "B": 0, "GONE": math.nan}) == value


@pytest.mark.parametrize("text", ["'A'=1", "A==1", "'A'==1)", "('A'==1", "'A'==1 and 'B'==1"])
def test_what_the_alarm_server_would_not_understand_is_no_filter(text: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        Formula(text).value({"A": 1, "B": 0})


@pytest.mark.keras
def test_a_fault_is_major_within_its_delay_a_beam_trip_is_nothing_and_a_dead_daemon_is_one_alarm_until_it_is_back(
    tmp_path: Path, fresh_beam_ioc: BeamIoc
) -> None:
    beam = fresh_beam_ioc.start()
    beam.put("CURRENT", 100.0)
    with with_shipped_model(tmp_path, beam=BEAM.format(pv=beam.pv("CURRENT"))) as hydrad:
        hydrad.start()
        state = hydrad.pv("BEAM:STATE")
        hydrad.until(lambda: state.get(as_string=True) == "ON")
        for plot in (PLOT, QUIET):
            dump(hydrad, plot, 1)
        alarm = f"{hydrad.prefix}:CDC:OCCUPANCY:STATUS"
        with Listener(settings_for(hydrad)) as listener:
            watch = Watch(planted(hydrad), listener)
            assert alarm in watch.leaves
            listener.until(lambda: all(listener[pv].severity == "NO_ALARM" for pv in watch.leaves))

            listener.forget()
            beam.put("CURRENT", 0.0)
            hydrad.until(lambda: state.get(as_string=True) == "OFF")
            for chunk in (2, 3, 4):
                dump(hydrad, PLOT, chunk, beam=0.0)
            listener.until(lambda: listener[alarm].word == "NOBEAM")
            beam.put("CURRENT", 100.0)
            hydrad.until(lambda: state.get(as_string=True) == "ON")
            chunks = itertools.count(5)
            while hydrad.ask_json("status", PLOT)[0]["status"] == "NOBEAM":  # part of its time was without beam
                dump(hydrad, PLOT, next(chunks))
            listener.until(lambda: listener[alarm].word == "GOOD")
            for pv in watch.leaves:
                assert set(listener[pv].severities) == {"NO_ALARM"}, pv

            dump(hydrad, PLOT, next(chunks), faults=[DEAD_BOARD])
            watch.until({alarm: "MINOR"})
            dump(hydrad, PLOT, next(chunks), faults=[DEAD_BOARD])
            watch.until({alarm: "MAJOR"})
            assert listener[alarm].word == "BAD"
            for _ in range(2):
                dump(hydrad, PLOT, next(chunks))
            watch.until({})

            hydrad.kill()
            listener.until(lambda: not any(listener[pv].connected for pv in watch.leaves))
            watch.until({f"{hydrad.prefix}:WATCHDOG": "UNDEFINED"})
            hydrad.start()
            watch.until({}, within_s=90)
            assert listener[alarm].word == "GOOD"
        assert not listener.refused


def test_a_pipeline_that_hangs_is_stalled_in_a_living_ioc_and_its_statuses_are_invalid(tmp_path: Path) -> None:
    program = (str(kit.HERE / "told_daemon.py"),)
    with Daemon(tmp_path, scores=GOOD, defaults="stale_s = 5", program=program) as hydrad:
        hydrad.start()
        hydrad.land("CDC_occupancy.png", 1)
        hydrad.until(lambda: hydrad.counts()["judged"] == 1)
        watchdog, alarm = f"{hydrad.prefix}:WATCHDOG", f"{hydrad.prefix}:CDC:OCCUPANCY:STATUS"
        heartbeat = f"{hydrad.prefix}:HEARTBEAT"
        with Listener(settings_for(hydrad)) as listener:
            watch = Watch(planted(hydrad), listener)
            listener.hear([heartbeat])
            (tmp_path / "hang").touch()
            hydrad.land("CDC_occupancy.png", 2)
            watch.until({watchdog: "MAJOR"}, within_s=60)
            assert listener[watchdog].word == "STALLED"
            assert (listener[alarm].word, listener[alarm].severity) == ("STALE", "INVALID")
            beats = listener[heartbeat].number
            listener.until(lambda: listener[heartbeat].number > beats)
