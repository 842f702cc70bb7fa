"""Side by side with EPICS base, what is put is answered alike, or more strictly; and what nobody may put."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from side_by_side import DOUBLE, FLOAT, LONG, NORMAL, NUMBERS, PUTFAIL, SHORT, STRING, Side, texts


def refused(side: Side, channel: str, kind: int, value: Any) -> tuple[int, tuple[str, ...]]:
    """How a put is answered, and what is there afterwards."""
    payload = f"{value}".encode() + b"\0" if kind == STRING else struct.pack(f">{NUMBERS[kind]}", value)
    opened = side.opened(channel)
    answer = side.client.write(opened, kind, payload)
    return answer.first, texts(side.client.read(opened, STRING).payload)


PUTS = {
    "AO": [12.5, 0, 100, "33.5", " 13", "1e1", "x"],
    "LONGOUT": [7, 12, 100, " 13", "x"],
    "BO": [0, 1, "On", "Off", "0", "1", "on", "x", ""],
    "AI.HIGH": [81.5, "82", -5, "x", 80.0],
    "LONGIN.HIGH": [81, "82", "x", 80],
    "AI.HSV": [2, 0, "MAJOR", "INVALID", "minor", "x", "MINOR"],
    "MBBI.TWSV": [3, "MINOR", "4", "x", "MAJOR"],
    "AI.HYST": [1, -1, "x", 0],
    "WAVEFORM": ["new"],
}


@pytest.mark.parametrize("channel", PUTS)
def test_a_put_of_any_type_is_answered_alike(sides: tuple[Side, Side], channel: str) -> None:
    for value in PUTS[channel]:
        kinds = (
            [STRING]
            if isinstance(value, str)
            else [DOUBLE, FLOAT]
            if isinstance(value, float)
            else [SHORT, FLOAT, LONG, DOUBLE, STRING]
            if value < 0
            else list(range(7))
        )
        for kind in kinds:
            answers = [refused(side, channel, kind, value) for side in sides]
            assert answers[0][0] == answers[1][0], (kind, value)
            if answers[0][0] == NORMAL:
                assert answers[0] == answers[1], (kind, value)


STRICTER = [
    ("AO", 101.0, "base: 100, the nearest that it may be"),
    ("AO", math.nan, "base: a setting that is not a number"),
    ("LONGOUT", 12.5, "base: 12"),
    ("LONGOUT", -1.0, "base: 0"),
    ("BO", 2.0, "base: an illegal value"),
    ("AI.HIGH", math.nan, "base: a limit that never raises an alarm"),
    ("LONGIN.HIGH", 3e9, "base: the least number there is"),
    ("AI.HSV", 4.0, "base: a severity that does not exist"),
    ("MBBI.SXSV", 1.0, "base: a severity for a state that does not exist"),
]


@pytest.mark.parametrize(("channel", "value", "base"), STRICTER)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    sides: tuple[Side, Side], channel: str, value: float, base: str
) -> None:
    ours = sides[0]
    before = texts(ours.client.read(ours.opened(channel), STRING).payload)
    assert refused(ours, channel, DOUBLE, value) == (PUTFAIL, before), base


@pytest.mark.parametrize(
    ("channel", "text"),
    [
        ("AI", "1"), ("MBBI", "1"), ("LONGIN", "1"), ("BI", "1"), ("AI.SEVR", "1"), ("AI.STAT", "1"), ("AI.NAME", "x"),
        ("AI.RTYP", "ao"), ("AI.DESC", "x"), ("AI.EGU", "x"), ("AI.PREC", "1"), ("AO.DRVH", "1"), ("AI.UDF", "1"),
        ("MBBI.ZRST", "x"), ("WAVEFORM.NELM", "1"), ("WAVEFORM.NORD", "1"), ("STRINGIN", "x"),
    ],
)  # fmt: skip
def test_what_the_daemon_says_nobody_else_can_say(sides: tuple[Side, Side], channel: str, text: str) -> None:
    ours = sides[0]
    before = texts(ours.client.read(ours.opened(channel), STRING).payload)
    assert refused(ours, channel, STRING, text) == (PUTFAIL, before)
