"""What each plot looks like when all is well, for a network that serves several and is not told which it looks at.

A fault is a difference from the plot's usual picture. A network that is given this difference, in units of what is
usual there, need not learn every plot by heart; it learns what differences mean, from few images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hydrad.classify import backend
from hydrad.train.examples import Examples

Numbers = npt.NDArray[np.float32]

FINE: Final = 2  # pixels of the picture per pixel of a reference
COARSE: Final = 4  # pixels of the picture per pixel of what a plot is recognised by
DECIDED: Final = 2.0  # by this the recogniser's logits are stretched: a mixture of references is of no use
ALWAYS: Final = 30.0  # the logit of the only plot there is: its sigmoid is 1
QUIET: Final = 0.02  # spread that a pixel is granted which never changes; the range of values is 2


@dataclass(frozen=True, slots=True, eq=False)
class References:
    """Usual pictures of some plots, values -1 to 1, and how to tell the plots apart."""

    means: Numbers  # shape (plots, height / FINE, width / FINE, channels)
    sharpness: Numbers  # 1 / spread, shape (plots, height / FINE, width / FINE)
    kernel: Numbers  # of a softmax regression on the coarse picture, shape (coarse values, plots); sigmoid for one plot
    bias: Numbers  # shape (plots,)


def learn(
    examples: Examples, plots: npt.NDArray[np.int64], usual: npt.NDArray[np.bool_], *, seed: int = 1
) -> References:
    """Take the means and spreads of usual pictures, and learn to recognise each plot, well or ill.

    Args:
        examples: prepared pictures; width and height are multiples of ``COARSE``.
        plots: the number of each picture's plot, from 0, none left out.
        usual: which pictures show their plot when all is well; some of each plot.
    """
    fine = shrunk(examples.images, FINE)
    count = int(plots.max()) + 1
    means, sharpness = [], []
    for plot in range(count):
        chosen = fine[(plots == plot) & usual].astype(np.float32)
        means.append(chosen.mean(axis=0))
        spread = np.sqrt(chosen.var(axis=0).mean(axis=-1))
        sharpness.append(1 / (spread + QUIET))
    kernel, bias = _recogniser(shrunk(examples.images, COARSE).reshape(len(examples), -1), plots, count, seed)
    return References(np.stack(means), np.stack(sharpness).astype(np.float32), kernel, bias)


def shrunk(images: npt.NDArray[np.uint8], by: int) -> npt.NDArray[np.float16]:
    """Averages over squares of ``by`` × ``by`` pixels, values -1 to 1, as a network's first layers take them."""
    count, height, width, channels = images.shape
    small = np.empty((count, height // by, width // by, channels), np.float16)
    for start in range(0, count, 256):  # a whole set in float32 would be eight times its size
        piece = images[start : start + 256].astype(np.float32)
        blocks = piece.reshape(len(piece), height // by, by, width // by, by, channels)
        small[start : start + 256] = blocks.mean(axis=(2, 4)) / 127.5 - 1.0
    return small


def _recogniser(
    coarse: npt.NDArray[np.float16], plots: npt.NDArray[np.int64], count: int, seed: int
) -> tuple[Numbers, Numbers]:
    if count == 1:
        return np.zeros((coarse.shape[1], 1), np.float32), np.full(1, ALWAYS, np.float32)
    values = coarse.astype(np.float32)
    middle, spread = values.mean(axis=0), values.std(axis=0) + QUIET
    keras = backend.keras()
    keras.utils.set_random_seed(seed)
    layer = keras.layers.Dense(count, activation="softmax", kernel_initializer="zeros")
    model = keras.Sequential([keras.layers.Input((values.shape[1],)), layer])
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    model.fit((values - middle) / spread, plots, batch_size=64, epochs=6, verbose=0)
    kernel, bias = (
        np.asarray(keras.ops.convert_to_numpy(keras.ops.multiply(part, DECIDED))) for part in (layer.kernel, layer.bias)
    )
    kernel = kernel / spread[:, None]
    return kernel, bias - middle @ kernel
