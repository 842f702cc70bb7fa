"""The bundles on this host: what the data base wants of them becomes true, or the refusal is said and undone."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NoReturn, Self, TypeVar

from hydrad import log
from hydrad.classify import bundle as bundles
from hydrad.classify.bundle import Bundle
from hydrad.classify.fixed import FixedClassifier
from hydrad.classify.loaded import Loaded
from hydrad.classify.service import ModelService
from hydrad.errors import BundleError, TryAgain
from hydrad.store.engine import Unacceptable
from hydrad.store.models import registry
from hydrad.store.models.registry import LOADED, Place, Who
from hydrad.store.outbox.journal import Journal
from hydrad.store.queries import Store
from hydrad.store.rows import Model
from hydrad.store.tables import ModelState

LOOK_EVERY_S = 5.0  # for new bundles, and at what the data base did not hear
TRY_AGAIN_S = 60.0  # a model that has served before, and could not be loaded now
MOST_TRIALS = 2  # of a decision at which the daemon ended each time

_log = log.get("library")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A model that could not be loaded when it stood in this place."""

    place: Place
    reason: str
    at: float  # time.monotonic()
    told: bool = False  # the data base knows

    @property
    def undoes(self) -> bool:
        """True if it was a new decision: that is undone. A model that has served before is tried again instead."""
        return self.place.fault is None


