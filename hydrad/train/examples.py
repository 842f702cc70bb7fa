"""Labelled images as a network sees them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Truth = npt.NDArray[np.int64]  # shape (images,): the number of each image's label


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Prepared pictures with their labels; ``groups`` says what each one stands for in reports."""

    images: npt.NDArray[np.uint8]  # shape (images, height, width, channels)
    truth: Truth
    groups: tuple[tuple[str, ...], ...] = ()  # per image: its plot, then what else it is reported by, e.g. a fault
    weights: npt.NDArray[np.float32] | None = None  # of each image in training; all alike when None
    names: tuple[str, ...] = ()  # per image, where it came from

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of pixels and labels: equal for equal examples in equal order."""
        digest = hashlib.sha256(str(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.truth).data)
        return digest.hexdigest()

    def of(self, chosen: npt.NDArray[Any]) -> Examples:
        """Those that are chosen, by a mask or by their numbers."""
        numbers = np.arange(len(self))[chosen]
        groups = tuple(self.groups[n] for n in numbers) if self.groups else ()
        weights = None if self.weights is None else self.weights[numbers]
        names = tuple(self.names[n] for n in numbers) if self.names else ()
        return Examples(self.images[numbers], self.truth[numbers], groups, weights, names)


def joined(first: Examples, second: Examples) -> Examples:
    """Two sets of examples as one; where one has weights or groups, the other's are 1 or empty."""

    def pair(one: tuple[Any, ...], other: tuple[Any, ...], blank: Any) -> tuple[Any, ...]:
        if not one and not other:
            return ()
        return (*(one or (blank,) * len(first)), *(other or (blank,) * len(second)))

    weights = None
    if first.weights is not None or second.weights is not None:
        weights = np.concatenate(
            [np.ones(len(part), np.float32) if part.weights is None else part.weights for part in (first, second)]
        )
    return Examples(
        np.concatenate([first.images, second.images]),
        np.concatenate([first.truth, second.truth]),
        pair(first.groups, second.groups, ("",)),
        weights,
        pair(first.names, second.names, ""),
    )
