"""Temperature and thresholds that hold for images yet to come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from hydrad.train.evaluation import calibrate

RNG = np.random.default_rng(7)
ODDS = st.floats(-12, 12, allow_nan=False).map(lambda value: round(value, 3))
SHARES = st.floats(0.0005, 0.4)


def two_labels(own: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of two labels, from the log odds of the second, and the truth: ``own`` have the second label."""
    bad = expit(np.concatenate([others, own]))
    return np.stack([1 - bad, bad], axis=1), np.repeat([0, 1], [len(others), len(own)])


def bad_at(own: np.ndarray, others: np.ndarray, lost: float = 0.01, wrong: float = 0.001) -> float:
    """The second label's threshold."""
    return calibrate.thresholds_of(*two_labels(np.array(own), np.array(others)), lost=lost, wrong=wrong)[1]


@settings(max_examples=200, deadline=None)
@given(own=st.lists(ODDS, min_size=1, max_size=40), others=st.lists(ODDS, min_size=1, max_size=40), lost=SHARES)
def test_thresholds_stay_within_bounds_whatever_the_order_of_images(own: list, others: list, lost: float) -> None:
    scores, truth = two_labels(np.array(own), np.array(others))
    found = calibrate.thresholds_of(scores, truth, lost=lost)
    assert all(0.5 <= threshold <= 0.99 for threshold in found)
    order = np.random.default_rng(len(own)).permutation(len(truth))
    assert calibrate.thresholds_of(scores[order], truth[order], lost=lost) == found


@settings(max_examples=200, deadline=None)
@given(
    own=st.lists(ODDS, min_size=1, max_size=60),
    others=st.lists(ODDS, min_size=1, max_size=60),
    lost=st.tuples(SHARES, SHARES),
    wrong=st.tuples(SHARES, SHARES),
)
def test_stricter_wishes_move_thresholds_one_way(own: list, others: list, lost: tuple, wrong: tuple) -> None:
    rounding = 2e-3
    by_lost = [bad_at(own, others, lost=share, wrong=wrong[0]) for share in sorted(lost)]
    by_wrong = [bad_at(own, others, lost=lost[0], wrong=share) for share in sorted(wrong)]
    assert by_lost[0] <= by_lost[1] + rounding
    assert by_wrong[0] >= by_wrong[1] - rounding


@settings(max_examples=200, deadline=None)
@given(
    edge=st.floats(-3, 4),
    gap=st.floats(0.2, 8),
    own=st.lists(st.floats(0, 10), min_size=1, max_size=40),
    others=st.lists(st.floats(0, 10), min_size=1, max_size=40),
)
def test_separated_labels_are_parted_in_the_middle_with_room_on_both_sides(
    edge: float, gap: float, own: list, others: list
) -> None:
    assume(edge + gap > 0.01)  # else its images are not even the likeliest
    above, below = edge + gap + np.array(own) - min(own), edge - np.array(others) + min(others)
    found = bad_at(above, below)
    middle = float(np.clip(expit(edge + gap / 2), 0.5, 0.99))
    assert found == pytest.approx(middle, abs=1e-3)
    assert expit(below.max()) < found or found == 0.99
    assert found < expit(above.min()) or found == 0.5


@pytest.mark.parametrize("spread", [0.7, 1.5])
def test_separated_labels_stay_separated_on_ten_thousand_fresh_images(spread: float) -> None:
    validation = {"own": RNG.normal(8, spread, 300), "others": RNG.normal(-6, spread, 300)}
    threshold = logit(bad_at(**validation))
    assert np.sum(RNG.normal(8, spread, 10_000) < threshold) == 0
    assert np.sum(RNG.normal(-6, spread, 10_000) >= threshold) == 0


@pytest.mark.parametrize("seed", range(5))
def test_few_strangers_do_not_prove_that_few_will_pass(seed: int) -> None:
    """With 300 of them, the highest is passed by 1 of 300 yet to come; the tail says where 1 of 1000 is."""
    rng = np.random.default_rng(seed)
    own, others = rng.normal(6, 2.5, 400), -3 + rng.exponential(0.9, 300)
    threshold = bad_at(own, others, lost=0.2)
    fresh = -3 + rng.exponential(0.9, 100_000)
    assert np.mean(fresh >= logit(threshold)) <= 0.004


