"""What experts do with caput: reasons, limits and severities that stay, and who may; and the mirror of all plots."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import epics
import pytest
from ca_library import NORMAL, NOWTACCESS, PUTFAIL, acknowledge, put_and_hear, unacknowledged
from epics_env import random_prefix
from ioc_world import ME, Ioc, ioc_with, put_text
from steered import Heard, Steered, alarm, connected, put, read, until

NO_ALARM, MINOR, MAJOR, INVALID = range(4)
STATE, LOLO, LOW, COMM, UDF = 7, 5, 6, 9, 17
USER = ME.partition("@")[0]


@pytest.fixture(scope="module")
def _ioc() -> Iterator[Ioc]:
    settings, prefix = ioc_with()
    with Steered("ioc_process.py", json.dumps(settings), environment=dict(os.environ)) as process:
        yield Ioc(process, prefix)


@pytest.fixture
def ioc(_ioc: Ioc) -> Ioc:
    """The IOC that the tests of this file share; each has detectors of its own."""
    return _ioc


@pytest.fixture
def own() -> Iterator[Any]:
    """Starts an IOC with settings of the test's own."""
    processes: list[Steered] = []

    def start(**settings: Any) -> Ioc:
        said, prefix = ioc_with(**settings)
        processes.append(Steered("ioc_process.py", json.dumps(said)))
        ioc = Ioc(processes[-1], prefix)
        ioc.mirror = said.get("mirror", "")
        return ioc

    yield start
    for process in processes:
        process.__exit__()


def write(name: str, text: str) -> None:
    """Write a text as ``caput -S`` does."""
    put(name, text)


def test_a_reason_written_first_goes_with_the_shelf(ioc: Ioc) -> None:
    ioc("rules", plot="RF_a")
    write(ioc.pv("RF:A:REASON"), "HV work on sector 3, until Ana says so, and some more words than a string may have")
    ioc.put("RF:A:SHELVE", 30)
    reason, shelf = ioc("changes")[-2:]
    assert (reason["key"], reason["value"], reason["plot"], reason["by"]) == ("reason", 1.0, "RF_a", USER)
    assert shelf["key"] == "shelved_until"
    assert shelf["reason"] == reason["reason"] == ioc.text("RF:A:REASON")
    assert shelf["reason"].endswith("may have")


def test_a_reason_written_after_amends_the_shelf_and_is_gone_with_it(ioc: Ioc) -> None:
    ioc("rules", plot="RA_a")
    ioc.put("RA:A:SHELVE", 30)
    write(ioc.pv("RA:A:REASON.VAL$"), "HV work")
    assert ioc.text("RA:A:REASON") == "HV work"
    assert ioc("changes")[-1]["reason"] == "HV work"
    with Heard(ioc.pv("RA:A:REASON")) as heard:
        heard.events.clear()
        ioc.put("RA:A:SHELVE", 0)
        until(lambda: len(heard.events) == 1)
    assert ioc.text("RA:A:REASON") == ""


def test_a_reason_is_gone_when_its_shelf_is_over(ioc: Ioc) -> None:
    ioc("rules", plot="RO_a")
    write(ioc.pv("RO:A:REASON"), "HV work")
    ioc.put("RO:A:SHELVE", 10)
    ioc("tick", after_s=590)
    assert ioc.text("RO:A:REASON") == "HV work"
    ioc("tick", after_s=601)
    assert (ioc.text("RO:A:REASON"), ioc.get("RO:A:SHELVE")) == ("", 0.0)


def test_a_detector_that_is_switched_off_has_its_reason(ioc: Ioc) -> None:
    for plot in ("RD_a", "RD_b"):
        ioc("rules", plot=plot)
    ioc.put("RD:ENABLE", 0)
    write(ioc.pv("RD:REASON"), "no gas")
    assert (ioc.text("RD:REASON"), ioc.text("RD:A:REASON")) == ("no gas", "")
    change = ioc("changes")[-1]
    assert (change["key"], change["detector"], change["plot"], change["reason"]) == ("reason", "RD", None, "no gas")
    ioc.put("RD:ENABLE", 1)
    assert ioc.text("RD:REASON") == ""


