"""Values as Channel Access carries them: every DBR type of every channel, and what a put brings."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Protocol

from hydrad.errors import ChangeRefused
from hydrad.ioc.alarm import Alarm

Value = int | float | str
Values = tuple[float, ...] | tuple[str, ...]  # of a waveform
EPICS_EPOCH = 631152000  # Unix time of 1990-01-01
STRING_BYTES = 40  # with the terminating zero
STATE_BYTES, MOST_STATES = 26, 16
PUT_ACKT, PUT_ACKS, STSACK_STRING, CLASS_NAME = 35, 36, 37, 38
LAST_DBR = CLASS_NAME


class Dbr(IntEnum):
    """The seven types of a value."""

    STRING = 0
    SHORT = 1
    FLOAT = 2
    ENUM = 3
    CHAR = 4
    LONG = 5
    DOUBLE = 6


class Family(IntEnum):
    """What goes with a value; a DBR type is seven times its family and its value's type."""

    PLAIN = 0
    STS = 1
    TIME = 2
    GR = 3
    CTRL = 4


class Untranslatable(Exception):
    """The channel cannot be read as the type that was asked for."""


class Source(Protocol):
    """What is encoded: a record or one of its fields. ``limits`` are display, alarm, warning and control limits."""

    native: Dbr
    room: int  # bytes of its text, with the terminating zero
    alarm: Alarm
    stamp: float  # Unix time, s
    units: str
    precision: int
    states: Sequence[str]
    limits: Sequence[float]  # upper and lower display, upper alarm, upper and lower warning, lower alarm, upper, lower
    rtyp: str
    acknowledge: tuple[int, int]  # ACKT, ACKS

    @property
    def value(self) -> Value | Values:
        """What it holds."""
        ...


_NUMBERS = {
    Dbr.SHORT: ("h", -(2**15), 2**15 - 1),
    Dbr.ENUM: ("H", 0, 2**16 - 1),
    Dbr.CHAR: ("B", 0, 2**8 - 1),
    Dbr.LONG: ("i", -(2**31), 2**31 - 1),
    Dbr.FLOAT: ("f", -3.4028234e38, 3.4028234e38),
    Dbr.DOUBLE: ("d", -math.inf, math.inf),
}
# Bytes between what goes with a value and the value, so that the value is aligned.
_PADDING = {
    Family.STS: {Dbr.CHAR: 1, Dbr.DOUBLE: 4},
    Family.TIME: {Dbr.SHORT: 2, Dbr.ENUM: 2, Dbr.CHAR: 3, Dbr.DOUBLE: 4},
    Family.GR: {Dbr.CHAR: 1},
    Family.CTRL: {Dbr.CHAR: 1},
}


def clipped(text: str, size: int) -> bytes:
    """Text as UTF-8 in less than ``size`` bytes, cut between characters."""
    return text.encode()[: size - 1].decode(errors="ignore").encode()


def encode(source: Source, dbr_type: int, count: int = 0) -> tuple[bytes, int]:
    """A channel as one DBR type.

    Args:
        count: elements that the client asked for; 0 for as many as there are.

    Returns:
        The payload without the padding of a message, and how many elements it has.

    Raises:
        Untranslatable: for a type that does not exist, or text read as a number.
    """
    if dbr_type == STSACK_STRING:
        text, _ = _elements(source, Dbr.STRING)
        return struct.pack(">hhHH40s", *_numbers(source.alarm), *source.acknowledge, text[:STRING_BYTES]), 1
    if dbr_type == CLASS_NAME:
        return struct.pack(">40s", source.rtyp.encode()), 1
    family, base = divmod(dbr_type, 7)
    if family > Family.CTRL:
        raise Untranslatable(f"there is no DBR type {dbr_type}")
    elements, present = _elements(source, Dbr(base))
    if count:
        size = _size(Dbr(base))
        elements, present = elements[: size * count].ljust(size * count, b"\0"), count
    return _before(source, Family(family), Dbr(base)) + elements, present


def spoken(source: Source, value: Value) -> str:
    """A value as a string, as EPICS base would write it."""
    if isinstance(value, str):
        return value
    if source.states:
        return source.states[int(value)] if 0 <= value < len(source.states) else "Illegal_Value"
    if isinstance(value, float):
        kind = "e" if abs(value) >= 1e16 else "f"
        return f"{value:.{source.precision}{kind}}"
    return str(value)


def _elements(source: Source, base: Dbr) -> tuple[bytes, int]:
    value = source.value
    if base is not Dbr.STRING and isinstance(value, str) and Dbr.CHAR in {base, source.native}:
        text = clipped(value, source.room) + b"\0"
        return (text if base is Dbr.CHAR else _packed(base, text)), len(text)
    values = value if isinstance(value, tuple) else (value,)
    if base is Dbr.STRING:
        texts = [clipped(spoken(source, one), STRING_BYTES).ljust(STRING_BYTES, b"\0") for one in values]
        return b"".join(texts), len(texts)
    return _packed(base, [_written(one) if isinstance(one, str) else one for one in values]), len(values)


