"""No run is on two sides, and every label is on all of them where that can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrad.errors import ConfigurationError
from hydrad.train.split import Origin, Side, part


def origin(plots: list[str], runs: list[int | None]) -> Origin:
    return Origin(plots, runs, np.arange(len(plots)))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 4)), min_size=8, max_size=120),
    st.sampled_from(["auto", "run", "plot", "image"]),
    st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_no_unit_is_ever_on_two_sides(rows, asked, seed):
    truth = np.array([label for label, _, _ in rows])
    runs = [run or None for _, run, _ in rows]
    plots = [f"P{plot}" for _, _, plot in rows]
    twins = np.array([label * 100 + n // 2 for n, (label, _, _) in enumerate(rows)])
    try:
        parting = part(truth, Origin(plots, runs, twins), few=5, seed=seed, asked=asked)
    except ConfigurationError:
        assert len(set(runs if asked == "run" else plots)) < 3
        return

    assert len(parting.sides) == len(rows)
    key = {"run": runs, "plot": plots, "image": twins.tolist()}[parting.hold_out]
    assert all(len({side for side, k in zip(parting.sides, key, strict=True) if k == one}) == 1 for one in set(key))
    assert set(np.unique(truth[parting.sides == Side.TRAINING])) == set(np.unique(truth))


@given(st.integers(3, 12), st.integers(2, 5), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_labels_seen_in_every_run_are_on_every_side(runs, labels, seed):
    truth = np.array([label for _ in range(runs) for label in range(labels) for _ in range(label + 1)])
    of = [run for run in range(runs) for label in range(labels) for _ in range(label + 1)]
    parting = part(truth, origin(["P"] * len(of), of), few=3, seed=seed)

    assert parting.hold_out == "run"
    for side in Side:
        assert set(truth[parting.numbers(side)]) == set(range(labels))


def test_many_images_are_split_in_the_shares_wanted_for_each_label():
    rng = np.random.default_rng(1)
    truth = rng.choice(3, 2000, p=[0.9, 0.08, 0.02])
    parting = part(truth, origin(["P"] * 2000, [None] * 2000), few=10, seed=1, asked="image")
    for label in range(3):
        shares = [np.mean(parting.sides[truth == label] == side) for side in Side]
        np.testing.assert_allclose(shares, [0.6, 0.2, 0.2], atol=0.03)


def test_a_run_of_good_and_a_run_of_empty_images_are_split_by_plot():
    plots = [f"P{n}" for n in range(36)] * 2
    runs = [0] * 36 + [11] * 36
    parting = part(np.repeat([0, 1], 36), origin(plots, runs), few=10, seed=1)
    assert parting.hold_out == "plot"
    assert "results on new runs" in parting.says
    assert "fewer than 3 runs" in parting.says
    sides = parting.sides.reshape(2, 36)
    assert (sides[0] == sides[1]).all()


def test_one_plot_without_runs_is_split_by_image_and_says_what_that_is_worth():
    parting = part(np.arange(40) % 2, origin(["P"] * 40, [None] * 40), few=10, seed=1)
    assert parting.hold_out == "image"
    assert parting.says.startswith("split by image: results on new runs may be worse")


def test_images_of_unknown_run_stay_together():
    runs = [1, 2, 3, 4, 5, None, None, None, None, None]
    parting = part(np.arange(10) % 2, origin(["P"] * 10, runs), few=10, seed=1, asked="run")
    assert len(set(parting.sides[5:].tolist())) == 1


def test_a_rare_label_does_not_decide_what_is_held_out():
    truth = np.array([0] * 60 + [1] * 60 + [2])
    runs = [n % 6 for n in range(120)] + [1]
    assert part(truth, origin(["P"] * 121, runs), few=10, seed=1).hold_out == "run"


def test_a_single_example_is_learned_from():
    truth = np.array([0] * 20 + [1] * 20 + [2])
    parting = part(truth, origin(["P"] * 41, [None] * 41), few=10, seed=3)
    assert parting.sides[40] == Side.TRAINING
    assert parting.alone == (2,)


def test_too_few_runs_to_hold_one_out_are_wrong_configuration():
    with pytest.raises(ConfigurationError, match="2 run"):
        part(np.arange(20) % 2, origin(["P"] * 20, [1, 2] * 10), few=10, seed=1, asked="run")


def test_the_seed_decides():
    truth = np.arange(100) % 2
    where = origin(["P"] * 100, [None] * 100)
    first, same, other = (part(truth, where, few=10, seed=seed).sides for seed in (1, 1, 2))
    assert (first == same).all()
    assert (first != other).any()
