"""Records that behave as those of EPICS base: value, alarm and time stamp in one event, and only when one changed."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar, Protocol

from hydrad.config import Group
from hydrad.domain import Severity
from hydrad.errors import ChangeRefused
from hydrad.ioc.alarm import QUIET, UNDEFINED, Alarm, Condition, Limit, of_limits, of_state, worse
from hydrad.ioc.channel import ALL, Channel, Event
from hydrad.ioc.controls import Who
from hydrad.ioc.fields import COMMON, TEXT, Field, FieldOf, limits, many_states, moved, two_states
from hydrad.ioc.wire import Dbr, Value, as_number, as_state, as_whole

Putter = Callable[[Who, float, float | None], Awaitable[None]]  # who, the new value, the old one where there was one
TEXT_BYTES = 256


class Keeper(Protocol):
    """Keeps what clients put to the fields of records."""

    async def keep(self, record: Record, field: str, value: float, old: float, who: Who) -> None:
        """Keep it over restarts; raise ChangeRefused if it cannot be."""
        ...


class Record(Channel):
    """A PV with its alarm and fields: INVALID and undefined until its first :meth:`post`.

    Args:
        name: the whole PV name.
        desc: what it is, at most 40 bytes.
        putter: takes what clients put; without one the record is read-only.
        groups: who may put to one of them may put to it.
    """

    __slots__ = (
        "_forced", "acks", "ackt", "alarm", "defined", "desc", "fields", "groups", "keeper", "name", "putter", "stamp",
        "value",
    )  # fmt: skip
    kinds: ClassVar[Mapping[str, FieldOf]] = COMMON
    value: Value

    def __init__(
        self, name: str, desc: str, value: Value, putter: Putter | None = None, groups: Sequence[Group] = ()
    ) -> None:
        super().__init__()
        self.groups = groups
        self.keeper: Keeper | None = None
        self.name = name
        self.desc = desc
        self.value = value
        self.putter = putter
        self.alarm = UNDEFINED
        self.stamp = time.time()
        self.defined = False
        self.ackt = 1
        self.acks = Severity.NO_ALARM
        self.fields: dict[str, Field] | None = None
        self._forced = QUIET

    @property
    def acknowledge(self) -> tuple[int, int]:  # type: ignore[override]  # an attribute to those who read it
        """ACKT and ACKS, as alarm handlers read them."""
        return self.ackt, self.acks

    @property
    def severity(self) -> Severity:
        """The severity of its alarm."""
        return self.alarm.severity

    @property
    def condition(self) -> Condition:
        """The condition of its alarm."""
        return self.alarm.condition

    @property
    def undefined(self) -> bool:
        """True until it was given a value that is one."""
        return not self.defined or (isinstance(self.value, float) and math.isnan(self.value))

    def field(self, name: str) -> Channel | None:
        """The field of this name, or None."""
        if name in {"", "VAL"}:
            return self
        if name not in self.kinds:
            return None
        if self.fields is None:
            self.fields = {}
        if name not in self.fields:
            self.fields[name] = Field(self, name, self.kinds[name])
        return self.fields[name]

    def post(self, value: Value, stamp: float, alarm: Alarm = QUIET, *, always: bool = False) -> None:
        """Hold a new value and tell subscribers, once, if value or alarm changed.

        Args:
            stamp: Unix time, s.
            alarm: one that does not follow from the value, e.g. LINK; the worse of the two holds.
            always: tell them even what they know.
        """
        events = self._changes(value)
        if always or not self.defined:
            events = ALL
        self.value, self.stamp, self.defined, self._forced = value, stamp, True, alarm
        self._judge(events)

    def reassess(self) -> None:
        """Compute the alarm anew, after a limit or a severity was changed."""
        if self.defined:
            self._judge(0)

    def acknowledge_alarm(self, *, severity: int | None = None, transient: int | None = None) -> None:
        """Take what an alarm handler wrote to ACKS or ACKT."""
        if transient is not None:
            self.ackt = int(transient != 0)
            if not self.ackt:
                self.acks = min(self.acks, self.alarm.severity)
        if severity is not None and severity >= self.acks:
            self.acks = Severity.NO_ALARM
        self.announce(Event.ALARM)
        self._announce_fields("ACKS", "ACKT")

    async def keep(self, field: str, value: float, old: float, who: Who) -> None:
        """See that what was put to a field holds after a restart, where somebody keeps it."""
        if self.keeper is not None:
            await self.keeper.keep(self, field, value, old, who)

    async def put(self, value: Value, who: Who) -> None:
        """Check what a client wrote, hand it to the putter, and show it.

        Raises:
            ChangeRefused: with a sentence; value and alarm are as they were.
        """
        if self.putter is None:
            raise ChangeRefused("is read-only")
        wanted, old = self._accepted(value), float(self.value) if self.defined else None
        await self.putter(who, float(wanted), old)
        if not self.defined or self.value == old:  # else whoever applied it has shown it already
            self.post(wanted, time.time())

    def _accepted(self, value: Value) -> int | float:
        raise ChangeRefused(f"cannot be {value!r}")

    def _alarm_of_value(self) -> Alarm:
        return QUIET

    def _changes(self, value: Value) -> int:
        return 0 if value == self.value else Event.VALUE | Event.LOG

    def _judge(self, events: int) -> None:
        before = self.alarm
        self.alarm = worse(self._forced, self._alarm_of_value())
        if self.alarm == before:
            if events:
                self.announce(events)
            return
        if not self.ackt or self.alarm.severity >= self.acks:
            self.acks = self.alarm.severity
        self.announce(events | Event.ALARM)
        self._announce_fields("SEVR", "STAT", "UDF", "ACKS")

    def _announce_fields(self, *names: str) -> None:
        if self.fields:
            for name in names:
                if name in self.fields:
                    self.fields[name].announce(ALL)


class Analog(Record):
    """An ``ai`` or ``ao``; unset limits have no severity and so no effect, as in EPICS base."""

    __slots__ = (
        "_held", "adel", "drvh", "drvl", "hhsv", "high", "hihi", "hopr", "hsv", "hyst", "llsv", "lolo", "lopr",
        "low", "lsv", "mdel", "posted", "precision", "rtyp", "units",
    )  # fmt: skip
    native = Dbr.DOUBLE
    kinds = {**COMMON, **limits(Dbr.DOUBLE)}  # noqa: RUF012  a ClassVar of the parent

    def __init__(
        self,
        name: str,
        desc: str,
        *,
        units: str = "",
        precision: int = 0,
        between: tuple[float, float] = (0.0, 0.0),
        putter: Putter | None = None,
        groups: Sequence[Group] = (),
    ) -> None:
        super().__init__(name, desc, self._whole_or_not(math.nan), putter, groups)
        self.rtyp = self._kind(settable=putter is not None)
        self.units = units
        self.precision = precision
        self.lopr, self.hopr = between
        self.drvl, self.drvh = between if putter is not None else (0.0, 0.0)
        self.hihi = self.high = self.low = self.lolo = self.hyst = self.mdel = self.adel = 0.0
        self.hhsv = self.hsv = self.lsv = self.llsv = Severity.NO_ALARM
        self.posted = [math.nan, math.nan]  # what VALUE and LOG subscribers heard last
        self._held = math.nan

    @property
    def limits(self) -> tuple[float, ...]:  # type: ignore[override]  # an attribute to those who read it
        """Those of EPICS base; an alarm limit without a severity is NaN."""
        alarms = ((self.hihi, self.hhsv), (self.high, self.hsv), (self.low, self.lsv), (self.lolo, self.llsv))
        control = (self.drvh, self.drvl) if self.putter is not None else (self.hopr, self.lopr)
        return (self.hopr, self.lopr, *(level if severity else math.nan for level, severity in alarms), *control)

    def field(self, name: str) -> Channel | None:
        """The field of this name, or None; only what can be put has limits to drive it within."""
        return None if name in {"DRVH", "DRVL"} and self.putter is None else super().field(name)

    def _accepted(self, value: Value) -> int | float:
        number = as_number(value)
        if self.drvl < self.drvh and not self.drvl <= number <= self.drvh:
            raise ChangeRefused(f"must be from {self.drvl:g} to {self.drvh:g}")
        return number

    def _alarm_of_value(self) -> Alarm:
        value = float(self.value)
        if math.isnan(value):
            return UNDEFINED
        if not (self.hhsv or self.hsv or self.lsv or self.llsv):  # as of nearly all of them, at every post
            self._held = value
            return QUIET
        levels = (
            Limit(Condition.HIHI, self.hihi, self.hhsv, above=True),
            Limit(Condition.LOLO, self.lolo, self.llsv, above=False),
            Limit(Condition.HIGH, self.high, self.hsv, above=True),
            Limit(Condition.LOW, self.low, self.lsv, above=False),
        )
        alarm, self._held = of_limits(value, levels, self.hyst, self._held)
        return alarm

    def _changes(self, value: Value) -> int:
        number, events = float(value), 0
        for n, (event, deadband) in enumerate(((Event.VALUE, self.mdel), (Event.LOG, self.adel))):
            if moved(number, self.posted[n], deadband):
                self.posted[n] = number
                events |= event
        return events

    @staticmethod
    def _whole_or_not(value: float) -> int | float:
        return value

    @staticmethod
    def _kind(*, settable: bool) -> str:
        return "ao" if settable else "ai"


class Whole(Analog):
    """A ``longin`` or ``longout``."""

    __slots__ = ()
    native = Dbr.LONG
    kinds = {**COMMON, **{name: of for name, of in limits(Dbr.LONG).items() if name != "PREC"}}  # noqa: RUF012  as above

    def _accepted(self, value: Value) -> int | float:
        super()._accepted(value)
        return as_whole(value)

    @staticmethod
    def _whole_or_not(value: float) -> int | float:
        return 0 if math.isnan(value) else int(value)

    @staticmethod
    def _kind(*, settable: bool) -> str:
        return "longout" if settable else "longin"


class States(Record):
    """An ``mbbi``, ``bi`` or ``bo``: its alarm is the severity of its state, which operators may change."""

    __slots__ = ("drowned", "kinds", "rtyp", "severities", "states")
    native = Dbr.ENUM
    _OF_TWO: ClassVar = {**COMMON, **two_states()}
    _OF_MANY: ClassVar = {**COMMON, **many_states()}

    def __init__(
        self,
        name: str,
        desc: str,
        states: Sequence[str],
        severities: Sequence[Severity],
        *,
        putter: Putter | None = None,
        groups: Sequence[Group] = (),
    ) -> None:
        super().__init__(name, desc, 0, putter, groups)
        two = len(states) == 2
        self.rtyp = "mbbi" if not two else "bi" if putter is None else "bo"
        self.kinds = self._OF_TWO if two else self._OF_MANY  # type: ignore[misc]  # one class for both kinds
        self.states = states
        self.severities = list(severities)
        self.drowned = False  # another alarms in its place, whatever its state's severity

    @property
    def alone(self) -> Severity:
        """The severity of its state, were it not drowned."""
        return of_state(int(self.value), self.severities).severity

    def _accepted(self, value: Value) -> int | float:
        return as_state(value, self.states)

    def _alarm_of_value(self) -> Alarm:
        return QUIET if self.drowned else of_state(int(self.value), self.severities)


class String(Record):
    """A ``stringin``: one line of at most 39 bytes."""

    __slots__ = ()
    native = Dbr.STRING
    rtyp = "stringin"

    def __init__(self, name: str, desc: str) -> None:
        super().__init__(name, desc, "")


class Text(Record):
    """A ``waveform`` of characters: at most 255 bytes."""

    __slots__ = ()
    native = Dbr.CHAR
    capacity = TEXT_BYTES
    room = TEXT_BYTES
    rtyp = "waveform"
    element_type = 1  # of FTVL: CHAR
    kinds = {**COMMON, **TEXT}  # noqa: RUF012  a ClassVar of the parent

    def __init__(self, name: str, desc: str) -> None:
        super().__init__(name, desc, "")

    @property
    def length(self) -> int:
        """How many characters there are, the terminating zero included."""
        return min(len(str(self.value).encode()) + 1, TEXT_BYTES)
