"""A histogram may be drawn a little otherwise, and only what its owner allows may be turned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrad.config import Symmetry
from hydrad.train.augment import Augmentation, Batch, Changes, turned

MODEST = Changes(shift=0.006, scale=0.006, contrast=0.15, rim=0.05)
STILL = Changes(share=1.0)


def noise(count: int = 4, height: int = 32, width: int = 48, seed: int = 1) -> Batch:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8)


def numbers(batch: Batch) -> npt.NDArray[np.int64]:
    return np.arange(len(batch))


def test_equal_generators_give_equal_batches_and_the_given_one_stays() -> None:
    batch = noise()
    before = batch.copy()
    augmentation = Augmentation(
        ["CDC_occupancy"] * 4, replace(MODEST, share=1.0), [Symmetry(plots=("CDC_*",), valid=("flip_x", "rotate_90"))]
    )

    first, second = (augmentation(batch, numbers(batch), np.random.default_rng(7)) for _ in range(2))

    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(batch, before)
    assert first.shape == batch.shape
    assert first.dtype == np.uint8
    assert (first != augmentation(batch, numbers(batch), np.random.default_rng(8))).any()


def test_nothing_changes_where_nothing_may() -> None:
    batch = noise()
    for changes in (None, STILL, replace(MODEST, share=0.0)):
        changed = Augmentation(["A"] * 4, changes)(batch, numbers(batch), np.random.default_rng(1))
        np.testing.assert_array_equal(changed, batch)


def test_only_plots_that_allow_it_are_turned() -> None:
    batch = noise(2)
    augmentation = Augmentation(["CDC_map", "FDC_map"], STILL, [Symmetry(plots=("CDC_*",), valid=("flip_x",))])
    rng = np.random.default_rng(1)

    seen = [augmentation(batch, numbers(batch), rng) for _ in range(20)]

    mirrored = [np.array_equal(some[0], batch[0, :, ::-1]) for some in seen]
    assert all(hit or np.array_equal(some[0], batch[0]) for hit, some in zip(mirrored, seen, strict=True))
    assert 4 < sum(mirrored) < 16
    assert all(np.array_equal(some[1], batch[1]) for some in seen)


def test_numbers_tell_whose_plot_an_image_is_of() -> None:
    batch = noise(2)
    plots = ["FDC_map"] * 5 + ["CDC_map"]
    augmentation = Augmentation(plots, STILL, [Symmetry(plots=("CDC_map",), valid=("flip_y",))])
    rng = np.random.default_rng(1)

    seen = [augmentation(batch, np.array([5, 2]), rng) for _ in range(20)]

    assert any(np.array_equal(some[0], batch[0, ::-1]) for some in seen)
    assert all(np.array_equal(some[1], batch[1]) for some in seen)


def test_symmetries_that_name_a_plot_add_up() -> None:
    batch = noise(1)
    both = [Symmetry(plots=("A",), valid=("flip_x",)), Symmetry(plots=("*",), valid=("flip_y",))]
    rng = np.random.default_rng(1)
    seen = {Augmentation(["A"], STILL, both)(batch, numbers(batch), rng).tobytes() for _ in range(60)}
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("valid", "results"), [(("rotate_180",), 2), (("rotate_90",), 3), (("rotate_90", "rotate_180"), 4)]
)
def test_quarter_turns_keep_the_shape_and_every_pixel_of_a_square(valid: tuple[str, ...], results: int) -> None:
    square = noise(1, 24, 24)[0]
    rng = np.random.default_rng(1)
    seen = [turned(square, valid, rng) for _ in range(80)]
    assert len({some.tobytes() for some in seen}) == results
    assert all(np.array_equal(np.sort(some.ravel()), np.sort(square.ravel())) for some in seen)

    oblong = noise(1, 16, 48)[0]
    assert {turned(oblong, valid, rng).shape for _ in range(20)} == {oblong.shape}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), height=st.integers(16, 80), width=st.integers(16, 80))
def test_a_shift_is_small_and_leaves_nothing_blank(seed: int, height: int, width: int) -> None:
    ramp = np.broadcast_to(np.arange(width, dtype=np.uint8)[None, :, None], (height, width, 3))[None]
    changes = Changes(share=1.0, shift=0.02, scale=0.02)
    moved = Augmentation(["A"], changes)(ramp, np.zeros(1, np.int64), np.random.default_rng(seed))
    away = np.abs(moved.astype(int) - ramp)
    assert away.max() <= 0.02 * width + 0.02 * width / 2 + 1
    assert (np.diff(moved.astype(int), axis=2) >= 0).all()


def test_paler_or_darker_leaves_white_white_and_black_black() -> None:
    batch = noise(8)
    batch[:, :4] = 255
    batch[:, 4:8] = 0
    changed = Augmentation(["A"] * 8, Changes(share=1.0, contrast=0.5))(batch, numbers(batch), np.random.default_rng(1))
    assert (changed[:, :4] == 255).all()
    assert (changed[:, 4:8] == 0).all()
    shift = (changed.astype(int) - batch)[:, 8:].mean(axis=(1, 2, 3))
    assert shift.min() < -5
    assert shift.max() > 5


def test_only_the_rim_is_blanked_and_in_the_colour_of_the_page() -> None:
    batch = noise(8, 40, 60)
    batch[:, [0, -1]] = 200
    changed = Augmentation(["A"] * 8, Changes(share=1.0, rim=0.1))(batch, numbers(batch), np.random.default_rng(1))
    np.testing.assert_array_equal(changed[:, 4:36, 6:54], batch[:, 4:36, 6:54])
    differs = (changed != batch).any(axis=-1)
    assert differs.any()
    assert (changed[differs] == 200).all()


def test_another_palette_changes_the_places_of_colours_only() -> None:
    batch = noise(16)
    still = Changes(share=1.0, colours=1.0)
    changed = Augmentation(["A"] * 16, still)(batch, numbers(batch), np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(changed, axis=-1), np.sort(batch, axis=-1))
    assert (changed != batch).any()


def test_grey_pictures_are_taken_too() -> None:
    batch = noise()[..., :1]
    changed = Augmentation(["A"] * 4, replace(MODEST, share=1.0, colours=1.0))(
        batch, numbers(batch), np.random.default_rng(1)
    )
    assert changed.shape == batch.shape
