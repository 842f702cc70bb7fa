"""A training may start from a file, from a model there is, or from weights; what does not fit is said in a sentence."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_world import HEIGHT, MEANINGS, WIDTH, histogram, season, written

from hydrad.classify import backend
from hydrad.classify import bundle as bundles
from hydrad.classify.bundle import Bundle
from hydrad.classify.keras_runtime import KerasRuntime
from hydrad.classify.openvino_runtime import OpenVinoRuntime, computes_bfloat16
from hydrad.classify.prepare import Preparation
from hydrad.config import Emulate
from hydrad.domain import Meaning
from hydrad.errors import ConfigurationError
from hydrad.train.dataset import Sets, Wish, gather
from hydrad.train.examples import joined
from hydrad.train.modest import TooMuchMemory, in_words
from hydrad.train.progress import Progress
from hydrad.train.starting import Start, maker, start
from hydrad.train.struck import AGAIN_EACH
from hydrad.train.training import REPORT, REPORT_EMULATED, WEAKEST, Plan, course_of, learn

pytestmark = [pytest.mark.keras]

SPEC = Emulate(fault="dead_region", boxes=((0.1, 0.1, 0.4, 0.5), (0.5, 0.4, 0.9, 0.9)), share=1.0)
PREPARATION = Preparation(width=WIDTH, height=HEIGHT)


def silent(_: Progress) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("starting")


@pytest.fixture(scope="module")
def sets(folder: Path) -> Sets:
    wish = Wish(PREPARATION, emulate=(SPEC,))
    return gather(season(folder / "images", runs=6, good=8, bad=2), MEANINGS, wish, silent)


@pytest.fixture(scope="module")
def parent(folder: Path, sets: Sets) -> Bundle:
    plan = Plan("parent", ("CDC_x",), Start(PREPARATION), folder / "models", epochs=4)
    return learn(plan, sets, silent)


def saved(path: Path, outputs: int, *, activation: str | None = "softmax", channels: int = 3) -> Path:
    layers = backend.keras().layers
    images = layers.Input((HEIGHT, WIDTH, channels))
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(layers.Rescaling(1 / 127.5, offset=-1.0)(images))
    pooled = layers.GlobalAveragePooling2D()(x)
    with _quiet():
        backend.keras().Model(images, layers.Dense(outputs, activation=activation)(pooled)).save(path)
    return path


def _quiet() -> Any:
    """Keras copies its variables in a way that NumPy 2 will not know one day."""
    return warnings.catch_warnings(action="ignore", category=DeprecationWarning)


def _has_seen(network: Any, images: np.ndarray) -> None:
    """Let a network's running means become what they are in any network that was trained."""
    for layer in network.layers:
        if hasattr(layer, "momentum"):
            layer.momentum = 0.5
    for _ in range(30):
        network(images, training=True)


def test_a_bundle_holds_figures_of_real_and_of_emulated_faults_apart(parent: Bundle, sets: Sets) -> None:
    read = bundles.read(parent.folder)
    metrics: dict[str, Any] = dict(read.manifest.metrics)
    assert metrics["images"] == len(sets.test)
    assert metrics["accuracy"]["value"] > 0.9
    assert sets.made_for_test is not None
    assert metrics["emulated"]["images"] == len(sets.made_for_test.examples)
    assert metrics["emulated"]["pointing"] is not None
    assert metrics["making"]["calibrated_on"]["emulated"] > 0
    assert metrics["making"]["emulated"][0]["name"] == "dead_region"
    assert read.manifest.data.images == len(sets.training)
    assert read.manifest.data.fingerprint
    assert {REPORT, REPORT_EMULATED} < set(read.manifest.files)
    assert read.novelty() is not None
    runtime = KerasRuntime(read)
    said = runtime.compute(sets.test.images).scores.argmax(axis=1)
    assert (said == sets.test.truth).mean() == pytest.approx(metrics["accuracy"]["value"], abs=1e-6)