@pytest.mark.parametrize(
    ("value", "held"),
    [("a\nb \t c", "a b c"), ("", ""), ("x", "x"), ("y" * 300, "y" * 255), ("µ" * 200, "µ" * 127)],
)
def test_any_text_can_be_a_reason(ioc: Ioc, value: str, held: str) -> None:
    ioc("rules", plot="RT_a")
    ioc.put("RT:A:ENABLE", 0)
    write(ioc.pv("RT:A:REASON"), "before")
    with connected(ioc.pv("RT:A:REASON")) as pv:
        pv.put([*value.encode()[:255], 0], wait=True, timeout=5)
        assert bytes(pv.get(timeout=5, count=256)).split(b"\0")[0].decode() == held
    put_text(epics.PV(ioc.pv("RT:A:REASON")), "caput without -S")
    until(lambda: ioc.text("RT:A:REASON") == "caput without -S")


def test_what_is_no_text_is_no_reason(ioc: Ioc) -> None:
    ioc("rules", plot="RN_a")
    assert put_and_hear(ioc.pv("RN:A:REASON"), 1.5) == PUTFAIL
    assert ioc.text("MSG") == f"{ME}: RN:A:REASON = 1.5: must be a text"


@pytest.mark.parametrize(
    ("name", "value", "key", "kept", "old"),
    [
        ("KP:A:STATUS.THSV", "MINOR", "pv.STATUS.THSV", 1.0, 2.0),
        ("KP:A:STATUS.ONSV", 3, "pv.STATUS.ONSV", 3.0, 0.0),
        ("KP:A:CONF.LOLO", 0.25, "pv.CONF.LOLO", 0.25, 0.0),
        ("KP:A:CONF.LLSV", "MAJOR", "pv.CONF.LLSV", 2.0, 0.0),
        ("KP:A:NBAD.HIGH", 5, "pv.NBAD.HIGH", 5.0, 0.0),
        ("KP:A:THRESH:BAD.HYST", 0.1, "pv.THRESH:Bad.HYST", 0.1, 0.0),
        ("KP:A:ENABLE.ZSV", "MINOR", "pv.ENABLE.ZSV", 1.0, 0.0),
    ],
)
def test_a_limit_or_severity_is_kept_with_who_and_what_it_was(
    ioc: Ioc, name: str, value: Any, key: str, kept: float, old: float
) -> None:
    ioc("rules", plot="KP_a")
    before = len(ioc("changes"))
    ioc.put(name, value)
    (change,) = ioc("changes")[before:]
    assert (change["key"], change["value"], change["old"]) == (key, kept, old)
    assert (change["plot"], change["detector"], change["via"]) == ("KP_a", None, "ca")
    assert f"{change['by']}@{change['host']}" == ME
    ioc.put(name, value)
    assert len(ioc("changes")) == before + 1


def test_limits_of_detectors_and_of_the_hall_are_kept_as_theirs(ioc: Ioc) -> None:
    ioc("rules", plot="KD_a")
    ioc.put("KD:NBAD.HIHI", 3)
    ioc.put("BEAM:CURRENT.HIHI", 450)
    ioc.put("SUMMARY.TWSV", "NO_ALARM")
    told = [(one["key"], one["plot"], one["detector"]) for one in ioc("changes")[-3:]]
    assert told == [
        ("pv.NBAD.HIHI", None, "KD"), ("pv.BEAM:CURRENT.HIHI", None, None), ("pv.SUMMARY.TWSV", None, None),
    ]  # fmt: skip


