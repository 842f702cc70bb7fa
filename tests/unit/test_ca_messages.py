"""The bytes that clients send, in whatever pieces, and whatever they are."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrad.ioc.messages import LONGEST_REQUEST, Command, Garbled, Inflow, Request, Status, error, message

HEADER = 16
numbers = st.integers(0, 0xFFFF)
long_numbers = st.integers(0, 0xFFFFFFFF)
sent = st.builds(Request, numbers, numbers, st.integers(0, 200_000), long_numbers, long_numbers, st.binary(max_size=99))


def as_bytes(request: Request) -> bytes:
    command, kind, count, first, second, payload = request
    return message(command, payload, kind=kind, count=count, first=first, second=second)


@given(st.lists(sent, max_size=5), st.lists(st.integers(1, 40), min_size=1))
def test_requests_arrive_whole_in_whatever_pieces_they_come(requests: list[Request], pieces: list[int]) -> None:
    stream, inflow, got, turn = b"".join(map(as_bytes, requests)), Inflow(), [], 0
    while stream:
        size = pieces[turn % len(pieces)]
        got += list(inflow.requests(stream[:size]))
        stream, turn = stream[size:], turn + 1
    assert [one[:5] for one in got] == [one[:5] for one in requests]
    for one, was in zip(got, requests, strict=True):
        assert one.payload == was.payload + bytes(-len(was.payload) % 8)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_what_is_no_request_is_refused_or_waited_for_in_little_memory(pieces: list[bytes]) -> None:
    inflow = Inflow()
    with suppress(Garbled):
        for piece in pieces:
            list(inflow.requests(piece))
    assert len(inflow._held) <= sum(map(len, pieces))


@pytest.mark.parametrize(
    "header",
    [
        struct.pack(">HHHHII", 4, 0xFFFF, 0, 0, 0, 0) + struct.pack(">II", 2**32 - 8, 1),
        struct.pack(">HHHHII", 4, LONGEST_REQUEST + 8, 0, 1, 0, 0),
        struct.pack(">HHHHII", 4, 0xFFFF, 0, 3, 0, 0),
    ],
)
def test_what_announces_more_than_any_request_has_is_refused_before_it_comes(header: bytes) -> None:
    inflow, first = Inflow(), message(Command.ECHO)
    arriving = inflow.requests(first + header)
    assert next(arriving).command == Command.ECHO
    with pytest.raises(Garbled) as refused:
        next(arriving)
    assert refused.value.status is Status.TOO_LARGE


@pytest.mark.parametrize(("size", "count", "large"), [(65520, 8190, False), (65521, 8191, True), (8, 70_000, True)])
def test_a_large_array_has_a_large_header(size: int, count: int, large: bool) -> None:
    sent = message(Command.READ_NOTIFY, bytes(size), kind=6, count=count, first=1, second=9)
    command, announced, kind, elements, first, second = struct.unpack_from(">HHHHII", sent)
    assert (command, kind, first, second) == (15, 6, 1, 9)
    if large:
        assert (announced, elements) == (0xFFFF, 0)
        assert struct.unpack_from(">II", sent, HEADER) == (-(-size // 8) * 8, count)
    else:
        assert (announced, elements) == (size, count)
    assert len(sent) == HEADER + 8 * large + -(-size // 8) * 8


@given(sent, st.sampled_from(Status))
def test_an_error_repeats_what_was_asked(request: Request, status: Status) -> None:
    told = error(request, Garbled("why it was refused", status))
    assert told[16:18] == struct.pack(">H", request.command)
    assert told[HEADER + 16 :].startswith(b"why it was refused\0")
    assert struct.unpack_from(">I", told, 12) == (status,)
