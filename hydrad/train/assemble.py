"""Turns a network into a bundle: measured, calibrated and with the answers it must give everywhere."""

from __future__ import annotations

import tempfile
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
from hydrad.classify.bundle import Bundle, Golden, novelty_in, write
from hydrad.classify.head import Head, split
from hydrad.classify.keras_runtime import one_pass
from hydrad.classify.labels import meaning_of
from hydrad.classify.manifest import GOLDEN, MODEL, NOVELTY, Calibration, DataSet, Label, Manifest
from hydrad.classify.manifest import Golden as Closeness
from hydrad.classify.novelty import Novelty
from hydrad.classify.prepare import Preparation, prepare
from hydrad.classify.runtime import Batch
from hydrad.domain import Meaning, Pixels
from hydrad.errors import BundleError
from hydrad.train import network
from hydrad.train.exporting import Export, Trained, exported
from hydrad.train.seen import Onlooker, Seen

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


def look(
    model: Any, preparation: Preparation, meanings: Sequence[Meaning], images: npt.NDArray[np.uint8], batch: int = 64
) -> Seen:
    """Show prepared images, shape (images, height, width, channels), to a network, at temperature one."""
    return onlooker(model, preparation, meanings, batch).look(images)


def onlooker(model: Any, preparation: Preparation, meanings: Sequence[Meaning], batch: int = 64) -> Onlooker:
    """A network that Keras shows many images, compiled once.

    Args:
        model: a Keras network, from prepared images to probabilities.
        preparation: the range of values that it wants.
        meanings: of its labels.
        batch: images at a time.

    Raises:
        BundleError: when it does not end as a network that can be served, or has not as many outputs as labels.
    """
    keras = backend.keras()
    head: Head = split(keras, model)
    if head.kernel.shape[1] != len(meanings):
        raise BundleError(f"its network has {head.kernel.shape[1]} outputs for {len(meanings)} labels")
    forward = backend.compiled(
        lambda x: one_pass(
            keras, head, x, scale=preparation.scale, offset=preparation.offset, temperature=1.0, meanings=meanings
        )
    )

    def shown(images: Batch) -> list[Any]:
        return [keras.ops.convert_to_numpy(part) for part in forward(keras.ops.convert_to_tensor(images))]

    return Onlooker(preparation.shape, shown, batch)


def assemble(
    model: Any,
    design: Design,
    measured: Measured,
    pictures: Sequence[Pixels],
    models: Path,
    *,
    export: Export | None = None,
    papers: Mapping[str, bytes] | None = None,
) -> Bundle:
    """Write a bundle to ``models/<id>``.

    Args:
        model: a Keras network, from prepared images to probabilities.
        pictures: a few, as they come from a decoder; what the network says of them becomes the self-test.
        export: for the CPU runtime; None: Keras alone computes it.
        papers: further files for people, by name.

    Raises:
        BundleError: when it cannot be written, or the network is none that can be served.
    """
    prepared = np.stack([prepare(pixels, design.preparation) for pixels in pictures])
    logits = look(model, design.preparation, [*design.labels.values()], prepared, batch=len(prepared)).logits
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
        precisions={} if export is None else {name: one.calibration for name, one in export.others.items()},
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
        parts: dict[str, bytes | Path] = {MODEL: saved, **answering(pictures, prepared, logits, export)}
        if measured.novelty is not None:
            parts[NOVELTY] = measured.novelty.to_bytes()
        parts |= papers or {}
        return write(models, manifest, parts)


def answering(
    pictures: Sequence[Pixels],
    prepared: npt.NDArray[np.uint8],
    logits: npt.NDArray[np.float32],
    export: Export | None,
) -> dict[str, bytes | Path]:
    """The parts of a bundle that say what its runtimes must answer, and those that its export brings.

    Args:
        pictures: the golden ones.
        prepared: the same as the network is given them.
        logits: what Keras says of them.
    """
    if export is None:
        return {GOLDEN: Golden(tuple(pictures), logits).to_bytes()}
    others = {name: one.looks.look(prepared).logits for name, one in export.others.items()}
    novelties = {
        novelty_in(name): one.novelty.to_bytes() for name, one in export.others.items() if one.novelty is not None
    }
    return {**export.files, **novelties, GOLDEN: Golden(tuple(pictures), logits, others).to_bytes()}


def random_bundle(
    architecture: str,
    labels: Sequence[str],
    plots: Sequence[str],
    models: Path,
    size: int,
    *,
    model_id: str = "",
    seed: int = 0,
    export: bool = False,
) -> Bundle:
    """A bundle with random weights: it knows nothing, but loads, serves and costs what a trained one would.

    Args:
        architecture: ``plain`` or a network of ``keras.applications``, e.g. ``InceptionV3``.
        labels: their meanings are told by their names.
        plots: patterns.
        models: the folder that gets it.
        size: edge of its square images, pixels.
        model_id: its name; architecture and size when empty.
        export: with an export for the CPU runtime; what it says of images is not measured.

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
    if not export:
        return assemble(model, design, measured, pictures, models)
    meanings = [*design.labels.values()]
    alike = Calibration(temperature=1.0, thresholds=dict.fromkeys(labels, 0.5))
    shown = np.stack(pictures)
    seen = look(model, design.preparation, meanings, shown, batch=len(shown))
    with exported(Trained(model, design.preparation, meanings), shown, seen, lambda _: (alike, None)) as found:
        return assemble(model, design, measured, pictures, models, export=found)
