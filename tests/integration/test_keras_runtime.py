"""Keras computes scores, map and embedding in one pass, and refuses networks that are not plain data."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hydrad.classify import backend, novelty, runtime
from hydrad.classify import bundle as bundles
from hydrad.classify.head import split
from hydrad.classify.keras_runtime import KerasRuntime, evidence, one_pass, rivals_of
from hydrad.classify.manifest import DataSet
from hydrad.classify.prepare import Preparation
from hydrad.classify.runtime import NoRoom
from hydrad.classify.vetting import vet
from hydrad.domain import Meaning
from hydrad.errors import BundleError, ConfigurationError
from hydrad.train import network
from hydrad.train.assemble import Design, Measured, assemble, random_bundle

pytestmark = [pytest.mark.keras]

LABELS = {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY}
EVERY_OTHER = ~np.eye(3, dtype=np.bool_)
RNG = np.random.default_rng(7)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bundles.Bundle:
    return random_bundle("plain", list(LABELS), ["*"], tmp_path_factory.mktemp("models"), 64)


def random_images(count: int, size: int = 64) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, size, size, 3), np.uint8)


def bundle_of(model: Any, models: Path, size: int = 64, **measured: Any) -> bundles.Bundle:
    design = Design("made", LABELS, ("*",), Preparation(width=size, height=size), "made")
    known = Measured(**{"temperature": 1.0, "thresholds": (0.5,) * 3, "data": DataSet(images=0)} | measured)
    return assemble(model, design, known, list(random_images(2, size)), models)


def grad_cam(model: Any, feature_layer: str, images: np.ndarray, temperature: float) -> np.ndarray:
    """Grad-CAM as its paper has it, with TensorFlow's gradient tape, on the probability of the winning label."""
    import tensorflow as tf  # noqa: PLC0415  slow, and only here

    keras = backend.keras()
    feeding = model.get_layer(feature_layer).input
    head = model.layers[-1]
    halves = keras.Model(model.inputs[0], feeding)
    features = tf.convert_to_tensor(halves(images.astype(np.float32), training=False))
    with tf.GradientTape() as tape:
        tape.watch(features)
        logits = tf.reduce_mean(features, axis=(1, 2)) @ head.kernel.value + head.bias.value
        winning = tf.reduce_max(tf.nn.softmax(logits / temperature), axis=1)
    weights = tf.reduce_mean(tape.gradient(winning, features), axis=(1, 2), keepdims=True)
    maps = tf.nn.relu(tf.reduce_sum(weights * features, axis=-1)).numpy()
    return maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-30)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 3.0])
def test_the_map_is_what_grad_cam_computes_with_gradients(temperature: float) -> None:
    keras = backend.keras()
    keras.utils.set_random_seed(5)
    model = network.plain(64, 64, 3)
    images = random_images(6)
    head = split(keras, model)
    features = head.trunk(images.astype(np.float32), training=False)
    logits = keras.ops.matmul(keras.ops.mean(features, axis=(1, 2)), head.kernel) + head.bias

    maps = keras.ops.convert_to_numpy(evidence(keras, head, features, logits / temperature, EVERY_OTHER))

    reference = grad_cam(model, "embedding", images, temperature)
    assert maps.shape == (6, 8, 8)
    assert reference.max() > 0
    np.testing.assert_allclose(maps, reference, atol=1e-5)


def test_a_saturated_softmax_still_has_a_map() -> None:
    keras = backend.keras()
    model = network.plain(64, 64, 3)
    head = split(keras, model)
    features = head.trunk(random_images(2).astype(np.float32), training=False)
    certain = np.array([[0.0, 90.0, 0.0]] * 2, np.float32)

    maps = keras.ops.convert_to_numpy(evidence(keras, head, features, certain, EVERY_OTHER))

    direction = head.kernel[:, 1] - (head.kernel[:, 0] + head.kernel[:, 2]) / 2
    wanted = np.maximum(np.asarray(features) @ direction, 0)
    np.testing.assert_allclose(maps, wanted / wanted.max(axis=(1, 2), keepdims=True), atol=1e-5)


