"""Stretches in which a plot is not well, told one verdict at a time and all at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_world import later, verdict_of

from hydrad.domain import Cause, Severity, Status, Verdict
from hydrad.episodes import UNWELL, Episode, follow
from hydrad.ranking import ORDER

FAULT = {Status.SUSPECT, Status.BAD, Status.NODATA, Status.UNFAMILIAR}
WELL = {Status.GOOD, Status.NOBEAM, Status.DISABLED, Status.NOMODEL, Status.OTHER}


def told(*statuses: Status, **words: object) -> list[tuple[int, Verdict]]:
    """Verdicts of these statuses, one a second, and the numbers of their rows."""
    return [
        (n + 1, verdict_of(at=later(n), status=status, severity=status.severity, **words))
        for n, status in enumerate(statuses)
    ]


def one_after_the_other(verdicts: Sequence[tuple[int, Verdict]], cuts: Sequence[int] = ()) -> list[Episode]:
    """What comes of them in batches that end at these places."""
    ended: list[Episode] = []
    lasting: Episode | None = None
    edges = [0, *sorted(cuts), len(verdicts)]
    for start, end in pairwise(edges):
        touched = follow(lasting, verdicts[start:end])
        if start == end:
            assert touched == []
            continue
        assert all(episode.ended_at is not None for episode in touched[:-1])
        if lasting is not None:
            assert touched[0].first_verdict_id == lasting.first_verdict_id
        lasting = touched[-1] if touched and touched[-1].ended_at is None else None
        ended += touched if lasting is None else touched[:-1]
    return ended if lasting is None else [*ended, lasting]


def gravity(verdict: Verdict) -> Severity:
    """As grave as it is, or would be without a flood."""
    return verdict.status.severity if verdict.severity is Severity.NO_ALARM else verdict.severity


def all_at_once(verdicts: Sequence[tuple[int, Verdict]]) -> list[Episode]:
    """The same from the whole list, as one would say it."""
    found = []
    groups = [
        list(group)
        for _, group in groupby(
            verdicts, lambda one: "fault" if one[1].status in FAULT else one[1].status in WELL or one[1].status
        )
    ]
    for n, group in enumerate(groups):
        if group[0][1].status in WELL:
            continue
        worst_id, worst = min(group, key=lambda one: (-gravity(one[1]), ORDER.index(one[1].status)))
        alarms = [
            verdict.judged_at
            for _, verdict in group
            if verdict.status in {Status.BAD, Status.NODATA} and verdict.severity is not Severity.NO_ALARM
        ]
        runs = [verdict.run for _, verdict in group if verdict.run is not None]
        found.append(
            Episode(
                status=worst.status,
                severity=worst.severity,
                label=worst.label,
                confidence=worst.confidence,
                reason=worst.reason,
                started_at=group[0][1].judged_at,
                alarmed_at=min(alarms, default=None),
                last_at=group[-1][1].judged_at,
                ended_at=groups[n + 1][0][1].judged_at if n + 1 < len(groups) else None,
                images=sum(verdict.cause is Cause.IMAGE for _, verdict in group),
                first_verdict_id=group[0][0],
                last_verdict_id=group[-1][0],
                worst_verdict_id=worst_id,
                first_run=runs[0] if runs else None,
                last_run=runs[-1] if runs else None,
            )
        )
    return found


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, Verdict]]:
    found = []
    for n in range(draw(st.integers(0, 25))):
        status = draw(st.sampled_from(Status))
        found.append(
            (
                100 + n,
                verdict_of(
                    at=later(n),
                    status=status,
                    severity=draw(st.sampled_from([status.severity, Severity.MAJOR, Severity.NO_ALARM])),
                    cause=draw(st.sampled_from(Cause)),
                    run=draw(st.sampled_from([None, 7, 8])),
                    label=draw(st.sampled_from([None, "Bad"])),
                    reason=f"reason {n}",
                ),
            )
        )
    return found


@given(histories(), st.data())
def test_batches_of_any_size_tell_the_same_story_as_the_whole_list(
    history: list[tuple[int, Verdict]], data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(history)), max_size=6))
    assert one_after_the_other(history, cuts) == all_at_once(history)


def test_every_status_either_belongs_to_a_stretch_or_ends_one() -> None:
    assert FAULT | {Status.STALE, Status.UNKNOWN} == UNWELL
    assert set(Status) - UNWELL == WELL


@pytest.mark.parametrize("status", sorted(WELL))
def test_a_plot_that_is_well_or_that_nobody_asks_has_no_episode(status: Status) -> None:
    assert follow(None, told(status, status)) == []


def test_a_fault_that_gets_worse_and_better_is_one_episode_of_its_worst() -> None:
    verdicts = told(Status.SUSPECT, Status.UNFAMILIAR, Status.BAD, Status.NODATA, Status.SUSPECT, Status.GOOD)
    (episode,) = follow(None, verdicts)
    assert (episode.status, episode.severity, episode.worst_verdict_id) == (Status.BAD, Severity.MAJOR, 3)
    assert (episode.started_at, episode.alarmed_at, episode.last_at, episode.ended_at) == (
        later(0), later(2), later(4), later(5),
    )  # fmt: skip
    assert (episode.images, episode.first_verdict_id, episode.last_verdict_id) == (5, 1, 5)


def test_silence_and_ignorance_are_episodes_of_their_own_and_no_alarm() -> None:
    found = follow(None, told(Status.BAD, Status.STALE, Status.STALE, Status.BAD, Status.UNKNOWN, Status.STALE))
    assert [one.status for one in found] == [Status.BAD, Status.STALE, Status.BAD, Status.UNKNOWN, Status.STALE]
    assert [one.ended_at for one in found] == [later(1), later(3), later(4), later(5), None]
    assert [one.alarmed_at for one in found] == [later(0), None, later(3), None, None]


def test_time_and_changes_prolong_an_episode_without_being_images() -> None:
    verdicts = [*told(Status.SUSPECT), (9, verdict_of(at=later(9), status=Status.SUSPECT, cause=Cause.CHANGE))]
    (episode,) = follow(None, verdicts)
    assert (episode.images, episode.last_at, episode.last_verdict_id) == (1, later(9), 9)


def test_nothing_new_changes_nothing() -> None:
    (lasting,) = follow(None, told(Status.BAD))
    assert follow(lasting, []) == []
