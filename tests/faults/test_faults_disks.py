"""A full disk: what cannot be kept now is kept later, and the daemon says so meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mounts import fill, small_disk
from trial import LONG, Trial

ROUNDS, FILES = (10, 60) if LONG else (1, 10)


def complained(hall: Trial) -> int:
    """How often it said that something could not be kept, or not be struck out."""
    return len(hall.said("cannot_keep")) + len(hall.said("cannot_deliver"))


def fill_up_and_make_room(hall: Trial, disk: Path) -> None:
    for again in range(ROUNDS):
        for n in range(FILES):
            hall.write(f"Run{again}/CDC_p{n}.png")
        if again % 2:
            hall.settled()
        complaints = complained(hall)
        ballast = fill(disk)
        hall.tries += 1
        for n in range(FILES):
            hall.write(f"Run{again}/full/CDC_p{n}.png")
        # A journal may have room of its own left; then all is kept.
        hall.until(lambda before=complaints: complained(hall) > before or hall.has_told())
        ballast.unlink()
        hall.settled()
    assert complained(hall) > 0


@pytest.mark.long
def test_a_full_disk_for_images_costs_no_file(trial: Callable[..., Trial], tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", 20_000) as disk,
        trial("disk full for images", store=f'images = "{disk}/images"') as hall,
    ):
        hall.images = disk / "images"
        hall.start()
        fill_up_and_make_room(hall, disk)


@pytest.mark.long
def test_a_full_disk_for_the_outbox_costs_no_file(trial: Callable[..., Trial], tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", 20_000) as disk,
        trial("disk full for the outbox", store=f'journal = "{disk}/journal.db"') as hall,
    ):
        hall.start()
        fill_up_and_make_room(hall, disk)
        hall.stop()
        hall.start()


def test_a_full_disk_for_the_log_costs_no_file(trial: Callable[..., Trial], tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1000) as disk, trial("disk full for the log") as hall:
        hall.daemon.log = disk / "hydrad.log"
        hall.start()
        for again in range(ROUNDS):
            fill(disk)
            hall.tries += 1
            for n in range(40):  # a page of the log may have room left
                hall.write(f"Run{again}/CDC_p{n}.png")
            hall.settled()
            (disk / "ballast").unlink()
            hall.write(f"Run{again}/CDC_after.png")
            hall.until(lambda again=again: f"Run{again}/CDC_after.png" in hall.log())
