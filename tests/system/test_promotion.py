"""Models change places in the real daemon: under load, by a person's command, and not at all when they are bad."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from daemon import Daemon
from PIL import Image

from hydrad.classify import bundle as bundles
from hydrad.classify.bundle import Bundle, Golden
from hydrad.classify.keras_runtime import KerasRuntime
from hydrad.classify.manifest import Label
from hydrad.classify.prepare import prepare
from hydrad.domain import Meaning, Severity, Status
from hydrad.images import pixels_of
from hydrad.store.models import registry
from hydrad.store.models.registry import Who
from hydrad.store.queries import Store
from hydrad.train.assemble import random_bundle

pytestmark = [pytest.mark.system, pytest.mark.keras]

ANA = Who("ana", "counting-3", "page")
PER_S, ENOUGH = 100, 6000
LABELS = ("Good", "Bad", "NoData")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles with random weights: two of the same labels that answer differently, and one of other labels."""
    folder, drafts = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("drafts")
    for seed, (name, labels) in enumerate({"first": LABELS, "second": LABELS, "other": ("Good", "Hot")}.items()):
        outspoken(random_bundle("plain", labels, ["*"], drafts, 32, model_id=name, seed=seed), folder)
    return folder


def outspoken(draft: Bundle, folder: Path) -> None:
    """The same bundle with a temperature at which its faint logits become clear answers."""
    loudest = float(np.abs(draft.golden().logits).max())
    manifest = draft.manifest.model_copy(update={"temperature": loudest / 3})
    bundles.write(folder, manifest, {"model.keras": draft.model, "golden.npz": draft.folder / "golden.npz"})


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    with ExitStack() as stack:
        yield lambda **parts: stack.enter_context(Daemon(tmp_path, layout="rsai", **parts))


def bring(hydrad: Daemon, source: Path) -> None:
    """Let a bundle appear in the hall's folder of models, whole."""
    models = hydrad.home / "models"
    models.mkdir(exist_ok=True)
    aside = hydrad.home / f"{source.name}.aside"
    aside.mkdir()
    for file in source.iterdir():
        (aside / file.name).write_bytes(file.read_bytes())
    aside.rename(models / source.name)


class Producer(threading.Thread):
    """Lands images of a few kB, each of its own noise, a hundred a second, until told or until there are enough."""

    def __init__(self, hydrad: Daemon) -> None:
        super().__init__(name="producer")
        self._hydrad = hydrad
        self._told = threading.Event()
        self.landed: dict[str, bytes] = {}

    def run(self) -> None:
        rng = np.random.default_rng(7)
        began = time.monotonic()
        for n in range(ENOUGH):
            if self._told.wait(max(0.0, began + n / PER_S - time.monotonic())):
                return
            file = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(file, "png")
            aside = self._hydrad.home / "aside.png"
            aside.write_bytes(file.getvalue())
            path = aside.rename(self._hydrad.root / f"CDC_{n % 40:02}_{n // 40:04}.png")
            self.landed[str(path)] = file.getvalue()

    def stop(self) -> None:
        self._told.set()
        self.join()


def answers(folder: Path, images: list[bytes]) -> np.ndarray:
    """What a model says of these images when it is asked alone, shape (images, labels)."""
    bundle = bundles.read(folder)
    runtime = KerasRuntime(bundle, 64)
    return runtime.compute(
        np.stack([prepare(pixels_of(image), bundle.manifest.preparation) for image in images])
    ).scores


def settled(store: Store) -> bool:
    return all(place.fault is not None for place in registry.places(store))


