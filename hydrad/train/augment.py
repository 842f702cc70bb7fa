"""What may differ between two pictures of the same histogram without any news in it: some of it for each batch.

A network that has seen a plot drawn a pixel to the left, or paler, or with another title, does not call that a fault.
But one that is given the plots' usual pictures sees each of these as a difference from them, and learns slower and
worse: producers draw alike, image for image, so nothing is changed unless it is asked for. How a histogram may be
turned over only its owner knows: mirrored and rotated are only plots that are declared to allow it. Every change costs
far less than the step of training that follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import numpy.typing as npt

from hydrad.config import Symmetry

Batch = npt.NDArray[np.uint8]  # shape (images, height, width, channels)
Picture = npt.NDArray[np.uint8]  # shape (height, width, channels)
Numbers = npt.NDArray[np.int64]  # of a batch's images among all that are learned from


@dataclass(frozen=True, slots=True)
class Changes:
    """How much may differ; at 0, as by default, nothing does.

    Args:
        share: of the images that are changed at all.
        shift: by how much of its width and height a picture is moved at most.
        scale: by how much larger or smaller it is drawn at most.
        contrast: how much paler or darker colours are at most, in powers (gamma) around 1; white and black stay.
        rim: how much of the picture, from each edge inwards, may be blank: titles, axes and dates stand there.
        colours: share of the images whose colour channels change places, as if drawn with another palette.
    """

    share: float = 0.5
    shift: float = 0.0
    scale: float = 0.0
    contrast: float = 0.0
    rim: float = 0.0
    colours: float = 0.0


class Augmentation:
    """Changes the images of a batch at random; called as ``augmentation(images, numbers, rng)``.

    Args:
        plots: of each image that is learned from, by its number.
        changes: how much may differ.
        symmetries: what plots may be turned into; of several that name a plot all count.
    """

    def __init__(
        self, plots: Sequence[str], changes: Changes | None = None, symmetries: Sequence[Symmetry] = ()
    ) -> None:
        self.changes = changes or Changes()
        valid = {plot: _valid(plot, symmetries) for plot in set(plots)}
        self._valid = [valid[plot] for plot in plots]

    def __call__(self, images: Batch, numbers: Numbers, rng: np.random.Generator) -> Batch:
        """Some of the images changed, in a new array of the same shape.

        Args:
            images: uint8, shape (images, height, width, channels).
            numbers: which of all the images that are learned from these are, shape (images,).
            rng: decides everything: equal generators give equal batches.
        """
        changed = images.copy()
        for place, number in enumerate(numbers):
            picture = images[place]
            if valid := self._valid[number]:
                picture = turned(picture, valid, rng)
            if rng.random() < self.changes.share:
                picture = self._blanked(self._tinted(self._moved(picture, rng), rng), rng)
            changed[place] = picture
        return changed

    def _moved(self, picture: Picture, rng: np.random.Generator) -> Picture:
        shift, scale = self.changes.shift, self.changes.scale
        if not shift and not scale:
            return picture
        axes = []
        for length in picture.shape[:2]:
            middle = (length - 1) / 2
            places = middle + (np.arange(length) - middle) * (1 + rng.uniform(-scale, scale))
            axes.append(np.rint(places + length * rng.uniform(-shift, shift)).astype(np.intp).clip(0, length - 1))
        return np.asarray(picture.take(axes[0], axis=0).take(axes[1], axis=1), np.uint8)

    def _tinted(self, picture: Picture, rng: np.random.Generator) -> Picture:
        if self.changes.contrast:
            power = float(np.exp(rng.uniform(-self.changes.contrast, self.changes.contrast)))
            table = np.rint(255.0 * (np.arange(256) / 255.0) ** power).astype(np.uint8)
            picture = table[picture]
        if self.changes.colours and rng.random() < self.changes.colours:
            picture = picture[..., rng.permutation(picture.shape[-1])]
        return picture

    def _blanked(self, picture: Picture, rng: np.random.Generator) -> Picture:
        if not self.changes.rim:
            return picture
        height, width = picture.shape[:2]
        page = np.median(np.concatenate([picture[0], picture[-1]]), axis=0).astype(np.uint8)
        top, bottom, left, right = (
            int(rng.integers(0, round(self.changes.rim * length) + 1)) for length in (height, height, width, width)
        )
        blanked = picture.copy()
        blanked[:top] = page
        blanked[height - bottom :] = page
        blanked[:, :left] = page
        blanked[:, width - right :] = page
        return blanked


def turned(picture: Picture, valid: Sequence[str], rng: np.random.Generator) -> Picture:
    """The picture, or one that the valid symmetries make of it, each as likely; of the same shape.

    ``flip_x`` turns the x axis round (left becomes right), ``flip_y`` the y axis; ``rotate_90`` stands for both
    quarter turns, and a picture that is not square is stretched to its own shape again.
    """
    height, width = picture.shape[:2]
    result = picture
    if "rotate_90" in valid and rng.random() < 0.5:
        result = np.rot90(result, 1 if rng.random() < 0.5 else 3)
        rows, columns = ((np.arange(to) + 0.5) * (of / to) for to, of in ((height, width), (width, height)))
        result = result[rows.astype(np.intp)][:, columns.astype(np.intp)]
    if "flip_x" in valid and rng.random() < 0.5:
        result = result[:, ::-1]
    if "flip_y" in valid and rng.random() < 0.5:
        result = result[::-1]
    if "rotate_180" in valid and rng.random() < 0.5:
        result = result[::-1, ::-1]
    return result


def _valid(plot: str, symmetries: Sequence[Symmetry]) -> tuple[str, ...]:
    return tuple(
        sorted(
            {
                name
                for one in symmetries
                if any(fnmatchcase(plot, pattern) for pattern in one.plots)
                for name in one.valid
            }
        )
    )
