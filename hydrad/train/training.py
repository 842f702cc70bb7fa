"""From a data set to a bundle: a network learns, is calibrated, is tested on what it never saw, and is written down."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from hydrad import log
from hydrad.classify import backend, head, novelty
from hydrad.classify.bundle import Bundle
from hydrad.classify.manifest import Calibration, DataSet
from hydrad.classify.novelty import Novelty
from hydrad.config import Symmetry
from hydrad.domain import Meaning, Pixels
from hydrad.errors import ConfigurationError, ImageError
from hydrad.train import balance, modest, quantizing, struck
from hydrad.train.assemble import Design, Measured, assemble, onlooker
from hydrad.train.augment import Augmentation, Changes
from hydrad.train.dataset import Sets
from hydrad.train.evaluation import calibrate, evaluate, report
from hydrad.train.evaluation.report import Shown
from hydrad.train.evaluation.shares import Mask
from hydrad.train.evaluation.tested import Tested
from hydrad.train.examples import Examples, joined
from hydrad.train.exporting import Trained, exported
from hydrad.train.fit import Course, Fitted, Means, fit
from hydrad.train.precision import Precision
from hydrad.train.progress import Progress, Tell
from hydrad.train.seen import Onlooker, Seen
from hydrad.train.starting import Start, maker
from hydrad.train.surest import surest_bad

REPORT: Final = "report.html"
REPORT_EMULATED: Final = "report-emulated.html"
LEAST_STEPS: Final = 16  # batches of an epoch
LEAST_BATCH: Final = 8
USUAL_BATCH: Final = 32  # for which the rates of learning are
WEAKEST: Final = 10  # one in so many emulated images is looked at more closely
LOST: Final = {Meaning.GOOD: 0.002, Meaning.BAD: 0.2, Meaning.EMPTY: 0.01, Meaning.OTHER: 0.05}
ENOUGH_GOOD: Final = 20  # images to learn from, to tell what is unfamiliar
ENOUGH_HELD: Final = 5  # other good images, to tell how unfamiliar is too much

_log = log.get("train")


@dataclass(frozen=True, slots=True)
class Plan:
    """What shall come of a training, and by which means."""

    id: str
    plots: tuple[str, ...]  # patterns that the model shall serve
    start: Start
    models: Path  # the folder that gets the bundle
    _: KW_ONLY
    epochs: int = 15
    batch: int = 32
    seed: int = 1
    precision: Precision = "auto"
    int8: bool = False  # also quantized for the CPU runtime, where it then agrees
    threads: int = 1
    symmetry: tuple[Symmetry, ...] = ()
    changes: Changes = Changes()  # noqa: RUF009  it is frozen
    work: Path | None = None  # keeps what is needed to go on after a stop


def learn(plan: Plan, sets: Sets, tell: Tell) -> Bundle:
    """Train, calibrate, test, and write the bundle ``models/<id>``.

    Args:
        plan: what shall come of it.
        sets: what to learn from and to be tested on, prepared as ``plan.start`` wants it.
        tell: hears of the progress; may raise Stopped.

    Raises:
        StuckError: it learned nothing.
        TooMuchMemory: there is not enough of it.
        Stopped: whoever was told wants no more of it.
        ConfigurationError: the network cannot be had as it was asked for.
        BundleError: the bundle cannot be written.
    """
    began = time.monotonic()
    make = maker(plan.start, sets, seed=plan.seed)
    training = replace(sets.training, weights=balance.weights_of(sets.training))
    course = course_of(plan, len(training))
    augment = Augmentation([group[0] for group in training.groups], plan.changes, plan.symmetry)
    means = Means(tell, augment, plan.precision, plan.threads, plan.work)
    with modest.in_words():
        fitted = fit(make, training, _watched(sets), course, means)
    _log.info("training_done", model=plan.id, seed=fitted.seed, best_epoch=fitted.best_epoch)

    tell(Progress("measuring", 0.0))
    held = _held(_onlooker(fitted.model, plan, sets), sets)
    onlooker = _centred(fitted.model, plan, sets, held)
    temperature, thresholds = _calibrated(onlooker, sets.labels, held)
    calibrated_on: dict[str, JsonValue] = {
        "taken": len(sets.validation), "emulated": len(held) - len(sets.validation),
    }  # fmt: skip
    familiar = _familiar(onlooker, sets)
    tell(Progress("measuring", 0.4))
    cost = onlooker.ms_per_image(sets.validation.images[:64])
    judge = _Judge(sets, temperature, thresholds, familiar, cost)
    seen = onlooker.look(sets.test.images)
    found = judge.figures(sets.test, seen, runs=[record.run for record in sets.test_records], marked=sets.marked)
    made = sets.made_for_test
    tell(Progress("measuring", 0.7))
    seen_made = None if made is None else onlooker.look(made.examples.images)
    emulated = (
        None if made is None or seen_made is None else judge.figures(made.examples, seen_made, marked=made.marked)
    )

    tell(Progress("writing", 0.0))
    facts = _facts(plan, sets, fitted, calibrated_on, round(time.monotonic() - began, 1))
    curve: dict[str, JsonValue] = {name: [round(v, 5) for v in values] for name, values in fitted.curve.items()}
    if emulated is not None:
        pointing = emulated["pointing"]
        near = pointing["near"] if isinstance(pointing, dict) else None
        facts["emulated_test"] = {"raised": emulated["faults_raised"], "pointing": near, "file": REPORT_EMULATED}
    metrics: dict[str, JsonValue] = {
        **found, "emulated": emulated, "making": dict(facts), "curve": curve, "seed": fitted.seed,
    }  # fmt: skip
    design = Design(plan.id, sets.labels, plan.plots, plan.start.preparation, plan.start.says)
    data = DataSet(images=len(training), seed=plan.seed, fingerprint=fingerprint(sets))
    images, said = (
        (sets.test.images, seen)
        if made is None or seen_made is None
        else (np.concatenate([sets.test.images, made.examples.images]), seen.with_more(seen_made))
    )
    trained = Trained(fitted.model, plan.start.preparation, [*sets.labels.values()])
    learned = _to_quantize_by(sets.training, plan.seed) if plan.int8 else None
    with exported(trained, images, said, partial(calibrated, sets=sets, held=held), learned=learned) as export:
        if export is not None:
            metrics["exports"] = facts["exports"] = dict(export.figures)
        papers = {REPORT: report.page(_title(plan), facts, found, _shown(sets, found, seen))}
        if made is not None and emulated is not None and seen_made is not None:
            shown = {n: Shown(_rgb(made.examples.images[n]), _map(seen_made, n)) for n in report.wanted(emulated)}
            papers[REPORT_EMULATED] = report.page(f"{_title(plan)}: emulated faults", facts, emulated, shown)
        bundle = assemble(
            fitted.model,
            design,
            Measured(temperature, thresholds, data, familiar, metrics),
            _golden(sets, seen, seen_made),
            plan.models,
            export=export,
            papers=papers,
        )
    tell(Progress("writing", 1.0))
    return bundle


def course_of(plan: Plan, images: int) -> Course:
    """How a set of this size is learned: a small one in small batches, which it passes several times an epoch."""
    batch = min(plan.batch, max(LEAST_BATCH, images // 2))
    return Course(
        epochs=plan.epochs,
        batch=batch,
        rate=plan.start.rate * min(1.0, batch / USUAL_BATCH) ** 0.5,
        seed=plan.seed,
        given_time=max(4, plan.epochs // 2),
        least_steps=LEAST_STEPS,
    )


def fingerprint(sets: Sets) -> str:
    """Equal for equal images, labels and parts."""
    return "-".join(part.fingerprint[:20] for part in (sets.training, sets.validation, sets.test))


def _watched(sets: Sets) -> Examples:
    """What the network is watched by while it learns: validation images, and stand-ins for labels that have none.

    A label that cannot be split has only images that are learned from; better these than to be blind to it.
    """
    watched = sets.validation
    if sets.made_for_validation is not None:
        watched = joined(watched, sets.made_for_validation.examples)
    missing = np.setdiff1d(np.unique(sets.training.truth), np.unique(watched.truth))
    if len(missing):
        watched = joined(watched, sets.training.of(np.isin(sets.training.truth, missing)))
    return watched


def _held(onlooker: Onlooker, sets: Sets) -> Examples:
    """What boundaries and thresholds are found by: images held out for it, and the same with emulated faults.

    Two strikes at a region do not show how it may look at worst. So the tenth of each label's emulated images that the
    network is least sure of is struck again, at the same places of other images.
    """
    made = sets.made_for_validation
    if made is None:
        if not len(sets.validation):
            raise ConfigurationError("labels: no image is left to calibrate the scores by; label more")
        return sets.validation
    held = joined(sets.validation, made.examples)
    if sets.strike is None:
        return held
    truth = made.examples.truth
    lead = calibrate.lead_of(onlooker.look(made.examples.images).logits, truth)
    weakest: list[int] = []
    for label in np.unique(truth):
        own = np.flatnonzero(truth == label)
        weakest += own[np.argsort(lead[own], kind="stable")][: -(-len(own) // WEAKEST)].tolist()
    return joined(held, sets.strike(struck.again(made, weakest)).examples)


def _onlooker(model: Any, plan: Plan, sets: Sets) -> Onlooker:
    return onlooker(model, plan.start.preparation, [*sets.labels.values()])


def _centred(model: Any, plan: Plan, sets: Sets, held: Examples) -> Onlooker:
    """The network with the boundaries between its labels in the middle between them, ready to be looked through."""
    onlooker = _onlooker(model, plan, sets)
    leaning = calibrate.leaning_of(onlooker.look(held.images).logits, held.truth)
    if not leaning.any() or not head.lean(model, leaning):
        return onlooker
    _log.info("boundaries_centred", model=plan.id, by=[round(float(step), 2) for step in leaning])
    return _onlooker(model, plan, sets)


def calibrated(looks: Onlooker, sets: Sets, held: Examples) -> tuple[Calibration, Novelty | None]:
    """What fits a network's answers as somebody else computes them.

    Args:
        looks: the network, computed so.
        held: images by which temperature and thresholds are found.
    """
    temperature, thresholds = _calibrated(looks, sets.labels, held)
    by_label = dict(zip(sets.labels, thresholds, strict=True))
    return Calibration(temperature=temperature, thresholds=by_label), _familiar(looks, sets)


def _calibrated(onlooker: Onlooker, labels: Mapping[str, Meaning], held: Examples) -> tuple[float, tuple[float, ...]]:
    """Temperature and thresholds."""
    logits = onlooker.look(held.images).logits
    temperature = calibrate.temperature_of(logits, held.truth)
    scores = calibrate.scores_of(logits, temperature)
    lost = [LOST[meaning] for meaning in labels.values()]
    faults = [label for label, meaning in enumerate(labels.values()) if meaning is Meaning.BAD]
    return temperature, calibrate.thresholds_of(scores, held.truth, lost=lost, trusted=faults)


def _familiar(onlooker: Onlooker, sets: Sets) -> Novelty | None:
    """What good images have in common; nothing is known of it where there are too few of them."""
    good = np.array([meaning is Meaning.GOOD for meaning in sets.labels.values()])
    learned, held = (part.of(good[part.truth]) for part in (sets.training, sets.validation))
    if len(learned) < ENOUGH_GOOD or len(held) < ENOUGH_HELD:
        return None
    return novelty.fit(onlooker.look(learned.images).embeddings, onlooker.look(held.images).embeddings)


@dataclass(frozen=True, slots=True, eq=False)
class _Judge:
    """Turns what a network said of held-out images into figures."""

    sets: Sets
    temperature: float
    thresholds: tuple[float, ...]
    familiar: Novelty | None
    ms_per_image: float | None

    def figures(
        self, examples: Examples, seen: Seen, *, runs: Sequence[int | None] = (), marked: Mask | None = None
    ) -> dict[str, JsonValue]:
        return evaluate.measure(
            Tested(
                labels=self.sets.labels,
                truth=examples.truth,
                logits=seen.logits,
                temperature=self.temperature,
                thresholds=self.thresholds,
                groups=examples.groups,
                names=examples.names,
                runs=tuple(runs),
                heatmaps=seen.heatmaps,
                marked=marked,
                ms_per_image=self.ms_per_image,
                novelty=None if self.familiar is None else self.familiar.of(seen.embeddings),
            )
        )


def _facts(
    plan: Plan, sets: Sets, fitted: Fitted, calibrated_on: Mapping[str, JsonValue], took_s: float
) -> dict[str, JsonValue]:
    """How the model was made, as reports and pages show it."""

    def rounded(curve: Mapping[str, Sequence[float]]) -> dict[str, JsonValue]:
        return {name: [round(value, 5) for value in values] for name, values in curve.items()}

    last: dict[str, JsonValue] = {"seed": fitted.seed, "stuck": False, "curve": rounded(fitted.curve)}
    before = [{"seed": one["seed"], "stuck": True, "curve": rounded(one["curve"])} for one in fitted.given_up]
    return {
        **sets.facts,
        "model": plan.id,
        "plots": list(plan.plots),
        "architecture": plan.start.says,
        "parameters": int(fitted.model.count_params()),
        "parent": None if plan.start.parent is None else plan.start.parent.id,
        "seed": fitted.seed,
        "epochs": plan.epochs,
        "best_epoch": fitted.best_epoch,
        "curve": rounded(fitted.curve),
        "attempts": [*before, last],
        "calibrated_on": dict(calibrated_on),
        "runtime": backend.where(),
        "fingerprint": fingerprint(sets),
        "took_s": took_s,
    }


def _to_quantize_by(training: Examples, seed: int) -> npt.NDArray[np.uint8]:
    """Images that were learned from, of every plot and whatever befell it."""
    return training.images[quantizing.chosen(training.groups or training.truth.tolist(), seed)]


def _title(plan: Plan) -> str:
    return ", ".join(plan.plots) if len(plan.plots) <= 3 else f"{len(plan.plots)} plots"


def _shown(sets: Sets, metrics: Mapping[str, JsonValue], seen: Seen) -> dict[int, Shown]:
    """The misclassified images as they came, for people to look at again."""
    shown = {}
    for n in report.wanted(metrics):
        try:
            shown[n] = Shown(sets.picture(sets.test_records[n]), _map(seen, n))
        except (ImageError, OSError) as fault:
            _log.warning("image_not_shown", sha256=sets.test_records[n].sha256, reason=str(fault))
            shown[n] = Shown(_rgb(sets.test.images[n]), _map(seen, n))
    return shown


def _golden(sets: Sets, seen: Seen, seen_made: Seen | None) -> list[Pixels]:
    """One picture of each label; among them one of the test that is bad beyond doubt, emulated where nobody has one."""
    meanings = list(sets.labels.values())
    golden = list(sets.golden)
    if (real := surest_bad(sets.test.truth, seen.logits, meanings)) is not None:
        sure = sets.test_records[real]
        golden = [sure if record.label == sure.label else record for record in golden]
    pictures = [sets.picture(record) for record in golden]
    if real is None and sets.made_for_test is not None and seen_made is not None:
        made = sets.made_for_test.examples
        if (emulated := surest_bad(made.truth, seen_made.logits, meanings)) is not None:
            pictures.append(_rgb(made.images[emulated]))
    return pictures


def _map(seen: Seen, number: int) -> Any:
    return None if seen.heatmaps is None else seen.heatmaps[number]


def _rgb(prepared: Any) -> Pixels:
    return np.ascontiguousarray(np.broadcast_to(prepared, (*prepared.shape[:2], 3)))
