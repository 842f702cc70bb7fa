"""Novelty, temperature and thresholds: the arithmetic behind what a model says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from hydrad.classify import novelty
from hydrad.classify.novelty import Novelty
from hydrad.errors import BundleError
from hydrad.train.evaluation import calibrate

RNG = np.random.default_rng(11)


def in_a_plane(count: int, *, off: float = 0.0) -> np.ndarray:
    """Points near a plane of eight dimensions; ``off`` moves them along a direction that leaves it."""
    points = RNG.normal(size=(count, 2)) @ np.eye(2, 8) * 5 + 3
    points += RNG.normal(scale=0.01, size=points.shape)
    points[:, 7] += off
    return points.astype(np.float32)


def test_what_leaves_the_plane_of_good_images_is_novel() -> None:
    known = novelty.fit(in_a_plane(300), in_a_plane(200), kept=0.99, quantile=0.999, margin=1.5)

    assert known.components.shape == (2, 8)
    assert known.of(in_a_plane(500)).max() < 1.0
    assert known.of(in_a_plane(500, off=1.0)).min() > 1.0


def test_novelty_is_in_units_of_its_limit() -> None:
    known = Novelty(np.zeros(3, np.float32), np.eye(1, 3, dtype=np.float32), 2.0)
    points = np.array([[9.0, 0.0, 0.0], [9.0, 2.0, 0.0], [0.0, 0.0, -4.0]], np.float32)
    assert known.of(points).tolist() == [0.0, 1.0, 2.0]


def blas_threads() -> list[int]:
    """Of NumPy's; SciPy has one of its own."""
    blas = [found for found in threadpool_info() if found["user_api"] == "blas"]
    return [found["num_threads"] for found in blas if len(blas) == 1 or "numpy" in found["filepath"]]


class Watched(np.ndarray):
    """Remembers how many threads there were for each product that it was part of."""

    threads: tuple[list[int], ...] = ()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **more: Any) -> Any:
        if ufunc is np.matmul:
            Watched.threads += (blas_threads(),)
        return getattr(ufunc, method)(*(np.asarray(one) for one in inputs), **more)


def test_what_takes_one_thread_half_a_ms_wakes_no_others_that_would_wait_busily_afterwards() -> None:
    known = Novelty(np.zeros(8, np.float32), np.eye(2, 8, dtype=np.float32).view(Watched), 1.0)
    with threadpool_limits(2, "blas"):
        known.of(in_a_plane(5))
        assert blas_threads() == [2]
    assert Watched.threads == ([1], [1])


def test_the_validation_images_quantile_sets_the_limit() -> None:
    training, validation = in_a_plane(300), in_a_plane(300)
    tight = novelty.fit(training, validation, quantile=1.0, margin=1.0)
    loose = novelty.fit(training, validation, quantile=1.0, margin=3.0)
    assert tight.of(validation).max() == pytest.approx(1.0, abs=1e-5)
    assert loose.limit == pytest.approx(3 * tight.limit)


def test_two_equal_images_are_enough_and_give_a_limit_above_nothing() -> None:
    same = np.ones((2, 4), np.float32)
    known = novelty.fit(same, same)
    assert known.limit > 0
    assert known.of(same).max() == 0.0


def test_novelty_survives_its_file() -> None:
    known = novelty.fit(in_a_plane(50), in_a_plane(50))
    again = Novelty.from_bytes(known.to_bytes())
    assert np.array_equal(again.of(in_a_plane(9)) > 0, np.ones(9, bool))
    assert again.limit == known.limit
    assert np.array_equal(again.components, known.components)


@pytest.mark.parametrize(
    "wrong",
    [
        Novelty(np.zeros(3, np.float32), np.eye(2, dtype=np.float32), 1.0),
        Novelty(np.full(2, np.nan, np.float32), np.eye(2, dtype=np.float32), 1.0),
        Novelty(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), 0.0),
        Novelty(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), np.inf),
    ],
)
def test_novelty_parameters_that_make_no_sense_are_refused(wrong: Novelty) -> None:
    with pytest.raises(BundleError, match="novelty parameters"):
        Novelty.from_bytes(wrong.to_bytes())


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_logits_is_found(true: float) -> None:
    honest = RNG.normal(scale=2.0, size=(20_000, 3)).astype(np.float32)
    chances = calibrate.scores_of(honest, 1.0)
    truth = (chances.cumsum(axis=1) > RNG.random((len(chances), 1))).argmax(axis=1)

    found = calibrate.temperature_of(honest * true, truth)

    assert found == pytest.approx(true, rel=0.05)
    assert calibrate.calibration_error(calibrate.scores_of(honest * true, found), truth) < 0.02


@settings(max_examples=50, deadline=None)
@given(temperature=st.floats(0.05, 50), size=st.floats(0, 1e4))
def test_scores_are_probabilities_at_any_temperature(temperature: float, size: float) -> None:
    scores = calibrate.scores_of(np.array([[size, -size, 0.0]], np.float32), temperature)
    assert np.isfinite(scores).all()
    assert scores.sum() == pytest.approx(1.0)


def test_thresholds_keep_strangers_out() -> None:
    truth = np.repeat([0, 1], 10_000)
    bad = np.concatenate([RNG.beta(1, 20, 10_000), RNG.beta(20, 1, 10_000)])
    scores = np.stack([1 - bad, bad], axis=1)

    good_at, bad_at = calibrate.thresholds_of(scores, truth, wrong=0.0001, lost=(0.5, 0.5))

    assert np.mean(bad[truth == 0] >= bad_at) <= 0.0001
    assert np.mean(1 - bad[truth == 1] >= good_at) <= 0.0001
    assert 0.5 <= good_at <= 0.99
    assert 0.5 <= bad_at <= 0.99


def test_thresholds_do_not_lose_their_own() -> None:
    truth = np.repeat([0, 1], 1000)
    bad = RNG.uniform(0, 1, 2000)  # worthless scores
    _, bad_at = calibrate.thresholds_of(np.stack([1 - bad, bad], axis=1), truth, wrong=0.001, lost=(0.3, 0.3))
    assert np.mean(bad[truth == 1] >= bad_at) >= 0.49


def test_a_label_without_examples_gets_the_lowest_threshold() -> None:
    scores = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1]])
    assert calibrate.thresholds_of(scores, np.array([0, 1]), lost=(0.1,) * 3)[2] == 0.5


def test_the_confusion_has_truth_in_rows() -> None:
    assert calibrate.confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3) == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
