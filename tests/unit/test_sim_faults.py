"""Faults by name, and how they are said."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrad.domain import Meaning
from hydrad.errors import ConfigurationError
from hydrad.sim.faults import FAULTS, Fault, parse


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("CDC_occupancy:dead_board", Fault("dead_board", "CDC_occupancy")),
        ("CDC_occupancy:dead_board=17", Fault("dead_board", "CDC_occupancy", where=17)),
        ("CDC_occupancy:dead_board@60+120", Fault("dead_board", "CDC_occupancy", start_s=60, length_s=120)),
        (" FDC_*:empty@30 ", Fault("empty", "FDC_*", start_s=30)),
        (
            "Faraday Cup_charge:hot_channels=2@1.5+0.5",
            Fault("hot_channels", "Faraday Cup_charge", 0, 2, None, 1.5, 0.5),
        ),
    ],
)
def test_a_fault_is_said_as_plot_name_place_and_time(text: str, fault: Fault) -> None:
    assert parse(text) == fault


@pytest.mark.parametrize(
    "text", ["", "dead_board", "CDC:", ":empty", "CDC:empty@", "CDC:empty@1+", "CDC:empty@-1", "a:b:c"]
)
def test_a_fault_of_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^--fault: .*CDC_occupancy:dead_board@60\+120"):
        parse(text)


def test_a_fault_of_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"^--fault: 'gone' is no fault; there are dead_board, "):
        parse("CDC_occupancy:gone")


@given(st.floats(0, 1e4), st.floats(0.1, 1e4), st.floats(0, 1e4), st.floats(0.1, 1e3))
def test_an_image_shows_a_fault_that_lasted_most_of_its_time(
    start_s: float, length_s: float, image_s: float, cadence_s: float
) -> None:
    fault = Fault("empty", start_s=start_s, length_s=length_s)
    shared_s = max(0.0, min(image_s + cadence_s, start_s + length_s) - max(image_s, start_s))
    assert fault.lasts(image_s, image_s + cadence_s) is (shared_s > 0.5 * (image_s + cadence_s - image_s))


def test_a_fault_without_a_length_stays() -> None:
    assert Fault("empty").end_s == math.inf
    assert Fault("empty", start_s=5).lasts(1e6, 1e6 + 1)
    assert not Fault("empty", start_s=5).lasts(0, 5)


def test_every_fault_means_bad_or_empty() -> None:
    assert {kind.meaning for kind in FAULTS.values()} == {Meaning.BAD, Meaning.EMPTY}
    assert Fault("empty").meaning is Meaning.EMPTY
    assert Fault("dead_board").meaning is Meaning.BAD
