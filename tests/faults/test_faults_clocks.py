"""The clock of the host is set forward and back: every file counts once, and no old status outlives a new one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from trial import LONG, Trial

from hydrad.domain import Status
from hydrad.store.queries import Store

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
JUMPS_S = (3600, -7200, 40, -40) if LONG else (-7200,)


class Clock:
    """The daemon's clock, which may be set; that of the file system is set with it, as far as files are written."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.ahead_s = 0
        self.set(0)

    def set(self, ahead_s: int) -> None:
        aside = self._file.with_suffix(".new")
        aside.write_text(f"{ahead_s:+d}s\n")
        aside.rename(self._file)
        self.ahead_s = ahead_s

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def write(self, hall: Trial, name: str) -> Path:
        """A file that was written at this clock's time."""
        aside = hall.write(f".{name}")
        hall.written[-1] = type(hall.written[-1])(str(hall.root / name), hall.written[-1].sha256)
        now = time.time() + self.ahead_s
        os.utime(aside, (now, now))
        return aside.rename(hall.root / name)


@pytest.mark.long
@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed (Debian: faketime)")
def test_a_clock_that_jumps_costs_no_file_and_leaves_no_old_status(trial: Callable[..., Trial], tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    names = [f"CDC_p{n}.png" for n in range(10)]
    with trial(
        "the clock jumps forward and back",
        watch=["CDC:P0:STATUS"],
        statuses=(Status.BAD, Status.GOOD),
        never=(),
        environment=clock.environment,
    ) as hall:
        bad = hall.daemon.settings.read_text()
        good = bad.replace("Bad = 0.9", "Bad = 0.02").replace("Good = 0.02", "Good = 0.9")
        hall.start()
        for jump_s in JUMPS_S:
            hall.daemon.settings.write_text(good)
            hall.stop()
            hall.start()
            for name in names:
                clock.write(hall, name)
            hall.settled()
            hall.daemon.settings.write_text(bad)
            hall.stop()
            hall.start()  # and takes up GOOD
            clock.set(clock.ahead_s + jump_s)
            hall.tries += 1
            for name in names:
                clock.write(hall, name)
            hall.settled()
            with Store(hall.url) as store:
                hall.found.wrong += [
                    f"after a jump of {jump_s} s the data base has {one.plot} at {one.status.name}"
                    for one in store.standings()
                    if one.status is not Status.BAD
                ]
            beats = len(hall.clients.events("HEARTBEAT"))
            hall.until(lambda beats=beats: len(hall.clients.events("HEARTBEAT")) > beats + 1)
            shown = hall.clients.events("CDC:P0:STATUS")[-1].value
            if shown != Status.BAD:
                hall.found.wrong.append(f"after a jump of {jump_s} s a client still saw {shown}")
