"""A bundle that somebody made to do harm is refused before anything of it is believed."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classify_world import brightness_bundle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hydrad import shipped
from hydrad.classify import arrays, bundle, vetting
from hydrad.classify.bundle import Golden
from hydrad.classify.novelty import Novelty
from hydrad.errors import BundleError

NETWORK = shipped.folder() / "model.keras"
MEMBERS = {name: zipfile.ZipFile(NETWORK).read(name) for name in zipfile.ZipFile(NETWORK).namelist()}
CONFIG: dict[str, Any] = json.loads(MEMBERS["config.json"])


def network(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None, **members: bytes) -> Path:
    """The shipped network with another description."""
    config = copy.deepcopy(CONFIG)
    change(config)
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**MEMBERS, "config.json": json.dumps(config).encode(), **members}.items():
            archive.writestr(name, content)
    return path


def layer(**words: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["config"]["layers"][1].update(words)


def within(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["config"]["layers"][1]["config"].update({key: value})


def function(module: str, name: str) -> Callable[[dict[str, Any]], None]:
    return within("activation", {"module": module, "class_name": "function", "config": name, "registered_name": None})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return brightness_bundle(tmp_path / "models").folder


# ---- what a network may name ----


@pytest.mark.parametrize(
    ("change", "named"),
    [
        # Keras reads the file of a vocabulary, from wherever its name leads.
        (layer(class_name="StringLookup", config={"vocabulary": "/etc/passwd"}), r"keras\.layers\.StringLookup"),
        (layer(class_name="IntegerLookup", config={"vocabulary": "/etc/passwd"}), r"keras\.layers\.IntegerLookup"),
        (layer(class_name="TextVectorization", config={"vocabulary": "/etc/passwd"}), r"TextVectorization"),
        # Functions of Keras that are no part of any network, and were callable out of one.
        (layer(module="keras.utils", class_name="get_file", config={"origin": "http://x"}), r"keras\.utils\.get_file"),
        (layer(module="keras.config", class_name="enable_unsafe_deserialization", config={}), r"keras\.config\."),
        (layer(module="keras.saving", class_name="load_model", config={"filepath": "x"}), r"keras\.saving\."),
        (function("keras.utils", "get_file"), r"keras\.utils\.function"),
        (function("builtins", "eval"), r"builtins\.function"),
        (within("activation", {"class_name": "__lambda__", "config": {"value": "4w=="}}), "__lambda__"),
        (within("dtype", {"class_name": "__typespec__", "module": "os", "config": []}), r"os\.__typespec__"),
        # Code, and ways to it.
        (layer(class_name="Lambda"), r"keras\.layers\.Lambda"),
        (layer(class_name="TFSMLayer", config={"filepath": "evil"}), r"TFSMLayer"),
        (layer(class_name="TorchModuleWrapper"), "TorchModuleWrapper"),
        (layer(module="keras.src.layers.core.lambda_layer", class_name="Lambda"), "lambda_layer"),
        (layer(module="keras.src.ops.core", class_name="Map"), r"keras\.src\.ops\.core"),
        (layer(module="keras.src.saving.saving_lib_test", class_name="Anything"), "saving_lib_test"),
        (layer(module="os", class_name="system"), r"os\.system"),
        (layer(module="keras_hub.layers", class_name="Thing"), "keras_hub"),
        (layer(module=None, class_name="Lambda"), "Lambda"),
        (layer(registered_name="mine>Conv2D"), "custom object 'mine>Conv2D'"),
        (layer(registered_name="Package.Conv2D"), "custom object"),
        (lambda config: config.update(compile_config={"loss": {"module": "os", "class_name": "system"}}), "os.system"),
        # Names that are none.
        (layer(class_name=["Conv2D"]), "no name"),
        (layer(class_name={}), "no name"),
        (layer(module={"keras": "layers"}), "no name"),
        (layer(registered_name=7), "no name"),
    ],
)  # fmt: skip
def test_a_network_is_made_of_known_layers(change: Callable[[Any], None], named: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=named):
        vetting.vet(network(tmp_path, change))


def test_the_shipped_network_is_made_of_them_and_no_test_here_fails_by_how_it_is_packed(tmp_path: Path) -> None:
    vetting.vet(NETWORK)
    vetting.vet(network(tmp_path))


@pytest.mark.parametrize("text", [b"[]", b"null", b'"config"', b"{", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_a_description_that_is_none_is_refused(text: bytes, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="its network"):
        vetting.vet(network(tmp_path, **{"config.json": text}))


# ---- how a network is packed ----


def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    for name, words in (("model.weights.h5", "its weights would unpack"), ("metadata.json", "too large")):
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for other in MEMBERS.keys() - {name}:
                archive.writestr(other, MEMBERS[other])
            with archive.open(name, "w") as member:
                for _ in range(70):
                    member.write(bytes(2**20))
        assert path.stat().st_size < 2**22
        with pytest.raises(BundleError, match=words):
            vetting.vet(path)


@pytest.mark.parametrize(
    "name", ["../../evil", "/etc/cron.d/evil", "assets/run.py", "model.weights.json", "config.json/"]
)
def test_a_member_that_is_no_part_of_a_network_is_refused(name: str, tmp_path: Path) -> None:
    path = network(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    if name.endswith("/"):  # a folder, which says nothing
        vetting.vet(path)
        return
    with pytest.raises(BundleError, match="which is no part of a network"):
        vetting.vet(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = network(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", b"{}")
    with pytest.raises(BundleError, match=r"holds config\.json twice"):
        vetting.vet(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_network_or_array_that_somebody_has_been_at_raises_nothing_but_a_bundle_error(
    tmp_path: Path, data: st.DataObject
) -> None:
    small = io.BytesIO()
    with zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in MEMBERS:
            archive.writestr(name, b'{"class_name": "Conv2D"}')
    golden = Golden((np.zeros((4, 4, 3), np.uint8),), np.zeros((1, 2), np.float32)).to_bytes()
    for whole in (small.getvalue(), golden):
        damaged = bytearray(whole)
        for _ in range(data.draw(st.integers(1, 4))):
            damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        path = tmp_path / "model.keras"
        path.write_bytes(damaged)
        with suppress(BundleError):
            vetting.vet(path)
        with suppress(BundleError):
            Golden.from_bytes(bytes(damaged))


# ---- arrays ----


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.environ["HYDRA_TEST_TRAP"],)


def test_a_pickled_array_is_not_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "trap"
    monkeypatch.setenv("HYDRA_TEST_TRAP", str(trap))
    file = io.BytesIO()
    np.savez(file, logits=np.array([Evil()], dtype=object), mean=np.array([Evil()], dtype=object))
    for read in (Golden.from_bytes, Novelty.from_bytes):
        with pytest.raises(BundleError, match="allow_pickle=False"):
            read(file.getvalue())
    assert not trap.exists()
    with np.load(io.BytesIO(file.getvalue()), allow_pickle=True) as opened:  # it was a trap
        opened["logits"]
    assert trap.exists()
    with pytest.raises(BundleError, match="cannot be read"):
        Golden.from_bytes(pickle.dumps(Evil()))


def test_arrays_that_would_unpack_to_gigabytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "LARGEST", 2**20)
    file = io.BytesIO()
    np.savez_compressed(file, logits=np.zeros((1, 2), np.float32), picture_0=np.zeros((1000, 1000, 3), np.uint8))
    assert len(file.getvalue()) < 2**15
    with pytest.raises(BundleError, match="golden images would unpack to"):
        Golden.from_bytes(file.getvalue())


def test_an_array_that_claims_to_be_endless_is_refused() -> None:
    header = np.lib.format.magic(1, 0)
    words = repr({"descr": "<f4", "fortran_order": False, "shape": (2**50,)}).encode()
    words += b" " * (64 - (len(header) + 2 + len(words) + 1) % 64) + b"\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("logits.npy", header + len(words).to_bytes(2, "little") + words)
    with pytest.raises(BundleError, match="golden images cannot be read"):
        Golden.from_bytes(file.getvalue())


# ---- the folder ----


@pytest.mark.parametrize("whose", ["models", "folder", "model.keras", "bundle.json"])
def test_what_everybody_on_the_host_may_write_is_not_read(folder: Path, whose: str) -> None:
    path = {"models": folder.parent, "folder": folder}.get(whose, folder / whose)
    assert bundle.read(folder).id == folder.name
    path.chmod(path.stat().st_mode | 0o002)
    with pytest.raises(BundleError, match=rf"everybody on this host may write to .*{path.name}: .* chmod"):
        bundle.read(folder)
    path.chmod(path.stat().st_mode & ~0o002 | 0o020)  # its group is let in by whoever set it
    assert bundle.read(folder).id == folder.name


def test_a_folder_below_that_everybody_may_write_is_named(folder: Path) -> None:
    (folder / "deeper").mkdir()
    (folder / "deeper").chmod(0o777)
    with pytest.raises(BundleError, match=r"may write to .*deeper"):
        bundle.read(folder)


def test_a_link_to_a_bundle_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    elsewhere = folder.rename(tmp_path / folder.name)
    folder.symlink_to(elsewhere)
    with pytest.raises(BundleError, match="its folder is a link"):
        bundle.read(folder)


def test_links_out_of_a_bundle_are_refused_however_they_lead(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "report.html").write_text("x")
    (folder / "report.html").symlink_to("/etc/passwd")
    (folder / "deeper").symlink_to(tmp_path / "outside")
    with pytest.raises(BundleError) as refusal:
        bundle.read(folder)
    assert "report.html does not belong to it" in str(refusal.value)
    assert "deeper does not belong to it" in str(refusal.value)


def test_a_pipe_in_place_of_a_file_keeps_nobody_waiting(folder: Path) -> None:
    (folder / "golden.npz").unlink()
    os.mkfifo(folder / "golden.npz", 0o600)
    with pytest.raises(BundleError, match=r"golden\.npz is no plain file"):
        bundle.read(folder)
