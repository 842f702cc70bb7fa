"""A bundle is read only when it is exactly what was written."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hydrad.classify import bundle
from hydrad.classify.bundle import Golden
from hydrad.classify.manifest import DataSet, Label, Manifest, parse
from hydrad.classify.manifest import Golden as Closeness
from hydrad.classify.novelty import Novelty
from hydrad.classify.prepare import Preparation
from hydrad.domain import Meaning
from hydrad.errors import BundleError

GOLDEN = Golden((np.zeros((20, 30, 3), np.uint8),), np.array([[1.0, -1.0]], np.float32))


def manifest(**changes: Any) -> Manifest:
    whole = Manifest(
        id="m-1",
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
        labels=(Label(name="Good", meaning=Meaning.GOOD), Label(name="Bad", meaning=Meaning.BAD)),
        plots=("CDC_*",),
        preparation=Preparation(width=32, height=16),
        architecture="plain",
        parameters=10,
        temperature=1.5,
        thresholds={"Good": 0.5, "Bad": 0.65},
        golden=Closeness(tolerance=0.01),
        data=DataSet(images=3, seed=1),
        metrics={"balanced_accuracy": 0.99},
    )
    return whole.model_copy(update=changes)


def parts() -> dict[str, bytes | Path]:
    novelty = Novelty(np.zeros(4, np.float32), np.eye(2, 4, dtype=np.float32), 2.0)
    return {"model.keras": b"network" * 9, "golden.npz": GOLDEN.to_bytes(), "novelty.npz": novelty.to_bytes()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return bundle.write(tmp_path / "models", manifest(), parts()).folder


def reseal(folder: Path, **changes: Any) -> None:
    """What somebody would write who knows how bundles are sealed."""
    path = folder / "bundle.json"
    document = {**json.loads(path.read_text()), **changes, "seal": bundle.BLANK}
    text = json.dumps(document).encode()
    path.write_bytes(text.replace(bundle.BLANK.encode(), bundle._seal(text).encode()))


def test_what_was_written_is_what_is_read(folder: Path) -> None:
    found = bundle.read(folder)

    assert found.id == "m-1"
    assert found.manifest.meanings == {"Good": Meaning.GOOD, "Bad": Meaning.BAD}
    assert found.manifest.thresholds == {"Good": 0.5, "Bad": 0.65}
    assert found.model.read_bytes() == b"network" * 9
    assert np.array_equal(found.golden().logits, GOLDEN.logits)
    novelty = found.novelty()
    assert novelty is not None
    assert novelty.limit == 2.0


def test_a_bundle_that_cannot_tell_novelty_says_so(tmp_path: Path) -> None:
    few = {name: content for name, content in parts().items() if name != "novelty.npz"}
    assert bundle.write(tmp_path, manifest(), few).novelty() is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_flipped_bit_anywhere_is_refused(folder: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(path for path in folder.rglob("*") if path.is_file())))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    damaged = bytearray(whole)
    damaged[place] ^= 1 << bit
    path.write_bytes(damaged)
    try:
        with pytest.raises(BundleError, match="model 'm-1' refused: "):
            bundle.read(folder)
    finally:
        path.write_bytes(whole)
    assert bundle.read(folder).id == "m-1"


def test_missing_and_additional_files_are_all_named(folder: Path) -> None:
    (folder / "novelty.npz").unlink()
    (folder / "notes.txt").write_text("x")
    (folder / "deeper").mkdir()
    (folder / "deeper" / ".hidden").write_text("x")

    with pytest.raises(BundleError) as refusal:
        bundle.read(folder)

    assert "novelty.npz is missing" in str(refusal.value)
    assert "notes.txt does not belong to it" in str(refusal.value)
    assert "deeper/.hidden does not belong to it" in str(refusal.value)


def test_a_link_in_place_of_a_file_is_refused(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "model.keras"
    (folder / "model.keras").rename(elsewhere)
    (folder / "model.keras").symlink_to(elsewhere)

    with pytest.raises(BundleError, match=r"model\.keras is no plain file"):
        bundle.read(folder)


def test_a_folder_under_another_name_is_refused(folder: Path) -> None:
    other = folder.rename(folder.with_name("m-2"))

    with pytest.raises(BundleError, match="calls itself 'm-1'"):
        bundle.read(other)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", "a\\..\\b", "", ".", "a//b", ".hidden", "a/."])
def test_file_names_stay_inside_the_bundle(folder: Path, tmp_path: Path, name: str) -> None:
    reseal(folder, files={**json.loads((folder / "bundle.json").read_text())["files"], name: "0" * 64})
    with pytest.raises(BundleError, match="is no plain name of a file inside the bundle"):
        bundle.read(folder)

    with pytest.raises(BundleError, match="is no plain name"):
        bundle.write(tmp_path / "other", manifest(), {**parts(), name: b"x"})
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format"),
        ({"temperature": 0}, "temperature"),
        ({"thresholds": {"Good": 0.5}}, "thresholds: there must be one for each label"),
        ({"thresholds": {"Good": 0.5, "Bad": 1.5}}, "thresholds.Bad"),
        ({"labels": [{"name": "Good", "meaning": "good"}] * 2}, "a name stands there twice"),
        ({"labels": [{"name": "Good", "meaning": "fine"}, {"name": "Bad", "meaning": "bad"}]}, "labels.0.meaning"),
        ({"plots": []}, "plots"),
        ({"surprise": 1}, "surprise"),
        ({"created_at": "2026-11-23T00:00:00"}, "created_at"),
        ({"preparation": {"width": 3, "height": 16}}, "preparation.width"),
    ],
)
def test_faults_of_the_manifest_are_named(folder: Path, changes: dict[str, Any], words: str) -> None:
    reseal(folder, **changes)
    with pytest.raises(BundleError, match=words):
        bundle.read(folder)


def test_several_faults_are_named_at_once(folder: Path) -> None:
    reseal(folder, temperature=-1, plots=[])
    with pytest.raises(BundleError, match=r"(?s)plots.*temperature"):
        bundle.read(folder)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"seal": 3}'])
def test_what_is_no_manifest_is_refused(folder: Path, text: bytes) -> None:
    (folder / "bundle.json").write_bytes(text)
    with pytest.raises(BundleError, match=r"bundle\.json"):
        bundle.read(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"model 'none' refused: bundle\.json is missing"):
        bundle.read(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_refused(folder: Path) -> None:
    (folder / "model.keras").chmod(0)
    with pytest.raises(BundleError, match="Permission denied"):
        bundle.read(folder)


def test_a_bundle_that_could_not_be_read_back_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"golden\.npz is missing"):
        bundle.write(tmp_path, manifest(), {"model.keras": b"x"})
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_is_missing_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="No such file"):
        bundle.write(tmp_path, manifest(), {**parts(), "model.keras": tmp_path / "absent"})
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_never_overwritten(folder: Path) -> None:
    with pytest.raises(BundleError, match="is there already"):
        bundle.write(folder.parent, manifest(temperature=3.0), parts())
    assert bundle.read(folder).manifest.temperature == 1.5


def test_drafts_and_strangers_are_not_listed(folder: Path) -> None:
    models = folder.parent
    (models / ".m-3.abc").mkdir()
    (models / ".m-3.abc" / "bundle.json").write_text("{}")
    (models / "notes").mkdir()
    (models / "README").write_text("x")

    assert bundle.listed(models) == [folder]
    assert bundle.listed(models / "nowhere") == []


@pytest.mark.parametrize("damage", [b"", b"PK", b"no npz at all"])
def test_damaged_parameters_are_bundle_errors(damage: bytes) -> None:
    with pytest.raises(BundleError, match="novelty"):
        Novelty.from_bytes(damage)
    with pytest.raises(BundleError, match="golden"):
        Golden.from_bytes(damage)


def test_the_manifest_survives_json() -> None:
    assert parse(json.loads(manifest().model_dump_json())) == manifest()
