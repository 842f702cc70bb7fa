"""A Channel Access client made of bytes: it asks what libca would not, and says what came back, byte by byte."""

from __future__ import annotations

import itertools
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

HEADER = struct.Struct(">HHHHII")
LARGE = struct.Struct(">II")
VERSION = 13
VERSIONS, EVENT_ADD, SEARCH, ERROR, CLEAR, NOT_FOUND = 0, 1, 6, 11, 12, 14
READ_NOTIFY, CREATE, WRITE_NOTIFY, CLIENT, HOST, RIGHTS, ECHO, CREATE_FAILED, SERVER_DOWN = (
    15, 18, 19, 20, 21, 22, 23, 26, 27,
)  # fmt: skip
NORMAL = 1  # ECA_NORMAL


@dataclass(frozen=True, slots=True)
class Message:
    """What a server sent."""

    command: int
    kind: int
    count: int
    first: int
    second: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A channel, by the server's number."""

    number: int
    native: int
    count: int


def message(
    command: int, payload: bytes = b"", *, kind: int = 0, count: int = 0, first: int = 0, second: int = 0
) -> bytes:
    """A message as it goes over the wire, with the large header where the small one has no room."""
    padded = payload + bytes(-len(payload) % 8)
    if len(padded) < 0xFFFF and count <= 0xFFFF:
        return HEADER.pack(command, len(padded), kind, count, first, second) + padded
    return HEADER.pack(command, 0xFFFF, kind, 0, first, second) + LARGE.pack(len(padded), count) + padded


class BareClient:
    """One TCP connection to a server."""

    def __init__(self, port: int, *, timeout_s: float = 5.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._numbers = itertools.count(1)
        self._received = b""
        self._aside: deque[Message] = deque()
        self.send(message(VERSIONS, count=VERSION), message(HOST, b"here\0"), message(CLIENT, b"tester\0"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *messages: bytes) -> None:
        self.socket.sendall(b"".join(messages))

    def open(self, name: str) -> Opened | None:
        """The channel of this name, or None where the server has none."""
        cid = next(self._numbers)
        self.send(message(CREATE, name.encode() + b"\0", first=cid, second=VERSION))
        answer = self.await_one(lambda m: m.command in {CREATE, CREATE_FAILED} and m.first == cid)
        return Opened(answer.second, answer.kind, answer.count) if answer.command == CREATE else None

    def close_channel(self, channel: Opened) -> Message:
        cid = next(self._numbers)
        self.send(message(CLEAR, first=channel.number, second=cid))
        return self.await_one(lambda m: m.command in {CLEAR, ERROR})

    def read(self, channel: Opened, kind: int, count: int = 1) -> Message:
        """The answer to a reading: ``first`` is its status."""
        return self.read_all(channel, [(kind, count)])[0]

    def read_all(self, channel: Opened, asked: Sequence[tuple[int, int]]) -> list[Message]:
        """The answers to readings of these kinds and counts, which are asked for at once."""
        numbers = [next(self._numbers) for _ in asked]
        self.send(
            *(
                message(READ_NOTIFY, kind=kind, count=count, first=channel.number, second=number)
                for (kind, count), number in zip(asked, numbers, strict=True)
            )
        )
        return [self.await_one(lambda m, n=n: m.command == READ_NOTIFY and m.second == n) for n in numbers]

    def write(self, channel: Opened, kind: int, payload: bytes, count: int = 1) -> Message:
        """The answer to a put: ``first`` is its status."""
        number = next(self._numbers)
        self.send(message(WRITE_NOTIFY, payload, kind=kind, count=count, first=channel.number, second=number))
        return self.await_one(lambda m: (m.command == WRITE_NOTIFY and m.second == number) or m.command == ERROR)

    def subscribe(self, channel: Opened, kind: int, mask: int, count: int = 1) -> int:
        """The number of a subscription; what it hears comes by :meth:`events`."""
        number = next(self._numbers)
        asked = struct.pack(">fffHH", 0, 0, 0, mask, 0)
        self.send(message(EVENT_ADD, asked, kind=kind, count=count, first=channel.number, second=number))
        return number

    def events(self) -> list[Message]:
        """What has been heard by the time that the server answers an echo."""
        self.echo()
        heard = [one for one in self._aside if one.command == EVENT_ADD]
        self._aside = deque(one for one in self._aside if one.command != EVENT_ADD)
        return heard

    def echo(self) -> None:
        """Return when the server has answered all that came before."""
        self.send(message(ECHO))
        self.await_one(lambda m: m.command == ECHO)

    def await_one(self, fits: Callable[[Message], bool]) -> Message:
        """The next message that fits; others are kept."""
        for kept in self._aside:
            if fits(kept):
                self._aside.remove(kept)
                return kept
        while True:
            one = self._next()
            if fits(one):
                return one
            if one.command != RIGHTS:  # which nobody asks for, and every channel has
                self._aside.append(one)

    def _next(self) -> Message:
        command, size, kind, count, first, second = HEADER.unpack(self._exactly(HEADER.size))
        if size == 0xFFFF and count == 0:
            size, count = LARGE.unpack(self._exactly(LARGE.size))
        return Message(command, kind, count, first, second, self._exactly(size))

    def _exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the server hung up")
            self._received += data
        taken, self._received = self._received[:size], self._received[size:]
        return taken