def test_a_training_exports_its_network_and_calibrates_each_precision_that_agrees(parent: Bundle, sets: Sets) -> None:
    assert sets.made_for_test is not None
    images = np.concatenate([sets.test.images, sets.made_for_test.examples.images])
    wanted = KerasRuntime(parent).compute(images)
    figures: dict[str, Any] = dict(parent.manifest.metrics)["exports"]
    assert figures["float32"]["images"] == len(images)
    assert figures["float32"]["other_label"] == 0
    for precision in parent.precisions:
        found = OpenVinoRuntime(parent, precision=precision).compute(images)
        assert (found.logits.argmax(axis=1) == wanted.logits.argmax(axis=1)).all()
        assert found.novelties is not None
        assert (found.novelties[: len(sets.test)][sets.test.truth == 0] <= 1.0).mean() > 0.9
    assert ("bfloat16" in parent.precisions) == (computes_bfloat16() and not figures["bfloat16"]["other_label"])


def test_labels_part_in_the_middle_between_their_validation_images(folder: Path) -> None:
    wish = Wish(PREPARATION, emulate=(SPEC.model_copy(update={"share": 4.0}),))
    many = replace(gather(season(folder / "many", good=24, bad=1), MEANINGS, wish, silent), strike=None)
    bundle = learn(Plan("many", ("CDC_x",), Start(PREPARATION), folder / "models", epochs=6), many, silent)
    assert many.made_for_validation is not None
    held = joined(many.validation, many.made_for_validation.examples)
    logits = KerasRuntime(bundle).compute(held.images).logits
    lead = logits[:, 1] - logits[:, 0]
    good, bad = lead[held.truth == 0], lead[held.truth == 1]
    assert good.max() < bad.min()
    assert good.max() + bad.min() == pytest.approx(0.0, abs=0.02 * float(bad.min() - good.max()))


def test_what_the_network_is_least_sure_of_is_looked_at_again_in_other_images(parent: Bundle, sets: Sets) -> None:
    made = sets.made_for_validation
    assert made is not None
    weakest = -(-len(made.examples) // WEAKEST)
    calibrated_on = dict(parent.manifest.metrics)["making"]["calibrated_on"]
    assert calibrated_on == {
        "taken": len(sets.validation),
        "emulated": len(made.examples) + weakest * AGAIN_EACH,
    }


def test_a_child_with_its_parents_labels_goes_on_from_all_of_its_weights(parent: Bundle, sets: Sets) -> None:
    child = maker(start("plain", 16, 16, parent=parent), sets, seed=1)()
    taught = backend.keras().saving.load_model(parent.model, compile=False)
    assert all(np.array_equal(a, b) for a, b in zip(child.get_weights(), taught.get_weights(), strict=True))


def test_a_child_with_other_labels_gets_a_head_of_its_own(parent: Bundle, sets: Sets) -> None:
    others = replace(sets, labels={**sets.labels, "Cosmic": Meaning.OTHER})
    child = maker(start("plain", 16, 16, parent=parent), others, seed=1)()
    assert child.output_shape == (None, 3)
    taught = backend.keras().saving.load_model(parent.model, compile=False)
    kept = zip(child.get_weights()[:-2], taught.get_weights()[:-2], strict=True)
    assert all(np.array_equal(a, b) for a, b in kept)


def test_a_child_is_a_model_of_its_own(parent: Bundle, sets: Sets, folder: Path) -> None:
    plan = Plan("child", ("CDC_x",), start("plain", 16, 16, parent=parent), folder / "models", epochs=1)
    child = learn(plan, sets, silent)
    assert child.manifest.architecture == "plain"
    assert dict(child.manifest.metrics)["making"]["parent"] == "parent"
    assert dict(child.manifest.metrics)["accuracy"]["value"] > 0.9


@pytest.mark.parametrize(("outputs", "activation"), [(2, "softmax"), (2, None), (7, "softmax")])
def test_a_file_of_ones_own_is_given_what_it_lacks(
    folder: Path, sets: Sets, outputs: int, activation: str | None
) -> None:
    path = saved(folder / f"own-{outputs}-{activation}.keras", outputs, activation=activation)
    begin = start(str(path), 192, 128)
    assert begin.preparation == PREPARATION
    assert begin.says == path.name
    model = maker(begin, sets, seed=1)()
    scores = np.asarray(model.predict_on_batch(sets.test.images[:4]))
    assert scores.shape == (4, 2)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-5)


def test_a_grey_file_is_trained_on_grey_images(folder: Path) -> None:
    path = saved(folder / "grey.keras", 2, channels=1)
    assert start(str(path), 192, 128).preparation.colour == "grey"


