"""What follows from scores at every threshold: is confidence honest, and what does more of it cost?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue
from sklearn.metrics import average_precision_score, precision_recall_curve

from hydrad.train.evaluation.calibrate import Scores, calibration_error, surprise
from hydrad.train.evaluation.shares import Mask, brief, briefs
from hydrad.train.examples import Truth

BINS = 15  # of confidence
ENOUGH = 10  # images in a bin; fewer say nothing of its accuracy
POINTS = 200  # of a curve, at most
ALL_POINTS = 4000  # of all labels' curves together


def reliability(scores: Scores, truth: Truth) -> dict[str, JsonValue]:
    """How far confidence is from accuracy.

    Args:
        scores: shape (images, labels); rows sum to one.

    Returns:
        ``error`` (expected calibration error, 0 to 1), ``largest`` (of bins with ten images or more), ``surprise``
        (mean negative log-likelihood, nats) and ``bins`` that hold images: ``low``, ``high``, ``images``,
        ``confidence`` and ``accuracy``.
    """
    if not len(truth):
        return {"error": None, "largest": None, "surprise": None, "bins": []}
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == truth
    inside = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    bins: list[JsonValue] = []
    gaps = []
    for n in np.unique(inside):
        chosen = inside == n
        sure, accuracy, images = float(confidence[chosen].mean()), float(right[chosen].mean()), int(chosen.sum())
        bins.append(
            {
                "low": brief(n / BINS),
                "high": brief((n + 1) / BINS),
                "images": images,
                "confidence": brief(sure),
                "accuracy": brief(accuracy),
            }
        )
        if images >= ENOUGH:
            gaps.append(abs(sure - accuracy))
    return {
        "error": brief(calibration_error(scores, truth, BINS)),
        "largest": brief(max(gaps)) if gaps else None,
        "surprise": brief(surprise(scores, truth)),
        "bins": bins,
    }


def precision_recall(scores: npt.NDArray[np.float64], own: Mask, *, labels: int = 1) -> dict[str, JsonValue] | None:
    """One label's precision, recall and thresholds, from the lowest threshold to the highest, thinned.

    Args:
        scores: of that label, shape (images,).
        own: the images that have it.
        labels: how many curves there will be.

    Returns:
        ``average_precision``, and ``precision``, ``recall`` and ``threshold`` of equal length; None for a label
        without images, or without any others.
    """
    if not own.any() or own.all():
        return None
    precision, recall, threshold = precision_recall_curve(own, scores, drop_intermediate=True)
    precision, recall = precision[:-1], recall[:-1]  # the last point is a convention: nothing confirmed, all right
    points = max(20, min(POINTS, ALL_POINTS // labels))
    kept = _thinned(recall, points)
    return {
        "average_precision": brief(float(average_precision_score(own, scores))),
        "precision": briefs(precision[kept]),
        "recall": briefs(recall[kept]),
        "threshold": briefs(threshold[kept]),
    }


def _thinned(recall: npt.NDArray[np.float64], points: int) -> npt.NDArray[np.int64]:
    """The ends, and between them points that lie evenly along the curve: half of them by recall, half by number."""
    last = len(recall) - 1
    by_number = np.linspace(0, last, points // 2).round().astype(np.int64)
    by_recall = np.searchsorted(-recall, -np.linspace(recall[0], recall[-1], points // 2)).clip(0, last)
    return np.unique(np.concatenate([by_number, by_recall]))
