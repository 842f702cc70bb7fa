"""Do pages and the delivery notice that old verdicts are going? Their times while rows are removed, and while none are.

    python benchmarks/while_purging.py

On a data base of each kind, one process asks what the pages ask most and another writes a batch of verdicts, again and
again, first alone and then while `keep_verdicts_d` removes everything that is old. Exit 1 where the slowest but one in
a hundred of what is asked takes more than the aim, or anything waited longer than a step and its own time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from growth import START, data_bases, fill, parcel_of
from sqlalchemy import URL, update

from hydrad import log
from hydrad.domain import Status
from hydrad.store.forgetting import Forgetting, Forgotten
from hydrad.store.queries import Store
from hydrad.store.tables import images
from hydrad.upkeep import REST_S

VERDICTS = 30_000
LEFT = 800  # at the end, which are young: every plot's newest
ALONE_S = 6.0
AIM_S = 0.300  # of a page, with all it asks


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took, in ms."""

    count: int
    p50: float
    p99: float
    most: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Do pages notice that old verdicts are going?")
    parser.add_argument("--verdicts", type=int, default=VERDICTS, metavar="N", help=f"to be removed ({VERDICTS})")
    options = parser.parse_args(arguments)
    log.configure(level="error")
    fine = True
    print("| | | times | median | 99 % | most | median beside alone |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="hydrad-purging-") as folder, data_bases(Path(folder)) as urls:
        for url in urls:
            prepare(url, options.verdicts)
            alone = measured(url, lambda: time.sleep(ALONE_S))
            steps: list[float] = []
            during = measured(url, partial(purge, url, options.verdicts, steps))
            for what in alone:
                report(url, f"{what}, alone", alone[what], 1.0)
                report(url, f"{what}, while rows go", during[what], during[what].p50 / alone[what].p50)
            report(url, "a step", times(steps), None)
            fine &= during["asked"].p99 <= 1000 * AIM_S
    return int(not fine)


def prepare(url: URL, verdicts: int) -> None:
    """Verdicts of images that went long ago."""
    with Store(url) as store:
        fill(store, range(verdicts + LEFT))
        with store.writing() as connection:
            connection.execute(update(images).values(kept=False))


def purge(url: URL, verdicts: int, steps: list[float]) -> None:
    """As the daemon's upkeep does; notes how long each step took."""
    limit = parcel_of(verdicts).verdict
    with Store(url) as store:
        gone, began = Forgotten(), time.perf_counter()
        for step in Forgetting(store, lambda _: False).round(limit.judged_at if limit else START, whole=True):
            steps.append(time.perf_counter() - began)
            gone += step
            time.sleep(max(REST_S, steps[-1]))
            began = time.perf_counter()
    if gone.verdicts < verdicts * 0.9:
        raise SystemExit(f"only {gone} of {verdicts} went")


def measured(url: URL, meanwhile: Callable[[], None]) -> Mapping[str, Times]:
    """How long asking and writing take until ``meanwhile`` returns."""
    took: dict[str, list[float]] = {"asked": [], "written": []}
    numbers = iter(range(10**7 + int(time.monotonic() * 1000), 10**9))

    def ask(store: Store) -> None:
        store.standings()
        store.log(plot="CDC_occupancy_7", limit=50)
        store.log(status=Status.BAD, limit=50)
        store.ledger_counts()

    def write(store: Store) -> None:
        store.put([parcel_of(next(numbers)) for _ in range(20)])

    with repeated(url, ask, took["asked"]), repeated(url, write, took["written"]):
        meanwhile()
    return {what: times(found) for what, found in took.items()}


@contextmanager
def repeated(url: URL, act: Callable[[Store], None], took: list[float]) -> Iterator[None]:
    """Do this again and again in a thread, ten times a second at most."""
    over = threading.Event()

    def work() -> None:
        with Store(url) as store:
            while not over.is_set():
                began = time.perf_counter()
                act(store)
                took.append(time.perf_counter() - began)
                over.wait(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def times(found: Sequence[float]) -> Times:
    """In ms."""
    ordered = sorted(1000 * one for one in found)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return Times(len(ordered), statistics.median(ordered), p99, ordered[-1])


def report(url: URL, what: str, found: Times, ratio: float | None) -> None:
    """One line of the table."""
    kind = {"sqlite": "SQLite", "mysql": "MariaDB"}[url.get_backend_name()]
    beside = "" if ratio is None else f"{ratio:.1f}"
    cells = (kind, what, found.count, *(f"{one:.0f} ms" for one in (found.p50, found.p99, found.most)), beside)
    print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    sys.exit(main())
