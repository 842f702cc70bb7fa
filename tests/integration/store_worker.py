"""A process of its own that writes to a journal or delivers from it, until somebody kills it.

``write FOLDER`` records files without end and says each one's key once it is safe.
``deliver FOLDER URL [N [MORE]]`` delivers; when the data base has the Nth batch of all and so many more, and the
journal does not know of it yet, it kills itself.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from store_world import entry_of, later, picture_of, verdict_of

from hydrad import log
from hydrad.store.outbox.book import Outgoing, Refusal
from hydrad.store.outbox.delivery import Delivery
from hydrad.store.outbox.journal import Journal
from hydrad.store.queries import Store

WRITERS = 16
BATCH = 20


def journal_in(folder: Path) -> Journal:
    return Journal(folder / "journal.db", folder / "images")


async def write(folder: Path) -> None:
    with journal_in(folder) as journal:
        numbers = itertools.count()

        async def record() -> None:
            while True:
                n = next(numbers)
                picture = picture_of(f"{n} " * 2000)
                path = f"/data/{n}_\udcff.png"
                verdict = verdict_of(f"CDC_{n % 9}", later(n), sha256=picture.sha256, path=path)
                await journal.record(entry_of(verdict), verdict, picture, np.full((3, 3), n % 256, np.uint8))
                sys.stdout.write(f"{verdict.key} {picture.sha256} {n}\n")
                sys.stdout.flush()

        await asyncio.gather(*(record() for _ in range(WRITERS)))


class _Mortal(Journal):
    """Dies when the data base has a batch and the journal does not know it yet."""

    batches_left = 0
    dies_with_rows = 0
    store: Store

    async def delivered(self, parcels: Sequence[Outgoing], refused: Sequence[Refusal] = ()) -> None:
        self.batches_left -= 1
        if self.batches_left == 0:
            while len(self.store.log(limit=1000)) < self.dies_with_rows:  # noqa: ASYNC110  what writes them is a thread
                await asyncio.sleep(0.005)
            os.kill(os.getpid(), signal.SIGKILL)
        await super().delivered(parcels, refused)


async def deliver(folder: Path, url: str, dies_at: int, more: int) -> None:
    with (
        _Mortal(folder / "journal.db", folder / "images") as journal,
        Store(url) as store,
        Delivery(journal, store, batch=BATCH, first_wait_s=0.05) as delivery,
    ):
        journal.store, journal.batches_left, journal.dies_with_rows = store, dies_at, BATCH * (dies_at + more)
        sys.stdout.write("begins\n")
        sys.stdout.flush()
        await delivery.run()


if __name__ == "__main__":
    log.configure(json=True)
    if sys.argv[1] == "write":
        asyncio.run(write(Path(sys.argv[2])))
    else:
        dies_at, more, *_ = [*map(int, sys.argv[4:]), 0, 0]
        asyncio.run(deliver(Path(sys.argv[2]), sys.argv[3], dies_at, more))