@pytest.mark.timeout(300)  # on a machine that others use as well
def test_an_application_begins_with_the_weights_of_a_local_file_and_learns(folder: Path) -> None:
    keras = backend.keras()
    keras.utils.set_random_seed(7)
    taught = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(64, 64, 3))
    _has_seen(taught, np.random.default_rng(7).uniform(-1.0, 1.0, (32, 64, 64, 3)))
    path = folder / "mobile.weights.h5"
    with _quiet():
        taught.save_weights(path)
    begin = start("MobileNet", 64, 64, weights=path)
    square = gather(season(folder / "images", runs=6, good=8, bad=2), MEANINGS, Wish(begin.preparation), silent)
    fresh = maker(begin, square, seed=1)()
    same = [layer for layer in taught.layers if layer.weights]
    for layer in same:
        for mine, theirs in zip(fresh.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert len(same) > 20
    bundle = learn(Plan("mobile", ("CDC_x",), begin, folder / "models", epochs=2), square, silent)
    assert dict(bundle.manifest.metrics)["balanced_accuracy"] > 0.9
    assert KerasRuntime(bundles.read(bundle.folder)).compute(square.test.images).heatmaps is not None


def test_what_does_not_fit_is_said_in_a_sentence(folder: Path, parent: Bundle, sets: Sets) -> None:
    (folder / "torn.keras").write_bytes(b"PK")
    (folder / "weights.h5").write_bytes(b"nothing")
    for words, says in (
        ({"architecture": str(folder / "torn.keras")}, "torn.keras"),
        ({"architecture": str(folder / "none.keras")}, "none.keras"),
        ({"architecture": "plain", "weights": folder / "weights.h5"}, "keras.applications"),
        ({"architecture": "InceptionV3", "weights": folder / "missing.h5"}, "there is no file"),
        ({"architecture": "plain", "weights": folder / "weights.h5", "parent": parent}, "those of the parent"),
        ({"architecture": "ResNet50", "width": 128}, "square"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            start(**({"width": 96, "height": 96} | words))
    for begin, says in (
        (Start(Preparation(width=96, height=96), "NoSuchNet"), "NoSuchNet"),
        (Start(Preparation(width=96, height=96), "MobileNetV3Small", folder / "weights.h5"), "MobileNetV3Small"),
        (Start(Preparation(width=50, height=48)), "multiples of"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            maker(begin, sets, seed=1)()


def test_a_network_that_could_run_code_is_no_start(folder: Path) -> None:
    layers = backend.keras().layers
    images = layers.Input((HEIGHT, WIDTH, 3))
    flat = layers.GlobalAveragePooling2D()(layers.Lambda(lambda x: x * 2)(images))
    with _quiet():
        backend.keras().Model(images, layers.Dense(2, activation="softmax")(flat)).save(folder / "bad.keras")
    with pytest.raises(ConfigurationError, match=r"keras\.layers\.Lambda, which is none of the known layers"):
        start(str(folder / "bad.keras"), 96, 96)


def test_few_images_are_learned_in_small_batches_passed_several_times() -> None:
    plan = Plan("x", ("P",), Start(PREPARATION), Path())
    small, large = course_of(plan, 20), course_of(plan, 5000)
    assert (small.batch, large.batch) == (10, 32)
    assert small.rate < large.rate
    assert small.least_steps * small.batch > 5 * 20


def test_labels_that_only_emulation_gives_can_be_learned(folder: Path) -> None:
    rng = np.random.default_rng(4)
    records = [written(folder / "good", histogram(rng), "Good", run=run) for run in range(5) for _ in range(6)]
    sets = gather(records, MEANINGS, Wish(PREPARATION, emulate=(SPEC,)), silent)
    plan = Plan("made", ("CDC_x",), Start(PREPARATION), folder / "models", epochs=4)
    metrics: dict[str, Any] = dict(learn(plan, sets, silent).manifest.metrics)
    assert metrics["untested"] == ["Bad"]
    assert metrics["emulated"]["accuracy"]["value"] > 0.9


def test_memory_that_is_not_to_be_had_is_said_in_a_sentence() -> None:
    with pytest.raises(TooMuchMemory, match="smaller images"), in_words():
        np.zeros((1 << 24, 1 << 24), np.uint8)
    import tensorflow as tf  # noqa: PLC0415  what it raises is asked of it

    with pytest.raises(TooMuchMemory), in_words():
        raise tf.errors.ResourceExhaustedError(None, None, "allocating a tensor")
