"""Serves the bundles: gathers pictures of all plots into batches, and changes models between two of them."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from hydrad import log
from hydrad.classify import bundle as bundles
from hydrad.classify.bundle import Bundle
from hydrad.classify.manifest import Manifest
from hydrad.classify.prepare import Prepared, prepare
from hydrad.classify.runtime import Answers, OpenRuntime, Runtime, card, ready
from hydrad.domain import ModelCard, Picture, Prediction
from hydrad.errors import BundleError

TICK_S = 1.0  # an idle service says this often that it lives

_log = log.get("classify")


def open_keras(bundle: Bundle, batch: int) -> Runtime:
    """Load a bundle with Keras, which is imported only now."""
    from hydrad.classify.keras_runtime import KerasRuntime  # noqa: PLC0415  so that nothing else pays for it

    return KerasRuntime(bundle, batch)


@dataclass(slots=True, eq=False)
class _Request:
    prepared: Prepared
    answer: asyncio.Future[Prediction]
    since: float  # time.monotonic() at which it could have been computed


@dataclass(slots=True, eq=False)
class _Served:
    """A model in service and the pictures that wait for it."""

    bundle: Bundle
    runtime: Runtime
    plots: tuple[str, ...]
    card: ModelCard
    coming: int = 0  # pictures being prepared
    waiting: deque[_Request] = field(default_factory=deque)

    @property
    def full(self) -> bool:
        return len(self.waiting) >= self.runtime.batch

    @property
    def busy(self) -> bool:
        return bool(self.waiting or self.coming)

    def due_s(self, now: float, max_wait_s: float) -> float:
        """Seconds until its next batch should start; for ever when nobody waits."""
        if not self.waiting:
            return math.inf
        return 0.0 if self.full or not self.coming else self.waiting[0].since + max_wait_s - now


class ModelService:
    """A classifier that serves bundles; enter it, run it as a root task, load bundles, classify.

    A batch starts when it is full, when no other picture for its model is being prepared, or when its oldest picture
    has waited ``max_wait_ms``: a lone picture never waits for company that is not coming.

    Args:
        batch: the most images computed at once.
        max_wait_ms: the longest a picture waits for others while the runtime is idle.
        open_runtime: loads a bundle; Keras unless said otherwise.
        preparers: threads that scale pictures.
    """

    def __init__(
        self, *, batch: int = 32, max_wait_ms: float = 20.0, open_runtime: OpenRuntime = open_keras, preparers: int = 2
    ) -> None:
        self._batch = batch
        self._max_wait_s = max_wait_ms / 1000.0
        self._open_runtime = open_runtime
        self._served: dict[str, _Served] = {}
        self._retired: set[_Served] = set()  # until the last picture that waited for them is answered
        self._room = asyncio.Semaphore(8 * batch)
        self._changed = asyncio.Event()
        self._stopped = False
        self._ticked_at = time.monotonic()
        self._inference = ThreadPoolExecutor(1, thread_name_prefix="hydrad-inference")
        self._loading = ThreadPoolExecutor(1, thread_name_prefix="hydrad-model-load")
        self._preparing = ThreadPoolExecutor(preparers, thread_name_prefix="hydrad-prepare")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        for executor in (self._preparing, self._loading, self._inference):
            executor.shutdown(cancel_futures=True)

    @property
    def ticked_at(self) -> float:
        """``time.monotonic()`` of its last progress."""
        return self._ticked_at

    @property
    def cards(self) -> Sequence[ModelCard]:
        """The models in service, in the order they were loaded."""
        return [served.card for served in self._served.values()]

    def manifest(self, model: str) -> Manifest:
        """What the bundle of a model in service says of itself; raises KeyError for one that is not."""
        return self._served[model].bundle.manifest

    def card(self, plot: str) -> ModelCard | None:
        """The model that serves this plot now, or None."""
        served = self._serving(plot)
        return None if served is None else served.card

    async def load(self, folder: Path, *, plots: Sequence[str] | None = None, replaces: str | None = None) -> ModelCard:
        """Put a bundle into service: its hashes, its network, its self-test, a warm-up; only then it serves.

        Other models serve on meanwhile. Pictures that wait for a model that is replaced are still answered by it.

        Args:
            plots: patterns of the plots it shall serve; those its manifest names when None.
            replaces: the model that goes in the same step; a model of the same name always does.

        Raises:
            BundleError: saying what is wrong with it; whatever is in service stays.
        """
        self._refuse_when_stopped()
        loop = asyncio.get_running_loop()
        started = time.monotonic()
        try:
            found = await loop.run_in_executor(self._loading, bundles.read, folder)
            runtime = await loop.run_in_executor(self._loading, ready, found, self._open_runtime, self._batch)
        except BundleError as fault:
            _log.error("model_refused", folder=str(folder), reason=str(fault))
            raise
        for name in {found.id, replaces} - {None}:
            self.retire(str(name))
        patterns = found.manifest.plots if plots is None else tuple(plots)
        served = _Served(found, runtime, patterns, card(found, runtime))
        self._served[found.id] = served
        _log.info(
            "model_in_service", model=found.id, plots=list(patterns), runtime=runtime.name, replaced=replaces,
            took_s=round(time.monotonic() - started, 2),
        )  # fmt: skip
        return served.card

    def retire(self, model: str) -> None:
        """Take a model out of service; pictures that wait for it are still answered."""
        served = self._served.pop(model, None)
        if served is not None:
            self._retired.add(served)

    async def classify(self, plot: str, picture: Picture) -> Prediction:
        """Scores, heatmap and embedding of one picture; raise BundleError when the model cannot answer."""
        async with self._room:
            self._refuse_when_stopped()
            served = self._serving(plot)
            if served is None:
                raise BundleError(f"no model serves {plot}")
            return await self._answered(served, picture)

    async def _answered(self, served: _Served, picture: Picture) -> Prediction:
        loop = asyncio.get_running_loop()
        served.coming += 1  # before anything is awaited: whoever retires the model must see it
        try:
            prepared = await loop.run_in_executor(
                self._preparing, prepare, picture.pixels, served.bundle.manifest.preparation
            )
        finally:
            served.coming -= 1
            self._changed.set()
        self._refuse_when_stopped()
        request = _Request(prepared, loop.create_future(), time.monotonic())
        served.waiting.append(request)
        return await request.answer

    async def run(self) -> None:
        """Compute batches for ever; when it ends, whoever waits is told so."""
        try:
            while True:
                self._ticked_at = time.monotonic()
                self._retired = {served for served in self._retired if served.busy}
                now = time.monotonic()
                wait_s = min((served.due_s(now, self._max_wait_s) for served in self._everyone()), default=math.inf)
                if wait_s > 0:
                    await self._news(min(wait_s, TICK_S))
                else:
                    await self._compute(self._next(now))
        finally:
            self._stop()

    def _next(self, now: float) -> _Served:
        """Of the models whose batch should start, the one whose oldest picture has waited longest."""
        ripe = [served for served in self._everyone() if served.due_s(now, self._max_wait_s) <= 0]
        return min(ripe, key=lambda served: served.waiting[0].since)

    async def _news(self, timeout_s: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _compute(self, served: _Served) -> None:
        count = min(len(served.waiting), served.runtime.batch)
        requests = [served.waiting.popleft() for _ in range(count)]
        try:
            live = [request for request in requests if not request.answer.done()]
            if live:
                await self._answer(served, live)
        finally:
            for request in requests:
                _fail(request, "the classifier stopped")

    async def _answer(self, served: _Served, requests: Sequence[_Request]) -> None:
        stack = np.stack([request.prepared for request in requests])
        try:
            answers: Answers = await asyncio.get_running_loop().run_in_executor(
                self._inference, served.runtime.compute, stack
            )
        except BundleError as fault:
            _log.error("batch_failed", model=served.bundle.id, images=len(requests), reason=str(fault))
            for request in requests:
                _fail(request, str(fault))
            return
        for n, request in enumerate(requests):
            if request.answer.done():
                continue
            try:
                request.answer.set_result(answers.prediction(n, served.bundle))
            except BundleError as fault:
                _fail(request, str(fault))

    def _serving(self, plot: str) -> _Served | None:
        """The model whose pattern for this plot is the most specific; of equals, the one made last."""
        claims = [
            (*_specificity(pattern), served.bundle.manifest.created_at, served.bundle.id)
            for served in self._served.values()
            for pattern in served.plots
            if fnmatchcase(plot, pattern)
        ]
        return self._served[max(claims)[-1]] if claims else None

    def _everyone(self) -> list[_Served]:
        return [*self._served.values(), *self._retired]

    def _refuse_when_stopped(self) -> None:
        if self._stopped:
            raise BundleError("the classifier has stopped")

    def _stop(self) -> None:
        self._stopped = True
        for served in self._everyone():
            while served.waiting:
                _fail(served.waiting.popleft(), "the classifier stopped")


def _specificity(pattern: str) -> tuple[bool, int]:
    """A plain name before a pattern; of patterns, the one that spells out more."""
    literal = sum(letter not in "*?[]" for letter in pattern)
    return (literal == len(pattern), literal)


def _fail(request: _Request, reason: str) -> None:
    if not request.answer.done():
        request.answer.set_exception(BundleError(reason))
