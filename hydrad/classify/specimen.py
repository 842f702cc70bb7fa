"""The image that a model is tested with while it serves: of its golden ones, the one that is bad beyond doubt.

A bundle's golden images are real, one of each label, held out from the training. One that the network found bad by far
more than its threshold asks when the bundle was sealed, and finds so again in the self-test, is known to be bad: if it
comes out otherwise in service, something on its way is broken.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hydrad.classify.bundle import Bundle
from hydrad.domain import Meaning, ModelCard, Specimen

SPARE: Final = 0.5  # of the way from the threshold to 1.0 lies below the confidence: no rounding leads across
GREY: Final = np.full((48, 64, 3), 127, np.uint8)


def specimen_of(bundle: Bundle) -> Specimen:
    """The golden image that is known to be bad, or else any, of which only a verdict is expected; blocks.

    Raises:
        BundleError: the golden images cannot be read.
    """
    golden = bundle.golden()
    logits = golden.logits.astype(np.float64) / bundle.temperature
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = odds / odds.sum(axis=1, keepdims=True)
    sure: dict[int, float] = {}
    for n, row in enumerate(scores):
        label = bundle.manifest.labels[int(row.argmax())]
        threshold = bundle.thresholds[label.name]
        if label.meaning is Meaning.BAD and row.max() >= threshold + SPARE * (1.0 - threshold):
            sure[n] = float(row.max())
    if sure:
        return Specimen(bundle.id, golden.pictures[max(sure, key=sure.__getitem__)], known_bad=True)
    return Specimen(bundle.id, golden.pictures[0], known_bad=False, why_not="its bundle has no known-bad image")


def specimen_without(card: ModelCard | None) -> Specimen:
    """A grey picture for what looks at no picture: a classifier with the same answer for all, or none at all."""
    if card is None:
        return Specimen("no-model", GREY, known_bad=False, why_not="no model serves")
    return Specimen(card.id, GREY, known_bad=False, why_not="every image gets the same answer")
