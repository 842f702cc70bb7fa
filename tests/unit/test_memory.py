"""A standing comes back from its text as it was."""

import pytest
from fakes import NOON
from hypothesis import given
from hypothesis import strategies as st

from hydrad import memory
from hydrad.delays import LONGEST, Finding, Recent
from hydrad.domain import Status
from hydrad.verdict import Standing

counts = st.integers(0, LONGEST)
standings = st.builds(
    Standing,
    earned=st.sampled_from(Status),
    reason=st.text(),
    finding=st.one_of(st.none(), st.sampled_from(Finding)),
    recent=st.builds(Recent, st.text("gobedn", max_size=50), counts, counts),
    faulty_in_a_row=st.integers(0, 10**6),
    equal_in_a_row=st.integers(0, 10**6),
    taken_at=st.sampled_from([None, NOON]),
)


@given(standings)
def test_a_standing_comes_back_as_it_was(standing):
    assert memory.read(memory.written(standing), standing.taken_at) == standing


def test_a_long_calm_takes_little_room():
    assert len(memory.written(Standing(recent=Recent("g" * LONGEST, LONGEST, LONGEST)))) < 200


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"earned":1}', "null"])
def test_what_is_no_standing_is_said_to_be_none(text):
    with pytest.raises(ValueError, match=r".+"):
        memory.read(text, NOON)
