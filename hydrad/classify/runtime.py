"""What computes a bundle, seen from outside, and the test it passes before it may serve."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from hydrad.classify.bundle import Bundle
from hydrad.classify.prepare import prepare
from hydrad.domain import HeatMap, ModelCard, Prediction
from hydrad.errors import BundleError

FAINTEST = 1e-5  # the largest logit is taken to be at least this, lest nothing be allowed to a network of zeros


class NoRoom(BundleError):
    """There was not memory enough for so many images at once; there may be for fewer."""


Numbers = npt.NDArray[np.float32]
Batch = npt.NDArray[np.uint8]  # prepared pictures, shape (images, height, width, channels)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one forward pass says about each of its images; the first axis is the images'."""

    logits: Numbers  # shape (images, labels), before temperature and softmax
    scores: Numbers  # shape (images, labels), calibrated; rows sum to one
    embeddings: Numbers  # shape (images, features)
    heatmaps: npt.NDArray[np.uint8] | None  # shape (images, rows, columns), of each image's winning label
    novelties: Numbers | None  # shape (images,), in units of the limit

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        """One after the other, of one model; at least one."""
        return cls(
            logits=np.concatenate([part.logits for part in parts]),
            scores=np.concatenate([part.scores for part in parts]),
            embeddings=np.concatenate([part.embeddings for part in parts]),
            heatmaps=None if parts[0].heatmaps is None else np.concatenate([part.heatmaps for part in parts]),
            novelties=None if parts[0].novelties is None else np.concatenate([part.novelties for part in parts]),
        )

    def check(self, images: int, bundle: Bundle) -> None:
        """Raise BundleError unless there is an answer of the right size for each of so many images."""
        labels = len(bundle.manifest.names)
        embeddings = len(self.embeddings), self.embeddings.ndim
        others = [len(one) for one in (self.heatmaps, self.novelties) if one is not None]
        if self.scores.shape != (images, labels) or embeddings != (images, 2) or any(n != images for n in others):
            raise BundleError(
                f"model {bundle.id!r} gave scores of shape {self.scores.shape} for {images} images and {labels} labels"
            )

    def prediction(self, n: int, bundle: Bundle) -> Prediction:
        """What is said about image ``n``.

        Raises:
            BundleError: when a score is not a finite number.
        """
        scores = self.scores[n]
        if not np.isfinite(scores).all():
            raise BundleError(f"model {bundle.id!r} gave scores that are no numbers")
        novelty = None if self.novelties is None else float(self.novelties[n])
        if novelty is not None and not np.isfinite(novelty):
            raise BundleError(f"model {bundle.id!r} gave an embedding that is no number")
        heatmap: HeatMap | None = None if self.heatmaps is None else self.heatmaps[n].copy()
        return Prediction(
            model=bundle.id,
            scores=dict(zip(bundle.manifest.names, scores.astype(float).tolist(), strict=True)),
            meanings=bundle.manifest.meanings,
            heatmap=heatmap,
            embedding=self.embeddings[n].copy(),
            novelty=novelty,
        )


class Runtime(Protocol):
    """One bundle, loaded. Used by one thread at a time."""

    @property
    def name(self) -> str:
        """What computes, e.g. ``keras/tensorflow cpu float32``."""
        ...

    @property
    def bundle(self) -> Bundle:
        """What it computes, with the calibration of the precision in which it does."""
        ...

    @property
    def batch(self) -> int:
        """The most images it computes at once."""
        ...

    def compute(self, batch: Batch) -> Answers:
        """Answer any number of prepared pictures, ``batch`` at once; raise BundleError when it cannot."""
        ...

    def warm(self) -> None:
        """Compute every size of batch once, so that no image waits for a first time."""
        ...

    def rest(self) -> None:
        """Give back what is of use only while it computes; the next time takes a little longer."""
        ...


def sizes_up_to(batch: int) -> tuple[int, ...]:
    """The few sizes of batches that a runtime is made ready for, since each of them costs it time or memory."""
    return tuple(sorted({size for size in (1, 4, 16, 64, 256) if size < batch} | {batch}))


