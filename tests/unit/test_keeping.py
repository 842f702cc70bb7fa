"""What was found is kept, however long the disk is away."""

import asyncio

import pytest
from fakes import in_no_time
from structlog.testing import capture_logs

from hydrad.errors import BundleError, StoreAway, TryAgain
from hydrad.keeping import LONGEST_WAIT_S, keep


class Disk:
    """Refuses the first few times; remembers when it was asked."""

    def __init__(self, *refusals):
        self.refusals = list(refusals)
        self.asked_at_s = []

    async def __call__(self):
        self.asked_at_s.append(asyncio.get_running_loop().time())
        if self.refusals:
            raise self.refusals.pop(0)


@in_no_time
async def test_what_can_be_kept_is_kept_at_once_and_in_silence():
    disk = Disk()
    with capture_logs() as lines:
        await keep(disk)
    assert disk.asked_at_s == [0.0]
    assert lines == []


@in_no_time
async def test_a_disk_that_is_away_is_asked_ever_more_seldom_and_spoken_of_twice():
    disk = Disk(*[TryAgain("disk full")] * 6, *[StoreAway("gone")] * 6)
    with capture_logs() as lines:
        await keep(disk)
    waits = [round(after - before, 6) for before, after in zip(disk.asked_at_s, disk.asked_at_s[1:], strict=False)]
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, *[LONGEST_WAIT_S] * 5]
    assert [(line["event"], line.get("why")) for line in lines] == [
        ("cannot_keep", "disk full"),
        ("kept_after_all", None),
    ]


@in_no_time
async def test_what_trying_again_cannot_mend_is_not_tried_again():
    disk = Disk(BundleError("broken"))
    with pytest.raises(BundleError):
        await keep(disk)
    assert len(disk.asked_at_s) == 1


@in_no_time
async def test_keeping_can_be_given_up_from_outside():
    disk = Disk(*[TryAgain("disk full")] * 1000)
    keeping = asyncio.create_task(keep(disk))
    await asyncio.sleep(1)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
