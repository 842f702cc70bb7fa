"""Makes scores mean what they say, and finds the thresholds that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hydrad.train.examples import Truth

Logits = npt.NDArray[np.float32]  # shape (images, labels)
Scores = npt.NDArray[np.float64]  # likewise, rows sum to one

LOWEST = 0.5  # below it a label need not even be the likeliest
HIGHEST = 0.99


def scores_of(logits: Logits, temperature: float) -> Scores:
    """Softmax of logits / temperature."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)


def temperature_of(logits: Logits, truth: Truth) -> float:
    """The temperature that makes validation images likeliest.

    Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017.

    Args:
        logits: of images the network was not trained on.
        truth: their labels.

    Returns:
        Between 0.25 and 10; above 1 when the network is too sure of itself.
    """
    low, high = np.log(0.25), np.log(10.0)
    for _ in range(4):  # each time between the neighbours of the best of the grid before
        grid = np.linspace(low, high, 25)
        best = int(np.argmin([_surprise(logits, truth, float(np.exp(step))) for step in grid]))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    return float(np.exp((low + high) / 2))


def thresholds_of(scores: Scores, truth: Truth, *, lost: Sequence[float], wrong: float = 0.001) -> tuple[float, ...]:
    """Per label, the lowest threshold at which few images of other labels are confirmed.

    Args:
        scores: calibrated, of validation images.
        lost: per label, the share of its own images that may fail to reach its threshold; where not both can be had,
            this limits the threshold.
        wrong: share of the other labels' images that may reach it.

    Returns:
        Thresholds from 0.5 to 0.99; 0.5 for a label without examples.
    """
    found = []
    for label in range(scores.shape[1]):
        own, others = scores[truth == label, label], scores[truth != label, label]
        if not len(own) or not len(others):
            found.append(LOWEST)
            continue
        needed = float(np.quantile(others, 1 - wrong, method="higher")) + 1e-3
        bearable = float(np.quantile(own, lost[label]))
        found.append(round(float(np.clip(min(needed, bearable), LOWEST, HIGHEST)), 3))
    return tuple(found)


def calibration_error(scores: Scores, truth: Truth, bins: int = 15) -> float:
    """Expected calibration error: how far confidence is from accuracy, 0 to 1, averaged over images."""
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == truth
    error = 0.0
    for low, high in pairwise(np.linspace(0.0, 1.0, bins + 1)):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += float(inside.mean()) * abs(float(confidence[inside].mean()) - float(right[inside].mean()))
    return error


def confusion(truth: Truth, said: Truth, labels: int) -> Sequence[Sequence[int]]:
    """Counts; rows are the true labels, columns what was said."""
    return [[int(np.sum((truth == row) & (said == column))) for column in range(labels)] for row in range(labels)]


def _surprise(logits: Logits, truth: Truth, temperature: float) -> float:
    scores = scores_of(logits, temperature)
    return float(-np.log(np.clip(scores[np.arange(len(truth)), truth], 1e-12, 1.0)).mean())
