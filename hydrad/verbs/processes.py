"""Child processes that never outlive their parent's wish."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PATIENCE_S = 15.0


@contextmanager
def child(
    arguments: Sequence[str], *, environment: Mapping[str, str] | None = None, output: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``hydrad`` with these arguments; at the end ask it to stop, and insist if it does not."""
    process = subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, "-m", "hydrad", *arguments],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        process_group=0,  # Ctrl-C reaches the parent alone, which then stops its children in order
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port(wanted: int = 0, host: str = "127.0.0.1") -> int:
    """The wanted port if it is free for TCP and UDP, else one that is."""
    for port in (wanted, *([0] * 20)):
        if found := _bound(host, port):
            return found
    raise OSError(f"no free port on {host}")


@contextmanager
def no_repeater() -> Iterator[int]:
    """A port that is taken, for ``EPICS_CA_REPEATER_PORT``: so no client starts a repeater, which would outlive it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 0))
        yield int(taken.getsockname()[1])


def is_free(host: str, port: int) -> bool:
    """True if this port is free for TCP and UDP."""
    return _bound(host, port) is not None


def _bound(host: str, port: int) -> int | None:
    tcp, udp = (socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM))
    with tcp, udp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tcp.bind((host, port))
            udp.bind((host, tcp.getsockname()[1]))
        except OSError:
            return None
        return int(tcp.getsockname()[1])


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, for telling why a child died."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
