"""Clients of the PVs that mean no good, and a port that somebody else has: others are answered, and nothing is lost."""

from __future__ import annotations

import os
import random
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
from bare_client import ECHO, EVENT_ADD, HEADER, SEARCH, VERSION, VERSIONS, BareClient, message
from daemon import Daemon
from epics_env import BeamIoc
from trial import BAD, LONG, Trial

TIME_LONG = 19
CIRCUITS = 500
DATAGRAMS = 50_000
ROUNDS = 2
FILES = 60
ELSEWHERE = "127.0.0.9"  # the host that means no good
MASK = struct.pack(">fffHH", 0, 0, 0, 5, 0)
Trials = Callable[..., Trial]


def from_elsewhere(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(ELSEWHERE, 0))


@contextmanager
def circuits(hall: Trial) -> Iterator[None]:
    """Hundreds of connections, half of which have sent half a header."""
    with ExitStack() as stack:
        for n in range(CIRCUITS):
            with suppress(OSError):
                client = stack.enter_context(closing(from_elsewhere(hall.daemon.port)))
                client.sendall(HEADER.pack(VERSIONS, 0, 0, VERSION, 0, 0)[: 8 if n % 2 else 16])
        yield


@contextmanager
def deaf(hall: Trial) -> Iterator[None]:
    """Clients that subscribe to a PV thousands of times and read nothing."""
    with ExitStack() as stack:
        for _ in range(5):
            client = stack.enter_context(BareClient(hall.daemon.port))
            opened = client.open(f"{hall.daemon.prefix}:HEARTBEAT")
            assert opened is not None
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with suppress(OSError):
                for number in range(10_000, 15_000):
                    client.send(message(EVENT_ADD, MASK, kind=TIME_LONG, count=1, first=opened.number, second=number))
        yield


@contextmanager
def garbage(hall: Trial) -> Iterator[None]:
    """Bytes that mean nothing, over and over."""
    chance, over = random.Random(3), threading.Event()

    def send() -> None:
        while not over.is_set():
            with suppress(OSError), from_elsewhere(hall.daemon.port) as client:
                client.sendall(chance.randbytes(chance.choice((3, 16, 400, 70_000))))
                client.settimeout(0.2)
                client.recv(4096)

    sender = threading.Thread(target=send, name="garbage")
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


