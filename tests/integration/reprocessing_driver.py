"""A process that reprocesses an archive and says how many files are done, until somebody kills it.

``URL NUMBER MODEL ARCHIVE``
"""

from __future__ import annotations

import sys
from pathlib import Path

import reprocessing_world as world

from hydrad.reprocessing.driving import Driver
from hydrad.reprocessing.engines import Processes
from hydrad.store.queries import Store


def main(url: str, number: str, model: str, archive: str) -> None:
    source = world.archive_of(Path(archive))
    job = world.job_of(Path(model), source.root, world.open_slow)
    with Store(url) as store, Processes(job, 2) as engine:
        Driver(store, int(number), source, world.everything, engine, 5, lambda files: print(files, flush=True)).run()  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