@pytest.mark.timeout(400)  # on a machine that others use as well
def test_promotions_under_load_lose_no_image_and_none_is_judged_by_half_a_model(
    daemon: Callable[..., Daemon], made: Path
) -> None:
    hydrad = daemon()
    bring(hydrad, made / "first")
    hydrad.start()
    bring(hydrad, made / "second")
    producer = Producer(hydrad)
    with Store(f"sqlite:///{hydrad.home / 'hydra.db'}") as store:
        producer.start()
        try:
            hydrad.until(lambda: store.log(limit=1), 60)
            hydrad.until(lambda: len(registry.places(store)) == 2)
            registry.promote(store, "second", ANA)
            hydrad.until(lambda: settled(store), 40)
            registry.promote(store, "first", ANA)
            hydrad.until(lambda: settled(store), 40)
            [told] = hydrad.ask_json("models", "promote", "second", "--wait-s", "40", "--reason", "it is newer")
            assert told["answer"] == {"refused": ""}
            assert {(m["model"], m["new"]) for m in told["moves"]} == {("second", "in_service"), ("first", "retired")}
            registry.rollback(store, "second", ANA)
            hydrad.until(lambda: settled(store), 40)
            hydrad.until(lambda: len(producer.landed) >= 5 * PER_S, 60)
        finally:
            producer.stop()
        landed = producer.landed
        hydrad.until(lambda: sum(store.ledger_counts().values()) >= len(landed), 120)
        entries = list(store.ledger_files())
        verdicts = [filed.verdict for filed in store.log(limit=100_000) if filed.verdict.cause.value == "image"]
        moments = [move.at for move in registry.history(store) if move.new.value == "in_service"]
    assert Counter(entry.path for entry in entries) == Counter(list(landed))
    assert {entry.outcome.value for entry in entries} <= {"judged", "superseded"}
    assert Counter(verdict.path for verdict in verdicts) == Counter(list(landed))
    assert Status.NOMODEL not in {verdict.status for verdict in verdicts}
    assert len(moments) == 5  # the first start, three promotions, a rollback
    ordered = sorted(verdicts, key=lambda verdict: verdict.judged_at)
    served = [verdict.model for n, verdict in enumerate(ordered) if not n or verdict.model != ordered[n - 1].model]
    assert served[0] == "first"
    assert set(served) == {"first", "second"}
    paths = [verdict.path or "" for verdict in verdicts]
    alone = {name: answers(made / name, [landed[path] for path in paths]) for name in ("first", "second")}
    apart = np.abs(alone["first"] - alone["second"]).max(axis=1)
    assert np.median(apart) > 0.01  # or the rest would prove nothing
    for n, verdict in enumerate(verdicts):
        said = [verdict.scores[label] for label in LABELS]
        assert said == pytest.approx(alone[str(verdict.model)][n], abs=1e-4)


# ---- bad bundles ----


def hostile(made: Path, folder: Path, name: str, layer: dict[str, Any]) -> Path:
    """A bundle, properly sealed, whose network has one layer more."""
    sound = bundles.read(made / "second")
    file = io.BytesIO()
    with zipfile.ZipFile(sound.model) as source, zipfile.ZipFile(file, "w") as target:
        for entry in source.namelist():
            data = source.read(entry)
            if entry == "config.json":
                config = json.loads(data)
                config["config"]["layers"].append(layer)
                data = json.dumps(config).encode()
            target.writestr(entry, data)
    manifest = sound.manifest.model_copy(update={"id": name})
    parts = {"model.keras": file.getvalue(), "golden.npz": sound.folder / "golden.npz"}
    return bundles.write(folder, manifest, parts).folder


def mislabelled(made: Path, folder: Path) -> Path:
    """A bundle, properly sealed, with a label more than its network has outputs, golden answers included."""
    sound = bundles.read(made / "second")
    golden = sound.golden()
    wider = Golden(golden.pictures, np.hstack([golden.logits, golden.logits[:, :1]]))
    labels = (*sound.manifest.labels, Label(name="Hot", meaning=Meaning.OTHER))
    thresholds = {label.name: 0.5 for label in labels}
    manifest = sound.manifest.model_copy(update={"id": "mislabelled", "labels": labels, "thresholds": thresholds})
    return bundles.write(folder, manifest, {"model.keras": sound.model, "golden.npz": wider.to_bytes()}).folder


LAMBDA = {"class_name": "Lambda", "module": "keras.layers", "registered_name": None, "config": {"function": "evil"}}
SAVED = {"class_name": "TFSMLayer", "module": "keras.layers", "registered_name": None, "config": {"filepath": "x"}}
CUSTOM = {"class_name": "Mine", "module": "mine", "registered_name": "mine>Mine", "config": {}}


