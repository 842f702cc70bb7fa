"""A picture is made strip by strip, and shows no seam: it is what Pillow makes of all of it at once."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from hydrad.classify.prepare import Preparation
from hydrad.images import _STRIP_PIXELS, picture_of, pixels_of

WIDTH, HEIGHT = 421, 1400  # more than two strips, the last of which is not whole
NOISE = np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)


def colours() -> Image.Image:
    return Image.fromarray(NOISE[:, :, :3])


def half_transparent() -> Image.Image:
    return Image.fromarray(NOISE)


def opaque() -> Image.Image:
    return Image.fromarray(np.dstack([NOISE[:, :, :3], np.full((HEIGHT, WIDTH), 255, np.uint8)]))


def opaque_but_for_its_last_row() -> Image.Image:
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[-1] = NOISE[-1, :, 3]
    return Image.fromarray(np.dstack([NOISE[:, :, :3], alpha]))


KINDS: dict[str, tuple[Image.Image, dict[str, Any]]] = {
    "colours": (colours(), {}),
    "colours of which one is none": (colours(), {"transparency": tuple(NOISE[200, 200, :3].tolist())}),
    "opaque": (opaque(), {}),
    "half transparent": (half_transparent(), {}),
    "opaque but for its last row": (opaque_but_for_its_last_row(), {}),
    "palette": (colours().convert("P"), {}),
    "palette with a colour that is none": (colours().convert("P"), {"transparency": 5}),
    "grey": (colours().convert("L"), {}),
    "grey and transparent": (half_transparent().convert("LA"), {}),
    "one bit": (colours().convert("1"), {}),
}


def at_once(data: bytes) -> npt.NDArray[np.uint8]:
    with Image.open(BytesIO(data)) as image:
        rgba = image.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_of_many_strips_has_no_seam(kind: str) -> None:
    assert WIDTH * HEIGHT > 2 * _STRIP_PIXELS
    image, how = KINDS[kind]
    file = BytesIO()
    image.save(file, "PNG", compress_level=1, **how)
    assert np.array_equal(pixels_of(file.getvalue()), at_once(file.getvalue()))


def file_of(image: Image.Image, kind: str = "png") -> bytes:
    written = BytesIO()
    image.save(written, kind)
    return written.getvalue()


def test_what_is_opaque_is_the_same_picture_with_and_without_alpha() -> None:
    small = Preparation(width=64, height=48)
    with_alpha, without = (picture_of(file_of(image), [small]) for image in (opaque(), colours()))
    assert with_alpha.pixels_digest == without.pixels_digest
    np.testing.assert_array_equal(with_alpha.views[small], without.views[small])


@pytest.mark.parametrize("at", [(0, 0), (HEIGHT // 2, 17), (HEIGHT - 1, WIDTH - 1)])
def test_one_pixel_that_is_not_opaque_is_seen(at: tuple[int, int]) -> None:
    pixels = np.asarray(opaque()).copy()
    pixels[at] = (10, 20, 30, 254)
    data = file_of(Image.fromarray(pixels))
    np.testing.assert_array_equal(pixels_of(data), at_once(data))
    assert pixels_of(data)[at].tolist() == [11, 21, 31]
    shown = picture_of(file_of(Image.fromarray(at_once(data))))
    assert picture_of(data).pixels_digest == shown.pixels_digest
