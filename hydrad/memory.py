"""What a plot's standing is, as text: written with each verdict, so that a restart changes nothing."""

from __future__ import annotations

import json
import re
from datetime import datetime
from itertools import groupby

from hydrad.delays import Finding, Recent
from hydrad.domain import Status
from hydrad.verdict import Standing


def written(standing: Standing) -> str:
    """The standing but for its time, which is that of the verdict's image."""
    recent = standing.recent
    return json.dumps(
        {
            "earned": standing.earned,
            "reason": standing.reason,
            "finding": standing.finding,
            "letters": "".join(f"{letter}{len(list(alike))}" for letter, alike in groupby(recent.letters)),
            "on": recent.on,
            "off": recent.off,
            "faulty": standing.faulty_in_a_row,
            "equal": standing.equal_in_a_row,
        },
        separators=(",", ":"),
    )


def read(text: str, taken_at: datetime | None) -> Standing:
    """The standing again; raises ValueError for what :func:`written` has not written."""
    try:
        told = json.loads(text)
        letters = "".join(letter * int(count) for letter, count in re.findall(r"([a-z])(\d+)", told["letters"]))
        return Standing(
            earned=Status(told["earned"]),
            reason=str(told["reason"]),
            finding=None if told["finding"] is None else Finding(told["finding"]),
            recent=Recent(letters, int(told["on"]), int(told["off"])),
            faulty_in_a_row=int(told["faulty"]),
            equal_in_a_row=int(told["equal"]),
            taken_at=taken_at,
        )
    except (KeyError, TypeError) as fault:
        raise ValueError(f"is no standing: {fault!r}") from fault
