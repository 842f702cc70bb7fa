"""The composition root: builds everything from the configuration, names the tasks, lives until told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from hydrad import config as files
from hydrad import footprint, log, root_tasks, runs
from hydrad.backlog import Backlog
from hydrad.beam import Watch, monitor
from hydrad.bulletin import Surroundings
from hydrad.classify.fixed import FixedClassifier
from hydrad.classify.opening import Opener, on_any_host
from hydrad.classify.pace import HANDS, LANES
from hydrad.classify.ray_runtime import Cluster, on_cluster
from hydrad.classify.runtime import OpenRuntime
from hydrad.classify.service import ModelService
from hydrad.config import Config, FixedClassify, Models
from hydrad.desk import Desk
from hydrad.domain import NO_CANARY, Cause, Verdict
from hydrad.errors import ChangeRefused, StoreAway
from hydrad.flights import Flights
from hydrad.image_files import ImageReader
from hydrad.ioc.server import Ioc
from hydrad.library import Library
from hydrad.mailbox import Mailbox
from hydrad.oblivion import Oblivion
from hydrad.overseeing import Overseer
from hydrad.pipeline import Pipeline
from hydrad.ports import BeamMonitor
from hydrad.pulse import STALLED_AFTER_S
from hydrad.reload import DAEMON, Rereading
from hydrad.roster import Roster
from hydrad.rounds import Rounds
from hydrad.saving import Sampling
from hydrad.settings import BEAM_THRESHOLD, Settings
from hydrad.shadowing import Shadowing
from hydrad.store.forgetting import Forgetting
from hydrad.store.images import ImageFolder
from hydrad.store.labels import labelling
from hydrad.store.models import registry
from hydrad.store.outbox.delivery import Delivery
from hydrad.store.outbox.journal import Journal
from hydrad.store.purging import Purge
from hydrad.store.queries import Store
from hydrad.store.rows import Model
from hydrad.systemd import Systemd
from hydrad.upkeep import Upkeep
from hydrad.watchers import watcher_of
from hydrad.watchers.layouts import Names
from hydrad.watchers.replay import ReplayWatcher

LOADING_S = 180.0  # one model, at most: TensorFlow is imported with the first, from a cold disk

_log = log.get("app")


def run(config: Config, settings: Path) -> None:
    """Live until SIGTERM or SIGINT.

    Args:
        config: what ``settings``, its file, says.

    Raises:
        ConfigurationError: before anything has begun.
        HydradError: a root task ended.
    """
    root_tasks.live(partial(live, config, settings, Systemd.found()))


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


async def live(config: Config, settings: Path, systemd: Systemd) -> None:
    """Build the house, let its tasks run, and leave in order when told."""
    with ExitStack() as stack:
        systemd.starting("opening the data base", LOADING_S)
        sampling = Sampling(config.saving)
        journal = stack.enter_context(
            Journal(
                config.store.journal,
                config.store.images,
                sampling.draws,
                keep_given_s=config.store.keep_delivered_s,
            )
        )
        store = stack.enter_context(Store(config.store_url()))
        models = await asyncio.to_thread(_models_there, store)
        store.live_on()
        delivery = stack.enter_context(Delivery(journal, store, answers=models is not None))
        classifier = _classifier(config, stack)
        library = stack.enter_context(Library(config.store.models, classifier, store, journal))
        library.loading = lambda model: systemd.starting(f"loading the model {model}", LOADING_S)
        await library.serve(models)
        beam = stack.enter_context(monitor(config.beam))
        run = stack.enter_context(runs.monitor(config.run))
        roster = Roster(config, classifier.card, Settings(journal.settings()))
        _set_beam(beam, roster.settings.value(BEAM_THRESHOLD))
        roster.restore(journal.standings().values())
        reader = stack.enter_context(ImageReader(classifier.expecting, in_hand=_beside_journal(config, "decoding")))
        pipeline = Pipeline(
            decode=reader,
            classifier=classifier,
            beam=beam,
            runs=run,
            roster=roster,
            sinks=[],
            ledger=journal,
            fill_s=config.beam.window_s,
            backlog=Backlog(hands=classifier.hands),
        )
        shadowing = Shadowing(pipeline)
        pipeline.judged = shadowing.hear
        desk = Desk(pipeline)
        ioc = Ioc(config.ioc, controls=desk, changed=roster.settings, hall=config.hall.name, units=config.beam.units)
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
        folders = {"images": config.store.images, "journal": config.store.journal.parent}
        house = Surroundings(config.ioc.prefix, config.ioc.port, folders)
        mailbox = stack.enter_context(Mailbox(store, journal, desk, tray, library, house=house))
        upkeep = stack.enter_context(
            Upkeep(
                labels=partial(labelling.counts, store),
                sampling=sampling,
                purge=Purge(store, ImageFolder(config.store.images)),
                forgetting=Forgetting(store, lambda path: journal.seen(path) is not None),
                deliveries=journal,
                keep_all_h=config.store.keep_all_h,
                keep_verdicts_d=config.store.keep_verdicts_d,
            )
        )
        flights = (
            stack.enter_context(
                Flights(config, classifier, pipeline, journal=journal, store=store, database_ok=lambda: delivery.ok)
            )
            if config.canary.flies
            else None
        )
        overseer = Overseer(systemd, plots=lambda: len(list(roster)))
        rounds = Rounds(
            pipeline=pipeline,
            dials=[ioc, mailbox, overseer],
            ticked_at={
                **{f"the watch of {w.root}": partial(getattr, w, "ticked_at") for w in watchers},
                "the decoder": lambda: reader.ticked_at,
                "the classifier": lambda: classifier.ticked_at,
            },
            troubles={
                "the data base does not answer": lambda: not delivery.ok,
                "a model was refused": lambda: not library.ok,
            },
            canary=(lambda: NO_CANARY) if flights is None else flights.show,
            next_canary_s=config.canary.every_s,
            database_ok=lambda: delivery.ok,
            model_ok=lambda: library.ok,
            waiting=lambda: sum(watcher.pending for watcher in watchers),
            outbox=lambda: delivery.waiting,
            pv_clients=lambda: ioc.clients,
            rival=lambda: mailbox.rival,
            stalled_after_s=min(STALLED_AFTER_S, 2 * (systemd.feed_every_s or STALLED_AFTER_S)),
        )

        async def take(new: Config) -> None:
            roster.config = new
            sampling.saving = new.saving
            upkeep.keep_all_h, upkeep.keep_verdicts_d = new.store.keep_all_h, new.store.keep_verdicts_d
            ioc.settings = new.ioc
            _reread_beam(beam, new, roster.settings.value(BEAM_THRESHOLD))
            await pipeline.look_again(Cause.CHANGE)
            await panel.look_again(always=True)

        await _take_up(pipeline)
        tasks: dict[str, Callable[[], Awaitable[object]]] = {
            "ioc": ioc.run,
            "beam": beam.run,
            "runs": run.run,
            "classifier": classifier.run,
            "delivery": delivery.run,
            "mailbox": mailbox.run,
            "library": library.run,
            "shadows": shadowing.run,
            "rounds": rounds.run,
            "oblivion": oblivion.run,
            "upkeep": upkeep.run,
            "footprint": footprint.stay_small,
            "submissions": partial(pipeline.follow, tray),
            **({} if flights is None else _tasks_of(flights)),
            **{f"watch {watcher.root}": partial(pipeline.follow, watcher) for watcher in watchers},
            **{f"attend {n}": pipeline.attend for n in range(LANES * config.classify.batch + HANDS)},
        }
        await root_tasks.until_told(
            tasks,
            ready=partial(_in_place, ioc),
            farewell=partial(ioc.farewell, "hydrad was stopped"),
            reread=Rereading(config, partial(files.load, settings), DAEMON, take, overseer.remember),
            systemd=systemd,
        )


async def _in_place(ioc: Ioc) -> None:
    await ioc.serving.wait()
    footprint.tidy()


def _classifier(config: Config, stack: ExitStack) -> ModelService | FixedClassifier:
    section = config.classify
    if isinstance(section, FixedClassify):
        return stack.enter_context(FixedClassifier(section.scores))
    return stack.enter_context(
        ModelService(
            batch=section.batch,
            max_wait_ms=section.max_wait_ms,
            open_runtime=_open_runtime(section, stack),
            open_models=section.open_models,
            in_hand=_beside_journal(config, "in-hand"),
        )
    )


def _beside_journal(config: Config, word: str) -> Path:
    return config.store.journal.with_name(f"{config.store.journal.name}.{word}")


def _open_runtime(section: Models, stack: ExitStack) -> OpenRuntime:
    if section.kind != "ray":
        return Opener(section.kind, section.precision)
    cluster = stack.enter_context(Cluster(section.ray_address, gpus=section.ray_gpus))
    return on_cluster(cluster, on_any_host("auto", section.precision))


def _tasks_of(flights: Flights) -> dict[str, Callable[[], Awaitable[object]]]:
    return {"canary": flights.send, "watch canary": flights.follow, "canary in the data base": flights.look}


class _NewPlots:
    """A sink that shows the rules of a plot when it is first heard of, and when another model serves it."""

    name = "rules"

    def __init__(self, ioc: Ioc, roster: Roster) -> None:
        self._ioc = ioc
        self._roster = roster
        self._models: dict[str, str | None] = {}

    async def tell(self, verdict: Verdict) -> None:
        await self._show(verdict.plot)

    async def look_again(self, *, always: bool = False) -> None:
        """Models have changed places, or ``always`` more than that: the rules of some plots may be others now."""
        for plot in list(self._roster):
            await self._show(plot, always=always)

    async def _show(self, plot: str, *, always: bool = False) -> None:
        rules = self._roster.rules(plot)
        if always or self._models.get(plot, "") != rules.model:
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


def _reread_beam(beam: Watch, config: Config, on_above: float | None) -> None:
    """Judge beam by the file's limits, and by the threshold that somebody set above them."""
    if beam.section != config.beam:
        beam.section = config.beam
        _set_beam(beam, on_above)


async def _take_up(pipeline: Pipeline) -> None:
    """Show what an earlier daemon knew, as it stands after the time in between."""
    pipeline.roster.look_again(pipeline.beam.now(), pipeline.clock(), run=pipeline.runs.now())
    for plot in pipeline.roster:
        shown = pipeline.roster.shown(plot)
        if shown is not None:
            await pipeline.tell(shown)
