"""CS-Studio's Channel Access library as a process: what Phoebus and its alarm server would hear of PVs."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import kit

PV_CA = "org.phoebus.pv.ca/"  # how settings.ini calls what CAJ calls:
CAJ = "com.cosylab.epics.caj.CAJContext."


@dataclass
class Heard:
    """Of one PV, the newest; ``severities`` has all there were, in turn, and what is not connected is UNDEFINED."""

    connected: bool = False
    severity: str = "UNDEFINED"
    status: str = ""
    text: str = ""
    labels: list[str] = field(default_factory=list)
    severities: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        """The value, of an enum its label."""
        return self.labels[int(self.text)] if self.labels and self.text else self.text

    @property
    def number(self) -> float:
        """The value; NaN where nothing is connected, as the alarm server takes it."""
        return float(self.text) if self.connected and self.text else float("nan")


class Listener:
    """``Listener.java`` as a process; a context manager that ends it.

    Args:
        settings: lines of a settings.ini; those that are about Channel Access hold.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        told = {key.removeprefix(PV_CA): value for key, value in settings.items() if key.startswith(PV_CA)}
        # Where the port is taken CAJ starts no repeater program, which would outlive it.
        told["repeater_port"] = os.environ["EPICS_CA_REPEATER_PORT"]
        jars = [str(kit.CLASSES), *map(str, sorted(kit.JARS.glob("*.jar")))]
        self._process = subprocess.Popen(
            [
                "java",
                "-Xmx128m",
                *(f"-D{CAJ}{key}={value}" for key, value in told.items()),
                "-cp",
                ":".join(jars),
                "Listener",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._heard: dict[str, Heard] = {}
        self.refused: list[str] = []
        self._thread = threading.Thread(target=self._read, name="listener")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.kill()
            self._thread.join()

    def hear(self, names: Iterable[str]) -> None:
        """Subscribe."""
        for name in names:
            self._heard.setdefault(name, Heard())
            self._say("hear", name)

    def put(self, name: str, value: float | str) -> None:
        """Write, without waiting for an answer."""
        self._say("put", name, str(value))

    def __getitem__(self, name: str) -> Heard:
        return self._heard[name]

    def forget(self) -> None:
        """Begin the record of severities anew, each with what holds now."""
        for heard in self._heard.values():
            heard.severities[:] = [heard.severity]

    def until(self, holds: Callable[[], object], within_s: float = 20.0) -> None:
        """Wait until it holds; fail when it does not in time."""
        deadline = time.monotonic() + within_s
        while not holds():
            assert self._process.poll() is None, "the listener has ended"
            assert time.monotonic() < deadline, f"did not come true within {within_s} s: {self._heard}"
            time.sleep(0.02)

    def _say(self, *words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\t".join(words) + "\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            what, name, *rest = line.rstrip("\n").split("\t")
            heard = self._heard[name]
            match what:
                case "connected":
                    heard.connected = True
                case "disconnected":
                    heard.connected, heard.severity = False, "UNDEFINED"
                    heard.severities.append("UNDEFINED")
                case "labels":
                    heard.labels = rest[0].split("|")
                case "value":
                    severity, heard.status, _, heard.text = rest
                    heard.severity = severity.removesuffix("_ALARM") if severity != "NO_ALARM" else severity
                    heard.severities.append(heard.severity)
                case "limits":
                    pass
                case _:
                    self.refused.append(line)


def settings_of(text: str) -> dict[str, str]:
    """The lines of a settings.ini."""
    lines = (line.strip() for line in text.splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def read_settings(path: Path) -> dict[str, str]:
    """A settings.ini."""
    return settings_of(path.read_text())
