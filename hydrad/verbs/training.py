"""`hydrad train`: a process of its own that learns from labels and hands over a candidate."""

from __future__ import annotations

import argparse
import getpass
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hydrad import config, log, refusals
from hydrad.classify import bundle as bundles
from hydrad.classify.bundle import Bundle
from hydrad.classify.labels import meaning_of
from hydrad.domain import Meaning
from hydrad.errors import ConfigurationError, HydradError, StoreAway, TryAgain
from hydrad.store.labels import labelling
from hydrad.store.labels.labelling import LabelledImage
from hydrad.store.models import registry, trainings
from hydrad.store.models.trainings import Training
from hydrad.store.queries import Store
from hydrad.store.tables import TrainingState
from hydrad.train import asked, modest, quantizing
from hydrad.train.asked import Asked, Record, Sheet
from hydrad.train.augment import Changes
from hydrad.train.dataset import Wish, gather
from hydrad.train.emulation.emulate import parse
from hydrad.train.progress import Stopped
from hydrad.train.starting import start
from hydrad.train.training import REPORT, Plan, learn
from hydrad.verbs import printing
from hydrad.verbs.reports import existing
from hydrad.verbs.telling import Teller, stops

_log = log.get("train")


def train(options: argparse.Namespace) -> None:
    """Learn from the labels in the data base; ends with a candidate, its figures and the command to promote it."""
    settings = config.load(config.find(options.config))
    threads = modest.step_back(settings.train.threads)
    log.configure(level="warning")
    models = settings.store.models
    with existing(settings) as store, stops() as stop:
        _bury(store)
        person, sheet = _wanted(options, settings, store)
        work = _work(models, sheet.asked.id)
        with _alone(work):
            number = _begin(store, sheet, person)
            asked.write(work, sheet.model_copy(update={"number": number}))
            with (
                _recorded(store, number, work, sheet.asked.id),
                Teller(store, number, stop, settings.train.memory_gb) as teller,
            ):
                bundle = _learned(sheet, settings, threads, teller)
                _register(store, bundle, person)
                trainings.end(store, number, TrainingState.DONE, model=bundle.id)
            shutil.rmtree(work, ignore_errors=True)
    _print(bundle, as_document=options.json, int8=sheet.asked.int8)


def _wanted(options: argparse.Namespace, settings: config.Config, store: Store) -> tuple[str, Sheet]:
    """Who wants which training."""
    if options.queued is not None:
        return _queued(options.queued, settings, store)
    person = options.user or getpass.getuser()
    if options.resume:
        return person, _possible(asked.read(_work(settings.store.models, options.resume)))
    return person, _sheet(options, settings, store)


def _queued(number: int, settings: config.Config, store: Store) -> tuple[str, Sheet]:
    """What somebody asked for on a page, from its beginning or from where it was stopped."""
    one = _claimed(store, number)
    work = _work(settings.store.models, str(one.settings.get("id", "")))
    try:
        if (work / asked.ASKED).is_file():
            sheet = _possible(asked.read(work))
        else:
            names = tuple(map(str, one.settings.get("plots", ())))
            found = [image for image in labelling.labelled(store, names) if image.plot in names]
            plots = _labelled_plots(names, found)
            sheet = _written_down(_asked(one.settings, settings, plots), found, settings, store)
    except HydradError as fault:
        _end(store, number, TrainingState.FAILED, str(fault))
        raise
    return one.person, sheet.model_copy(update={"number": number})


def _claimed(store: Store, number: int) -> Training:
    """The training of this number, which nobody else is at.

    The pages claim a training before they start a process for it, and say afterwards which one it is.
    """
    one, here = trainings.training(store, number), socket.gethostname()
    ours = {os.getpid(), os.getppid()}
    if one is not None and one.state is TrainingState.RUNNING and one.host == here and one.pid in ours:
        return one
    claimed = trainings.claim(store, here, os.getpid(), number)
    if claimed is None:
        what = "is not there" if one is None else f"is {one.state.value}, or another one runs on this host"
        raise ConfigurationError(f"--queued: training {number} {what}")
    return claimed


def _sheet(options: argparse.Namespace, settings: config.Config, store: Store) -> Sheet:
    """What is asked for, by the command line and else by the configuration, and the images that are labelled now."""
    patterns = tuple(options.plots)
    if options.all_plots and patterns:
        raise ConfigurationError("--all-plots: names no plots beside it")
    if options.parent and not patterns and not options.all_plots:
        patterns = _parent(settings, options.parent).manifest.plots
    found = labelling.labelled(store, patterns)
    plots = _labelled_plots(patterns, found)
    if not patterns and not options.all_plots and len(plots) > 1:
        raise ConfigurationError(f"PLOT: {len(plots)} plots have labels: name those of this model, or say --all-plots")
    return _written_down(_asked(_said(options), settings, plots), found, settings, store)