def test_who_may_put_is_said_group_by_group(own: Any) -> None:
    nobody = ["expert@*"]
    ioc = own(writers=nobody, writers_of={"shelve": [f"{USER}@*"], "alarms": ["*@*"], "delays": []})
    ioc("rules", plot="W_a")
    ioc("tell", plot="W_a", status="BAD")
    ioc.put("W:A:SHELVE", 5)
    ioc.put("W:A:STATUS.THSV", "MINOR")
    assert (ioc.get("W:A:SHELVE"), ioc.alarm("W:A:STATUS")) == (5.0, (STATE, MINOR))
    write(ioc.pv("W:A:REASON"), "HV work")  # of who may shelve
    assert ioc.text("W:A:REASON") == "HV work"
    acknowledge(ioc.pv("W:A:STATUS"), MAJOR)  # everybody may, unless it is said
    assert unacknowledged(ioc.pv("W:A:STATUS")).acks == NO_ALARM
    before = len(ioc("changes"))
    for name, value, key in (
        ("W:A:ENABLE", 0.0, "ioc.writers"),
        ("W:A:ONDELAY", 7.0, "ioc.writers_of.delays"),
        ("W:A:THRESH:BAD", 0.9, "ioc.writers"),
        ("BEAM:MIN", 9.0, "ioc.writers"),
        ("W:REASON", "x", "ioc.writers"),
    ):
        assert put_and_hear(ioc.pv(name), value) == NOWTACCESS, name
        assert ioc.text("MSG").endswith(f": is not among those who may put ({key})")
    assert len(ioc("changes")) == before


def test_who_may_acknowledge_is_a_group_of_its_own(own: Any) -> None:
    ioc = own(writers_of={"acknowledge": ["crew@*"]})
    ioc("tell", plot="Q_a", status="BAD")
    acknowledge(ioc.pv("Q:A:STATUS"), MAJOR)
    assert unacknowledged(ioc.pv("Q:A:STATUS")).acks == MAJOR
    assert ioc.text("MSG") == f"{ME}: Q:A:STATUS: is not among those who may put (ioc.writers_of.acknowledge)"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RP:A:THRESH:BAD", 1.5), ("RP:A:THRESH:BAD", math.nan), ("RP:A:THRESH:BAD", "much"), ("RP:A:ENABLE", 2.0),
        ("RP:A:ENABLE", "Maybe"), ("RP:A:ENABLE", math.nan), ("RP:A:SHELVE", -1.0), ("RP:A:STATUS", "GOOD"),
        ("RP:A:STATUS.ZRSV", 4.0), ("RP:A:CONF.LOLO", math.nan), ("BEAM:MIN", -3.0),
    ],
)  # fmt: skip
def test_a_refused_put_with_callback_is_answered_as_refused(ioc: Ioc, name: str, value: Any) -> None:
    ioc("rules", plot="RP_a")
    before, changes = ioc.get(name), ioc("changes")
    assert put_and_hear(ioc.pv(name), value) == PUTFAIL
    assert ioc.text("MSG").startswith(f"{ME}: {name} = ")
    assert ioc.get(name) == pytest.approx(before, nan_ok=True)
    assert ioc("changes") == changes


def test_a_put_with_callback_is_confirmed_when_the_verdict_knows_of_it(ioc: Ioc) -> None:
    ioc("rules", plot="CB_a")
    assert put_and_hear(ioc.pv("CB:A:ENABLE"), "Disabled") == NORMAL
    assert ioc("changes")[-1]["key"] == "enabled"


HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "change-judgement-by-caput.md"
CAPUT = re.compile(r'caput (?:-S )?(\S+) (?:"([^"]+)"|([^\s;]+))')


def test_what_the_how_to_puts_is_taken(own: Any) -> None:
    ioc = own(mirror="HB:monitoring:ai:")
    for plot in ("CDC_occupancy", "DC_occupancy"):
        ioc("rules", plot=plot, thresholds={"Bad": 0.5})
        ioc("tell", plot=plot, status="BAD")
    ioc("vitals", {})
    lines = [line for line in HOW_TO.read_text().splitlines() if line.startswith("caput")]
    puts = [found.groups() for line in lines for found in CAPUT.finditer(line.replace("${P}", ioc.prefix))]
    for name, quoted, word in puts:
        with connected(name) as pv:
            pv.put(quoted, wait=True, timeout=5) if quoted else put_text(pv, word)
    until(lambda: len(ioc("changes")) == len(puts) == 11)
    assert ioc.text("MSG") == ""


