"""The same records in hydrad and in EPICS base, each with a client made of bytes, to be asked the same."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import epics
from bare_client import BareClient, Message, Opened
from epics_env import random_prefix, server_environment
from steered import Steered, as_line, free_server_port, until

STRING, SHORT, FLOAT, ENUM, CHAR, LONG, DOUBLE = range(7)
PLAIN, STS, TIME, GR, CTRL = range(5)
PUT_ACKT, PUT_ACKS, STSACK_STRING, CLASS_NAME = 35, 36, 37, 38
NORMAL, INTERNAL, PUTFAIL, BADMONID = 1, 142, 160, 242
NUMBERS = {SHORT: "h", FLOAT: "f", ENUM: "H", CHAR: "B", LONG: "i", DOUBLE: "d"}
START = {"MBBI": 1, "BI": 1, "AI": 85.5, "LONGIN": 50, "STRINGIN": "one line", "WAVEFORM": "a text"}


@cache
def table(name: str) -> ctypes.Array[ctypes.c_ushort]:
    """One of libca's tables by DBR type."""
    epics.ca.initialize_libca()
    return (ctypes.c_ushort * 39).in_dll(epics.ca.libca, name)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two servers, and a client of it."""

    prefix: str
    port: int
    process: Steered
    client: BareClient

    def post(self, record: str, value: Any) -> None:
        """Return when the record has it: EPICS base posts in a thread."""
        opened = self.opened(record)
        before = self.client.read(opened, 7 * TIME + STRING).payload[4:12]
        self.process.tell(as_line(record, value))
        until(lambda: self.client.read(opened, 7 * TIME + STRING).payload[4:12] != before)

    def opened(self, channel: str) -> Opened:
        found = self.client.open(self.name(channel))
        assert found is not None, channel
        return found

    def name(self, channel: str) -> str:
        return f"{self.prefix}:{channel}"

    def meanings(self, channel: str, asked: Sequence[tuple[int, int]]) -> list[Any]:
        """What readings of these kinds and counts say."""
        answers = self.client.read_all(self.opened(channel), asked)
        return [
            meaning(kind, answer) if answer.first == NORMAL else "fails"
            for (kind, _), answer in zip(asked, answers, strict=True)
        ]


def meaning(kind: int, answer: Message) -> Any:
    payload, (family, base) = answer.payload, divmod(kind, 7)
    if kind == CLASS_NAME:
        return texts(payload)
    if kind == STSACK_STRING:
        return *struct.unpack_from(">hh", payload), texts(payload[8:])  # who acknowledged what is another matter
    value = payload[table("dbr_value_offset")[kind] :]
    if base == STRING:
        values: Any = texts(value[: 40 * answer.count])
    else:
        values = struct.unpack_from(f">{answer.count}{NUMBERS[base]}", value)
    alarm = struct.unpack_from(">hh", payload) if family else ()
    about: tuple[Any, ...] = ()
    if family in {GR, CTRL} and base == ENUM:
        (states,) = struct.unpack_from(">h", payload, 4)
        about = texts(payload[6 : 6 + 26 * states], 26)
    elif family in {GR, CTRL} and base != STRING:
        at = 4
        if base in {FLOAT, DOUBLE}:
            about, at = struct.unpack_from(">h", payload, at), 8
        limits = struct.unpack_from(f">{6 if family == GR else 8}{NUMBERS[base]}", payload, at + 8)
        about = (*about, *texts(payload[at : at + 8]), *map(str, limits))
    return answer.kind, answer.count, alarm, about, tuple(map(str, values))


def texts(data: bytes, size: int = 40) -> tuple[str, ...]:
    return tuple(data[n : n + size].split(b"\0")[0].decode() for n in range(0, len(data), size))


@contextmanager
def both() -> Iterator[tuple[Side, Side]]:
    """Ours and theirs, with the same records at the same values."""
    with ExitStack() as stack:
        made = []
        for kind in ("hydrad", "EPICS base"):
            prefix, port = random_prefix(), free_server_port()
            if kind == "hydrad":
                process = Steered("records_ioc.py", prefix, str(port), environment=dict(os.environ))
            else:
                process = Steered("records_peer.py", prefix, environment=server_environment(port))
            stack.enter_context(process)
            made.append(Side(prefix, port, process, stack.enter_context(BareClient(port))))
        for side in made:
            for record, value in START.items():
                side.post(record, value)
        yield made[0], made[1]
