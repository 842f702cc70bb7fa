"""Does a network that was shown one board in ten dead, and the others emulated, find every dead board?

Everything is made from nothing: labelled images of a drift chamber of 146 boards, the channel map that its experts
have, a training as ``hydrad train`` does it, and 20,000 fresh images to test it on, for each of several seeds; then
the time that is saved by learning from all bad images and only some of the good ones. ``--help`` says how to ask.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.stats import binomtest

from hydrad import log
from hydrad.classify.bundle import Bundle
from hydrad.classify.opening import Opener
from hydrad.classify.prepare import Preparation, Prepared, prepare
from hydrad.classify.runtime import Runtime, ready
from hydrad.config import Emulate, Train
from hydrad.domain import Meaning, Pixels
from hydrad.sim import hall
from hydrad.sim.faults import Fault
from hydrad.train import balance, dataset, network, references, starting, training
from hydrad.train.evaluation import pointing
from hydrad.train.evaluation.tested import Tested
from hydrad.train.examples import Examples
from hydrad.train.fit import Course, balanced_accuracy, fit, scores_of
from hydrad.train.labelled import Labelled

Masks = npt.NDArray[np.bool_]  # of boards or images, shape (…, height, width)

PLOT = "CDC_occupancy"
BOARDS = hall.places(PLOT, "dead_board")
LABELS = {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY}
GOOD, BAD, EMPTY = LABELS
USUAL = Train()  # sizes and course as the configuration has them where nobody says otherwise
PREPARATION = Preparation(width=USUAL.width, height=USUAL.height)
COURSE = Course(epochs=10, batch=USUAL.batch, least_steps=16)  # where two trainings are compared
EMULATED_PER_GOOD = 10.0
GOOD_SHARE = 0.06  # of the good images, where some are learned from: about as many as bad ones
IMAGES_A_RUN = 3
CORES = len(os.sched_getaffinity(0))
AT_ONCE = 500  # test images computed in a row
DOUBT = 0.05  # that what chance makes less likely than this is chance


@dataclass(frozen=True, slots=True)
class Size:
    """How much is tried."""

    good: int = 300  # labelled images
    boards: int = 15  # of which there are labelled images, dead one at a time
    each: int = 5  # such images of each of them
    empty: int = 40
    tested_good: int = 10_000
    tested_bad: int = 10_000  # all boards alone several times, then pairs of boards
    singles: int = 14  # times that each board is tested alone
    weak: int = 1_000  # images of a third to all of the usual beam and time, good and bad
    unbalanced: int = 4_000  # images to learn from of which 95 % are good, for the comparison of training times
    held_out: int = 2_000  # good images that test it, and as many bad ones


QUICK = Size(tested_good=500, tested_bad=500, singles=2, weak=200, unbalanced=1_600, held_out=150)


@dataclass(frozen=True, slots=True)
class Shot:
    """One image to be taken: what is dead in it, and how long it filled."""

    seed: int
    run: int
    dead: tuple[int, ...] = ()
    beam: float = 1.0
    statistics: float = 1.0
    empty: bool = False

    @property
    def label(self) -> str:
        """What an expert would call it."""
        return EMPTY if self.empty or not self.beam else BAD if self.dead else GOOD


# --- the drift chamber


def render(shot: Shot) -> Pixels:
    """The image at full size."""
    faults = [Fault("dead_board", at=PLOT, where=board) for board in shot.dead]
    if shot.empty:
        faults.append(Fault("empty", at=PLOT))
    return hall.render(PLOT, seed=shot.seed, faults=faults, beam=shot.beam, run=shot.run, statistics=shot.statistics)


def take(shot: Shot) -> Prepared:
    """The image as a network is given it."""
    return prepare(render(shot), PREPARATION)


def file(job: tuple[Shot, Path]) -> Labelled:
    """The image as a file that somebody labelled."""
    shot, folder = job
    path = folder / f"{PLOT}_{shot.run:06d}_{shot.seed}.png"
    Image.fromarray(render(shot)).save(path, compress_level=1)
    return Labelled(path, PLOT, shot.label, hashlib.sha256(path.read_bytes()).hexdigest(), shot.run)


def board_masks() -> Masks:
    """Which pixels show each board: what the channel map says, shape (boards, height, width)."""
    return np.stack([hall.marked(PLOT, Fault("dead_board", at=PLOT, where=board)) for board in range(BOARDS)])


def draw_map(masks: Masks, path: Path) -> None:
    """A picture of the plot in which each board has its own colour."""
    sheet = np.full((*masks.shape[1:], 3), 255, np.uint8)
    for board, mask in enumerate(masks):
        sheet[mask] = (40 + board, 60 + 97 * board % 180, 200 - board)
    Image.fromarray(sheet).save(path)


# --- what is labelled, and what it is tested on


class Shots:
    """Draws shots; equal seeds draw equal ones, and no two draws share a seed or, unless asked to, a run."""

    def __init__(self, *seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def shot(self, *dead: int, run: int | None = None, **other: Any) -> Shot:
        """One of a fresh run, unless it is given."""
        seed = int(self._rng.integers(2**31))
        return Shot(seed, int(self._rng.integers(1, 1_000_000)) if run is None else run, dead, **other)

    def good(self, count: int) -> list[Shot]:
        """Good ones, a few of each run."""
        runs = [int(run) for run in self._rng.integers(1, 1_000_000, -(-count // IMAGES_A_RUN))]
        return [self.shot(run=runs[n // IMAGES_A_RUN]) for n in range(count)]

    def labelled(self, size: Size) -> list[Shot]:
        """What an expert has labelled before the training."""
        outages = self._rng.choice(BOARDS, size=size.boards, replace=False)
        return [
            *self.good(size.good),
            *(self.shot(int(board)) for board in outages for _ in range(size.each)),
            *(self.shot(empty=True) if n % 2 else self.shot(beam=0.0) for n in range(size.empty)),
        ]

    def dead(self, count: int, singles: int) -> list[Shot]:
        """Every board alone, ``singles`` times, then as many pairs as are missing to ``count``, all different."""
        alone = [self.shot(board) for _ in range(singles) for board in range(BOARDS)]
        pairs = [(one, other) for other in range(BOARDS) for one in range(other)]
        chosen = self._rng.choice(len(pairs), size=max(0, count - len(alone)), replace=False)
        return [*alone, *(self.shot(*pairs[n]) for n in chosen)]

    def weak(self, shots: Sequence[Shot]) -> list[Shot]:
        """The same with part of the beam and of the time to fill."""
        part = self._rng.uniform(0.3, 1.0, (len(shots), 2))
        return [replace(shot, beam=float(b), statistics=float(s)) for shot, (b, s) in zip(shots, part, strict=True)]


# --- training and test


def learn(records: Sequence[Labelled], emulate: Emulate, models: Path, seed: int) -> tuple[Bundle, float, float]:
    """Train as ``hydrad train`` does: split, emulate, fit, calibrate, set thresholds.

    Returns:
        The bundle, the seconds it took, and those that its cores were busy with it, all together.
    """
    began, busy = time.monotonic(), time.process_time()
    sets = dataset.gather(
        records, LABELS, dataset.Wish(PREPARATION, seed=seed, emulate=(emulate,), threads=CORES), lambda _: None
    )
    start = starting.start(USUAL.architecture, USUAL.width, USUAL.height)
    plan = training.Plan(
        f"dead-boards-{seed}",
        (PLOT,),
        start,
        models,
        epochs=USUAL.epochs,
        batch=USUAL.batch,
        seed=seed,
        precision=USUAL.precision,
        threads=CORES,
    )
    bundle = training.learn(plan, sets, lambda _: None)
    return bundle, time.monotonic() - began, time.process_time() - busy


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Fresh images of one kind, the same for every model."""

    shots: Sequence[Shot]
    images: npt.NDArray[np.uint8]  # shape (images, height, width, 3)