def test_the_map_of_a_fault_shows_what_is_not_good_about_it_however_likely_a_third_label_is() -> None:
    keras = backend.keras()
    head = split(keras, network.plain(64, 64, 3))
    features = head.trunk(random_images(2).astype(np.float32), training=False)
    rivals = rivals_of([Meaning.GOOD, Meaning.BAD, Meaning.EMPTY])
    bad_or_empty = np.array([[-90.0, 9.0, 8.0], [9.0, 8.0, -90.0]], np.float32)

    maps = keras.ops.convert_to_numpy(evidence(keras, head, features, bad_or_empty, rivals))

    directions = head.kernel[:, 1] - head.kernel[:, 0], head.kernel[:, 0] - head.kernel[:, 1]
    for shown, its, direction in zip(maps, np.asarray(features), directions, strict=True):
        wanted = np.maximum(its @ direction, 0)
        np.testing.assert_allclose(shown, wanted / max(wanted.max(), 1e-12), atol=1e-4)


def test_without_a_good_label_every_other_is_a_rival() -> None:
    assert rivals_of([Meaning.BAD, Meaning.OTHER, Meaning.EMPTY]).tolist() == EVERY_OTHER.tolist()
    of_four = rivals_of([Meaning.GOOD, Meaning.BAD, Meaning.GOOD, Meaning.OTHER])
    assert of_four.astype(int).tolist() == [[0, 1, 1, 1], [1, 0, 1, 0], [1, 1, 0, 1], [1, 0, 1, 0]]


def test_scores_are_those_of_the_saved_network_at_temperature_one(small: bundles.Bundle) -> None:
    images = random_images(5)
    served = KerasRuntime(small, batch=4).compute(images)
    model = backend.keras().saving.load_model(small.model)

    np.testing.assert_allclose(served.scores, model.predict(images, verbose=0), atol=1e-5)
    np.testing.assert_allclose(served.scores.sum(axis=1), 1.0, atol=1e-5)
    assert served.heatmaps is not None
    assert served.heatmaps.dtype == np.uint8
    assert served.heatmaps.shape == (5, 8, 8)
    assert set(served.heatmaps.max(axis=(1, 2))) <= {0, 255}
    assert served.embeddings.dtype == np.float32
    assert served.embeddings.shape[0] == 5


def test_the_temperature_cools_the_scores(tmp_path: Path) -> None:
    model = network.plain(64, 64, 3)
    images = random_images(3)
    hot = KerasRuntime(bundle_of(model, tmp_path, temperature=2.0), batch=4).compute(images)

    powers = np.exp(hot.logits.astype(float) / 2.0)
    np.testing.assert_allclose(hot.scores, powers / powers.sum(axis=1, keepdims=True), atol=1e-5)


def test_padding_changes_no_answer(small: bundles.Bundle) -> None:
    served = KerasRuntime(small, batch=16)
    images = random_images(16)
    whole = served.compute(images)
    for count in (1, 3, 5):
        part = served.compute(images[:count])
        assert len(part.scores) == count
        np.testing.assert_allclose(part.logits, whole.logits[:count], atol=1e-4)


def test_warming_up_compiles_every_size_there_is(small: bundles.Bundle) -> None:
    served = KerasRuntime(small, batch=6)
    assert served.sizes == (1, 4, 6)
    served.warm()
    compiled = served._forward.experimental_get_tracing_count()
    assert compiled == 3
    for count in range(1, 14):
        served.compute(random_images(count))
    assert served._forward.experimental_get_tracing_count() == compiled


def test_novelty_comes_with_the_scores(tmp_path: Path) -> None:
    model = network.plain(64, 64, 3)
    head = split(backend.keras(), model)
    flat = np.full((40, 64, 64, 3), 120, np.uint8) + RNG.integers(0, 4, (40, 64, 64, 3), np.uint8)
    embeddings = np.asarray(
        one_pass(backend.keras(), head, flat, scale=1.0, offset=0.0, temperature=1.0, meanings=list(LABELS.values()))[
            2
        ],
        np.float32,
    )
    known = novelty.fit(embeddings[:30], embeddings[30:])
    served = KerasRuntime(bundle_of(model, tmp_path, novelty=known), batch=4)

    familiar, strange = served.compute(flat[:4]).novelties, served.compute(random_images(4)).novelties
    assert familiar is not None
    assert strange is not None
    assert familiar.max() < 1.0 < strange.min()


