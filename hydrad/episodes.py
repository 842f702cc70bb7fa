"""What the log calls one entry: an unbroken stretch in which a plot was not well."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from hydrad.domain import Cause, Severity, Status, Verdict
from hydrad.ranking import FAULTY, Showing, urgency

# Statuses that belong to one stretch, by what it is called here; those that stand nowhere mean that the plot is well,
# or that nobody asks.
_STRETCHES: Final = {
    **dict.fromkeys((Status.SUSPECT, Status.BAD, Status.NODATA, Status.UNFAMILIAR), "fault"),
    Status.STALE: "silence",
    Status.UNKNOWN: "ignorance",
}
UNWELL: Final = frozenset(_STRETCHES)


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch in which a plot was not well; times are aware.

    From ``status`` to ``reason`` it says what its worst verdict said, the first one where several are as bad.
    """

    status: Status
    severity: Severity
    label: str | None
    confidence: float | None
    reason: str
    started_at: datetime  # judged_at of its first verdict
    alarmed_at: datetime | None  # of the first that was BAD or NODATA and alarmed by itself
    last_at: datetime  # of the newest
    ended_at: datetime | None  # of the one that ended it; None while it lasts
    images: int  # judged in it
    first_verdict_id: int
    last_verdict_id: int
    worst_verdict_id: int
    first_run: int | None
    last_run: int | None


def follow(lasting: Episode | None, verdicts: Iterable[tuple[int, Verdict]]) -> list[Episode]:
    """Go on with what lasts.

    Args:
        lasting: the plot's episode that has not ended, if there is one.
        verdicts: those that followed upon it, with the numbers of their rows, in the order in which they held.

    Returns:
        The episodes that these verdicts continued, ended or began, in their order; what continues or ends ``lasting``
        comes first, and only the last of them may last on.
    """
    touched: list[Episode] = []
    held = lasting
    for number, verdict in verdicts:
        if held is not None:
            goes_on = _STRETCHES.get(verdict.status) == _STRETCHES[held.status]
            after = _prolonged(held, number, verdict) if goes_on else replace(held, ended_at=verdict.judged_at)
            touched[-1:] = [after]  # what is held is always the last of them, or the first to be touched
            held = after if goes_on else None
        if held is None and verdict.status in UNWELL:
            held = _begun(number, verdict)
            touched.append(held)
    return touched


def _begun(number: int, verdict: Verdict) -> Episode:
    return Episode(
        status=verdict.status,
        severity=verdict.severity,
        label=verdict.label,
        confidence=verdict.confidence,
        reason=verdict.reason,
        started_at=verdict.judged_at,
        alarmed_at=verdict.judged_at if verdict.status in FAULTY and not verdict.drowned else None,
        last_at=verdict.judged_at,
        ended_at=None,
        images=int(verdict.cause is Cause.IMAGE),
        first_verdict_id=number,
        last_verdict_id=number,
        worst_verdict_id=number,
        first_run=verdict.run,
        last_run=verdict.run,
    )


def _prolonged(held: Episode, number: int, verdict: Verdict) -> Episode:
    new = _begun(number, verdict)
    worst = new if _urgency(new) < _urgency(held) else held
    return replace(
        worst,
        started_at=held.started_at,
        alarmed_at=held.alarmed_at or new.alarmed_at,
        last_at=new.last_at,
        images=held.images + new.images,
        first_verdict_id=held.first_verdict_id,
        last_verdict_id=number,
        first_run=new.first_run if held.first_run is None else held.first_run,
        last_run=held.last_run if new.last_run is None else new.last_run,
    )


def _urgency(episode: Episode) -> tuple[int, int]:
    # What a flood drowned counts as it would have alone.
    return urgency(Showing("", episode.status, episode.severity or episode.status.severity))
