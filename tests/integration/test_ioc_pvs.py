"""The IOC as its clients know it: what its PVs say and what may be put to them."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import epics
import pytest
from epics_env import random_prefix
from ioc_world import ME, Ioc, ioc_with, put_text
from steered import Heard, Steered, alarm, connected, put, read, stamp, until

import hydrad
from hydrad.domain import Severity, Status

NO_ALARM, MINOR, MAJOR, INVALID = range(4)
READ, STATE, COMM, TIMEOUT, LINK, UDF, LOW = 1, 7, 9, 10, 14, 17, 6
TAKEN = datetime(2026, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def _ioc() -> Iterator[Ioc]:
    settings, prefix = ioc_with(mirror=f"{random_prefix()}:ai:")
    # A client in the same process has an environment of its own, which is none of the server's business.
    environment = {**os.environ, "EPICS_CA_SERVER_PORT": "5"}
    with Steered("ioc_process.py", json.dumps(settings), environment=environment) as process:
        ioc = Ioc(process, prefix)
        ioc.mirror = settings["mirror"]
        yield ioc


@pytest.fixture
def ioc(_ioc: Ioc) -> Ioc:
    """The IOC that the tests of this file share; each has detectors of its own."""
    return _ioc


def test_every_pv_is_there_with_description_and_kind(ioc: Ioc) -> None:
    ioc("rules", plot="ALL_occupancy")
    ioc("tell", plot="ALL_occupancy", status="GOOD")
    ioc("vitals", run={"state": "RUNNING", "number": 4711, "type": "physics"})
    ioc("tick", after_s=0)
    plot = {
        "STATUS": "mbbi", "CONF": "ai", "CLASS": "stringin", "MSG": "waveform", "AGE": "ai", "RUN": "longin",
        "NBAD": "longin", "THRESH:GOOD": "ao", "THRESH:BAD": "ao", "THRESH:NODATA": "ao", "ONDELAY": "longout",
        "OFFDELAY": "longout", "ONWINDOW": "longout", "OFFWINDOW": "longout", "ENABLE": "bo", "SHELVE": "ao",
        "REASON": "waveform",
    }  # fmt: skip
    detector = {
        "STATUS": "mbbi", "CONF": "ai", "CLASS": "stringin", "MSG": "waveform", "PLOT": "stringin", "AGE": "ai",
        "NBAD": "longin", "FLOOD": "bi", "ENABLE": "bo", "REASON": "waveform",
    }  # fmt: skip
    hall = {
        "SUMMARY": "mbbi", "NBAD": "longin", "NSTALE": "longin", "BEAM:CURRENT": "ai", "BEAM:STATE": "mbbi",
        "BEAM:MIN": "ao", "RUN:NUMBER": "longin", "RUN:STATE": "mbbi", "RUN:TYPE": "stringin",
        "WATCHDOG": "mbbi", "DB:STATUS": "bi", "MODEL:STATUS": "bi", "RATE": "ai", "LATENCY": "ai",
        "PENDING": "ai", "HEARTBEAT": "longin", "UPTIME": "stringin", "STARTTOD": "stringin",
        "VERSION": "stringin", "HOSTNAME": "stringin", "PROCESS_ID": "ai", "CA_CLNT_CNT": "ai",
        "MEM_USED": "ai", "MSG": "waveform",
    }  # fmt: skip
    expected = {
        **{f"ALL:OCCUPANCY:{name}": kind for name, kind in plot.items()},
        **{f"ALL:{name}": kind for name, kind in detector.items()},
        **hall,
    }
    channels = {
        f"{name}.{field}": epics.PV(ioc.pv(f"{name}.{field}"), auto_monitor=False)
        for name in expected
        for field in ("RTYP", "DESC", "SEVR")
    }
    until(lambda: all(channel.connected for channel in channels.values()))
    for name, kind in expected.items():
        assert channels[f"{name}.RTYP"].get(timeout=5) == kind, name
        assert channels[f"{name}.DESC"].get(timeout=5), name
    undefined = [name for name in expected if channels[f"{name}.SEVR"].get(timeout=5)]
    assert undefined == []
    for channel in channels.values():
        channel.disconnect()


def test_a_plot_that_was_never_judged_is_unknown_and_invalid(ioc: Ioc) -> None:
    ioc("rules", plot="NEW_plot")
    assert ioc.text("NEW:PLOT:STATUS") == "UNKNOWN"
    for name in ("NEW:PLOT:STATUS", "NEW:PLOT:CONF", "NEW:STATUS", "NEW:CONF"):
        assert ioc.alarm(name) == (UDF, INVALID), name
    assert ioc.text("NEW:MSG") == "NEW_plot: nothing judged yet"


@pytest.mark.parametrize("status", list(Status))
def test_a_status_has_its_number_its_name_and_its_severity(ioc: Ioc, status: Status) -> None:
    ioc("tell", plot="SEV_a", status=status.name)
    assert ioc.get("SEV:A:STATUS") == status.value
    assert ioc.text("SEV:A:STATUS") == status.name
    expected = (STATE, int(status.severity)) if status.severity is not Severity.NO_ALARM else (0, 0)
    assert ioc.alarm("SEV:A:STATUS") == expected
    assert ioc.text("SEV:A:MSG") == f"because it is {status.name}"


def test_a_new_plot_s_pvs_appear_while_serving(ioc: Ioc) -> None:
    late = epics.PV(ioc.pv("LATE:PLOT:STATUS"), auto_monitor=False)
    assert not late.wait_for_connection(0.3)
    ioc("tell", plot="LATE_plot", status="BAD")
    assert late.wait_for_connection(10)
    assert late.get(as_string=True) == "BAD"
    late.disconnect()


def test_a_change_of_status_is_one_event_with_the_time_of_the_image(ioc: Ioc) -> None:
    ioc("tell", plot="ONE_a", status="GOOD")
    with Heard(ioc.pv("ONE:A:STATUS")) as status, Heard(ioc.pv("ONE:A:CONF")) as conf:
        for heard in (status, conf):
            heard.events.clear()
            heard.stamps.clear()
        ioc("tell", plot="ONE_a", status="BAD", confidence=0.97, label="Bad", bad_in_a_row=2)
        ioc("tell", plot="ONE_a", status="BAD", confidence=0.97, label="Bad", bad_in_a_row=2)
        ioc("tell", plot="ONE_a", status="GOOD", confidence=0.5)
        until(lambda: len(status.events) >= 2 and len(conf.events) >= 2)
        assert status.events == [(Status.BAD, STATE, MAJOR), (Status.GOOD, 0, NO_ALARM)]
        assert [event[0] for event in conf.events] == [0.97, 0.5]
        assert status.stamps == conf.stamps == [pytest.approx(TAKEN, abs=1e-6)] * 2


def test_a_verdict_of_the_clock_has_the_time_it_was_given(ioc: Ioc) -> None:
    ioc("tell", plot="CLK_a", status="STALE", cause="clock")
    assert stamp(ioc.pv("CLK:A:STATUS")) > TAKEN + 3600


def test_an_older_image_never_overwrites_a_newer_status(ioc: Ioc) -> None:
    ioc("tell", plot="OLD_a", status="BAD")
    ioc("tell", plot="OLD_a", status="GOOD", superseded=True)
    assert ioc.text("OLD:A:STATUS") == "BAD"


def test_what_was_said_of_a_stale_image_is_not_to_be_trusted(ioc: Ioc) -> None:
    ioc("tell", plot="STL_a", status="STALE")
    assert (ioc.get("STL:A:CONF"), ioc.alarm("STL:A:CONF")) == (0.9, (TIMEOUT, INVALID))


@pytest.mark.parametrize("status", ["NOMODEL", "UNKNOWN"])
def test_without_a_prediction_there_is_no_confidence(ioc: Ioc, status: str) -> None:
    ioc("tell", plot="NOC_a", status=status, taken=False)
    assert math.isnan(ioc.get("NOC:A:CONF"))
    assert ioc.alarm("NOC:A:CONF") == (UDF, INVALID)
    assert ioc.text("NOC:A:CLASS") == ""
    assert ioc.alarm("NOC:A:RUN") == (UDF, INVALID)


def test_the_age_grows_in_whole_seconds(ioc: Ioc) -> None:
    ioc("tell", plot="AGE_a", status="GOOD")
    before = ioc.get("AGE:A:AGE")
    ioc("tick", after_s=100)
    after = ioc.get("AGE:A:AGE")
    assert before == int(before)
    assert 95 <= after - before <= 110
    assert ioc.get("AGE:AGE") == after


def test_a_detector_shows_its_worst_plot_and_counts_the_bad_ones(ioc: Ioc) -> None:
    for plot, status in (("a", "GOOD"), ("b", "SUSPECT"), ("c", "NODATA"), ("d", "BAD"), ("e", "NOMODEL")):
        ioc("tell", plot=f"DET_{plot}", status=status, label=plot)
    assert (ioc.text("DET:STATUS"), ioc.text("DET:PLOT"), ioc.text("DET:CLASS")) == ("BAD", "DET_d", "d")
    assert ioc.text("DET:MSG") == "DET_d: because it is BAD"
    assert ioc.get("DET:NBAD") == 2
    assert ioc.alarm("DET:STATUS") == (STATE, MAJOR)
    for plot in "bcd":
        ioc("tell", plot=f"DET_{plot}", status="GOOD")
    assert (ioc.text("DET:STATUS"), ioc.get("DET:NBAD")) == ("GOOD", 0)


def test_the_severity_that_operators_give_a_plot_counts_for_its_detector(ioc: Ioc) -> None:
    ioc("tell", plot="OPS_a", status="BAD")
    ioc("tell", plot="OPS_b", status="SUSPECT")
    with Heard(ioc.pv("OPS:A:STATUS")) as heard:
        heard.events.clear()
        ioc.put("OPS:A:STATUS.THSV", "NO_ALARM")  # at once: no verdict comes in between
        until(lambda: heard.last == (Status.BAD, 0, NO_ALARM))
    ioc("tick", after_s=0)
    assert ioc.text("OPS:PLOT") == "OPS_b"


def test_a_flood_is_one_alarm_of_the_detector_and_its_plots_show_their_true_status(ioc: Ioc) -> None:
    for n in range(12):
        ioc("tell", plot=f"FLO_{n:02}", status="BAD", **({"drowned": True} if n > 9 else {}))
    assert (ioc.text("FLO:11:STATUS"), ioc.alarm("FLO:11:STATUS")) == ("BAD", (0, NO_ALARM))
    assert ioc.alarm("FLO:09:STATUS") == (STATE, MAJOR)
    assert (ioc.text("FLO:STATUS"), ioc.alarm("FLO:STATUS"), ioc.get("FLO:NBAD")) == ("BAD", (STATE, MAJOR), 12)
    assert (ioc.text("FLO:FLOOD"), ioc.alarm("FLO:FLOOD")) == ("Flood", (STATE, MAJOR))
    says = ioc.text("FLO:MSG")
    assert says.startswith("a flood, 12 plots alarm: 00 BAD, 01 BAD, 02 BAD")
    assert says.endswith("11 BAD")
    ioc.put("FLO:11:STATUS.THSV", "MINOR")  # what an operator wants it to be once it is no flood's any more
    assert ioc.alarm("FLO:11:STATUS") == (0, NO_ALARM)
    ioc("tell", plot="FLO_10", status="GOOD")
    ioc("tell", plot="FLO_11", status="BAD")
    assert ioc.alarm("FLO:11:STATUS") == (STATE, MINOR)
    assert ioc.text("FLO:MSG").startswith("FLO_00: ")
    assert (ioc.text("FLO:FLOOD"), ioc.alarm("FLO:FLOOD")) == ("No", (0, NO_ALARM))


def test_a_flood_whose_plots_all_drown_is_heard_of_the_detector_and_the_hall(ioc: Ioc) -> None:
    for n in range(40):
        ioc("tell", plot=f"ALLFLO_a_rather_long_name_{n:02}", status="NODATA", drowned=True)
    assert (ioc.text("ALLFLO:STATUS"), ioc.alarm("ALLFLO:STATUS")) == ("NODATA", (STATE, MAJOR))
    says = ioc.text("ALLFLO:MSG")
    assert says.startswith("a flood, 40 plots alarm: a_rather_long_name_00 NODATA, ")
    assert says.endswith(" more")
    assert len(says) < 256


def test_the_hall_is_as_its_worst_detector() -> None:
    settings, prefix = ioc_with()
    with Steered("ioc_process.py", json.dumps(settings)) as process:
        ioc = Ioc(process, prefix)
        assert (ioc.text("SUMMARY"), ioc.alarm("SUMMARY")) == ("UNKNOWN", (UDF, INVALID))
        for plot, status in (("A_a", "GOOD"), ("B_b", "BAD"), ("B_c", "NODATA")):
            ioc("tell", plot=plot, status=status)
        assert (ioc.text("SUMMARY"), ioc.get("NBAD"), ioc.get("NSTALE")) == ("BAD", 2, 0)
        ioc("tell", plot="A_a", status="STALE")
        assert (ioc.text("SUMMARY"), ioc.get("NSTALE")) == ("STALE", 1)
        assert ioc.alarm("SUMMARY") == (STATE, INVALID)


def test_the_beam_and_the_pipeline_are_shown(ioc: Ioc) -> None:
    ioc("vitals", current=201.5, health="STALLED", database_ok=False, model_ok=False, beam_on_above=7.5)
    assert (ioc.get("BEAM:CURRENT"), ioc.text("BEAM:STATE"), ioc.get("BEAM:MIN")) == (201.5, "ON", 7.5)
    assert read(ioc.pv("BEAM:CURRENT.EGU")) == "nA"
    assert (ioc.text("WATCHDOG"), ioc.alarm("WATCHDOG")) == ("STALLED", (STATE, MAJOR))
    assert ioc.alarm("DB:STATUS") == (STATE, MINOR)
    assert ioc.alarm("MODEL:STATUS") == (STATE, MAJOR)
    assert (ioc.get("RATE"), ioc.get("LATENCY"), ioc.get("PENDING")) == (1.5, 0.25, 3.0)


def test_the_run_is_shown_and_what_cannot_be_read_of_it_is_invalid_by_its_link(ioc: Ioc) -> None:
    ioc("vitals", run={"state": "RUNNING", "number": 4711, "type": "cosmic", "masked": True})
    assert (ioc.get("RUN:NUMBER"), ioc.text("RUN:STATE"), ioc.text("RUN:TYPE")) == (4711, "RUNNING", "cosmic")
    assert {ioc.alarm(f"RUN:{leaf}") for leaf in ("NUMBER", "STATE", "TYPE")} == {(0, NO_ALARM)}
    ioc("vitals", run={"state": "UNKNOWN", "reason": "PVs disconnected"})
    assert ioc.alarm("RUN:NUMBER") == ioc.alarm("RUN:STATE") == ioc.alarm("RUN:TYPE") == (LINK, INVALID)
    ioc("vitals", run={"state": "UNKNOWN", "number": 7})  # nobody was asked: the paths tell
    assert (ioc.get("RUN:NUMBER"), ioc.text("RUN:STATE"), ioc.text("RUN:TYPE")) == (7, "UNKNOWN", "")
    assert {ioc.alarm(f"RUN:{leaf}") for leaf in ("NUMBER", "STATE", "TYPE")} == {(0, NO_ALARM)}


def test_a_lost_beam_is_invalid_by_its_link(ioc: Ioc) -> None:
    ioc("vitals", beam="UNKNOWN", current=None)
    assert ioc.text("BEAM:STATE") == "UNKNOWN"
    assert ioc.alarm("BEAM:STATE") == ioc.alarm("BEAM:CURRENT") == (LINK, INVALID)
    ioc("vitals", beam="OFF", current=0.0)
    assert ioc.alarm("BEAM:STATE") == ioc.alarm("BEAM:CURRENT") == (0, NO_ALARM)


def test_the_ioc_says_how_it_is(ioc: Ioc) -> None:
    ioc("tick", after_s=90061)
    first = ioc.get("HEARTBEAT")
    ioc("tick", after_s=90061)
    assert ioc.get("HEARTBEAT") == first + 5
    assert ioc.text("UPTIME").startswith("1 day, 01:01:")
    assert ioc.text("VERSION") == hydrad.__version__
    assert ioc.text("HOSTNAME") == socket.gethostname()
    assert ioc.get("PROCESS_ID") == ioc.process.pid
    assert ioc.get("CA_CLNT_CNT") >= 1
    assert ioc.get("MEM_USED") > 10e6


def test_the_mirror_is_good_minus_bad_with_limits_of_the_operators(ioc: Ioc) -> None:
    mirror = f"{ioc.mirror}MIR_a_b"
    ioc("tell", plot="MIR_a b", status="GOOD", scores={"Good": 0.6, "Bad": 0.1, "NoData": 0.2, "Cosmic": 0.1})
    assert read(mirror) == pytest.approx(0.3)
    assert alarm(mirror) == (0, NO_ALARM)
    put(f"{mirror}.LOW", 0.5)
    put(f"{mirror}.LSV", "MINOR")
    assert alarm(mirror) == (LOW, MINOR)
    ioc("tell", plot="MIR_a b", status="STALE")
    assert math.isnan(read(mirror))
    assert alarm(mirror) == (UDF, INVALID)


@pytest.mark.parametrize(
    ("name", "value", "key", "given"),
    [
        ("PUT:A:THRESH:BAD", 0.8, "threshold.Bad", 0.8),
        ("PUT:A:THRESH:NODATA", 0.0, "threshold.NoData", 0.0),
        ("PUT:A:ONDELAY", 3, "on_delay", 3.0),
        ("PUT:A:OFFDELAY", 1000, "off_delay", 1000.0),
        ("PUT:A:ONWINDOW", 5, "on_window", 5.0),
        ("PUT:A:OFFWINDOW", 7, "off_window", 7.0),
        ("PUT:A:ENABLE", 0, "enabled", 0.0),
        ("PUT:A:ENABLE", "Enabled", "enabled", 1.0),
    ],
)
def test_a_put_is_handed_on_with_who_and_shown(ioc: Ioc, name: str, value: Any, key: str, given: float) -> None:
    if name != "PUT:A:ENABLE" or value == 0:
        ioc("rules", plot="PUT_a")
    old = ioc.get(name)
    before = len(ioc("changes"))
    ioc.put(name, value)
    assert ioc.get(name) == given
    (change,) = ioc("changes")[before:]
    assert (change["key"], change["value"], change["old"]) == (key, given, old)
    assert (change["plot"], change["detector"], change["via"]) == ("PUT_a", None, "ca")
    assert f"{change['by']}@{change['host']}" == ME


def test_what_holds_already_is_no_change(ioc: Ioc) -> None:
    ioc("rules", plot="SAME_a")
    before = len(ioc("changes"))
    ioc.put("SAME:A:ONDELAY", 2)
    assert len(ioc("changes")) == before


def test_a_detector_is_switched_off_with_all_its_plots(ioc: Ioc) -> None:
    for plot in ("SW_a", "SW_b"):
        ioc("rules", plot=plot)
    before = len(ioc("changes"))
    ioc.put("SW:ENABLE", 0)
    (change,) = ioc("changes")[before:]
    assert (change["key"], change["value"], change["plot"], change["detector"]) == ("enabled", 0.0, None, "SW")
    assert [ioc.get(name) for name in ("SW:ENABLE", "SW:A:ENABLE", "SW:B:ENABLE")] == [0, 0, 0]


def test_a_plot_is_shelved_for_minutes_and_shows_what_is_left(ioc: Ioc) -> None:
    ioc("rules", plot="SHV_a")
    before = len(ioc("changes"))
    ioc.put("SHV:A:SHELVE", 30)
    assert ioc.get("SHV:A:SHELVE") == 30.0
    (change,) = ioc("changes")[before:]
    assert change["key"] == "shelved_until"
    assert change["value"] - change["at"] == pytest.approx(1800)
    ioc("tick", after_s=601)
    assert ioc.get("SHV:A:SHELVE") == 20.0
    ioc.put("SHV:A:SHELVE", 0)
    assert ioc.get("SHV:A:SHELVE") == 0.0
    assert ioc("changes")[-1]["value"] == 0.0


def test_the_least_beam_current_is_a_setting_of_the_hall(ioc: Ioc) -> None:
    ioc("vitals", {})
    ioc.put("BEAM:MIN", 12.5)
    change = ioc("changes")[-1]
    assert (change["key"], change["value"], change["old"]) == ("beam.on_above", 12.5, 5.0)
    assert (change["plot"], change["detector"]) == (None, None)
    assert ioc.get("BEAM:MIN") == 12.5


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("REF:A:THRESH:BAD", 1.5, "= 1.5: must be from 0 to 1"),
        ("REF:A:THRESH:BAD", -0.01, "= -0.01: must be from 0 to 1"),
        ("REF:A:THRESH:BAD", math.nan, "= nan: must be a finite number"),
        ("REF:A:THRESH:BAD", math.inf, "= inf: must be a finite number"),
        ("REF:A:THRESH:BAD", 0.123, "= 0.123: the expert does not want that"),
        ("REF:A:ONDELAY", 0, "= 0: must be from 1 to 1000"),
        ("REF:A:ONDELAY", 1001, "= 1001: must be from 1 to 1000"),
        ("REF:A:OFFDELAY", "2.5", "= '2.5': must be a whole number"),
        ("REF:A:SHELVE", 10081, "= 10081: must be from 0 to 10080"),
        ("REF:A:SHELVE", math.nan, "= nan: must be a finite number"),
        ("REF:A:ENABLE", "Maybe", "= 'Maybe': must be one of Disabled, Enabled"),
        ("BEAM:MIN", 0, "= 0: must be above 0"),
        ("REF:A:STATUS", 1, "= 1: is read-only"),
        ("REF:A:CONF", 1.0, "= 1: is read-only"),
        ("REF:A:CLASS", "Good", "= 'Good': is read-only"),
        ("SUMMARY", 1, "= 1: is read-only"),
        ("REF:A:CONF.DESC", "mine", "= 'mine': is read-only"),
        ("REF:A:CONF.LOW", math.nan, "= nan: must be a finite number"),
        ("REF:A:STATUS.ZRSV", "LOUD", "= 'LOUD': must be one of NO_ALARM, MINOR, MAJOR, INVALID"),
        ("REF:A:STATUS.FTSV", "MAJOR", "= 'MAJOR': there is no such state"),
    ],
)
def test_a_refused_put_changes_nothing_and_is_answered(ioc: Ioc, name: str, value: Any, why: str) -> None:
    ioc("rules", plot="REF_a")
    ioc("tell", plot="REF_a", status="SUSPECT")
    before, alarm_before, changes = ioc.get(name), ioc.alarm(name), ioc("changes")
    if isinstance(value, str):
        with connected(ioc.pv(name)) as pv:
            epics.ca.put(pv.chid, value, wait=True) if pv.type.endswith("string") else put_text(pv, value)
    else:
        ioc.put(name, value)
    until(lambda: why in ioc.text("MSG"))
    assert ioc.text("MSG") == f"{ME}: {name} {why}"
    assert (ioc.get(name), ioc.alarm(name), ioc("changes")) == (before, alarm_before, changes)


def test_a_put_refused_twice_is_answered_twice(ioc: Ioc) -> None:
    ioc("rules", plot="TWI_a")
    with Heard(ioc.pv("MSG")) as heard:
        heard.events.clear()
        for _ in range(2):
            ioc.put("TWI:A:ONDELAY", 0)
        until(lambda: len(heard.events) >= 2)


def test_who_is_not_among_the_writers_puts_nothing() -> None:
    settings, prefix = ioc_with(writers=["expert@*", "*@nowhere"])
    with Steered("ioc_process.py", json.dumps(settings)) as process:
        ioc = Ioc(process, prefix)
        ioc("rules", plot="W_a")
        for name, value in (("W:A:THRESH:BAD", 0.9), ("W:A:STATUS.ZRSV", "MINOR")):
            before = ioc.get(name)
            ioc.put(name, value)
            assert ioc.get(name) == before
            assert ioc.text("MSG").startswith(f"{ME}: {name} = ")
            assert ioc.text("MSG").endswith(": is not among those who may put (ioc.writers)")
        assert ioc("changes") == []


def test_two_plots_of_one_name_have_pvs_of_their_own(ioc: Ioc) -> None:
    ioc("tell", plot="TW_a b", status="GOOD")
    ioc("tell", plot="TW_a_b", status="BAD")
    assert ioc.text("TW:A_B:STATUS") == "GOOD"
    assert ioc.text("TW:PLOT") == "TW_a_b"
    assert ioc.get("TW:NBAD") == 1


def test_a_label_that_the_new_model_does_not_have_is_no_longer_a_threshold(ioc: Ioc) -> None:
    ioc("rules", plot="LAB_a")
    ioc("rules", plot="LAB_a", thresholds={"Good": 0.5, "Noisy": 0.7})
    assert ioc.get("LAB:A:THRESH:NOISY") == 0.7
    assert ioc.alarm("LAB:A:THRESH:BAD") == (UDF, INVALID)


def test_before_it_goes_everybody_is_told_that_nothing_is_known_any_more() -> None:
    settings, prefix = ioc_with(mirror=f"{random_prefix()}:")
    with Steered("ioc_process.py", json.dumps(settings)) as process:
        ioc = Ioc(process, prefix)
        ioc("tell", plot="BYE_a", status="GOOD")
        ioc("rules", plot="BYE_a")
        ioc("vitals", {})
        names = ("BYE:A:STATUS", "BYE:A:CONF", "BYE:STATUS", "SUMMARY", "BEAM:STATE", "BEAM:CURRENT", "WATCHDOG")
        with Heard(f"{settings['mirror']}BYE_a") as mirror, Heard(ioc.pv("BYE:A:MSG")) as message:
            heard = {name: Heard(ioc.pv(name)) for name in names}
            process.tell('farewell "hydrad was stopped"')
            process.signal(signal.SIGKILL)  # what was told has left the process
            for name, one in heard.items():
                until(lambda one=one: one.last is not None and one.last[1:] == (COMM, INVALID))
                if name.endswith(("STATUS", "SUMMARY")):
                    assert one.last is not None
                    assert one.last[0] == Status.UNKNOWN
            until(lambda: mirror.last is not None and mirror.last[2] == INVALID)
            until(lambda: message.last is not None and bytes(message.last[0]).startswith(b"hydrad was stopped"))
            for one in heard.values():
                one.__exit__()


def test_nothing_is_shown_after_the_farewell() -> None:
    settings, prefix = ioc_with()
    with Steered("ioc_process.py", json.dumps(settings)) as process:
        ioc = Ioc(process, prefix)
        ioc("tell", plot="AFT_a", status="GOOD")
        ioc("farewell", "good-bye")
        ioc("tell", plot="AFT_a", status="GOOD")
        ioc("vitals", {})
        ioc("tick", after_s=1)
        for name in ("AFT:A:STATUS", "AFT:A:AGE", "AFT:STATUS", "SUMMARY", "BEAM:STATE"):
            assert ioc.alarm(name) == (COMM, INVALID), name