def _labelled_plots(patterns: Sequence[str], found: Sequence[LabelledImage]) -> Sequence[str]:
    """The plots that these images are of; each pattern must have given some."""
    plots = sorted({one.plot for one in found})
    faults = [
        f"PLOT: nobody has labelled an image of {pattern!r}: see `hydrad label import`"
        for pattern in patterns
        if not any(plot == pattern or fnmatchcase(plot, pattern) for plot in plots)
    ]
    if not plots and not faults:
        faults.append("PLOT: nobody has labelled an image yet: see `hydrad label import`")
    if faults:
        raise ConfigurationError(*faults)
    return plots


def _written_down(wanted: Asked, found: Sequence[LabelledImage], settings: config.Config, store: Store) -> Sheet:
    """All that the training needs to begin: it will not ask again."""
    if (settings.store.models / wanted.id).exists():
        raise ConfigurationError(f"--id: there is a model {wanted.id!r} already")
    if _work(settings.store.models, wanted.id).exists():
        raise ConfigurationError(f"--id: a training {wanted.id!r} was stopped: go on with it by --resume {wanted.id}")
    meanings = _meanings(store, wanted.plots, wanted)
    folder = settings.store.images
    records = tuple(
        Record(path=one.lies_in(folder), plot=one.plot, label=one.label, sha256=one.sha256, run=one.run)
        for one in found
    )
    words = {name: meaning.value for name, meaning in meanings.items()}
    return _possible(Sheet(asked=wanted, meanings=words, records=records))


def _possible(sheet: Sheet) -> Sheet:
    """The same; raise ConfigurationError where this host lacks what it takes, before hours are spent on it."""
    if sheet.asked.int8:
        quantizing.require_installed("train.int8")
    return sheet


def _said(options: argparse.Namespace) -> dict[str, Any]:
    """What the command line says of a training."""
    said: dict[str, Any] = {
        name: value
        for name in (
            *("id", "parent", "architecture", "weights", "width", "height", "epochs", "seed", "good_share"),
            *("hold_out", "int8"),
        )
        if (value := getattr(options, name)) is not None
    }
    if options.emulate:
        said["emulate"] = () if options.emulate == ["none"] else tuple(map(parse, options.emulate))
    if str(said.get("architecture", "")).endswith(".keras"):
        said["architecture"] = str(Path(said["architecture"]).absolute())
    if "weights" in said:
        said["weights"] = said["weights"].absolute()
    return said


def _asked(said: Mapping[str, Any], settings: config.Config, plots: Sequence[str]) -> Asked:
    """What is said, and what the configuration says where that is silent."""
    name = said.get("id") or asked.name_of(plots, datetime.now(UTC))
    try:
        return Asked.model_validate({**asked.defaults(settings.train), **said, "id": name, "plots": tuple(plots)})
    except ValidationError as fault:
        raise ConfigurationError(*refusals.sentences(fault, unions={})) from fault


def _meanings(store: Store, plots: Sequence[str], wanted: Asked) -> dict[str, Meaning]:
    """What each label of these plots means; one model can hold only one meaning of it."""
    said: dict[str, dict[Meaning, str]] = {}
    for tally in labelling.tallies(store):
        if tally.plot in plots:
            said.setdefault(tally.label, {}).setdefault(tally.meaning, tally.plot)
    if faults := [
        f"label {label!r}: means {' and '.join(f'{meaning.value} for {plot}' for meaning, plot in meanings.items())}; "
        "one model can hold only one of them"
        for label, meanings in said.items()
        if len(meanings) > 1
    ]:
        raise ConfigurationError(*faults)
    known = {label: next(iter(meanings)) for label, meanings in said.items()}
    used = [spec for spec in wanted.emulate if any(fnmatchcase(plot, p) for plot in plots for p in spec.plots)]
    return {spec.label: meaning_of(spec.label) for spec in used} | known


def _learned(sheet: Sheet, settings: config.Config, threads: int, teller: Teller) -> Bundle:
    wanted, parent = sheet.asked, None
    if wanted.parent is not None:
        parent = _parent(settings, wanted.parent)
    begin = start(wanted.architecture, wanted.width, wanted.height, weights=wanted.weights, parent=parent)
    used = tuple(
        spec for spec in wanted.emulate if any(fnmatchcase(plot, p) for plot in wanted.plots for p in spec.plots)
    )
    wish = Wish(
        preparation=begin.preparation,
        seed=wanted.seed,
        few=wanted.few,
        hold_out=wanted.hold_out,
        good_share=wanted.good_share,
        emulate=used,
        threads=threads,
    )
    meanings = {name: Meaning(word) for name, word in sheet.meanings.items()}
    with modest.in_words():
        sets = gather([record.labelled() for record in sheet.records], meanings, wish, teller)
    teller.remark(sets.remarks)
    plan = Plan(
        id=wanted.id,
        plots=wanted.plots,
        start=begin,
        models=settings.store.models,
        epochs=wanted.epochs,
        batch=wanted.batch,
        seed=wanted.seed,
        precision=wanted.precision,
        int8=wanted.int8,
        threads=threads,
        symmetry=wanted.symmetry,
        changes=Changes(
            shift=wanted.shift, scale=wanted.scale, contrast=wanted.contrast, rim=wanted.rim, colours=wanted.colours
        ),
        work=_work(settings.store.models, wanted.id),
    )
    return learn(plan, sets, teller)