def fresh(pool: Pool, size: Size) -> dict[str, Part]:
    """What every model is tested on; no training sees these runs and seeds."""
    draw = Shots(0)
    dead = draw.dead(size.tested_bad, size.singles)
    alone = size.singles * BOARDS
    shots = {
        "good": draw.good(size.tested_good),
        "single": dead[:alone],
        "double": dead[alone:],
        "weak_good": draw.weak(draw.good(size.weak)),
        "weak_dead": draw.weak(draw.dead(size.weak, 1)),
    }
    return {name: Part(some, taken(pool, some)) for name, some in shots.items()}


def tested(runtime: Runtime, part: Part, masks: Masks) -> dict[str, Any]:
    """What the model says of fresh images, as it does in service, counted; and what was dead where it saw nothing."""
    bundle = runtime.bundle
    names, meanings = list(bundle.manifest.names), bundle.manifest.meanings
    thresholds = tuple(bundle.thresholds[name] for name in names)
    counts = dict.fromkeys(("images", "called_bad", "found", "raised", "pointed", "pointed_inside"), 0)
    missed: list[Sequence[int]] = []
    for start in range(0, len(part.shots), AT_ONCE):
        some, images = part.shots[start : start + AT_ONCE], part.images[start : start + AT_ONCE]
        answers = runtime.compute(images)
        truth = np.array([names.index(shot.label) for shot in some])
        said = Tested(meanings, truth, answers.logits, bundle.temperature, thresholds)
        called_bad = said.called(Meaning.BAD)
        marked = np.stack([masks[list(shot.dead)].any(axis=0) for shot in some])
        points = pointing.measure(answers.heatmaps, marked, called_bad) or {}
        for name, count in (
            ("images", len(some)),
            ("called_bad", called_bad.sum()),
            ("found", (called_bad & said.confirmed).sum()),
            ("raised", said.alarming.sum()),
            ("pointed", hits(points.get("near"))),
            ("pointed_inside", hits(points.get("inside"))),
        ):
            counts[name] += int(count)
        missed += [shot.dead for shot, found in zip(some, called_bad & said.confirmed, strict=True) if not found]
    return {**counts, "missed": [dead for dead in missed if dead]}


