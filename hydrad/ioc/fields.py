"""A record's fields as channels of their own: what operators read, and the limits and severities they set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hydrad.domain import Severity
from hydrad.errors import ChangeRefused
from hydrad.ioc.alarm import Alarm, Condition
from hydrad.ioc.channel import ALL, Channel, Event
from hydrad.ioc.controls import Who
from hydrad.ioc.wire import STRING_BYTES, Dbr, Value, as_number, as_state, as_whole

SEVERITIES = tuple(severity.name for severity in Severity)
CONDITIONS = tuple(condition.name for condition in Condition)
NO_YES = ("NO", "YES")
_STATE_CODES = ("ZR", "ON", "TW", "TH", "FR", "FV", "SX", "SV", "EI", "NI", "TE", "EL", "TV", "TT", "FT", "FF")


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
    def acknowledge(self) -> tuple[int, int]:
        """ACKT and ACKS."""
        ...

    def announce(self, event: Event) -> None:
        """Post the record as it is."""
        ...

    def reassess(self) -> None:
        """Compute the record's alarm anew and post it if it changed."""
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
        """The record's."""
        return self._record.precision

    @property
    def units(self) -> str:  # type: ignore[override]  # likewise
        """The record's, for a field that is a quantity."""
        return self._record.units if self.native in {Dbr.DOUBLE, Dbr.LONG} else ""

    async def put(self, value: Value, who: Who) -> None:
        """Set a limit or a severity and compute the record's alarm anew."""
        if not self._of.live:
            await super().put(value, who)
        wanted = self._accepted(value)
        if wanted == self.value:
            return
        if self._of.element is None:
            setattr(self._record, self._of.attribute, wanted)
        else:
            getattr(self._record, self._of.attribute)[self._of.element] = wanted
        self.announce(ALL)
        self._record.announce(Event.PROPERTY)
        self._record.reassess()

    def _accepted(self, value: Value) -> Value:
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
        **_live(native, "HIHI", "HIGH", "LOW", "LOLO", "HYST", "MDEL", "ADEL", "HOPR", "LOPR"),
        **_severity("HHSV", "HSV", "LSV", "LLSV"),
        "DRVH": FieldOf(native, "drvh"),
        "DRVL": FieldOf(native, "drvl"),
        "EGU": FieldOf(Dbr.STRING, "units"),
        "PREC": FieldOf(Dbr.SHORT, "precision"),
    }


def many_states() -> Mapping[str, FieldOf]:
    """The fields of a record with up to sixteen states."""
    names = {f"{code}ST": FieldOf(Dbr.STRING, "states", element=n) for n, code in enumerate(_STATE_CODES)}
    severities = {
        f"{code}SV": FieldOf(Dbr.ENUM, "severities", SEVERITIES, element=n, live=True)
        for n, code in enumerate(_STATE_CODES)
    }
    return {**names, **severities}


def two_states() -> Mapping[str, FieldOf]:
    """The fields of a record with two states."""
    return {
        "ZNAM": FieldOf(Dbr.STRING, "states", element=0),
        "ONAM": FieldOf(Dbr.STRING, "states", element=1),
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
    "FTVL": FieldOf(Dbr.ENUM, "element_type", ("STRING", "CHAR")),
}


def moved(value: float, posted: float, deadband: float) -> bool:
    """True if a value left its dead band since it was posted; NaN and infinity are values like others."""
    if math.isfinite(value) and math.isfinite(posted):
        return abs(value - posted) > deadband
    return value != posted and not (math.isnan(value) and math.isnan(posted))
