"""Which plot stands for a detector."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrad.domain import Severity, Status
from hydrad.ranking import ORDER, Showing, faulty, urgency, worst

showings = st.builds(
    Showing, st.sampled_from([f"p{n}" for n in range(9)]), st.sampled_from(Status), st.sampled_from(Severity)
)


def shown(*statuses: Status) -> list[Showing]:
    return [Showing(f"p{n}", status, status.severity) for n, status in enumerate(statuses)]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((Status.GOOD, Status.GOOD), Status.GOOD),
        ((Status.GOOD, Status.NOMODEL), Status.GOOD),
        ((Status.NOMODEL, Status.NOMODEL), Status.NOMODEL),
        ((Status.GOOD, Status.DISABLED), Status.GOOD),
        ((Status.DISABLED, Status.NOMODEL), Status.DISABLED),
        ((Status.GOOD, Status.NOBEAM), Status.NOBEAM),
        ((Status.NOBEAM, Status.OTHER), Status.OTHER),
        ((Status.SUSPECT, Status.UNFAMILIAR), Status.UNFAMILIAR),
        ((Status.SUSPECT, Status.BAD), Status.BAD),
        ((Status.NODATA, Status.BAD), Status.BAD),
        ((Status.BAD, Status.STALE), Status.STALE),  # INVALID is worse than MAJOR
        ((Status.UNKNOWN, Status.STALE), Status.STALE),
        ((Status.UNKNOWN, Status.GOOD), Status.UNKNOWN),
    ],
)
def test_the_worst_by_severity_then_by_order(statuses: tuple[Status, ...], expected: Status) -> None:
    for order in (statuses, statuses[::-1]):
        found = worst(shown(*order))
        assert found is not None
        assert found.status is expected


def test_every_status_has_its_place() -> None:
    assert sorted(ORDER) == list(Status)


def test_a_severity_that_operators_chose_counts_more_than_the_status() -> None:
    silenced = Showing("a", Status.BAD, Severity.NO_ALARM)
    assert worst([silenced, *shown(Status.SUSPECT)]) == shown(Status.SUSPECT)[0]


def test_nothing_stands_for_nothing() -> None:
    assert worst([]) is None


@given(st.lists(showings, min_size=1), st.randoms())
def test_the_order_in_which_plots_came_does_not_matter(plots: list[Showing], shuffle: object) -> None:
    mixed = list(plots)
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    assert worst(plots) == worst(mixed)
    assert all(urgency(worst(plots) or plots[0]) <= urgency(plot) for plot in plots)


@given(st.lists(showings))
def test_bad_and_no_data_are_counted(plots: list[Showing]) -> None:
    assert faulty(plots) == len([plot for plot in plots if plot.status.name in {"BAD", "NODATA"}])
