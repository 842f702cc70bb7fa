"""Records without a server: alarms, events, dead bands, acknowledgement, and how values go over the wire."""

from __future__ import annotations

import math
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrad.domain import Severity
from hydrad.errors import ChangeRefused
from hydrad.ioc.alarm import QUIET, UNDEFINED, Alarm, Condition, worse
from hydrad.ioc.channel import ALL, Encoded, Event
from hydrad.ioc.channel_access import beacon_addresses
from hydrad.ioc.controls import Who
from hydrad.ioc.records import Analog, Record, States, String, Text, Whole
from hydrad.ioc.wire import (
    CLASS_NAME,
    EPICS_EPOCH,
    STSACK_STRING,
    Dbr,
    Family,
    Untranslatable,
    as_number,
    as_state,
    as_whole,
    encode,
    received,
)

NONE, MINOR, MAJOR, INVALID = Severity
WHO = Who("me", "here")
EVERYWHERE = "0.0.0.0"  # noqa: S104  nothing is bound here
LINK = Alarm(Condition.LINK, INVALID)


class Ear:
    """A subscriber that counts."""

    def __init__(self, record: Record, mask: int = ALL) -> None:
        self.mask = mask
        self.heard: list[tuple[object, Alarm]] = []
        self._record = record
        record.hear(self)

    def news(self, encoded: Encoded) -> None:
        assert encoded is not None
        self.heard.append((self._record.value, self._record.alarm))


async def accept(who: Who, value: float, old: float | None) -> None:
    """Every value is fine."""


def analog(**limits: float) -> Analog:
    record = Analog("R", "a record", units="nA", precision=2)
    for name, value in limits.items():
        setattr(record, name, value)
    return record


def four() -> States:
    return States("R", "a record", ("A", "B", "C", "D"), (NONE, MINOR, MAJOR, INVALID))


def every_kind() -> list[Record]:
    return [
        analog(),
        Whole("R", "r"),
        four(),
        States("R", "r", ("a", "b"), (NONE, NONE)),
        String("R", "r"),
        Text("R", "r"),
    ]


def test_a_record_is_invalid_until_it_has_a_value() -> None:
    for record in every_kind():
        assert record.alarm == UNDEFINED
        assert record.undefined


def test_an_alarm_of_its_own_counts_if_it_is_worse() -> None:
    record = four()
    record.post(1, 1.0, LINK)
    assert record.alarm == LINK
    record.post(1, 1.0)
    assert record.alarm == (Condition.STATE, MINOR)
    assert worse(QUIET, LINK) == worse(LINK, UNDEFINED) == LINK


def test_value_alarm_and_time_come_in_one_event() -> None:
    record = analog(hihi=5.0, hhsv=MAJOR)
    ear = Ear(record)
    record.post(1.0, 1.0)
    record.post(1.0, 2.0)
    record.post(7.0, 3.0)
    record.post(7.0, 4.0, LINK)
    assert [alarm for _, alarm in ear.heard] == [QUIET, (Condition.HIHI, MAJOR), LINK]
    assert record.stamp == 4.0


def test_a_change_of_severity_without_a_change_of_condition_is_told() -> None:
    record = four()
    record.post(1, 1.0)
    ear = Ear(record)
    record.post(2, 1.0)
    assert ear.heard == [(2, (Condition.STATE, MAJOR))]


async def test_a_severity_put_by_an_operator_counts_at_once() -> None:
    record = four()
    record.post(1, 1.0)
    ear = Ear(record)
    field = record.field("ONSV")
    assert field is not None
    await field.put("MAJOR", WHO)
    assert ear.heard == [(1, (Condition.STATE, MAJOR))]
    assert four().severities[1] is MINOR  # other records keep theirs


async def test_a_limit_put_by_an_operator_counts_at_once() -> None:
    record = analog()
    record.post(1.0, 1.0)
    for name, value in (("LOW", 2.0), ("LSV", 1)):
        field = record.field(name)
        assert field is not None
        await field.put(value, WHO)
    assert record.alarm == (Condition.LOW, MINOR)


@given(st.floats(), st.floats())
def test_unset_limits_have_no_effect(value: float, limit: float) -> None:
    record = analog(low=limit, high=limit, lolo=limit, hihi=limit)
    record.post(value, 1.0)
    assert record.alarm == (UNDEFINED if math.isnan(value) else QUIET)


