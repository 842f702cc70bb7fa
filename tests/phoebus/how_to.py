"""docs/how-to/phoebus-in-ten-minutes.md as something to run: its blocks, with the places of a test put in."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import kit
from broker import java
from daemon import Daemon

PAGE = kit.HERE.parents[1] / "docs" / "how-to" / "phoebus-in-ten-minutes.md"
BLOCK = re.compile(r"^## (?P<heading>.+?)\n|^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
# CS-Studio's own programs, where they are named: `make test-phoebus ALARM_SERVER=… PHOEBUS=…`.
NAMED = {"alarm-server.sh": os.environ.get("ALARM_SERVER"), "phoebus.sh": os.environ.get("PHOEBUS")}
INSTALLED = {name: str(Path(path).absolute()) if path else "" for name, path in NAMED.items()}


def blocks(kind: str) -> dict[str, list[str]]:
    """The page's blocks of one kind, by the heading they stand under; those before the first under ''."""
    found: dict[str, list[str]] = {}
    heading = ""
    for match in BLOCK.finditer(PAGE.read_text()):
        heading = match["heading"] or heading
        if match["kind"] == kind:
            found.setdefault(heading, []).append(match["text"])
    return found


class Followed:
    """The page's commands beside a daemon; a context manager that ends what they left running.

    CS-Studio's two programs, where they are not installed, are stood in for by scripts that note what they were told.

    Args:
        kafka: address of the broker.
    """

    def __init__(self, hydrad: Daemon, kafka: str) -> None:
        self.home = hydrad.home
        self.config = hydrad.prefix.replace(":", "_")
        self._programs = hydrad.home / "programs"
        self._places = {
            "hydra-host": "127.0.0.1",
            "5064": str(hydrad.port),
            "localhost:9092": kafka,
            "HYDRA:D:": f"{hydrad.prefix}:",
            "HYDRA_D": self.config,
            "my-hall.toml": str(hydrad.settings),
        }
        self._left: list[subprocess.Popen[str]] = []
        self._provide()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for shell in self._left:
            try:
                os.killpg(shell.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def run(self, heading: str) -> None:
        """Everything under a heading."""
        self.run_text("".join(blocks("sh")[heading]))

    def run_text(self, block: str) -> None:
        """A block in a shell of its own; fail where a command fails."""
        script = f"set -eu\n{block}"
        for there, here in self._places.items():
            script = script.replace(there, here)
        log = self.home / "how-to.log"
        with log.open("a") as output:
            shell = subprocess.Popen(
                ["sh", "-c", script],
                cwd=self.home,
                env={**os.environ, "PATH": f"{self._programs}:{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
                process_group=0,
            )
        self._left.append(shell)
        assert shell.wait(180) == 0, f"{block}: {log.read_text()[-3000:]}"

    def told(self, program: str) -> Sequence[Mapping[str, str]]:
        """With what a program was started, each time: its options with their values."""
        lines = (self._programs / f"{program}.told").read_text().splitlines()
        return [options(shlex.split(line)) for line in lines]

    def _provide(self) -> None:
        self._programs.mkdir()
        self._program("hydrad", shlex.join([sys.executable, "-m", "hydrad"]) + ' "$@"')
        self._program("caput", shlex.join([sys.executable, str(kit.HERE / "caput.py")]) + ' "$@"')
        self._program("kafka-topics.sh", shlex.join(java("org.apache.kafka.tools.TopicCommand")) + ' "$@"')
        for name, installed in INSTALLED.items():
            note = f'for word in "$@"; do printf "\'%s\' " "$word"; done >> {self._programs / name}.told\n'
            note += f"echo >> {self._programs / name}.told\n"
            self._program(name, note + (f'{shlex.quote(installed)} "$@"' if installed else ":"))

    def _program(self, name: str, script: str) -> None:
        path = self._programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def options(words: Sequence[str]) -> Mapping[str, str]:
    """Options with the word behind each, '' for those with none."""
    nexts = [*words[1:], "-"]
    return {
        word: "" if after.startswith("-") else after for word, after in zip(words, nexts, strict=True) if word[0] == "-"
    }
