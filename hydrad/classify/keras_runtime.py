"""Computes a bundle with Keras: scores, map and embedding in one forward pass, on whichever backend Keras has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hydrad.classify import backend
from hydrad.classify.bundle import Bundle
from hydrad.classify.head import Head, split
from hydrad.classify.runtime import Batch, InBatches, NoRoom, first_line
from hydrad.classify.vetting import vet
from hydrad.domain import Meaning
from hydrad.errors import BundleError

_NEVER = -1e9  # a logit of probability zero
_FAINT = 1e-12  # a map without evidence is left dark, not blown up


class KerasRuntime(InBatches):
    """A bundle's network on Keras.

    Batches have a few fixed sizes, since each size costs its backend a compilation; what is missing is padded.

    Raises:
        BundleError: when the network is no plain Keras network or does not fit what the bundle says of it.
    """

    def __init__(self, bundle: Bundle, batch: int = 32) -> None:
        vet(bundle.model)
        super().__init__(bundle.computed_in("float32"), batch)
        self._keras = backend.keras()
        self._faults = backend.faults()
        self.name = backend.where()
        try:
            model = self._keras.saving.load_model(bundle.model, compile=False, safe_mode=True)
            self._head = split(self._keras, model)
        except self._faults as fault:
            raise BundleError(f"its network cannot be loaded: {first_line(fault)}") from fault
        self._check(model)
        manifest = bundle.manifest
        self._forward = backend.compiled(
            lambda x: one_pass(
                self._keras, self._head, x,
                scale=manifest.preparation.scale, offset=manifest.preparation.offset, temperature=manifest.temperature,
                meanings=[label.meaning for label in manifest.labels],
            )
        )  # fmt: skip

    def _answer(self, batch: Batch) -> list[Any]:
        try:
            outputs = self._forward(self._keras.ops.convert_to_tensor(batch))
            return [self._keras.ops.convert_to_numpy(output) for output in outputs]
        except self._faults as fault:
            raise could_not_compute(self.bundle.id, fault) from fault

    def rest(self) -> None:
        """Nothing: a backend keeps its memory for whoever computes next."""

    def _check(self, model: Any) -> None:
        manifest = self.bundle.manifest
        wanted = manifest.preparation.shape
        given = tuple(model.inputs[0].shape[1:])
        if len(given) != len(wanted) or any(
            side not in (None, side_wanted) for side, side_wanted in zip(given, wanted, strict=True)
        ):
            raise BundleError(f"its network wants images of shape {given}, its manifest says {wanted}")
        if self._head.kernel.shape[1] != len(manifest.labels):
            raise BundleError(f"its network has {self._head.kernel.shape[1]} outputs for {len(manifest.labels)} labels")


def one_pass(
    keras: Any,
    head: Head,
    images: Any,
    *,
    scale: float,
    offset: float,
    temperature: float,
    meanings: Sequence[Meaning],
) -> tuple[Any, ...]:
    """Everything about a batch at once: logits, scores, embeddings and, where the head has maps, heatmaps.

    Args:
        images: 0 to 255, shape (n, height, width, channels).
        scale: of the values given to the network, with ``offset``.
        temperature: the logits are divided by it before the softmax.
        meanings: of the labels, by which the heatmaps know what they speak against.

    Returns:
        Logits and scores, shape (n, labels); embeddings, shape (n, features); heatmaps, uint8, (n, rows, columns).
    """
    ops = keras.ops
    features = head.trunk(ops.cast(images, "float32") * scale + offset, training=False)
    features = ops.cast(features, "float32")
    embeddings = ops.mean(features, axis=(1, 2)) if head.spatial else features
    logits = ops.matmul(embeddings, head.kernel) + head.bias
    calibrated = logits / temperature
    scores = ops.softmax(calibrated, axis=-1)
    if not head.maps:
        return logits, scores, embeddings
    maps = evidence(keras, head, features, calibrated, rivals_of(meanings))
    return logits, scores, embeddings, ops.cast(ops.round(maps * 255.0), "uint8")


def rivals_of(meanings: Sequence[Meaning]) -> npt.NDArray[np.bool_]:
    """Against which other labels, a column each, each label, a row each, shows its evidence.

    One asks of a fault what is not good about it. Against an empty plot everything would speak that is still alive.
    """
    others = ~np.eye(len(meanings), dtype=np.bool_)
    good = np.array([meaning is Meaning.GOOD for meaning in meanings])
    return np.where(good.any() & ~good[:, None], others & good, others)


def evidence(keras: Any, head: Head, features: Any, calibrated: Any, rivals: npt.NDArray[np.bool_]) -> Any:
    """What speaks for the winning label against its rivals, at each place: 0 to 1, shape (n, rows, columns).

    The gradient of the probability p_c is along w_c − Σ_j p_j w_j, which vanishes as p_c approaches one. Divided by
    1 − p_c, which the scaling to the largest value takes out anyway, it is w_c less the mean of its rivals' weights by
    their probabilities among themselves: where all others are rivals the same map, without the loss of digits.

    Args:
        rivals: as :func:`rivals_of` has it.
    """
    ops = keras.ops
    _, first = ops.top_k(calibrated, 1)  # Keras' argmax looks at the bits of numbers, which cannot be exported
    winner = ops.one_hot(first[:, 0], head.kernel.shape[1], dtype="float32")
    weighed = ops.softmax(calibrated + ops.matmul(winner, np.where(rivals, 0.0, _NEVER).astype(np.float32)), axis=-1)
    direction = ops.matmul(winner - weighed, np.ascontiguousarray(head.kernel.T))
    maps = ops.relu(ops.einsum("nrcf,nf->nrc", features, direction))
    return maps / ops.maximum(ops.max(maps, axis=(1, 2), keepdims=True), _FAINT)


def could_not_compute(model: str, fault: BaseException) -> BundleError:
    """What a backend raised, in hydrad's words; NoRoom where it was for want of memory."""
    kind = NoRoom if backend.is_lack_of_memory(fault) else BundleError
    return kind(f"model {model!r} could not compute: {first_line(fault)}")
