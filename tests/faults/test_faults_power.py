"""The power goes: whatever had not been forced onto the disk is gone, and a journal may come back torn."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mounts import mount, unmount
from trial import LONG, Trial

CUTS, FILES, MIB = (20, 100, 128) if LONG else (1, 10, 24)


class Power:
    """A disk of its own that can be cut off: it comes back as it was on its medium, without what only memory held."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._medium = place.with_suffix(".img")
        with self._medium.open("wb") as medium:
            medium.truncate(MIB * 2**20)
        made = subprocess.run(["mkfs.ext4", "-q", self._medium], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            pytest.skip(f"no file system can be made here: {made.stderr}")
        place.mkdir()
        self.on()

    def on(self) -> None:
        mount("-o", "loop", self._medium, self.place)

    def cut(self, hall: Trial) -> None:
        """The medium as it is at this moment is what comes back; what is written to it afterwards is not."""
        left = self._medium.with_suffix(".left")
        with hall.frozen():
            shutil.copyfile(self._medium, left)
        hall.kill()
        self.off()
        left.rename(self._medium)

    def off(self) -> None:
        subprocess.run(["umount", self.place], check=True)


@pytest.mark.long
def test_a_power_cut_costs_nothing_that_was_on_the_disk_and_no_file(
    trial: Callable[..., Trial], tmp_path: Path
) -> None:
    power = Power(tmp_path / "disk")
    disk = power.place
    try:
        with trial(
            "power cut: outbox, data base and images",
            url=f"sqlite:///{disk}/hydra.db",
            store=f'journal = "{disk}/journal.db"\nimages = "{disk}/images"',
        ) as hall:
            chance = random.Random(6)
            hall.images = disk / "images"
            hall.start()
            for cut in range(CUTS):
                for n in range(FILES):
                    hall.write(f"Run{cut}/CDC_p{n % 30}_{n}.png")
                judged = hall.log().count("image_judged") + chance.randrange(FILES)
                hall.until(lambda judged=judged: hall.log().count("image_judged") >= judged)
                power.cut(hall)
                hall.tries += 1
                power.on()
                hall.start()
                hall.settled()
            hall.told()
    finally:
        unmount(disk)


@pytest.mark.long
def test_a_torn_outbox_costs_no_file(trial: Callable[..., Trial]) -> None:
    with trial("outbox cut off or zeroed at any place", judged_again=True) as hall:
        chance = random.Random(6)
        hall.start()
        for cut in range(CUTS):
            for n in range(FILES):
                hall.write(f"Run{cut}/CDC_p{n % 30}_{n}.png")
            judged = hall.log().count("image_judged") + chance.randrange(FILES)
            hall.until(lambda judged=judged: hall.log().count("image_judged") >= judged)
            hall.kill()
            part = hall.daemon.home / chance.choice(["journal.db", "journal.db-wal", "journal.db-wal"])
            size = part.stat().st_size
            at = chance.randrange(size + 1)
            with part.open("r+b") as torn:
                torn.truncate(at)
                if cut % 2:
                    torn.truncate(size)  # the rest reads as zeros
            hall.tries += 1
            hall.start()
            hall.settled()
