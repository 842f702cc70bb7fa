"""The composition root: builds everything from the configuration, names the tasks, lives until told."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import NoReturn

from hydrad import log
from hydrad.beam import monitor
from hydrad.classify.fixed import FixedClassifier
from hydrad.classify.service import ModelService
from hydrad.config import Config, FixedClassify
from hydrad.desk import Desk
from hydrad.domain import Verdict
from hydrad.errors import ChangeRefused, HydradError, StoreAway
from hydrad.images import ImageReader
from hydrad.ioc.server import Ioc
from hydrad.library import Library
from hydrad.mailbox import Mailbox
from hydrad.oblivion import Oblivion
from hydrad.pipeline import Pipeline
from hydrad.ports import BeamMonitor
from hydrad.roster import Roster
from hydrad.rounds import Rounds
from hydrad.saving import Sampling
from hydrad.settings import BEAM_THRESHOLD, Settings
from hydrad.shadowing import Shadowing
from hydrad.store import labelling, registry
from hydrad.store.delivery import Delivery
from hydrad.store.images import ImageFolder
from hydrad.store.journal import Journal
from hydrad.store.purging import Purge
from hydrad.store.queries import Store
from hydrad.store.rows import Model
from hydrad.upkeep import Upkeep
from hydrad.watchers import watcher_of
from hydrad.watchers.layouts import Names
from hydrad.watchers.replay import ReplayWatcher

HANDS = 2  # images in hand beyond a full batch, so that one is decoded while another is computed

_log = log.get("app")


class Told(Exception):
    """Somebody asked the daemon to stop."""


class RootTaskEnded(HydradError):
    """A task that lives for ever has ended: everything stops, and whoever watches the daemon starts it again."""


def run(config: Config) -> None:
    """Live until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: before anything has begun.
        HydradError: a root task ended.
    """
    try:
        asyncio.run(live(config))
    except ExceptionGroup as faults:
        known = faults.subgroup(HydradError)
        if known is None:
            raise
        first: BaseException = known
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from faults


def _models_there(store: Store) -> Sequence[Model] | None:
    """The models as the data base has them; None while it is away, which is waited for while the daemon works.

    Raises:
        SchemaMismatch: at once, when it is of another schema.
    """
    try:
        return registry.models(store)
    except StoreAway as why:
        _log.warning("data_base_away", why=str(why), so="verdicts wait in the journal")
        return None


async def live(config: Config) -> None:
    """Build the house, let its tasks run, and leave in order when told."""
    with ExitStack() as stack:
        sampling = Sampling(config.saving)
        journal = stack.enter_context(Journal(config.store.journal, config.store.images, sampling.draws))
        store = stack.enter_context(Store(config.store_url()))
        models = await asyncio.to_thread(_models_there, store)
        delivery = stack.enter_context(Delivery(journal, store, answers=models is not None))
        classifier = _classifier(config, stack)
        library = stack.enter_context(Library(config.store.models, classifier, store, journal))
        await library.serve(models)
        beam = stack.enter_context(monitor(config.beam))
        roster = Roster(config, classifier.card, Settings(journal.settings()))
        _set_beam(beam, roster.settings.value(BEAM_THRESHOLD))
        roster.restore(journal.standings().values())
        pipeline = Pipeline(
            decode=stack.enter_context(ImageReader()),
            classifier=classifier,
            beam=beam,
            roster=roster,
            sinks=[],
            ledger=journal,
            fill_s=config.beam.window_s,
        )
        shadowing = Shadowing(pipeline)
        pipeline.judged = shadowing.hear
        desk = Desk(pipeline)
        ioc = Ioc(config.ioc, controls=desk, hall=config.hall.name, units=config.beam.units)
        desk.panel = ioc
        panel = _NewPlots(ioc, roster)
        pipeline.sinks = [ioc, panel]
        library.changed = panel.look_again
        tray = stack.enter_context(
            ReplayWatcher(
                [Names(watch, config.hall.zone) for watch in config.watch],
                patience_s=min((watch.patience_s for watch in config.watch), default=30.0),  # a person waits for it
            )
        )
        oblivion = Oblivion(journal)
        watchers = [
            stack.enter_context(watcher_of(watch, config.hall.zone, journal.seen, oblivion.add))
            for watch in config.watch
        ]
        mailbox = stack.enter_context(Mailbox(store, journal, desk, tray, library))
        upkeep = stack.enter_context(
            Upkeep(
                labels=partial(labelling.counts, store),
                sampling=sampling,
                purge=Purge(store, ImageFolder(config.store.images)),
                deliveries=journal,
                keep_all_h=config.store.keep_all_h,
            )
        )
        rounds = Rounds(
            pipeline=pipeline,
            dials=[ioc, mailbox],
            ticked_at={
                **{f"the watch of {w.root}": partial(getattr, w, "ticked_at") for w in watchers},
                "the classifier": lambda: classifier.ticked_at,
            },
            troubles={
                "the data base does not answer": lambda: not delivery.ok,
                "a model was refused": lambda: not library.ok,
            },
            database_ok=lambda: delivery.ok,
            model_ok=lambda: library.ok,
            waiting=lambda: sum(watcher.pending for watcher in watchers),
        )
        await _take_up(pipeline)
        tasks: dict[str, Callable[[], Awaitable[object]]] = {
            "ioc": ioc.run,
            "beam": beam.run,
            "classifier": classifier.run,
            "delivery": delivery.run,
            "mailbox": mailbox.run,
            "library": library.run,
            "shadows": shadowing.run,
            "rounds": rounds.run,
            "oblivion": oblivion.run,
            "upkeep": upkeep.run,
            "submissions": partial(pipeline.follow, tray),
            **{f"watch {watcher.root}": partial(pipeline.follow, watcher) for watcher in watchers},
            **{f"attend {n}": pipeline.attend for n in range(config.classify.batch + HANDS)},
        }
        await _until_told(tasks, ioc)


def _classifier(config: Config, stack: ExitStack) -> ModelService | FixedClassifier:
    section = config.classify
    if isinstance(section, FixedClassify):
        return stack.enter_context(FixedClassifier(section.scores))
    return stack.enter_context(ModelService(batch=section.batch, max_wait_ms=section.max_wait_ms))


class _NewPlots:
    """A sink that shows the rules of a plot when it is first heard of, and when another model serves it."""

    name = "rules"

    def __init__(self, ioc: Ioc, roster: Roster) -> None:
        self._ioc = ioc
        self._roster = roster
        self._models: dict[str, str | None] = {}

    async def tell(self, verdict: Verdict) -> None:
        await self._show(verdict.plot)

    async def look_again(self) -> None:
        """Models have changed places: the labels and thresholds of some plots may be others now."""
        for plot in list(self._roster):
            await self._show(plot)

    async def _show(self, plot: str) -> None:
        rules = self._roster.rules(plot)
        if self._models.get(plot, "") != rules.model:
            self._models[plot] = rules.model
            await self._ioc.show_rules(plot, rules)


def _set_beam(beam: BeamMonitor, on_above: float | None) -> None:
    """Take up the threshold somebody set; one that contradicts a newer configuration must not keep the daemon down."""
    if on_above is None:
        return
    try:
        beam.on_above = on_above
    except ChangeRefused as why:
        _log.error("stored_setting_refused", key=BEAM_THRESHOLD, value=on_above, why=str(why))


async def _take_up(pipeline: Pipeline) -> None:
    """Show what an earlier daemon knew, as it stands after the time in between."""
    pipeline.roster.look_again(pipeline.beam.now(), pipeline.clock())
    for plot in pipeline.roster:
        shown = pipeline.roster.shown(plot)
        if shown is not None:
            await pipeline.tell(shown)


async def _until_told(tasks: dict[str, Callable[[], Awaitable[object]]], ioc: Ioc) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for name, work in tasks.items():
                group.create_task(_for_ever(name, work), name=name)
            group.create_task(_signals(ioc), name="signals")
    except* Told:
        _log.info("stopped")


async def _for_ever(name: str, work: Callable[[], Awaitable[object]]) -> NoReturn:
    await work()
    task = asyncio.current_task()
    if task is not None and task.cancelling():  # a server that answers cancellation by returning
        raise asyncio.CancelledError
    raise RootTaskEnded(f"{name} has ended by itself")


async def _signals(ioc: Ioc) -> NoReturn:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await ioc.serving.wait()
    _log.info("ready")
    await told.wait()
    await ioc.farewell("hydrad was stopped")
    raise Told
