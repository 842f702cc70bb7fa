"""What a training starts from: a network of the house, one of keras.applications, a file, or a model there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from hydrad import log
from hydrad.classify import backend
from hydrad.classify.bundle import Bundle
from hydrad.classify.head import split
from hydrad.classify.prepare import Preparation
from hydrad.classify.vetting import vet
from hydrad.domain import Meaning
from hydrad.errors import BundleError, ConfigurationError
from hydrad.train import network, references
from hydrad.train.dataset import Sets

ENOUGH_GOOD: Final = 10  # images of a plot, for a reference to be worth its place
FRESH_RATE: Final = 2e-3
TAUGHT_RATE: Final = 3e-4  # of networks that know something already
FILE: Final = ".keras"

Make = Callable[[], Any]

_log = log.get("train")


@dataclass(frozen=True, slots=True)
class Start:
    """Which network, of which size; ``architecture`` is a name, or the path of a ``.keras`` file."""

    preparation: Preparation
    architecture: str = network.PLAIN
    weights: Path | None = None
    parent: Bundle | None = None

    @property
    def rate(self) -> float:
        """How fast it may learn."""
        taught = self.weights is not None or self.parent is not None or self.architecture.endswith(FILE)
        return TAUGHT_RATE if taught else FRESH_RATE

    @property
    def says(self) -> str:
        """The architecture, as a bundle's manifest has it."""
        if self.parent is not None:
            return self.parent.manifest.architecture
        return Path(self.architecture).name if self.architecture.endswith(FILE) else self.architecture


def start(
    architecture: str, width: int, height: int, *, weights: Path | None = None, parent: Bundle | None = None
) -> Start:
    """Find out what images the network wants; files and parents know that themselves.

    Raises:
        ConfigurationError: a file is no network that can be trusted, or what is asked for contradicts itself.
    """
    if parent is not None:
        preparation = parent.manifest.preparation
        if weights is not None:
            raise ConfigurationError("weights: those of the parent are taken, so no others can be")
        if preparation.scale != 1.0 or preparation.offset != 0.0:
            raise ConfigurationError(
                f"parent: {parent.id} scales its images before its network, which is not trained on"
            )
        return Start(preparation, architecture, None, parent)
    if not architecture.endswith(FILE):
        if weights is not None and architecture == network.PLAIN:
            raise ConfigurationError(f"weights: are for networks of keras.applications, not for {network.PLAIN!r}")
        if weights is not None and not weights.is_file():
            raise ConfigurationError(f"weights: there is no file {weights}")
        if architecture != network.PLAIN and width != height:
            raise ConfigurationError(
                f"input size: {architecture} takes square images, not {width}×{height}: say --width and --height"
            )
        return Start(Preparation(width=width, height=height), architecture, weights)
    return _from_file(architecture, width, height, weights)


def _from_file(architecture: str, width: int, height: int, weights: Path | None) -> Start:
    if weights is not None:
        raise ConfigurationError("weights: a .keras file brings its own")
    shape = tuple(_loaded(Path(architecture), architecture).inputs[0].shape[1:])
    if len(shape) != 3 or shape[2] not in {1, 3}:
        raise ConfigurationError(f"architecture: {architecture} takes no colour or grey images, but {shape}")
    try:
        preparation = Preparation(
            width=shape[1] or width, height=shape[0] or height, colour="rgb" if shape[2] == 3 else "grey"
        )
    except ValueError as fault:
        raise ConfigurationError(f"architecture: {architecture} takes images of a size that is not served") from fault
    return Start(preparation, architecture)


def maker(begin: Start, sets: Sets, *, seed: int) -> Make:
    """What builds the network, untrained or with the weights it begins with, for these labels.

    Raises:
        ConfigurationError: it cannot be had in this size, or its file or weights are not what they should be.
    """
    labels = list(sets.labels)
    preparation = begin.preparation
    width, height, channels = preparation.width, preparation.height, preparation.shape[2]
    if begin.parent is not None:
        parent = begin.parent
        own = labels == list(parent.manifest.names)
        return lambda: _with_outputs(_loaded(parent.model, f"parent {parent.id}"), len(labels), keep=own)
    if begin.architecture.endswith(FILE):
        path = Path(begin.architecture)
        return lambda: _with_outputs(_loaded(path, begin.architecture), len(labels), keep=True)
    if begin.architecture != network.PLAIN:
        return lambda: network.application(begin.architecture, width, len(labels), weights=begin.weights)
    known = references_of(sets, seed)
    return lambda: network.plain(width, height, len(labels), channels=channels, references=known)


def references_of(sets: Sets, seed: int) -> references.References | None:
    """The plots' usual pictures, when there are enough good images of every plot that the model shall serve."""
    training = sets.training
    plots = sorted({group[0] for part in (sets.training, sets.validation, sets.test) for group in part.groups})
    numbers = np.array([plots.index(group[0]) for group in training.groups])
    real = np.array([len(group) == 1 for group in training.groups])
    good = real & np.array([meaning is Meaning.GOOD for meaning in sets.labels.values()])[training.truth]
    counts = np.bincount(numbers[good], minlength=len(plots))
    if counts.min() < ENOUGH_GOOD:
        _log.info("no_references", plot=plots[int(counts.argmin())], good=int(counts.min()), needed=ENOUGH_GOOD)
        return None
    return references.learn(training, numbers, good, seed=seed)


def _loaded(path: Path, called: str) -> Any:
    """A network from a file that was looked into before."""
    keras, faults = backend.keras(), backend.faults()
    try:
        vet(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except BundleError as fault:
        raise ConfigurationError(f"architecture: {called}: {fault}") from fault
    except faults as fault:
        raise ConfigurationError(f"architecture: {called}: {str(fault).splitlines()[0]}") from fault


def _with_outputs(model: Any, classes: int, *, keep: bool) -> Any:
    """The network with this number of outputs: its own head where that fits and is to be kept, else a new one."""
    keras = backend.keras()
    try:
        head = split(keras, model)
    except BundleError as fault:
        raise ConfigurationError(f"architecture: {fault}") from fault
    if keep and head.kernel.shape[1] == classes:
        return model if _says_scores(model) else keras.Model(model.inputs[0], keras.layers.Softmax()(model.outputs[0]))
    features = head.trunk.outputs[0]
    pooled = keras.layers.GlobalAveragePooling2D(name="embedding")(features) if head.spatial else features
    scores = keras.layers.Dense(classes, activation="softmax", name="scores", dtype="float32")(pooled)
    return keras.Model(model.inputs[0], scores, name=model.name)


def _says_scores(model: Any) -> bool:
    """Whether its last layer is, or has, a softmax; one that ends in logits is given one."""
    last = model.layers[-1]
    return type(last).__name__ == "Softmax" or getattr(getattr(last, "activation", None), "__name__", "") == "softmax"
