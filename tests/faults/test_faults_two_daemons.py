"""Two daemons on one data base by mistake: each says who the other is, and no file is counted or judged twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from daemon import Daemon
from trial import BAD, LONG, Trial

from hydrad.domain import Health
from hydrad.store.queries import Store

FILES = 1000


@pytest.mark.skipif(not LONG, reason="minutes: make faults")
def test_two_daemons_on_one_data_base_say_so_and_count_every_file_once(
    trial: Callable[..., Trial], stored: dict[str, Any], database_kind: str, tmp_path: Path
) -> None:
    if database_kind == "sqlite":
        stored = {"url": f"sqlite:///{tmp_path / 'both.db'}"}
    with trial(f"two daemons on one data base ({database_kind})", watch=["WATCHDOG"], **stored) as hall:
        hall.start()
        refusal = the_same_configuration(hall)
        assert refusal.returncode == 2
        assert "store.journal: " in refusal.stderr
        assert "another daemon" in refusal.stderr
        with second(hall, tmp_path / "second", stored) as other:
            hall.tries += 1
            other.start()
            for n in range(FILES):
                hall.write(f"Run{n:06}/CDC_p{n % 20}.png")
            hall.until(lambda: Health.DEGRADED in [event.value for event in hall.clients.events("WATCHDOG")])
            hall.until(lambda: hall.said("another_daemon"))
            (said,) = hall.said("another_daemon")
            assert (said["pid"], str(other.pid) in said["so"]) == (other.pid, True)
            other.until(lambda: f"process {hall.daemon.pid} on" in other.log.read_text(), 60)
            hall.until(lambda: "another daemon uses this data base" in words(hall))
            hall.until(lambda: hall.counted() == FILES, 240)
            other.until(lambda: other.log.read_text().count('"image_judged"') == FILES, 240)
        hall.until(lambda: hall.clients.events("WATCHDOG")[-1].value == Health.OK)


def words(hall: Trial) -> str:
    """What pages say of why the daemon is not well."""
    with Store(hall.url) as store:
        beat = store.heartbeat()
    return "" if beat is None else beat.why


def the_same_configuration(hall: Trial) -> subprocess.CompletedProcess[str]:
    """What a second daemon says of the same file."""
    return subprocess.run(
        [sys.executable, "-m", "hydrad", "run", "-c", str(hall.daemon.settings)],
        env={**os.environ, **hall.daemon.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def second(hall: Trial, home: Path, stored: dict[str, Any]) -> Daemon:
    """One whose configuration was copied: the same root, data base and PVs, and a journal and port of its own."""
    home.mkdir()
    other = Daemon(home, scores=BAD, delay=1, root=hall.root, **stored)
    text = other.settings.read_text()
    other.settings.write_text(text.replace(f'"{other.prefix}:"', f'"{hall.daemon.prefix}:"'))
    return other
