"""What a client can read, monitor and put: a record's value or one of its fields."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol

from hydrad.config import Group
from hydrad.errors import ChangeRefused
from hydrad.ioc.alarm import Alarm
from hydrad.ioc.controls import Who
from hydrad.ioc.wire import STRING_BYTES, Dbr, Value, Values

Encoded = dict[tuple[int, int], tuple[bytes, int]]  # by DBR type and count: each form of an event is made once


NO_LIMITS = (0.0, 0.0, *[math.nan] * 4, 0.0, 0.0)


class Event(IntEnum):
    """What a subscriber wants to hear of: the bits of CA's event mask. Several are an integer."""

    VALUE = 1
    LOG = 2
    ALARM = 4
    PROPERTY = 8


ALL = Event.VALUE | Event.LOG | Event.ALARM


class Listener(Protocol):
    """A subscription of a client."""

    mask: int

    def news(self, encoded: Encoded) -> None:
        """The channel has something new."""
        ...


_NOBODY: dict[Listener, None] = {}  # in order, of the many channels that nobody subscribes to


class Channel:
    """What a client can connect to.

    ``capacity`` are its elements, and ``room`` the bytes of its text when it is read with ``$``. ``limits`` are upper
    and lower display, upper alarm, upper and lower warning, lower alarm, upper and lower control limit, as CA has them.
    Who may put to one of ``groups`` may put to it.
    """

    __slots__ = ("_listeners",)

    native: Dbr
    capacity: int = 1
    room: int = STRING_BYTES
    units: str = ""
    precision: int = 0
    states: Sequence[str] = ()
    limits: Sequence[float] = NO_LIMITS
    groups: Sequence[Group] = ()
    rtyp: str
    name: str
    value: Value | Values
    alarm: Alarm
    stamp: float
    acknowledge: tuple[int, int]

    def __init__(self) -> None:
        self._listeners = _NOBODY

    def hear(self, listener: Listener) -> None:
        """Tell this one too, from now on."""
        if self._listeners is _NOBODY:
            self._listeners = {}
        self._listeners[listener] = None

    def part(self, listener: Listener) -> None:
        """Tell this one no more."""
        self._listeners.pop(listener, None)

    def announce(self, events: int) -> None:
        """Tell the subscribers that asked for one of these events."""
        if not self._listeners:
            return
        encoded: Encoded = {}
        for listener in tuple(self._listeners):
            if listener.mask & events:
                listener.news(encoded)

    async def put(self, value: Value, who: Who) -> None:  # noqa: ARG002  what any channel is handed
        """Take what a client wrote; raise ChangeRefused, with a sentence, and change nothing."""
        raise ChangeRefused("is read-only")

    def acknowledge_alarm(self, *, severity: int | None = None, transient: int | None = None) -> None:
        """Take what an alarm handler wrote to ACKS or ACKT."""
        raise NotImplementedError