def test_many_strangers_may_pass_in_so_far_as_the_share_is_proven() -> None:
    others = np.concatenate([np.full(3, 4.0), RNG.uniform(-8, -2, 9_997)])  # three are in the wrong folder
    assert bad_at(RNG.uniform(3, 9, 500), others) < 0.8
    assert bad_at(RNG.uniform(3, 9, 500), others[:1000]) > 0.9


def test_one_image_in_the_wrong_folder_does_not_lower_a_threshold() -> None:
    own, others = RNG.normal(7, 1, 200), RNG.normal(1, 0.5, 3000)
    assert bad_at(np.append(own, -9.0), others, lost=0.001) > 0.9


@settings(max_examples=100, deadline=None)
@given(own=st.lists(ODDS, min_size=10, max_size=200), others=st.lists(ODDS, min_size=1, max_size=100), lost=SHARES)
def test_no_more_of_its_own_are_lost_than_may_be(own: list, others: list, lost: float) -> None:
    threshold = bad_at(own, others, lost=lost)
    reached = expit(np.array(own)) >= threshold - 1e-12
    likeliest = expit(np.array(own)) >= 0.5
    assert np.sum(likeliest & ~reached) <= max(1, lost * len(own))


def test_scores_of_exactly_nothing_and_all_are_no_trouble() -> None:
    scores = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert calibrate.thresholds_of(scores, np.array([0, 0, 1])) == (0.5, 0.5)


