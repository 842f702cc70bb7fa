"""How unlike the good images of the training an image is: what remains of its embedding beside their main directions.

The softmax does not know what it does not know: one minus its maximum tells new faults no better than a coin. The
distance of the embedding from the subspace of the good images (reconstruction error of a principal-component analysis)
does, when it is fitted on good images alone.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from hydrad.classify.arrays import opened
from hydrad.errors import BundleError

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Novelty:
    """The subspace of good images and how far from it is far."""

    mean: Vectors  # shape (features,)
    components: Vectors  # orthonormal rows, shape (components, features)
    limit: float  # of the distance; beyond it an image is unlike anything known

    def of(self, embeddings: Vectors) -> Vectors:
        """Distances in units of the limit, shape (images,); above 1.0 is novel.

        Args:
            embeddings: shape (images, features).
        """
        away = embeddings - self.mean
        with _blas().limit(limits=1):  # its threads wait busily for the next product: 60 CPU-ms after one of half a ms
            rest = away - (away @ self.components.T) @ self.components
        return np.asarray(np.linalg.norm(rest, axis=1) / self.limit, np.float32)

    def to_bytes(self) -> bytes:
        """As the npz file that lies in a bundle."""
        file = io.BytesIO()
        np.savez(file, mean=self.mean, components=self.components, limit=np.float64(self.limit))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Novelty:
        """Read what :meth:`to_bytes` wrote; raise BundleError when it is something else."""
        with opened(data, "novelty parameters") as file:
            mean, components, limit = file["mean"], file["components"], float(file["limit"])
        if mean.ndim != 1 or components.ndim != 2 or components.shape[1] != mean.size:
            raise BundleError("its novelty parameters do not fit together")
        if not (np.isfinite(mean).all() and np.isfinite(components).all() and np.isfinite(limit) and limit > 0):
            raise BundleError("its novelty parameters are not finite, or its limit is not positive")
        return cls(mean.astype(np.float32), components.astype(np.float32), limit)


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def fit(
    training: Vectors, validation: Vectors, *, kept: float = 0.99, quantile: float = 0.999, margin: float = 1.5
) -> Novelty:
    """Learn what good images have in common.

    Args:
        training: embeddings of good images, shape (images, features), at least two.
        validation: embeddings of other good images; they set the limit.
        kept: share of the variance that the subspace explains, 0 to 1.
        quantile: of the validation images' distances, times ``margin``, is the limit.
    """
    mean = training.mean(axis=0, dtype=np.float64)
    _, singular, rows = np.linalg.svd(training - mean, full_matrices=False)
    explained = np.cumsum(singular**2) / max(float(np.sum(singular**2)), np.finfo(np.float64).tiny)
    count = min(int(np.searchsorted(explained, kept)) + 1, max(len(rows) - 1, 1))
    unit = Novelty(mean.astype(np.float32), rows[:count].astype(np.float32), 1.0)
    limit = float(np.quantile(unit.of(validation), quantile)) * margin
    return Novelty(unit.mean, unit.components, max(limit, float(np.finfo(np.float32).eps)))
