"""How hydrad's PVs do beside those of EPICS base, each served in a process of its own to a client in another."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydrad.errors import HydradError
from hydrad.ioc.bench import LEAVES, UPDATES_OF_A_VERDICT, names
from hydrad.verbs.processes import free_port, no_repeater

PLOTS = 229  # 3206 PVs of plots
UPDATES_PER_S = 1200
SECONDS = 10
PREFIX = "BENCH:"
PATIENCE_S = 60.0
WARM_S = 1.0


def figures() -> dict[str, Any]:
    """Both, measured one after the other; only ours where softioc is not installed.

    Returns:
        ``pvs``, and for ``ours`` and ``base``: ``start_s`` from the start of making PVs until they are served,
        ``connect_s`` until a client has heard of all, ``server_mb`` resident memory with that client, ``updates_per_s``
        heard, ``p50_ms`` and ``p99_ms`` from posting to the client's callback, ``lost`` updates.
    """
    found: dict[str, Any] = {"pvs": PLOTS * len(LEAVES), "ours": _measured("ours")}
    if find_spec("softioc") is not None:
        found["base"] = _measured("base")
    return found


def rows(measured: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    """Lines of a table: figure, value, unit, baseline, bound."""
    ours, base = measured["ours"], measured.get("base")
    for key, what, unit, digits in (
        ("start_s", f"{measured['pvs']} PVs: made and served after", "s", 2),
        ("connect_s", "a client has heard of all after", "s", 2),
        ("server_mb", "memory of the server, all of it", "MB", 0),
        ("updates_per_s", "updates heard", "1/s", 0),
        ("p50_ms", "update to client, p50", "ms", 2),
        ("p99_ms", "update to client, p99", "ms", 2),
        ("lost", "updates lost", "", 0),
    ):
        beside = "no softioc here" if base is None else f"{base[key]:.{digits}f} by softioc (EPICS base)"
        bound = f"{UPDATES_PER_S}: posted" if key == "updates_per_s" else "0" if key == "lost" else ""
        yield what, f"{ours[key]:.{digits}f}", unit, beside, bound


def _measured(kind: str) -> dict[str, float]:
    port = free_port()
    with no_repeater() as repeater:
        loopback = {
            **os.environ,
            "EPICS_CA_SERVER_PORT": str(port),
            "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
            "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
            "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
            "EPICS_CA_ADDR_LIST": f"127.0.0.1:{port}",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_REPEATER_PORT": str(repeater),
            "PVXS_QSRV_ENABLE": "NO",
        }
        with (
            _steered(("hydrad.ioc.bench", kind, PREFIX, str(port), str(PLOTS)), loopback) as server,
            _steered(("hydrad.verbs.listening",), loopback) as client,
        ):
            start_s = float(server.answer("ready"))
            client.say(json.dumps(names(PREFIX, PLOTS)))
            connect_s = float(client.answer("ready"))
            verdicts_per_s = UPDATES_PER_S / UPDATES_OF_A_VERDICT
            server.ask(f"flood {WARM_S} {verdicts_per_s}")
            time.sleep(WARM_S / 2)  # what is on its way arrives; what counts begins after that
            client.ask("")
            began = time.monotonic()
            told = int(server.ask(f"flood {SECONDS} {verdicts_per_s}"))
            took_s = time.monotonic() - began
            time.sleep(WARM_S / 2)
            late_ms = json.loads(client.ask(""))
            return {
                "start_s": start_s,
                "connect_s": connect_s,
                "server_mb": server.resident_mb,
                "updates_per_s": len(late_ms) / took_s,
                "p50_ms": statistics.median(late_ms),
                "p99_ms": statistics.quantiles(late_ms, n=100)[98],
                "lost": float(max(0, told - len(late_ms))),
            }


class _Steered:
    """A process that is told lines, and answers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def resident_mb(self) -> float:
        """Its memory now."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def say(self, line: str) -> None:
        """Tell it a line."""
        assert self._process.stdin is not None  # noqa: S101  it was opened so
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def ask(self, line: str) -> str:
        """Tell it a line and return what it answers."""
        self.say(line)
        return self.answer("ok")

    def answer(self, word: str) -> str:
        """What stands behind this word in the line that begins with it."""
        assert self._process.stdout is not None  # noqa: S101  likewise
        for line in self._process.stdout:  # what libraries print comes in between
            if line.split(maxsplit=1)[:1] == [word]:
                return line.removeprefix(word).strip()
        raise HydradError(f"a process of the bench ended without saying {word!r}")


@contextmanager
def _steered(module: Sequence[str], environment: Mapping[str, str]) -> Iterator[_Steered]:
    with subprocess.Popen(  # noqa: S603  our own modules
        [sys.executable, "-m", *module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        process_group=0,
    ) as process:
        try:
            yield _Steered(process)
        finally:
            process.kill()
