"""How a picture becomes what a network looks at: one way, in training and in service."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from hydrad.domain import Pixels

Prepared = npt.NDArray[np.uint8]  # shape (height, width, channels)

Side = Field(ge=16, le=2048)

_FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class Preparation(BaseModel):
    """What a bundle's network wants: its size in pixels, how images get there, and the range of its numbers.

    The network is given ``scale · value + offset`` of each colour value 0 to 255; networks that scale for themselves
    leave both alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Side
    height: int = Side
    filter: Literal["box", "bilinear", "bicubic", "lanczos"] = "box"
    colour: Literal["rgb", "grey"] = "rgb"
    scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    offset: float = Field(default=0.0, allow_inf_nan=False)

    def __call__(self, image: Image.Image) -> Prepared:
        """Bring a picture to the network's size and colours.

        Args:
            image: RGB, of any size.

        Returns:
            uint8, of shape :attr:`shape`; the picture is stretched, never cropped.
        """
        if self.colour == "grey":
            image = image.convert("L")
        small = image.resize((self.width, self.height), _FILTERS[self.filter], reducing_gap=2.0)
        return np.asarray(small, np.uint8).reshape(self.shape)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one prepared picture: (height, width, channels)."""
        return (self.height, self.width, 3 if self.colour == "rgb" else 1)


def prepare(pixels: Pixels, preparation: Preparation) -> Prepared:
    """What the preparation makes of pixels: uint8 RGB, shape (height, width, 3), of any size."""
    return preparation(Image.fromarray(pixels))
