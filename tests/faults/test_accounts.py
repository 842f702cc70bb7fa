"""What the ledger is held against must itself notice every way in which it can be wrong."""

from __future__ import annotations

import pytest
from accounts import Fate, Row, Said, Version, compare

from hydrad.domain import Outcome, Status

A, B = Version("/a", "aa"), Version("/b", "bb")
OLD = Version("/a", "old")
TORN = Version("/t", "tt", Fate.REJECTED)
ROW_A, ROW_B = Row("/a", "aa", Outcome.JUDGED), Row("/b", "bb", Outcome.SUPERSEDED)
SAID_A, SAID_B = Said("/a", "aa", Status.BAD), Said("/b", "bb", Status.BAD)
NO = Row("/t", None, Outcome.REJECTED)


@pytest.mark.parametrize(
    ("written", "rows", "said", "counts"),
    [
        ([A, B], [ROW_A, ROW_B], [SAID_A, SAID_B], (0, 0, 0)),
        ([A, B], [ROW_A], [SAID_A], (1, 0, 0)),
        ([A, B], [ROW_A, ROW_B, ROW_B], [SAID_A, SAID_B, SAID_B], (0, 1, 0)),
        ([A], [ROW_A, ROW_B], [SAID_A, SAID_B], (0, 0, 1)),
        ([A], [ROW_A], [SAID_A, SAID_A], (0, 1, 0)),
        ([A], [ROW_A], [], (0, 0, 1)),
        ([A], [ROW_A], [Said("/a", "aa", Status.GOOD)], (0, 0, 1)),
        ([A], [Row("/a", None, Outcome.REJECTED)], [], (1, 0, 1)),
        ([A], [ROW_A, Row("/a", None, Outcome.REJECTED)], [SAID_A], (0, 0, 1)),
        ([TORN], [NO], [], (0, 0, 0)),
        ([TORN], [NO, NO], [], (0, 1, 0)),
        ([TORN], [Row("/t", None, Outcome.REJECTED, "")], [], (0, 0, 1)),
        ([TORN], [Row("/t", "tt", Outcome.JUDGED)], [Said("/t", "tt", Status.BAD)], (0, 0, 1)),
        ([OLD, A], [ROW_A], [SAID_A], (0, 0, 0)),
        ([OLD, A], [Row("/a", "old", Outcome.JUDGED)], [Said("/a", "old", Status.BAD)], (1, 0, 0)),
        ([A, A], [ROW_A, ROW_A], [SAID_A, SAID_A], (0, 0, 0)),
        ([A], [Row("/a", "zz", Outcome.JUDGED)], [Said("/a", "zz", Status.BAD)], (1, 0, 1)),
    ],
)
def test_what_is_lost_double_or_wrong_is_noticed(
    written: list[Version], rows: list[Row], said: list[Said], counts: tuple[int, int, int]
) -> None:
    found = compare(written, rows, said, {Status.BAD})
    assert (len(found.lost), len(found.double), len(found.wrong)) == counts
    assert bool(found) is any(counts)
