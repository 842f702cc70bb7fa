"""The data base's password: from a file, a systemd credential or the environment, never from hydra.toml."""

from __future__ import annotations

import os
from pathlib import Path

from hydrad.errors import ConfigurationError

CREDENTIAL = "hydrad-db-password"  # of systemd
VARIABLE = "HYDRA_DB_PASSWORD"


def find(file: Path | None) -> str | None:
    """The password, or None where none is given.

    Args:
        file: ``store.password_file``; what it says counts, whatever else is there.

    Raises:
        ConfigurationError: the file or the credential is there and cannot be read.
    """
    if file is not None:
        return _first_line("store.password_file", file)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder and (credential := Path(folder) / CREDENTIAL).is_file():
        return _first_line("systemd credential", credential)
    return os.environ.get(VARIABLE)


def _first_line(key: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0]
    except OSError as fault:
        raise ConfigurationError(f"{key}: {path}: {fault.strerror}") from fault
    except UnicodeDecodeError:
        raise ConfigurationError(f"{key}: {path} is no UTF-8 text") from None  # the fault would show its bytes