@given(
    st.lists(st.sampled_from([0.0, 1.0, 1.5, 2.0, 4.0, math.nan, math.inf]), max_size=20), st.sampled_from([0.0, 1.2])
)
def test_subscribers_always_know_the_value_to_within_the_dead_band(values: list[float], deadband: float) -> None:
    record = analog(mdel=deadband)
    ear = Ear(record)
    for value in values:
        record.post(value, 1.0)
        told = ear.heard[-1][0]
        assert isinstance(told, float)
        assert told == value or abs(told - value) <= deadband or (math.isnan(told) and math.isnan(value))
    assert deadband or len(ear.heard) <= len(values)


def test_the_archiver_s_dead_band_is_its_own() -> None:
    record = analog(mdel=0.0, adel=10.0)
    record.post(0.0, 1.0)
    value, archive = Ear(record, Event.VALUE), None
    archive = Ear(record, Event.LOG)
    for one in (value, archive):
        record.hear(one)
    for number in (1.0, 2.0, 20.0):
        record.post(number, 1.0)
    assert (len(value.heard), len(archive.heard)) == (3, 1)


def test_an_alarm_is_unacknowledged_until_somebody_acknowledges_it() -> None:
    record = four()
    record.post(2, 1.0)
    record.acknowledge_alarm(severity=MINOR)  # somebody saw an older, lesser alarm
    assert record.acks is MAJOR
    record.acknowledge_alarm(severity=MAJOR)
    assert record.acks is NONE
    record.post(0, 1.0)
    record.post(1, 1.0)
    record.post(0, 1.0)
    assert record.acknowledge == (1, MINOR)  # it has gone, and nobody has acknowledged it
    record.acknowledge_alarm(transient=0)
    assert record.acknowledge == (0, NONE)
    record.post(2, 1.0)
    record.post(0, 1.0)
    assert record.acks is NONE


async def test_a_refused_put_leaves_value_and_alarm() -> None:
    async def refuse(who: Who, value: float, old: float | None) -> None:
        raise ChangeRefused(f"{who} may not say {value} instead of {old}")

    record = Analog("R", "a record", between=(0.0, 1.0), putter=refuse)
    record.post(0.5, 1.0)
    ear = Ear(record)
    with pytest.raises(ChangeRefused, match=r"me@here may not say 0\.7 instead of 0\.5"):
        await record.put(0.7, WHO)
    assert (record.value, record.alarm, ear.heard) == (0.5, QUIET, [])


async def test_what_the_putter_made_of_a_put_is_what_shows() -> None:
    async def round_down(_who: Who, value: float, _old: float | None) -> None:
        record.post(float(int(value)), 1.0)

    record = Analog("R", "a record", putter=round_down)
    record.post(0.0, 1.0)
    await record.put(3.7, WHO)
    assert record.value == 3.0


@pytest.mark.parametrize("value", ["x", math.nan, math.inf, -math.inf, "nan"])
def test_only_finite_numbers_are_numbers(value: float | str) -> None:
    with pytest.raises(ChangeRefused):
        as_number(value)


def test_whole_numbers_and_states_are_told_from_others() -> None:
    assert (as_whole("7"), as_whole(7.0), as_state("B", ("A", "B")), as_state(1, ("A", "B"))) == (7, 7, 1, 1)
    for wrong in (1.5, "1.5"):
        with pytest.raises(ChangeRefused):
            as_whole(wrong)
    for unknown in (2, -1, "C", 0.5):
        with pytest.raises(ChangeRefused, match="must be one of A, B"):
            as_state(unknown, ("A", "B"))


@given(st.floats(), st.floats(min_value=0, max_value=4e9, exclude_max=True))
def test_a_reading_carries_alarm_time_and_value(value: float, stamp: float) -> None:
    record = analog(high=10.0, hsv=MINOR)
    record.post(value, stamp)
    payload, _ = encode(record, 20)
    status, severity, seconds, nanoseconds, _, told = struct.unpack(">hhIIid", payload)
    assert (status, severity) == tuple(record.alarm)
    assert told == value or math.isnan(value)
    if stamp >= EPICS_EPOCH:
        assert EPICS_EPOCH + seconds + nanoseconds / 1e9 == pytest.approx(stamp, abs=1e-6)


@given(st.sampled_from(list(Family)), st.sampled_from(list(Dbr)), st.floats(), st.integers(0, 50))
def test_no_number_is_too_large_for_any_type(family: Family, base: Dbr, value: float, count: int) -> None:
    record = analog(hihi=value, hhsv=MINOR)
    record.post(value, 1e9)
    _, elements = encode(record, 7 * family + base, count)
    assert elements == (count or 1)


