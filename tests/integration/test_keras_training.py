"""A network learns, or it is said that it did not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hydrad.classify import backend
from hydrad.errors import ConfigurationError
from hydrad.train import network, references
from hydrad.train.examples import Examples
from hydrad.train.fit import Course, StuckError, balanced_accuracy, fit, scores_of

pytestmark = [pytest.mark.keras]


def stripes(count: int, seed: int) -> Examples:
    """Two plots, of vertical and of horizontal stripes; bad ones have a hole somewhere."""
    rng = np.random.default_rng(seed)
    images = np.empty((count, 32, 48, 3), np.uint8)
    truth = rng.integers(0, 2, count)
    groups = []
    for n in range(count):
        across = n % 2 == 0
        ramp = np.arange(48)[None, :] if across else np.arange(32)[:, None]
        image = np.broadcast_to((ramp // 4 % 2 * 160 + 60)[..., None], (32, 48, 3)).astype(np.int64)
        image = image + rng.integers(-15, 16, image.shape)
        if truth[n]:
            row, column = rng.integers(0, 26), rng.integers(0, 42)
            image[row : row + 6, column : column + 6] = 255
        images[n] = image.clip(0, 255)
        groups.append(("across" if across else "down",))
    return Examples(images, truth, tuple(groups))


TRAINING, VALIDATION = stripes(300, 1), stripes(150, 2)


def known() -> references.References:
    plots = np.arange(len(TRAINING)) % 2
    return references.learn(TRAINING, plots, TRAINING.truth == 0)


def test_a_network_with_references_learns_holes_from_few_images() -> None:
    usual = known()
    fitted = fit(
        lambda: network.plain(48, 32, 2, references=usual), TRAINING, VALIDATION, Course(epochs=4, batch=16, rate=4e-3)
    )

    said = scores_of(fitted.model, VALIDATION.images).argmax(axis=1)
    assert balanced_accuracy(VALIDATION.truth, said) > 0.95
    assert fitted.seed == 1
    assert [len(values) for values in fitted.curve.values()] == [4, 4, 4]
    assert fitted.curve["loss"][-1] < fitted.curve["loss"][0]


def test_plots_are_told_apart_and_their_usual_picture_is_known() -> None:
    usual = known()
    coarse = references.shrunk(VALIDATION.images, references.COARSE).reshape(len(VALIDATION), -1).astype(np.float32)

    assert ((coarse @ usual.kernel + usual.bias).argmax(axis=1) == np.arange(len(VALIDATION)) % 2).all()
    assert usual.means.shape == (2, 16, 24, 3)
    np.testing.assert_allclose(usual.means[0].std(axis=0).max(), 0.0, atol=0.05)
    np.testing.assert_allclose(usual.means[1].std(axis=1).max(), 0.0, atol=0.05)
    assert usual.sharpness.max() <= 1 / references.QUIET + 1e-3


def test_labels_that_mean_nothing_are_noticed_and_tried_again() -> None:
    rng = np.random.default_rng(5)
    noise = Examples(rng.integers(0, 256, (60, 32, 32, 3), np.uint8), np.arange(60) % 2)
    seeds: list[int] = []

    def constant() -> Any:
        keras = backend.keras()
        seeds.append(len(seeds))
        images = keras.layers.Input((32, 32, 3))
        pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(0.0)(images))
        return keras.Model(images, keras.layers.Dense(2, activation="softmax")(pooled))

    with pytest.raises(StuckError, match="2 attempts learned nothing"):
        fit(constant, noise, noise, Course(epochs=5, given_time=1, attempts=2))

    assert len(seeds) == 2


def test_balanced_accuracy_is_not_fooled_by_the_many() -> None:
    truth = np.array([0] * 98 + [1] * 2)
    assert balanced_accuracy(truth, np.zeros(100, np.int64)) == 0.5


def test_fingerprints_tell_examples_apart() -> None:
    same, other = stripes(20, 1), stripes(20, 3)
    assert same.fingerprint == stripes(20, 1).fingerprint
    assert same.fingerprint != other.fingerprint
    assert same.fingerprint != Examples(same.images, 1 - same.truth).fingerprint
    assert len(same.of(same.truth == 1)) == int(same.truth.sum())


def test_a_network_without_a_name_is_wrong_configuration() -> None:
    with pytest.raises(ConfigurationError):
        network.build("NoSuchNet", 64, 64, 3)
    with pytest.raises(ConfigurationError, match="square"):
        network.build("InceptionV3", 192, 128, 3)
