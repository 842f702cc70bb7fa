"""Where a network keeps its evidence: the last layer with weights, and what feeds it.

For a network that ends in global average pooling and a dense layer (or in 1×1 convolution and pooling), the class
activation maps of Zhou et al., *Learning Deep Features for Discriminative Localization*, CVPR 2016, equal what Grad-CAM
(Selvaraju et al., ICCV 2017) computes with gradients. So they come with the scores, in the same forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hydrad.errors import BundleError

_PASSIVE = frozenset({"Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "AlphaDropout"})
_SHAPING = frozenset({"Flatten", "Reshape"})


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A network split before its last weights; logits = embedding · kernel + bias.

    ``trunk`` gives, for images of shape (n, height, width, channels), features of shape (n, rows, columns, features)
    where ``spatial``, whose mean over rows and columns is the embedding; else the embedding, shape (n, features).
    """

    trunk: Any  # keras.Model
    kernel: npt.NDArray[np.float32]  # shape (features, labels)
    bias: npt.NDArray[np.float32]  # shape (labels,)
    spatial: bool

    @property
    def maps(self) -> bool:
        """Whether there is a map to show: more than one place in it."""
        return self.spatial and tuple(self.trunk.outputs[0].shape[1:3]) != (1, 1)


def split(keras: Any, model: Any) -> Head:
    """Find the head of a network.

    A network that ends otherwise before its last dense layer (flattened, or with a layer between pooling and dense)
    gets scores and an embedding, but no map: without gradients there is none that would mean the same.

    Raises:
        BundleError: when the last layer with weights is not one whose outputs a softmax could follow.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise BundleError("its network must have one input and one output")
    layer = _last_weights(model)
    features, spatial = _features(layer)
    kernel, bias = _weights(keras, layer)
    return Head(keras.Model(model.inputs[0], features), kernel, bias, spatial)


def lean(model: Any, by: npt.NDArray[np.float32]) -> bool:
    """Add to the logits of a network, through its last layer's bias; False where that layer has none.

    Args:
        by: shape (labels,).
    """
    layer = _last_weights(model)
    if not layer.use_bias:
        return False
    layer.bias.assign_add(by)
    return True


def _last_weights(model: Any) -> Any:
    """The last layer with weights; only pooling, a softmax and layers that do nothing in service may follow it."""
    layer, pooled = _maker(model.outputs[0]), False
    while True:
        kind, activation = _kind(layer), _activation(layer)
        if activation not in {"", "linear", "softmax"}:
            raise BundleError(f"its network ends in {activation}, not in a softmax")
        if kind in {"Dense", "Conv2D"}:
            if pooled and activation == "softmax":
                raise BundleError("its network averages probabilities, so its logits cannot be told")
            if kind == "Conv2D" and not pooled and tuple(layer.output.shape[1:3]) != (1, 1):
                raise BundleError("its network ends in a convolution without pooling")
            return layer
        if kind not in _PASSIVE | _SHAPING | {"GlobalAveragePooling2D", "Activation", "Softmax"}:
            raise BundleError(f"its network ends in {kind}, not in a dense layer with a softmax")
        pooled |= kind == "GlobalAveragePooling2D"
        layer = _maker(_input(layer))


def _features(layer: Any) -> tuple[Any, bool]:
    """The tensor that the last layer weighs, and whether it has rows and columns that are averaged."""
    given = _input(layer)
    if _kind(layer) == "Conv2D":
        return given, True
    before = _maker(given)
    while _kind(before) in _PASSIVE:
        before = _maker(_input(before))
    if _kind(before) == "GlobalAveragePooling2D" and before.data_format == "channels_last" and not before.keepdims:
        return _input(before), True
    if len(given.shape) != 2:
        raise BundleError("its network's last dense layer is given more than one vector per image")
    return given, False


def _maker(tensor: Any) -> Any:
    """The layer that a symbolic tensor comes from."""
    return tensor._keras_history.operation  # noqa: SLF001  a network that was loaded can be walked in no other way


def _input(layer: Any) -> Any:
    try:
        return layer.input
    except (AttributeError, ValueError, RuntimeError) as fault:
        raise BundleError("its network shares layers at its end, which cannot be taken apart") from fault


def _kind(layer: Any) -> str:
    return type(layer).__name__


def _activation(layer: Any) -> str:
    function = getattr(layer, "activation", None)
    return "" if function is None else str(getattr(function, "__name__", function))


def _weights(keras: Any, layer: Any) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    kernel = _numbers(keras, layer.kernel)
    if kernel.ndim == 4:
        if kernel.shape[:2] != (1, 1) or layer.groups != 1 or layer.data_format != "channels_last":
            raise BundleError("its network ends in a convolution that is not 1×1")
        kernel = kernel[0, 0]
    bias = np.zeros(kernel.shape[1], np.float32) if layer.bias is None else _numbers(keras, layer.bias)
    return kernel, bias


def _numbers(keras: Any, variable: Any) -> npt.NDArray[np.float32]:
    # A product is a tensor, which NumPy reads without the deprecation warning that a Keras variable costs.
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.multiply(variable, 1.0)), np.float32)
