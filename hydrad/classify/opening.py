"""Which runtime computes a bundle here: Keras where it has a GPU, else OpenVINO where the bundle has an export."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from hydrad import log
from hydrad.classify import backend
from hydrad.classify.bundle import Bundle
from hydrad.classify.manifest import Precision
from hydrad.classify.runtime import Runtime

Kind = Literal["auto", "keras", "openvino"]

_log = log.get("classify")


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens bundles. Equal to its like in another process: by that a worker knows the model which it has open.

    Args:
        kind: ``auto``: Keras on a GPU, else OpenVINO, else Keras; or one of them and nothing else.
        precision: in which OpenVINO computes; ``auto``: the fastest here that a bundle was calibrated for.
    """

    kind: Kind = "auto"
    precision: Precision | Literal["auto"] = "auto"

    def __call__(self, bundle: Bundle, batch: int) -> Runtime:
        """Open a bundle for so many images at once; raise BundleError when it cannot be."""
        precision = None if self.precision == "auto" else self.precision
        match self.kind:
            case "keras":
                return _open_keras(bundle, batch)
            case "openvino":
                return _open_openvino(bundle, batch, precision)
            case "auto":
                return _open_best(bundle, batch, precision)


def for_any_host(precision: Precision | Literal["auto"]) -> Precision:
    """A precision in which all hosts of a cluster can compute, so that all of them say the same."""
    return "float32" if precision == "auto" else precision


def _open_keras(bundle: Bundle, batch: int) -> Runtime:
    """Load a bundle with Keras, which is imported only now."""
    from hydrad.classify.keras_runtime import KerasRuntime  # noqa: PLC0415  so that nothing else pays for it

    return KerasRuntime(bundle, batch)


def _open_openvino(bundle: Bundle, batch: int, precision: Precision | None) -> Runtime:
    from hydrad.classify.openvino_runtime import OpenVinoRuntime  # noqa: PLC0415  likewise

    return OpenVinoRuntime(bundle, batch, precision)


def _open_best(bundle: Bundle, batch: int, precision: Precision | None) -> Runtime:
    if _has_gpu() and backend.on_gpu():
        return _open_keras(bundle, batch)
    if bundle.export is None or find_spec("openvino") is None:
        why = "the bundle has no export" if bundle.export is None else "OpenVINO is not installed"
        _log.info("slower_runtime", model=bundle.id, reason=why)
        return _open_keras(bundle, batch)
    return _open_openvino(bundle, batch, precision)


def _has_gpu() -> bool:
    """Whether it is worth seconds to ask Keras for one."""
    return os.environ.get("CUDA_VISIBLE_DEVICES") not in {"", "-1"} and any(Path("/dev").glob("nvidia[0-9]*"))
