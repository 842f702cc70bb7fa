"""Channel Access messages on a client's circuit: what it asks, taken from a stream of bytes, and what it is answered.

No object is kept of any of them: of a client that has all PVs, nothing is there but its channels and subscriptions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

VERSION = 13
LONGEST_REQUEST = 16 * 1024  # bytes; names and single values are all that clients send
_HEADER = struct.Struct(">HHHHII")
_LARGE = struct.Struct(">II")  # behind a header that has no room for size and count
_LARGE_SIZE, _MOST_SMALL = 0xFFFF, 0xFFF0


class Command(IntEnum):
    """What a message is about."""

    VERSION = 0
    EVENT_ADD = 1
    EVENT_CANCEL = 2
    READ = 3
    WRITE = 4
    SEARCH = 6
    EVENTS_OFF = 8
    EVENTS_ON = 9
    READ_SYNC = 10
    ERROR = 11
    CLEAR_CHANNEL = 12
    NOT_FOUND = 14
    READ_NOTIFY = 15
    CREATE_CHANNEL = 18
    WRITE_NOTIFY = 19
    CLIENT_NAME = 20
    HOST_NAME = 21
    ACCESS_RIGHTS = 22
    ECHO = 23
    CREATE_FAILED = 26


class Status(IntEnum):
    """How a request ended, by the numbers of CA."""

    NORMAL = 1
    TOO_LARGE = 72
    BAD_TYPE = 114
    INTERNAL = 142
    GET_FAILED = 152
    PUT_FAILED = 160
    BAD_MONITOR = 242
    NO_WRITE_ACCESS = 376


class Garbled(Exception):
    """The client does not speak Channel Access, or is out of step: it is told so, and the circuit ends."""

    def __init__(self, why: str, status: Status = Status.INTERNAL) -> None:
        super().__init__(why)
        self.status = status


class Request(NamedTuple):
    """What a client sent: a DBR type and its elements; what ``first`` and ``second`` are depends on the command."""

    command: int
    kind: int
    elements: int
    first: int
    second: int
    payload: bytes

    @property
    def text(self) -> str:
        """The payload as the name it is."""
        return self.payload.split(b"\0", 1)[0].decode("latin-1")


class Inflow:
    """The stream of bytes that comes from a client."""

    def __init__(self) -> None:
        self._held = b""

    def requests(self, data: bytes) -> Iterator[Request]:
        """Those that are complete with these bytes.

        Raises:
            Garbled: a request is longer than any could be; what came before it has been yielded.
        """
        held, at = self._held + data, 0
        while len(held) - at >= _HEADER.size:
            command, size, kind, count, first, second = _HEADER.unpack_from(held, at)
            begins = at + _HEADER.size
            if size == _LARGE_SIZE and count == 0:
                if len(held) < begins + _LARGE.size:
                    break
                size, count = _LARGE.unpack_from(held, begins)
                begins += _LARGE.size
            if size > LONGEST_REQUEST:
                raise Garbled(f"announced {size} bytes", Status.TOO_LARGE)
            if len(held) < begins + size:
                break
            at = begins + size
            yield Request(command, kind, count, first, second, held[begins:at])
        self._held = held[at:]


def message(
    command: int, payload: bytes = b"", *, kind: int = 0, count: int = 0, first: int = 0, second: int = 0
) -> bytes:
    """A message as it goes over the wire, its payload filled up to multiples of eight bytes."""
    size = (len(payload) + 7) & ~7
    if size <= _MOST_SMALL and count <= _LARGE_SIZE:
        return _HEADER.pack(command, size, kind, count, first, second) + payload.ljust(size, b"\0")
    large = _HEADER.pack(command, _LARGE_SIZE, kind, 0, first, second) + _LARGE.pack(size, count)
    return large + payload.ljust(size, b"\0")


def error(request: Request, fault: Garbled) -> bytes:
    """Tells a client what was wrong with its request."""
    command, kind, count, first, second, payload = request
    header = _HEADER.pack(command, min(len(payload), _LARGE_SIZE), kind, min(count, _LARGE_SIZE), first, second)
    return message(Command.ERROR, header + str(fault).encode() + b"\0", first=0xFFFFFFFF, second=fault.status)
