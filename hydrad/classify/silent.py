"""Brings OpenVINO in without the part of it that tells its makers of every import, over the network and in a file."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from hydrad.errors import BundleError

_TALKER: Final = "openvino_telemetry"


def openvino() -> Any:
    """The module.

    Raises:
        BundleError: it is not installed.
    """
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    modules.setdefault(_TALKER, None)  # to Python it is not installed, which OpenVINO provides for
    try:
        return import_module("openvino")
    except ImportError as fault:
        raise BundleError(f"OpenVINO is not installed: {fault}") from fault
