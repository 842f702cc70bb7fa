"""`hydrad label import`, then `hydrad train`: a folder of pictures becomes a candidate, in a process that gives way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from sqlalchemy import make_url
from training_world import digits

from hydrad import cli
from hydrad.classify import bundle as bundles
from hydrad.store.models import registry, trainings
from hydrad.store.queries import Store
from hydrad.store.tables import ModelState, TrainingState
from hydrad.train import modest

pytestmark = [pytest.mark.keras, pytest.mark.timeout(300)]

REAL = Path(__file__).parents[2].parent / "shared" / "real"
CONFIG = '[beam]\nkind = "fixed"\n[train]\nwidth = 32\nheight = 32\nepochs = 8\nthreads = 1\n'
VARYING = {"ms_per_image", "took_s"}  # of metrics: what two equal trainings differ in


@contextmanager
def hydrad(home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "hydrad", *words, "-c", str(home / "hydra.toml")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def run(home: Path, *words: str, code: int = 0) -> tuple[str, str]:
    with hydrad(home, *words) as process:
        output, errors = process.communicate(timeout=250)
    assert process.returncode == code, errors
    return output, errors


def same(metrics: Any) -> Any:
    """Metrics without what depends on the clock."""
    if isinstance(metrics, dict):
        return {name: same(value) for name, value in metrics.items() if name not in VARYING | {"model"}}
    return [same(one) for one in metrics] if isinstance(metrics, list) else metrics


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("digits")
    (home / "hydra.toml").write_text(CONFIG)
    digits(home / "digits", (0, 1))
    run(home, "label", "import", str(home / "digits"), "--plot", "digits")
    return home


@pytest.fixture(scope="module")
def trained(home: Path) -> tuple[dict[str, Any], str]:
    output, errors = run(home, "train", "digits", "--json", "--id", "first")
    return json.loads(output.splitlines()[-1]), errors


def opened(home: Path) -> Store:
    return Store(make_url(f"sqlite:///{home / 'hydra.db'}"))


def test_two_commands_learn_a_folder_of_pictures(home, trained):
    document, errors = trained
    assert document["id"] == "first"
    assert document["metrics"]["accuracy"]["value"] > 0.95
    assert document["metrics"]["images"] >= 60
    assert "split by image: results on new runs may be worse" in errors
    assert "epoch 1 of 8" in errors

    bundle = bundles.read(home / "models" / "first")
    assert bundle.manifest.names == ("digit 0", "digit 1")
    assert bundle.manifest.plots == ("digits",)
    assert (bundle.folder / "report.html").read_text().lower().startswith("<!doctype html>")
    assert len(bundle.golden().pictures) == 2
    with opened(home) as store:
        (place,) = [one for one in registry.places(store) if one.id == "first"]
        assert place.state is ModelState.CANDIDATE
        done = trainings.trainings(store)[-1]
    assert (done.state, done.model_id) == (TrainingState.DONE, "first")
    assert not list((home / "models").glob(".*"))


def test_a_training_that_is_stopped_gives_way_and_goes_on_to_the_same_metrics(home, trained):
    with hydrad(home, "train", "digits", "--id", "second") as process:
        assert process.stderr is not None
        seen = ""
        for line in process.stderr:
            seen += line
            if "epoch 2" in line:
                break
        beside = psutil.Process(process.pid)
        assert beside.nice() == 10
        assert os.sched_getscheduler(process.pid) == os.SCHED_BATCH
        assert int(Path(f"/proc/{process.pid}/oom_score_adj").read_text()) >= 800
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, seen + errors
    assert "go on with `hydrad train --resume second`" in errors
    with opened(home) as store:
        assert trainings.trainings(store)[0].state is TrainingState.STOPPED

    output, _ = run(home, "train", "--resume", "second", "--json")

    document = json.loads(output.splitlines()[-1])
    assert document["id"] == "second"
    assert same(document["metrics"]) == same(trained[0]["metrics"])
    with opened(home) as store:
        assert trainings.trainings(store)[0].state is TrainingState.DONE


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "nothing"], "nobody has labelled an image of 'nothing'"),
        (["train", "digits", "--resume", "x"], "no training 'x' was stopped"),
        (["train", "digits", "--id", "../x"], "id"),
        (["train", "digits", "--parent", "nobody"], "no bundle is called 'nobody'"),
        (["train", "digits", "--width", "5"], "width"),
        (["train", "digits", "--emulate", "gremlins"], "gremlins"),
        (["train", "digits", "--all-plots"], "--all-plots"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(home, words, says, capsys, monkeypatch):
    monkeypatch.setattr(modest, "step_back", lambda _: 1)  # it would hold for the tests to come, too
    assert cli.main([*words, "-c", str(home / "hydra.toml")]) == 2
    assert says in capsys.readouterr().err
    assert not list((home / "models").glob(".training-*"))


def test_int8_without_what_makes_it_is_refused_before_anything_is_read(home, capsys, monkeypatch):
    monkeypatch.setattr(modest, "step_back", lambda _: 1)
    monkeypatch.setitem(sys.modules, "nncf", None)  # to Python it is not installed
    assert cli.main(["train", "digits", "--int8", "--id", "small", "-c", str(home / "hydra.toml")]) == 2
    said = capsys.readouterr().err
    assert "train.int8: NNCF is not installed" in said
    assert "constraints/int8.txt" in said
    with opened(home) as store:
        assert all(one.settings["id"] != "small" for one in trainings.trainings(store))
    assert not list((home / "models").glob(".training-*"))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real images are not part of the project")
def test_a_run_with_data_is_told_from_an_empty_one_on_plots_never_seen(tmp_path):
    (tmp_path / "hydra.toml").write_text(CONFIG.replace("width = 32\nheight = 32\nepochs = 8", "epochs = 12"))
    empty, full = (next(REAL.glob(f"clas12mon_{run}_*")) for run in (0, 11))
    filled = tmp_path / full.name  # of run 11 some plots were not filled either: nobody could tell these from run 0
    filled.mkdir()
    for path in full.glob("*.png"):
        one, other = (np.asarray(Image.open(folder / path.name).convert("RGB")) for folder in (full, empty))
        if (one != other).any(axis=2).mean() > 0.02:
            (filled / path.name).write_bytes(path.read_bytes())
    run(tmp_path, "label", "import", str(empty), "--layout", "mon12", "--label", "NoData")
    run(tmp_path, "label", "import", str(filled), "--layout", "mon12", "--label", "Good")

    output, errors = run(tmp_path, "train", "--all-plots", "--json")

    metrics = json.loads(output.splitlines()[-1])["metrics"]
    assert "split by plot" in errors
    assert metrics["accuracy"]["value"] == 1.0
    assert {row["label"] for row in metrics["by_label"] if row["images"]} == {"Good", "NoData"}
