"""What EPICS calls an alarm: a condition and a severity, computed as EPICS base computes them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from hydrad.domain import Severity


class Condition(IntEnum):
    """EPICS alarm conditions (``.STAT``), by their EPICS numbers."""

    NO_ALARM = 0
    READ = 1
    WRITE = 2
    HIHI = 3
    HIGH = 4
    LOLO = 5
    LOW = 6
    STATE = 7
    COS = 8
    COMM = 9
    TIMEOUT = 10
    HWLIMIT = 11
    CALC = 12
    SCAN = 13
    LINK = 14
    SOFT = 15
    BAD_SUB = 16
    UDF = 17
    DISABLE = 18
    SIMM = 19
    READ_ACCESS = 20
    WRITE_ACCESS = 21


class Alarm(NamedTuple):
    """Why, and how bad."""

    condition: Condition
    severity: Severity


QUIET = Alarm(Condition.NO_ALARM, Severity.NO_ALARM)
UNDEFINED = Alarm(Condition.UDF, Severity.INVALID)


def worse(first: Alarm, second: Alarm) -> Alarm:
    """The more severe of two; among equals the first, as in EPICS base."""
    return second if second.severity > first.severity else first


def of_state(state: int, severities: Sequence[Severity]) -> Alarm:
    """The alarm of a record with states, by the severity an operator gave the present one."""
    severity = severities[state] if 0 <= state < len(severities) else Severity.INVALID
    return Alarm(Condition.STATE, severity) if severity else QUIET


class Limit(NamedTuple):
    """One limit of an analog record, of effect only with a severity."""

    condition: Condition
    level: float
    severity: Severity
    above: bool  # True: the alarm is at the level and above it


def of_limits(value: float, limits: Sequence[Limit], hysteresis: float, held: float) -> tuple[Alarm, float]:
    """The alarm of an analog value and the level that raised it.

    Args:
        limits: the most severe first; the first that is passed counts.
        hysteresis: how far the value must come back before an alarm ends.
        held: the level that raised the alarm last time; anything else when there was none.
    """
    for limit in limits:
        if not limit.severity:
            continue
        slack = hysteresis if held == limit.level else 0.0
        passed = value >= limit.level - slack if limit.above else value <= limit.level + slack
        if passed:
            return Alarm(limit.condition, limit.severity), limit.level
    return QUIET, value
