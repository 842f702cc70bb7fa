"""Makes the model that comes with the package: a small network learns the simulated hall's plots, well and ill.

``python -m hydrad.schooling --replace`` puts a new one in the place of the old.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from hydrad import log
from hydrad.classify import novelty
from hydrad.classify.bundle import Bundle
from hydrad.classify.labels import meaning_of
from hydrad.classify.manifest import DataSet
from hydrad.classify.novelty import Novelty
from hydrad.classify.prepare import Preparation, Prepared, prepare
from hydrad.domain import Meaning, Pixels
from hydrad.errors import HydradError
from hydrad.shipped import ID, MODELS
from hydrad.sim import hall
from hydrad.sim.faults import FAULTS, Fault
from hydrad.train import calibrate, references
from hydrad.train.assemble import Design, Measured, Seen, assemble, look
from hydrad.train.examples import Examples
from hydrad.train.fit import Course, balanced_accuracy, fit
from hydrad.train.network import plain

LABELS: Final = ("Good", "Bad", "NoData")
GOOD, BAD, EMPTY = range(3)
PREPARATION: Final = Preparation(width=192, height=128)
COURSE: Final = Course(epochs=10)
LOST: Final = (0.002, 0.2, 0.01)  # a wall without faults stays green; a false alarm is worse than a late one
SEED: Final = 20261123
GOLDEN_PLOT: Final = "ST_occupancy"
NO_FAULT: Final = "none"
NO_BEAM: Final = "no beam"

Mask = npt.NDArray[np.bool_]

_log = log.get("train")


@dataclass(frozen=True, slots=True)
class Share:
    """How many images of each plot: good ones, ones of each bad fault that it can have, empty ones.

    A fault that can strike in many places gets up to three times as many, so that most places are seen struck.
    """

    good: int
    each_fault: int
    empty: int

    def of(self, plot: str, fault: str) -> int:
        """How many images of a plot with this fault."""
        return round(self.each_fault * (1 + min(hall.places(plot, fault), 48) / 24))


TRAINING: Final = Share(good=260, each_fault=44, empty=24)
VALIDATION: Final = Share(good=150, each_fault=12, empty=8)
TEST: Final = Share(good=200, each_fault=20, empty=12)


@dataclass(frozen=True, slots=True)
class Sitting:
    """One image to be taken of one plot: under which conditions, and what it then shows."""

    plot: str
    seed: int
    run: int
    beam: float
    statistics: float
    faults: tuple[Fault, ...]
    label: int
    shows: str  # the fault's name, or that there is none

    @property
    def full(self) -> bool:
        """Whether it had the usual beam and the usual time."""
        return self.beam * self.statistics >= 1.0


def sittings(share: Share, seed: int) -> list[Sitting]:
    """The images to take, every plot's: equal arguments give equal images."""
    return [
        sitting
        for plot in hall.PLOTS
        for sitting in _of(plot, share, np.random.default_rng([seed, len(plot), *plot.encode()]))
    ]


def _of(plot: str, share: Share, rng: np.random.Generator) -> Iterator[Sitting]:
    def sitting(label: int, shows: str, beam: float, statistics: float, *faults: Fault) -> Sitting:
        return Sitting(
            plot, int(rng.integers(2**31)), int(rng.integers(1, 100_000)), beam, statistics, faults, label, shows
        )

    for n in range(share.good):
        yield sitting(GOOD, NO_FAULT, *_filling(rng, full=n % 2 == 0))
    for name in hall.faults_of(plot):
        if FAULTS[name].meaning is not Meaning.BAD:
            continue
        for n in range(share.of(plot, name)):
            fault = Fault(name, at=plot, seed=int(rng.integers(2**31)))
            yield sitting(BAD, name, *_filling(rng, full=n % 5 < 3), fault)
    for n in range(share.empty):
        if n % 2:
            yield sitting(EMPTY, NO_BEAM, 0.0, float(rng.uniform(0.3, 1.0)))
        else:
            yield sitting(EMPTY, "empty", *_filling(rng, full=True), Fault("empty", at=plot))


