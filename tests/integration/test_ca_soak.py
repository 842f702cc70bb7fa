"""The PVs under load: crowds, clients that stop, come, go, say nothing or talk rubbish, and storms of searches.

Short forms, for every day; ``make soak-ca`` runs the long ones and prints what it found.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
from bare_client import CREATE, EVENT_ADD, VERSION, BareClient, message
from epics_env import random_prefix
from steered import Steered, free_server_port, until

LONG = os.environ.get("HYDRA_SOAK") == "long"
UPDATES = 100_000 if LONG else 6_000  # a verdict of these floods is two of them
COMINGS = 10_000 if LONG else 300
RUBBISH = 3000 if LONG else 200
SEARCHES = 200_000 if LONG else 10_000
SILENT = 500 if LONG else 100
PLOTS_OF_A_HALL = 230 if LONG else 40
MOST_PLOTS = 4000 if LONG else 400
LEAVES = (
    "STATUS", "CONF", "CLASS", "MSG", "AGE", "RUN", "NBAD", "ONDELAY", "OFFDELAY", "ENABLE", "SHELVE", "THRESH:GOOD",
    "THRESH:BAD", "THRESH:NODATA",
)  # fmt: skip
CHANGING = ("CONF", "MSG")  # with every verdict of a flood
pytestmark = pytest.mark.timeout(1800 if LONG else 120)
found: list[tuple[str, str]] = []


@pytest.fixture(scope="module", autouse=True)
def _printed() -> Iterator[None]:
    yield
    if LONG:
        for what, figures in found:
            sys.stdout.write(f"\n{what}: {figures}")
        sys.stdout.write("\n")


def report(what: str, figures: str) -> None:
    found.append((what, figures))


class Server:
    """ioc_process.py with so many plots."""

    def __init__(self, process: Steered, prefix: str, port: int, plots: int) -> None:
        self._process = process
        self._prefix = prefix
        self.port = port
        self.plots = plots
        self._flooded = 0

    def names(self, leaves: Sequence[str], plots: int | None = None) -> list[str]:
        return [f"{self._prefix}F{n % 10}:{n}:{leaf}" for n in range(plots or self.plots) for leaf in leaves]

    def ask(self, word: str, **keys: Any) -> Any:
        return json.loads(self._process.tell(f"{word} {json.dumps(keys or None)}"))

    def flood(self, verdicts: int, per_s: int) -> None:
        """So many verdicts, of the plots in turn, each with a new confidence and reason."""
        assert verdicts % self.plots == 0
        told = self.ask("flood", plots=self.plots, seconds=verdicts / per_s, per_s=per_s)
        assert told == verdicts
        self._flooded += told

    @property
    def newest(self) -> list[float]:
        """The confidence of every plot, as the last flood left it."""
        return [(self._flooded - self.plots + 1 + n) / 1e6 for n in range(self.plots)]

    def settled(self, clients: int) -> dict[str, int]:
        """Its footprint when so many clients are left."""
        until(lambda: self.ask("footprint")["clients"] == clients, within_s=20)
        footprint: dict[str, int] = self.ask("footprint")
        return footprint


@contextmanager
def running(plots: int) -> Iterator[Server]:
    prefix, port = f"{random_prefix()}:", free_server_port()
    with Steered("ioc_process.py", json.dumps({"prefix": prefix, "port": port})) as process:
        server = Server(process, prefix, port, plots)
        for n in range(plots):
            server.ask("rules", plot=f"F{n % 10}_{n}")
        server.flood(plots, plots * 100)
        yield server


def crowd(server: Server, names: list[str], clients: int = 1) -> Steered:
    return Steered("ca_crowd.py", str(server.port), str(clients), told=json.dumps(names))


class Heard:
    """What a crowd heard of a flood, once each of its clients holds every newest value."""

    def __init__(self, server: Server, listeners: Steered, clients: int, verdicts: int, per_s: int) -> None:
        before = sum(json.loads(listeners.tell("afresh"))["heard"])
        server.flood(verdicts, per_s)
        told: dict[str, Any] = {}

        def all_hold_the_newest() -> bool:
            told.update(json.loads(listeners.tell("")))
            return told["newest"] == server.newest and told["holding"] == clients

        until(all_hold_the_newest, within_s=30)
        self.p50_ms: float = told["p50_ms"]
        self.p99_ms: float = told["p99_ms"]
        self.skipped = len(CHANGING) * verdicts * clients - sum(told["heard"]) + before  # for newer ones of the same PV

    def __str__(self) -> str:
        return f"median {self.p50_ms:.2f} ms, p99 {self.p99_ms:.1f} ms, {self.skipped} skipped"


def test_a_stopped_client_changes_nothing_for_the_others() -> None:
    with running(100) as server, ExitStack() as stack:
        verdicts = UPDATES // len(CHANGING)
        healthy = stack.enter_context(crowd(server, server.names(CHANGING), 2))
        Heard(server, healthy, 2, 1000, 1000)
        alone = Heard(server, healthy, 2, verdicts, 1000)
        stopped = stack.enter_context(Steered("ca_sleeper.py", *server.names(LEAVES)))
        stopped.signal(signal.SIGSTOP)
        try:
            Heard(server, healthy, 2, 3000, 1000)  # until everything between it and the server is full
            before = server.ask("footprint")["bytes"]
            beside = Heard(server, healthy, 2, verdicts, 1000)
            grown_mb = (server.ask("footprint")["bytes"] - before) / 1e6
        finally:
            stopped.signal(signal.SIGCONT)
        report(f"{UPDATES} updates, 2000/s, no client stopped", str(alone))
        report(f"{UPDATES} updates, 2000/s, one client stopped", f"{beside}; the server grew by {grown_mb:.1f} MB")
        assert beside.p50_ms < 2 * alone.p50_ms + 5
        assert grown_mb < 4


def test_fifty_clients_watch_everything_and_hold_the_same() -> None:
    with running(PLOTS_OF_A_HALL) as server:
        names, before = server.names(LEAVES), server.ask("footprint")["bytes"]
        with crowd(server, names, 50) as clients:
            each_kb = (server.ask("footprint")["bytes"] - before) / 1e3 / 50 / len(names)
            got = Heard(server, clients, 50, PLOTS_OF_A_HALL * 10, 50)
        report(f"50 clients of {len(names)} PVs each, 100 updates/s", f"{got}; {each_kb:.2f} kB a subscription")
        assert each_kb < 1.5
        server.settled(0)


def test_thousands_of_plots_are_watched() -> None:
    with running(MOST_PLOTS) as server:
        names, before = server.names(LEAVES), server.ask("footprint")["bytes"]
        began = time.monotonic()
        with crowd(server, names) as client:
            took_s = time.monotonic() - began
            grown_mb = (server.ask("footprint")["bytes"] - before) / 1e6
            got = Heard(server, client, 1, MOST_PLOTS * (5 if LONG else 1), 500)
        report(
            f"{MOST_PLOTS} plots, a client of {len(names)} PVs, 1000 updates/s",
            f"{got}; connected in {took_s:.1f} s for {grown_mb:.0f} MB; all of the server was {before / 1e6:.0f} MB",
        )
        assert grown_mb < len(names) * 1.5e-3


def leave_at_once(client: BareClient) -> None:
    """As a client does that is killed: without a word, and with what it was sent unread."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def visit(server: Server, names: Sequence[str], n: int) -> None:
    with BareClient(server.port) as client:
        opened = [channel for name in names if (channel := client.open(name)) is not None]
        for channel in opened:
            client.subscribe(channel, 14 + channel.native, 5)
        if n % 3 == 0:
            client.events()
            for channel in opened:
                client.close_channel(channel)
        elif n % 3 == 1:
            leave_at_once(client)
        else:
            client.send(message(CREATE, b"half a messa", first=1, second=VERSION)[:20])


