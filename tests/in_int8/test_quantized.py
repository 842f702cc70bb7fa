"""NNCF quantizes a network that has learned: convolutions and nothing else, in silence, and alike for equal images."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loud_network import LABELS, PREPARATION, loud, random_images
from training_world import digits

from hydrad.classify import bundle as bundles
from hydrad.classify import novelty, opening, runtime
from hydrad.classify.bundle import Bundle
from hydrad.classify.keras_runtime import KerasRuntime
from hydrad.classify.manifest import EXPORT, EXPORT_INT8, Calibration, DataSet
from hydrad.classify.openvino_runtime import OpenVinoRuntime
from hydrad.classify.silent import openvino
from hydrad.domain import Meaning
from hydrad.train import quantizing
from hydrad.train.assemble import Design, Measured, assemble, look
from hydrad.train.exporting import Trained, exported

pytest.importorskip("nncf")
pytestmark = [pytest.mark.keras, pytest.mark.timeout(300)]

ITS_OWN = Calibration(temperature=2.5, thresholds={"Good": 0.4, "Bad": 0.7, "NoData": 0.6})
MEANINGS: list[Meaning] = [*LABELS.values()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    model, images = loud(), random_images(40)
    seen = look(model, PREPARATION, MEANINGS, images)
    familiar = novelty.fit(*(look(model, PREPARATION, MEANINGS, random_images(n)).embeddings for n in (30, 10)))
    trained = Trained(model, PREPARATION, MEANINGS)
    with exported(trained, images, seen, lambda _: (ITS_OWN, familiar), learned=random_images(20)) as export:
        assert export is not None
        design = Design("made", LABELS, ("*",), PREPARATION, "made")
        measured = Measured(1.5, (0.5,) * 3, DataSet(images=0), familiar, {"exports": dict(export.figures)})
        return assemble(model, design, measured, list(images[:3]), tmp_path_factory.mktemp("models"), export=export)


def test_what_was_quantized_passes_its_tests_and_answers_nearly_alike(made: Bundle) -> None:
    read = bundles.read(made.folder)
    assert "int8" in read.precisions
    assert "novelty-int8.npz" in read.manifest.files
    served = runtime.ready(read, opening.Opener("openvino", "int8"), 4)
    images = random_images(9)
    answers, wanted = served.compute(images), KerasRuntime(made, 4).compute(images)
    off = np.abs(answers.logits - wanted.logits).max()
    assert 1e-3 < off < 0.1 * np.abs(wanted.logits).max()
    assert answers.heatmaps is not None
    assert answers.novelties is not None


def test_the_temperature_is_what_the_bundle_says_and_not_what_was_seen_while_quantizing(made: Bundle) -> None:
    answers = OpenVinoRuntime(made, 4, "int8").compute(random_images(5))
    odds = np.exp(answers.logits / ITS_OWN.temperature)
    np.testing.assert_allclose(answers.scores, odds / odds.sum(axis=1, keepdims=True), atol=1e-4)


def test_convolutions_are_quantized_and_nothing_else(made: Bundle) -> None:
    graph = openvino().Core().read_model(made.folder / EXPORT_INT8[0])
    fed = {
        port.get_node().get_type_name()
        for node in graph.get_ops()
        if node.get_type_name() == "FakeQuantize"
        for port in node.output(0).get_target_inputs()
    }
    assert "Convolution" in fed
    assert fed <= {"Convolution", "GroupConvolution", "ShapeOf"}
    weights = {
        node.get_element_type().get_type_name() for node in graph.get_ops() if node.get_type_name() == "Constant"
    }
    assert "i8" in weights


def test_equal_images_give_an_equal_network(made: Bundle, tmp_path: Path) -> None:
    quantizing.quantize(made.folder / EXPORT[0], tmp_path / EXPORT_INT8[0], random_images(20))
    assert (tmp_path / EXPORT_INT8[1]).read_bytes() == (made.folder / EXPORT_INT8[1]).read_bytes()


ELSEWHERE = """
import sys
from pathlib import Path
import numpy as np
from hydrad.classify.openvino_runtime import Network
answers = Network(Path(sys.argv[1]), (64, 64, 3), 3, "int8").answer(np.load(sys.argv[2]), 1.0)
np.save(sys.argv[3], answers[0])
"""


def test_a_cpu_without_instructions_for_it_says_the_same(made: Bundle, tmp_path: Path) -> None:
    images = np.random.default_rng(4).choice(
        np.array([0, 255], np.uint8), (12, *PREPARATION.shape)
    )  # as loud as can be
    np.save(tmp_path / "images.npy", images)
    said = []
    for instructions in ("AVX2", "DEFAULT"):
        environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": instructions, "PYTHONPATH": os.pathsep.join(sys.path)}
        files = [made.folder / EXPORT_INT8[0], tmp_path / "images.npy", tmp_path / f"{instructions}.npy"]
        subprocess.run([sys.executable, "-c", ELSEWHERE, *files], check=True, env=environment, timeout=100)
        said.append(np.load(files[-1]))
    np.testing.assert_allclose(said[0], said[1], atol=1e-3 * float(np.abs(said[1]).max()))


SILENT = """
import sys
from pathlib import Path
import numpy as np
from hydrad.train import quantizing
quantizing.quantize(Path(sys.argv[1]), Path(sys.argv[2]), np.zeros((4, 64, 64, 3), np.uint8))
assert sys.modules["openvino_telemetry"] is None
assert not {"keras", "tensorflow"} & set(sys.modules), "Keras was loaded"
"""


def test_to_quantize_says_nothing_and_writes_nothing_at_home(made: Bundle, tmp_path: Path) -> None:
    home, target = tmp_path / "home", tmp_path / EXPORT_INT8[0]
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-W", "error", "-c", SILENT, made.folder / EXPORT[0], target]
    done = subprocess.run(words, check=True, env=environment, timeout=100, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert list(home.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"home", *EXPORT_INT8}


def run(home: Path, *words: str) -> str:
    command = [sys.executable, "-m", "hydrad", *words, "-c", str(home / "hydra.toml")]
    done = subprocess.run(command, check=False, cwd=home, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_training_that_is_asked_to_states_what_int8_costs(tmp_path: Path) -> None:
    settings = '[beam]\nkind = "fixed"\n[train]\nwidth = 32\nheight = 32\nepochs = 6\nthreads = 1\n'
    (tmp_path / "hydra.toml").write_text(settings)
    digits(tmp_path / "digits", (0, 1))
    run(tmp_path, "label", "import", str(tmp_path / "digits"), "--plot", "digits")
    document: dict[str, Any] = json.loads(run(tmp_path, "train", "digits", "--int8", "--id", "small", "--json"))

    found = document["metrics"]["exports"]["int8"]
    assert found["images"] == document["metrics"]["images"]
    bundle = bundles.read(tmp_path / "models" / "small")
    assert ("int8" in bundle.precisions) == (found["other_label"] == 0)
    assert '<th scope="row">int8</th>' in (bundle.folder / "report.html").read_text()
    for precision in bundle.precisions:
        runtime.ready(bundle, opening.Opener("openvino", precision), 4)

    (tmp_path / "hydra.toml").write_text(settings + "int8 = true\n")
    assert " images held out get another label" in run(tmp_path, "train", "digits", "--id", "told")
    assert "int8" not in run(tmp_path, "train", "digits", "--no-int8", "--id", "untold")
