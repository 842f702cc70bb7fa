"""What the tests of the store put into it."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hydrad.domain import (
    Beam,
    BeamState,
    Cause,
    Change,
    LedgerEntry,
    Meaning,
    Outcome,
    Picture,
    Severity,
    Status,
    Verdict,
)
from hydrad.store.packing import Parcel
from hydrad.store.queries import Store

MORNING = datetime(2026, 11, 23, 7, 1, 2, 500001, tzinfo=UTC)
MEANINGS = {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY}


def later(seconds: float) -> datetime:
    """So long after MORNING."""
    return MORNING + timedelta(seconds=seconds)


def picture_of(text: str = "", *, format: str = "png") -> Picture:  # noqa: A002  the picture's own word
    """A picture whose content is this text; equal texts give equal pictures."""
    data = b"\x89PNG " + text.encode("utf-8", "surrogateescape")
    return Picture(data, hashlib.sha256(data).hexdigest(), 8, 6, hashlib.sha256(b"px" + data).hexdigest(), format)


def verdict_of(plot: str = "CDC_occupancy", at: datetime = MORNING, **words: Any) -> Verdict:
    """A verdict with every field set."""
    picture = picture_of(f"{plot} {at}")
    verdict = Verdict(
        key=uuid.uuid4().hex,
        plot=plot,
        detector=plot.split("_", 1)[0],
        status=Status.BAD,
        severity=Severity.MAJOR,
        reason="Bad at 0.97, 2 in a row, beam 201 nA",
        judged_at=at,
        cause=Cause.IMAGE,
        beam=Beam(BeamState.ON, 201.3, "nA", at, "", later(-3600)),
        bad_in_a_row=2,
        path=f"/data/{plot}_0003.png",
        run=111652,
        chunk=3,
        sha256=picture.sha256,
        taken_at=at - timedelta(seconds=0.25),
        model="cdc-7",
        label="Bad",
        confidence=0.97,
        scores={"Good": 0.02, "Bad": 0.97, "NoData": 0.01},
        meanings=MEANINGS,
        confirmed=True,
        novelty=0.4,
    )
    return replace(verdict, **words)


def entry_of(verdict: Verdict, outcome: Outcome = Outcome.JUDGED, **words: Any) -> LedgerEntry:
    """What the ledger says of a verdict's file."""
    entry = LedgerEntry(
        path=verdict.path or "",
        size=5000,
        mtime_ns=int(verdict.judged_at.timestamp()) * 10**9 + 123456789,
        outcome=outcome,
        reason=verdict.reason,
        seen_at=verdict.judged_at - timedelta(seconds=0.2),
        done_at=verdict.judged_at,
        plot=verdict.plot,
        run=verdict.run,
        sha256=verdict.sha256,
    )
    return replace(entry, **words)


def change_of(value: float = 0.8, at: datetime = MORNING, **words: Any) -> Change:
    """A threshold that somebody moved."""
    change = Change("threshold.Bad", value, "otto", "counting-3", at, "ca", "CDC_occupancy", None, 0.65, "too many")
    return replace(change, **words)


def leave(store: Store, change: Change) -> None:
    """Put a change into the history as it is, as a page, a verb or an older program may have left it there."""
    store.put([Parcel(change=change, ticket=uuid.uuid4().hex)])


async def until(fact: Callable[[], object], within_s: float = 20.0) -> None:
    """Return when something has become true."""
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline, "it never became so"
        await asyncio.sleep(0.01)


async def all_of(*things: Awaitable[object]) -> None:
    """Await these together."""
    await asyncio.gather(*things)
