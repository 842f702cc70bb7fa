"""An archive of small pictures, and runtimes that processes elsewhere can open: bright pictures are good."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
from classify_world import BrightnessRuntime
from PIL import Image
from sqlalchemy import select

from hydrad.classify.bundle import Bundle
from hydrad.classify.fitness import Wanted
from hydrad.classify.runtime import Answers, Batch, OpenRuntime
from hydrad.config import Watch
from hydrad.domain import Outcome
from hydrad.reprocessing.archive import FolderArchive, Source
from hydrad.reprocessing.work import Job
from hydrad.store.queries import Store
from hydrad.store.reprocessing import records
from hydrad.store.reprocessing.records import Asked
from hydrad.store.tables import reprocessed
from hydrad.watchers.layouts import Names

DEADLY = 66  # the brightness that ends a fragile runtime's process
SLOW_S = 0.05


class FragileRuntime(BrightnessRuntime):
    """Ends its process at a picture of the deadly brightness, as a fault in C++ does."""

    def compute(self, batch: Batch) -> Answers:
        if self.warmed and any((one == DEADLY).all() for one in batch):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().compute(batch)


class SlowRuntime(BrightnessRuntime):
    """Takes its time over each batch, as a large network does."""

    def compute(self, batch: Batch) -> Answers:
        time.sleep(SLOW_S)
        return super().compute(batch)


def open_bright(bundle: Bundle, batch: int) -> BrightnessRuntime:
    return BrightnessRuntime(bundle, batch)


def open_fragile(bundle: Bundle, batch: int) -> FragileRuntime:
    return FragileRuntime(bundle, batch)


def open_slow(bundle: Bundle, batch: int) -> SlowRuntime:
    return SlowRuntime(bundle, batch)


def open_none(_bundle: Bundle, _batch: int) -> BrightnessRuntime:
    """As where there is not memory enough even for the model."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def draw(path: Path, brightness: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((16, 32, 3), brightness, np.uint8)).save(path)
    return path


def drawn(folder: Path, files: int) -> dict[str, str]:
    """An archive of two runs, and what is to be said of each file of it."""
    said = {}
    for n in range(files):
        path = f"Run{n % 2 + 1:06d}/CDC_adc_{n:04d}.png"
        brightness = (37 * n) % 256
        if abs(brightness - 127.5) < 3 or brightness == DEADLY:
            brightness = 200
        draw(folder / path, brightness)
        said[path] = "Good" if brightness > 127 else "Bad"
    return said


def archive_of(folder: Path, layout: str = "rsai") -> FolderArchive:
    watch = Watch(root=folder, layout=layout)
    return FolderArchive(folder, Names(watch, None), layout)


def job_of(bundle: Path, root: Path, open_runtime: OpenRuntime = open_bright, *, batch: int = 4) -> Job:
    return Job(Wanted.of(bundle), root, batch=batch, threads=1, open_runtime=open_runtime)


def begun(store: Store, source: Source, *, again: bool = False) -> int:
    asked = Asked("brightness", "ab" * 32, source.says, source.names)
    return records.begin(store, asked, files=0, by="otto", host="counting-3", again=again).id


def labels(store: Store) -> list[tuple[str, str | None]]:
    """Every row there is: a file that were there twice would be so here."""
    with store.reading() as connection:
        query = select(reprocessed.c.path, reprocessed.c.label).order_by(reprocessed.c.path, reprocessed.c.id)
        return [tuple(row) for row in connection.execute(query)]


def not_judged(store: Store, outcome: Outcome) -> dict[str, str]:
    """The files of which nothing is said, and why."""
    table = reprocessed.c
    with store.reading() as connection:
        query = select(table.path, table.reason).where(table.outcome == outcome)
        return {row.path: row.reason for row in connection.execute(query)}


def everything(_plot: str) -> bool:
    return True
