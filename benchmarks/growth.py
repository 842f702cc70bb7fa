"""How much a year takes: bytes of a verdict, of an image and of the journal, measured, and what they come to in a hall.

    python benchmarks/growth.py --write

Verdicts are written as the daemon writes them, into a data base of each kind, with their ledger rows, images' rows,
scores and heatmaps. What a table takes is the difference between two fillings, so that what an empty one takes does not
count. Images are those of the simulated hall.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import URL, text

from hydrad import log
from hydrad.domain import Status
from hydrad.store import schema
from hydrad.store.engine import open_engine, reading
from hydrad.store.outbox import bench
from hydrad.store.outbox.delivery import BATCH, Delivery
from hydrad.store.outbox.journal import Journal
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.private_server import MariaDB, installed
from hydrad.store.queries import Store

VERDICTS = 30_000
PARCELS = 8_000  # through the journal
HALL_BATCH = 50  # parcels: those of a hall are few at a time
PLOTS = 400
CADENCES_S = (30, 120)
KEPT_SHARE = 0.02  # of images: 1 % of the good ones, once labelled, and as many with faults
KEEP_D = (14, 90, 365)
JOURNAL_H = 48
KINDS = {"sqlite": "SQLite", "mysql": "MariaDB"}
DAY_S, YEAR_D = 86400, 365
REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "growth.md"
START = datetime(2026, 1, 1, tzinfo=UTC)
EXPLAINED = """\
*For ever* is `keep_verdicts_d = 0`. With another, the data base grows to what stands there, and from then on only by
the verdicts of images that are kept and by the log. {share:.0f} % of the images are assumed to be kept: 1 % of the good
ones, the least that `[saving]` keeps, and as many with faults; until people have labelled a few hundred of a plot it is
more. A data base gives no room back to the disk that it once took: it fills it again."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes of one verdict in a data base, by table, with all that comes with it."""

    kind: str
    rows: Mapping[str, float]
    indexes: Mapping[str, float]

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self.rows.values()) + sum(self.indexes.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; with --write, write the page of the reference."""
    parser = argparse.ArgumentParser(description="How much a year takes.")
    parser.add_argument("--verdicts", type=int, default=VERDICTS, metavar="N", help=f"in each data base ({VERDICTS})")
    parser.add_argument("--parcels", type=int, default=PARCELS, metavar="N", help=f"through the journal ({PARCELS})")
    parser.add_argument("--write", action="store_true", help=f"write {REFERENCE.name}")
    options = parser.parse_args(arguments)
    log.configure(level="error")
    with tempfile.TemporaryDirectory(prefix="hydrad-growth-") as folder, data_bases(Path(folder)) as urls:
        measured = [of_data_base(url, options.verdicts) for url in urls]
        journal = asyncio.run(of_journal(Path(folder), options.parcels))
        image = of_image(Path(folder) / "dumps")
    report = "\n".join(lines(measured, journal, image))
    print(report)
    if options.write:
        when = f"`python benchmarks/growth.py`, {datetime.now(UTC):%-d %B %Y}, {os.cpu_count()} cores"
        told = (__doc__ or "").partition("\n\n")[2].partition("\n\n")[2].strip()
        REFERENCE.write_text(f"# How much a year takes\n\n{told}\n\n{when}:\n\n{report}\n", encoding="utf-8")
    return 0


@contextmanager
def data_bases(folder: Path) -> Iterator[Sequence[URL]]:
    """An empty one of each kind that this host has."""
    with ExitStack() as stack:
        urls = [URL.create("sqlite", database=str(folder / "growth.db"))]
        if installed():
            urls.append(stack.enter_context(MariaDB()).create())
        for url in urls:
            schema.upgrade(url)
        yield urls


def parcel_of(n: int) -> Parcel:
    """An image of a hall of so many plots, one in a hundred with a fault that lasts; half a minute between dumps."""
    at = START + timedelta(seconds=n / PLOTS * CADENCES_S[0])
    verdict = bench.verdict_of(n)
    bad = n // PLOTS % 100 == 0
    verdict = replace(
        verdict,
        key=uuid.UUID(int=n).hex,
        plot=f"CDC_occupancy_{n % PLOTS}",
        status=Status.BAD if bad else Status.GOOD,
        reason="Bad at 0.97, 2 in a row, beam 201 nA" if bad else "Good at 0.98",
        judged_at=at,
        taken_at=at,
        beam=replace(verdict.beam, read_at=at),
        path=f"/data/monitoring/Run111652/CDC_occupancy_{n % PLOTS}_{n // PLOTS:04}.png",
    )
    entry = replace(bench.entry_of(verdict, bench.picture_of(n)), sha256=verdict.sha256, mtime_ns=n * 10**9)
    return Parcel(entry, verdict, ImageFacts(21_000, "png", 1000, 920, sampled=False), bench.HEATMAP)


def of_data_base(url: URL, verdicts: int) -> Measured:
    """Fill it, and fill it once more: the difference counts."""
    with Store(url) as store:
        fill(store, range(verdicts // 3))
        rows, indexes = sizes(url)
        fill(store, range(verdicts // 3, verdicts))
        more_rows, more_indexes = sizes(url)
    count = verdicts - verdicts // 3

    def grown(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, float]:
        return {
            name: (size - before.get(name, 0)) / count for name, size in after.items() if size > before.get(name, 0)
        }

    return Measured(url.get_backend_name(), grown(more_rows, rows), grown(more_indexes, indexes))


def fill(store: Store, numbers: range) -> None:
    """Put these there, as the delivery does."""
    for first in range(numbers.start, numbers.stop, BATCH):
        store.put([parcel_of(n) for n in range(first, min(first + BATCH, numbers.stop))])


def sizes(url: URL) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Bytes of rows and of indices, by table."""
    engine = open_engine(url, patient=True)
    try:
        with reading(engine) as connection:
            if url.get_backend_name() == "sqlite":
                pages = "SELECT m.tbl_name, m.type, SUM(s.pgsize) FROM dbstat AS s JOIN sqlite_master AS m USING (name)"
                found = connection.execute(text(f"{pages} GROUP BY 1, 2")).all()
                rows = {name: size for name, kind, size in found if kind == "table"}
                return rows, {name: size for name, kind, size in found if kind == "index"}
            names = list(connection.scalars(text("SHOW TABLES")))
            connection.execute(text(f"ANALYZE TABLE {', '.join(names)}")).all()
            query = "SELECT table_name, data_length, index_length FROM information_schema.tables"
            found = connection.execute(text(f"{query} WHERE table_schema = DATABASE()")).all()
            return {name: data for name, data, _ in found}, {name: index for name, _, index in found}
    finally:
        engine.dispose()


async def of_journal(folder: Path, parcels: int) -> float:
    """Bytes that the journal keeps of one parcel that was delivered, with what it knows of its file."""
    path = folder / "journal.db"
    url = URL.create("sqlite", database=str(folder / "delivered.db"))
    schema.upgrade(url)
    with (
        Store(url) as store,
        Journal(path, folder / "images", keep_given_s=DAY_S) as journal,
        Delivery(journal, store, batch=HALL_BATCH) as delivery,
    ):
        for first in range(0, parcels, BATCH):
            several = [parcel_of(n) for n in range(first, min(first + BATCH, parcels))]
            await asyncio.gather(
                *(journal.record(one.entry, one.verdict, None, one.heatmap) for one in several if one.entry)
            )
            while journal.waiting:
                await delivery._deliver()  # noqa: SLF001  for ever is too long here
    return path.stat().st_size / parcels


def of_image(folder: Path) -> float:
    """Mean bytes of an image of the simulated hall."""
    folder.mkdir()
    simulate = [sys.executable, "-m", "hydrad", "simulate", str(folder), "--cadence-s", "2", "--seconds", "5"]
    subprocess.run(simulate, check=True, capture_output=True)  # noqa: S603  our own program
    return statistics.mean(file.stat().st_size for file in folder.rglob("*.png"))


def lines(measured: Sequence[Measured], journal: float, image: float) -> Iterator[str]:
    """The report, as Markdown."""
    yield "## One verdict"
    yield ""
    yield f"| bytes | {' | '.join(f'{KINDS[one.kind]}: rows | indices' for one in measured)} |"
    yield f"|---|{'---|---|' * len(measured)}"
    for name in tables_of(measured):
        cells = [f"{one.rows.get(name, 0):.0f} | {one.indexes.get(name, 0):.0f}" for one in measured]
        yield f"| {name} | {' | '.join(cells)} |"
    sums = [f"{sum(one.rows.values()):.0f} | {sum(one.indexes.values()):.0f}" for one in measured]
    yield f"| all | {' | '.join(sums)} |"
    yield ""
    yield (
        f"The heatmap is {bench.HEATMAP.size} of these bytes. An image has {image:,.0f} bytes on the disk; the journal "
        f"keeps {journal:.0f}\nbytes of a verdict for `store.keep_delivered_h`, with what it knows of the file."
    )
    for cadence_s in CADENCES_S:
        yield from _hall(measured, journal, image, cadence_s)
    yield ""
    yield EXPLAINED.format(share=100 * KEPT_SHARE)


def tables_of(measured: Sequence[Measured]) -> Sequence[str]:
    """Those that grow by a byte or more with a verdict, the largest first."""

    def size(name: str) -> float:
        return max(one.rows.get(name, 0) + one.indexes.get(name, 0) for one in measured)

    names = {name for one in measured for name in (*one.rows, *one.indexes)}
    return sorted((name for name in names if size(name) >= 1), key=size, reverse=True)


def _hall(measured: Sequence[Measured], journal: float, image: float, cadence_s: int) -> Iterator[str]:
    a_day = PLOTS * DAY_S / cadence_s
    yield ""
    yield f"## {PLOTS} plots, an image of each every {cadence_s} s: {a_day:,.0f} verdicts a day"
    yield ""
    yield f"| | {' | '.join(KINDS[one.kind] for one in measured)} |"
    yield f"|---|{'---|' * len(measured)}"
    yield f"| a day | {' | '.join(_gb(one.total * a_day) for one in measured)} |"
    yield f"| a year, for ever | {' | '.join(_gb(one.total * a_day * YEAR_D) for one in measured)} |"
    for days in KEEP_D:
        held = [_gb(one.total * a_day * (days + KEPT_SHARE * max(0, YEAR_D - days))) for one in measured]
        yield f"| after a year, `keep_verdicts_d = {days}` | {' | '.join(held)} |"
    yield ""
    yield "| on the daemon's disk | |"
    yield "|---|---|"
    yield f"| images of the last 24 h (`keep_all_h`) | {_gb(image * a_day)} |"
    yield f"| images kept, a year | {_gb(image * a_day * KEPT_SHARE * YEAR_D)} |"
    yield f"| journal, {JOURNAL_H} h (`keep_delivered_h`) | {_gb(journal * a_day * JOURNAL_H / 24)} |"


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"


if __name__ == "__main__":
    sys.exit(main())
