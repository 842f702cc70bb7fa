"""Turns a network into a bundle: measured, calibrated and with the answers it must give everywhere."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from hydrad.classify import backend
from hydrad.classify.bundle import Bundle, Golden, write
from hydrad.classify.head import Head, split
from hydrad.classify.keras_runtime import one_pass
from hydrad.classify.labels import meaning_of
from hydrad.classify.manifest import GOLDEN, MODEL, NOVELTY, DataSet, Label, Manifest
from hydrad.classify.manifest import Golden as Closeness
from hydrad.classify.novelty import Novelty
from hydrad.classify.prepare import Preparation, prepare
from hydrad.domain import Meaning, Pixels
from hydrad.train import network

TOLERANCE: Final = 0.01  # other machines and backends add up in another order


@dataclass(frozen=True, slots=True)
class Design:
    """What a model is for and what it is made of."""

    id: str
    labels: Mapping[str, Meaning]  # in the order of the network's outputs
    plots: tuple[str, ...]  # patterns
    preparation: Preparation
    architecture: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a network after its validation."""

    temperature: float
    thresholds: tuple[float, ...]  # per label
    data: DataSet
    novelty: Novelty | None = None
    metrics: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a network says about images, as a runtime will compute it; the first axis is the images'."""

    logits: npt.NDArray[np.float32]  # shape (images, labels)
    embeddings: npt.NDArray[np.float32]  # shape (images, features)
    heatmaps: npt.NDArray[np.uint8] | None  # shape (images, rows, columns)


def look(model: Any, preparation: Preparation, images: npt.NDArray[np.uint8], batch: int = 64) -> Seen:
    """Show prepared images, shape (images, height, width, channels), to a network, at temperature one."""
    return Onlooker(model, preparation, batch).look(images)


class Onlooker:
    """A network that is shown many images, compiled once.

    Args:
        model: a Keras network, from prepared images to probabilities.
        preparation: the range of values that it wants.
        batch: images at a time.
    """

    def __init__(self, model: Any, preparation: Preparation, batch: int = 64) -> None:
        keras = self._keras = backend.keras()
        head: Head = split(keras, model)
        self._batch = batch
        self._shape = preparation.shape
        self._forward = backend.compiled(
            lambda x: one_pass(keras, head, x, scale=preparation.scale, offset=preparation.offset, temperature=1.0)
        )

    def look(self, images: npt.NDArray[np.uint8]) -> Seen:
        """What it says, at temperature one, of prepared images, shape (images, height, width, channels)."""
        pieces = []
        for start in range(0, max(len(images), 1), self._batch):  # of no images it gives answers of the right shape
            piece = images[start : start + self._batch]
            padded = np.concatenate([piece, np.zeros((self._batch - len(piece), *self._shape), np.uint8)])
            found = self._forward(self._keras.ops.convert_to_tensor(padded))
            pieces.append([self._keras.ops.convert_to_numpy(part)[: len(piece)] for part in found])
        logits, _, embeddings, *maps = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
        return Seen(logits, embeddings, maps[0] if maps else None)

    def ms_per_image(self, images: npt.NDArray[np.uint8], seconds: float = 1.0) -> float | None:
        """What one image costs on this machine, in ms, in full batches; None where there are no images."""
        if not len(images):
            return None
        batch = np.resize(images, (self._batch, *self._shape))
        self.look(batch)
        started, shown = time.perf_counter(), 0
        while shown == 0 or time.perf_counter() - started < seconds:
            self.look(batch)
            shown += self._batch
        return (time.perf_counter() - started) / shown * 1000.0


def assemble(
    model: Any,
    design: Design,
    measured: Measured,
    pictures: Sequence[Pixels],
    models: Path,
    *,
    papers: Mapping[str, bytes] | None = None,
) -> Bundle:
    """Write a bundle to ``models/<id>``.

    Args:
        model: a Keras network, from prepared images to probabilities.
        pictures: a few, as they come from a decoder; what the network says of them becomes the self-test.
        papers: further files for people, by name.

    Raises:
        BundleError: when it cannot be written, or the network is none that can be served.
    """
    prepared = np.stack([prepare(pixels, design.preparation) for pixels in pictures])
    logits = look(model, design.preparation, prepared, batch=len(prepared)).logits
    manifest = Manifest(
        id=design.id,
        created_at=datetime.now(UTC).replace(microsecond=0),
        labels=tuple(Label(name=name, meaning=meaning) for name, meaning in design.labels.items()),
        plots=design.plots,
        preparation=design.preparation,
        architecture=design.architecture,
        parameters=int(model.count_params()),
        temperature=measured.temperature,
        thresholds=dict(zip(design.labels, measured.thresholds, strict=True)),
        golden=Closeness(tolerance=TOLERANCE),
        data=measured.data,
        metrics=dict(measured.metrics),
    )
    bare = backend.keras().Model(model.inputs[0], model.outputs[0])  # the same layers, without what training needed
    with tempfile.TemporaryDirectory(prefix="hydrad-bundle-") as folder:
        saved = Path(folder) / MODEL
        with warnings.catch_warnings():
            # Keras copies its variables in a way that NumPy 2 will not know one day; that is between the two of them.
            warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy", DeprecationWarning)
            bare.save(saved)
        parts: dict[str, bytes | Path] = {MODEL: saved, GOLDEN: Golden(tuple(pictures), logits).to_bytes()}
        if measured.novelty is not None:
            parts[NOVELTY] = measured.novelty.to_bytes()
        parts.update(papers or {})
        return write(models, manifest, parts)


def random_bundle(
    architecture: str,
    labels: Sequence[str],
    plots: Sequence[str],
    models: Path,
    size: int,
    *,
    model_id: str = "",
    seed: int = 0,
) -> Bundle:
    """A bundle with random weights: it knows nothing, but loads, serves and costs what a trained one would.

    Args:
        architecture: ``plain`` or a network of ``keras.applications``, e.g. ``InceptionV3``.
        labels: their meanings are told by their names.
        plots: patterns.
        models: the folder that gets it.
        size: edge of its square images, pixels.
        model_id: its name; architecture and size when empty.

    Raises:
        ConfigurationError: when there is no such network in that size.
        BundleError: when there is a model of that name already.
    """
    backend.keras().utils.set_random_seed(seed)
    model = network.build(architecture, size, size, len(labels))
    design = Design(
        id=model_id or f"random-{architecture.lower()}-{size}",
        labels={label: meaning_of(label) for label in labels},
        plots=tuple(plots),
        preparation=Preparation(width=size, height=size, filter="bilinear"),
        architecture=architecture,
    )
    measured = Measured(1.0, (0.5,) * len(labels), DataSet(images=0, seed=seed))
    rng = np.random.default_rng(seed)
    pictures = [rng.integers(0, 256, (size, size, 3), np.uint8) for _ in range(2)]
    return assemble(model, design, measured, pictures, models)
