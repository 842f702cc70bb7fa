"""Serves the bundles: gathers pictures of all plots into batches, and changes models between two of them."""

from __future__ import annotations

import asyncio
import gc
import math
import time
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from hydrad import log
from hydrad.classify import bundle as bundles
from hydrad.classify.bundle import Bundle
from hydrad.classify.claims import Claim, server
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
class Loaded:
    """A model that has passed its tests and is warm, and the pictures that wait for it."""

    bundle: Bundle
    runtime: Runtime
    claim: Claim
    card: ModelCard
    coming: int = 0  # pictures being prepared
    waiting: deque[_Request] = field(default_factory=deque)

    @property
    def id(self) -> str:
        """The model's name."""
        return self.bundle.id

    @property
    def full(self) -> bool:
        """True when more pictures wait than are computed at once."""
        return len(self.waiting) >= self.runtime.batch

    @property
    def busy(self) -> bool:
        """True while a picture waits for it or is about to."""
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
        self._served: dict[str, Loaded] = {}
        self._shadows: dict[str, Loaded] = {}
        self._retired: set[Loaded] = set()  # until the last picture that waited for them is answered
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

    @property
    def in_shadow(self) -> Sequence[ModelCard]:
        """The models that judge along, in the order they were loaded."""
        return [loaded.card for loaded in self._shadows.values()]

    def manifest(self, model: str) -> Manifest:
        """What the bundle of a model in service says of itself; raises KeyError for one that is not."""
        return self._served[model].bundle.manifest

    def card(self, plot: str) -> ModelCard | None:
        """The model that serves this plot now, or None."""
        served = self._serving(plot)
        return None if served is None else served.card

    def shadows(self, plot: str) -> Sequence[ModelCard]:
        """The models that judge this plot along without effect."""
        return [loaded.card for loaded in self._shadows.values() if loaded.claim.covers(plot)]

    async def prepare(self, folder: Path, *, plots: Sequence[str] | None = None) -> Loaded:
        """Load a bundle and test it: its hashes, its network, its self-test, a warm-up. What serves goes on serving.

        A model that is loaded already, of exactly these files, is not loaded again.

        Args:
            plots: patterns of the plots it shall serve; those its manifest names when None.

        Raises:
            BundleError: saying what is wrong with it.
        """
        self._refuse_when_stopped()
        loop = asyncio.get_running_loop()
        started = time.monotonic()
        try:
            found = await loop.run_in_executor(self._loading, bundles.read, folder)
            held = self._served.get(found.id) or self._shadows.get(found.id)
            if held is not None and plots is None and held.bundle.manifest == found.manifest:
                return held
            runtime = await loop.run_in_executor(self._loading, ready, found, self._open_runtime, self._batch)
        except BundleError as fault:
            _log.error("model_refused", folder=str(folder), reason=str(fault))
            raise
        took_s = round(time.monotonic() - started, 2)
        _log.info("model_loaded", model=found.id, runtime=runtime.name, took_s=took_s)
        patterns = found.manifest.plots if plots is None else tuple(plots)
        claim = Claim(found.id, patterns, found.manifest.created_at)
        return Loaded(found, runtime, claim, card(found, runtime))

    def swap(
        self, *, serve: Sequence[Loaded] = (), shadow: Sequence[Loaded] = (), retire: Collection[str] = ()
    ) -> None:
        """Let models change places, all of them between two batches.

        Pictures that wait for a model that goes are still answered by it.

        Args:
            serve: come into service, in place of models of the same names.
            shadow: judge along from now on, and serve no more.
            retire: go, wherever they are.
        """
        self._refuse_when_stopped()
        for name in {*retire, *(loaded.id for loaded in (*serve, *shadow))}:
            for place in (self._served, self._shadows):
                if (gone := place.pop(name, None)) is not None:
                    self._retired.add(gone)
        for place, comers in ((self._served, serve), (self._shadows, shadow)):
            for loaded in comers:
                self._retired.discard(loaded)
                place[loaded.id] = loaded
        _log.info(
            "models_changed_places",
            serve=[loaded.id for loaded in serve], shadow=[loaded.id for loaded in shadow], retired=sorted(retire),
        )  # fmt: skip
        self._changed.set()

    async def load(self, folder: Path, *, plots: Sequence[str] | None = None, replaces: str | None = None) -> ModelCard:
        """Put a bundle into service: :meth:`prepare` and then :meth:`swap`.

        Args:
            plots: patterns of the plots it shall serve; those its manifest names when None.
            replaces: the model that goes in the same step; a model of the same name always does.

        Raises:
            BundleError: saying what is wrong with it; whatever is in service stays.
        """
        loaded = await self.prepare(folder, plots=plots)
        self.swap(serve=[loaded], retire=[] if replaces is None else [replaces])
        return loaded.card

    def retire(self, model: str) -> None:
        """Take a model out of service; pictures that wait for it are still answered."""
        self.swap(retire=[model])

    async def classify(self, plot: str, picture: Picture) -> Prediction:
        """Scores, heatmap and embedding of one picture; raise BundleError when the model cannot answer."""
        async with self._room:
            self._refuse_when_stopped()
            served = self._serving(plot)
            if served is None:
                raise BundleError(f"no model serves {plot}")
            return await self._answered(served, picture)

    async def ask(self, shadow: str, picture: Picture) -> Prediction:
        """What a model in shadow says, once no picture waits for one in service; raise BundleError when it cannot."""
        self._refuse_when_stopped()
        loaded = self._shadows.get(shadow)
        if loaded is None:
            raise BundleError(f"no model {shadow!r} is in shadow")
        return await self._answered(loaded, picture)

    async def _answered(self, served: Loaded, picture: Picture) -> Prediction:
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
                self._let_go()
                now = time.monotonic()
                wait_s = min((served.due_s(now, self._max_wait_s) for served in self._everyone()), default=math.inf)
                if wait_s <= 0:
                    await self._compute(self._next(now))
                elif (shadow := self._unheard()) is not None:
                    await self._compute(shadow, most=1)  # so that a picture that comes now waits for one, not for many
                else:
                    await self._news(min(wait_s, TICK_S))
        finally:
            self._stop()

    def _next(self, now: float) -> Loaded:
        """Of the models whose batch should start, the one whose oldest picture has waited longest."""
        ripe = [served for served in self._everyone() if served.due_s(now, self._max_wait_s) <= 0]
        return min(ripe, key=lambda served: served.waiting[0].since)

    def _unheard(self) -> Loaded | None:
        """A model in shadow that a picture waits for while none waits, or is about to, for a model in service."""
        if any(served.busy for served in self._everyone()):
            return None
        return next((shadow for shadow in self._shadows.values() if shadow.waiting), None)

    def _let_go(self) -> None:
        """Forget models that have gone once nobody waits for them, and give their memory back."""
        busy = {gone for gone in self._retired if gone.busy}
        if len(busy) < len(self._retired):
            self._retired = busy
            self._loading.submit(gc.collect)  # a network and its compiled functions refer to each other

    async def _news(self, timeout_s: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _compute(self, served: Loaded, *, most: int | None = None) -> None:
        count = min(len(served.waiting), most or served.runtime.batch)
        requests = [served.waiting.popleft() for _ in range(count)]
        try:
            live = [request for request in requests if not request.answer.done()]
            if live:
                await self._answer(served, live)
        finally:
            for request in requests:
                _fail(request, "the classifier stopped")

    async def _answer(self, served: Loaded, requests: Sequence[_Request]) -> None:
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

    def _serving(self, plot: str) -> Loaded | None:
        name = server(plot, (served.claim for served in self._served.values()))
        return None if name is None else self._served[name]

    def _everyone(self) -> list[Loaded]:
        return [*self._served.values(), *self._retired]

    def _refuse_when_stopped(self) -> None:
        if self._stopped:
            raise BundleError("the classifier has stopped")

    def _stop(self) -> None:
        self._stopped = True
        for served in (*self._everyone(), *self._shadows.values()):
            while served.waiting:
                _fail(served.waiting.popleft(), "the classifier stopped")


def _fail(request: _Request, reason: str) -> None:
    if not request.answer.done():
        request.answer.set_exception(BundleError(reason))
