"""hydrad's records are to clients as those of EPICS base: the same client, the same questions, the same answers."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Iterator
from typing import Any

import epics
import pytest
from ca_library import (
    NORMAL,
    PUTFAIL,
    acknowledge,
    alarm_handler,
    exceptions,
    put_and_hear,
    read_by_alarm_handlers,
    set_transient,
    unacknowledged,
)
from epics import dbr
from epics_env import random_prefix, server_environment
from steered import Heard, Steered, alarm, as_line, connected, free_server_port, put, read, stamp, until

from hydrad.domain import Severity
from hydrad.ioc.records import Analog, States, String
from hydrad.ioc.wire import Dbr, encode

STATE, HIHI, HIGH, LOLO, LOW, UDF = 7, 3, 4, 5, 6, 17
NO_ALARM, MINOR, MAJOR, INVALID = range(4)
QUIET = (0, NO_ALARM)


def table(name: str) -> ctypes.Array[ctypes.c_ushort]:
    """One of the tables of sizes by DBR type that libca reads messages by."""
    epics.ca.initialize_libca()
    return (ctypes.c_ushort * 35).in_dll(epics.ca.libca, name)


@pytest.mark.parametrize("number", range(35))
def test_a_reading_has_the_size_that_libca_expects(number: int) -> None:
    kinds = {
        Dbr.STRING: String("R", "a line"),
        Dbr.ENUM: States("R", "states", ("A", "B", "C"), (Severity.NO_ALARM,) * 3),
    }
    record = kinds.get(Dbr(number % 7), Analog("R", "a number"))
    record.post("x" if isinstance(record, String) else 1, 1e9)
    assert len(encode(record, number)[0]) == table("dbr_size")[number]


class Server:
    """One of the two IOCs with the same records."""

    def __init__(self, kind: str, prefix: str, process: Steered) -> None:
        self.kind = kind
        self._prefix = prefix
        self._process = process

    def name(self, record: str) -> str:
        return f"{self._prefix}:{record}"

    def post(self, *pairs: Any) -> None:
        """Post record and value, record and value …; return when the last has it: EPICS base posts in a thread."""
        posts = list(zip(pairs[::2], pairs[1::2], strict=True))
        last = self.name(posts[-1][0])
        before = stamp(last)
        for record, value in posts:
            self._process.tell(as_line(record, value))
        until(lambda: stamp(last) != before)

    def hear(self, record: str, mask: int = dbr.DBE_VALUE | dbr.DBE_ALARM) -> Heard:
        return Heard(self.name(record), mask)


@pytest.fixture(scope="module", params=["hydrad", "EPICS base"])
def _server(request: pytest.FixtureRequest) -> Iterator[Server]:
    prefix, port = random_prefix(), free_server_port()
    if request.param == "hydrad":
        process = Steered("records_ioc.py", prefix, str(port), environment=dict(os.environ))
    else:
        process = Steered("records_peer.py", prefix, environment=server_environment(port))
    with process:
        yield Server(request.param, prefix, process)


@pytest.fixture
def server(_server: Server) -> Server:
    """A running server whose records are as they were at first."""
    _server.post("MBBI", 0, "BI", 0, "AI", 50.0, "LONGIN", 50, "STRINGIN", "", "WAVEFORM", "-")
    return _server


@pytest.mark.parametrize(
    ("record", "value", "expected"),
    [
        ("MBBI", 0, QUIET),
        ("MBBI", 1, (STATE, MINOR)),
        ("MBBI", 2, (STATE, MAJOR)),
        ("MBBI", 3, (STATE, INVALID)),
        ("BI", 1, (STATE, MAJOR)),
        ("AI", 50.0, QUIET),
        ("AI", 95.0, (HIHI, MAJOR)),
        ("AI", 90.0, (HIHI, MAJOR)),
        ("AI", 85.0, (HIGH, MINOR)),
        ("AI", 20.0, (LOW, MINOR)),
        ("AI", 5.0, (LOLO, MAJOR)),
        ("AI", math.nan, (UDF, INVALID)),
        ("AI", math.inf, (HIHI, MAJOR)),
        ("LONGIN", 91, (HIHI, MAJOR)),
        ("LONGIN", 15, (LOW, MINOR)),
    ],
)
def test_a_value_has_the_alarm_that_epics_base_gives_it(
    server: Server, record: str, value: float, expected: tuple[int, int]
) -> None:
    server.post(record, value)
    assert read(server.name(record)) == pytest.approx(value, nan_ok=True)
    assert alarm(server.name(record)) == expected


@pytest.mark.parametrize(
    ("record", "value", "event"), [("MBBI", 2, (2, STATE, MAJOR)), ("AI", 85.0, (85.0, HIGH, MINOR))]
)
def test_one_change_of_value_and_alarm_is_one_event(
    server: Server, record: str, value: float, event: tuple[float, int, int]
) -> None:
    with server.hear(record) as heard:
        heard.events.clear()
        server.post(record, value)
        server.post(record, 0)  # whatever was to come for the first has come when this has
        until(lambda: heard.last is not None and heard.last[0] == 0)
        assert heard.events[0] == event
        assert len(heard.events) == 2


@pytest.mark.parametrize(
    ("record", "value", "other"),
    [("MBBI", 1, 0), ("AI", 85.0, 50.0), ("AI", math.nan, 50.0), ("STRINGIN", "a", "b"), ("LONGIN", 7, 8)],
)
def test_what_is_written_again_is_not_told_again(server: Server, record: str, value: Any, other: Any) -> None:
    with server.hear(record) as heard:
        heard.events.clear()
        for _ in range(3):
            server.post(record, value)
        server.post(record, other)
        until(lambda: heard.last is not None and heard.last[0] == other)
        assert len(heard.events) == 2


def test_one_record_s_alarm_is_not_another_s(server: Server) -> None:
    server.post("MBBI", 2)
    assert alarm(server.name("MBBI")) == (STATE, MAJOR)
    assert alarm(server.name("BI")) == alarm(server.name("AI")) == QUIET


def test_the_alarm_ends_with_its_reason(server: Server) -> None:
    for record, bad, good in (("MBBI", 3, 0), ("AI", math.nan, 50.0), ("BI", 1, 0)):
        server.post(record, bad)
        server.post(record, good)
        assert alarm(server.name(record)) == QUIET


def test_a_severity_that_an_operator_sets_counts_for_the_next_value(server: Server) -> None:
    put(server.name("MBBI.ONSV"), "MAJOR")
    try:
        server.post("MBBI", 1)
        assert alarm(server.name("MBBI")) == (STATE, MAJOR)
    finally:
        put(server.name("MBBI.ONSV"), "MINOR")


def test_a_limit_that_an_operator_sets_counts_for_the_next_value(server: Server) -> None:
    put(server.name("AI.LOW"), 45.0)
    try:
        server.post("AI", 44.0)
        assert alarm(server.name("AI")) == (LOW, MINOR)
        put(server.name("AI.LSV"), "MAJOR")
        server.post("AI", 43.0)
        assert alarm(server.name("AI")) == (LOW, MAJOR)
    finally:
        put(server.name("AI.LSV"), "MINOR")
        put(server.name("AI.LOW"), 20.0)


def test_an_alarm_lasts_until_the_value_has_come_back_by_the_hysteresis(server: Server) -> None:
    put(server.name("AI.HYST"), 5.0)
    try:
        for value, expected in ((85.0, (HIGH, MINOR)), (76.0, (HIGH, MINOR)), (74.0, QUIET), (76.0, QUIET)):
            server.post("AI", value)
            assert alarm(server.name("AI")) == expected
    finally:
        put(server.name("AI.HYST"), 0.0)


def test_a_change_within_the_dead_band_is_not_told(server: Server) -> None:
    put(server.name("AI.MDEL"), 3.0)
    try:
        with server.hear("AI") as heard:
            heard.events.clear()
            for value in (51.0, 52.0, 60.0):
                server.post("AI", value)
            until(lambda: heard.last is not None and heard.last[0] == 60.0)
            assert [value for value, _, _ in heard.events] == [60.0]
    finally:
        put(server.name("AI.MDEL"), 0.0)


def test_who_asked_for_alarms_hears_of_alarms_alone(server: Server) -> None:
    with server.hear("AI", dbr.DBE_ALARM) as heard:
        heard.events.clear()
        for value in (51.0, 52.0, 85.0, 86.0, 50.0):
            server.post("AI", value)
        until(lambda: len(heard.events) >= 2)
        assert heard.events == [(85.0, HIGH, MINOR), (50.0, *QUIET)]


def test_the_alarm_can_be_watched_as_fields(server: Server) -> None:
    with server.hear("AI.SEVR") as severity, server.hear("AI.STAT") as status:
        server.post("AI", 85.0)
        server.post("AI", 95.0)
        until(lambda: severity.last is not None and severity.last[0] == MAJOR)
        until(lambda: status.last is not None and status.last[0] == HIHI)
        assert read(server.name("AI.SEVR"), text=True) == "MAJOR"
        assert read(server.name("AI.STAT"), text=True) == "HIHI"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MBBI.RTYP", "mbbi"),
        ("MBBI.DESC", "four states"),
        ("MBBI.ZRST", "ZERO"),
        ("MBBI.THST", "THREE"),
        ("MBBI.FRST", ""),
        ("MBBI.TWSV", "MAJOR"),
        ("BI.RTYP", "bi"),
        ("BI.ZNAM", "Off"),
        ("BI.OSV", "MAJOR"),
        ("BO.RTYP", "bo"),
        ("AI.RTYP", "ai"),
        ("AI.EGU", "nA"),
        ("AI.PREC", "3"),
        ("AI.HIHI", "90.000"),
        ("AI.LLSV", "MAJOR"),
        ("AI.VAL", "50.000"),
        ("AO.RTYP", "ao"),
        ("AO.DRVH", "100.00"),
        ("LONGIN.RTYP", "longin"),
        ("LONGIN.LOLO", "10"),
        ("LONGOUT.RTYP", "longout"),
        ("STRINGIN.RTYP", "stringin"),
        ("WAVEFORM.RTYP", "waveform"),
        ("WAVEFORM.NELM", "256"),
    ],
)
def test_a_field_reads_as_in_epics_base(server: Server, name: str, expected: str) -> None:
    with connected(server.name(name)) as pv:
        assert pv.get(as_string=True, timeout=5) == expected
        assert pv.count == 1


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("MBBI", {"enum_strs": ("ZERO", "ONE", "TWO", "THREE")}),
        ("BI", {"enum_strs": ("Off", "On")}),
        (
            "AI",
            {
                "units": "nA", "precision": 3,
                "upper_disp_limit": 100.0, "lower_disp_limit": 0.0,
                "upper_alarm_limit": 90.0, "upper_warning_limit": 80.0,
                "lower_warning_limit": 20.0, "lower_alarm_limit": 10.0,
                "upper_ctrl_limit": 100.0, "lower_ctrl_limit": 0.0,
            },
        ),
        (
            "AO",
            {
                "units": "nA", "precision": 2, "upper_alarm_limit": math.nan, "lower_warning_limit": math.nan,
                "upper_ctrl_limit": 100.0, "lower_ctrl_limit": 0.0,
            },
        ),
        ("LONGIN", {"units": "img", "upper_alarm_limit": 90, "lower_alarm_limit": 10, "upper_disp_limit": 100}),
    ],
)  # fmt: skip
def test_a_screen_gets_units_limits_and_states(server: Server, record: str, expected: dict[str, Any]) -> None:
    with connected(server.name(record)) as pv:
        got = pv.get_ctrlvars(timeout=5)
        for key, value in expected.items():
            assert got[key] == (pytest.approx(value, nan_ok=True) if isinstance(value, float) else value), key


@pytest.mark.parametrize(
    ("record", "value", "held"),
    [("AO", 12.5, 12.5), ("LONGOUT", 7, 7), ("BO", 1, 1), ("BO", "Off", 0), ("BO", "On", 1), ("AO", "33.5", 33.5)],
)
def test_a_put_is_read_back(server: Server, record: str, value: Any, held: float) -> None:
    put(server.name(record), value)
    assert read(server.name(record)) == held
    assert alarm(server.name(record)) == ((STATE, MINOR) if (record, held) == ("BO", 1) else QUIET)


def test_a_put_is_heard_once_and_before_it_is_confirmed(server: Server) -> None:
    put(server.name("AO"), 1.0)
    with server.hear("AO") as heard:
        heard.events.clear()
        put(server.name("AO"), 2.0)
        assert heard.events == [(2.0, *QUIET)]


def test_text_is_read_as_text(server: Server) -> None:
    server.post("STRINGIN", "µA")
    assert read(server.name("STRINGIN")) == "µA"
    server.post("STRINGIN", "one line")
    server.post("WAVEFORM", "a reason of more than forty characters, as reasons are")
    assert read(server.name("STRINGIN.VAL$"), text=True) == "one line"
    assert read(server.name("WAVEFORM"), text=True) == "a reason of more than forty characters, as reasons are"
    assert read(server.name("AI.DESC$"), text=True) == "an analog input"


def test_what_is_no_field_is_not_found(server: Server) -> None:
    for name in ("AI.NOPE", "AI.STAT$", "NOPE"):
        pv = epics.PV(server.name(name))
        assert not pv.wait_for_connection(0.3)
        pv.disconnect()


def test_the_time_stamp_is_the_same_in_value_and_field(server: Server) -> None:
    server.post("AI", 61.0)
    with connected(server.name("AI")) as value, connected(server.name("AI.SEVR")) as field:
        assert value.get_timevars(timeout=5)["timestamp"] == field.get_timevars(timeout=5)["timestamp"]


def acknowledged(server: Server, record: str) -> str:
    """The name of a record of which nothing is left to be acknowledged."""
    name = server.name(record)
    set_transient(name, 1)
    acknowledge(name, INVALID)
    return name


@pytest.mark.parametrize("field", ["", ".VAL", ".DESC"])
def test_an_alarm_that_has_gone_waits_to_be_acknowledged_at_its_severity(server: Server, field: str) -> None:
    name = acknowledged(server, "MBBI")
    server.post("MBBI", 2)
    assert unacknowledged(name) == (STATE, MAJOR, 1, MAJOR)
    server.post("MBBI", 0)
    assert unacknowledged(f"{name}{field}") == (*QUIET, 1, MAJOR)
    acknowledge(f"{name}{field}", MINOR)  # somebody saw an older, lesser alarm
    assert unacknowledged(name).acks == MAJOR
    acknowledge(f"{name}{field}", MAJOR)
    assert unacknowledged(name) == (*QUIET, 1, NO_ALARM)


def test_an_alarm_acknowledged_while_it_lasts_waits_again_when_it_gets_worse(server: Server) -> None:
    name = acknowledged(server, "MBBI")
    server.post("MBBI", 1)
    acknowledge(name, MINOR)
    assert unacknowledged(name) == (STATE, MINOR, 1, NO_ALARM)
    server.post("MBBI", 2)
    assert unacknowledged(name).acks == MAJOR


def test_transient_alarms_need_no_acknowledgement_where_a_handler_says_so(server: Server) -> None:
    name = acknowledged(server, "MBBI")
    set_transient(name, 0)
    server.post("MBBI", 2)
    assert unacknowledged(name) == (STATE, MAJOR, 0, MAJOR)
    server.post("MBBI", 0)
    assert unacknowledged(name) == (*QUIET, 0, NO_ALARM)
    set_transient(name, 1)
    server.post("MBBI", 2)
    server.post("MBBI", 0)
    assert unacknowledged(name).acks == MAJOR
    set_transient(name, 0)  # what waits for nothing any more
    assert unacknowledged(name).acks == NO_ALARM
    set_transient(name, 1)


def test_a_classic_alarm_handler_hears_of_alarms_and_of_acknowledgements(server: Server) -> None:
    name = acknowledged(server, "MBBI")
    with alarm_handler(name) as heard:
        assert heard == [(*QUIET, 1, NO_ALARM)]
        server.post("MBBI", 2)
        until(lambda: len(heard) == 2)
        acknowledge(name, MAJOR)
        until(lambda: len(heard) == 3)
        server.post("MBBI", 0)
        until(lambda: len(heard) == 4)
    assert heard[1:] == [(STATE, MAJOR, 1, MAJOR), (STATE, MAJOR, 1, NO_ALARM), (*QUIET, 1, NO_ALARM)]


def test_what_is_to_be_acknowledged_can_be_watched(server: Server) -> None:
    name = acknowledged(server, "MBBI")
    with server.hear("MBBI.ACKS") as acks, server.hear("MBBI", dbr.DBE_ALARM) as alarms:
        alarms.events.clear()
        server.post("MBBI", 2)
        until(lambda: acks.last is not None and acks.last[0] == MAJOR)
        until(lambda: len(alarms.events) == 1)
        acknowledge(name, MAJOR)
        until(lambda: acks.last is not None and acks.last[0] == NO_ALARM)
        until(lambda: len(alarms.events) == 2)


@pytest.mark.parametrize(
    ("record", "value", "text"), [("MBBI", 2, "TWO"), ("AI", 85.0, "85.000"), ("STRINGIN", "a line", "a line")]
)
def test_an_alarm_handler_reads_the_value_along(server: Server, record: str, value: Any, text: str) -> None:
    server.post(record, value)
    assert read_by_alarm_handlers(server.name(record)) == text


def test_a_record_that_has_come_up_has_nothing_to_be_acknowledged(server: Server) -> None:
    assert unacknowledged(server.name("STRINGIN")).acks == NO_ALARM


@pytest.mark.parametrize(
    ("record", "value", "held"),
    [("BO", "Off", 0), ("BO", "On", 1), ("BO", "0", 0), ("BO", "1", 1), ("AO", "2.5", 2.5), ("LONGOUT", 7.0, 7)],
)
def test_a_put_with_callback_is_answered_when_it_is_done(server: Server, record: str, value: Any, held: float) -> None:
    assert put_and_hear(server.name(record), value) == NORMAL
    assert read(server.name(record)) == held


@pytest.mark.parametrize(
    ("record", "value"), [("BO", "Maybe"), ("AO", "many"), ("LONGOUT", "many"), ("AI.LSV", "LOUD")]
)
def test_text_that_means_nothing_is_refused_and_changes_nothing(server: Server, record: str, value: str) -> None:
    before = read(server.name(record))
    assert put_and_hear(server.name(record), value) != NORMAL
    assert read(server.name(record)) == before


@pytest.mark.parametrize(
    ("record", "value", "base_holds"),
    [("AO", math.nan, math.nan), ("AO", 101.0, 100.0), ("AO", -1.0, 0.0), ("LONGOUT", 101.0, 100), ("BO", 5.0, 5)],
)
def test_a_value_that_cannot_be_is_refused_where_epics_base_bends_it(
    server: Server, record: str, value: float, base_holds: float
) -> None:
    put(server.name(record), 1)
    told = put_and_hear(server.name(record), value)
    held = read(server.name(record))
    put(server.name(record), 1)
    if server.kind == "hydrad":
        assert (told, held) == (PUTFAIL, 1)
    else:
        assert (told, held) == (NORMAL, pytest.approx(base_holds, nan_ok=True))


def test_libca_sends_no_array_to_a_scalar(server: Server) -> None:
    before = read(server.name("AO"))
    assert put_and_hear(server.name("AO"), [1.0, 2.0, 3.0]) != NORMAL
    assert read(server.name("AO")) == before


def test_a_put_that_nobody_waits_for_is_answered_when_it_is_refused(server: Server) -> None:
    with exceptions() as heard, connected(server.name("AO")) as pv:
        epics.ca.libca.ca_array_put(dbr.STRING, 1, pv.chid, ctypes.create_string_buffer(b"many", 40))
        epics.ca.flush_io()
        until(lambda: bool(heard))
    assert heard == [PUTFAIL]


@pytest.mark.parametrize(
    ("record", "value"),
    [("NUMBERS", [1.5, -2.0, 1e9]), ("NAMES", ["A:first", "B:a name of thirty-nine characters, A"])],
)
def test_a_waveform_is_read_as_it_is_long(server: Server, record: str, value: list[Any]) -> None:
    server.post(record, value)
    with connected(server.name(record)) as pv:
        assert pv.count == 128
        assert list(pv.get(timeout=5)) == value
        assert list(pv.get(timeout=5, count=2)) == value[:2]
    assert read(f"{server.name(record)}.NORD") == len(value)
    assert read(f"{server.name(record)}.NELM") == 128
    assert read(f"{server.name(record)}.FTVL", text=True) == ("DOUBLE" if record == "NUMBERS" else "STRING")


def test_a_waveform_is_told_whole_and_once(server: Server) -> None:
    server.post("NUMBERS", [0.5, 0.5], "NAMES", ["a", "b"])
    with server.hear("NUMBERS") as numbers, server.hear("NAMES") as names:
        numbers.events.clear()
        names.events.clear()
        server.post("NUMBERS", [1.0, 2.0, 3.0], "NAMES", ["c", "d", "e"])
        until(lambda: bool(numbers.events) and bool(names.events))
        assert [list(value) for value, _, _ in numbers.events] == [[1.0, 2.0, 3.0]]
        assert [list(value) for value, _, _ in names.events] == [["c", "d", "e"]]


def test_numbers_of_a_waveform_can_be_read_as_text(server: Server) -> None:
    server.post("NUMBERS", [1.0, 2.0])
    room = ctypes.create_string_buffer(2 * 40)
    with connected(server.name("NUMBERS")) as pv:
        epics.ca.libca.ca_array_get(dbr.STRING, 2, pv.chid, room)
        assert epics.ca.pend_io(5.0) == NORMAL
    assert [float(room.raw[at : at + 40].split(b"\0")[0]) for at in (0, 40)] == [1.0, 2.0]
