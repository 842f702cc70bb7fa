"""Computes a bundle with Keras: scores, map and embedding in one forward pass, on whichever backend Keras has."""

from __future__ import annotations

from typing import Any

import numpy as np

from hydrad.classify import backend
from hydrad.classify.bundle import Bundle
from hydrad.classify.head import Head, split
from hydrad.classify.runtime import Answers, Batch, Numbers
from hydrad.classify.vetting import vet
from hydrad.errors import BundleError

_NEVER = -1e9  # a logit of probability zero
_FAINT = 1e-12  # a map without evidence is left dark, not blown up


class KerasRuntime:
    """A bundle's network on Keras.

    Batches have a few fixed sizes, since each size costs its backend a compilation; what is missing is padded.

    Raises:
        BundleError: when the network is no plain Keras network or does not fit what the bundle says of it.
    """

    def __init__(self, bundle: Bundle, batch: int = 32) -> None:
        vet(bundle.model)
        self._bundle = bundle
        self._novelty = bundle.novelty()
        self._keras = backend.keras()
        self._faults = backend.faults()
        self.batch = batch
        self.sizes = tuple(sorted({size for size in (1, 4, 16, 64, 256) if size < batch} | {batch}))
        self.name = backend.where()
        try:
            model = self._keras.saving.load_model(bundle.model, compile=False, safe_mode=True)
            self._head = split(self._keras, model)
        except self._faults as fault:
            raise BundleError(f"its network cannot be loaded: {_first_line(fault)}") from fault
        self._check(model)
        manifest = bundle.manifest
        self._forward = backend.compiled(
            lambda x: one_pass(
                self._keras, self._head, x,
                scale=manifest.preparation.scale, offset=manifest.preparation.offset, temperature=manifest.temperature,
            )
        )  # fmt: skip

    def compute(self, batch: Batch) -> Answers:
        """Answer prepared pictures, shape (images, height, width, channels), as many as there are."""
        if not len(batch):
            raise ValueError("an empty batch has no answers")
        pieces = [self._piece(batch[start : start + self.batch]) for start in range(0, len(batch), self.batch)]
        logits, scores, embeddings, *maps = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
        novelties: Numbers | None = None if self._novelty is None else self._novelty.of(embeddings)
        return Answers(logits, scores, embeddings, maps[0] if maps else None, novelties)

    def warm(self) -> None:
        """Compute every size of batch once."""
        for size in self.sizes:
            self._piece(np.zeros((size, *self._bundle.manifest.preparation.shape), np.uint8))

    def _piece(self, batch: Batch) -> list[Any]:
        count = len(batch)
        size = next(size for size in self.sizes if size >= count)
        if size > count:
            batch = np.concatenate([batch, np.zeros((size - count, *batch.shape[1:]), np.uint8)])
        try:
            outputs = self._forward(self._keras.ops.convert_to_tensor(batch))
            return [self._keras.ops.convert_to_numpy(output)[:count] for output in outputs]
        except self._faults as fault:
            raise BundleError(f"model {self._bundle.id!r} could not compute: {_first_line(fault)}") from fault

    def _check(self, model: Any) -> None:
        manifest = self._bundle.manifest
        wanted = manifest.preparation.shape
        given = tuple(model.inputs[0].shape[1:])
        if len(given) != len(wanted) or any(
            side not in (None, side_wanted) for side, side_wanted in zip(given, wanted, strict=True)
        ):
            raise BundleError(f"its network wants images of shape {given}, its manifest says {wanted}")
        if self._head.kernel.shape[1] != len(manifest.labels):
            raise BundleError(f"its network has {self._head.kernel.shape[1]} outputs for {len(manifest.labels)} labels")


def one_pass(
    keras: Any, head: Head, images: Any, *, scale: float, offset: float, temperature: float
) -> tuple[Any, ...]:
    """Everything about a batch at once: logits, scores, embeddings and, where the head has maps, heatmaps.

    Args:
        images: 0 to 255, shape (n, height, width, channels).
        scale: of the values given to the network, with ``offset``.
        temperature: the logits are divided by it before the softmax.

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
    maps = evidence(keras, head, features, calibrated)
    return logits, scores, embeddings, ops.cast(ops.round(maps * 255.0), "uint8")


def evidence(keras: Any, head: Head, features: Any, calibrated: Any) -> Any:
    """What speaks for the winning label against its rivals, at each place: 0 to 1, shape (n, rows, columns).

    The gradient of the probability p_c is along w_c − Σ_j p_j w_j, which vanishes as p_c approaches one. Divided by
    1 − p_c, which the scaling to the largest value takes out anyway, it is w_c less the mean of the other labels'
    weights by their probabilities among themselves: the same map, without the loss of digits.
    """
    ops = keras.ops
    winner = ops.one_hot(ops.argmax(calibrated, axis=-1), head.kernel.shape[1], dtype="float32")
    rivals = ops.softmax(calibrated + winner * _NEVER, axis=-1)
    direction = ops.matmul(winner - rivals, np.ascontiguousarray(head.kernel.T))
    maps = ops.relu(ops.einsum("nrcf,nf->nrc", features, direction))
    return maps / ops.maximum(ops.max(maps, axis=(1, 2), keepdims=True), _FAINT)


def _first_line(fault: BaseException) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0][:300]
