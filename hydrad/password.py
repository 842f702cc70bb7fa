"""Passwords: from a file, a systemd credential or the environment, never from hydra.toml."""

from __future__ import annotations

import os
from pathlib import Path

from hydrad.errors import ConfigurationError


def find(file: Path | None, of: str = "store", name: str = "db") -> str | None:
    """The password, or None where none is given.

    Args:
        file: the section's ``password_file``; what it says counts, whatever else is there.
        of: the section.
        name: as in systemd's credential ``hydrad-<name>-password`` and in :func:`variable`.

    Raises:
        ConfigurationError: the file or the credential is there and cannot be read.
    """
    if file is not None:
        return _first_line(f"{of}.password_file", file)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder and (credential := Path(folder) / f"hydrad-{name}-password").is_file():
        return _first_line("systemd credential", credential)
    return os.environ.get(variable(name))


def variable(name: str = "db") -> str:
    """The environment's variable that may hold a password."""
    return f"HYDRA_{name.upper()}_PASSWORD"


def environment(*names: str) -> dict[str, str]:
    """This process's environment for a child that needs the passwords of these names, and no others."""
    others = {key for key in os.environ if key.startswith("HYDRA_") and key.endswith("_PASSWORD")}
    return {key: value for key, value in os.environ.items() if key not in others - {variable(name) for name in names}}


def _first_line(key: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0]
    except OSError as fault:
        raise ConfigurationError(f"{key}: {path}: {fault.strerror}") from fault
    except UnicodeDecodeError:
        raise ConfigurationError(f"{key}: {path} is no UTF-8 text") from None  # the fault would show its bytes
