"""What stands behind the ports in tests: in memory, told what to do, and on a clock that only tests move."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import selectors
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import numpy as np

from hydrad import config
from hydrad.domain import (
    Arrival,
    Beam,
    BeamState,
    Change,
    HeatMap,
    LedgerEntry,
    Meaning,
    ModelCard,
    Picture,
    Prediction,
    Run,
    Verdict,
)
from hydrad.errors import BundleError, TryAgain

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MEANINGS = {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY, "Cosmic": Meaning.OTHER}
ON = Beam(BeamState.ON, 201.3, "nA")
OFF = Beam(BeamState.OFF, 0.4, "nA")
LOST = Beam(BeamState.UNKNOWN, None, "nA", reason="beam PV disconnected")


# ---- time ----------------------------------------------------------------------------------------------------------


@dataclass
class Clock:
    """The time of day, which stands still unless a test moves it."""

    time: datetime = NOON

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> datetime:
        self.time += timedelta(seconds=seconds)
        return self.time


class _Leap(selectors.DefaultSelector):
    """Waits for nothing: where the loop would sleep, its time leaps ahead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("everything waits, and nothing is left that could happen")
        if not ready and timeout:
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on which an hour of sleeping takes no time."""

    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        return self._leap.now_s


def in_no_time(story: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make of an asynchronous test one that runs on virtual time and leaves no task."""

    @functools.wraps(story)
    def test(*args: Any, **kwargs: Any) -> None:
        async def told() -> None:
            await story(*args, **kwargs)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"left tasks behind: {left}"

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(told())

    return test


async def rest() -> None:
    """On virtual time: let everything run until nothing can go on by itself; one tenth of a second goes by."""
    await asyncio.sleep(0.1)


# ---- images --------------------------------------------------------------------------------------------------------


def picture(content: str = "peak") -> Picture:
    """A picture that shows ``content``: equal contents, equal pixels."""
    digest = hashlib.sha256(content.encode()).hexdigest()
    return Picture(content.encode(), f"file-{digest}", 3, 2, digest, "png")


def arrival(
    plot: str = "CDC_occupancy",
    taken_at: datetime = NOON,
    *,
    name: str = "",
    at_rest_s: float = 0.2,
    run: int | None = 111652,
    submission: int | None = None,
) -> Arrival:
    """A file at rest; by default named after its plot and time."""
    stamp = int(taken_at.timestamp() * 1e9)
    return Arrival(
        path=Path("/plots") / (name or f"{plot}_{stamp}.png"),
        size=100,
        mtime_ns=stamp,
        plot=plot,
        taken_at=taken_at,
        seen_at=taken_at,
        run=run,
        at_rest_s=at_rest_s,
        submission=submission,
    )


def prediction(
    label: str = "Good", confidence: float = 0.97, *, model: str = "m1", novelty: float | None = None
) -> Prediction:
    """What a model of four labels says."""
    rest = (1 - confidence) / 3
    scores = {name: confidence if name == label else rest for name in MEANINGS}
    heatmap = np.full((2, 2), 7, np.uint8)
    return Prediction(model, scores, MEANINGS, heatmap=heatmap, novelty=novelty)


def card(model: str = "m1", threshold: float = 0.8) -> ModelCard:
    """A model in service."""
    return ModelCard(model, MEANINGS, dict.fromkeys(MEANINGS, threshold))


def configuration(**tables: Any) -> config.Config:
    """A configuration with a fixed beam and what the test asks for."""
    return config.read({"beam": {"kind": "fixed"}, **tables}, Path("/counting/house"))


# ---- the ports -----------------------------------------------------------------------------------------------------


class FakeWatcher:
    """Offers what the test drops."""

    def __init__(self) -> None:
        self.asked_again: list[Arrival] = []
        self.gone: list[Arrival] = []
        self.patience_s = 5.0
        self.ticked_at = 0.0
        self._dropped: asyncio.Queue[Arrival] = asyncio.Queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @property
    def pending(self) -> int:
        return self._dropped.qsize()

    def drop(self, *arrivals: Arrival) -> None:
        for one in arrivals:
            self._dropped.put_nowait(one)

    async def arrivals(self) -> AsyncIterator[Arrival]:
        while True:
            yield await self._dropped.get()

    def again(self, arrival: Arrival) -> None:
        self.asked_again.append(arrival)

    def missed(self, arrival: Arrival) -> None:
        self.gone.append(arrival)


@dataclass
class FakeDecoder:
    """Finds in each file what the test put there; several things one after the other, the last for good."""

    files: dict[Path, list[Picture | Exception]] = field(default_factory=dict)

    def put(self, path: Path, *contents: Picture | Exception) -> None:
        self.files[path] = list(contents)

    async def __call__(self, path: Path, plot: str) -> Picture:  # noqa: ARG002  the same for every plot
        await asyncio.sleep(0)
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        contents = self.files[path]
        found = contents.pop(0) if len(contents) > 1 else contents[0]
        if isinstance(found, Exception):
            raise found
        return found


