"""Looks into a .keras file before Keras does: a network of known layers, as data, and nothing that could do more.

Keras finds what a description names by importing it, and some of its own layers read files, fetch from the network or
run code. What is not on the lists here is refused, whatever Keras itself would make of it.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hydrad.classify.arrays import FAULTS
from hydrad.errors import BundleError

LARGEST_CONFIG: Final = 64 * 1024 * 1024  # bytes, unpacked
LARGEST_WEIGHTS: Final = 4 * 1024**3  # bytes, unpacked; the largest of keras.applications has a third of that
TIGHTEST: Final = 20  # times; Keras does not pack weights, and random numbers cannot be packed so much

_WEIGHTS: Final = "model.weights.h5"
_MEMBERS: Final = frozenset({"config.json", "metadata.json", _WEIGHTS})

_LAYERS: Final = frozenset({
    "Activation", "ActivityRegularization", "AdaptiveAveragePooling2D", "AdaptiveMaxPooling2D", "Add", "AlphaDropout",
    "Attention", "Average", "AveragePooling2D", "BatchNormalization", "CenterCrop", "Concatenate", "Conv2D",
    "Conv2DTranspose", "Cropping2D", "Dense", "DepthwiseConv2D", "Dot", "Dropout", "ELU", "EinsumDense", "Flatten",
    "GaussianDropout", "GaussianNoise", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "GroupNormalization",
    "GroupQueryAttention", "Identity", "InputLayer", "LayerNormalization", "LeakyReLU", "MaxPooling2D", "Maximum",
    "Minimum", "MultiHeadAttention", "Multiply", "Normalization", "PReLU", "Permute", "RMSNormalization",
    "RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation", "RandomTranslation",
    "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Resizing", "SeparableConv2D", "Softmax",
    "SpatialDropout2D", "SpectralNormalization", "Subtract", "UnitNormalization", "UpSampling2D", "ZeroPadding2D",
})  # fmt: skip
_MODELS: Final = frozenset({"Functional", "Model", "Sequential"})
_POLICIES: Final = frozenset({"DTypePolicy", "DTypePolicyMap", "FloatDTypePolicy"})
_OPERATIONS: Final = frozenset({
    "Absolute", "Add", "BroadcastTo", "Clip", "Concatenate", "Divide", "ExpandDims", "Max", "Maximum", "Mean", "Min",
    "Minimum", "Multiply", "Negative", "Power", "Reshape", "Sqrt", "Square", "Squeeze", "Subtract", "Sum", "Transpose",
    "TrueDivide",
})  # fmt: skip
_VALUES: Final = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__slice__", "__ellipsis__"})
_EVERYTHING: Final = None  # such a module holds nothing but numbers and what is computed with them
_KNOWN: Final = {
    "keras": _MODELS | _POLICIES,
    "keras.models": _MODELS,
    "keras.layers": _LAYERS,
    "keras.dtype_policies": _POLICIES,
    "keras.constraints": _EVERYTHING,
    "keras.initializers": _EVERYTHING,
    "keras.losses": _EVERYTHING,
    "keras.metrics": _EVERYTHING,
    "keras.optimizers": _EVERYTHING,
    "keras.optimizers.schedules": _EVERYTHING,
    "keras.regularizers": _EVERYTHING,
    "keras.src.applications.convnext": frozenset({"LayerScale"}),
    "keras.src.applications.inception_resnet_v2": frozenset({"CustomScaleLayer"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.src.models.sequential": frozenset({"Sequential"}),
    "keras.src.ops.numpy": _OPERATIONS,
    "builtins": frozenset({"slice", *_VALUES}),
    "numpy": _VALUES,
}
_UNPLACED: Final = _LAYERS | _MODELS | _VALUES  # may do without a module


def vet(path: Path) -> None:
    """Refuse a network that is more than known layers, or that would unpack to more than a network takes.

    Raises:
        BundleError: naming the layer, the module or the file that has no business there.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive)
            config = json.loads(archive.read("config.json"))
    except FAULTS as fault:
        raise BundleError(f"its network is no .keras file: {fault}") from fault
    if not isinstance(config, dict):
        raise BundleError("its network's description is none")
    for entry in _objects(config):
        _check(entry)


def _check_members(archive: zipfile.ZipFile) -> None:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    names = Counter(entry.filename for entry in entries)
    if strange := sorted(set(names) - _MEMBERS):
        raise BundleError(f"its network holds {', '.join(strange)}, which is no part of a network")
    if missing := sorted(_MEMBERS - set(names)):
        raise BundleError(f"its network lacks {', '.join(missing)}")
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise BundleError(f"its network holds {', '.join(twice)} twice")
    for entry in entries:
        if entry.filename != _WEIGHTS and entry.file_size > LARGEST_CONFIG:
            raise BundleError("its network's description is too large")
        if entry.filename == _WEIGHTS and entry.file_size > min(LARGEST_WEIGHTS, TIGHTEST * entry.compress_size):
            raise BundleError(
                f"its weights would unpack from {entry.compress_size} to {entry.file_size} bytes, as no network's do"
            )


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
    if not (isinstance(name, str) and isinstance(module, str | None) and isinstance(registered, str | None)):
        raise BundleError("its network's description names what is no name")
    if registered is not None and registered not in {name, ""}:
        raise BundleError(f"its network uses the custom object {registered!r}")
    if module is None:
        if name not in _UNPLACED:
            raise BundleError(f"its network uses {name}, which is none of the known layers")
    elif module not in _KNOWN or ((names := _KNOWN[module]) is not _EVERYTHING and name not in names):
        raise BundleError(f"its network uses {module}.{name}, which is none of the known layers")