def test_clients_that_come_and_go_leave_nothing() -> None:
    with running(20) as server:
        names = server.names(LEAVES)[:10]
        for n in range(60):
            visit(server, names, n)
        before = server.settled(0)
        for n in range(COMINGS):
            visit(server, names, n)
        after = server.settled(0)
        assert after["handles"] == before["handles"]
        assert after["tasks"] == before["tasks"]
        grown_mb = (after["bytes"] - before["bytes"]) / 1e6
        report(f"{COMINGS} clients that came and went", f"no handle, no task, {grown_mb:.2f} MB left")
        assert grown_mb < 3


def test_clients_that_say_nothing_cost_little_and_are_forgotten_when_they_leave() -> None:
    with running(20) as server, crowd(server, server.names(CHANGING)) as healthy:
        before = server.settled(1)
        with ExitStack() as stack:
            silent = [
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
                for _ in range(SILENT)
            ]
            for n, one in enumerate(silent):
                if n % 2:
                    one.sendall(message(EVENT_ADD, bytes(16))[: n % 31])  # the half of a request, and never the rest
            during = server.settled(1 + SILENT)
            got = Heard(server, healthy, 1, 1000, 1000)
        after = server.settled(1)
        each_kb = (during["bytes"] - before["bytes"]) / 1e3 / SILENT
        assert each_kb < 100
        assert (after["handles"], after["tasks"]) == (before["handles"], before["tasks"])
        report(f"{SILENT} clients that said nothing", f"{each_kb:.0f} kB each; others: {got}")


