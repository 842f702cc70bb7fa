"""A few seconds of what `make fuzz` does for as long as one likes, without its guide."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from hostile_images import mutant
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

from targets import LAYOUTS, TARGETS, seeds


@pytest.mark.parametrize("name", TARGETS)
def test_what_must_hold_holds_for_every_seed(name: str) -> None:
    for seed in seeds(name):
        TARGETS[name](seed)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(number=st.integers(0, 2**32), seed=st.sampled_from(seeds("decoder")), other=st.sampled_from(seeds("decoder")))
def test_what_must_hold_of_a_picture_holds_for_files_that_are_turned(number: int, seed: bytes, other: bytes) -> None:
    TARGETS["decoder"](mutant(seed, random.Random(number), other or b"x"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_must_hold_of_a_name_holds_for_names_that_are_turned(layout: str) -> None:
    pieces = st.one_of(st.sampled_from(seeds(layout)), st.binary(max_size=30), st.text(max_size=20).map(_encoded))

    @settings(max_examples=60)
    @example(parts=[b"\xff" * 250])
    @given(parts=st.lists(pieces, max_size=5))
    def holds(parts: list[bytes]) -> None:
        TARGETS[layout](b"".join(parts))

    holds()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
