"""Side by side with EPICS base, whatever happens to a record is told to its subscribers alike, event by event."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from bare_client import BareClient, Message
from side_by_side import DOUBLE, NORMAL, TIME, Side, meaning
from steered import until

VALUE, LOG, ALARM, PROPERTY = 1, 2, 4, 8
MASKS = (VALUE, LOG, ALARM, PROPERTY, VALUE | ALARM, VALUE | LOG | ALARM | PROPERTY)
Step = tuple[str, Any]


def steps(record: str, *values: Any) -> list[Step]:
    return [(record, value) for value in values]


LIVES: dict[str, tuple[str, list[Step]]] = {
    "values that repeat": ("AI", steps("AI", 50.0, 50.0, 51.0, 51.0, 50.0)),
    "values that cross limits": ("AI", steps("AI", 50.0, 85.0, 86.0, 95.0, 15.0, 5.0, 50.0)),
    "values that are none": ("AI", steps("AI", 50.0, math.nan, math.nan, 51.0, math.inf, math.inf, 50.0)),
    "values within dead bands": (
        "AI",
        [
            ("AI", 50.0), ("AI.MDEL", 2.0), ("AI.ADEL", 5.0), *steps("AI", 51.0, 52.0, 53.0, 55.0, 59.0, 48.0),
            ("AI.MDEL", -1.0), ("AI", 48.0), ("AI", 48.0), ("AI.MDEL", 0.0), ("AI.ADEL", 0.0), ("AI", 50.0),
        ],
    ),
    "limits that are moved": (
        "AI",
        [
            ("AI", 50.0), ("AI.HIGH", 70.0), ("AI.HIGH", 80.0), ("AI.HOPR", 90.0), ("AI.HOPR", 100.0),
            ("AI.HSV", 2.0), ("AI.HSV", 1.0), ("AI", 51.0),
        ],
    ),
    "alarms that come slowly": (
        "AI",
        [
            ("AI", 50.0), ("AI.HYST", 5.0), *steps("AI", 85.0, 76.0, 74.0, 76.0, 95.0, 86.0, 84.0, 50.0),
            ("AI.HYST", 0.0),
        ],
    ),
    "whole numbers": ("LONGIN", steps("LONGIN", 50, 50, 85, 95, 7, 50)),
    "states": ("MBBI", steps("MBBI", 0, 0, 1, 2, 3, 3, 1, 0)),
    "a state that becomes graver": (
        "MBBI", [("MBBI", 0), ("MBBI.ONSV", 2.0), ("MBBI", 1), ("MBBI", 0), ("MBBI.ONSV", 1.0), ("MBBI", 1)]
    ),
    "two states": ("BI", steps("BI", 0, 1, 1, 0)),
    "lines": ("STRINGIN", steps("STRINGIN", "a", "a", "b", "", "c")),
}  # fmt: skip
LAST = {"AI": 33.0, "LONGIN": 33, "MBBI": 2, "BI": 1, "STRINGIN": "the end"}


@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("mask", MASKS)
def test_a_life_is_told_alike(sides: tuple[Side, Side], life: str, mask: int) -> None:
    record, story = LIVES[life]
    assert lived(sides[0], record, story, mask) == lived(sides[1], record, story, mask)


def lived(side: Side, record: str, story: list[Step], mask: int) -> list[Any]:
    """What a subscriber with this mask hears: the present value, the steps, and the last value."""
    side.post(*story[0])
    with BareClient(side.port) as client:
        opened = client.open(side.name(record))
        assert opened is not None
        kind = 7 * TIME + opened.native
        client.subscribe(opened, kind, mask)
        everything = client.subscribe(opened, kind, VALUE | LOG | ALARM | PROPERTY)
        for channel, value in story:
            if channel == record:
                side.post(channel, value)
            else:
                assert side.client.write(side.opened(channel), DOUBLE, struct.pack(">d", value)).first == NORMAL
        last = LAST[record]
        side.post(record, last)
        heard: list[Message] = []

        def is_over() -> bool:
            heard.extend(client.events())
            return heard[-1].second == everything and meaning(kind, heard[-1])[-1] == (str(last),)

        until(is_over)
    return [meaning(kind, one) for one in heard if one.second != everything]