def _register(store: Store, bundle: Bundle, person: str) -> None:
    card = bundle.manifest.model_dump(mode="json", exclude={"metrics"})
    who = registry.Who(person, socket.gethostname(), "train")
    registry.register(store, bundle.id, card, bundle.manifest.metrics, who, reason="trained")


def _begin(store: Store, sheet: Sheet, person: str) -> int:
    words = sheet.asked.model_dump(mode="json")
    return trainings.begin(store, words, person, host=socket.gethostname(), pid=os.getpid(), number=sheet.number)


@contextmanager
def _recorded(store: Store, number: int, work: Path, name: str) -> Iterator[None]:
    """Whatever comes of it, the data base is told; what can be gone on with stays."""
    try:
        yield
    except Stopped as stopped:
        sentence = f"stopped; go on with `hydrad train --resume {name}`"
        _end(store, number, TrainingState.STOPPED, sentence)
        raise Stopped(sentence) from stopped
    except HydradError as fault:
        _end(store, number, TrainingState.FAILED, str(fault))
        if not isinstance(fault, TryAgain):
            shutil.rmtree(work, ignore_errors=True)
        raise


def _end(store: Store, number: int, state: TrainingState, reason: str) -> None:
    try:
        trainings.end(store, number, state, reason=reason)
    except StoreAway as away:
        _log.warning("end_not_recorded", training=number, reason=str(away))


def _bury(store: Store) -> None:
    alive = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal()]
    trainings.bury(store, socket.gethostname(), alive)


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """No other process is at the same training."""
    import fcntl  # noqa: PLC0415  Linux's own, beside what every verb loads

    work.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as busy:
        os.close(descriptor)
        raise ConfigurationError(
            f"{work.name.removeprefix(asked.FOLDER)}: another process is at this training"
        ) from busy
    try:
        yield
    finally:
        os.close(descriptor)


def _parent(settings: config.Config, name: str) -> Bundle:
    folder = settings.store.models / name
    if folder not in bundles.listed(settings.store.models):
        raise ConfigurationError(f"parent: no bundle is called {name!r} in {settings.store.models}")
    return bundles.read(folder)


def _work(models: Path, name: str) -> Path:
    return models / f"{asked.FOLDER}{name}"


def _print(bundle: Bundle, *, as_document: bool, int8: bool) -> None:
    """The figures: everything for programs, a short table for people."""
    metrics: dict[str, Any] = dict(bundle.manifest.metrics)
    report = bundle.folder / REPORT
    if as_document:
        printing.document({"id": bundle.id, "report": str(report), "metrics": metrics})
        return
    images = {row["label"]: row for row in metrics["making"]["labels"]}
    printing.table(
        ("label", "meaning", "learned", "tested", "precision", "recall", "threshold"),
        (
            (
                row["label"], row["meaning"], images[row["label"]]["training"], row["images"],
                _share(row["precision"]), _share(row["recall"]), row["threshold"],
            )
            for row in metrics["by_label"]
        ),
    )  # fmt: skip
    alarms = metrics["false_alarms"]
    if alarms["of"]:
        printing.say(f"false alarms: {alarms['hits']} of {alarms['of']} good images ({_share(alarms)})")
    if made := metrics["emulated"]:
        printing.say(f"emulated faults raised: {_share(made['faults_raised'])} of {made['faults_raised']['of']}")
    wrong = metrics["accuracy"]["of"] - metrics["accuracy"]["hits"]
    printing.say(f"misclassified: {wrong} of {metrics['accuracy']['of']} images held out; the report lists them")
    if int8:
        printing.say(f"int8: {_cost_of_int8(metrics.get('exports', {}))}")
    printing.say(f"report: {report}")
    printing.say(f"to put it into service: hydrad models promote {bundle.id}")


def _cost_of_int8(exports: dict[str, Any]) -> str:
    """What quantizing changed in what the network says of images held out, and what that bought."""
    if (found := exports.get("int8")) is None:
        return "not made, since the network has no export that answers as Keras does"
    if "reason" in found:
        return f"not made: {found['reason']}"
    times = ", ".join(
        f"{one['ms_per_image']:.3g} in {name}" for name, one in exports.items() if one.get("ms_per_image")
    )
    cost = (
        f"{found['other_label']} of {found['images']} images held out get another label, scores are off by up to"
        f" {found['score_off']:.2g}; ms an image: {times}"
    )
    if found["other_label"]:
        return f"{cost}. It is left out, so as to change no verdict"
    return f'{cost}. It serves where classify.precision = "int8"'


def _share(share: dict[str, Any]) -> str:
    """A share with its interval, in percent."""
    if share["value"] is None:
        return "-"
    return f"{share['value']:.1%} ({share['low']:.1%} to {share['high']:.1%})"
