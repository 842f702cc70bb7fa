"""The daemon as a process with a hall's run PVs: what masks, when nothing is STALE, and what is heard of a flood."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from daemon import FIXED_BEAM, Daemon
from epics_env import BeamIoc

from hydrad.domain import Severity, Status

pytestmark = pytest.mark.system

BAD = {"Good": 0.02, "Bad": 0.9, "NoData": 0.08}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    with ExitStack() as stack:
        yield lambda **parts: stack.enter_context(Daemon(tmp_path, **parts))


def runs_of(ioc: BeamIoc) -> str:
    pvs = "".join(f'{key} = "{ioc.pv(record)}"\n' for key, record in PVS.items())
    return f'{FIXED_BEAM}window_s = 0.1\n[run]\nkind = "epics"\nstale_s = 2\n{pvs}\n'


PVS = {"number_pv": "RUN", "state_pv": "DAQ", "type_pv": "TYPE"}


def test_a_cosmic_run_masks_and_without_a_run_nothing_is_stale(
    daemon: Callable[..., Daemon], fresh_beam_ioc: BeamIoc
) -> None:
    ioc = fresh_beam_ioc.start()
    for record, value in (("RUN", 7), ("TYPE", "cosmic_led"), ("DAQ", "running")):
        ioc.put(record, value)
    hydrad = daemon(beam=runs_of(ioc), scores=BAD, defaults="stale_s = 4\n").start()
    hydrad.until(lambda: hydrad.pv("RUN:TYPE").get() == "cosmic_led")
    assert (hydrad.pv("RUN:NUMBER").get(), hydrad.pv("RUN:STATE").get(as_string=True)) == (7, "RUNNING")
    shade = 0

    def land() -> None:
        nonlocal shade
        shade += 1
        hydrad.land("CDC_occupancy.png", shade)
        hydrad.until(lambda: hydrad.log.read_text().count('"image_judged"') == shade)

    for _ in range(3):
        land()
    status, says = hydrad.pv("CDC:OCCUPANCY:STATUS"), hydrad.pv("CDC:OCCUPANCY:MSG")
    hydrad.until(lambda: status.get() == Status.OTHER)
    assert "run 7 is of type cosmic_led" in says.get(as_string=True)
    assert hydrad.pv("CDC:OCCUPANCY:RUN").get() == 7  # the path does not tell
    assert hydrad.pv("SUMMARY").severity == Severity.NO_ALARM

    ioc.put("TYPE", "PRODUCTION")
    ioc.put("RUN", 8)
    hydrad.until(lambda: hydrad.pv("RUN:NUMBER").get() == 8)
    statuses = []
    status.add_callback(lambda value, **_: statuses.append(Status(value)))
    hydrad.until(lambda: land() or status.get() == Status.BAD)  # images filled in the run before may still come
    assert statuses.index(Status.SUSPECT) < statuses.index(Status.BAD)  # its on-delay, anew
    assert Status.GOOD not in statuses

    ioc.put("DAQ", "ended")
    hydrad.until(lambda: status.get() == Status.OTHER)
    assert "no run is going" in says.get(as_string=True)
    ioc.put("DAQ", "running")
    hydrad.until(lambda: "its first image is awaited" in says.get(as_string=True))
    hydrad.until(lambda: status.get() == Status.STALE)
    assert Status.STALE not in statuses[: statuses.index(Status.OTHER)]

    ioc.freeze()
    state = hydrad.pv("RUN:STATE")
    hydrad.until(lambda: state.get(as_string=True) == "UNKNOWN" and state.severity == Severity.INVALID)
    assert status.get() == Status.STALE  # a run is assumed to be going
    status.clear_callbacks()


def test_a_flood_is_one_alarm_on_the_pvs_also_after_a_restart(daemon: Callable[..., Daemon]) -> None:
    hydrad = daemon(scores=BAD, defaults="flood_above = 3\n").start()
    plots = [f"CDC_{letter}" for letter in "abcdef"]
    for times in range(2):
        for n, plot in enumerate(plots):
            hydrad.land(f"{plot}.png", 10 * times + n)
            judged = times * len(plots) + n + 1
            hydrad.until(lambda judged=judged: hydrad.log.read_text().count('"image_judged"') == judged)
    pvs = [hydrad.pv(f"CDC:{letter}:STATUS") for letter in "ABCDEF"]
    for _ in range(2):
        hydrad.until(lambda: [pv.get() for pv in pvs] == [Status.BAD] * 6)
        assert [pv.severity for pv in pvs] == [Severity.MAJOR] * 3 + [Severity.NO_ALARM] * 3
        assert "part of the flood of detector CDC" in hydrad.pv("CDC:F:MSG").get(as_string=True)
        detector = hydrad.pv("CDC:STATUS")
        assert (detector.get(), detector.severity) == (Status.BAD, Severity.MAJOR)
        says = hydrad.pv("CDC:MSG").get(as_string=True)
        assert says == "a flood, 6 plots alarm: a BAD, b BAD, c BAD, d BAD, e BAD, f BAD"
        assert hydrad.pv("CDC:NBAD").get() == 6
        hydrad.kill()
        hydrad.start()
    shown = {one["plot"]: (one["status"], one["severity"]) for one in hydrad.ask_json("status")}
    assert [shown[plot][0] for plot in plots] == ["BAD"] * 6
    assert [shown[plot][1] for plot in plots] == ["MAJOR"] * 3 + ["NO_ALARM"] * 3