def test_recorded_scaling_reaches_the_network(tmp_path: Path) -> None:
    keras = backend.keras()
    images = keras.layers.Input((16, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    model = keras.Model(images, keras.layers.Dense(3, activation="softmax")(pooled))
    design = Design("scaled", LABELS, ("*",), Preparation(width=16, height=16, scale=1 / 127.5, offset=-1.0), "made")
    made = assemble(model, design, Measured(1.0, (0.5,) * 3, DataSet(images=0)), list(random_images(1, 16)), tmp_path)
    white = KerasRuntime(made, batch=1).compute(np.full((1, 16, 16, 3), 255, np.uint8))
    np.testing.assert_allclose(white.embeddings, 1.0, atol=1e-6)


def made_by(build: Callable[[Any], Any]) -> Any:
    return build(backend.keras())


def mobilenet_with_its_own_top(keras: Any) -> Any:
    return keras.applications.MobileNetV3Small(weights=None, classes=3, input_shape=(64, 64, 3))


def normalised_after_pooling(keras: Any) -> Any:  # as ConvNeXt does
    layers = [keras.layers.Input((64, 64, 3)), keras.layers.Conv2D(4, 3, strides=8)]
    top = [keras.layers.GlobalAveragePooling2D(), keras.layers.LayerNormalization(), keras.layers.Dense(3, "softmax")]
    return keras.Sequential([*layers, *top])


def flattened(keras: Any) -> Any:
    layers = [keras.layers.Input((64, 64, 3)), keras.layers.Conv2D(4, 3, strides=8), keras.layers.Flatten()]
    return keras.Sequential([*layers, keras.layers.Dense(3), keras.layers.Softmax()])


def convolved_then_pooled(keras: Any) -> Any:
    layers = [keras.layers.Input((64, 64, 3)), keras.layers.Conv2D(4, 3, strides=8), keras.layers.Conv2D(3, 1)]
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Activation("softmax")])


def nested(keras: Any) -> Any:
    inner = keras.Sequential([keras.layers.Input((64, 64, 3)), keras.layers.Conv2D(4, 3, strides=8)])
    top = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dropout(0.5), keras.layers.Dense(3, "softmax")]
    return keras.Sequential([keras.layers.Input((64, 64, 3)), inner, *top])


@pytest.mark.parametrize(
    ("build", "has_map"),
    [
        (mobilenet_with_its_own_top, False),
        (normalised_after_pooling, False),
        (flattened, False),
        (convolved_then_pooled, True),
        (nested, True),
    ],
)
def test_networks_with_other_ends_give_what_they_can(
    build: Callable[[Any], Any], has_map: bool, tmp_path: Path
) -> None:
    model = made_by(build)
    made = bundle_of(model, tmp_path)
    images = random_images(2)
    served = runtime.ready(made, KerasRuntime, 1).compute(images)

    np.testing.assert_allclose(served.scores, model.predict(images, verbose=0), atol=1e-4)
    assert (served.heatmaps is not None) == has_map
    assert served.embeddings.ndim == 2


@pytest.mark.parametrize("name", ["ResNet50", "MobileNetV3Small", "ConvNeXtTiny"])
def test_applications_are_built_with_a_head_that_has_maps(name: str) -> None:
    head = split(backend.keras(), network.application(name, 64, 3))

    assert head.maps
    assert head.trunk.outputs[0].shape[1:3] == (2, 2)
    assert head.kernel.shape == (head.trunk.outputs[0].shape[-1], 3)


