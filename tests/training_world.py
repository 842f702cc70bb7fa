"""What the tests of training learn from: labelled pictures in files, and in a data base."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits

from hydrad import images
from hydrad.domain import Meaning
from hydrad.store.images import ImageFolder
from hydrad.store.labels.defining import Hand
from hydrad.store.labels.marking import Mark, NewImage, bring
from hydrad.store.packing import ImageFacts
from hydrad.store.queries import Store
from hydrad.train.labelled import Labelled

WIDTH, HEIGHT = 64, 48


def histogram(rng: np.random.Generator, *, hole: bool = False, empty: bool = False) -> npt.NDArray[np.uint8]:
    """A plot of a noisy slope, shape (HEIGHT, WIDTH, 3); a bad one has a hole somewhere, an empty one is white."""
    if empty:
        pixels = np.full((HEIGHT, WIDTH, 3), 255, np.int64)
        pixels[0, 0] = rng.integers(0, 255, 3)  # no two are equal
        return pixels.astype(np.uint8)
    slope = np.linspace(40, 200, WIDTH)[None, :, None] + np.zeros((HEIGHT, 1, 3))
    pixels = slope + rng.normal(0, 12, (HEIGHT, WIDTH, 3))
    if hole:
        row, column = rng.integers(4, HEIGHT - 20), rng.integers(4, WIDTH - 20)
        pixels[row : row + 14, column : column + 14] = 255
    return pixels.clip(0, 255).astype(np.uint8)


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """The picture as a file's content."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def written(
    folder: Path, pixels: npt.NDArray[np.uint8], label: str, *, plot: str = "CDC_x", run: int | None = None
) -> Labelled:
    """The picture as a file with a label."""
    data = png(pixels)
    sha256 = hashlib.sha256(data).hexdigest()
    path = folder / f"{plot}-{label}-{run}-{sha256[:16]}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return Labelled(path, plot, label, sha256, run)


def season(
    folder: Path, *, runs: int = 6, good: int = 6, bad: int = 3, plots: Sequence[str] = ("CDC_x",), seed: int = 1
) -> list[Labelled]:
    """Good and bad images of some runs, so many of each in each run of each plot."""
    rng = np.random.default_rng(seed)
    return [
        written(folder, histogram(rng, hole=label == "Bad"), label, plot=plot, run=100 + run)
        for plot in plots
        for run in range(runs)
        for label, count in (("Good", good), ("Bad", bad))
        for _ in range(count)
    ]


MEANINGS: Mapping[str, Meaning] = {"Good": Meaning.GOOD, "Bad": Meaning.BAD}


def brought(store: Store, folder: Path, records: Sequence[Labelled], meanings: Mapping[str, Meaning]) -> None:
    """Enter labelled files into a data base, their bytes into its folder of images."""
    hand = Hand("somebody", "host", "import", datetime.now(UTC))
    keeper = ImageFolder(folder)
    found, marks = [], []
    for one in records:
        data = one.path.read_bytes()
        picture = images.picture_of(data)
        keeper.keep(data, picture.sha256, picture.format)
        facts = ImageFacts(len(data), picture.format, picture.width, picture.height)
        found.append(NewImage(one.plot, picture.sha256, facts, str(one.path), one.run))
        marks.append(Mark(one.plot, picture.sha256, one.label, hand))
    bring(store, found, marks, lambda label: meanings[label])


def digits(folder: Path, kinds: Sequence[int]) -> None:
    """A folder per digit, of small pictures."""
    found = load_digits()
    for n, (picture, kind) in enumerate(zip(found.images, found.target, strict=True)):
        if kind in kinds:
            path = folder / f"digit {kind}" / f"{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((picture * 15).astype(np.uint8)).save(path)
