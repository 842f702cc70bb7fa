"""Whatever is found is safe here first: on the local disk, before the data base hears of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import struct
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Self, TypeVar

from hydrad.domain import Change, HeatMap, LedgerEntry, Picture, Prediction, Verdict
from hydrad.errors import HydradError, TryAgain
from hydrad.store.columns import digest
from hydrad.store.images import ImageFolder
from hydrad.store.outbox.book import DamagedBook, Outgoing, Page, Refusal, open_book, set_aside
from hydrad.store.outbox.seen import Seen, Sighting
from hydrad.store.packing import ImageFacts, NoParcel, Opinion, Parcel, unpack, unpack_change, unpack_verdict
from hydrad.store.rows import FiledChange, Model, model_from, model_words

GROUP = 256  # parcels that share one commit
LOOK_AGAIN_S = 1.0

_LONG_AGO = datetime(1000, 1, 1, tzinfo=UTC)

T = TypeVar("T")


class Remembered(NamedTuple):
    """What an earlier daemon last showed of a plot, and the digest of the pixels it was about."""

    verdict: Verdict
    pixels_digest: str | None


@dataclass(frozen=True, slots=True)
class _Work:
    parcel: Parcel
    picture: Picture | None
    done: Future[None]


class Journal:
    """The daemon's memory on the local disk; a context manager, and the port ``Ledger``.

    What ``record``, ``note`` or ``change`` have returned for survives a killed process and a loss of power. Calls that
    are under way at the same time share a commit. All of them raise TryAgain when the disk is full or away; then
    nothing was kept.

    Args:
        path: the file; one daemon at a time holds it.
        images: the folder that images' bytes are kept in, by content.
        draws: says which images stay for labelling.
        keep_given_s: so long what the data base has taken is kept, in case it loses it.
    """

    def __init__(
        self,
        path: Path,
        images: Path,
        draws: Callable[[LedgerEntry], bool] = lambda _: True,
        *,
        keep_given_s: float = 0.0,
    ) -> None:
        self._path = path
        self._images = ImageFolder(images)
        self._draws = draws
        self._keep_given_s = keep_given_s
        self._seen = Seen()
        self._work: list[_Work] = []
        self._lock = Lock()
        self._writing = False
        self._news = asyncio.Event()
        self._waiting = 0
        self._cursor = 0

    def __enter__(self) -> Self:
        """Open or begin the file; faults as in :func:`hydrad.store.outbox.book.open_book`."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="journal")
        try:
            self._now(self._open)
        except BaseException:
            self._executor.shutdown()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is still on its way, and close the file."""
        self._executor.submit(self._close)
        self._executor.shutdown()

    @property
    def identity(self) -> str:
        """The word that marks changes and canaries which came through this journal."""
        return self._book.identity

    @property
    def waiting(self) -> int:
        """Parcels that the data base does not have yet."""
        return self._waiting

    def seen(self, path: str) -> Sighting | None:
        """What became of the file last dealt with under this path; from memory, callable from any thread."""
        return self._seen.get(path)

    async def record(
        self, entry: LedgerEntry, verdict: Verdict | None, picture: Picture | None, heatmap: HeatMap | None
    ) -> None:
        """Keep what became of a file, its verdict and its image."""
        facts = None if picture is None else _facts(picture, sampled=self._draws(entry))
        await self._keep(Parcel(entry, verdict, facts, heatmap), picture)

    async def overhear(self, verdict: Verdict, said: Prediction, *, confirmed: bool) -> None:
        """Keep what a model in shadow said of a verdict's image."""
        opinion = Opinion(
            verdict.key, said.model, said.label, said.confidence, dict(said.scores), confirmed, said.novelty
        )
        await self._keep(Parcel(opinion=opinion))

    async def keep_canary(self, verdict: Verdict) -> None:
        """Keep a verdict on a known-bad image, apart from those on plots."""
        await self._keep(Parcel(canary=verdict, origin=self.identity))

    async def note(self, verdict: Verdict) -> None:
        """Keep a verdict that no new image caused."""
        await self._keep(Parcel(verdict=verdict))

    async def change(self, change: Change) -> None:
        """Keep a setting that a person changed through this daemon."""
        await self._keep(Parcel(change=change, ticket=uuid.uuid4().hex, origin=self.identity))

    async def forget(self, paths: Iterable[str]) -> None:
        """Forget files that are gone from the disk; those the data base does not have yet, once it has them."""
        keys = [digest(path) for path in paths]
        await self._later(lambda: self._seen.drop(self._book.forget(keys)))

    async def adopt(self, changes: Sequence[FiledChange]) -> None:
        """Remember changes read from the data base, so that they hold after a restart without it."""
        if changes:
            cursor = max(self._cursor, *(filed.id for filed in changes))
            await self._later(lambda: self._book.adopt([filed.change for filed in changes], cursor))
            self._cursor = cursor

    async def keep_models(self, models: Sequence[Model]) -> None:
        """Remember the library as the data base has it, in place of what was remembered before."""
        text = json.dumps([model_words(model) for model in models])
        await self._later(lambda: self._book.note("models", text))

    async def begin_trial(self, words: str) -> None:
        """Note what is about to be tried and may be the end of this process; nothing, once it was not."""
        await self._later(lambda: self._book.note("trial", words))

    def trial(self) -> str:
        """What an earlier daemon was trying when it ended without a word; blocks while it is read."""
        return self._now(lambda: self._book.fact("trial")) or ""

    @property
    def cursor(self) -> int:
        """The newest of the data base's settings rows that was adopted; 0 before the first."""
        return self._cursor

    def standings(self) -> Mapping[str, Remembered]:
        """By plot, in the order they were first seen, the last verdict that was shown; blocks while it is read."""
        verdicts = [(unpack_verdict(text), pixels) for text, pixels in self._now(self._book.standings)]
        return {verdict.plot: Remembered(verdict, pixels) for verdict, pixels in verdicts}

    def settings(self) -> Sequence[Change]:
        """The newest change of each setting, oldest first; blocks while they are read."""
        return [unpack_change(text) for text in self._now(self._book.settings)]

    def models(self) -> Sequence[Model]:
        """The library as last remembered; blocks while it is read."""
        return [model_from(words) for words in json.loads(self._now(lambda: self._book.fact("models")) or "[]")]

    async def outgoing(self, limit: int, after: int = 0) -> Sequence[Outgoing]:
        """The oldest parcels that wait for the data base, of those numbered above this; none at once when none wait."""
        return await self._later(lambda: self._book.outgoing(limit, after))

    async def news(self, within_s: float = LOOK_AGAIN_S) -> None:
        """Return when a parcel waits, or after a while."""
        if self._waiting:
            return
        self._news.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._news.wait()
        except TimeoutError:
            return

    async def delivered(self, parcels: Sequence[Outgoing], refused: Sequence[Refusal] = ()) -> None:
        """Strike out what the data base has taken, and set aside what it never will."""
        await self._later(lambda: self._strike([parcel.id for parcel in parcels], refused))

    async def newest_given(self) -> Sequence[Outgoing]:
        """The newest of what the data base has taken, some hundred parcels, oldest first; none where none are kept."""
        return await self._later(lambda: self._book.newest_given(self._keep_given_s))

    async def take_back(self, parcels: Sequence[Outgoing]) -> None:
        """Let these wait again, before all others, and read people's settings from the beginning."""
        await self._later(lambda: self._take_back(parcels))

    async def undelivered_since(self) -> datetime:
        """When the images that the data base does not know yet began to come; now, if it knows all of them.

        Whatever was kept before this time has arrived there, or never will.
        """
        return await self._later(self._undelivered_since)

    async def _keep(self, parcel: Parcel, picture: Picture | None = None) -> None:
        done: Future[None] = Future()
        with self._lock:
            self._work.append(_Work(parcel, picture, done))
            idle, self._writing = not self._writing, True
        if idle:
            self._executor.submit(self._write_all)
        await asyncio.wrap_future(done)
        self._news.set()

    async def _later(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._mended, act)

    def _now(self, act: Callable[[], T]) -> T:
        return self._executor.submit(act).result()

    # What follows runs in the journal's own thread.

    def _open(self) -> None:
        self._images.sweep()
        self._book = open_book(self._path)
        self._cursor = int(self._book.fact("settings_cursor") or 0)
        self._seen.put(self._book.seen())
        self._waiting = self._book.waiting()

    def _close(self) -> None:
        self._book.close()

    def _mended(self, act: Callable[[], T]) -> T:
        """Do something with the book; if it turns out damaged, do it with a fresh one."""
        try:
            return act()
        except DamagedBook as fault:
            self._book.close()
            set_aside(self._path, fault)
            self._book = open_book(self._path)
            self._book.remember(self._seen)
            self._waiting = 0
            return act()

    def _write_all(self) -> None:
        while True:
            with self._lock:
                group, self._work = self._work[:GROUP], self._work[GROUP:]
                if not group:
                    self._writing = False
                    return
            self._write([work for work in group if work.done.set_running_or_notify_cancel()])

    def _write(self, group: Sequence[_Work]) -> None:
        pages, kept = [], []
        for work in group:
            try:
                pages.append(self._page(work))
            except TryAgain as fault:
                work.done.set_exception(fault)
            else:
                kept.append(work)
        try:
            sightings = self._mended(lambda: self._book.write(pages))
        except (HydradError, sqlite3.Error) as fault:
            for work in kept:
                work.done.set_exception(fault)
            return
        except (ValueError, TypeError, OverflowError, struct.error) as fault:  # one of them cannot be written at all
            if len(kept) == 1:
                kept[0].done.set_exception(fault)
            else:
                for work in kept:
                    self._write([work])
            return
        self._waiting += len(kept)
        self._seen.put(sightings)
        for work in kept:
            work.done.set_result(None)

    def _page(self, work: _Work) -> Page:
        picture = work.picture
        if picture is not None:
            self._images.keep(picture.data, picture.sha256, picture.format)
        return Page(work.parcel, None if picture is None else picture.pixels_digest)

    def _undelivered_since(self) -> datetime:
        # In this thread no image is between the folder and the book, so what waits is all in the book.
        now = datetime.now(UTC)
        first = self._book.first_image()
        if first is None:
            return now
        try:
            entry = unpack(first, None).entry
        except NoParcel:  # until it has been set aside
            entry = None
        # A parcel with a higher number was kept later than this one was seen.
        return _LONG_AGO if entry is None else min(now, entry.seen_at)

    def _take_back(self, parcels: Sequence[Outgoing]) -> None:
        self._waiting = self._book.take_back(parcels)
        self._cursor = 0

    def _strike(self, ids: Sequence[int], refused: Sequence[Refusal]) -> None:
        struck = self._book.delivered(ids, refused, self._keep_given_s)
        self._seen.drop(struck.forgotten)
        self._waiting -= struck.parcels


def _facts(picture: Picture, *, sampled: bool) -> ImageFacts:
    return ImageFacts(len(picture.data), picture.format, picture.width, picture.height, sampled)
