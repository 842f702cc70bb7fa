"""A training can be stopped, gone on with and repeated, and the network is the same each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hydrad.classify import backend
from hydrad.errors import ConfigurationError
from hydrad.train.augment import Augmentation
from hydrad.train.examples import Examples
from hydrad.train.fit import Course, Fitted, Means, fit, scores_of
from hydrad.train.memory import FILE, Memory, State
from hydrad.train.precision import layers_in
from hydrad.train.progress import Progress, Stopped

pytestmark = [pytest.mark.keras]

COURSE = Course(epochs=4, batch=16, given_time=4, plateau=0.0, least_steps=5)


def squares(count: int, seed: int) -> Examples:
    """Noise; every other one has a bright square."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 120, (count, 16, 24, 3), np.uint8)
    for n in range(1, count, 2):
        row, column = rng.integers(0, 10), rng.integers(0, 18)
        images[n, row : row + 6, column : column + 6] = 250
    weights = rng.uniform(0.5, 1.5, count).astype(np.float32)
    return Examples(images, np.arange(count) % 2, (("P",),) * count, weights)


TRAINING, VALIDATION = squares(70, 1), squares(30, 2)


def small() -> Any:
    """A network with everything that has a state of its own: normalisation and dropout."""
    layers = backend.keras().layers
    images = layers.Input((16, 24, 3))
    x = layers.Conv2D(8, 3, strides=2, use_bias=False)(layers.Rescaling(1 / 127.5, offset=-1.0)(images))
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return backend.keras().Model(images, layers.Dense(2, activation="softmax", dtype="float32")(x))


def means(**others: Any) -> Means:
    return replace(Means(augment=Augmentation(["P"] * len(TRAINING)), threads=2), **others)


def equal(one: Fitted, other: Fitted) -> bool:
    same = all(np.array_equal(a, b) for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True))
    return same and one.curve == other.curve and one.best_epoch == other.best_epoch


@pytest.fixture(scope="module")
def straight() -> Fitted:
    return fit(small, TRAINING, VALIDATION, COURSE, means())


def test_two_trainings_from_one_seed_are_one(straight: Fitted) -> None:
    again = fit(small, TRAINING, VALIDATION, COURSE, means(threads=1))
    assert equal(straight, again)
    other = fit(small, TRAINING, VALIDATION, replace(COURSE, seed=2), means())
    assert other.curve != straight.curve


@pytest.mark.parametrize("after", [0.3, 0.6])
def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(
    straight: Fitted, tmp_path: Path, after: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hydrad.train.fit.TELL_EVERY_S", 0.0)

    def stop(progress: Progress) -> None:
        if progress.done > after:
            raise Stopped("enough")

    with pytest.raises(Stopped):
        fit(small, TRAINING, VALIDATION, COURSE, means(tell=stop, work=tmp_path))
    state = Memory(tmp_path, "")._path
    assert state is not None
    assert state.exists()
    told: list[Progress] = []
    resumed = fit(small, TRAINING, VALIDATION, COURSE, means(tell=told.append, work=tmp_path))

    assert told[0].epoch == int(after * 4) + 1
    assert equal(straight, resumed)


def test_what_is_gone_on_with_must_be_the_same_training(tmp_path: Path) -> None:
    Memory(tmp_path, "another").keep(State(epoch=2))
    with pytest.raises(ConfigurationError, match="not those that it began with"):
        fit(small, TRAINING, VALIDATION, COURSE, means(work=tmp_path))


def test_a_torn_state_is_said_to_be_one(tmp_path: Path) -> None:
    Memory(tmp_path, "x").keep(State(epoch=2, variables=[np.ones(3)]))
    assert Memory(tmp_path, "x").recall().variables[0].tolist() == [1.0, 1.0, 1.0]
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:40])
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Memory(tmp_path, "x").recall()


def test_the_best_epoch_is_kept_not_the_last(straight: Fitted) -> None:
    order = list(zip(straight.curve["balanced_accuracy"], [-v for v in straight.curve["validation_loss"]], strict=True))
    assert straight.best_epoch == order.index(max(order)) + 1
    scores = scores_of(straight.model, VALIDATION.images)
    surprise = float(-np.log(scores[np.arange(len(scores)), VALIDATION.truth]).mean())
    assert surprise == pytest.approx(straight.curve["validation_loss"][straight.best_epoch - 1], abs=1e-6)


def test_progress_says_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydrad.train.fit.TELL_EVERY_S", 0.0)
    told: list[Progress] = []
    fit(small, TRAINING, VALIDATION, COURSE, means(tell=told.append))
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert told[-1].done == 1.0
    assert told[-1].left_s == 0.0
    assert all(one.left_s is not None and 0 <= one.left_s < 120 for one in told[1:])
    assert {one.epoch for one in told} == {1, 2, 3, 4}


def test_half_precision_is_for_learning_only() -> None:
    policies = set()

    def make() -> Any:
        model = small()
        policies.add(model.layers[2].compute_dtype)
        return model

    fitted = fit(make, TRAINING, VALIDATION, COURSE, means(precision="mixed"))
    assert policies == {"bfloat16", "float32"}
    assert {layer.compute_dtype for layer in fitted.model.layers} == {"float32"}
    said = scores_of(fitted.model, VALIDATION.images)
    assert said.shape == (30, 2)
    with layers_in("float32"):
        assert backend.keras().config.dtype_policy().name == "float32"