# ---- the mirror ------------------------------------------------------------------------------------------------------

LIKE_GOOD = {"Good": 0.9, "Bad": 0.1}
LIKE_BAD = {"Good": 0.1, "Bad": 0.9}


def mirrored(own: Any, **settings: Any) -> Ioc:
    ioc: Ioc = own(mirror=f"{random_prefix()}:monitoring:ai:", **settings)
    return ioc


def test_a_mirror_that_nobody_touched_alarms_when_bad_outweighs_good(own: Any) -> None:
    ioc = mirrored(own)
    name = f"{ioc.mirror}DC_occupancy"
    ioc("tell", plot="DC_occupancy", status="GOOD", scores=LIKE_GOOD)
    assert (read(name), alarm(name)) == (pytest.approx(0.8), (0, NO_ALARM))
    ioc("tell", plot="DC_occupancy", status="BAD", scores=LIKE_BAD)
    assert (read(name), alarm(name)) == (pytest.approx(-0.8), (LOLO, MAJOR))
    assert [read(f"{name}.{field}", text=True) for field in ("LLSV", "LSV", "HSV")] == ["MAJOR", "MINOR", "NO_ALARM"]


def test_the_limits_of_untouched_mirrors_are_those_of_the_configuration(own: Any) -> None:
    ioc = mirrored(
        own, mirror_limits={"low": 0.5, "lolo": -0.5, "lsv": "MINOR", "llsv": "MAJOR", "high": 0.99, "hsv": "MINOR"}
    )
    name = f"{ioc.mirror}DC_occupancy"
    ioc("tell", plot="DC_occupancy", status="SUSPECT", scores={"Good": 0.6, "Bad": 0.4})
    assert alarm(name) == (LOW, MINOR)
    assert (read(f"{name}.LOLO"), read(f"{name}.HIGH")) == (-0.5, 0.99)


@pytest.mark.parametrize("status", ["NOBEAM", "DISABLED", "OTHER"])
def test_a_mirror_does_not_alarm_while_nothing_is_expected_of_its_plot(own: Any, status: str) -> None:
    ioc = mirrored(own)
    name = f"{ioc.mirror}DC_a"
    ioc("tell", plot="DC_a", status="BAD", scores=LIKE_BAD)
    with Heard(name) as heard:
        ioc("tell", plot="DC_a", status=status, scores=LIKE_BAD)
        until(lambda: heard.last is not None and heard.last[1:] == (0, NO_ALARM))
        put(f"{name}.LOLO", 0.5)  # even when somebody moves its limits meanwhile
        assert alarm(name) == (0, NO_ALARM)
        assert read(name) == pytest.approx(-0.8)
        ioc("tell", plot="DC_a", status="BAD", scores=LIKE_BAD)
        until(lambda: heard.last is not None and heard.last[1:] == (LOLO, MAJOR))


def test_a_mirror_of_a_plot_without_a_model_has_no_number_and_no_alarm(own: Any) -> None:
    ioc = mirrored(own)
    ioc("tell", plot="DC_a", status="NOMODEL", scores={}, taken=False)
    assert math.isnan(read(f"{ioc.mirror}DC_a"))
    assert alarm(f"{ioc.mirror}DC_a") == (0, NO_ALARM)


@pytest.mark.parametrize("status", ["STALE", "UNKNOWN"])
def test_a_mirror_of_what_is_not_known_is_invalid(own: Any, status: str) -> None:
    ioc = mirrored(own)
    ioc("tell", plot="DC_a", status="GOOD", scores=LIKE_GOOD)
    ioc("tell", plot="DC_a", status=status, scores=LIKE_GOOD)
    assert math.isnan(read(f"{ioc.mirror}DC_a"))
    assert alarm(f"{ioc.mirror}DC_a") == (UDF, INVALID)