def hits(share: Any) -> int:
    """Of a share as reports have it; none where there is none."""
    return share["hits"] if isinstance(share, Mapping) else 0


def taken(pool: Pool, shots: Sequence[Shot]) -> npt.NDArray[np.uint8]:
    """The images, in the order of the shots."""
    return np.stack(pool.map(take, shots, chunksize=50))


def one_seed(pool: Pool, seed: int, size: Size, parts: Mapping[str, Part], masks: Masks) -> dict[str, Any]:
    """Labels, training and test from one seed."""
    with tempfile.TemporaryDirectory(prefix="hydrad-dead-boards-") as name:
        folder = Path(name)
        draw_map(masks, folder / "map.png")
        records = pool.map(file, [(shot, folder) for shot in Shots(seed, 1).labelled(size)], chunksize=10)
        emulate = Emulate(
            fault="dead_region", plots=(PLOT,), label=BAD, share=EMULATED_PER_GOOD, map=folder / "map.png"
        )
        bundle, took_s, busy_s = learn(records, emulate, folder / "models", seed)
        runtime = ready(bundle, Opener(), USUAL.batch)
    return {
        "seed": seed,
        "runtime": runtime.name,
        "training_s": round(took_s, 1),
        "training_busy_s": round(busy_s, 1),
        "temperature": round(runtime.bundle.temperature, 3),
        "thresholds": dict(runtime.bundle.thresholds),
        **{name: tested(runtime, part, masks) for name, part in parts.items()},
    }


# --- learning from some of the good images


