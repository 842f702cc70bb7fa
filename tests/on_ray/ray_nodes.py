"""A Ray cluster of several nodes on this machine, which can be killed as a loss of power does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from hydrad.verbs.processes import free_port

TESTS = Path(__file__).parents[1]
RAY = Path(sys.executable).with_name("ray")
STORE_BYTES = 80 * 2**20


class Cluster:
    """A head without cores, and nodes of one core each, as processes of this machine."""

    def __init__(self) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._nodes: list[subprocess.Popen[bytes]] = []
        port = self.address.partition(":")[2]
        self._start(f"--port={port}", "--head", "--num-cpus=0", "--include-dashboard=false")

    def add(self) -> subprocess.Popen[bytes]:
        return self._start(f"--address={self.address}", "--num-cpus=1")

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
        common = (
            "--node-ip-address=127.0.0.1",
            f"--object-store-memory={STORE_BYTES}",
            "--block",
            "--disable-usage-stats",
        )
        node = subprocess.Popen(
            [RAY, "start", *words, *common], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._nodes.append(node)
        return node

    def close(self) -> None:
        for node in reversed(self._nodes):
            kill(node)


def kill(node: subprocess.Popen[bytes]) -> None:
    """End a node at once, with all its processes, as a loss of power does."""
    its = [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)] if node.poll() is None else []
    for one in its:
        with_pid(one)
    node.wait()
    psutil.wait_procs(its, timeout=20)


def with_pid(one: psutil.Process) -> None:
    try:
        one.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return


@contextmanager
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    try:
        yield made
    finally:
        made.close()