@contextmanager
def searches(hall: Trial) -> Iterator[None]:
    """Searches for what is there, for what is not, and for nothing that can be read."""
    chance = random.Random(4)
    names = [f"{hall.daemon.prefix}:HEARTBEAT\0", "NOBODY:HAS:THIS\0"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.bind((ELSEWHERE, 0))
        for n in range(DATAGRAMS):
            search = message(SEARCH, chance.choice(names).encode(), kind=5, count=VERSION, first=n, second=n)
            datagram = chance.choice((message(VERSIONS, count=VERSION) + search * 20, chance.randbytes(200)))
            with suppress(OSError):
                asking.sendto(datagram, ("127.0.0.1", hall.daemon.port))
        yield


HOSTILITIES = {
    "opens 500 circuits, half of them with half a header": circuits,
    "subscribes to 25,000 events and reads none": deaf,
    "sends garbage": garbage,
    "floods searches": searches,
}


def answered(hall: Trial) -> None:
    """A client like any other is answered."""
    with BareClient(hall.daemon.port, timeout_s=60.0) as client:
        opened = client.open(f"{hall.daemon.prefix}:HEARTBEAT")
        assert opened is not None
        assert client.read(opened, TIME_LONG).payload


@pytest.mark.skipif(not LONG, reason="what the server alone withstands is among its own tests")
@pytest.mark.parametrize("descriptors", [None, 256])
def test_clients_that_mean_no_good_leave_the_others_their_pvs(trial: Trials, descriptors: int | None) -> None:
    before = () if descriptors is None else ("prlimit", f"--nofile={descriptors}")
    words = "" if descriptors is None else f" ({descriptors} file descriptors)"
    with trial(f"hostile CA clients{words}", before=before, watch=["CA_CLNT_CNT", "CDC:A0:STATUS"]) as hall:
        hall.start()
        for _ in range(ROUNDS):
            for hostility in HOSTILITIES.values():
                with hostility(hall):
                    hall.tries += 1
                    for n in range(FILES):
                        hall.write(f"Run{hall.tries}/CDC_a{n}.png")
                    answered(hall)
                    hall.settled()
                    beats = len(hall.clients.events("HEARTBEAT"))
                    hall.until(lambda beats=beats: len(hall.clients.events("HEARTBEAT")) > beats + 1)
            hall.until(lambda: hall.clients.events("CA_CLNT_CNT")[-1].value <= 2)
        answered(hall)


def refused(hall: Trial) -> None:
    """It does not start, says which port it is and where it is configured, and ends as systemd starts anew."""
    hall.launch()
    assert hall.daemon.wait() == 1
    hall.kill()  # it is away from now on
    hall.tries += 1
    assert f"hydrad: ioc.port: {hall.daemon.port} on 127.0.0.1 cannot be had" in hall.log()


@pytest.mark.skipif(not LONG, reason="as with hostile clients")
def test_a_port_that_another_process_has_is_named_and_waited_for(trial: Trials, tmp_path: Path) -> None:
    with trial("port taken by another process, by another hydrad, by an IOC") as hall:
        with closing(socket.create_server(("127.0.0.1", hall.daemon.port))):
            hall.write("CDC_early.png")
            refused(hall)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as searched:
            searched.bind(("127.0.0.1", hall.daemon.port))
            hall.write("CDC_searched.png")
            refused(hall)
        with BeamIoc() as ioc:
            ioc.port = hall.daemon.port
            ioc.start()
            hall.write("CDC_ioc.png")
            refused(hall)
        hall.start()
        hall.settled()
        (tmp_path / "other").mkdir()
        with Daemon(tmp_path / "other", scores=BAD) as other:
            told = other.settings.read_text()
            other.settings.write_text(told.replace(f"port = {other.port}", f"port = {hall.daemon.port}"))
            other.launch()
            assert other.wait() == 1
            assert f"ioc.port: {hall.daemon.port}" in other.log.read_text()
            hall.tries += 1
        hall.write("CDC_late.png")


@contextmanager
def address(there: str) -> Iterator[None]:
    """This host has this address in the meantime."""
    if os.geteuid() or subprocess.run(["ip", "addr", "add", f"{there}/32", "dev", "lo"], check=False).returncode:
        pytest.skip("only root may give a host an address")
    try:
        yield
    finally:
        subprocess.run(["ip", "addr", "del", f"{there}/32", "dev", "lo"], check=True)


@pytest.mark.skipif(not LONG, reason="one of many")
def test_an_interface_that_comes_late_and_goes_takes_no_other_with_it(trial: Trials) -> None:
    there = f"10.{os.getpid() % 250}.{os.getpid() // 250 % 250}.1"
    with trial("interface not there yet, goes, comes back", ioc=f'interfaces = ["127.0.0.1", "{there}"]') as hall:
        hall.write("CDC_early.png")
        hall.launch()
        assert hall.daemon.wait() == 1
        hall.kill()
        assert f"hydrad: ioc.interfaces: this host has no address {there} at present" in hall.log()
        hall.tries += 1
        with address(there):
            hall.start()
            with closing(socket.create_connection((there, hall.daemon.port), timeout=10)):
                hall.write("CDC_with.png")
                hall.settled()
        hall.tries += 1
        hall.write("CDC_without.png")
        hall.settled()
        answered(hall)
        with address(there), closing(socket.create_connection((there, hall.daemon.port), timeout=10)) as client:
            client.sendall(message(ECHO))
            assert client.recv(4096)


@pytest.mark.skipif(not LONG, reason="a minute")
def test_a_daemon_that_stood_still_for_a_minute_goes_on(trial: Trials) -> None:
    with trial("daemon frozen (SIGSTOP) for 60 s and thawed", watch=["CDC:A0:STATUS"]) as hall:
        hall.start()
        for n in range(FILES):
            hall.write(f"CDC_a{n}.png")
        with hall.frozen():
            hall.tries += 1
            for n in range(FILES):
                hall.write(f"Run2/CDC_a{n}.png")
            time.sleep(60.0)
        hall.settled()
        answered(hall)


@pytest.mark.skipif(not LONG, reason="one of many")
@pytest.mark.parametrize("descriptors", [32, 48, 64])
def test_a_daemon_with_few_file_descriptors_works_or_says_what_it_lacks(trial: Trials, descriptors: int) -> None:
    with trial(f"{descriptors} file descriptors", before=("prlimit", f"--nofile={descriptors}")) as hall:
        for n in range(FILES):
            hall.write(f"CDC_a{n}.png")
        hall.tries += 1
        hall.start()
        for n in range(FILES):
            hall.write(f"Run2/CDC_a{n}.png")
        hall.settled()