def undersampling(pool: Pool, seed: int, size: Size) -> dict[str, Any]:
    """The same course on all of an unbalanced set, and on its bad images and some of its good ones; none emulated.

    Held-out images that both call right or both wrong do not tell the two apart. Of the others each is as likely to be
    called right by the one as by the other if they are equally good (McNemar's exact test): ``chance`` is how likely
    that gives so many to the one that learned from everything, or more.
    """
    draw = Shots(seed, 3)
    bad = round(0.05 * size.unbalanced)
    everything = examples(pool, [*draw.good(size.unbalanced - bad), *(draw.shot(n % BOARDS) for n in range(bad))])
    watched = examples(pool, [*draw.good(150), *draw.dead(BOARDS, 1)])
    held_out = examples(pool, [*draw.good(size.held_out), *draw.dead(size.held_out, size.held_out // BOARDS)])
    found: dict[str, Any] = {"seed": seed}
    right = {}
    for words, share in (("all", 1.0), ("some", GOOD_SHARE)):
        learned_from = balance.undersampled(everything, {GOOD: Meaning.GOOD, BAD: Meaning.BAD}, share, seed)
        learned_from = replace(learned_from, weights=balance.weights_of(learned_from))
        began = time.monotonic()
        usual = references.learn(learned_from, np.zeros(len(learned_from), np.int64), learned_from.truth == 0)
        fitted = fit(
            partial(network.plain, PREPARATION.width, PREPARATION.height, 2, references=usual),
            learned_from,
            watched,
            replace(COURSE, seed=seed),
        )
        took_s = time.monotonic() - began
        said = scores_of(fitted.model, held_out.images).argmax(axis=1)
        right[words] = said == held_out.truth
        found[words] = {
            "images": len(learned_from),
            "training_s": round(took_s, 1),
            "balanced_accuracy": balanced_accuracy(held_out.truth, said),
        }
    lost, won = (int(np.sum(right[one] & ~right[other])) for one, other in (("all", "some"), ("some", "all")))
    found["chance"] = binomtest(lost, lost + won, alternative="greater").pvalue if lost + won else 1.0
    found["faster"] = round(found["all"]["training_s"] / found["some"]["training_s"], 2)
    return found


def examples(pool: Pool, shots: Sequence[Shot]) -> Examples:
    """Images of good and bad as a network learns from them."""
    return Examples(taken(pool, shots), np.array([int(shot.label == BAD) for shot in shots]), ((PLOT,),) * len(shots))


# --- the table


def rows(seeds: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[float], float, str]]:
    """Each figure: its name, its value for each seed, the worst of them, and what it has to reach."""

    def share(part: str, what: str) -> list[float]:
        return [found[part][what] / found[part]["images"] for found in seeds]

    training = [found["training_s"] for found in seeds]
    yield "training, s", training, max(training), "at most 600"
    busy = [found["training_busy_s"] for found in seeds]
    yield "seconds of its cores, together", busy, max(busy), ""
    for words, part, aim in (
        ("single dead boards found", "single", "1"),
        ("double dead boards found", "double", "1"),
        ("found at part of beam and time", "weak_dead", ""),
    ):
        yield words, share(part, "found"), min(share(part, "found")), aim
    for words, part, aim in (
        ("good images called bad", "good", "at most 0.0001"),
        ("called bad at part of beam and time", "weak_good", ""),
    ):
        yield words, share(part, "raised"), max(share(part, "raised")), aim
    for words, part, what in (
        ("map points at the board, or beside it", "single", "pointed"),
        ("map points at the board itself", "single", "pointed_inside"),
        ("map points at one of two boards", "double", "pointed"),
    ):
        yield words, share(part, what), min(share(part, what)), "at least 0.9" if what == "pointed" else ""


def reached(seeds: Sequence[Mapping[str, Any]], samplings: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the worst of all seeds is good enough."""
    return (
        all(found["training_s"] <= 600 for found in seeds)
        and all(found[part]["found"] == found[part]["images"] for found in seeds for part in ("single", "double"))
        and all(found["good"]["raised"] <= found["good"]["images"] / 10_000 for found in seeds)
        and all(found["single"]["pointed"] >= 0.9 * found["single"]["images"] for found in seeds)
        and all(found["faster"] >= 5 for found in samplings)
        and all(found["chance"] >= DOUBT for found in samplings)
    )


def print_table(seeds: Sequence[Mapping[str, Any]], samplings: Sequence[Mapping[str, Any]]) -> None:
    """For people."""
    numbers = "".join(f"{'seed ' + str(found['seed']):>10}" for found in seeds)
    print(f"{'':<38}{numbers}{'worst':>10}  aim")
    for words, values, worst, aim in rows(seeds) if seeds else ():
        print(f"{words:<38}{''.join(f'{value:>10.5g}' for value in values)}{worst:>10.5g}  {aim}")
    for found in samplings:
        every, some = found["all"], found["some"]
        print(
            f"undersampling, seed {found['seed']}: {every['images']} → {some['images']} images, "
            f"{every['training_s']} → {some['training_s']} s ({found['faster']} times faster), "
            f"balanced accuracy {every['balanced_accuracy']:.4f} → {some['balanced_accuracy']:.4f} "
            f"(if both are equally good: by chance with probability {found['chance']:.2g})"
        )


def main() -> int:
    """Run it all; the exit status says whether every aim was reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="how many trainings (default: %(default)s)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="few test images: shows that it runs, proves nothing")
    parser.add_argument("--only", choices=("boards", "undersampling"), help="one of the two; both by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    arguments = parser.parse_args()
    log.configure()
    size = QUICK if arguments.quick else Size()
    masks = board_masks()
    seeds, samplings = [], []
    with multiprocessing.get_context("spawn").Pool(len(os.sched_getaffinity(0))) as pool:
        parts = {} if arguments.only == "undersampling" else fresh(pool, size)
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            if arguments.only != "undersampling":
                seeds.append(one_seed(pool, seed, size, parts, masks))
                print(json.dumps(seeds[-1]), file=sys.stderr, flush=True)
            if arguments.only != "boards":
                samplings.append(undersampling(pool, seed, size))
                print(json.dumps(samplings[-1]), file=sys.stderr, flush=True)
    print_table(seeds, samplings)
    if arguments.json:
        document = {"plot": PLOT, "size": asdict(size), "seeds": seeds, "undersampling": samplings}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if reached(seeds, samplings) else 1


if __name__ == "__main__":
    sys.exit(main())
