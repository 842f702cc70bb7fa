"""Fits a network to examples, and notices when it has learned nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hydrad import log
from hydrad.classify import backend
from hydrad.errors import HydradError
from hydrad.train.examples import Examples, Truth

_log = log.get("train")


@dataclass(frozen=True, slots=True)
class Course:
    """How long and how boldly a network learns."""

    epochs: int = 12
    batch: int = 32
    rate: float = 2e-3  # of learning at its height; it rises for half an epoch, then falls along a cosine
    decay: float = 1e-4  # of the weights (AdamW)
    seed: int = 1
    attempts: int = 3
    given_time: int = 4  # epochs after which a network must be better than the plateau
    plateau: float = 0.2  # of the way from guessing to perfection, in balanced validation accuracy


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A network that learned, the seed it started from, and its curve: one entry per epoch and quantity."""

    model: Any  # keras.Model
    seed: int
    curve: dict[str, list[float]] = field(default_factory=dict)


class StuckError(HydradError):
    """No attempt left the plateau: the labels, or the network, are not up to it."""


def fit(make: Callable[[], Any], training: Examples, validation: Examples, course: Course) -> Fitted:
    """Train a fresh network, again from another seed when it stays on the plateau.

    A network that calls everything the most frequent label may look good by plain accuracy; balanced validation
    accuracy (the mean of the labels' recalls) shows it.

    Args:
        make: builds the untrained network, from values 0 to 255 to probabilities.

    Raises:
        StuckError: when all attempts stay there.
    """
    for attempt in range(course.attempts):
        seed = course.seed + attempt
        fitted = _attempt(make, training, validation, course, seed)
        if fitted is not None:
            return fitted
        _log.warning("training_restarted", seed=seed, reason="no better than guessing", attempt=attempt + 1)
    raise StuckError(f"{course.attempts} attempts learned nothing: check the labels, or give more examples")


def balanced_accuracy(truth: Truth, said: Truth) -> float:
    """The mean of the labels' recalls, 0 to 1; labels without examples do not count."""
    return float(np.mean([np.mean(said[truth == label] == label) for label in np.unique(truth)]))


def _attempt(
    make: Callable[[], Any], training: Examples, validation: Examples, course: Course, seed: int
) -> Fitted | None:
    keras = backend.keras()
    keras.utils.set_random_seed(seed)
    model = make()
    steps = -(-len(training) // course.batch)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.1 * course.rate,
        max(1, steps * course.epochs - steps // 2),
        warmup_target=course.rate,
        warmup_steps=steps // 2,
    )
    model.compile(
        keras.optimizers.AdamW(schedule, weight_decay=course.decay),
        "sparse_categorical_crossentropy",
    )
    curve: dict[str, list[float]] = {"loss": [], "validation_loss": [], "balanced_accuracy": []}
    for epoch in range(course.epochs):
        history = model.fit(training.images, training.truth, batch_size=course.batch, verbose=0).history
        scores = scores_of(model, validation.images)
        balanced = balanced_accuracy(validation.truth, scores.argmax(axis=1))
        hit = np.clip(scores[np.arange(len(scores)), validation.truth], 1e-9, 1.0)
        for name, value in (
            ("loss", float(history["loss"][0])),
            ("validation_loss", float(-np.log(hit).mean())),
            ("balanced_accuracy", balanced),
        ):
            curve[name].append(value)
        _log.info(
            "epoch_done",
            epoch=epoch + 1,
            of=course.epochs,
            **{name: round(values[-1], 4) for name, values in curve.items()},
        )
        guess = 1 / len(np.unique(validation.truth))
        if epoch + 1 == min(course.given_time, course.epochs) and balanced < guess + course.plateau * (1 - guess):
            return None
    return Fitted(model, seed, curve)


def scores_of(model: Any, images: npt.NDArray[np.uint8], batch: int = 64) -> npt.NDArray[np.float32]:
    """A network's probabilities for many images, shape (images, labels)."""
    return np.asarray(model.predict(images, batch_size=batch, verbose=0), np.float32)
