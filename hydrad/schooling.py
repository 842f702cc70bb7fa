"""Makes the model that comes with the package: a small network learns the simulated hall's plots, well and ill.

``python -m hydrad.schooling --replace`` puts a new one in the place of the old; with ``--export`` the old one stays
as it is, and only its export for the CPU runtime is made and calibrated anew.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from hydrad import log
from hydrad.classify import backend
from hydrad.classify import bundle as bundles
from hydrad.classify.bundle import Bundle
from hydrad.classify.labels import meaning_of
from hydrad.classify.prepare import Preparation, Prepared, prepare
from hydrad.domain import Meaning, Pixels
from hydrad.errors import BundleError, HydradError
from hydrad.shipped import ID, MODELS
from hydrad.sim import hall
from hydrad.sim.faults import FAULTS, Fault
from hydrad.train.assemble import answering, look
from hydrad.train.dataset import Sets
from hydrad.train.evaluation.pointing import touched
from hydrad.train.examples import Examples
from hydrad.train.exporting import Trained, exported
from hydrad.train.labelled import Labelled
from hydrad.train.progress import Progress
from hydrad.train.starting import start
from hydrad.train.training import Plan, calibrated, learn

LABELS: Final = ("Good", "Bad", "NoData")
GOOD, BAD, EMPTY = range(3)
PREPARATION: Final = Preparation(width=192, height=128)
EPOCHS: Final = 10
LOCAL: Final = 0.2  # of the picture: a fault that is larger has no place to point at
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
    def name(self) -> str:
        """What it is called in reports: a digest of what it shows, as a file's would be."""
        return hashlib.sha256(repr(self).encode()).hexdigest()

    @property
    def group(self) -> tuple[str, ...]:
        """Its plot, and what it is reported by where it is no usual image of it."""
        if self.label != GOOD:
            return (self.plot, self.shows)
        return (self.plot,) if self.beam * self.statistics >= 1.0 else (self.plot, "less beam or time")


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
        np.array([sitting.label for sitting in sessions]),
        tuple(sitting.group for sitting in sessions),
        names=tuple(sitting.name for sitting in sessions),
    )


def sets(seed: int) -> Sets:
    """All that is learned from and tested on: no two parts share a run or a seed."""
    started = time.monotonic()
    parts = [sittings(share, seed + n) for n, share in enumerate((TRAINING, VALIDATION, TEST))]
    training, validation, test = map(take, parts)
    _log.info(
        "images_taken", training=len(training), validation=len(validation), test=len(test), took_s=_since(started)
    )
    chosen = list(golden(seed + len(parts)))
    by_name = {sitting.name: sitting for sitting in (*parts[-1], *chosen)}
    counts = [np.bincount(part.truth, minlength=len(LABELS)).tolist() for part in (training, validation, test)]
    return Sets(
        labels={label: meaning_of(label) for label in LABELS},
        training=training,
        validation=validation,
        test=test,
        made_for_validation=None,
        made_for_test=None,
        test_records=tuple(map(_record, parts[-1])),
        golden=tuple(map(_record, chosen)),
        facts={
            "images": sum(map(sum, counts)),
            "labels": [
                {"label": label, "meaning": meaning_of(label).value}
                | {side: counts[part][n] for part, side in enumerate(("training", "validation", "test"))}
                for n, label in enumerate(LABELS)
            ],
            "split": {"kind": "run", "warning": None, "why": "every image is of a run of its own"},
            "notes": ["the images are simulated, well and ill"],
        },
        remarks=(),
        marked=_marked(parts[-1]),
        picture=lambda record: render(by_name[record.sha256]),
    )


def _record(sitting: Sitting) -> Labelled:
    return Labelled(Path(sitting.name), sitting.plot, LABELS[sitting.label], sitting.name, sitting.run)


