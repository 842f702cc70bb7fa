"""Which of several plots stands for all of them: the worst by severity, then by what a shift has to act on first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hydrad.domain import Severity, Status

# What a person switched off or no model serves says nothing about the rest, so it counts less than GOOD.
ORDER = (
    Status.BAD,
    Status.NODATA,
    Status.STALE,
    Status.UNFAMILIAR,
    Status.SUSPECT,
    Status.UNKNOWN,
    Status.OTHER,
    Status.NOBEAM,
    Status.GOOD,
    Status.DISABLED,
    Status.NOMODEL,
)
_RANK = {status: rank for rank, status in enumerate(ORDER)}
FAULTY = frozenset({Status.BAD, Status.NODATA})  # what NBAD counts


@dataclass(frozen=True, slots=True)
class Showing:
    """How one plot, or one detector, is shown at present."""

    name: str
    status: Status
    severity: Severity


def urgency(showing: Showing) -> tuple[int, int]:
    """A key to sort by, the most urgent first."""
    return -showing.severity, _RANK[showing.status]


def worst(showings: Iterable[Showing]) -> Showing | None:
    """The one that stands for all of them, by name among equals; None when there are none."""
    return min(showings, key=lambda showing: (*urgency(showing), showing.name), default=None)


def faulty(showings: Iterable[Showing]) -> int:
    """How many are BAD or NODATA."""
    return sum(showing.status in FAULTY for showing in showings)