def _filling(rng: np.random.Generator, *, full: bool) -> tuple[float, float]:
    """Beam and statistics of an image: as usual, or with part of either."""
    return (1.0, 1.0) if full else (float(rng.uniform(0.3, 1.0)), float(rng.uniform(0.3, 1.0)))


def render(sitting: Sitting) -> Pixels:
    """The image, as its producer draws it."""
    return hall.render(
        sitting.plot,
        seed=sitting.seed,
        faults=sitting.faults,
        beam=sitting.beam,
        run=sitting.run,
        statistics=sitting.statistics,
    )


def _take(sitting: Sitting) -> Prepared:
    return prepare(render(sitting), PREPARATION)


def take(sessions: Sequence[Sitting]) -> Examples:
    """Take these images, on every core there is."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(len(os.sched_getaffinity(0))) as pool:
        images = np.stack(list(pool.imap(_take, sessions, chunksize=64)))
    return Examples(
        images,
        np.array([s.label for s in sessions]),
        tuple((s.plot, s.shows, "full" if s.full else "part") for s in sessions),
    )


def make(
    models: Path, *, model_id: str = ID, seed: int = SEED, course: Course = COURSE, replace: bool = False
) -> Bundle:
    """Train, measure on images never seen, and write the bundle ``models/<model_id>``; takes a quarter of an hour.

    Args:
        replace: remove a bundle of that name when the new one is at hand.

    Raises:
        StuckError: when it learned nothing.
        BundleError: when the bundle cannot be written.
    """
    started = time.monotonic()
    plots = list(hall.PLOTS)
    training, validation = take(sittings(TRAINING, seed)), take(sittings(VALIDATION, seed + 1))
    _log.info("images_taken", training=len(training), validation=len(validation), took_s=_since(started))
    numbers = np.array([plots.index(plot) for plot, _, _ in training.groups])
    usual = np.array([shows == NO_FAULT and filled == "full" for _, shows, filled in training.groups])
    known = references.learn(training, numbers, usual, seed=seed)
    _log.info("references_learned", plots=len(plots), took_s=_since(started))
    width, height = PREPARATION.width, PREPARATION.height
    fitted = fit(lambda: plain(width, height, len(LABELS), references=known), training, validation, course)
    _log.info("training_done", seed=fitted.seed, took_s=_since(started))

    seen = look(fitted.model, PREPARATION, validation.images)
    temperature = calibrate.temperature_of(seen.logits, validation.truth)
    scores = calibrate.scores_of(seen.logits, temperature)
    thresholds = calibrate.thresholds_of(scores, validation.truth, lost=LOST)
    good = look(fitted.model, PREPARATION, training.of(training.truth == GOOD).images).embeddings
    familiar = novelty.fit(good, seen.embeddings[validation.truth == GOOD])
    found = _measure(fitted.model, temperature, thresholds, familiar, seed + 2)
    curve: dict[str, JsonValue] = {name: [round(value, 5) for value in values] for name, values in fitted.curve.items()}
    metrics: dict[str, JsonValue] = {**found, "curve": curve, "seed": fitted.seed, "took_s": _since(started)}
    _log.info("measured", **{name: value for name, value in found.items() if isinstance(value, float)})
    design = Design(model_id, {label: meaning_of(label) for label in LABELS}, tuple(plots), PREPARATION, "plain")
    data = DataSet(images=len(training), seed=seed, fingerprint=training.fingerprint)
    measured = Measured(temperature, thresholds, data, familiar, metrics)
    if replace:
        shutil.rmtree(models / model_id, ignore_errors=True)
    return assemble(fitted.model, design, measured, [render(sitting) for sitting in golden(seed + 3)], models)


def _measure(
    model: Any, temperature: float, thresholds: Sequence[float], familiar: Novelty, seed: int
) -> dict[str, JsonValue]:
    """What the network does with fresh images: the figures that its users ask for."""
    sessions = sittings(TEST, seed)
    test = take(sessions)
    seen = look(model, PREPARATION, test.images)
    scores = calibrate.scores_of(seen.logits, temperature)
    said = scores.argmax(axis=1)
    confirmed = scores >= np.array(thresholds)
    good, bad, empty = (test.truth == label for label in range(3))
    plot_of, shows, filled = (np.array(column) for column in zip(*test.groups, strict=True))
    strange = familiar.of(seen.embeddings) > 1.0

    def by(groups: npt.NDArray[np.str_], among: Mask, hit: Mask) -> dict[str, JsonValue]:
        return {str(name): round(float(hit[among & (groups == name)].mean()), 4) for name in np.unique(groups[among])}

    return {
        "images": len(test),
        "labels": list(LABELS),
        "confusion": [list(row) for row in calibrate.confusion(test.truth, said, len(LABELS))],
        "balanced_accuracy": balanced_accuracy(test.truth, said),
        "calibration_error": calibrate.calibration_error(scores, test.truth),
        "false_alarms": float((confirmed[good, BAD] | confirmed[good, EMPTY]).mean()),
        "good_confirmed": float(confirmed[good, GOOD].mean()),
        "faults_confirmed": float(confirmed[bad, BAD].mean()),
        "faults_confirmed_full": float(confirmed[bad & (filled == "full"), BAD].mean()),
        "faults_called_good": float(confirmed[bad, GOOD].mean()),
        "empty_confirmed": float(confirmed[empty, EMPTY].mean()),
        "good_unfamiliar": float(strange[good].mean()),
        "heatmap_on_fault": _pointing(sessions, seen, bad & (said == BAD)),
        "by_fault": by(shows, bad, confirmed[:, BAD]),
        "by_plot": {
            "faults_confirmed": by(plot_of, bad, confirmed[:, BAD]),
            "false_alarms": by(plot_of, good, confirmed[:, BAD] | confirmed[:, EMPTY]),
            "good_confirmed": by(plot_of, good, confirmed[:, GOOD]),
        },
    }


def _pointing(sessions: Sequence[Sitting], seen: Seen, among: Mask) -> float:
    """In how many images with a fault that has a place the map is strongest where the fault is."""
    hits = []
    for n in np.flatnonzero(among)[::4]:
        marked = hall.marked(sessions[n].plot, sessions[n].faults[0])
        if seen.heatmaps is None or not 0 < marked.mean() < 0.2:
            continue
        rows, columns = seen.heatmaps[n].shape
        row, column = np.unravel_index(int(seen.heatmaps[n].argmax()), (rows, columns))
        height, width = marked.shape
        cell = marked[
            row * height // rows : (row + 1) * height // rows,
            column * width // columns : (column + 1) * width // columns,
        ]
        hits.append(bool(cell.any()))
    return float(np.mean(hits)) if hits else 0.0


def golden(seed: int = SEED + 3) -> Iterator[Sitting]:
    """What the self-test looks at: a good, a bad and an empty image of one plot."""
    share = [sitting for sitting in sittings(Share(1, 1, 1), seed) if sitting.plot == GOLDEN_PLOT]
    for label in range(len(LABELS)):
        yield next(sitting for sitting in share if sitting.label == label)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 1)


def main() -> int:
    """Make the bundle in the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m hydrad.schooling", description=__doc__)
    parser.add_argument(
        "models", type=Path, nargs="?", default=MODELS, help="folder of bundles (default: the package's)"
    )
    parser.add_argument("--id", default=ID, help="name of the bundle (default: %(default)s)")
    parser.add_argument("--replace", action="store_true", help="put it in the place of one of that name")
    arguments = parser.parse_args()
    log.configure()
    try:
        bundle = make(arguments.models, model_id=arguments.id, replace=arguments.replace)
    except HydradError as fault:
        _log.error("no_bundle", reason=str(fault))
        return 1
    _log.info("bundle_written", folder=str(bundle.folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
