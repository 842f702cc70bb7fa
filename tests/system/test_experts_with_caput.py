"""Experts with caput and the real daemon: what they put is judged by, kept through a kill, recorded and shown."""

from __future__ import annotations

import getpass
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import epics
import pytest
from ca_library import NORMAL, NOWTACCESS, PUTFAIL, acknowledge, put_and_hear, unacknowledged
from daemon import Daemon
from databases import Database
from epics_env import random_prefix
from steered import Heard, alarm, read, until

from hydrad.domain import Change, Severity, Status
from hydrad.store import changing
from hydrad.store.queries import Store

pytestmark = pytest.mark.system

PLOT = "CDC_occupancy"
GOOD = {"Good": 0.9, "Bad": 0.08, "NoData": 0.02}
BAD = {"Good": 0.02, "Bad": 0.9, "NoData": 0.08}
STATE, LOW = 7, 6
REASON = "HV work on sector 3, and a reason of more than the forty characters of a string"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    with ExitStack() as stack:
        yield lambda **parts: stack.enter_context(Daemon(tmp_path, **parts))


def put(name: str, value: Any) -> None:
    assert put_and_hear(name, value) == NORMAL, name


def write(name: str, text: str) -> None:
    """As ``caput -S`` does."""
    pv = epics.PV(name)
    assert pv.wait_for_connection(15), name
    pv.put(text, wait=True, timeout=10)
    pv.disconnect()


def land(hydrad: Daemon, shade: int) -> None:
    hydrad.land(f"{PLOT}.png", shade)
    hydrad.until(lambda: hydrad.counts()["judged"] == shade)


def test_what_experts_put_is_judged_by_and_kept_through_a_kill(
    daemon: Callable[..., Daemon], stored: dict[str, Any], database: Database
) -> None:
    mirror = f"{random_prefix()}:ai:"
    hydrad = daemon(scores=BAD, ioc=f'mirror = "{mirror}"', **stored).start()
    land(hydrad, 1)
    status = hydrad.pv("CDC:OCCUPANCY:STATUS")
    hydrad.until(lambda: status.get() == Status.SUSPECT)
    own = f"{hydrad.prefix}:"
    puts: dict[str, Any] = {
        f"{own}CDC:OCCUPANCY:THRESH:BAD": 0.8,
        f"{own}CDC:OCCUPANCY:ONDELAY": 3.0,
        f"{own}CDC:OCCUPANCY:OFFDELAY": 4.0,
        f"{own}BEAM:MIN": 12.0,
        f"{own}CDC:OCCUPANCY:STATUS.TWSV": "INVALID",
        f"{own}CDC:OCCUPANCY:STATUS.THSV": "MINOR",
        f"{own}CDC:OCCUPANCY:CONF.LOLO": 0.25,
        f"{own}CDC:OCCUPANCY:CONF.LLSV": "MAJOR",
        f"{own}CDC:OCCUPANCY:THRESH:BAD.HIHI": 0.99,
        f"{mirror}{PLOT}.LOLO": -0.99,
        f"{mirror}{PLOT}.HYST": 0.01,
        f"{own}CDC:NBAD.HIGH": 1.0,
        f"{own}CDC:NBAD.HSV": "MINOR",
        f"{own}SUMMARY.SVSV": "MINOR",
        f"{own}DB:STATUS.OSV": "MAJOR",
    }
    before = {name: read(name) for name in puts}
    for name, value in puts.items():
        put(name, value)
    assert alarm(f"{own}CDC:OCCUPANCY:STATUS") == (STATE, Severity.INVALID)
    assert alarm(f"{mirror}{PLOT}") == (LOW, Severity.MINOR)
    land(hydrad, 2)
    assert status.get(use_monitor=False) == Status.SUSPECT  # three in a row by now, two until then
    land(hydrad, 3)
    hydrad.until(lambda: status.get() == Status.BAD)
    assert status.severity == Severity.MINOR
    write(f"{own}CDC:OCCUPANCY:REASON", REASON)
    put(f"{own}CDC:OCCUPANCY:SHELVE", 30.0)
    hydrad.until(lambda: status.get() == Status.DISABLED)
    assert hydrad.pv("CDC:OCCUPANCY:MSG").get(as_string=True).endswith(f"by {getpass.getuser()}: {REASON}")
    held = {name: read(name) for name in puts}
    assert held != before

    hydrad.kill()
    with ExitStack() as stack:
        ears = [epics.PV(name, auto_monitor=True) for name in puts]
        seen: list[tuple[str, Any]] = []
        for ear in ears:
            ear.add_callback(lambda pvname, value, **_: seen.append((pvname, value)))
            stack.callback(ear.disconnect)
        hydrad.start()
        until(lambda: len({name for name, _ in seen}) == len(puts), 20)
        assert dict(seen) == held
        assert len(seen) == len(puts), "a PV was served before what was put to it held"
    hydrad.until(lambda: status.connected and status.get() == Status.DISABLED)
    assert 29 <= read(f"{own}CDC:OCCUPANCY:SHELVE") <= 30
    assert read(f"{own}CDC:OCCUPANCY:REASON.VAL$", text=True) == REASON
    put(f"{own}CDC:OCCUPANCY:SHELVE", 0.0)
    hydrad.until(lambda: status.get() == Status.BAD)
    assert status.severity == Severity.MINOR
    assert read(f"{own}CDC:OCCUPANCY:REASON", text=True) == ""

    with Store(database.url) as store:
        hydrad.until(lambda: len(store.settings_after(0)) == len(puts) + 3)
        told = [filed.change for filed in store.settings_after(0)]
        assert {change.by for change in told} == {getpass.getuser()}
        assert {change.host.split(".")[0] for change in told} == {socket.gethostname().split(".")[0]}
        assert {change.via for change in told} == {"ca"}
        for change, name in zip(told, puts, strict=False):
            assert (change.value, change.old) == (pytest.approx(held[name]), pytest.approx(before[name])), name
        assert [change.reason for change in told[-3:]] == [REASON, REASON, ""]
        assert len(changing.history(store, PLOT, "CDC", list(BAD))) == 12 + 1
        # The way back: a page takes a limit back, and the PV shows it.
        back = changing.put(
            store, Change("pv.mirror.LOLO", 0.0, "ana", "desk", datetime.now(UTC), "page", plot=PLOT, old=-0.99)
        )
        assert back.change.old == -0.99
        hydrad.until(lambda: read(f"{mirror}{PLOT}.LOLO") == 0.0)
        assert alarm(f"{mirror}{PLOT}")[1] == Severity.MAJOR


