"""Side by side with EPICS base: names and texts as clients ask for them, and clients that are out of step."""

from __future__ import annotations

import socket
import struct

import pytest
from bare_client import ERROR, NOT_FOUND, SEARCH, BareClient, message
from side_by_side import BADMONID, CHAR, INTERNAL, NORMAL, PUTFAIL, STRING, Side, texts
from steered import until

VALUE = 1
NOT_OURS = (
    "AI.SCAN", "AI.PROC", "AI.DISP", "AI.DTYP", "AI.INP", "AI.FLNK", "AI.ASG", "AI.TSE", "AI.SIML", "AI.LALM", "AO.OUT",
    "AO.OVAL", "MBBI.ZRVL", "MBBI.UNSV", "MBBI.COSV", "BO.HIGH", "WAVEFORM.EGU", "AI.AMSG", "AI.UTAG",
)  # fmt: skip
NOBODY_S = ("NOBODY", "AI.NOPE", "AI.", "AI.SEVR$", "AI.DRVH", "AI.VAL$", "MBBI.VAL$", "LONGIN.PREC", "BI.ZRST", "")


def test_what_nobody_has_is_found_by_nobody(sides: tuple[Side, Side]) -> None:
    for side in sides:
        found = {name for name in NOBODY_S if side.client.open(side.name(name)) is not None}
        assert found <= {"AI."}, side


def test_what_these_records_do_not_do_they_have_no_fields_for(sides: tuple[Side, Side]) -> None:
    ours, theirs = sides
    assert [name for name in NOT_OURS if ours.client.open(ours.name(name)) is not None] == []
    assert [name for name in NOT_OURS if theirs.client.open(theirs.name(name)) is None] == []


def test_long_text_is_read_in_full_or_in_part(sides: tuple[Side, Side]) -> None:
    text = "what is wrong, in more than forty characters: µA are not nA"
    for side in sides:
        side.post("WAVEFORM", text)
        opened, data = side.opened("WAVEFORM"), text.encode()
        assert (opened.native, opened.count) == (CHAR, 256)
        for count in (1, 5, 40, 62, 100, 256):
            assert side.client.read(opened, CHAR, count).payload[:count] == data[:count].ljust(count, b"\0")
        assert side.client.read(opened, CHAR, 0).payload.rstrip(b"\0") == data
    # Ours can be opened as a long string too, and read as a short one, cut between characters.
    long = sides[0].opened("WAVEFORM.VAL$")
    assert sides[0].client.read(long, CHAR, 0).payload.rstrip(b"\0") == text.encode()
    assert texts(sides[0].client.read(long, STRING).payload) == (text[:39],)


def test_a_line_is_cut_at_forty_bytes(sides: tuple[Side, Side]) -> None:
    for side in sides:
        side.post("STRINGIN", "x" * 60)
        assert texts(side.client.read(side.opened("STRINGIN"), STRING).payload) == ("x" * 39,)
        assert side.client.read(side.opened("STRINGIN.VAL$"), CHAR, 0).payload.rstrip(b"\0") == b"x" * 39
    ours = sides[0]
    ours.post("STRINGIN", "x" * 38 + "µ")  # which has two bytes, and is not cut in half
    assert texts(ours.client.read(ours.opened("STRINGIN"), STRING).payload) == ("x" * 38,)
    ours.post("STRINGIN", "")


def test_the_description_is_whole_only_as_a_long_string(sides: tuple[Side, Side]) -> None:
    for side in sides:
        opened = side.opened("AI.DESC$")
        assert (opened.native, opened.count) == (CHAR, 41)
        assert side.client.read(opened, CHAR, 0).payload.rstrip(b"\0") == b"an analog input"
    rooms = {"MBBI.ZRST$": 26, "BI.ONAM$": 26, "AI.EGU$": 16, "AI.RTYP$": 40}
    for name, room in rooms.items():
        assert {side.opened(name).count for side in sides} == {room}, name


OUT_OF_STEP = {
    "a reading of a channel that is not there": message(15, kind=6, count=1, first=12345, second=9),
    "a put to a channel that is not there": message(19, bytes(8), kind=6, count=1, first=12345, second=9),
    "a subscription to a channel that is not there": message(1, bytes(16), kind=6, count=1, first=12345, second=9),
    "the end of a channel that is not there": message(12, first=12345, second=9),
    "the end of a subscription that is not there": message(2, kind=6, count=1, first=12345, second=9),
    "a command that does not exist": message(77),
}


@pytest.mark.parametrize("what", OUT_OF_STEP)
def test_who_is_out_of_step_is_told_so_and_loses_its_circuit(sides: tuple[Side, Side], what: str) -> None:
    told = []
    for side in sides:
        with BareClient(side.port) as client:
            client.send(OUT_OF_STEP[what])
            told.append(client.await_one(lambda one: one.command == ERROR))
            with pytest.raises(ConnectionError):
                client.echo()
    assert [one.second for one in told] in ([INTERNAL, INTERNAL], [BADMONID, BADMONID], [BADMONID, INTERNAL])


@pytest.mark.parametrize("kind", [7, 20, 34])
def test_a_put_with_an_alarm_or_a_time_is_answered_and_harms_nobody(sides: tuple[Side, Side], kind: int) -> None:
    for side in sides:
        opened = side.opened("AO")
        assert side.client.write(opened, kind, bytes(200)).first == PUTFAIL
        assert side.client.read(opened, STRING).first == NORMAL


def test_a_name_is_looked_for_through_the_circuit_too(sides: tuple[Side, Side]) -> None:
    for side in sides:
        with BareClient(side.port) as client:
            for number, (name, answered) in enumerate([("AI", SEARCH), ("NOBODY", NOT_FOUND)], 1):
                asked = side.name(name).encode() + b"\0"
                client.send(message(SEARCH, asked, kind=10, count=13, first=number, second=number))
                answer = client.await_one(lambda one: one.command in {SEARCH, NOT_FOUND})
                assert (answer.command, answer.second) == (answered, number)


def test_the_end_of_a_subscription_is_confirmed(sides: tuple[Side, Side]) -> None:
    answers = []
    for side in sides:
        with BareClient(side.port) as client:
            opened = client.open(side.name("LONGIN"))
            assert opened is not None
            number = client.subscribe(opened, 19, VALUE)
            until(lambda client=client: bool(client.events()))
            client.send(message(2, kind=19, count=1, first=opened.number, second=number))
            answer = client.await_one(lambda one: one.command == 1)
            answers.append((answer.kind, answer.count, answer.second, answer.payload, answer.first == opened.number))
    assert answers[0] == answers[1]


def test_a_search_is_answered_with_the_number_of_its_datagram(sides: tuple[Side, Side]) -> None:
    answers = []
    for side in sides:  # without it a client does not dare to ask for many names at a time
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            name = side.name("AI").encode() + b"\0"
            asked = message(0, kind=1, count=13, first=77) + message(SEARCH, name, kind=5, count=13, first=3, second=3)
            client.sendto(asked, ("127.0.0.1", side.port))
            answer = client.recv(1024)
        command, size, kind, _, number, _ = struct.unpack_from(">HHHHII", answer)
        found, _, port, _, _, cid = struct.unpack_from(">HHHHII", answer, 16)
        answers.append((command, size, kind, number, found, cid))
        assert port == side.port
    assert answers == [(0, 0, 1, 77, SEARCH, 3)] * 2
