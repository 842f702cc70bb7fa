"""A file at rest becomes an arrival: what its path says, and when it was written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from hydrad.domain import Arrival, Caption
from hydrad.watchers.settling import Look


def arrival_of(
    path: Path, look: Look, caption: Caption, *, now: datetime, at_rest_s: float, submission: int | None = None
) -> Arrival:
    """An arrival, dated by its name or else by its last write; nothing is dated later than ``now`` (aware, UTC)."""
    return Arrival(
        path=path,
        size=look.size,
        mtime_ns=look.mtime_ns,
        plot=caption.plot,
        taken_at=caption.taken_at or written_at(look, now),
        seen_at=now,
        run=caption.run,
        chunk=caption.chunk,
        at_rest_s=at_rest_s,
        submission=submission,
    )


def written_at(look: Look, now: datetime) -> datetime:
    """When a file was last written, aware, UTC; ``now`` where its time lies in the future or in no year at all."""
    try:
        return min(datetime.fromtimestamp(look.mtime_ns / 1e9, UTC), now)
    except (OverflowError, ValueError, OSError):
        return now


def rested_s(arrival: Arrival, now: datetime) -> float:
    """How long a file had not changed, as far as its arrival tells, in s."""
    return arrival.at_rest_s + max(0.0, (now - arrival.seen_at).total_seconds())
