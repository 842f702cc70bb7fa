"""The real daemon as a process, with a hall's folder, a data base and a port of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import epics
from epics_env import random_prefix
from PIL import Image
from steered import free_server_port

from hydrad.sim import hall
from hydrad.sim.faults import Fault

TOML = """\
[hall]
name = "TEST"
timezone = "America/New_York"

[store]
url = "{url}"
{store}

[ioc]
prefix = "{prefix}:"
port = {port}
{ioc}
{beam}
{classify}
[[watch]]
root = "{root}"
layout = "{layout}"
settle_ms = 100
patience_s = {patience_s}
rescan_s = 1
{watch}

[defaults]
on_delay = {delay}
off_delay = {delay}
{defaults}
"""
FIXED_BEAM = '[beam]\nkind = "fixed"\n'
START_WITHIN_S = 60.0


class Daemon:
    """``hydrad run`` below a folder; a context manager that ends it."""

    def __init__(self, home: Path, *, url: str = "", layout: str = "plain", **parts: Any) -> None:
        self.home = home
        self.root = Path(parts.get("root", home / "dumps"))
        self.root.mkdir(exist_ok=True)
        self.prefix = random_prefix()
        self.port = free_server_port()
        self.settings = home / "hydra.toml"
        self.log = home / "hydrad.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._pvs: dict[str, epics.PV] = {}
        scores = parts.get("scores")
        self.environment = dict(parts.get("environment", {}))
        self._program: Sequence[str] = parts.get("program", ("-m", "hydrad"))
        self._before: Sequence[str] = parts.get("before", ())  # what starts it in its own place, as setpriv does
        self.settings.write_text(
            TOML.format(
                url=url or "sqlite:///hydra.db",
                store=parts.get("store", ""),
                root=self.root,
                watch=parts.get("watch", ""),
                prefix=self.prefix,
                port=self.port,
                layout=layout,
                ioc=parts.get("ioc", ""),
                beam=parts.get("beam", FIXED_BEAM),
                classify="" if scores is None else f'[classify]\nkind = "fixed"\nscores = {toml_table(scores)}\n',
                patience_s=parts.get("patience_s", 1),
                delay=parts.get("delay", 2),
                defaults=parts.get("defaults", ""),
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pv in self._pvs.values():
            pv.disconnect()
        self.kill()

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Return when it says that it is ready."""
        self.launch()
        self.until_ready()
        return self

    def until_ready(self) -> None:
        """Wait until the daemon that was launched last says that it is ready."""
        self.until(lambda: self._said_ready() > self._ready_before, START_WITHIN_S)

    def _said_ready(self) -> int:
        return self.log.read_text().count('"ready"') if self.log.exists() else 0

    def launch(self) -> None:
        """Return at once."""
        self._ready_before = self._said_ready()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*self._before, sys.executable, *self._program, "run", "-c", str(self.settings)],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait until it has ended by itself; the exit status."""
        assert self._process is not None
        status = self._process.wait(START_WITHIN_S)
        self._process = None
        return status

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """Ask it to stop; the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(20)
        self._process = None
        return status

    def until(self, holds: Callable[[], object], within_s: float = 20.0) -> None:
        """Wait until it holds; fail when it does not in time, or when the daemon ends."""
        deadline = time.monotonic() + within_s
        while not holds():
            if self._process is not None and self._process.poll() is not None:
                raise AssertionError(f"the daemon ended:\n{self.log.read_text()[-3000:]}")
            if time.monotonic() > deadline:
                raise AssertionError(f"did not come true within {within_s} s:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def ask(self, *arguments: str, status: int = 0) -> str:
        """What a verb prints."""
        answer = subprocess.run(
            [sys.executable, "-m", "hydrad", *arguments, "-c", str(self.settings)],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert answer.returncode == status, answer.stdout + answer.stderr
        return answer.stdout

    def ask_json(self, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
        """What a verb prints with ``--json``, object by object."""
        return [json.loads(line) for line in self.ask(*arguments, "--json", status=status).splitlines()]

    def counts(self) -> Mapping[str, int]:
        """The ledger's."""
        return self.ask_json("ledger")[0]

    def pv(self, name: str) -> epics.PV:
        """A PV of this hall, connected."""
        if name not in self._pvs:
            self._pvs[name] = epics.PV(f"{self.prefix}:{name}", form="time", auto_monitor=True)
        pv = self._pvs[name]
        assert pv.wait_for_connection(15), f"{pv.pvname} does not connect:\n{self.log.read_text()[-2000:]}"
        return pv

    def land(self, name: str, shade: int, *, folder: str = "") -> Path:
        """Let an image appear in the watched folder, whole."""
        aside = self.home / "aside.png"
        Image.new("RGB", (64, 48), (shade % 256, shade // 256, 7)).save(aside)
        target = self.root / folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return aside.rename(target)


def dump(hydrad: Daemon, plot: str, chunk: int, faults: Sequence[Fault] = ()) -> None:
    """One image of a plot, as the simulated hall's producer lands it in the layout rsai."""
    aside = hydrad.home / "aside.png"
    Image.fromarray(hall.render(plot, seed=chunk, faults=faults, run=30408)).save(aside, compress_level=1)
    target = hydrad.root / "Run030408" / f"{plot}_{chunk:04}.png"
    target.parent.mkdir(exist_ok=True)
    aside.rename(target)


def toml_table(words: Mapping[str, float]) -> str:
    """An inline table."""
    return "{ " + ", ".join(f"{key} = {value}" for key, value in words.items()) + " }"