def rubbish(dice: random.Random, name: str) -> bytes:
    """Bytes at random, or requests with one thing wrong, or cut short, or announcing much."""
    kind = dice.randrange(5)
    if kind == 0:
        return dice.randbytes(dice.randrange(1, 3000))
    asked = bytearray(
        message(CREATE, name.encode() + b"\0", first=1, second=VERSION)
        + b"".join(
            message(
                dice.choice((0, 1, 2, 3, 4, 6, 8, 9, 10, 12, 15, 18, 19, 20, 21, 23, dice.randrange(2**16))),
                dice.randbytes(dice.randrange(40)),
                kind=dice.choice((dice.randrange(40), dice.randrange(2**16))),
                count=dice.choice((0, 1, 300, 2**16 - 1, 2**31)),
                first=dice.choice((1, 0, dice.randrange(2**32))),
                second=dice.randrange(2**32),
            )
            for _ in range(dice.randrange(1, 20))
        )
    )
    if kind == 1:
        for _ in range(dice.randrange(1, 5)):
            asked[dice.randrange(len(asked))] = dice.randrange(256)
    elif kind == 2:
        del asked[dice.randrange(len(asked)) :]
    elif kind == 3:
        asked += struct.pack(">HHHHIIII", 4, 0xFFFF, 6, 0, 1, 1, dice.randrange(2**32), dice.randrange(2**32))
        asked += bytes(20_000)
    return bytes(asked)


def test_rubbish_is_never_fatal() -> None:
    dice = random.Random(5)
    with running(20) as server, crowd(server, server.names(CHANGING)) as healthy:
        before = {}
        for n in range(RUBBISH + 50):
            if n == 50:
                before = server.settled(1)
            with suppress(ConnectionError), BareClient(server.port) as client:
                client.send(rubbish(dice, server.names(("ONDELAY",))[0]))
                client.socket.shutdown(socket.SHUT_WR)
                with suppress(TimeoutError):
                    while client.socket.recv(65536):
                        pass
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                datagrams.sendto(rubbish(dice, "x")[:1400], ("127.0.0.1", server.port))
        after = server.settled(1)
        got = Heard(server, healthy, 1, 1000, 1000)
        assert (after["handles"], after["tasks"]) == (before["handles"], before["tasks"])
        grown_mb = (after["bytes"] - before["bytes"]) / 1e6
        assert grown_mb < 3
        report(f"{RUBBISH} times rubbish, by TCP and UDP", f"{grown_mb:.2f} MB left; others: {got}")


def test_a_storm_of_searches_drowns_nobody() -> None:
    with running(20) as server, crowd(server, server.names(CHANGING)) as healthy:
        before = server.settled(1)
        known, began = server.names(("STATUS",))[0], time.monotonic()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as storm:
            for n in range(SEARCHES // 10):
                names = [*(f"NOBODY:{n}:{m}" for m in range(9)), known]
                asked = b"".join(
                    message(6, f"{name}\0".encode(), kind=5, count=VERSION, first=m, second=m)
                    for m, name in enumerate(names)
                )
                storm.sendto(message(0, count=VERSION) + asked, ("127.0.0.1", server.port))
        took_s = time.monotonic() - began
        got = Heard(server, healthy, 1, 1000, 1000)
        grown_mb = (server.settled(1)["bytes"] - before["bytes"]) / 1e6
        assert grown_mb < 3
        with BareClient(server.port) as late:
            assert late.open(known) is not None
        report(f"{SEARCHES} searches in {took_s:.1f} s", f"{grown_mb:.2f} MB left; others, afterwards: {got}")