@given(st.text(max_size=300))
def test_text_is_cut_between_characters_and_ends_in_zero(text: str) -> None:
    for record, room in ((String("R", "r"), 40), (Text("R", "r"), 256)):
        record.post(text, 1.0)
        payload, count = encode(record, Dbr.CHAR)
        assert payload[-1:] == b"\0"
        assert len(payload) == count <= room
        assert text.startswith(payload[:-1].decode())
        assert encode(record, Dbr.STRING)[0][39:] == b"\0"


def test_what_cannot_be_read_says_so() -> None:
    line = String("R", "r")
    line.post("no number", 1.0)
    for record, number in ((line, 6), (line, 20), (analog(), 39), (analog(), 35)):
        with pytest.raises(Untranslatable):
            encode(record, number)


def test_text_is_read_as_numbers_where_that_means_something() -> None:
    line, text = String("R", "r"), Text("R", "r")
    for spelt, number in (("12.5", 12.5), ("", 0.0)):
        line.post(spelt, 1.0)
        assert encode(line, Dbr.DOUBLE) == (struct.pack(">d", number), 1)
    text.post("ab", 1.0)
    assert encode(text, Dbr.LONG) == (struct.pack(">iii", 97, 98, 0), 3)


def test_alarm_handlers_can_read_what_is_to_be_acknowledged() -> None:
    record = four()
    record.post(2, 1.0)
    status, severity, ackt, acks, value = struct.unpack(">hhHH40s", encode(record, STSACK_STRING)[0])
    assert (status, severity, ackt, acks) == (Condition.STATE, MAJOR, 1, MAJOR)
    assert value.rstrip(b"\0") == b"C"
    assert encode(record, CLASS_NAME)[0].rstrip(b"\0") == b"mbbi"


@pytest.mark.parametrize(
    ("number", "payload", "count", "value"),
    [
        (Dbr.STRING, b"abc\0xyz", 1, "abc"),
        (Dbr.SHORT, b"\xff\xff", 1, -1),
        (Dbr.ENUM, b"\0\7", 1, 7),
        (Dbr.CHAR, b"\7\0\0\0\0\0\0\0", 1, 7),
        (Dbr.CHAR, b"abc\0", 4, "abc"),
        (Dbr.CHAR, b"abcdefgh", 3, "abc"),
        (Dbr.LONG, b"\0\0\1\0", 1, 256),
        (Dbr.DOUBLE, struct.pack(">d", 2.5), 1, 2.5),
        (Dbr.FLOAT, struct.pack(">f", 2.5), 1, 2.5),
    ],
)
def test_a_put_is_understood_in_every_type(number: int, payload: bytes, count: int, value: object) -> None:
    assert received(number, payload, count) == value


@pytest.mark.parametrize(("number", "payload"), [(Dbr.DOUBLE, b""), (Dbr.LONG, b"\0"), (20, b"\0" * 24), (35, b"\0\0")])
def test_a_put_that_says_nothing_is_refused(number: int, payload: bytes) -> None:
    with pytest.raises(ChangeRefused):
        received(number, payload)


@pytest.mark.parametrize(
    ("interfaces", "environment", "expected"),
    [
        (["127.0.0.1"], {}, [("127.0.0.1", 5065)]),
        ([EVERYWHERE], {}, [("255.255.255.255", 5065)]),
        (["10.1.2.3"], {"EPICS_CAS_BEACON_PORT": "7000"}, [("255.255.255.255", 7000)]),
        (
            [EVERYWHERE],
            {"EPICS_CAS_BEACON_ADDR_LIST": "10.1.2.255 10.2.2.255:99", "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO"},
            [("10.1.2.255", 5065), ("10.2.2.255", 99)],
        ),
        (
            [EVERYWHERE],
            {"EPICS_CAS_BEACON_ADDR_LIST": "10.1.2.255"},
            [("10.1.2.255", 5065), ("255.255.255.255", 5065)],
        ),
    ],
)
def test_beacons_go_where_the_environment_says_or_to_the_network(
    interfaces: list[str], environment: dict[str, str], expected: list[tuple[str, int]]
) -> None:
    assert beacon_addresses(interfaces, environment) == expected


@pytest.mark.parametrize("pattern", ["*@*", "me@here", "m?@*", "*@her[e]"])
def test_a_writer_is_known_by_what_he_calls_himself(pattern: str) -> None:
    assert WHO.is_one_of(["nobody@nowhere", pattern])
    assert not Who("you", "there").is_one_of(["me@*", "*@here"])


def test_names_controls_and_ranking_load_no_caproto() -> None:
    code = "import sys, hydrad.ioc.names, hydrad.ioc.controls, hydrad.ranking; sys.exit('caproto' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
