"""Looks into a .keras file before Keras does: Keras's own layers, as data, and nothing that could run code."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydrad.errors import BundleError

LARGEST_CONFIG = 64 * 1024 * 1024  # bytes, unpacked

_MEMBERS = frozenset({"config.json", "metadata.json", "model.weights.h5"})
_CODE = frozenset({"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__lambda__", "function"})
_DATA = frozenset({"builtins", "numpy"})  # what Keras names for tuples, slices and constants


def vet(path: Path) -> None:
    """Refuse a network that is more than Keras's own layers.

    Raises:
        BundleError: naming the layer, the module or the file that has no business there.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {entry.filename for entry in archive.infolist() if not entry.is_dir()}
            if strange := sorted(names - _MEMBERS):
                raise BundleError(f"its network holds {', '.join(strange)}, which is no part of a network")
            if missing := sorted(_MEMBERS - names):
                raise BundleError(f"its network lacks {', '.join(missing)}")
            if archive.getinfo("config.json").file_size > LARGEST_CONFIG:
                raise BundleError("its network's description is too large")
            config = json.loads(archive.read("config.json"))
    except (OSError, zipfile.BadZipFile, ValueError, RecursionError, NotImplementedError) as fault:
        raise BundleError(f"its network is no .keras file: {fault}") from fault
    for entry in _objects(config):
        _check(entry)


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every serialised object in a description, however deep."""
    waiting = [config]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "class_name" in part:
                yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _check(entry: dict[str, Any]) -> None:
    name, module, registered = entry["class_name"], entry.get("module"), entry.get("registered_name")
    own = module is None or module == "keras" or str(module).startswith("keras.") or module in _DATA
    if not own:
        raise BundleError(f"its network uses {module}.{name}, which is not one of Keras's own layers")
    if name in _CODE:
        raise BundleError(f"its network has a {name} layer, which can run code")
    if isinstance(registered, str) and ">" in registered:
        raise BundleError(f"its network uses the custom object {registered!r}")
