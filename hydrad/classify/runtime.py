"""What computes a bundle, seen from outside, and the test it passes before it may serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hydrad.classify.bundle import Bundle
from hydrad.classify.prepare import prepare
from hydrad.domain import HeatMap, ModelCard, Prediction
from hydrad.errors import BundleError

FAINTEST = 1e-5  # the largest logit is taken to be at least this, lest nothing be allowed to a network of zeros

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
    def batch(self) -> int:
        """The most images it computes at once."""
        ...

    def compute(self, batch: Batch) -> Answers:
        """Answer any number of prepared pictures, ``batch`` at once; raise BundleError when it cannot."""
        ...

    def warm(self) -> None:
        """Compute every size of batch once, so that no image waits for a first time."""
        ...


OpenRuntime = Callable[[Bundle, int], Runtime]  # a bundle and the most images at once; raises BundleError


def ready(bundle: Bundle, open_runtime: OpenRuntime, batch: int) -> Runtime:
    """Load, test and warm up a bundle that was read, in this order.

    Raises:
        BundleError: saying which of the steps failed, and how.
    """
    try:
        runtime = open_runtime(bundle, batch)
        self_test(bundle, runtime)
        runtime.warm()
    except BundleError as fault:
        raise BundleError(f"model {bundle.id!r} refused: {fault}") from fault
    except MemoryError as fault:  # the pictures of the self-test may be what was too much
        raise BundleError(f"model {bundle.id!r} refused: there is not memory enough for it") from fault
    return runtime


def self_test(bundle: Bundle, runtime: Runtime) -> None:
    """Answer the bundle's golden images as they were answered where it was trained.

    Raises:
        BundleError: saying how far off an answer is.
    """
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


def card(bundle: Bundle, runtime: Runtime) -> ModelCard:
    """What the model says of itself."""
    manifest = bundle.manifest
    return ModelCard(manifest.id, manifest.meanings, dict(manifest.thresholds), manifest.architecture, runtime.name)
