"""A log that cannot be written ends nobody, and says afterwards how much of it is missing."""

from __future__ import annotations

import errno
import io
import json

from hydrad.log import Printer


class Disk(io.StringIO):
    """Takes what it is given while there is room."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_a_full_disk_costs_lines_and_nothing_else():
    disk = Disk()
    printer = Printer(disk, json.dumps)
    logger = printer("anything")
    logger.info("one")
    disk.full = True
    logger.error("two")
    logger.info("three")
    disk.full = False
    logger.warning("four")
    logger.info("five")
    assert disk.getvalue().splitlines() == [
        "one",
        "",
        json.dumps({"part": "log", "event": "lines_lost", "lines": 2}),
        "four",
        "five",
    ]