@pytest.mark.parametrize("name", ["InceptionV3", "ResNet50", "DenseNet121", "EfficientNetB0"])
def test_an_application_ranges_its_values_as_its_family_does(name: str) -> None:
    keras = backend.keras()
    image = keras.layers.Input((8, 8, 3))
    ranged = keras.Model(image, network._ranged(keras, name, image))
    family = {
        "InceptionV3": keras.applications.inception_v3,
        "ResNet50": keras.applications.resnet50,
        "DenseNet121": keras.applications.densenet,
        "EfficientNetB0": keras.applications.efficientnet,
    }[name]
    values = random_images(2, 8).astype(np.float32)

    np.testing.assert_allclose(
        np.asarray(ranged(values)), np.asarray(family.preprocess_input(values.copy())), atol=1e-3
    )


@pytest.mark.parametrize(("name", "size"), [("NoSuchNet", 64), ("inception_v3", 64), ("InceptionV3", 20)])
def test_networks_that_cannot_be_had_are_wrong_configuration(name: str, size: int) -> None:
    with pytest.raises(ConfigurationError):
        network.application(name, size, 3)


def test_sizes_that_leave_a_rest_are_wrong_configuration() -> None:
    with pytest.raises(ConfigurationError, match="multiples of 8"):
        network.plain(100, 64, 3)


def sigmoid_end(keras: Any) -> Any:
    return keras.Sequential([keras.layers.Input((64, 64, 3)), keras.layers.Flatten(), keras.layers.Dense(3, "sigmoid")])


def pooled_probabilities(keras: Any) -> Any:
    layers = [keras.layers.Input((64, 64, 3)), keras.layers.Conv2D(3, 1, activation="softmax")]
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D()])


def normalised_end(keras: Any) -> Any:
    layers = [keras.layers.Input((64, 64, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    return keras.Sequential([*layers, keras.layers.BatchNormalization()])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (sigmoid_end, "ends in sigmoid"),
        (pooled_probabilities, "averages probabilities"),
        (normalised_end, "ends in BatchNormalization"),
    ],
)
def test_networks_that_are_no_classifier_are_refused(build: Callable[[Any], Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=words):
        bundle_of(made_by(build), tmp_path)


def test_labels_and_outputs_must_be_as_many(tmp_path: Path) -> None:
    model = network.plain(64, 64, 4)
    with pytest.raises(BundleError, match="4 outputs for 3 labels"):
        bundle_of(model, tmp_path)
    made = bundle_of(network.plain(64, 64, 3), tmp_path)
    manifest = made.manifest.model_copy(update={"labels": made.manifest.labels[:2]})
    with pytest.raises(BundleError, match="3 outputs for 2 labels"):
        KerasRuntime(bundles.Bundle(made.folder, manifest))


def test_images_of_another_size_than_the_manifest_says_are_refused(tmp_path: Path) -> None:
    model = network.plain(64, 64, 3)
    made = bundle_of(model, tmp_path)
    manifest = made.manifest.model_copy(update={"preparation": Preparation(width=32, height=64)})
    with pytest.raises(BundleError, match="wants images of shape"):
        KerasRuntime(bundles.Bundle(made.folder, manifest))


def altered(source: Path, target: Path, change: Callable[[dict[str, Any]], None], extra: str = "") -> Path:
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        for entry in before.namelist():
            content = before.read(entry)
            if entry == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config).encode()
            after.writestr(entry, content)
        if extra:
            after.writestr(extra, b"x")
    return target


def of_class(name: str, module: str | None = "keras.layers", registered: str | None = None) -> Callable[[Any], None]:
    def change(config: dict[str, Any]) -> None:
        layer = config["config"]["layers"][1]
        layer.update(class_name=name, module=module, registered_name=registered)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (of_class("Lambda"), r"uses keras\.layers\.Lambda, which is none of the known layers"),
        (of_class("TFSMLayer"), r"uses keras\.layers\.TFSMLayer"),
        (of_class("system", "os"), r"uses os\.system"),
        (of_class("Thing", "keras_evil.layers"), r"uses keras_evil\.layers\.Thing"),
        (of_class("Thing", None, "mine>Thing"), "custom object 'mine>Thing'"),
    ],
)
def test_a_network_that_could_run_code_is_refused_unread(
    change: Callable[[Any], None], words: str, small: bundles.Bundle, tmp_path: Path
) -> None:
    vet(small.model)
    with pytest.raises(BundleError, match=words):
        vet(altered(small.model, tmp_path / "model.keras", change))