def test_all_mirrors_are_two_waveforms_of_numbers_and_names_posted_once_a_round(own: Any) -> None:
    ioc = mirrored(own)
    plots = [f"{['BAND', 'DC', 'ECAL', 'FTOF', 'RICH'][n % 5]}_adcEnergy{n}" for n in range(87)]
    for plot in plots:
        ioc("tell", plot=plot, status="GOOD", scores=LIKE_GOOD)
    ioc("tick", after_s=0)
    assert read(f"{ioc.mirror}wf.RTYP") == read(f"{ioc.mirror}wfnames.RTYP") == "waveform"
    assert [read(f"{ioc.mirror}wf.{field}", text=True) for field in ("FTVL", "NORD")] == ["DOUBLE", "87"]
    assert read(f"{ioc.mirror}wfnames.FTVL", text=True) == "STRING"
    assert list(read(f"{ioc.mirror}wfnames")) == [f"{ioc.mirror}{plot}"[:39] for plot in plots]
    with Heard(f"{ioc.mirror}wf") as values, Heard(f"{ioc.mirror}wfnames") as names:
        assert list(values.events[-1][0]) == pytest.approx([0.8] * 87)
        values.events.clear()
        names.events.clear()
        for n, plot in enumerate(plots):
            ioc("tell", plot=plot, status="BAD", scores={"Good": n / 100, "Bad": 1 - n / 100})
        assert values.events == []
        ioc("tick", after_s=0)
        until(lambda: bool(values.events))
        ioc("tell", plot="LATE_one", status="GOOD", scores=LIKE_GOOD)
        ioc("tick", after_s=0)
        until(lambda: len(values.events) == 2 and len(names.events) == 1)
        assert list(values.events[0][0]) == pytest.approx([n / 50 - 1 for n in range(87)])
        assert list(values.events[1][0]) == pytest.approx([*(n / 50 - 1 for n in range(87)), 0.8])
        assert list(names.events[0][0])[-1] == f"{ioc.mirror}LATE_one"
        ioc("farewell", "hydrad was stopped")
        until(lambda: values.last is not None and values.last[1:] == (COMM, INVALID))


def test_more_plots_than_there_was_room_for_are_told_too(own: Any) -> None:
    ioc = mirrored(own)
    for n in range(2):
        ioc("tell", plot=f"A_{n}", status="GOOD", scores=LIKE_GOOD)
    ioc("tick", after_s=0)
    with Heard(f"{ioc.mirror}wf") as values:
        for n in range(201):
            ioc("tell", plot=f"A_{n}", status="GOOD", scores=LIKE_GOOD)
        ioc("tick", after_s=0)
        until(lambda: len(values.events[-1][0]) == 201)
    assert len(read(f"{ioc.mirror}wf")) == len(read(f"{ioc.mirror}wfnames")) == 201


def test_a_plot_may_be_called_like_a_waveform_and_two_like_each_other(own: Any) -> None:
    ioc = mirrored(own)
    for plot in ("wf", "DC_Occupancy", "DC_occupancy"):
        ioc("tell", plot=plot, status="GOOD", scores=LIKE_GOOD)
    ioc("tick", after_s=0)
    names = list(read(f"{ioc.mirror}wfnames"))
    assert names[1:] == [f"{ioc.mirror}DC_Occupancy", f"{ioc.mirror}DC_occupancy"]
    assert names[0] != f"{ioc.mirror}wf"
    assert read(names[0]) == pytest.approx(0.8)


def test_an_empty_mirror_is_an_empty_waveform(own: Any) -> None:
    ioc = mirrored(own)
    ioc("tick", after_s=0)
    assert len(read(f"{ioc.mirror}wf")) == 0