def test_a_shelf_ends_by_itself_and_says_so(daemon: Callable[..., Daemon]) -> None:
    hydrad = daemon(scores=BAD).start()
    for shade in (1, 2):
        land(hydrad, shade)
    own = f"{hydrad.prefix}:CDC:OCCUPANCY:"
    put(f"{own}SHELVE", 0.05)
    write(f"{own}REASON", "HV work")
    status = hydrad.pv("CDC:OCCUPANCY:STATUS")
    hydrad.until(lambda: "HV work" in read(f"{own}MSG", text=True))
    assert status.get(use_monitor=False) == Status.DISABLED
    hydrad.until(lambda: status.get() == Status.BAD)
    assert read(f"{own}MSG", text=True).startswith("no longer shelved since ")
    hydrad.until(lambda: read(f"{own}REASON", text=True) == "")
    (line,) = [line for line in map(json.loads, hydrad.log.read_text().splitlines()) if "no longer" in str(line)]
    assert (line["event"], line["plot"], line["status"]) == ("status_changed", PLOT, "BAD")
    hydrad.until(lambda: hydrad.ask_json("log")[0]["reason"].startswith("no longer shelved since "))


def test_who_may_not_put_changes_nothing_and_the_log_says_who_what_and_why(daemon: Callable[..., Daemon]) -> None:
    writers = 'writers = ["expert@*"]\n[ioc.writers_of]\nshelve = ["*@*"]\n'
    hydrad = daemon(scores=BAD, ioc=writers).start()
    land(hydrad, 1)
    own = f"{hydrad.prefix}:CDC:OCCUPANCY:"
    assert put_and_hear(f"{own}THRESH:BAD", 0.5) == NOWTACCESS
    assert put_and_hear(f"{own}SHELVE", 99999.0) == PUTFAIL
    put(f"{own}SHELVE", 5.0)
    acknowledge(f"{own}STATUS", Severity.MINOR)
    assert unacknowledged(f"{own}STATUS").acks == Severity.NO_ALARM
    lines = [json.loads(line) for line in hydrad.log.read_text().splitlines()]
    refused = [line for line in lines if line["event"] == "put_refused"]
    assert [(line["by"], line["pv"], line["value"]) for line in refused] == [
        (getpass.getuser(), f"{own}THRESH:BAD", 0.5), (getpass.getuser(), f"{own}SHELVE", 99999.0),
    ]  # fmt: skip
    assert all(line["why"] for line in refused)
    assert [line["key"] for line in lines if line["event"] == "setting_changed"] == ["shelved_until"]
    assert [line["pv"] for line in lines if line["event"] == "alarm_acknowledged"] == [f"{own}STATUS"]


def test_eighty_seven_mirrors_come_back_as_they_were(daemon: Callable[..., Daemon]) -> None:
    mirror = f"{random_prefix()}:ai:"
    hydrad = daemon(scores=GOOD, ioc=f'mirror = "{mirror}"').start()
    plots = [f"{('RICH', 'DC', 'BAND', 'ECAL', 'FTOF')[n % 5]}_tdc{n}" for n in range(87)]
    for n, plot in enumerate(plots):
        hydrad.land(f"{plot}.png", n + 1)
    hydrad.until(lambda: hydrad.counts()["judged"] == 87, 60)
    with Heard(f"{mirror}wf") as values, Heard(f"{mirror}wfnames") as names:
        until(lambda: len(values.events[-1][0]) == len(names.events[-1][0]) == 87, 10)
        called = list(names.events[-1][0])
        assert sorted(called) == sorted(f"{mirror}{plot}" for plot in plots)
        assert list(values.events[-1][0]) == pytest.approx([0.8] * 87)
        for name in called:
            put(f"{name}.LOW", 0.85)
            put(f"{name}.LOLO", -0.5)
        assert alarm(called[7]) == (LOW, Severity.MINOR)
        heard = len(values.events)
        hydrad.kill()
        began = time.monotonic()
        hydrad.start()
        until(lambda: len(values.events) > heard and len(values.events[-1][0]) == 87, 30)
        assert list(names.events[-1][0]) == called
        assert len(values.events) - heard <= time.monotonic() - began + 2  # once a round, not once a plot
    pvs = [epics.PV(name, form="ctrl", auto_monitor=False) for name in called]
    until(lambda: all(pv.connected for pv in pvs), 10)
    for pv in pvs:
        limits = pv.get_ctrlvars(timeout=5)
        assert (limits["lower_warning_limit"], limits["lower_alarm_limit"]) == (0.85, -0.5)
        pv.disconnect()
    assert {alarm(name) for name in called} == {(LOW, Severity.MINOR)}