class FakeClassifier:
    """Says of a picture what the test wants said; holds a plot's answers back while the test wants that."""

    def __init__(self) -> None:
        self.cards: dict[str, ModelCard | None] = defaultdict(card)
        self.says: dict[str, Prediction | BundleError] = {}  # by the picture's content
        self.asked: list[tuple[str, str]] = []  # plot, content
        self.at_work: list[str] = []
        self.most_at_work: dict[str, int] = defaultdict(int)
        self.in_shadow: list[ModelCard] = []  # of every plot
        self.whispers: dict[str, Prediction | BundleError] = {}  # what a shadow says, by its name
        self.ticked_at = 0.0
        self._gates: dict[str, asyncio.Event] = {}

    def card(self, plot: str) -> ModelCard | None:
        return self.cards[plot]

    def shadows(self, plot: str) -> list[ModelCard]:  # noqa: ARG002  the same for every plot
        return self.in_shadow

    async def ask(self, shadow: str, picture: Picture) -> Prediction:
        self.asked.append((shadow, picture.data.decode()))
        await asyncio.sleep(0)
        said = self.whispers.get(shadow, prediction(model=shadow))
        if isinstance(said, BundleError):
            raise said
        return said

    @contextmanager
    def held(self, plot: str):
        """Answers for this plot wait until the block is left."""
        self._gates[plot] = asyncio.Event()
        try:
            yield
        finally:
            self._gates.pop(plot).set()

    async def classify(self, plot: str, picture: Picture) -> Prediction:
        content = picture.data.decode()
        self.asked.append((plot, content))
        self.at_work.append(plot)
        self.most_at_work[plot] = max(self.most_at_work[plot], self.at_work.count(plot))
        try:
            if plot in self._gates:
                await self._gates[plot].wait()
            await asyncio.sleep(0)
        finally:
            self.at_work.remove(plot)
        said = self.says.get(content, prediction())
        if isinstance(said, BundleError):
            raise said
        return said


class FakeBeam:
    """The beam the test makes, now and at all times."""

    def __init__(self, beam: Beam = ON) -> None:
        self.on_above = 5.0
        self.beam = beam
        self.asked: list[tuple[datetime, datetime]] = []

    def now(self) -> Beam:
        return self.beam

    def during(self, start: datetime, end: datetime) -> Beam:
        self.asked.append((start, end))
        return self.beam


class FakeRuns:
    """The run the test makes, now and at all times; what a path says is believed."""

    def __init__(self) -> None:
        self.going = Run()

    def now(self) -> Run:
        return self.going

    def during(self, start: datetime, end: datetime, number: int | None) -> Run:  # noqa: ARG002  at any time
        return replace(self.going, number=self.going.number if number is None else number, reason="")


class FakeSink:
    """Remembers what it was told."""

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.told: list[Verdict] = []

    async def tell(self, verdict: Verdict) -> None:
        await asyncio.sleep(0)
        self.told.append(verdict)

    def statuses(self, plot: str = "CDC_occupancy") -> list[str]:
        return [verdict.status.name for verdict in self.told if verdict.plot == plot]


@dataclass
class FakeLedger:
    """Keeps everything, unless the test takes its disk away."""

    away: bool = False
    refusals: int = 0
    entries: deque[tuple[LedgerEntry, Verdict | None, Picture | None, HeatMap | None]] = field(default_factory=deque)
    notes: list[Verdict] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    opinions: list[tuple[Verdict, Prediction, bool]] = field(default_factory=list)

    async def _write(self) -> None:
        await asyncio.sleep(0)
        if self.away:
            self.refusals += 1
            raise TryAgain("the disk is full")

    def seen(self, path: str) -> LedgerEntry | None:
        return next((entry for entry, *_ in reversed(self.entries) if entry.path == path), None)

    async def record(
        self, entry: LedgerEntry, verdict: Verdict | None, picture: Picture | None, heatmap: HeatMap | None
    ) -> None:
        await self._write()
        self.entries.append((entry, verdict, picture, heatmap))

    async def overhear(self, verdict: Verdict, said: Prediction, *, confirmed: bool) -> None:
        await self._write()
        self.opinions.append((verdict, said, confirmed))

    async def note(self, verdict: Verdict) -> None:
        await self._write()
        self.notes.append(verdict)

    async def change(self, change: Change) -> None:
        await self._write()
        self.changes.append(change)

    def outcomes(self) -> list[str]:
        return [entry.outcome.value for entry, *_ in self.entries]

    def by_path(self) -> Mapping[str, LedgerEntry]:
        return {entry.path: entry for entry, *_ in self.entries}
