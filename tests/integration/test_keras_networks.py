"""The house's network: small, its maps exact, and one bad place among hundreds is enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hydrad.classify import backend
from hydrad.classify.head import split
from hydrad.classify.keras_runtime import KerasRuntime
from hydrad.classify.prepare import Preparation
from hydrad.domain import Meaning
from hydrad.errors import ConfigurationError
from hydrad.train import network, references
from hydrad.train.assemble import look, random_bundle
from hydrad.train.evaluation import pointing
from hydrad.train.examples import Examples
from hydrad.train.fit import Course, fit

pytestmark = [pytest.mark.keras]

WIDTH, HEIGHT = 96, 64


def chamber(count: int, seed: int) -> tuple[Examples, npt.NDArray[np.bool_]]:
    """A map whose cells count more to the left; in every second image one cell of 4 × 4 pixels is dead."""
    rng = np.random.default_rng(seed)
    cells = rng.poisson(60 + 60 * np.linspace(1, 0, WIDTH // 4), (count, HEIGHT // 4, WIDTH // 4))
    marked = np.zeros((count, HEIGHT // 4, WIDTH // 4), np.bool_)
    truth = np.arange(count) % 2
    for n in np.flatnonzero(truth):
        marked[n, rng.integers(2, HEIGHT // 4 - 2), rng.integers(2, WIDTH // 4 - 2)] = True
    cells[marked] = 0
    levels = np.where(marked, 255, (cells * 1.2).clip(0, 250))[..., None] * np.array([1.0, 0.7, 0.4])
    levels[marked] = 255
    images = levels.astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    return Examples(images, truth, (("chamber",),) * count), marked.repeat(4, axis=1).repeat(4, axis=2)


def usual(examples: Examples) -> references.References:
    return references.learn(examples, np.zeros(len(examples), np.int64), examples.truth == 0)


def trainable(model: Any) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def test_one_dead_cell_among_hundreds_is_found_and_pointed_at() -> None:
    training, _ = chamber(240, 1)
    known = usual(training)
    validation, marked = chamber(200, 2)

    fitted = fit(
        lambda: network.plain(WIDTH, HEIGHT, 2, references=known), training, validation, Course(epochs=6, batch=16)
    )

    meanings = [Meaning.GOOD, Meaning.BAD]
    seen = look(fitted.model, Preparation(width=WIDTH, height=HEIGHT), meanings, validation.images)
    said = seen.logits.argmax(axis=1)
    assert (said == validation.truth).mean() > 0.98
    points = pointing.measure(seen.heatmaps, marked, said == 1)
    assert points is not None
    near = points["near"]
    assert isinstance(near, dict)
    assert near["of"] == 100
    assert near["hits"] >= 95
    assert points["by_chance"] < 0.2


def test_what_the_places_add_is_all_that_the_verdict_is_made_of() -> None:
    backend.keras().utils.set_random_seed(3)
    examples, _ = chamber(8, 3)
    model = network.plain(WIDTH, HEIGHT, 3, references=usual(examples))
    keras = backend.keras()

    head = split(keras, model)
    features = keras.ops.convert_to_numpy(head.trunk(examples.images.astype(np.float32), training=False))
    added = features @ head.kernel  # shape (images, rows, columns, labels)

    assert features.shape == (8, HEIGHT // network.STRIDE, WIDTH // network.STRIDE, 64)
    assert (features >= 0).all()
    logits = added.mean(axis=(1, 2)) + head.bias
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores, model.predict_on_batch(examples.images), atol=1e-5)


def test_it_is_small_and_says_no_to_odd_sizes() -> None:
    examples, _ = chamber(8, 4)
    bare = network.plain(192, 128, 3)
    with_references = network.plain(WIDTH, HEIGHT, 3, references=usual(examples))
    assert trainable(bare) < 250_000
    assert trainable(with_references) < 250_000
    with pytest.raises(ConfigurationError, match="multiples of 8"):
        network.plain(100, 64, 2)


def test_a_bundle_of_it_serves_with_fine_maps(tmp_path: Path) -> None:
    bundle = random_bundle(network.PLAIN, ("Good", "Bad"), ("*",), tmp_path, 64)
    answers = KerasRuntime(bundle).compute(np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), np.uint8))
    assert answers.heatmaps is not None
    assert answers.heatmaps.shape == (3, 8, 8)
