"""OpenVINO answers as Keras does, in a precision that a bundle was calibrated for, and reads nothing but networks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from loud_network import LABELS, PREPARATION, loud, random_images
from structlog.testing import capture_logs

from hydrad import shipped
from hydrad.classify import bundle as bundles
from hydrad.classify import novelty, opening, runtime
from hydrad.classify.bundle import Bundle
from hydrad.classify.export_vetting import vet
from hydrad.classify.keras_runtime import KerasRuntime
from hydrad.classify.manifest import EXPORT, Calibration, DataSet
from hydrad.classify.openvino_runtime import Network, OpenVinoRuntime, computes_bfloat16
from hydrad.errors import BundleError
from hydrad.train.assemble import Design, Measured, assemble, look, random_bundle
from hydrad.train.exporting import Trained, exported

pytestmark = [pytest.mark.keras]

ITS_OWN = Calibration(temperature=2.5, thresholds={"Good": 0.4, "Bad": 0.7, "NoData": 0.6})
needs_bfloat16 = pytest.mark.skipif(not computes_bfloat16(), reason="this CPU does not compute in bfloat16")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    model, images, meanings = loud(), random_images(40), [*LABELS.values()]
    familiar = novelty.fit(*(look(model, PREPARATION, meanings, random_images(n)).embeddings for n in (30, 10)))
    seen = look(model, PREPARATION, meanings, images)
    with exported(Trained(model, PREPARATION, meanings), images, seen, lambda _: (ITS_OWN, familiar)) as export:
        assert export is not None
        design = Design("made", LABELS, ("*",), PREPARATION, "made")
        measured = Measured(1.5, (0.5,) * 3, DataSet(images=0), familiar)
        return assemble(model, design, measured, list(images[:3]), tmp_path_factory.mktemp("models"), export=export)


@pytest.mark.parametrize("count", [1, 3, 9])
def test_in_float32_it_answers_as_keras_does(made: Bundle, count: int) -> None:
    images = random_images(count)
    wanted = KerasRuntime(made, 4).compute(images)
    found = OpenVinoRuntime(made, 4, "float32").compute(images)

    assert np.ptp(wanted.scores, axis=0).max() > 0.01 or count == 1
    np.testing.assert_allclose(found.logits, wanted.logits, atol=1e-3)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
    np.testing.assert_allclose(found.embeddings, wanted.embeddings, atol=1e-4)
    np.testing.assert_allclose(found.novelties, wanted.novelties, atol=1e-3)
    assert np.abs(found.heatmaps.astype(int) - wanted.heatmaps).max() <= 1


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_of_many_images_each_thread_computes_its_share(made: Bundle, count: int) -> None:
    alone, together = (
        Network(made.folder / EXPORT[0], PREPARATION.shape, len(LABELS), "float32", threads) for threads in (1, 3)
    )
    images = random_images(count)
    for found, wanted in zip(together.answer(images, 1.5), alone.answer(images, 1.5), strict=True):
        assert len(found) == count
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_what_cannot_be_computed_leaves_the_network_as_it_was(made: Bundle) -> None:
    network = Network(made.folder / EXPORT[0], PREPARATION.shape, len(LABELS), "float32", 2)
    images = random_images(4)
    before = network.answer(images, 1.0)
    with pytest.raises(RuntimeError):
        network.answer(images[:, :-8], 1.0)
    for found, wanted in zip(network.answer(images, 1.0), before, strict=True):
        np.testing.assert_array_equal(found, wanted)


@needs_bfloat16
def test_another_precision_has_its_own_temperature_thresholds_and_self_test(made: Bundle) -> None:
    served = runtime.ready(made, opening.Opener("openvino", "bfloat16"), 4)
    assert served.name == "openvino cpu bfloat16"
    assert runtime.card(served).thresholds == ITS_OWN.thresholds
    answers = served.compute(random_images(5))
    odds = np.exp(answers.logits / ITS_OWN.temperature)
    np.testing.assert_allclose(answers.scores, odds / odds.sum(axis=1, keepdims=True), atol=1e-2)
    exact = runtime.ready(made, opening.Opener("openvino", "float32"), 4)
    assert set(runtime.card(exact).thresholds.values()) == {0.5}
    golden = made.golden()
    assert not np.array_equal(golden.computed_in("bfloat16").logits, golden.logits)


def test_a_precision_that_nobody_measured_is_refused(tmp_path: Path, made: Bundle) -> None:
    parts = {name: made.folder / name for name in made.manifest.files if "bfloat16" not in name}
    bare = bundles.write(tmp_path, made.manifest.model_copy(update={"precisions": {}}), parts)
    assert runtime.ready(bare, opening.Opener(), 4).name == "openvino cpu float32"
    with pytest.raises(BundleError, match="not calibrated for bfloat16"):
        OpenVinoRuntime(bare, 4, "bfloat16")


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
@pytest.mark.parametrize("kind", ["auto", "openvino"])
def test_a_precision_that_is_asked_for_in_vain_costs_no_verdict(
    tmp_path: Path, made: Bundle, kind: opening.Kind, precision: opening.Wished
) -> None:
    parts = {name: made.folder / name for name in made.manifest.files if "bfloat16" not in name}
    bare = bundles.write(tmp_path, made.manifest.model_copy(update={"precisions": {}}), parts)
    with capture_logs() as lines:
        served = runtime.ready(bare, opening.Opener(kind, precision), 4)
    assert served.name == "openvino cpu float32"
    assert {"event": "not_calibrated", "model": "made", "asked_for": precision} in [
        {key: line.get(key) for key in ("event", "model", "asked_for")} for line in lines
    ]
    images = random_images(3)
    np.testing.assert_array_equal(
        served.compute(images).scores, OpenVinoRuntime(bare, 4, "float32").compute(images).scores
    )


def test_without_an_export_keras_computes(tmp_path: Path) -> None:
    bare = random_bundle("plain", [*LABELS], ["*"], tmp_path, 64)
    assert bare.export is None
    assert runtime.ready(bare, opening.Opener(), 4).name.startswith("keras/")
    with pytest.raises(BundleError, match="it has no export"):
        runtime.ready(bare, opening.Opener("openvino"), 4)


def test_an_export_of_another_network_fails_its_self_test(tmp_path: Path, made: Bundle) -> None:
    model, images, meanings = loud(seed=6), random_images(4), [*LABELS.values()]
    seen = look(model, PREPARATION, meanings, images)
    with exported(Trained(model, PREPARATION, meanings), images, seen, lambda _: (ITS_OWN, None)) as other:
        assert other is not None
        parts = {name: made.folder / name for name in made.manifest.files} | dict(other.files)
        mixed = bundles.write(tmp_path, made.manifest, parts)
    for precision in mixed.precisions:
        with pytest.raises(BundleError, match="its self-test failed"):
            runtime.ready(mixed, opening.Opener("openvino", precision), 4)


def test_an_export_that_answers_otherwise_than_keras_is_not_kept() -> None:
    model, images, meanings = loud(), random_images(4), [*LABELS.values()]
    seen = look(loud(seed=6), PREPARATION, meanings, images)
    with exported(Trained(model, PREPARATION, meanings), images, seen, lambda _: (ITS_OWN, None)) as export:
        assert export is None


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replaced('type="Convolution" version="opset1"', 'type="Loop" version="opset5"'), "uses Loop of opset5"),
        (replaced('type="ReLU" version="opset1"', 'type="ReLU" version="extension"'), "uses ReLU of extension"),
        (replaced('type="ReLU"', 'type="ReadValue"'), "uses ReadValue"),
        (replaced('offset="0"', 'offset="99999999999"'), "do not lie in the file beside it"),
        (replaced('offset="0"', 'offset="-8"'), "do not lie in the file beside it"),
        (replaced("<net", '<!DOCTYPE net [<!ENTITY a "b">]><net'), "declares"),
        (lambda text: text[:-20], "cannot be read"),
    ],
)
def test_what_is_more_or_less_than_a_network_is_refused(
    made: Bundle, tmp_path: Path, change: Callable[[str], str], words: str
) -> None:
    for name in EXPORT:
        shutil.copy(made.folder / name, tmp_path / name)
    vet(tmp_path / EXPORT[0])
    (tmp_path / EXPORT[0]).write_text(change((tmp_path / EXPORT[0]).read_text()))
    with pytest.raises(BundleError, match=words):
        vet(tmp_path / EXPORT[0])


ALONE = """
import sys
from pathlib import Path
import numpy as np
from hydrad.classify import bundle, opening, runtime
served = runtime.ready(bundle.read(Path(sys.argv[1])), opening.Opener(), 4)
served.compute(np.zeros((2, 64, 64, 3), np.uint8))
assert served.name.startswith("openvino"), served.name
assert not {"keras", "tensorflow"} & set(sys.modules), "Keras was loaded"
"""


def test_to_serve_an_export_takes_no_keras_and_writes_nothing_at_home(made: Bundle, tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", ALONE, made.folder], check=True, env=environment, timeout=100)
    assert list(tmp_path.iterdir()) == []


RESTING = """
import ctypes, sys
from pathlib import Path
import numpy as np
from hydrad import footprint
from hydrad.classify import bundle, openvino_runtime
M_MMAP_MAX = -4
assert ctypes.CDLL(None).mallopt(M_MMAP_MAX, 0)  # a process that lives long takes large blocks from its heap too
served = openvino_runtime.OpenVinoRuntime(bundle.read(Path(sys.argv[1])), 32, "float32")
images = np.random.default_rng(5).integers(0, 256, (32, *served.bundle.manifest.preparation.shape), np.uint8)
before = served.compute(images)
later = [bytes(600) for _ in range(200_000)]  # the heap has something at its end
held = footprint.own().memory_bytes
served.rest()
print(held - footprint.own().memory_bytes)
after = served.compute(images)
np.testing.assert_array_equal(after.scores, before.scores)
np.testing.assert_array_equal(after.heatmaps, before.heatmaps)
"""


def test_what_rests_gives_its_memory_back_and_answers_the_same() -> None:
    resting = [sys.executable, "-c", RESTING, str(shipped.folder())]
    given_back = subprocess.run(resting, check=True, stdout=subprocess.PIPE, timeout=100).stdout
    assert int(given_back) > 10e6
