"""Serves the bundles: gathers pictures of all plots into batches, and changes models between two of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import numpy as np

from hydrad import footprint, log
from hydrad.classify import bundle as bundles
from hydrad.classify.claims import Claim, server
from hydrad.classify.loaded import Loaded, Request
from hydrad.classify.manifest import Manifest
from hydrad.classify.opening import Opener
from hydrad.classify.pace import LANES, Pace
from hydrad.classify.prepare import Preparation, Prepared
from hydrad.classify.runtime import Answers, NoRoom, OpenRuntime, card, ready
from hydrad.classify.shelf import OPEN, Shelf
from hydrad.classify.specimen import specimen_of, specimen_without
from hydrad.deaths import MOST_DEATHS, Deaths
from hydrad.domain import ModelCard, Picture, Prediction, Specimen
from hydrad.errors import BundleError, ImageError
from hydrad.images import image_of

TICK_S = 1.0  # an idle service says this often that it lives
MOST_SERVERS_KNOWN = 20_000  # plots: a layout that does not fit makes names without end

_log = log.get("classify")


class ModelService:
    """A classifier that serves bundles; enter it, run it as a root task, load bundles, classify.

    A batch starts when it is full, when no other picture for its model is being read, or when its oldest picture
    has waited ``max_wait_ms``: a lone picture never waits for company that is not coming.

    Args:
        batch: the most images computed at once.
        max_wait_ms: the longest a picture waits for others while the runtime is idle.
        open_runtime: loads a bundle; the best there is here when None.
        open_models: the most networks that are open at a time; others are opened when a picture needs them.
        preparers: threads that decode pictures once more, which were read when another model was expected to look.
        in_hand: the file that remembers what is being computed, should that be this process's end; None: none does.
    """

    def __init__(
        self,
        *,
        batch: int = 32,
        max_wait_ms: float = 20.0,
        open_runtime: OpenRuntime | None = None,
        open_models: int = OPEN,
        preparers: int = 2,
        in_hand: Path | None = None,
    ) -> None:
        self._batch = batch
        self._max_wait_s = max_wait_ms / 1000.0
        self._open_runtime = Shelf(open_models).opener(open_runtime or Opener())
        self._deaths = Deaths(in_hand)
        self._served: dict[str, Loaded] = {}
        self._servers: dict[str, str | None] = {}  # by plot, of those asked for since models changed places
        self._shadows: dict[str, Loaded] = {}
        self._unserved = [specimen_without(None)]
        self._retired: set[Loaded] = set()  # until the last picture that waited for them is answered
        self._room = asyncio.Semaphore(8 * batch)
        self._pace = Pace(batch)
        self._choosing = asyncio.Lock()
        self._computing = 0  # batches in hand
        self._changed = asyncio.Event()
        self._stopped = False
        self._ticked_at = time.monotonic()
        self._inference = ThreadPoolExecutor(1, thread_name_prefix="hydrad-inference")
        self._loading = ThreadPoolExecutor(1, thread_name_prefix="hydrad-model-load")
        self._preparing = ThreadPoolExecutor(preparers, thread_name_prefix="hydrad-prepare")

    def __enter__(self) -> Self:
        self._deaths.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        for executor in (self._preparing, self._loading, self._inference):
            executor.shutdown(cancel_futures=True)
        self._deaths.__exit__(kind, fault, trace)

    @property
    def ticked_at(self) -> float:
        """``time.monotonic()`` of its last progress."""
        return self._ticked_at

    def hands(self, plots: int) -> int:
        """How many pictures of so many plots should be in hand, from before they are read until they are judged."""
        return self._pace.hands(plots)

    @property
    def cards(self) -> Sequence[ModelCard]:
        """The models in service, in the order they were loaded."""
        return [served.card for served in self._served.values()]

    @property
    def in_shadow(self) -> Sequence[ModelCard]:
        """The models that judge along, in the order they were loaded."""
        return [loaded.card for loaded in self._shadows.values()]

    @property
    def specimens(self) -> Sequence[Specimen]:
        """What each model in service is tested with; without any, what the way of images is tested with."""
        return [served.specimen for served in self._served.values()] or self._unserved

    def named(self, model: str) -> ModelCard | None:
        """The model in service of this name, or None."""
        served = self._served.get(model)
        return None if served is None else served.card

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
            specimen = await loop.run_in_executor(self._loading, specimen_of, runtime.bundle)
        except BundleError as fault:
            _log.error("model_refused", folder=str(folder), reason=str(fault))
            raise
        took_s = round(time.monotonic() - started, 2)
        _log.info("model_loaded", model=found.id, runtime=runtime.name, took_s=took_s)
        patterns = found.manifest.plots if plots is None else tuple(plots)
        claim = Claim(found.id, patterns, found.manifest.created_at)
        return Loaded(runtime.bundle, runtime, claim, card(runtime), specimen)

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
        self._servers.clear()
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

    @contextmanager
    def expecting(self, plot: str) -> Iterator[Sequence[Preparation]]:
        """How models look at this plot's next picture; while it is entered, their batches wait for it, but not long."""
        served = self._serving(plot)
        shadows = [loaded for loaded in self._shadows.values() if loaded.claim.covers(plot)]
        looking = shadows if served is None else [served, *shadows]
        wanted = list(dict.fromkeys(loaded.bundle.manifest.preparation for loaded in looking))
        with nullcontext() if served is None else _coming(served, self._changed):
            yield wanted

    async def classify(self, plot: str, picture: Picture) -> Prediction:
        """Scores, heatmap and embedding of one picture; raise BundleError when the model cannot answer."""
        async with self._room:
            self._refuse_when_stopped()
            served = self._serving(plot)
            if served is None:
                raise BundleError(f"no model serves {plot}")
            return await self._answered(served, picture, f"{served.id}/{picture.pixels_digest}")

    async def examine(self, model: str, picture: Picture) -> Prediction:
        """:meth:`classify` by the model in service of this name, whatever plots it is for."""
        async with self._room:
            self._refuse_when_stopped()
            served = self._served.get(model)
            if served is None:
                raise BundleError(f"no model {model!r} serves")
            return await self._answered(served, picture, f"{served.id}/{picture.pixels_digest}")

    async def ask(self, shadow: str, picture: Picture) -> Prediction:
        """What a model in shadow says, once no picture waits for one in service; raise BundleError when it cannot."""
        self._refuse_when_stopped()
        loaded = self._shadows.get(shadow)
        if loaded is None:
            raise BundleError(f"no model {shadow!r} is in shadow")
        return await self._answered(loaded, picture, loaded.id)  # what changes nothing is not worth many deaths

    async def _answered(self, served: Loaded, picture: Picture, name: str) -> Prediction:
        if self._deaths.hopeless(name):
            raise BundleError(f"the daemon ended {MOST_DEATHS} times while model {served.id!r} computed it")
        prepared = picture.views.get(served.bundle.manifest.preparation)
        if prepared is None:
            prepared = await self._prepared(served, picture)
        request = Request(prepared, name, asyncio.get_running_loop().create_future(), time.monotonic())
        served.waiting.append(request)
        self._changed.set()
        return await request.answer

    async def _prepared(self, served: Loaded, picture: Picture) -> Prepared:
        """What the model looks at, of a picture that was read when nobody knew which model would."""
        with _coming(served, self._changed):
            try:
                prepared = await asyncio.get_running_loop().run_in_executor(
                    self._preparing, lambda: served.bundle.manifest.preparation(image_of(picture.data))
                )
            except MemoryError as fault:
                raise BundleError("there is not memory enough to decode it again") from fault
            except ImageError as fault:
                raise BundleError(f"it could not be decoded again: {fault}") from fault
        self._refuse_when_stopped()
        return prepared

    async def run(self) -> None:
        """Compute batches for ever; when it ends, whoever waits is told so."""
        try:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(LANES):
                    lanes.create_task(self._lane())
        finally:
            self._stop()

    async def _lane(self) -> NoReturn:
        while True:
            await self._compute(*await self._chosen())  # no name for them, which would keep a model that has gone

    async def _chosen(self) -> tuple[Loaded, Sequence[Request]]:
        async with self._choosing:
            return await self._next()

    async def _next(self) -> tuple[Loaded, Sequence[Request]]:
        """Wait for a batch that should start; those are in hand from now on."""
        while True:
            now = time.monotonic()
            if not self._computing:  # else it is for the computation to show that it lives
                self._ticked_at = now
            self._let_go()
            if (begun := self._begun(now)) is not None:
                return begun
            due_s = [served.due_s(now, self._max_wait_s) for served in self._everyone()]
            await self._news(min((wait_s for wait_s in due_s if 0 < wait_s < TICK_S), default=TICK_S))

    def _begun(self, now: float) -> tuple[Loaded, Sequence[Request]] | None:
        """Of the models whose batch should start, the one whose oldest picture has waited longest begins."""
        if ripe := [served for served in self._everyone() if served.due_s(now, self._max_wait_s) <= 0]:
            first = min(ripe, key=lambda served: served.waiting[0].since)
            # While another batch is computed, what can still grow need not be in hand.
            return self._in_hand(first) if first.full or not self._computing else None
        shadow = self._unheard()  # one at a time, so that a picture that comes now waits for one, not for many
        return None if shadow is None else self._in_hand(shadow, most=1)

    def _in_hand(self, served: Loaded, most: int | None = None) -> tuple[Loaded, Sequence[Request]]:
        requests = [served.waiting.popleft() for _ in range(min(len(served.waiting), most or served.at_once))]
        served.computing += len(requests)
        self._computing += 1
        return served, requests

    def _unheard(self) -> Loaded | None:
        """A model in shadow that a picture waits for while none waits, or is about to, for a model in service."""
        if self._computing or any(served.busy for served in self._everyone()):
            return None
        return next((shadow for shadow in self._shadows.values() if shadow.waiting), None)

    def _let_go(self) -> None:
        """Forget models that have gone once nobody waits for them, and give their memory back."""
        busy = {gone for gone in self._retired if gone.busy}
        if len(busy) < len(self._retired):
            self._retired = busy
            self._loading.submit(footprint.tidy)  # a network and its compiled functions refer to each other

    async def _news(self, timeout_s: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _compute(self, served: Loaded, requests: Sequence[Request]) -> None:
        """Answer what :meth:`_in_hand` took."""
        try:
            for together in self._apart([request for request in requests if not request.answer.done()]):
                await self._answer(served, together)
        finally:
            for request in requests:
                _fail(request, "the classifier stopped")
            served.computing -= len(requests)
            self._computing -= 1
            self._changed.set()

    def _apart(self, requests: Sequence[Request]) -> Iterator[Sequence[Request]]:
        """Those that nothing is known against, together; then each that a daemon may have died of."""
        if innocent := [request for request in requests if not self._deaths.suspect(request.name)]:
            yield innocent
        yield from ([request] for request in requests if self._deaths.suspect(request.name))

    async def _answer(self, served: Loaded, requests: Sequence[Request]) -> None:
        """Answer these; where they cannot be answered together, each half is by itself, so that one spoils no other."""
        self._ticked_at = time.monotonic()
        try:
            answers = await asyncio.get_running_loop().run_in_executor(
                self._inference, self._computed, served, requests
            )
        except BundleError as fault:
            _log.error("batch_failed", model=served.id, images=len(requests), reason=str(fault))
            if isinstance(fault, NoRoom):
                served.lacks_room(len(requests))
            if len(requests) == 1:
                _fail(requests[0], str(fault))
                return
            half = len(requests) // 2
            await self._answer(served, requests[:half])
            await self._answer(served, requests[half:])
            return
        self._ticked_at = time.monotonic()
        for n, request in enumerate(requests):
            if request.answer.done():
                continue
            try:
                request.answer.set_result(answers.prediction(n, served.bundle))
            except BundleError as fault:
                _fail(request, str(fault))

    def _computed(self, served: Loaded, requests: Sequence[Request]) -> Answers:
        """In the thread that computes: the answers, or BundleError whatever else came up."""
        try:
            stack = np.stack([request.prepared for request in requests])
            began = time.monotonic()
            with self._deaths.survived([request.name for request in requests]):
                answers = served.runtime.compute(stack)
            self._pace.computed(len(requests), time.monotonic() - began)
            answers.check(len(requests), served.bundle)
        except BundleError:
            raise
        except MemoryError as fault:
            raise NoRoom(f"model {served.id!r} could not compute: there is not memory enough") from fault
        except Exception as fault:  # a network is somebody else's code: whatever it raises ends no daemon
            raise BundleError(f"model {served.id!r} could not compute: {fault!r}"[:300]) from fault
        return answers

    def _serving(self, plot: str) -> Loaded | None:
        # Every plot is asked for each second, and there may be hundreds of models with patterns to try.
        if plot not in self._servers:
            if len(self._servers) >= MOST_SERVERS_KNOWN:
                self._servers.clear()
            self._servers[plot] = server(plot, (served.claim for served in self._served.values()))
        name = self._servers[plot]
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


@contextmanager
def _coming(served: Loaded, changed: asyncio.Event) -> Iterator[None]:
    """While a picture is on its way to a model: whoever retires that, or begins a batch, must see it."""
    served.coming += 1
    try:
        yield
    finally:
        served.coming -= 1
        changed.set()


def _fail(request: Request, reason: str) -> None:
    if not request.answer.done():
        request.answer.set_exception(BundleError(reason))