def _size(base: Dbr) -> int:
    """Bytes of one element."""
    return STRING_BYTES if base is Dbr.STRING else struct.calcsize(f">{_NUMBERS[base][0]}")


def _written(text: str) -> float:
    """The number that a text spells; nothing at all is 0, as in EPICS base."""
    try:
        return float(text) if text else 0.0
    except ValueError as fault:
        raise Untranslatable("text is no number") from fault


def _packed(base: Dbr, values: Iterable[float]) -> bytes:
    code, least, most = _NUMBERS[base]
    if base is Dbr.DOUBLE:
        fitting: list[float] = list(values)
    elif base is Dbr.FLOAT:
        fitting = [v if math.isnan(v) or math.isinf(v) else min(max(v, least), most) for v in values]
    else:
        fitting = [0 if math.isnan(v) else int(min(max(v, least), most)) for v in values]
    return struct.pack(f">{len(fitting)}{code}", *fitting)


def _before(source: Source, family: Family, base: Dbr) -> bytes:
    if family is Family.PLAIN:
        return b""
    if base is Dbr.STRING and family in {Family.GR, Family.CTRL}:
        family = Family.STS
    head = struct.pack(">hh", *_numbers(source.alarm))
    if family is Family.TIME:
        head += _stamp(source.stamp)
    elif family in {Family.GR, Family.CTRL}:
        head += _described(source, family, base)
    return head + bytes(_PADDING[family].get(base, 0))


def _described(source: Source, family: Family, base: Dbr) -> bytes:
    if base is Dbr.ENUM:
        names = source.states[:MOST_STATES]
        table = b"".join(clipped(name, STATE_BYTES).ljust(STATE_BYTES, b"\0") for name in names)
        return struct.pack(">h", len(names)) + table.ljust(STATE_BYTES * MOST_STATES, b"\0")
    precision = struct.pack(">hh", source.precision, 0) if base in {Dbr.FLOAT, Dbr.DOUBLE} else b""
    limits = source.limits if family is Family.CTRL else source.limits[:6]
    return precision + clipped(source.units, 8).ljust(8, b"\0") + _packed(base, limits)


def _numbers(alarm: Alarm) -> tuple[int, int]:
    return int(alarm.condition), int(alarm.severity)


def _stamp(unix_time: float) -> bytes:
    seconds = math.floor(unix_time)
    nanoseconds = min(int((unix_time - seconds) * 1e9), 999_999_999)
    return struct.pack(">II", max(seconds - EPICS_EPOCH, 0), nanoseconds)


def received(dbr_type: int, payload: bytes, count: int = 1) -> Value:
    """What a put brought: text for strings and for several characters, else its first element.

    Args:
        count: how many elements the payload has, which may be filled up.

    Raises:
        ChangeRefused: when it brought nothing, or a type that cannot be put.
    """
    if not 0 <= dbr_type < 7:
        raise ChangeRefused("only plain values can be put")
    base = Dbr(dbr_type)
    if base is Dbr.CHAR and count > 1:
        return payload[:count].split(b"\0")[0].decode(errors="replace")
    if base is Dbr.STRING:
        return payload.split(b"\0")[0].decode(errors="replace")
    code = f">{_NUMBERS[base][0]}"
    if not count or len(payload) < struct.calcsize(code):
        raise ChangeRefused("there is no value")
    value: int | float = struct.unpack_from(code, payload)[0]
    return value


def as_number(value: Value) -> float:
    """A put to a number; raise ChangeRefused for text that is none, NaN and infinity."""
    try:
        number = float(value)
    except ValueError as fault:
        raise ChangeRefused(f"{value!r} is no number") from fault
    if not math.isfinite(number):
        raise ChangeRefused("must be a finite number")
    return number


def as_whole(value: Value) -> int:
    """A put to a whole number; raise ChangeRefused for anything else."""
    number = as_number(value)
    if number != int(number):
        raise ChangeRefused("must be a whole number")
    if not -(2**31) <= number < 2**31:
        raise ChangeRefused("must fit in 32 bits")
    return int(number)


def as_state(value: Value, states: Sequence[str]) -> int:
    """A put to a state, by its name or number; raise ChangeRefused for one that does not exist."""
    if isinstance(value, str) and value in states:
        return states.index(value)
    try:
        number = as_whole(value)
    except ChangeRefused as fault:
        raise ChangeRefused(f"must be one of {', '.join(states)}") from fault
    if not 0 <= number < len(states):
        raise ChangeRefused(f"must be one of {', '.join(states)}")
    return number
