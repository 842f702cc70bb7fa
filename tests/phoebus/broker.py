"""A Kafka broker of the test's own, from Maven's jars, and the alarm topics as Phoebus' clients see them."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import kit

from hydrad.verbs.processes import free_port

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
"""
CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"  # sixteen bytes
START_WITHIN_S = 90.0


def java(main: str, *arguments: str) -> list[str]:
    """The command line of a program of Kafka's."""
    return ["java", "-Xmx256m", "-cp", f"{kit.JARS}/*", main, *arguments]


class Broker:
    """One node on loopback; a context manager that ends it."""

    def __init__(self, home: Path) -> None:
        self._log = home / "kafka.log"
        self._properties = home / "kafka.properties"
        port, controller = free_port(), free_port()
        self.address = f"127.0.0.1:{port}"
        self._properties.write_text(PROPERTIES.format(port=port, controller=controller, data=home / "kafka"))

    def __enter__(self) -> Self:
        formatting = java("kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(self._properties))
        subprocess.run(formatting, check=True, capture_output=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                java("kafka.Kafka", str(self._properties)), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_WITHIN_S
        while self.topics() is None:
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.kill()

    def topics(self) -> set[str] | None:
        """Those there are; None while it does not answer."""
        told = subprocess.run(
            java("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.address, "--list"),
            capture_output=True,
            text=True,
            check=False,
        )
        return set(told.stdout.split()) if told.returncode == 0 else None


class Alarms:
    """What the alarm server says of each alarm, newest; a context manager that stops listening.

    Args:
        config: the alarm server's ``-config``.
    """

    def __init__(self, broker: Broker, config: str) -> None:
        self._broker, self._config = broker, config
        self._states: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            java(
                "org.apache.kafka.tools.consumer.ConsoleConsumer",
                *("--bootstrap-server", self._broker.address, "--topic", self._config, "--from-beginning"),
                *("--property", "print.key=true"),
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._thread = threading.Thread(target=self._read, name="alarms")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.kill()
            self._thread.join()

    def severity(self, path: str) -> str:
        """Of an alarm; with _ACK where it is acknowledged."""
        return str(self._states.get(path, {}).get("severity", ""))

    def state(self, path: str) -> Mapping[str, Any]:
        """All that was said last."""
        return dict(self._states.get(path, {}))

    def acknowledge(self, path: str) -> None:
        """As CS-Studio's alarm tree does."""
        command = {"user": "shift", "host": "counting-house", "command": "acknowledge"}
        subprocess.run(
            java(
                "kafka.tools.ConsoleProducer",
                *("--bootstrap-server", self._broker.address, "--topic", f"{self._config}Command"),
                *("--property", "parse.key=true"),
            ),
            input=f"command:{path}\t{json.dumps(command)}\n",
            check=True,
            capture_output=True,
            text=True,
        )

    def until(self, holds: Callable[[], object], within_s: float = 30.0) -> None:
        """Wait until it holds; fail when it does not in time."""
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, f"did not come true within {within_s} s: {self._states}"
            time.sleep(0.05)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            key, _, value = line.rstrip("\n").partition("\t")
            if key.startswith("state:") and value != "null":
                self._states[key.removeprefix("state:")] = json.loads(value)
