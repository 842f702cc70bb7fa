"""What a classic alarm handler and a put with callback do, by libca itself: pyepics has no words for it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import epics
from epics import dbr
from steered import connected, until

PUT_ACKT, PUT_ACKS, STSACK_STRING = 35, 36, 37
NORMAL, PUTFAIL, NOWTACCESS = 1, 160, 376  # ECA_ codes
_CALLBACK = ctypes.CFUNCTYPE(None, dbr.event_handler_args)


class Standing(NamedTuple):
    """What an alarm handler reads of a channel."""

    status: int
    severity: int
    ackt: int
    acks: int


def read_by_alarm_handlers(name: str) -> str:
    """The value as ``DBR_STSACK_STRING`` has it."""
    return _told(name).value.decode()


class _StsAck(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ushort) for name in Standing._fields] + [("value", ctypes.c_char * 40)]


def unacknowledged(name: str) -> Standing:
    """Alarm and acknowledgement, as ``DBR_STSACK_STRING`` has them."""
    told = _told(name)
    return Standing(*(getattr(told, field) for field in Standing._fields))


def _told(name: str) -> _StsAck:
    with connected(name) as pv:
        told = _StsAck()
        epics.ca.libca.ca_array_get(STSACK_STRING, 1, pv.chid, ctypes.byref(told))
        assert epics.ca.pend_io(5.0) == NORMAL
        return told


@contextmanager
def alarm_handler(name: str) -> Iterator[list[Standing]]:
    """What a classic alarm handler hears of a channel: ``DBR_STSACK_STRING`` with every change of its alarm."""
    heard: list[Standing] = []

    def hear(arguments: dbr.event_handler_args) -> None:
        told = ctypes.cast(arguments.raw_dbr, ctypes.POINTER(_StsAck)).contents
        heard.append(Standing(*(getattr(told, field) for field in Standing._fields)))

    back, number = _CALLBACK(hear), ctypes.c_void_p()
    with connected(name) as pv:
        made = epics.ca.libca.ca_create_subscription(
            STSACK_STRING, 1, pv.chid, dbr.DBE_ALARM, back, None, ctypes.byref(number)
        )
        assert made == NORMAL
        epics.ca.flush_io()
        until(lambda: bool(heard))
        yield heard
        epics.ca.libca.ca_clear_subscription(number)


def acknowledge(name: str, severity: int) -> None:
    """Write ``DBR_PUT_ACKS`` and wait until it has been done."""
    _put_ushort(name, PUT_ACKS, severity)


def set_transient(name: str, wanted: int) -> None:
    """Write ``DBR_PUT_ACKT`` and wait until it has been done."""
    _put_ushort(name, PUT_ACKT, wanted)


def _put_ushort(name: str, kind: int, value: int) -> None:
    with connected(name) as pv:
        assert epics.ca.libca.ca_array_put(kind, 1, pv.chid, ctypes.byref(ctypes.c_ushort(value))) == NORMAL
        pv.get(timeout=5)  # answered in order


def put_and_hear(name: str, value: Any) -> int:
    """Put with a callback and return the status that the server answers; text as one string of 40 bytes."""
    heard: list[int] = []
    back = _CALLBACK(lambda arguments: heard.append(arguments.status))
    with connected(name) as pv:
        if isinstance(value, str):
            kind, count, data = dbr.STRING, 1, ctypes.create_string_buffer(value.encode(), 40)
        else:
            values = value if isinstance(value, list) else [value]
            kind, count, data = dbr.DOUBLE, len(values), (ctypes.c_double * len(values))(*values)
        sent = epics.ca.libca.ca_array_put_callback(kind, count, pv.chid, data, back, None)
        if sent != NORMAL:  # libca knows without asking
            return int(sent)
        epics.ca.flush_io()
        until(lambda: bool(heard))
    return heard[0]


class _Exception(ctypes.Structure):
    _fields_ = [
        ("usr", ctypes.c_void_p),
        ("chid", ctypes.c_void_p),
        ("type", ctypes.c_long),
        ("count", ctypes.c_long),
        ("addr", ctypes.c_void_p),
        ("stat", ctypes.c_long),
        ("op", ctypes.c_long),
        ("ctx", ctypes.c_char_p),
        ("pFile", ctypes.c_char_p),
        ("lineNo", ctypes.c_uint),
    ]


_HANDLER = ctypes.CFUNCTYPE(None, _Exception)


@contextmanager
def exceptions() -> Iterator[list[int]]:
    """What servers answer to what nobody waits for, by ECA_ codes; libca would print it."""
    heard: list[int] = []
    handler = _HANDLER(lambda told: heard.append(told.stat))
    epics.ca.initialize_libca()
    epics.ca.libca.ca_add_exception_event(handler, None)
    try:
        yield heard
    finally:
        epics.ca.libca.ca_add_exception_event(None, None)