def in_sizes(batch: Batch, sizes: Sequence[int], forward: Callable[[Batch], Sequence[Any]]) -> list[Any]:
    """Compute any number of pictures in batches of these sizes; what a batch lacks is padded.

    Args:
        batch: prepared pictures, shape (images, height, width, channels), at least one.
        sizes: ascending.
        forward: computes a batch of one of the sizes; the first axis of all its results is the images'.

    Returns:
        Its results for all pictures.
    """
    if not len(batch):
        raise ValueError("an empty batch has no answers")
    pieces = []
    for start in range(0, len(batch), sizes[-1]):
        piece = batch[start : start + sizes[-1]]
        count = len(piece)
        size = next(size for size in sizes if size >= count)
        if size > count:
            piece = np.concatenate([piece, np.zeros((size - count, *piece.shape[1:]), np.uint8)])
        pieces.append([result[:count] for result in forward(piece)])
    if len(pieces) == 1:
        return pieces[0]
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


class InBatches(ABC):
    """What runtimes of networks have in common: batches of a few sizes, and novelty by the bundle's calibration.

    Args:
        bundle: with the calibration of the precision in which it is computed.
        batch: the most images at once.
        sizes: of its batches, ascending, the last one ``batch``; a few when None.
    """

    name: str

    def __init__(self, bundle: Bundle, batch: int, sizes: Sequence[int] | None = None) -> None:
        self.bundle = bundle
        self.batch = batch
        self.sizes = sizes_up_to(batch) if sizes is None else sizes
        self._novelty = bundle.novelty()

    def compute(self, batch: Batch) -> Answers:
        """Answer prepared pictures, shape (images, height, width, channels), as many as there are."""
        logits, scores, embeddings, *maps = in_sizes(batch, self.sizes, self._answer)
        novelties: Numbers | None = None if self._novelty is None else self._novelty.of(embeddings)
        return Answers(logits, scores, embeddings, maps[0] if maps else None, novelties)

    def warm(self) -> None:
        """Compute every size of batch once."""
        for size in self.sizes:
            self._answer(np.zeros((size, *self.bundle.manifest.preparation.shape), np.uint8))

    @abstractmethod
    def rest(self) -> None:
        """Give back what is of use only while it computes, as far as the library lets go of it."""

    @abstractmethod
    def _answer(self, batch: Batch) -> Sequence[Any]:
        """Logits, scores, embeddings and, where the network has maps, heatmaps of a batch of one of the sizes.

        Raises:
            BundleError: it cannot be computed; NoRoom for want of memory.
        """


OpenRuntime = Callable[[Bundle, int], Runtime]  # a bundle and the most images at once; raises BundleError


def ready(bundle: Bundle, open_runtime: OpenRuntime, batch: int) -> Runtime:
    """Load, test and warm up a bundle that was read, in this order.

    Raises:
        BundleError: saying which of the steps failed, and how.
    """
    try:
        runtime = open_runtime(bundle, batch)
        self_test(runtime)
        runtime.warm()
    except BundleError as fault:
        raise BundleError(f"model {bundle.id!r} refused: {fault}") from fault
    except MemoryError as fault:  # the pictures of the self-test may be what was too much
        raise BundleError(f"model {bundle.id!r} refused: there is not memory enough for it") from fault
    return runtime


def self_test(runtime: Runtime) -> None:
    """Answer its bundle's golden images as they were answered where it was trained.

    Raises:
        BundleError: saying how far off an answer is.
    """
    bundle = runtime.bundle
    golden = bundle.golden()
    batch = np.stack([prepare(pixels, bundle.manifest.preparation) for pixels in golden.pictures])
    answers = runtime.compute(batch)
    if answers.logits.shape != golden.logits.shape:
        raise BundleError(f"its network has {answers.logits.shape[1]} outputs for {golden.logits.shape[1]} labels")
    allowed = bundle.manifest.golden.tolerance * max(FAINTEST, float(np.abs(golden.logits).max()))
    off = np.abs(answers.logits - golden.logits).max(axis=1)
    worst = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
    if not off[worst] <= allowed:
        raise BundleError(
            f"its self-test failed: golden image {worst} is off by {off[worst]:.3g}, allowed is {allowed:.3g}"
        )


def card(runtime: Runtime) -> ModelCard:
    """What the model that it computes says of itself."""
    bundle = runtime.bundle
    manifest = bundle.manifest
    return ModelCard(manifest.id, manifest.meanings, dict(bundle.thresholds), manifest.architecture, runtime.name)


def first_line(fault: BaseException) -> str:
    """What a library said, in one line that fits a log."""
    return (str(fault).strip() or type(fault).__name__).splitlines()[0][:300]