def test_a_network_with_luggage_is_refused(small: bundles.Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"holds assets/run\.py"):
        vet(altered(small.model, tmp_path / "model.keras", lambda _config: None, "assets/run.py"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip"])
def test_what_is_no_network_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"no \.keras file"):
        vet(path)


def test_a_zip_without_weights_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", "{}")
    path = tmp_path / "model.keras"
    path.write_bytes(file.getvalue())
    with pytest.raises(BundleError, match=r"lacks metadata\.json, model\.weights\.h5"):
        vet(path)


def test_weights_that_do_not_fit_are_a_bundle_error(small: bundles.Bundle, tmp_path: Path) -> None:
    folder = tmp_path / small.id
    folder.mkdir()

    def wider(config: dict[str, Any]) -> None:
        layer = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Conv2D")
        layer["config"]["filters"] = 17

    altered(small.model, folder / "model.keras", wider)
    with pytest.raises(BundleError, match="cannot be loaded"):
        KerasRuntime(bundles.Bundle(folder, small.manifest.model_copy(update={"files": {}})))


@pytest.mark.filterwarnings("ignore:Skipping nested container")  # Keras looks in two places, and finds neither
@pytest.mark.parametrize("kind", ["external file", "other file", "virtual"])
def test_weights_that_lead_to_other_files_of_the_host_are_not_read(
    kind: str, small: bundles.Bundle, tmp_path: Path
) -> None:
    import h5py  # noqa: PLC0415  it comes with Keras

    folder = tmp_path / small.id
    folder.mkdir()
    with zipfile.ZipFile(small.model) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = tmp_path / "model.weights.h5"
    weights.write_bytes(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        found: list[str] = []
        file.visititems(lambda name, one: found.append(name) if isinstance(one, h5py.Dataset) else None)
        shape, dtype = file[found[0]].shape, file[found[0]].dtype
        del file[found[0]]
        if kind == "external file":
            length = int(np.prod(shape)) * dtype.itemsize
            file.create_dataset(found[0], shape, dtype, external=[("/etc/passwd", 0, length)])
        elif kind == "other file":
            file[found[0]] = h5py.ExternalLink("/etc/passwd", "/weights")
        else:
            layout = h5py.VirtualLayout(shape, dtype)
            layout[...] = h5py.VirtualSource("/etc/passwd", "weights", shape)
            file.create_virtual_dataset(found[0], layout)
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        for name, content in {**members, "model.weights.h5": weights.read_bytes()}.items():
            archive.writestr(name, content)
    with pytest.raises(BundleError, match="cannot be loaded"):
        KerasRuntime(bundles.Bundle(folder, small.manifest))


def test_pictures_of_a_wrong_shape_are_a_bundle_error(small: bundles.Bundle) -> None:
    served = KerasRuntime(small, batch=2)
    with pytest.raises(BundleError, match="could not compute"):
        served.compute(random_images(2, 32)[..., :1])


def test_too_little_memory_is_told_from_other_faults(small: bundles.Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf  # noqa: PLC0415  the fault is its own

    served = KerasRuntime(small, batch=2)
    for fault, kind in (
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"), NoRoom),
        (tf.errors.InternalError(None, None, "RESOURCE_EXHAUSTED: out of memory"), NoRoom),
        (MemoryError(), NoRoom),
        (tf.errors.InternalError(None, None, "a kernel failed"), BundleError),
    ):

        def fail(_: object, fault: BaseException = fault) -> None:
            raise fault

        monkeypatch.setattr(served, "_forward", fail)
        with pytest.raises(BundleError, match="could not compute") as raised:
            served.compute(random_images(2, 32))
        assert type(raised.value) is kind


def test_nothing_of_a_learning_library_is_loaded_before_a_model_is() -> None:
    code = (
        "import sys, hydrad.classify.service, hydrad.classify.keras_runtime, hydrad.schooling, hydrad.shipped\n"
        "found = {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_keras_comes_in_quietly() -> None:
    code = "import sys; from hydrad.classify import backend; backend.keras(); print('said', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stderr == "said\n"
    assert done.stdout == ""
