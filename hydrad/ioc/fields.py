"""A record's fields as channels of their own: what operators read, and the limits and severities they set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hydrad.config import Group
from hydrad.domain import Severity
from hydrad.errors import ChangeRefused
from hydrad.ioc.alarm import Alarm, Condition
from hydrad.ioc.channel import ALL, NO_LIMITS, Channel, Event
from hydrad.ioc.controls import Who
from hydrad.ioc.wire import STATE_BYTES, STRING_BYTES, Dbr, Value, as_number, as_state, as_whole
from hydrad.settings import LIMITS, SEVERITIES_OF_LIMITS, STATE_CODES

SEVERITIES = tuple(severity.name for severity in Severity)
CONDITIONS = tuple(condition.name for condition in Condition)
NO_YES = ("NO", "YES")
FTVL = ("STRING", "CHAR", "UCHAR", "SHORT", "USHORT", "LONG", "ULONG", "INT64", "UINT64", "FLOAT", "DOUBLE")
_NOT_SHOWN = frozenset(
    {"hyst", "mdel", "adel", "severities"}
)  # no screen draws them: who waits for PROPERTY is not told


@dataclass(frozen=True, slots=True)
class FieldOf:
    """What a field is: an attribute of its record, or one element of it."""

    native: Dbr
    attribute: str
    states: Sequence[str] = ()
    element: int | None = None
    live: bool = False  # a client may put to it, and the alarm is computed anew
    room: int = STRING_BYTES


class Owner(Protocol):
    """The record that a field belongs to, as its fields see it."""

    name: str
    alarm: Alarm
    stamp: float
    rtyp: str
    precision: int
    units: str

    @property
    def limits(self) -> Sequence[float]:
        """Display, alarm, warning and control limits."""
        ...

    @property
    def acknowledge(self) -> tuple[int, int]:
        """ACKT and ACKS."""
        ...

    def announce(self, event: Event) -> None:
        """Post the record as it is."""
        ...

    def reassess(self) -> None:
        """Compute the record's alarm anew and post it if it changed."""
        ...

    def acknowledge_alarm(self, *, severity: int | None = None, transient: int | None = None) -> None:
        """Take what an alarm handler wrote to ACKS or ACKT."""
        ...

    async def keep(self, field: str, value: float, old: float, who: Who) -> None:
        """See that what was put to a field holds after a restart; raise ChangeRefused if it cannot be."""
        ...


class Field(Channel):
    """One field of a record, with the record's alarm and time stamp."""

    __slots__ = ("_of", "_record", "name", "native", "room", "states")

    def __init__(self, record: Owner, name: str, of: FieldOf) -> None:
        super().__init__()
        self._record = record
        self._of = of
        self.name = f"{record.name}.{name}"
        self.native = of.native
        self.states = of.states
        self.room = of.room

    @property
    def value(self) -> Value:  # type: ignore[override]  # an attribute to those who read it
        """The attribute as it is now; empty or 0 beyond the record's last state."""
        held = getattr(self._record, self._of.attribute)
        if self._of.element is not None:
            held = held[self._of.element] if self._of.element < len(held) else self._nothing()
        value: Value = int(held) if isinstance(held, bool) else held
        return value

    @property
    def alarm(self) -> Alarm:  # type: ignore[override]  # likewise
        """The record's."""
        return self._record.alarm

    @property
    def stamp(self) -> float:  # type: ignore[override]  # likewise
        """The record's."""
        return self._record.stamp

    @property
    def acknowledge(self) -> tuple[int, int]:  # type: ignore[override]  # likewise
        """The record's."""
        return self._record.acknowledge

    @property
    def rtyp(self) -> str:  # type: ignore[override]  # likewise
        """The record's."""
        return self._record.rtyp

    @property
    def precision(self) -> int:  # type: ignore[override]  # likewise
        """The record's, for a field that is a quantity."""
        return self._record.precision if self.native is Dbr.DOUBLE else 0

    @property
    def limits(self) -> Sequence[float]:  # type: ignore[override]  # likewise
        """The record's, for a field that is a quantity; but no alarm limits, since its alarm is the record's."""
        if self.native not in {Dbr.DOUBLE, Dbr.LONG}:
            return NO_LIMITS
        upper, lower, *_, highest, lowest = self._record.limits
        return upper, lower, *NO_LIMITS[2:6], highest, lowest

    @property
    def units(self) -> str:  # type: ignore[override]  # likewise
        """The record's, for a field that is a quantity."""
        return self._record.units if self.native in {Dbr.DOUBLE, Dbr.LONG} else ""

    @property
    def groups(self) -> Sequence[Group]:  # type: ignore[override]  # likewise
        """A limit or a severity is for those who may change alarms."""
        return ("alarms",) if self._of.live else ()

    def acknowledge_alarm(self, *, severity: int | None = None, transient: int | None = None) -> None:
        """As of the record itself."""
        self._record.acknowledge_alarm(severity=severity, transient=transient)

    async def put(self, value: Value, who: Who) -> None:
        """Keep a limit or a severity, and show it."""
        if not self._of.live:
            await super().put(value, who)
        wanted, old = self.accepted(value), self.value
        if wanted == old:
            return
        await self._record.keep(self.name.rpartition(".")[2], float(wanted), float(old), who)
        if self.value == old:  # else whoever keeps it has shown it already
            self.show(wanted)

    def show(self, wanted: Value) -> None:
        """Set it and compute the record's alarm anew."""
        if self._of.element is None:
            setattr(self._record, self._of.attribute, wanted)
        else:
            getattr(self._record, self._of.attribute)[self._of.element] = wanted
        self.announce(ALL)
        if self._of.attribute not in _NOT_SHOWN:
            self._record.announce(Event.PROPERTY)
        self._record.reassess()

    def accepted(self, value: Value) -> Value:
        """What a value means to this field; raise ChangeRefused for one that it cannot have."""
        if self.states:
            if self._of.element is not None and self._of.element >= len(getattr(self._record, self._of.attribute)):
                raise ChangeRefused("there is no such state")
            return Severity(as_state(value, self.states))
        return as_number(value) if self.native is Dbr.DOUBLE else as_whole(value)

    def _nothing(self) -> Value:
        return "" if self.native is Dbr.STRING else 0