def three_labels(images: int, weakest: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores of Good, Bad and Empty, each sure but for one Bad image that is called with ``weakest``; and the truth."""
    scores = np.repeat(0.001 + 0.997 * np.eye(3), images, axis=0)
    scores[images] = (1 - weakest) * 0.6, weakest, (1 - weakest) * 0.4
    return scores, np.repeat([0, 1, 2], images)


def test_a_faint_fault_that_nothing_good_comes_near_is_confirmed_by_less_than_half() -> None:
    scores, truth = three_labels(40, weakest=0.45)
    good_at, bad_at, empty_at = calibrate.thresholds_of(scores, truth, trusted=[1])
    assert 1 / 3 <= bad_at < 0.45
    assert good_at >= 0.5
    assert empty_at >= 0.5
    assert calibrate.thresholds_of(scores, truth)[1] == 0.5


def test_few_images_or_others_that_come_near_leave_a_fault_at_one_half() -> None:
    assert calibrate.thresholds_of(*three_labels(19, weakest=0.45), trusted=[1])[1] == 0.5
    scores, truth = three_labels(40, weakest=0.45)
    scores[:2] = 0.4, 0.48, 0.12  # two good images are called bad
    assert calibrate.thresholds_of(scores, truth, trusted=[1])[1] >= 0.5


@settings(max_examples=100, deadline=None)
@given(own=st.lists(ODDS, min_size=1, max_size=60), others=st.lists(ODDS, min_size=1, max_size=60))
def test_of_two_labels_none_is_confirmed_by_less_than_half_whatever_is_trusted(own: list, others: list) -> None:
    scores, truth = two_labels(np.array(own), np.array(others))
    assert calibrate.thresholds_of(scores, truth, trusted=[0, 1]) == calibrate.thresholds_of(scores, truth)


def test_each_label_may_lose_a_share_of_its_own() -> None:
    scores, truth = two_labels(RNG.normal(2, 2, 1000), RNG.normal(-2, 2, 1000))
    one, other = (calibrate.thresholds_of(scores, truth, lost=lost) for lost in ((0.0, 0.3), (0.3, 0.0)))
    assert one[0] < other[0]
    assert one[1] > other[1]


def test_no_mistake_among_few_images_does_not_make_a_model_certain() -> None:
    logits = np.array([[9.0, -9.0], [-9.0, 9.0]] * 10, np.float32)
    truth = np.array([0, 1] * 10)
    temperature = calibrate.temperature_of(logits, truth)
    assert calibrate.scores_of(logits, temperature).max() == pytest.approx(21 / 22, abs=0.005)


def test_more_images_without_a_mistake_allow_more_confidence() -> None:
    logits = np.array([[3.0, -3.0], [-3.0, 3.0]], np.float32)
    found = [calibrate.temperature_of(np.tile(logits, (n, 1)), np.tile([0, 1], n)) for n in (5, 50, 500)]
    assert found[0] > found[1] > found[2]


def test_temperature_lowers_the_surprise_of_an_overconfident_network() -> None:
    honest = RNG.normal(scale=2.0, size=(2_000, 4)).astype(np.float32)
    chances = calibrate.scores_of(honest, 1.0)
    truth = (chances.cumsum(axis=1) > RNG.random((len(chances), 1))).argmax(axis=1)
    temperature = calibrate.temperature_of(honest * 4, truth)
    before, after = (calibrate.surprise(calibrate.scores_of(honest * 4, t), truth) for t in (1.0, temperature))
    assert temperature == pytest.approx(4.0, rel=0.1)
    assert after < 0.8 * before


def test_no_images_leave_the_temperature_alone() -> None:
    assert calibrate.temperature_of(np.zeros((0, 3), np.float32), np.zeros(0, np.int64)) == 1.0


def leaning_logits(shift: float, count: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Three labels in the right order, but the second's logit too low by ``shift``."""
    truth = RNG.integers(0, 3, count)
    logits = np.clip(RNG.normal(0, 0.5, (count, 3)), -1, 1)
    logits[np.arange(count), truth] += 6.0
    logits[:, 1] -= shift
    return logits.astype(np.float32), truth


def test_a_label_that_is_ranked_right_but_called_wrong_is_put_right() -> None:
    logits, truth = leaning_logits(7.0)
    fresh, fresh_truth = leaning_logits(7.0, 5000)
    assert np.mean(fresh.argmax(axis=1) == fresh_truth) < 0.75  # the second label is hardly ever called

    leaning = calibrate.leaning_of(logits, truth)

    assert np.mean((fresh + leaning).argmax(axis=1) == fresh_truth) == 1.0
    assert leaning[1] - leaning[0] == pytest.approx(7.0, abs=0.7)
    assert leaning.sum() == pytest.approx(0.0, abs=1e-4)


def test_labels_that_part_in_the_middle_are_left_where_they_are() -> None:
    logits = np.repeat(np.array([[3.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 5.0]], np.float32), 20, axis=0)
    assert calibrate.leaning_of(logits, np.repeat([0, 0, 1, 1], 20)).tolist() == [0.0, 0.0]


def test_labels_that_overlap_move_nothing() -> None:
    logits, truth = leaning_logits(4.0)
    truth[0] = (truth[0] + 1) % 3  # one image in the wrong folder: it overlaps with both others
    leaning = calibrate.leaning_of(logits, truth)
    assert np.isfinite(leaning).all()
    assert ((logits + leaning).argmax(axis=1) == truth).sum() >= (logits.argmax(axis=1) == truth).sum()


def test_a_label_of_few_images_moves_nothing() -> None:
    logits = np.repeat(np.array([[9.0, 0.0], [0.0, 1.0]], np.float32), [400, 19], axis=0)
    assert not calibrate.leaning_of(logits, np.repeat([0, 1], [400, 19])).any()


def test_a_label_without_examples_stays_where_it_is() -> None:
    logits = np.repeat(np.array([[1.0, 0.0, -9.0], [0.0, 3.0, -9.0]], np.float32), 30, axis=0)
    leaning = calibrate.leaning_of(logits, np.repeat([0, 1], 30))
    assert leaning[2] == pytest.approx(0.0, abs=1e-6)
    assert leaning[0] - leaning[1] == pytest.approx(1.0, abs=1e-5)


def test_a_lead_is_over_the_best_of_the_others_and_negative_for_a_mistake() -> None:
    logits = np.array([[3.0, 1.0, 2.5], [3.0, 1.0, 2.5], [0.0, 4.0, -1.0]], np.float32)
    assert calibrate.lead_of(logits, np.array([0, 1, 1])).tolist() == [0.5, -2.0, 4.0]
    assert logits[0].tolist() == [3.0, 1.0, 2.5]


def test_centring_makes_no_mistake_that_was_not_made_before() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 4, 300)
        logits = rng.normal(0, rng.uniform(0.3, 2.5), (300, 4)).astype(np.float32)
        logits[np.arange(300), truth] += 5.0
        logits += rng.normal(0, 2.0, 4).astype(np.float32)
        leaning = calibrate.leaning_of(logits, truth)
        before, after = logits.argmax(axis=1) == truth, (logits + leaning).argmax(axis=1) == truth
        assert not (before & ~after).any()
