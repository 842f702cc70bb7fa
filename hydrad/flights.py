"""Sends the canaries the way of all images, and looks whether they have come out at its end.

They are files in a folder of their own, which is watched as producers' folders are. They queue with the producers'
images for the same attendants, and the same decoder, models, judgement, journal and delivery have them. But they are
no plot's: another roster judges them, as if the beam were on and one image were enough, no sink hears of them, and the
data base has them in a table of their own. So nothing that people look at has to leave them out.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, Protocol, Self, TypeVar

import numpy as np
from PIL import Image

from hydrad.beam.fixed import FixedBeamMonitor
from hydrad.canary import Canaries
from hydrad.config import Config, FixedBeam, PlotDefaults, Watch
from hydrad.domain import (
    Canary,
    Change,
    HeatMap,
    LedgerEntry,
    ModelCard,
    Picture,
    Pixels,
    Prediction,
    Specimen,
    Verdict,
)
from hydrad.errors import BundleError, TryAgain
from hydrad.pipeline import Pipeline
from hydrad.roster import Roster
from hydrad.runs.by_path import PathRunMonitor
from hydrad.settings import Settings
from hydrad.store.outbox.journal import Journal
from hydrad.store.queries import Store
from hydrad.watchers import watcher_of

LOOK_EVERY_S: Final = 0.25
STAMPED: Final = 64  # values of a picture whose last bit is drawn anew each time
# As if the beam were on, at the first image, however long it waited, and never as one of many.
JUDGED_BY: Final = Config(
    beam=FixedBeam(),
    defaults=PlotDefaults(needs_beam=False, on_delay=1, off_delay=1, stale_s=1e9, flood_above=1000),
)

T = TypeVar("T")


class Examined(Protocol):
    """A classifier whose models can be asked by their names."""

    @property
    def ticked_at(self) -> float:
        """As that of the port ``Classifier``."""
        ...

    @property
    def specimens(self) -> Sequence[Specimen]:
        """What the models that serve now are tested with."""
        ...

    def named(self, model: str) -> ModelCard | None:
        """The model in service of this name, or None."""
        ...

    async def examine(self, model: str, picture: Picture) -> Prediction:
        """What it says; raise BundleError when it cannot answer."""
        ...


class Flights:
    """A context manager and, to the pipeline of the canaries, the port ``Ledger``; it has tasks to run.

    Args:
        config: of the daemon.
        beside: the pipeline of the producers' images, with whose images the canaries queue.
        database_ok: whether the data base answers.
    """

    def __init__(
        self,
        config: Config,
        classifier: Examined,
        beside: Pipeline,
        *,
        journal: Journal,
        store: Store,
        database_ok: Callable[[], bool],
    ) -> None:
        self._classifier = classifier
        self._journal = journal
        self._store = store
        self._database_ok = database_ok
        self._canaries = Canaries(config.canary)
        self._by_name = _ByName(classifier)
        self._pipeline = Pipeline(
            decode=beside.decode,
            classifier=self._by_name,
            beam=FixedBeamMonitor(FixedBeam()),
            runs=PathRunMonitor(),
            roster=self._roster(),
            sinks=(),
            ledger=self,
            fill_s=beside.fill_s,
            backlog=beside.backlog,
            event="canary_judged",
            relieves=False,
        )
        # Hidden, so that no producer's folder around it is seen to have images in it.
        self._folder = config.store.journal.with_name(f".{config.store.journal.name}.canary")
        self._watch = Watch(root=self._folder, layout="rsai", ignore=())
        self._zone = config.hall.zone
        self._sent = 0

    def __enter__(self) -> Self:
        """Begin to watch the folder; what an earlier daemon left in it is removed."""
        with ExitStack() as stack:
            self._threads = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="canary"))
            with suppress(OSError):  # else it will be said why none can be sent
                self._folder.mkdir(exist_ok=True)
                for left in self._folder.iterdir():
                    left.unlink()
            self._watcher = stack.enter_context(watcher_of(self._watch, self._zone))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def show(self) -> Canary:
        """How it is now."""
        return self._canaries.show(database_ok=self._database_ok())

    async def follow(self) -> None:
        """Queue what was sent, for ever."""
        await self._pipeline.follow(self._watcher)

    async def send(self) -> NoReturn:
        """Send what is due, for ever."""
        while True:
            for path in self._canaries.keep(self._classifier.specimens):
                await self._remove(path)
            for specimen in self._canaries.due():
                await self._send(specimen)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> NoReturn:
        """See what has arrived in the data base, for ever."""
        while True:
            for bird in self._canaries.awaited():
                with suppress(TryAgain):
                    filed = await self._aside(partial(self._store.canary, self._journal.identity, bird.model))
                    if filed is not None:
                        self._canaries.arrived(bird, filed.sha256, filed.status)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _send(self, specimen: Specimen) -> None:
        self._pipeline.roster = self._roster()  # one that remembers would call a doubtful image BAD after a bad one
        self._sent = (self._sent + 1) % 10**9
        path = self._folder / f"{specimen.model}_{self._sent:04}.png"
        try:
            data = await self._aside(lambda: _png(_stamped(specimen.pixels)))
            # Before it is there: it may be judged before this task has its turn again.
            before = self._canaries.sent(specimen.model, str(path), hashlib.sha256(data).hexdigest())
            await self._aside(lambda: _put(path, data))
        except OSError as why:
            self._canaries.not_sent(specimen.model, f"{why.strerror or why} ({self._folder})")
        else:
            await self._remove(before)

    async def _remove(self, path: str) -> None:
        if path:
            with suppress(OSError):
                await self._aside(lambda: Path(path).unlink(missing_ok=True))

    async def _aside(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, act)

    def _roster(self) -> Roster:
        return Roster(JUDGED_BY, self._by_name.card, Settings())

    # ---- the ledger of their pipeline ----

    def seen(self, path: str) -> None:
        """Each is sent once."""

    async def record(
        self, entry: LedgerEntry, verdict: Verdict | None, picture: Picture | None, heatmap: HeatMap | None
    ) -> None:
        """Keep the verdict apart from those on plots, and remove the file."""
        del picture, heatmap  # they are known
        if verdict is None:
            self._canaries.rejected(entry.plot, entry.path, entry.reason)
        else:
            await self._journal.keep_canary(verdict)
            self._canaries.judged(verdict)
        await self._remove(entry.path)

    async def overhear(self, verdict: Verdict, said: Prediction, *, confirmed: bool) -> None:
        """No model in shadow hears of them."""

    async def note(self, verdict: Verdict) -> None:
        """They do not grow old."""

    async def change(self, change: Change) -> None:
        """Nobody changes how they are judged."""


class _ByName:
    """The port ``Classifier``, with the models' names in the place of plots."""

    def __init__(self, classifier: Examined) -> None:
        self._classifier = classifier

    @property
    def ticked_at(self) -> float:
        return self._classifier.ticked_at

    def card(self, plot: str) -> ModelCard | None:
        return self._classifier.named(plot)

    async def classify(self, plot: str, picture: Picture) -> Prediction:
        return await self._classifier.examine(plot, picture)

    def shadows(self, plot: str) -> Sequence[ModelCard]:  # noqa: ARG002  of none of them
        return ()

    async def ask(self, shadow: str, picture: Picture) -> Prediction:  # noqa: ARG002  there are none
        raise BundleError(f"no model {shadow!r} is in shadow")


def _stamped(pixels: Pixels) -> Pixels:
    """The same to every eye, and another picture all the same: else the verdict on the one before would be taken."""
    stamped = pixels.copy()
    values = stamped.reshape(-1)[:STAMPED]
    drawn = np.unpackbits(np.frombuffer(uuid.uuid4().bytes, np.uint8))[: len(values)]
    values[:] = (values & 0xFE) | drawn
    return stamped


def _png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", compress_level=1)
    return file.getvalue()


def _put(path: Path, data: bytes) -> None:
    """Let a file appear whole."""
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f".{path.name}")
    draft.write_bytes(data)
    draft.rename(path)
