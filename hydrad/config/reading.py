"""The file is found and read; every fault of it is named at once."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from hydrad import refusals, texts
from hydrad.config.file import Config
from hydrad.config.section import Section
from hydrad.errors import ConfigurationError

DEFAULT_PATH = Path("etc/hydra.toml")
SECRETS = frozenset({"password_file", "key"})  # files of these keys are nobody else's
UNIONS = {
    "beam": frozenset({"epics", "fixed"}),
    "run": frozenset({"path", "epics"}),
    "classify": frozenset({"models", "fixed"}),
    "logbook": frozenset({"none", "olog", "elog"}),
}
S = TypeVar("S", bound=Section)


def find(path: Path | None) -> Path:
    """The file to read: the one named, else ``$HYDRA_CONFIG``, else etc/hydra.toml."""
    return path or Path(os.environ.get("HYDRA_CONFIG") or DEFAULT_PATH)


def load(path: Path, *, folders: bool = False) -> Config:
    """Read hydra.toml; relative paths in it count from the folder it lies in.

    Args:
        folders: also require the watched folders to be there, as ``run`` does.

    Raises:
        ConfigurationError: with one sentence per fault, all of them at once.
    """
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as fault:
        raise ConfigurationError(f"{path}: {fault.strerror or fault}") from fault
    except ValueError as fault:  # no TOML, no UTF-8, or a number of more than 4300 digits
        raise ConfigurationError(f"{path}: is no TOML: {fault}") from fault
    except RecursionError as fault:
        raise ConfigurationError(f"{path}: lists or tables lie too deep in each other") from fault
    return read(document, path.resolve().parent, folders=folders)


def read(document: Mapping[str, Any], home: Path, *, folders: bool = False) -> Config:
    """A configuration from an already parsed document; see :func:`load`."""
    faults = _missing(document, home, folders=folders)
    try:
        config = Config.model_validate(document)
    except ValidationError as fault:
        raise ConfigurationError(*refusals.sentences(fault, unions=UNIONS), *faults) from fault
    if faults:
        raise ConfigurationError(*faults)
    return _anchored(config, home)


def _anchored(config: Config, home: Path) -> Config:
    store = config.store
    url = store.url
    if url.startswith(texts.SQLITE):
        url = f"{texts.SQLITE}{home / url.removeprefix(texts.SQLITE)}"
    kept = store.model_copy(
        update={
            "url": url,
            "images": home / store.images,
            "models": home / store.models,
            "journal": home / store.journal,
            "password_file": None if store.password_file is None else home / store.password_file,
        }
    )
    watches = tuple(watch.model_copy(update={"root": home / watch.root}) for watch in config.watch)
    train = config.train.model_copy(
        update={
            "weights": None if config.train.weights is None else home / config.train.weights,
            "emulate": tuple(
                one if one.map is None else one.model_copy(update={"map": home / one.map})
                for one in config.train.emulate
            ),
        }
    )
    return config.model_copy(
        update={
            "store": kept,
            "watch": watches,
            "train": train,
            "web": _beside(config.web, home, "certificate", "key", "cache"),
            "logbook": _beside(config.logbook, home, "folder", "password_file"),
            "mail": None if config.mail is None else _beside(config.mail, home, "password_file"),
        }
    )


def _beside(section: S, home: Path, *keys: str) -> S:
    """The section with these of its paths, where it has them, counted from ``home``."""
    paths = {key: getattr(section, key, None) for key in keys}
    return section.model_copy(update={key: home / path for key, path in paths.items() if path is not None})


def _missing(document: Mapping[str, Any], home: Path, *, folders: bool) -> list[str]:
    # Asked of the document, not of a Config: what is missing is named even where other keys are wrong.
    faults = []
    for name, key in (
        ("store", "password_file"), ("logbook", "password_file"), ("mail", "password_file"), ("web", "certificate"),
        ("web", "key"),
    ):  # fmt: skip
        section = document.get(name)
        file = section.get(key) if isinstance(section, Mapping) else None
        if isinstance(file, str | Path) and not (_allows(home / file, os.R_OK) and (home / file).is_file()):
            faults.append(f"{name}.{key}: {home / file} is no file that can be read")
        elif isinstance(file, str | Path) and key in SECRETS and (home / file).stat().st_mode & stat.S_IROTH:
            faults.append(f"{name}.{key}: everybody on this host can read {home / file}; chmod o-rwx it")
    watches = document.get("watch") if folders else None
    for n, watch in enumerate(watches if isinstance(watches, Sequence) else ()):
        root = watch.get("root") if isinstance(watch, Mapping) else None
        if isinstance(root, str | Path) and not (_allows(home / root, os.R_OK | os.X_OK) and (home / root).is_dir()):
            faults.append(f"watch[{n}].root: {home / root} is no folder that can be read")
    return faults


def _allows(path: Path, mode: int) -> bool:
    try:
        return os.access(path, mode)
    except ValueError:  # a NUL in its name
        return False
