"""Good images with faults put into them: what a network shall know before the detector shows it."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from hydrad import image_files, images
from hydrad.classify.prepare import Preparation, Prepared, prepare
from hydrad.config import Emulate
from hydrad.errors import ImageError
from hydrad.train.emulation import panels, scale
from hydrad.train.emulation.emulate import Emulator
from hydrad.train.examples import Examples
from hydrad.train.labelled import Labelled
from hydrad.train.progress import Tell
from hydrad.train.reading import in_threads, told

AT_ONCE: Final = 64  # images that one thread makes in a row
REDRAWN: Final = "other scale"
REDRAWN_SHARE: Final = 0.5  # of the images that are struck
REDRAWN_EACH: Final = 2  # times that each good image is, or it would be a sign of faults
AGAIN_EACH: Final = 10  # images, of what the network is least sure of
MOST_HELD_OUT: Final = 300  # images emulated per plot and fault for validation, and for the test

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Struck:
    """Examples with emulated faults, and where each was struck, shape (images, height, width) of the prepared."""

    examples: Examples
    marked: Mask
    blows: tuple[Blow, ...] = ()  # of each image


@dataclass(frozen=True, slots=True)
class Blow:
    """One fault for one image, or none."""

    record: Labelled
    spec: Emulate | None  # None: it is only drawn on another scale, and shows what it showed
    seed: tuple[int, ...]
    turn: int  # among the blows of this fault to this plot

    @property
    def label(self) -> str:
        """What the image shows then."""
        return self.record.label if self.spec is None else self.spec.label


def for_training(good: Sequence[Labelled], specs: Sequence[Emulate], seed: int) -> list[Blow]:
    """As many as each fault's share of the good images of the plots that it is for."""
    return _blows(good, specs, seed, lambda spec, count: round(spec.share * count))


def for_holding_out(good: Sequence[Labelled], specs: Sequence[Emulate], seed: int) -> list[Blow]:
    """Likewise for images held out, one at least and not too many: real ones of the label rarely show all regions."""
    return _blows(good, specs, seed, lambda spec, count: min(max(1, round(spec.share * count)), MOST_HELD_OUT))


def _blows(
    good: Sequence[Labelled], specs: Sequence[Emulate], seed: int, wanted: Callable[[Emulate, int], int]
) -> list[Blow]:
    by_plot: dict[str, list[Labelled]] = defaultdict(list)
    for record in good:
        by_plot[record.plot].append(record)
    blows = []
    for number, spec in enumerate(specs):
        for plot, records in by_plot.items():
            if not any(fnmatchcase(plot, pattern) for pattern in spec.plots):
                continue
            rng = np.random.default_rng([seed, number, zlib.crc32(plot.encode("utf-8", "surrogatepass"))])
            order: list[int] = []
            count = wanted(spec, len(records))
            while len(order) < count:  # each image once before any is taken twice
                order.extend(rng.permutation(len(records)).tolist())
            blows += [
                Blow(records[which], spec, (seed, number, n, int(rng.integers(2**31))), n)
                for n, which in enumerate(order[:count])
            ]
    concerned = {blow.record.plot for blow in blows}
    redrawn = [record for record in good if record.plot in concerned] * REDRAWN_EACH
    return [*blows, *(Blow(record, None, (seed, len(specs), n), n) for n, record in enumerate(redrawn))]


def struck(
    blows: Sequence[Blow], numbers: Mapping[str, int], preparation: Preparation, tell: Tell, *, threads: int = 1
) -> Struck:
    """Put faults into images at full size, then prepare them as any others; those it cannot strike are left out.

    Args:
        blows: which fault for which image.
        numbers: of each label.
        preparation: what the network wants.
        tell: hears of the progress; may raise Stopped.
        threads: how many are made at a time.

    Raises:
        ConfigurationError: a fault cannot be put into an image of this size.
    """
    stack = np.empty((len(blows), *preparation.shape), np.uint8)
    marked = np.zeros((len(blows), preparation.height, preparation.width), np.bool_)
    kept: list[tuple[Blow, str]] = []

    def make(chunk: Sequence[Blow]) -> list[tuple[Prepared, Mask, str] | None]:
        # An emulator remembers what it saw last, so what it makes of an image may depend on those before: they are
        # always the same ones, however many threads there are.
        emulators: dict[Emulate, Emulator] = {}
        return [_made(blow, emulators, preparation) for blow in chunk]

    chunks = [blows[start : start + AT_ONCE] for start in range(0, len(blows), AT_ONCE)]
    found = chain.from_iterable(in_threads(make, chunks, threads))
    for blow, made in zip(blows, told(found, len(blows), "emulating", tell), strict=True):
        if made is None:
            continue
        stack[len(kept)], marked[len(kept)] = made[:2]
        kept.append((blow, made[2]))
    count = len(kept)
    return Struck(
        Examples(
            stack[:count],
            np.array([numbers[blow.label] for blow, _ in kept], np.int64),
            tuple((blow.record.plot, REDRAWN if blow.spec is None else blow.spec.fault) for blow, _ in kept),
            np.array([1.0 if blow.spec is None else blow.spec.weight for blow, _ in kept], np.float32),
            tuple(f"{blow.record.sha256}+{says}" for blow, says in kept),
        ),
        marked[:count],
        tuple(blow for blow, _ in kept),
    )


def again(made: Struck, chosen: Sequence[int]) -> list[Blow]:
    """Some blows once more, at the same places of other images: what one image shows of them may be chance.

    Args:
        made: what was struck.
        chosen: numbers of its images.
    """
    records: dict[str, list[Labelled]] = defaultdict(list)
    for blow in made.blows:
        if blow.record not in records[blow.record.plot]:
            records[blow.record.plot].append(blow.record)
    blows = []
    for blow in (made.blows[n] for n in chosen):
        others = records[blow.record.plot]
        first = others.index(blow.record) + 1
        blows += [
            Blow(others[(first + n) % len(others)], blow.spec, (*blow.seed, n), blow.turn) for n in range(AGAIN_EACH)
        ]
    return blows


def _made(
    blow: Blow, emulators: dict[Emulate, Emulator], preparation: Preparation
) -> tuple[Prepared, Mask, str] | None:
    try:
        pixels = images.pixels_of(image_files.read(blow.record.path))
    except (ImageError, OSError):
        return None  # it was there a moment ago; whoever removed it did not ask for a training to fail
    rng = np.random.default_rng(blow.seed)
    shown = panels.read(pixels)
    if blow.spec is None or rng.uniform() < REDRAWN_SHARE:
        redrawn = scale.redrawn(pixels, shown, rng)
        if blow.spec is None:
            return None if redrawn is None else (prepare(redrawn, preparation), _nowhere(preparation), REDRAWN)
        pixels = pixels if redrawn is None else redrawn
    if blow.spec not in emulators:
        emulators[blow.spec] = Emulator(blow.spec)
    hit = emulators[blow.spec](pixels, rng, blow.turn, shown)
    if not hit.touched.any():
        return None  # there is nothing in it that this fault could strike: it is still a good image
    return prepare(hit.pixels, preparation), _shrunk(hit.touched, preparation), hit.says


def _nowhere(preparation: Preparation) -> Mask:
    return np.zeros((preparation.height, preparation.width), np.bool_)


def _shrunk(touched: Mask, preparation: Preparation) -> Mask:
    """A place of the prepared picture is marked when anything in it was."""
    whole = Image.fromarray(touched.astype(np.uint8) * 255)
    small = whole.resize((preparation.width, preparation.height), Image.Resampling.BOX)
    return np.asarray(small) > 0
