"""Networks that look at histograms: a small one of the house, and those of ``keras.applications``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hydrad.classify import backend
from hydrad.errors import ConfigurationError
from hydrad.train.references import COARSE, FINE, References

PLAIN = "plain"  # the house's own
MOMENTUM = 0.9  # of running means: they must have followed after the few steps that few images give
STRIDE = 8  # pixels of its images per place of its map


def plain(width: int, height: int, classes: int, *, channels: int = 3, references: References | None = None) -> Any:
    """A small network of plain 3×3 convolutions for histograms; its map has one place per 8 × 8 pixels.

    Histograms differ from photographs in three ways that it is made for. Where something stands matters, so each place
    gets biases of its own. One network serves many plots, so what each place means is weighed by a summary of the whole
    picture (squeeze and excitation, Hu et al., CVPR 2018), which tells the plot. And one dead board among hundreds is
    enough: its evidence, at one or two places, would drown in an average over all of them. So what is averaged are
    squares, by which one strong sign outweighs many faint ones; what each place adds to the verdict stays exact.

    Args:
        width: of the images, pixels; a multiple of 8, as is ``height``.
        classes: number of labels.
        channels: 3 for colour, 1 for grey.
        references: the plots' usual pictures; with them it is also given what is unusual.

    Returns:
        A Keras model from values 0 to 255, shape (n, height, width, channels), to probabilities, shape (n, classes).
    """
    keras = backend.keras()
    if width % STRIDE or height % STRIDE:
        raise ConfigurationError(f"input size: {width}×{height} is not in multiples of {STRIDE} pixels")
    layers = keras.layers
    images = layers.Input((height, width, channels), name="image")
    ranged = layers.Rescaling(1 / 127.5, offset=-1.0)(images)
    x = _block(layers, ranged, 16, stride=2)
    if references is not None:
        x = layers.Concatenate()([x, _unusual(layers, ranged, references)])
    x = _block(layers, x, 32, stride=2)
    x = _block(layers, x, 48, stride=2)
    x = _placed(layers, x, 48)
    x = _weighed(layers, _block(layers, x, 64))
    x = _block(layers, x, 64)
    x = _placed(layers, x, 64)  # nothing weighs these: a gate before the square doubles what it does, and learns badly
    x = layers.Multiply(name="evidence")([x, x])
    return keras.Model(images, _head(layers, x, classes), name=PLAIN)


def application(name: str, size: int, classes: int, *, weights: Path | None = None) -> Any:
    """A network of ``keras.applications`` by its name there, e.g. ``InceptionV3``, with a head for these labels.

    Args:
        size: edge of its square images, pixels.
        classes: number of labels.
        weights: a file with weights of the network without its top; random when None. Nothing is ever downloaded.

    Returns:
        A Keras model from values 0 to 255, shape (n, size, size, 3), to probabilities, shape (n, classes); it brings
        the values to the range its weights expect by itself.

    Raises:
        ConfigurationError: when there is no such network, or it takes no images of this size, or not these weights.
    """
    keras = backend.keras()
    make = getattr(keras.applications, name, None)
    if not callable(make):
        raise ConfigurationError(f"architecture: keras.applications has no {name!r}; {PLAIN!r} is the house's own")
    images = keras.layers.Input((size, size, 3), name="image")
    try:
        base = make(include_top=False, weights=None, input_tensor=_ranged(keras, name, images))
        if weights is not None:
            base.load_weights(weights)
    except (ValueError, OSError) as fault:
        raise ConfigurationError(f"architecture: {name} at {size} pixels: {fault}") from fault
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM
    return keras.Model(images, _head(keras.layers, base.output, classes), name=name.lower())


def build(architecture: str, width: int, height: int, classes: int, *, channels: int = 3) -> Any:
    """The network of this name, :data:`PLAIN` or one of ``keras.applications``, untrained.

    Raises:
        ConfigurationError: when it cannot be had in this size.
    """
    if architecture == PLAIN:
        return plain(width, height, classes, channels=channels)
    if width != height or channels != 3:
        raise ConfigurationError(
            f"input size: {architecture} takes square colour images, not {width}×{height}×{channels}"
        )
    return application(architecture, width, classes)


def _unusual(layers: Any, ranged: Any, references: References) -> Any:
    """How far each place is from the plot's usual picture, in units of its usual spread, pressed into -1 to 1."""
    rows, columns, channels = references.means.shape[1:]
    count = len(references.bias)
    coarse = layers.Flatten()(layers.AveragePooling2D(COARSE)(ranged))
    which = layers.Dense(count, activation="softmax" if count > 1 else "sigmoid", trainable=False, name="plot")
    usual = layers.Dense(rows * columns * channels, use_bias=False, trainable=False, name="usual")
    sharpness = layers.Dense(rows * columns, use_bias=False, trainable=False, name="sharpness")
    plot = which(coarse)
    expected = layers.Reshape((rows, columns, channels))(usual(plot))
    weight = layers.Reshape((rows, columns, 1))(sharpness(plot))
    which.set_weights([references.kernel, references.bias])
    usual.set_weights([references.means.reshape(count, -1)])
    sharpness.set_weights([references.sharpness.reshape(count, -1) / 3.0])
    difference = layers.Subtract()([layers.AveragePooling2D(FINE)(ranged), expected])
    return layers.Activation("softsign")(layers.Multiply()([difference, weight]))


def _block(layers: Any, x: Any, filters: int, *, stride: int = 1) -> Any:
    x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=MOMENTUM)(x))


def _placed(layers: Any, x: Any, filters: int) -> Any:
    """A 1×1 convolution with a bias for each place: what belongs here need not belong there."""
    rows, columns = x.shape[1:3]
    x = layers.EinsumDense("nrcf,fg->nrcg", output_shape=(rows, columns, filters), bias_axes="rcg")(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=MOMENTUM)(x))


def _weighed(layers: Any, x: Any) -> Any:
    filters = x.shape[-1]
    summary = layers.GlobalAveragePooling2D(keepdims=True)(x)
    summary = layers.Dense(filters // 2, activation="relu")(summary)
    return layers.Multiply()([x, layers.Dense(filters, activation="sigmoid")(summary)])


def _head(layers: Any, x: Any, classes: int) -> Any:
    pooled = layers.GlobalAveragePooling2D(name="embedding")(x)
    return layers.Dense(classes, activation="softmax", name="scores")(pooled)


def _ranged(keras: Any, name: str, images: Any) -> Any:
    """Values as the network's weights want them: each family's own ``preprocess_input`` as a layer of the network."""
    kernel, bias = _preprocessing(keras, name)
    if np.allclose(kernel, np.eye(3), atol=1e-6) and np.allclose(bias, 0, atol=1e-6):
        return images
    scale = np.diagonal(kernel)
    if np.allclose(kernel, np.diag(scale), atol=1e-6):
        return keras.layers.Rescaling(scale.tolist(), offset=bias.tolist())(images)
    layer = keras.layers.Dense(3, trainable=False, name="colours")
    ranged = layer(images)
    layer.set_weights([kernel, bias])
    return ranged


def _preprocessing(keras: Any, name: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A family's ``preprocess_input`` acts on each pixel's colour as x · kernel + bias: read both off four colours."""
    family = sys.modules[getattr(keras.applications, name).__module__]
    colours = np.concatenate([np.zeros((1, 3)), 255.0 * np.eye(3)]).astype(np.float32)
    seen = np.asarray(family.preprocess_input(colours.reshape(1, 1, 4, 3).copy()), np.float64).reshape(4, 3)
    return ((seen[1:] - seen[0]) / 255.0).astype(np.float32), seen[0].astype(np.float32)
