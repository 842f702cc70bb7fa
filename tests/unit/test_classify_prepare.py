"""Training and service prepare pictures in one way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hydrad.classify.prepare import Preparation, prepare


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 700),
    height=st.integers(1, 500),
    colour=st.sampled_from(["rgb", "grey"]),
    how=st.sampled_from(["box", "bilinear", "bicubic", "lanczos"]),
)
def test_every_picture_comes_out_in_the_networks_shape(width: int, height: int, colour: str, how: str) -> None:
    preparation = Preparation.model_validate({"width": 48, "height": 32, "colour": colour, "filter": how})
    small = prepare(np.full((height, width, 3), 77, np.uint8), preparation)

    assert small.shape == preparation.shape == (32, 48, 3 if colour == "rgb" else 1)
    assert small.dtype == np.uint8
    assert np.all(np.abs(small.astype(int) - 77) <= 1)


def test_a_box_is_the_mean_of_its_pixels() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (64, 128, 3), np.uint8)
    small = prepare(pixels, Preparation(width=32, height=16))

    wanted = pixels.reshape(16, 4, 32, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - wanted).max() <= 2.0  # it rounds twice


def test_what_is_left_of_the_picture_is_left_of_the_result() -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[:150, :100] = 255
    small = prepare(pixels, Preparation(width=40, height=30))

    assert np.all(small[:14, :9] == 255)
    assert np.all(small[16:, :] == 0)
    assert np.all(small[:, 11:] == 0)


def test_pixels_that_may_not_be_written_can_be_prepared() -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels.setflags(write=False)
    assert prepare(pixels, Preparation(width=400, height=300)).shape == (300, 400, 3)


@pytest.mark.parametrize(
    "wrong", [{"width": 8}, {"height": 5000}, {"filter": "nearest"}, {"scale": 0}, {"offset": float("nan")}, {"x": 1}]
)
def test_preparations_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Preparation.model_validate({"width": 32, "height": 32} | wrong)
