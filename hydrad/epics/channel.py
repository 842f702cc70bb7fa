"""One PV over Channel Access: what it reads, whether it answers, and that it may appear at any time.

Importing this module loads pyepics. Its callbacks run on threads of libca, which must not be kept waiting.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from epics import ca, dbr

from hydrad.errors import ConfigurationError

REPEATER_PORT = 5065  # unless EPICS_CA_REPEATER_PORT says another
ECA_DISCONN = 24 << 3  # caerr.h; pyepics names only a few of its codes


class Ear(Protocol):
    """Whoever listens to channels, on libca's threads."""

    def connection(self, name: str, up: bool) -> None:
        """The PV has appeared, or is gone."""
        ...

    def reading(self, name: str, value: float | str, severity: int) -> None:
        """The PV's value, from its monitor or as an answer to :meth:`Channel.ask`."""
        ...

    def refusal(self, name: str, why: str) -> None:
        """The PV is there and does not let itself be read as it is wanted."""
        ...


class Channel:
    """A PV that is read with severity, as a double (enums are their index) or as text (enums are their word).

    Of an array it is the first element.

    It is made from libca's own functions: a ``PV`` of pyepics shares its channel with others of its name, polls while
    it waits for an answer, and keeps to itself that a value cannot be read.

    Args:
        section: of the configuration, which names it.

    Raises:
        ConfigurationError: when no PV can have this name.
    """

    def __init__(self, name: str, ear: Ear, *, section: str, text: bool = False) -> None:
        self.name = name
        self._ear = ear
        self._section = section
        self._type, self._form = (dbr.TIME_STRING, dbr.time_string) if text else (dbr.TIME_DOUBLE, dbr.time_double)
        # libca calls these for as long as the channel lives, so they live as long as this.
        self._on_connection = dbr.make_callback(self._connection, dbr.connection_args)
        self._on_event = dbr.make_callback(self._event, dbr.event_handler_args)
        self._open()

    @property
    def connected(self) -> bool:
        """Whether libca holds it for connected; of a frozen IOC it does so for half a minute and more."""
        return bool(ca.libca.ca_state(self._chid) == dbr.CS_CONN)

    def ask(self) -> None:
        """Request the value past the monitor; the answer comes as a reading or a refusal, or never."""
        code = ca.libca.ca_array_get_callback(self._type, 1, self._chid, self._on_event, None)
        if code not in {dbr.ECA_NORMAL, ECA_DISCONN}:  # that it has just gone is told by itself
            self._ear.refusal(self.name, ca.message(code))
        ca.flush_io()

    def search_afresh(self) -> None:
        """Look for the PV with short intervals again; libca's own grow to five minutes."""
        self.close()
        self._open()

    def close(self) -> None:
        """Let go of it: once this returns, nothing is called any more."""
        ca.libca.ca_clear_channel(self._chid)
        ca.flush_io()

    def _open(self) -> None:
        self._chid = dbr.chid_t()
        with _nobody_looks_for_a_repeater():
            self._must(
                ca.libca.ca_create_channel(self.name.encode(), self._on_connection, None, 0, ctypes.byref(self._chid))
            )
        mask = dbr.DBE_VALUE | dbr.DBE_ALARM
        self._must(ca.libca.ca_create_subscription(self._type, 1, self._chid, mask, self._on_event, None, None))
        ca.flush_io()

    def _must(self, code: int) -> None:
        if code != dbr.ECA_NORMAL:
            raise ConfigurationError(f"{self._section}: libca will not watch a PV {self.name!r}: {ca.message(code)}")

    def _connection(self, args: Any) -> None:
        self._ear.connection(self.name, args.op == dbr.OP_CONN_UP)

    def _event(self, args: Any) -> None:
        if args.status == dbr.ECA_NORMAL:
            reading = ctypes.cast(args.raw_dbr, ctypes.POINTER(self._form)).contents
            value = reading.value
            if isinstance(value, bytes):
                value = value.decode(errors="replace")
            self._ear.reading(self.name, value, reading.severity)
        elif args.status != ECA_DISCONN:
            self._ear.refusal(self.name, ca.message(args.status))


class _Complaint(ctypes.Structure):
    """libca's ``struct exception_handler_args``."""

    _fields_ = (
        ("usr", ctypes.c_void_p),
        ("chid", ctypes.c_void_p),
        ("type", ctypes.c_long),
        ("count", ctypes.c_long),
        ("addr", ctypes.c_void_p),
        ("stat", ctypes.c_long),
        ("op", ctypes.c_long),
        ("context", ctypes.c_char_p),
        ("file", ctypes.c_char_p),
        ("line", ctypes.c_uint),
    )


_listeners: list[Callable[[str, str], None]] = []


def _complained(args: _Complaint) -> None:
    for listener in tuple(_listeners):
        listener(ca.message(args.stat), (args.context or b"").decode(errors="replace"))


_ON_COMPLAINT = ctypes.CFUNCTYPE(None, _Complaint)(_complained)  # libca has one handler, and keeps it for good


@contextmanager
def attached(section: str, on_complaint: Callable[[str, str], None]) -> Iterator[None]:
    """Make libca ready for this thread, which should be the main one if it is the first.

    Args:
        section: of the configuration, which asks for it.
        on_complaint: is told, on libca's threads, what libca would otherwise print: message and context.

    Raises:
        ConfigurationError: when libca cannot be loaded.
    """
    if ca.libca is None:
        try:
            ca.initialize_libca()
        except ca.ChannelAccessException as fault:
            raise ConfigurationError(f"{section}.kind: 'epics' needs libca, which cannot be loaded: {fault}") from fault
    else:
        ca.use_initial_context()
    _listeners.append(on_complaint)
    ca.libca.ca_add_exception_event(_ON_COMPLAINT, None)
    try:
        yield
    finally:
        _listeners.remove(on_complaint)


def use_from_this_thread() -> None:
    """Let the calling thread use the channels that the first one opened."""
    ca.use_initial_context()


@contextmanager
def _nobody_looks_for_a_repeater() -> Iterator[None]:
    """Keep libca from starting ``caRepeater`` where there is none.

    It would fork, fail, and say so on stderr. Holding the repeater's port looks to it like a repeater; and as
    channels are searched afresh, nothing is lost without one.
    """
    if shutil.which("caRepeater") is not None:
        yield
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        with suppress(OSError, ValueError, OverflowError):  # a repeater has it, or libca will mend the number
            port.bind(("", int(os.environ.get("EPICS_CA_REPEATER_PORT") or REPEATER_PORT)))
        yield
