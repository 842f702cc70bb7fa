"""Exports a network for the CPU runtime, and lets the export speak for itself before it may serve.

What the export says of held-out images is compared with what Keras says of them. In float32 it has to be the same. In
another precision scores shift, so temperature, thresholds and the limit of novelty are found anew through exactly that
runtime; where a held-out image then gets another label, the precision is left out. int8 is made where it is asked for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from hydrad import log
from hydrad.classify import backend
from hydrad.classify.head import split
from hydrad.classify.keras_runtime import one_pass
from hydrad.classify.manifest import EXPORT, EXPORT_INT8, Calibrated, Calibration, Precision, export_in
from hydrad.classify.novelty import Novelty
from hydrad.classify.prepare import Preparation
from hydrad.classify.runtime import first_line
from hydrad.classify.silent import openvino
from hydrad.domain import Meaning
from hydrad.errors import BundleError
from hydrad.train import quantizing
from hydrad.train.evaluation.calibrate import scores_of
from hydrad.train.seen import Onlooker, Seen

TIMED_S: Final = 0.5  # so long each precision is timed
SCORE_OFF: Final = 1e-3  # the most that a score in float32 may differ from Keras'

Images = npt.NDArray[np.uint8]  # shape (images, height, width, channels)

_log = log.get("train")


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A network that has learned."""

    model: Any  # keras.Model, from prepared images to probabilities
    preparation: Preparation
    meanings: Sequence[Meaning]  # of its labels


@dataclass(frozen=True, slots=True, eq=False)
class InPrecision:
    """A network's export in one precision that serves: how it sees, and what fits its answers."""

    looks: Onlooker
    calibration: Calibration
    novelty: Novelty | None


@dataclass(frozen=True, slots=True, eq=False)
class Export:
    """A network's export, and in what it may be computed beside float32."""

    files: Mapping[str, Path]  # by name inside the bundle
    others: Mapping[Calibrated, InPrecision] = field(default_factory=dict)
    figures: Mapping[str, JsonValue] = field(default_factory=dict)  # by precision: how it agrees with Keras, or why not


Calibrate = Callable[[Onlooker], tuple[Calibration, Novelty | None]]  # what fits the answers of one precision


@contextmanager
def exported(
    network: Trained, images: Images, seen: Seen, calibrate: Calibrate, *, learned: Images | None = None
) -> Iterator[Export | None]:
    """The export of a network, until the end of the block; None where it cannot be had or does not agree.

    Args:
        network: what is exported.
        images: held out, prepared, shape (images, height, width, channels).
        seen: what Keras says of them.
        calibrate: finds what fits the answers of another precision than float32.
        learned: images that were learned from, prepared, by which it is quantized; None: it is not.
    """
    with tempfile.TemporaryDirectory(prefix="hydrad-export-") as name:
        try:
            found = _export(network, Path(name), images, seen, calibrate, learned=learned)
        except BundleError as fault:
            _log.warning("no_export", reason=str(fault))
            found = None
        yield found


def _export(
    network: Trained, folder: Path, images: Images, seen: Seen, calibrate: Calibrate, *, learned: Images | None
) -> Export:
    _write(network, folder)
    from hydrad.classify.openvino_runtime import computes_bfloat16  # noqa: PLC0415  it was there to write

    exact = _onlooker(folder, network, "float32")
    figures: dict[str, JsonValue] = {}
    figures["float32"] = agreed = _agreement(seen, exact.look(images), exact.ms_per_image(images, TIMED_S))
    if agreed["other_label"] or agreed["score_off"] > SCORE_OFF:
        raise BundleError(
            f"{agreed['other_label']} of {len(images)} held-out images get another label from the export than from"
            f" Keras, and scores differ by up to {agreed['score_off']:.2g}"
        )
    tried: list[Calibrated] = ["bfloat16"] if computes_bfloat16() else []
    if learned is not None:
        try:
            quantizing.quantize(folder / EXPORT[0], folder / EXPORT_INT8[0], learned)
            tried.append("int8")
        except BundleError as fault:  # which costs the rest of the export nothing
            _log.warning("no_int8", reason=str(fault))
            figures["int8"] = {"reason": str(fault)}
    others: dict[Calibrated, InPrecision] = {}
    for precision in tried:
        fast = _onlooker(folder, network, precision)
        figures[precision] = agreed = _agreement(seen, fast.look(images), fast.ms_per_image(images, TIMED_S))
        if not agreed["other_label"]:
            others[precision] = InPrecision(fast, *calibrate(fast))
    _log.info("exported", served_in=["float32", *others], **figures)
    parts = {part for precision in others for part in export_in(precision)} | set(EXPORT)
    return Export({part: folder / part for part in sorted(parts)}, others, figures)


def _onlooker(folder: Path, network: Trained, precision: Precision) -> Onlooker:
    from hydrad.classify.openvino_runtime import Network  # noqa: PLC0415  OpenVINO is optional

    shape = network.preparation.shape
    compiled = Network(folder / export_in(precision)[0], shape, len(network.meanings), precision)
    return Onlooker(shape, lambda images: compiled.answer(images, 1.0))


def _agreement(seen: Seen, said: Seen, ms_per_image: float | None) -> dict[str, Any]:
    """How an export agrees with Keras on the same images."""
    other = int((seen.logits.argmax(axis=1) != said.logits.argmax(axis=1)).sum())
    off = float(np.abs(scores_of(seen.logits, 1.0) - scores_of(said.logits, 1.0)).max(initial=0.0))
    if not np.isfinite(said.logits).all():
        other, off = len(seen.logits), 1.0
    cost = None if ms_per_image is None else round(ms_per_image, 3)
    return {"images": len(seen.logits), "other_label": other, "score_off": round(off, 9), "ms_per_image": cost}


def _write(network: Trained, folder: Path) -> None:
    """Write ``network.xml`` and ``network.bin``: what a runtime computes, as one graph of images and temperature."""
    keras = backend.keras()
    if keras.backend.backend() != "tensorflow":
        raise BundleError(f"the backend {keras.backend.backend()} of Keras exports nothing; TensorFlow does")
    ov = openvino()
    import tensorflow as tf  # noqa: PLC0415  only where it is the backend

    head, preparation = split(keras, network.model), network.preparation

    def forward(images: Any, temperature: Any) -> dict[str, Any]:
        parts = one_pass(
            keras, head, images,
            scale=preparation.scale, offset=preparation.offset, temperature=temperature, meanings=network.meanings,
        )  # fmt: skip
        return dict(zip(("logits", "scores", "embeddings", "heatmaps"), parts, strict=False))

    module = tf.Module()
    module.held = [variable.value for variable in head.trunk.variables]
    module.forward = tf.function(
        forward,
        autograph=False,
        input_signature=[
            tf.TensorSpec((None, *preparation.shape), tf.uint8, "images"),
            tf.TensorSpec((), tf.float32, "temperature"),
        ],
    )
    try:
        with tempfile.TemporaryDirectory(dir=folder) as saved:
            tf.saved_model.save(module, saved, signatures=module.forward)
            ov.save_model(ov.Core().read_model(saved), folder / EXPORT[0], compress_to_fp16=False)
    except backend.faults() as fault:
        raise BundleError(f"the network cannot be exported: {first_line(fault)}") from fault
