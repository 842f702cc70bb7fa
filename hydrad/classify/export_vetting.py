"""Looks into an export before OpenVINO does: a graph of known operations on numbers that lie beside it, and no more.

Of what OpenVINO reads, control flow, variables and operations of other libraries have no business in a network that
looks at images. What is not on the list here is refused, whatever OpenVINO itself would make of it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from hydrad.classify.vetting import LARGEST_CONFIG, LARGEST_WEIGHTS
from hydrad.errors import BundleError

_OPERATIONS: Final = frozenset({
    "Abs", "Add", "AvgPool", "BatchNormInference", "Broadcast", "Clamp", "Concat", "Const", "Convert", "Convolution",
    "ConvolutionBackpropData", "Cos", "DepthToSpace", "Divide", "Einsum", "Elu", "Equal", "Erf", "Exp", "FakeQuantize",
    "Floor", "Gather", "Gelu", "Greater", "GreaterEqual", "GroupConvolution", "GroupConvolutionBackpropData",
    "HSigmoid", "HSwish", "HardSigmoid", "Interpolate", "LRN", "Less", "LessEqual", "Log", "LogSoftmax", "LogicalAnd",
    "LogicalNot", "LogicalOr", "MVN", "MatMul", "MaxPool", "Maximum", "Minimum", "Mish", "Multiply", "Negative",
    "NormalizeL2", "NotEqual", "OneHot", "PRelu", "Pad", "Parameter", "Power", "Range", "ReLU", "ReduceL1", "ReduceL2",
    "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Result", "Round", "Select", "Selu",
    "ShapeOf", "Sigmoid", "Sign", "Sin", "Slice", "SoftMax", "SoftPlus", "SoftSign", "Softmax", "SpaceToDepth", "Split",
    "Sqrt", "SquaredDifference", "Squeeze", "StridedSlice", "Subtract", "Swish", "Tanh", "Tile", "TopK", "Transpose",
    "Unsqueeze", "VariadicSplit",
})  # fmt: skip
_SET: Final = re.compile(r"opset\d{1,2}")


def vet(export: Path) -> None:
    """Refuse an export that is more than known operations, or whose numbers are not all in the file beside it.

    Raises:
        BundleError: naming the operation that has no business there.
    """
    weights = export.with_suffix(".bin")
    try:
        size = weights.stat().st_size
        if export.stat().st_size > LARGEST_CONFIG or size > LARGEST_WEIGHTS:
            raise BundleError("its export is larger than a network is")
        text = export.read_bytes()
        if b"<!" in text:  # declarations of entities, by which a parser can be led astray
            raise BundleError("its export's description declares what a description does not need")
        layers = ET.fromstring(text).iter("layer")  # noqa: S314  there are no entities in it
    except (OSError, ET.ParseError) as fault:
        raise BundleError(f"its export cannot be read: {fault}") from fault
    for layer in layers:
        kind, version = layer.get("type", ""), layer.get("version", "")
        if kind not in _OPERATIONS or not _SET.fullmatch(version):
            raise BundleError(
                f"its export uses {kind} of {version or 'nowhere'}, which is none of the known operations"
            )
        data = layer.find("data")
        if kind == "Const" and not (data is not None and _inside(data.get("offset"), data.get("size"), size)):
            raise BundleError("its export has numbers that do not lie in the file beside it")


def _inside(offset: str | None, length: str | None, size: int) -> bool:
    if offset is None or length is None or not (offset.isascii() and offset.isdigit() and length.isdigit()):
        return False
    return len(offset) < 20 and len(length) < 20 and int(offset) + int(length) <= size
