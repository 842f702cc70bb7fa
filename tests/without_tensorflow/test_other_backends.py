"""Keras on another backend, where TensorFlow is not installed: it answers, learns and serves as TensorFlow does."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from daemon import FIXED_BEAM, Daemon, dump
from training_world import digits

from hydrad import shipped
from hydrad.classify import bundle as bundles
from hydrad.classify import opening, runtime
from hydrad.classify.bundle import Bundle
from hydrad.classify.keras_runtime import KerasRuntime
from hydrad.classify.openvino_runtime import OpenVinoRuntime
from hydrad.domain import Status
from hydrad.sim.faults import Fault
from hydrad.train.assemble import random_bundle

pytestmark = [pytest.mark.keras, pytest.mark.timeout(300)]

ANSWERS = ("logits", "scores", "embeddings", "heatmaps", "novelties")
PLOT = "CDC_occupancy"
NOT_INSTALLED = """
import importlib.machinery

installed = importlib.machinery.PathFinder.find_spec


def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] == "tensorflow" else installed(name, path, target)


importlib.machinery.PathFinder.find_spec = find_spec
"""
COMPUTE = f"""
import sys
from pathlib import Path
import numpy as np
from hydrad.classify import backend, bundle
from hydrad.classify.keras_runtime import KerasRuntime
answers = KerasRuntime(bundle.read(Path(sys.argv[1])), 4).compute(np.load(sys.argv[2]))
np.savez(sys.argv[3], **{{name: getattr(answers, name) for name in {ANSWERS} if getattr(answers, name) is not None}})
print(backend.where())
assert "tensorflow" not in sys.modules
"""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.skipif(importlib.util.find_spec(name) is None, reason="not installed"))
        for name in ("jax", "torch")
    ],
)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def elsewhere(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a program that has this backend and no TensorFlow."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(NOT_INSTALLED)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]), "KERAS_BACKEND": backend}


def made(network: str, models: Path) -> Bundle:
    if network == "shipped":
        return bundles.read(shipped.folder())
    return random_bundle(network, ["Good", "Bad", "NoData"], ["*"], models, 96)


@pytest.mark.parametrize("network", ["shipped", "plain", "InceptionV3", "EfficientNetV2B0", "ConvNeXtTiny"])
def test_scores_maps_and_embeddings_are_those_of_tensorflow(
    network: str, backend: str, elsewhere: Mapping[str, str], tmp_path: Path
) -> None:
    bundle = made(network, tmp_path)
    images = np.random.default_rng(3).integers(0, 256, (6, *bundle.manifest.preparation.shape), np.uint8)
    np.save(tmp_path / "images.npy", images)
    files = [bundle.folder, tmp_path / "images.npy", tmp_path / "answers.npz"]
    done = subprocess.run(
        [sys.executable, "-c", COMPUTE, *files], check=True, env=elsewhere, timeout=250, capture_output=True, text=True
    )
    assert done.stdout == f"keras/{backend} cpu float32\n"
    found, wanted = np.load(files[-1]), KerasRuntime(bundle, 4).compute(images)
    for name in found.files:
        true = np.asarray(getattr(wanted, name), np.float64)
        coarse = 1.0 if name == "heatmaps" else 0.0  # they are rounded
        np.testing.assert_allclose(found[name], true, atol=1e-3 * float(np.abs(true).max()) + coarse, err_msg=name)
    assert {*found.files} == {name for name in ANSWERS if getattr(wanted, name) is not None}
    if network == "shipped":
        assert {*found.files} == {*ANSWERS}
        served = OpenVinoRuntime(bundle, 4).compute(images)
        np.testing.assert_allclose(found["scores"], served.scores, atol=2e-3)


def run(home: Path, environment: Mapping[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "hydrad", *words, "-c", str(home / "hydra.toml")]
    done = subprocess.run(command, check=False, cwd=home, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_was_learned_there_serves_here(elsewhere: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "hydra.toml").write_text(
        '[beam]\nkind = "fixed"\n[train]\nwidth = 32\nheight = 32\nepochs = 6\nthreads = 1\n'
    )
    digits(tmp_path / "digits", (0, 1))
    run(tmp_path, elsewhere, "label", "import", str(tmp_path / "digits"), "--plot", "digits")
    document: dict[str, Any] = json.loads(run(tmp_path, elsewhere, "train", "digits", "--id", "small", "--json"))
    assert document["metrics"]["balanced_accuracy"] > 0.98
    bundle = bundles.read(tmp_path / "models" / "small")
    assert runtime.ready(bundle, opening.Opener("keras"), 4).name.startswith("keras/tensorflow")


def test_the_daemon_serves_on_it(backend: str, elsewhere: Mapping[str, str], tmp_path: Path) -> None:
    shutil.copytree(shipped.folder(), tmp_path / "models" / shipped.ID)
    beam = FIXED_BEAM + '[classify]\nkind = "keras"\n'
    with Daemon(tmp_path, layout="rsai", beam=beam, environment=elsewhere) as hydrad:
        hydrad.start()
        assert f"keras/{backend} cpu float32" in hydrad.log.read_text()
        for chunk, status in enumerate((Status.GOOD, Status.BAD, Status.BAD), start=1):
            faults = [] if status is Status.GOOD else [Fault("dead_board", at=PLOT, where=88)]
            dump(hydrad, PLOT, chunk, faults)
            hydrad.until(lambda chunk=chunk: hydrad.counts()["judged"] >= chunk, 60)
            if chunk != 2:  # a first bad image alone is SUSPECT
                hydrad.until(lambda status=status: hydrad.pv("CDC:OCCUPANCY:STATUS").get() == status)


def test_nobody_has_to_name_the_one_that_is_installed(elsewhere: Mapping[str, str]) -> None:
    environment = {name: value for name, value in elsewhere.items() if name != "KERAS_BACKEND"}
    code = "from hydrad.classify import backend; print(backend.where())"
    done = subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True, text=True)
    first = next(name for name in ("jax", "torch") if importlib.util.find_spec(name) is not None)
    assert done.stdout == f"keras/{first} cpu float32\n"
