"""Quantizes a network's export: its convolutions computed in whole numbers of eight bits, all else as it was.

A whole network in eight bits forgets the plots' usual pictures, to which it compares, and the temperature, which is an
input. So convolutions of the trunk are quantized, which are nearly all of the work, and nothing else. Ranges are those
of all images that are shown, since what is rare in a histogram is what a fault looks like. Weights get seven bits:
processors without VNNI would overflow on eight, and then answer otherwise than the one that measured.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Hashable, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hydrad.classify.runtime import first_line
from hydrad.classify.silent import openvino
from hydrad.errors import BundleError, ConfigurationError

IMAGES: Final = 300  # that show in which ranges numbers lie
INSTALL: Final = "pip install --no-deps --require-hashes -r constraints/int8.txt"

_QUANTIZED: Final = frozenset({"Convolution", "GroupConvolution"})
_HELD: Final = frozenset({"Constant", "Parameter", "Result"})  # what computes nothing


def require_installed(key: str) -> None:
    """Raise ConfigurationError, naming what asked for it, unless networks can be quantized here."""
    for name, package in (("NNCF", "nncf"), ("OpenVINO", "openvino")):
        if find_spec(package) is None:
            raise ConfigurationError(f"{key}: {name} is not installed, which makes int8 (extra `int8`): {INSTALL}")


def chosen(groups: Sequence[Hashable], seed: int, most: int = IMAGES) -> npt.NDArray[np.int64]:
    """The numbers, ascending, of at most so many images, as many of each group as there are, drawn by chance."""
    order = np.random.default_rng(seed).permutation(len(groups))
    taken: dict[Hashable, int] = {}
    turns = np.empty(len(groups), np.int64)
    for n in order:
        turns[n] = taken[groups[n]] = taken.get(groups[n], -1) + 1
    by_turn = order[np.argsort(turns[order], kind="stable")]
    return np.sort(by_turn[:most])


def quantize(export: Path, target: Path, images: npt.NDArray[np.uint8]) -> None:
    """Write the quantized network of an export; takes two passes over the images.

    Args:
        export: the description; the weights lie beside it.
        target: gets the quantized description, and its weights beside it.
        images: that were learned from, prepared, shape (images, height, width, channels).

    Raises:
        BundleError: it cannot be quantized.
    """
    ov, nncf = openvino(), _nncf()
    one = np.float32(1.0)
    try:
        model = ov.Core().read_model(export)
        with redirect_stdout(io.StringIO()):  # its bars of progress
            quantized = nncf.quantize(
                model,
                nncf.Dataset([{"images": images[n : n + 1], "temperature": one} for n in range(len(images))]),
                subset_size=len(images),
                preset=nncf.QuantizationPreset.PERFORMANCE,
                ignored_scope=nncf.IgnoredScope(names=_kept(model), validate=False),
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    overflow_fix=nncf.OverflowFix.ENABLE,
                    activations_range_estimator_params=nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX,
                ),
            )
        ov.save_model(quantized, target, compress_to_fp16=False)
    except (RuntimeError, ValueError, nncf.InternalError, nncf.UnsupportedModelError, nncf.ValidationError) as fault:
        raise BundleError(f"the network cannot be quantized: {first_line(fault)}") from fault


def _kept(model: Any) -> list[str]:
    """Operations that stay as they are: what is no convolution, and all that embeddings do not depend on."""
    trunk, left = set(), [port.get_node() for port in model.outputs if "embeddings" in port.get_names()]
    while left:
        node = left.pop()
        if (name := node.get_friendly_name()) not in trunk:
            trunk.add(name)
            left += [node.input_value(n).get_node() for n in range(node.get_input_size())]
    return [
        node.get_friendly_name()
        for node in model.get_ops()
        if node.get_type_name() not in _HELD
        and not (node.get_type_name() in _QUANTIZED and node.get_friendly_name() in trunk)
    ]


def _nncf() -> Any:
    """The module, which keeps its counsel: no reports of its use, no lines on stdout."""
    try:
        import nncf  # noqa: PLC0415  an optional part
    except ImportError as fault:
        raise BundleError(f"NNCF is not installed: {fault}") from fault
    nncf.set_log_level(logging.ERROR)
    nncf.disable_logging()  # to stdout, that is; what is wrong is still written to stderr
    return nncf
