"""How many pictures are in hand: so few that what is shown is young, so many that nothing waits for the next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrad.classify.pace import HANDS, LANES, Pace


def paced(batch, image_s, batches=50):
    pace = Pace(batch)
    for _ in range(batches):
        pace.computed(batch, image_s * batch)
    return pace


@pytest.mark.parametrize(
    ("image_s", "hands"),
    [(0.0, 64 + HANDS), (0.001, 64 + HANDS), (0.02, 50 + HANDS), (0.05, 32 + HANDS), (2.0, 32 + HANDS)],
)
def test_the_next_batch_is_in_hand_as_far_as_it_is_computed_soon(image_s, hands):
    assert paced(32, image_s).hands(90) == hands


def test_before_anything_was_computed_one_batch_is_in_hand():
    assert Pace(8).hands(10) == 8 + HANDS


def test_one_batch_that_was_held_up_changes_little_and_a_model_that_grew_slow_much():
    pace = paced(32, 0.001)
    pace.computed(32, 1.0)
    assert pace.hands(90) == LANES * 32 + HANDS
    for _ in range(20):
        pace.computed(32, 3.2)
    assert pace.hands(90) == 32 + HANDS


@pytest.mark.parametrize(("plots", "hands"), [(1, 32), (96, 32), (120, 40), (400, 64), (4000, 64)])
def test_among_many_plots_a_slow_model_has_the_next_batch_in_hand(plots, hands):
    assert paced(32, 0.05).hands(plots) == hands + HANDS


@given(
    st.integers(1, 512), st.integers(0, 5000), st.lists(st.tuples(st.integers(1, 512), st.floats(0, 100)), max_size=20)
)
def test_there_is_always_a_whole_batch_in_hand_and_never_more_than_the_lanes_take(batch, plots, computed):
    pace = Pace(batch)
    for images, took_s in computed:
        pace.computed(images, took_s)
    assert batch + HANDS <= pace.hands(plots) <= LANES * batch + HANDS
