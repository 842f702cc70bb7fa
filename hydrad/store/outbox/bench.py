"""How fast verdicts reach the data base, beside one INSERT and one commit for each of them."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import URL, insert

from hydrad.domain import Beam, BeamState, Cause, LedgerEntry, Meaning, Outcome, Picture, Severity, Status, Verdict
from hydrad.store import tables
from hydrad.store.columns import digest
from hydrad.store.engine import open_engine
from hydrad.store.outbox.delivery import BATCH, Delivery
from hydrad.store.outbox.journal import Journal
from hydrad.store.places import named
from hydrad.store.queries import Store
from hydrad.store.rows import heatmap_columns, verdict_row

PLOTS = 400
IN_HAND = 34  # images that are on their way at a time, as in the daemon
HEATMAP = np.arange(144, dtype=np.uint8).reshape(12, 12)
MEANINGS = {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY}


def rates(url: URL, verdicts: int, plain: int = 500) -> dict[str, float]:
    """Rows a second; the data base has its tables and may keep what is written.

    Returns:
        ``rows_per_s`` from the journal into the data base, ``kept_per_s`` records with their images into the journal,
        ``one_by_one_per_s`` rows with a commit each, ``bare_per_s`` rows with a commit for ``BATCH`` of them: what the
        data base takes when nothing else is written with a verdict and nothing looked for.
    """
    one_by_one, bare = plain_rate(url, plain), plain_rate(url, verdicts, at_once=BATCH)
    with tempfile.TemporaryDirectory() as folder:
        kept, delivered = asyncio.run(house_rates(url, Path(folder), verdicts))
    return {"rows_per_s": delivered, "kept_per_s": kept, "one_by_one_per_s": one_by_one, "bare_per_s": bare}


def plain_rate(url: URL, rows: int, at_once: int = 1) -> float:
    """Verdicts a second by the plain loop: its plots are known, it writes nothing else, and it looks for nothing.

    Args:
        at_once: rows of one statement and one commit.
    """
    engine = open_engine(url)
    with engine.begin() as connection:
        plot = named(connection, tables.plots, ["BENCH_plain"])["BENCH_plain"]
        detector = named(connection, tables.detectors, ["BENCH"])["BENCH"]
    ready = [verdict_row(verdict_of(n), plot, detector, None) | heatmap_columns(HEATMAP) for n in range(rows)]
    with engine.connect().execution_options(writes=True) as connection:
        began = time.perf_counter()
        for first in range(0, rows, at_once):
            several = [row | {"digest": digest(uuid.uuid4().hex)} for row in ready[first : first + at_once]]
            connection.execute(insert(tables.verdicts), several)
            connection.commit()
        took_s = time.perf_counter() - began
    engine.dispose()
    return rows / took_s


async def house_rates(url: URL, folder: Path, rows: int) -> tuple[float, float]:
    """Records a second into the journal with their images, and from there verdict rows a second into the data base."""
    with Journal(folder / "journal.db", folder / "images") as journal:
        numbers = iter(range(rows))

        async def record() -> None:
            for n in numbers:
                verdict, picture = verdict_of(n), picture_of(n)
                await journal.record(entry_of(verdict, picture), verdict, picture, HEATMAP)

        began = time.perf_counter()
        await asyncio.gather(*(record() for _ in range(IN_HAND)))
        kept_s = time.perf_counter() - began
        with Store(url) as store, Delivery(journal, store) as delivery:
            began = time.perf_counter()
            task = asyncio.create_task(delivery.run())
            while delivery.waiting:  # noqa: ASYNC110  nobody else wants to know the moment
                await asyncio.sleep(0.005)
            delivered_s = time.perf_counter() - began
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    return rows / kept_s, rows / delivered_s


def picture_of(n: int) -> Picture:
    """A small picture of its own."""
    data = f"{n} {uuid.uuid4()}".encode() * 200
    return Picture(data, hashlib.sha256(data).hexdigest(), 8, 8, "00" * 16, "png")


def verdict_of(n: int) -> Verdict:
    """A verdict as the daemon gives it."""
    now = datetime.now(UTC) + timedelta(microseconds=n)
    return Verdict(
        key=uuid.uuid4().hex,
        plot=f"BENCH_{n % PLOTS}",
        detector="BENCH",
        status=Status.GOOD,
        severity=Severity.NO_ALARM,
        reason="Good at 0.98",
        judged_at=now,
        cause=Cause.IMAGE,
        beam=Beam(BeamState.ON, 201.3, "nA", now),
        path=f"/data/monitoring/Run111652/BENCH_{n % PLOTS}_{n:08}.png",
        run=111652,
        chunk=n // PLOTS,
        sha256=hashlib.sha256(str(n).encode()).hexdigest(),
        taken_at=now,
        model="bench-1",
        label="Good",
        confidence=0.98,
        scores={"Good": 0.98, "Bad": 0.01, "NoData": 0.01},
        meanings=MEANINGS,
        confirmed=True,
        novelty=0.3,
    )


def entry_of(verdict: Verdict, picture: Picture) -> LedgerEntry:
    """What the ledger says of its file."""
    return LedgerEntry(
        path=verdict.path or "",
        size=len(picture.data),
        mtime_ns=time.time_ns(),
        outcome=Outcome.JUDGED,
        reason=verdict.reason,
        seen_at=verdict.judged_at,
        done_at=verdict.judged_at,
        plot=verdict.plot,
        run=verdict.run,
        sha256=picture.sha256,
    )