class Library:
    """Loads what should serve and does not, and lets go what should not; a context manager whose :meth:`run` is a task.

    What is in service stays so until what takes its place has been loaded and has passed its tests; both change places
    between two batches. A decision that cannot be carried out as a whole is undone in the data base as a whole.

    Args:
        folder: of the bundles.
        changed: told after models have changed places.
    """

    def __init__(
        self, folder: Path, classifier: ModelService | FixedClassifier, store: Store, journal: Journal
    ) -> None:
        self._folder = folder
        self._classifier = classifier
        self._store = store
        self._journal = journal
        self.changed: Callable[[], Awaitable[None]] | None = None
        self.loading: Callable[[str], None] = lambda _: None  # hears which model is about to be loaded
        self._me = Who("hydrad", socket.gethostname(), "daemon")
        self._wanted: Mapping[str, Place] = {}
        self._known: Mapping[str, Model] = {}
        self._refused: dict[str, _Refusal] = {}
        self._trials: dict[str, int] = {}  # how often a decision was tried, over restarts that it may have caused
        self._strays: dict[str, str] = {}  # bundles that should have served at the start and cannot, and why
        self._unreadable: set[tuple[str, int]] = set()  # said once
        self._remembered: Sequence[Model] | None = None
        self._news = asyncio.Event()

    def __enter__(self) -> Self:
        """Start the thread that talks to the data base and reads bundles nobody has decided about."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="library")
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for what is under way."""
        self._executor.shutdown(cancel_futures=True)

    @property
    def ok(self) -> bool:
        """False while a model does not do what was decided for it, or was refused and nobody has decided anew."""
        refused = any(map(self._refusal_of, self._wanted.values()))
        return not (refused or self._strays or any(place.fault for place in self._wanted.values()))

    def look(self, places: Sequence[Place]) -> None:
        """What the data base wants now; what differs from before is done by the task."""
        wanted = {place.id: place for place in places}
        if wanted != self._wanted and isinstance(self._classifier, ModelService):
            self._wanted = wanted
            self._news.set()

    async def serve(self, known: Sequence[Model] | None) -> None:
        """Load everything that should serve, before there is anything to do.

        On the very first start, when nobody has decided about any model, every bundle in the folder serves.

        Args:
            known: the models as the data base has them; None while it is away: then as this host remembers them.
        """
        if isinstance(self._classifier, FixedClassifier):
            return
        models = self._journal.models() if known is None else known
        self._known = {model.id: model for model in models}
        self._wanted = {model.id: Place(model.id, model.state, model.moved_at, model.fault) for model in models}
        self._recall_trial()
        if registry.undecided(self._wanted.values()):
            await self._serve_unasked(self._classifier)
        await self._settle(self._classifier, report=known is not None)
        if not self._classifier.cards:
            _log.warning("no_models", folder=str(self._folder), so="every plot is shown as NOMODEL")

    async def run(self) -> NoReturn:
        """Do what the data base wants, for ever."""
        while isinstance(self._classifier, FixedClassifier):
            await self._classifier.run()
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._news.wait()
            except TimeoutError:
                self._forgive()
            self._news.clear()
            await self._settle(self._classifier)

    async def _settle(self, classifier: ModelService, *, report: bool = True) -> None:
        """Do and report until nothing is left to do; what the data base or the disk did not take is tried later."""
        try:
            while True:
                wanted = self._wanted
                await self._follow(classifier)
                if report:
                    await self._report(classifier)
                if self._wanted is wanted:
                    return
        except TryAgain as why:
            _log.debug("library_waits", why=str(why))

    # ---- doing ----

    async def _serve_unasked(self, classifier: ModelService) -> None:
        for folder in await self._ask(lambda: bundles.listed(self._folder)):
            if folder.name in self._wanted:
                continue
            self.loading(folder.name)
            try:
                loaded = await classifier.prepare(folder)
            except BundleError as fault:
                self._strays[folder.name] = str(fault)
            else:
                classifier.swap(serve=[loaded])

    async def _follow(self, classifier: ModelService) -> None:
        ready: dict[str, Loaded] = {}
        while (place := self._next(classifier, ready)) is not None:
            try:
                ready[place.id] = await self._load(classifier, place)
            except BundleError as fault:
                self._refused[place.id] = _Refusal(place, str(fault), time.monotonic())
        if self._swap(classifier, ready) and self.changed is not None:
            await self.changed()
        await self._remember(classifier)

    def _next(self, classifier: ModelService, ready: Collection[str]) -> Place | None:
        """A model that should be loaded, is not, and was not refused."""
        for place in self._wanted.values():
            missing = place.state in LOADED and _state(classifier, place.id) is not place.state
            if missing and place.id not in ready and self._refusal_of(place) is None:
                return place
        return None

    async def _load(self, classifier: ModelService, place: Place) -> Loaded:
        folder = self._folder / place.id
        self.loading(place.id)
        if place.fault is not None:  # it has been loaded before
            return await classifier.prepare(folder)
        words = _trial(place)
        self._trials[words] = self._trials.get(words, 0) + 1
        await self._journal.begin_trial(f"{self._trials[words]} {words}")
        try:
            return await classifier.prepare(folder)
        finally:
            await self._journal.begin_trial("")

    def _recall_trial(self) -> None:
        """Do not try for ever what may have been the end of the daemon each time, for instance by lack of memory."""
        count, _, words = self._journal.trial().partition(" ")
        for place in self._wanted.values():
            if words == _trial(place) and place.fault is None:
                self._trials[words] = int(count)
                if int(count) >= MOST_TRIALS:
                    reason = f"model {place.id!r} refused: the daemon ended {count} times while it loaded it"
                    self._refused[place.id] = _Refusal(place, reason, time.monotonic())
                    _log.error("model_refused", model=place.id, reason=reason)

    def _swap(self, classifier: ModelService, ready: Mapping[str, Loaded]) -> bool:
        wanted = self._wanted.values()
        undone = {place.moved_at for place in wanted if self._is_undone(place)}
        carried_out = {place.moved_at for place in wanted if place.id in ready} - undone
        serve: list[Loaded] = []
        shadow: list[Loaded] = []
        retire: list[str] = []
        for place in wanted:
            if place.moved_at in undone:
                continue
            if place.state not in LOADED:
                # While a refusal waits to be undone, it is not known yet what will be needed again.
                if _state(classifier, place.id) is not None and (not undone or place.moved_at in carried_out):
                    retire.append(place.id)
            elif place.id in ready:
                (serve if place.state is ModelState.IN_SERVICE else shadow).append(ready[place.id])
        if serve or shadow or retire:
            classifier.swap(serve=serve, shadow=shadow, retire=retire)
        return bool(serve or shadow or retire)

    async def _remember(self, classifier: ModelService) -> None:
        """See that a restart without the data base serves what serves now."""
        models = [self._as_it_is(classifier, place) for place in self._wanted.values()]
        if models != self._remembered:
            await self._journal.keep_models(models)
            self._remembered = models

    def _as_it_is(self, classifier: ModelService, place: Place) -> Model:
        known = self._known.get(place.id) or Model(place.id, place.state, place.moved_at, place.moved_at)
        state = _state(classifier, place.id)
        if state is None:
            state = ModelState.CANDIDATE if self._is_undone(place) else place.state
        return replace(known, state=state, moved_at=place.moved_at, fault="")

    def _refusal_of(self, place: Place) -> _Refusal | None:
        refusal = self._refused.get(place.id)
        return refusal if refusal is not None and refusal.place.moved_at == place.moved_at else None

    def _is_undone(self, place: Place) -> bool:
        refusal = self._refusal_of(place)
        return refusal is not None and refusal.undoes

    def _forgive(self) -> None:
        """Let models that have served before be tried again."""
        now = time.monotonic()
        for name, refusal in list(self._refused.items()):
            if not refusal.undoes and now - refusal.at > TRY_AGAIN_S:
                del self._refused[name]

    # ---- reporting ----

    async def _report(self, classifier: ModelService) -> None:
        news = False
        for refusal in [refusal for refusal in self._refused.values() if not refusal.told]:
            await self._tell(refusal)
            news = True
        if settled := [place for place in self._wanted.values() if _is_settled(classifier, place)]:
            await self._ask(lambda: registry.done(self._store, settled))
            news = True
        if await self._enter(classifier) or news or self._known.keys() != self._wanted.keys():
            self._known = {model.id: model for model in await self._ask(lambda: registry.models(self._store))}
            self.look(await self._ask(lambda: registry.places(self._store)))

    async def _tell(self, refusal: _Refusal) -> None:
        place, reason = refusal.place, refusal.reason
        if refusal.undoes:
            decision = await self._ask(lambda: registry.refuse(self._store, place, reason, self._me))
            so = {} if decision is None else {move.model: move.new.value for move in decision.moves}
            _log.error("decision_undone", model=place.id, wanted=place.state.value, why=reason, so=so)
        else:
            await self._ask(lambda: registry.not_done(self._store, place, reason))
        self._refused[place.id] = replace(refusal, told=True)

    async def _enter(self, classifier: ModelService) -> bool:
        """Enter models that the data base does not know: those that serve unasked, and bundles that are new."""
        there, found = await self._ask(self._unknown)
        self._strays = {name: fault for name, fault in self._strays.items() if name in there}
        if not found:
            return False
        undecided = registry.undecided(await self._ask(lambda: registry.places(self._store)))
        for bundle in found:
            serves = undecided and _state(classifier, bundle.id) is ModelState.IN_SERVICE
            await self._ask(partial(self._register, bundle, serves=serves, fault=self._strays.pop(bundle.id, None)))
        return True

    def _register(self, bundle: Bundle, *, serves: bool, fault: str | None) -> None:
        card = bundle.manifest.model_dump(mode="json")
        state = ModelState.IN_SERVICE if serves else ModelState.CANDIDATE
        reason = "nobody had decided about any model" if serves else "a new bundle in the folder of models"
        try:
            registry.register(
                self._store, bundle.id, card, card.pop("metrics"), self._me, state=state, reason=reason, fault=fault
            )
        except Unacceptable as why:
            self._unreadable.add(_mark(bundle.folder))
            _log.error("bundle_not_registered", model=bundle.id, why=str(why))
        else:
            _log.info("model_registered", model=bundle.id, state=state.value, reason=reason)

    def _unknown(self) -> tuple[Collection[str], Sequence[Bundle]]:
        """The bundles there are by name, and those that the data base does not know; blocks."""
        folders, found = bundles.listed(self._folder), []
        for folder in folders:
            if folder.name in self._wanted:
                continue
            try:
                if (mark := _mark(folder)) not in self._unreadable:
                    found.append(bundles.read(folder))
            except OSError:  # it goes while we look
                continue
            except BundleError as fault:
                self._unreadable.add(mark)
                _log.warning("bundle_not_registered", folder=str(folder), why=str(fault))
        return {folder.name for folder in folders}, found

    async def _ask(self, ask: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, ask)


def _state(classifier: ModelService, name: str) -> ModelState | None:
    """Where a model really is; None for one that is not loaded."""
    if any(card.id == name for card in classifier.cards):
        return ModelState.IN_SERVICE
    return ModelState.SHADOW if any(card.id == name for card in classifier.in_shadow) else None


def _is_settled(classifier: ModelService, place: Place) -> bool:
    """True if a model is where it should be and the data base has not heard that it is."""
    if place.state in LOADED:
        return bool(place.fault != "" and _state(classifier, place.id) is place.state)
    return place.fault is None and _state(classifier, place.id) is None


def _trial(place: Place) -> str:
    return f"{place.id} {place.moved_at.isoformat()}"


def _mark(folder: Path) -> tuple[str, int]:
    return folder.name, (folder / bundles.MANIFEST).stat().st_mtime_ns