def _live(native: Dbr, *names: str) -> dict[str, FieldOf]:
    return {name: FieldOf(native, name.lower(), live=True) for name in names}


def _severity(*names: str) -> dict[str, FieldOf]:
    return {name: FieldOf(Dbr.ENUM, name.lower(), SEVERITIES, live=True) for name in names}


def limits(native: Dbr) -> Mapping[str, FieldOf]:
    """The fields of an analog record whose value is of this type."""
    return {
        **_live(native, *LIMITS),
        **_severity(*SEVERITIES_OF_LIMITS),
        "DRVH": FieldOf(native, "drvh"),
        "DRVL": FieldOf(native, "drvl"),
        "EGU": FieldOf(Dbr.STRING, "units", room=16),
        "PREC": FieldOf(Dbr.SHORT, "precision"),
    }


def many_states() -> Mapping[str, FieldOf]:
    """The fields of a record with up to sixteen states."""
    names = {
        f"{code}ST": FieldOf(Dbr.STRING, "states", element=n, room=STATE_BYTES) for n, code in enumerate(STATE_CODES)
    }
    severities = {
        f"{code}SV": FieldOf(Dbr.ENUM, "severities", SEVERITIES, element=n, live=True)
        for n, code in enumerate(STATE_CODES)
    }
    return {**names, **severities}


def two_states() -> Mapping[str, FieldOf]:
    """The fields of a record with two states."""
    return {
        "ZNAM": FieldOf(Dbr.STRING, "states", element=0, room=STATE_BYTES),
        "ONAM": FieldOf(Dbr.STRING, "states", element=1, room=STATE_BYTES),
        "ZSV": FieldOf(Dbr.ENUM, "severities", SEVERITIES, element=0, live=True),
        "OSV": FieldOf(Dbr.ENUM, "severities", SEVERITIES, element=1, live=True),
    }


COMMON: Mapping[str, FieldOf] = {
    "NAME": FieldOf(Dbr.STRING, "name", room=61),
    "DESC": FieldOf(Dbr.STRING, "desc", room=41),
    "RTYP": FieldOf(Dbr.STRING, "rtyp"),
    "SEVR": FieldOf(Dbr.ENUM, "severity", SEVERITIES),
    "STAT": FieldOf(Dbr.ENUM, "condition", CONDITIONS),
    "UDF": FieldOf(Dbr.CHAR, "undefined"),
    "ACKS": FieldOf(Dbr.ENUM, "acks", SEVERITIES),
    "ACKT": FieldOf(Dbr.ENUM, "ackt", NO_YES),
}
TEXT: Mapping[str, FieldOf] = {
    "NELM": FieldOf(Dbr.DOUBLE, "capacity"),
    "NORD": FieldOf(Dbr.DOUBLE, "length"),
    "FTVL": FieldOf(Dbr.ENUM, "element_type", FTVL),
}


def moved(value: float, posted: float, deadband: float) -> bool:
    """True if a value left its dead band since it was posted; NaN and infinity are values like others."""
    if math.isfinite(value) and math.isfinite(posted):
        return abs(value - posted) > deadband
    return value != posted and not (math.isnan(value) and math.isnan(posted))