def _marked(sessions: Sequence[Sitting]) -> Mask:
    """Where the faults are that have a place, of one in four images: shape (images, height, width)."""
    found = np.zeros((len(sessions), PREPARATION.height // 2, PREPARATION.width // 2), np.bool_)
    for n, sitting in enumerate(sessions):
        if n % 4 == 0 and sitting.label == BAD:
            marked = hall.marked(sitting.plot, sitting.faults[0])
            if 0 < marked.mean() < LOCAL:
                found[n] = touched(marked, *found[n].shape)
    return found


def make(models: Path, *, model_id: str = ID, seed: int = SEED, epochs: int = EPOCHS, replace: bool = False) -> Bundle:
    """Train, measure on images never seen, and write the bundle ``models/<model_id>``; takes half an hour.

    Args:
        replace: remove a bundle of that name when the new one is at hand.

    Raises:
        StuckError: when it learned nothing.
        BundleError: when the bundle cannot be written.
    """
    threads = len(os.sched_getaffinity(0))
    begin = start("plain", PREPARATION.width, PREPARATION.height)
    with tempfile.TemporaryDirectory(dir=models if models.is_dir() else None, prefix=".schooling-") as fresh:
        plan = Plan(model_id, tuple(hall.PLOTS), begin, Path(fresh), epochs=epochs, seed=seed, threads=threads)
        bundle = learn(plan, sets(seed), _say)
        if replace:
            shutil.rmtree(models / model_id, ignore_errors=True)
        models.mkdir(parents=True, exist_ok=True)
        bundle.folder.rename(models / model_id)
    return bundles.read(models / model_id)


def export_again(models: Path, *, model_id: str = ID, seed: int = SEED) -> Bundle:
    """Give the bundle ``models/<model_id>`` an export for the CPU runtime, measured by the rules of a training.

    Raises:
        BundleError: there is no such bundle, or its export does not answer as Keras does.
    """
    old = bundles.present(models, model_id)
    model = backend.keras().saving.load_model(old.model, compile=False, safe_mode=True)
    its, labels = sets(seed), [*old.manifest.meanings.values()]
    seen = look(model, PREPARATION, labels, its.test.images)
    measured = partial(calibrated, sets=its, held=its.validation)
    with exported(Trained(model, PREPARATION, labels), its.test.images, seen, measured) as export:
        if export is None:
            raise BundleError(f"model {model_id!r} has no export that answers as Keras does")
        golden = old.golden()
        shown = np.stack([prepare(pixels, PREPARATION) for pixels in golden.pictures])
        parts: dict[str, bytes | Path] = {name: old.folder / name for name in old.manifest.files}
        parts |= answering(golden.pictures, shown, golden.logits, export)
        manifest = old.manifest.model_copy(
            update={
                "precisions": {name: one.calibration for name, one in export.others.items()},
                "metrics": {**old.manifest.metrics, "exports": dict(export.figures)},
            }
        )
        with tempfile.TemporaryDirectory(dir=models, prefix=".schooling-") as fresh:
            bundle = bundles.write(Path(fresh), manifest, parts)
            shutil.rmtree(old.folder)
            bundle.folder.rename(models / model_id)
    return bundles.read(models / model_id)


def _say(progress: Progress) -> None:
    if progress.epoch is not None and progress.left_s is not None and round(progress.left_s) % 30 == 0:
        _log.info("learning", epoch=progress.epoch, of=progress.epochs, loss=progress.loss, left_s=progress.left_s)


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
    parser.add_argument("--export", action="store_true", help="make the export of the one that is there anew")
    arguments = parser.parse_args()
    log.configure()
    try:
        if arguments.export:
            bundle = export_again(arguments.models, model_id=arguments.id)
        else:
            bundle = make(arguments.models, model_id=arguments.id, replace=arguments.replace)
    except HydradError as fault:
        _log.error("no_bundle", reason=str(fault))
        return 1
    _log.info("bundle_written", folder=str(bundle.folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
