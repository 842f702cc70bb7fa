"""PyDM as a second reader of the same PVs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kit
import pytest
from daemon import Daemon

from hydrad.domain import Severity

pytestmark = pytest.mark.system

BAD = {"Good": 0.02, "Bad": 0.9, "NoData": 0.08}
DISCONNECTED = 4


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, scores=BAD) as hydrad:
        yield hydrad.start()


@pytest.fixture
def display(daemon: Daemon) -> Iterator[Callable[[str], Any]]:
    """A display of one plot that answers lines."""
    kit.PICTURES.mkdir(parents=True, exist_ok=True)
    stem = f"{daemon.prefix}:CDC:OCCUPANCY"
    with subprocess.Popen(
        [kit.PYTHON, kit.HERE / "pydm_reader.py", stem, kit.PICTURES / "pydm.png"],
        env={**os.environ, "EPICS_CA_ADDR_LIST": f"127.0.0.1:{daemon.port}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:

        def ask(line: str) -> Any:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.kill()


def test_pydm_shows_status_and_severity_puts_a_threshold_and_sees_the_daemon_go(
    daemon: Daemon, display: Callable[[str], Any]
) -> None:
    def land(*shades: int) -> None:
        for shade in shades:
            daemon.land("CDC_occupancy.png", shade)
            daemon.until(lambda shade=shade: daemon.counts()["judged"] == shade)

    def shows(leaf: str, text: str, severity: int = Severity.NO_ALARM) -> bool:
        return bool(display("tell")[leaf] == {"text": text, "severity": severity, "connected": True})

    land(1)
    daemon.until(lambda: shows("STATUS", "SUSPECT", Severity.MINOR))
    daemon.until(lambda: shows("CONF", "0.900"))
    assert shows("CLASS", "Bad")
    assert shows("ENABLE", "Enabled")

    display("put 0.95")
    daemon.until(lambda: daemon.pv("CDC:OCCUPANCY:THRESH:BAD").get() == pytest.approx(0.95))
    land(2, 3)
    assert [one["confirmed"] for one in daemon.ask_json("log")] == [False, False, True]
    display("put 0.5")
    daemon.until(lambda: daemon.pv("CDC:OCCUPANCY:THRESH:BAD").get() == pytest.approx(0.5))
    land(4, 5)
    daemon.until(lambda: shows("STATUS", "BAD", Severity.MAJOR))
    daemon.until(lambda: shows("MSG", "Bad at 0.90, 2 in a row, beam 100 nA"))
    assert display("picture")

    daemon.kill()
    daemon.until(lambda: all(not one["connected"] for one in display("tell").values()))
    assert display("tell")["STATUS"]["severity"] == DISCONNECTED
