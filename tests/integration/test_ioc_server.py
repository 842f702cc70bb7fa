"""The server under clients that stop, flood and talk nonsense, and between a port and a cancellation."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import epics
import psutil
import pytest
from epics_env import random_prefix
from steered import Heard, Steered, connected, free_server_port, read, read_all, until

from hydrad import config
from hydrad.domain import Change
from hydrad.errors import TryAgain
from hydrad.ioc import channel_access
from hydrad.ioc.channel import Encoded
from hydrad.ioc.interfaces import broadcast_of
from hydrad.ioc.outbox import Outbox, Subscription
from hydrad.ioc.server import Ioc

PLOTS = 100


@contextmanager
def running_ioc(**settings: Any) -> Iterator[tuple[Steered, str, int]]:
    """ioc_process.py with 100 plots: itself, its prefix, its port."""
    prefix, port = f"{random_prefix()}:", free_server_port()
    with Steered("ioc_process.py", json.dumps({"prefix": prefix, "port": port, **settings})) as process:
        process.tell(f'flood {{"plots": {PLOTS}, "seconds": 0.1, "per_s": {10 * PLOTS}}}')
        yield process, prefix, port


def names(prefix: str) -> list[str]:
    """PVs that change with every verdict of a flood."""
    return [f"{prefix}F{n % 10}:{n}:{leaf}" for n in range(PLOTS) for leaf in ("CONF", "STATUS", "MSG")]


class Nobody:
    """Controls that nobody uses."""

    async def put(self, change: Change) -> None:
        raise AssertionError(change)


def an_ioc(port: int, **settings: Any) -> Ioc:
    return Ioc(config.Ioc(prefix="T:", port=port, **settings), controls=Nobody(), hall="X", units="nA")


def test_a_client_that_stops_reading_disturbs_nobody_and_hears_the_newest_when_it_goes_on() -> None:
    with (
        running_ioc() as (ioc, prefix, _),
        Steered("ca_sleeper.py", *names(prefix)) as sleeper,
        Heard(f"{prefix}F0:0:CONF") as healthy,
    ):
        before = json.loads(ioc.tell("footprint null"))["bytes"]
        heard_before, _ = json.loads(sleeper.tell(""))
        sleeper.signal(signal.SIGSTOP)
        try:
            healthy.events.clear()
            told = json.loads(ioc.tell(f'flood {{"plots": {PLOTS}, "seconds": 4, "per_s": 2000}}'))
            assert told == 8000
            until(lambda: len(healthy.events) >= told // PLOTS)
            assert len(healthy.events) == told // PLOTS  # every one, once
            grown = json.loads(ioc.tell("footprint null"))["bytes"] - before
            assert grown < 8e6
        finally:
            sleeper.signal(signal.SIGCONT)
        newest = read_all(names(prefix))
        until(lambda: json.loads(sleeper.tell(""))[1] == newest, within_s=10)
        heard, _ = json.loads(sleeper.tell(""))
        assert heard - heard_before < told  # of two events each


def test_a_fast_change_reaches_a_client_that_reads_every_time() -> None:
    with running_ioc() as (ioc, prefix, _), Heard(f"{prefix}F3:3:CONF") as heard:
        heard.events.clear()
        told = json.loads(ioc.tell('flood {"plots": 4, "seconds": 1, "per_s": 4000}'))
        until(lambda: len(heard.events) >= told // 4)
        assert len(heard.events) == told // 4


def test_a_burst_of_one_turn_reaches_a_client_in_full() -> None:
    with running_ioc() as (ioc, prefix, _), Heard(f"{prefix}F1:1:CONF") as heard:
        heard.events.clear()
        ioc.tell('flood {"plots": 2, "seconds": 0.0001, "per_s": 10000000}')  # 1000 verdicts before the loop turns
        until(lambda: len(heard.events) >= 500)
        assert heard.events[-1][0] == read(f"{prefix}F1:1:CONF")


def test_hundred_clients_come_and_go() -> None:
    with running_ioc() as (ioc, prefix, port):
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                client.sendall(struct.pack(">HHHHII", 0, 0, 0, 13, 0, 0))
                assert client.recv(16)
        until(lambda: _clients(ioc, prefix) <= 2)


def _clients(ioc: Steered, prefix: str) -> float:
    ioc.tell('tick {"after_s": 0}')
    count: float = read(f"{prefix}CA_CLNT_CNT")
    return count


def _message(
    command: int, payload: bytes = b"", *, kind: int = 0, count: int = 0, first: int = 0, second: int = 0
) -> bytes:
    return struct.pack(">HHHHII", command, len(payload), kind, count, first, second) + payload


NONSENSE = {
    "no Channel Access": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an unknown command": _message(99),
    "a header that announces four gigabytes": struct.pack(">HHHHIIII", 4, 0xFFFF, 0, 0, 0, 0, 2**32 - 8, 1),
    "a reading of a channel that is not there": _message(15, kind=6, count=1, first=77, second=1),
    "a reading of a type that is not there": _message(15, kind=99, count=1, first=0, second=1),
    "a subscription to a channel that is not there": _message(1, bytes(16), kind=20, count=1, first=5, second=5),
    "the end of a subscription that is not there": _message(2, kind=20, count=1, first=5, second=5),
    "the end of a channel that is not there": _message(12, first=5, second=5),
    "a name that is no text": _message(18, b"\xff\xfe\xfd\x00\xff\xff\xff\xff", first=1, second=13),
    "a put of nothing": _message(4, kind=6, count=0, first=0, second=1),
}


@pytest.fixture(scope="module")
def patient_ioc() -> Iterator[tuple[Steered, str, int]]:
    """An IOC that several clients talk nonsense to."""
    with running_ioc() as running:
        yield running


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_costs_nobody_else_anything(what: str, patient_ioc: tuple[Steered, str, int]) -> None:
    ioc, prefix, port = patient_ioc
    with Heard(f"{prefix}F0:0:CONF") as healthy:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(_message(0, count=13) + NONSENSE[what] + _message(23))
            client.shutdown(socket.SHUT_WR)
            with suppress(TimeoutError, ConnectionError):
                while client.recv(4096):
                    pass
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.sendto(NONSENSE[what], ("127.0.0.1", port))
        healthy.events.clear()
        ioc.tell('flood {"plots": 100, "seconds": 0.1, "per_s": 1000}')
        until(lambda: bool(healthy.events))
        assert read(f"{prefix}F1:1:STATUS", text=True) == "GOOD"


def test_a_channel_that_is_closed_with_its_subscription_open_is_told_nothing_more() -> None:
    with (
        running_ioc() as (ioc, prefix, port),
        Heard(f"{prefix}F0:0:CONF") as healthy,
        socket.create_connection(("127.0.0.1", port), timeout=5) as client,
    ):
        name = f"{prefix}F0:0:CONF".encode()
        padded = name + bytes(8 - len(name) % 8)
        client.sendall(_message(0, count=13) + _message(18, padded, first=1, second=13))
        answer = b""
        while len(answer) < 48:  # version, access rights, channel
            answer += client.recv(4096)
        number = struct.unpack(">I", answer[44:48])[0]
        mask = struct.pack(">fffHH", 0, 0, 0, 5, 0)
        client.sendall(_message(1, mask, kind=20, count=1, first=number, second=9))
        assert client.recv(4096)  # the present value
        client.sendall(_message(12, first=number, second=1) + _message(23))
        answer = b""
        while len(answer) < 32:  # the channel is closed, and an echo
            answer += client.recv(4096)
        healthy.events.clear()
        ioc.tell('flood {"plots": 100, "seconds": 0.1, "per_s": 1000}')
        until(lambda: bool(healthy.events))
        client.sendall(_message(23))
        assert client.recv(4096) == _message(23)  # nothing but the echo


def test_a_put_from_a_client_that_closes_at_once_still_counts() -> None:
    with running_ioc() as (ioc, prefix, _):
        ioc.tell('rules {"plot": "Q_a"}')
        with connected(f"{prefix}Q:A:ONDELAY") as pv:
            pv.put(9)
            epics.ca.flush_io()
        until(lambda: read(f"{prefix}Q:A:ONDELAY") == 9)


def test_a_port_that_is_taken_may_be_free_later_and_is_named() -> None:
    with (
        running_ioc() as (_, _, port),
        pytest.raises(TryAgain, match=rf"^ioc\.port: {port} on 127\.0\.0\.1 cannot be had .*another IOC"),
    ):
        asyncio.run(an_ioc(port).run())


def test_a_port_that_another_server_listens_to_for_searches_is_taken_too() -> None:
    port = free_server_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", port))
        with pytest.raises(TryAgain, match=rf"^ioc\.port: {port}"):
            asyncio.run(an_ioc(port).run())


def test_an_interface_that_is_not_there_yet_may_come() -> None:
    ioc = an_ioc(free_server_port(), interfaces=("192.0.2.1",))  # an address of documentation, nobody's
    with pytest.raises(TryAgain, match=r"^ioc\.interfaces: this host has no address 192\.0\.2\.1 at present"):
        asyncio.run(ioc.run())


async def test_neither_a_host_nor_all_of_them_take_what_files_and_other_clients_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel_access, "MOST_CLIENTS", 8)
    port = free_server_port()
    ioc = an_ioc(port)
    running = asyncio.create_task(ioc.run())
    await asyncio.wait_for(ioc.serving.wait(), 5)

    async def answered(host: str) -> asyncio.StreamWriter | None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(_message(23))
            if await reader.readexactly(16):
                return writer
        writer.close()
        return None

    greedy = [await answered("127.0.0.9") for _ in range(6)]
    assert [writer is not None for writer in greedy] == [True] * 4 + [False] * 2
    others = [await answered(f"127.0.0.{n}") for n in range(10, 16)]
    assert [writer is not None for writer in others] == [True] * 4 + [False] * 2
    assert ioc.clients == 8
    for writer in greedy[:4]:
        writer.close()
    async with asyncio.timeout(10):
        while ioc.clients > 4:  # noqa: ASYNC110  nobody else wants to know the moment
            await asyncio.sleep(0.01)
    again = await answered("127.0.0.9")
    assert again is not None
    for writer in (again, *others[:4]):
        writer.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class Nowhere(Outbox):
    """The way to a client that is not there."""

    def __init__(self) -> None:
        pass

    def offer(self, subscription: Subscription, encoded: Encoded) -> None:
        pass

    def forget(self, subscription: Subscription) -> None:
        pass


def test_each_of_thousands_of_subscriptions_to_one_pv_comes_and_goes_as_fast_as_each_of_a_few() -> None:
    record = an_ioc(free_server_port()).pvs.find("T:HEARTBEAT")
    assert record is not None

    def spent_s(count: int) -> float:
        began = time.thread_time()
        many = [Subscription(Nowhere(), record, 1, 0, 1, number) for number in range(count)]
        for subscription in many:
            subscription.begin()
        for subscription in many:
            subscription.end()
        return time.thread_time() - began

    few, many = (min(spent_s(count) for _ in range(3)) for count in (1000, 8000))
    assert many < 24 * few  # 8 times as many take 8 times as long; were all looked through for each, 64 times


async def test_a_client_whose_host_vanished_is_asked_for_within_two_minutes() -> None:
    port = free_server_port()
    ioc = an_ioc(port)
    running = asyncio.create_task(ioc.run())
    await asyncio.wait_for(ioc.serving.wait(), 5)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_message(23))
    assert await reader.readexactly(16)
    (circuit,) = ioc._server._clients.values()
    connection = circuit._writer.get_extra_info("socket")
    idle_s, every_s, times = (
        connection.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert idle_s + every_s * times <= 120
    writer.close()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_cancelled_it_hangs_up_frees_its_port_and_says_that_it_was_cancelled() -> None:
    port, environment = free_server_port(), dict(os.environ)
    for _ in range(2):
        ioc = an_ioc(port)
        running = asyncio.create_task(ioc.run())
        await asyncio.wait_for(ioc.serving.wait(), 5)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_message(0, count=13))
        assert await reader.readexactly(16)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        assert not ioc.serving.is_set()
    assert dict(os.environ) == environment


def test_a_stopped_client_does_not_hold_up_the_farewell() -> None:
    with running_ioc() as (ioc, prefix, _), Steered("ca_sleeper.py", *names(prefix)) as sleeper:
        sleeper.signal(signal.SIGSTOP)
        try:
            ioc.tell('flood {"plots": 100, "seconds": 1.5, "per_s": 2000}')
            with Heard(f"{prefix}SUMMARY") as heard:
                began = time.monotonic()
                ioc.tell('farewell "hydrad was stopped"')
                assert time.monotonic() - began < 3
                until(lambda: heard.last is not None and heard.last[2] == 3)
        finally:
            sleeper.signal(signal.SIGCONT)


def test_on_loopback_it_tells_nobody_outside_that_it_is_there() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        beacon_port = listener.getsockname()[1]
        prefix, port = f"{random_prefix()}:", free_server_port()
        environment = {**os.environ, "EPICS_CAS_BEACON_PORT": str(beacon_port)}
        settings = json.dumps({"prefix": prefix, "port": port})
        with Steered("ioc_process.py", settings, environment=environment):
            beacon, sender = listener.recvfrom(64)
            assert sender[0] == "127.0.0.1"
            command, _, version, told_port, _, address = struct.unpack(">HHHHII", beacon)
            assert (command, version, told_port, address) == (13, 13, port, 0)


async def test_a_search_that_is_sent_to_everybody_is_answered_from_the_interface(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everybody = "127.255.255.255"  # what an Ethernet has, loopback has too
    monkeypatch.setattr(channel_access, "broadcast_of", {"127.0.0.1": everybody}.get)
    port = free_server_port()
    ioc = an_ioc(port)
    running = asyncio.create_task(ioc.run())
    await asyncio.wait_for(ioc.serving.wait(), 5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.setblocking(False)
        known, unknown = b"T:SUMMARY".ljust(16, b"\0"), b"T:NOBODY".ljust(16, b"\0")
        for name, number in ((unknown, 6), (known, 7)):
            search = _message(0, count=13) + _message(6, name, kind=5, count=13, first=number, second=number)
            client.sendto(search, (everybody, port))
        answer, sender = await asyncio.wait_for(asyncio.get_running_loop().sock_recvfrom(client, 1024), 5)
    assert sender == ("127.0.0.1", port)
    command, _, told_port, _, address, told_number = struct.unpack(">HHHHII", answer[16:32])
    assert (command, told_port, address, told_number) == (6, port, 0xFFFFFFFF, 7)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_only_an_interface_of_a_network_has_a_broadcast_address() -> None:
    assert [broadcast_of(address) for address in ("127.0.0.1", "0.0.0.0", "203.0.113.9")] == [None] * 3  # noqa: S104
    for _, name in socket.if_nameindex():
        for address in psutil.net_if_addrs()[name]:
            if address.family is socket.AF_INET and address.broadcast:
                assert broadcast_of(address.address) == address.broadcast