@pytest.mark.timeout(300)
def test_a_bad_bundle_is_refused_with_its_reason_and_the_old_one_serves(
    daemon: Callable[..., Daemon], made: Path, tmp_path: Path
) -> None:
    hydrad = daemon()
    bring(hydrad, made / "first")
    hydrad.start()
    lamp, watchdog = hydrad.pv("MODEL:STATUS"), hydrad.pv("WATCHDOG")
    bad = {
        hostile(made, tmp_path / "bad", "with-lambda", LAMBDA): "uses keras.layers.Lambda, which is none",
        hostile(made, tmp_path / "bad", "with-saved", SAVED): "TFSMLayer, which is none",
        hostile(made, tmp_path / "bad", "with-custom", CUSTOM): "uses the custom object 'mine>Mine'",
        mislabelled(made, tmp_path / "bad"): "has 3 outputs for 4 labels",
    }
    for folder, reason in bad.items():
        bring(hydrad, folder)
        [told] = hydrad.ask_json("models", "promote", folder.name, "--wait-s", "40", status=1)
        assert reason in told["answer"]["refused"]
        assert told["serves"] == []
    with Store(f"sqlite:///{hydrad.home / 'hydra.db'}") as store:
        states = {place.id: place.state.value for place in registry.places(store)}
        assert states == {"first": "in_service"} | dict.fromkeys((folder.name for folder in bad), "candidate")
        hydrad.until(lambda: lamp.get() == 1 and lamp.severity == Severity.MAJOR)
        hydrad.until(lambda: watchdog.get(as_string=True) == "DEGRADED")
        hydrad.land("CDC_occupancy_0001.png", 1)
        hydrad.until(lambda: [filed.verdict.model for filed in store.log(limit=1)] == ["first"])
        listed = {row["id"]: row for row in hydrad.ask_json("models", "list", status=1)}
        assert "which is none of the known layers" in listed["with-lambda"]["reason"]
        assert listed["first"]["serves"] == ["CDC_occupancy"]
        for folder in bad:
            registry.move(store, folder.name, registry.ModelState.RETIRED, ANA)
    hydrad.until(lambda: lamp.get() == 0 and watchdog.get(as_string=True) == "OK")
    torn = hydrad.home / "models" / "with-lambda" / "model.keras"
    data = bytearray(torn.read_bytes())
    data[len(data) // 2] ^= 1
    torn.write_bytes(data)
    hydrad.ask("models", "promote", "with-lambda", status=1)  # before the daemon hears of it
    hydrad.ask("models", "promote", "nobody", status=1)
    hydrad.kill()
    hydrad.start()
    with Store(f"sqlite:///{hydrad.home / 'hydra.db'}") as store:
        hydrad.land("CDC_occupancy_0002.png", 2)
        hydrad.until(lambda: len(store.log(limit=10)) == 2)
        assert store.log(limit=1)[0].verdict.model == "first"


# ---- shadows and thresholds ----


@pytest.mark.timeout(300)
def test_a_shadow_judges_along_and_its_labels_come_with_its_promotion(
    daemon: Callable[..., Daemon], made: Path
) -> None:
    hydrad = daemon()
    bring(hydrad, made / "first")
    hydrad.start()
    bring(hydrad, made / "other")
    hydrad.ask("models", "shadow", "other", "--wait-s", "40", "--user", "otto")
    for n in range(4):
        hydrad.land(f"CDC_occupancy_{n:04}.png", 40 * n)
    hydrad.until(lambda: hydrad.counts()["judged"] + hydrad.counts()["superseded"] == 4)

    def shown() -> dict[str, Any]:
        return hydrad.ask_json("models", "show", "other")[0]

    hydrad.until(lambda: (shown()["as_shadow"] or {}).get("images") == 4)
    before = shown()
    assert (before["history"][0]["new"], before["history"][0]["by"]) == ("shadow", "otto")
    assert {one["model"] for one in hydrad.ask_json("log")} == {"first"}  # no effect on any verdict
    status = hydrad.pv("CDC:OCCUPANCY:STATUS").get()
    assert hydrad.pv("CDC:OCCUPANCY:THRESH:BAD").get() == 0.5

    [told] = hydrad.ask_json("models", "promote", "other", "--wait-s", "40")
    assert told["serves"] == ["CDC_occupancy"]
    assert hydrad.pv("CDC:OCCUPANCY:THRESH:HOT").get() == 0.5  # without a new image
    assert hydrad.pv("CDC:OCCUPANCY:STATUS").get() == status
    hydrad.until(lambda: np.isnan(hydrad.pv("CDC:OCCUPANCY:THRESH:BAD").get()))
    hydrad.land("CDC_occupancy_0009.png", 90)
    hydrad.until(lambda: hydrad.ask_json("log", "--limit", "1")[0]["model"] == "other")
    [back] = hydrad.ask_json("models", "rollback", "other", "--wait-s", "40")
    assert {(move["model"], move["new"]) for move in back["moves"]} == {("other", "shadow"), ("first", "in_service")}
