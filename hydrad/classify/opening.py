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
Wished = Precision | Literal["auto"]

_log = log.get("classify")


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens bundles. Equal to its like in another process: by that a worker knows the model which it has open.

    Args:
        kind: ``auto``: Keras on a GPU, else OpenVINO, else Keras; or one of them and nothing else.
        precision: in which OpenVINO computes; ``auto``: the fastest here that a bundle was calibrated for, but never
            int8, which has to be asked for.
        otherwise: in which it computes a bundle that was not calibrated for that precision.
    """

    kind: Kind = "auto"
    precision: Wished = "auto"
    otherwise: Wished = "auto"

    def __call__(self, bundle: Bundle, batch: int) -> Runtime:
        """Open a bundle for so many images at once; raise BundleError when it cannot be."""
        match self.kind:
            case "keras":
                return _open_keras(bundle, batch)
            case "openvino":
                return self._open_openvino(bundle, batch)
            case "auto":
                return self._open_best(bundle, batch)

    def _open_best(self, bundle: Bundle, batch: int) -> Runtime:
        if _has_gpu() and backend.on_gpu():
            return _open_keras(bundle, batch)
        if bundle.export is None or find_spec("openvino") is None:
            why = "the bundle has no export" if bundle.export is None else "OpenVINO is not installed"
            _log.info("slower_runtime", model=bundle.id, reason=why)
            return _open_keras(bundle, batch)
        return self._open_openvino(bundle, batch)

    def _open_openvino(self, bundle: Bundle, batch: int) -> Runtime:
        from hydrad.classify.openvino_runtime import OpenVinoRuntime  # noqa: PLC0415  so that nothing else pays for it

        wished = self.precision
        if wished != "auto" and bundle.export is not None and wished not in bundle.precisions:
            _log.warning("not_calibrated", model=bundle.id, asked_for=wished, computed_in=self.otherwise)
            wished = self.otherwise
        return OpenVinoRuntime(bundle, batch, None if wished == "auto" else wished)


def on_any_host(kind: Kind, precision: Wished) -> Opener:
    """What opens a bundle in a precision in which all hosts of a cluster can, so that all of them say the same."""
    return Opener(kind, "float32" if precision == "auto" else precision, otherwise="float32")


def _open_keras(bundle: Bundle, batch: int) -> Runtime:
    """Load a bundle with Keras, which is imported only now."""
    from hydrad.classify.keras_runtime import KerasRuntime  # noqa: PLC0415  so that nothing else pays for it

    return KerasRuntime(bundle, batch)


def _has_gpu() -> bool:
    """Whether it is worth seconds to ask Keras for one."""
    return os.environ.get("CUDA_VISIBLE_DEVICES") not in {"", "-1"} and any(Path("/dev").glob("nvidia[0-9]*"))
