"""The Channel Access server: sockets, searches, beacons, and a task for every client."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from ipaddress import ip_address
from typing import NoReturn, cast

import caproto as ca

from hydrad import log
from hydrad.errors import ConfigurationError, HydradError, TryAgain
from hydrad.ioc.channel import Channel
from hydrad.ioc.circuit import Circuit
from hydrad.ioc.controls import Gate
from hydrad.ioc.interfaces import broadcast_of
from hydrad.ioc.messages import VERSION, Command, message
from hydrad.ioc.records import Record

BEACON_FIRST_S, BEACON_LAST_S = 0.02, 15.0  # a beacon's period doubles from one to the other, as the protocol has it
DEFAULT_BEACON_PORT = 5065
# A host that vanished is forgotten after two minutes; by itself Linux would begin to ask after two hours.
SILENT_S, ASK_EVERY_S, ASK_TIMES = 60, 15, 4
MOST_CLIENTS = 2000
SEND_BUFFER_BYTES = 128 * 1024  # more would hold more of what is no longer true for a client that does not read

_log = log.get("ioc")


class Records:
    """The PVs by name; one may be added at any time, and is found from then on."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def add(self, *records: Record) -> None:
        """Serve these too."""
        self._records.update((record.name, record) for record in records)

    def find(self, name: str) -> Channel | None:
        """The channel of ``RECORD``, ``RECORD.FIELD`` or, for text, ``RECORD$`` and ``RECORD.FIELD$``."""
        base = name.removesuffix("$")
        record, _, field = base.partition(".")
        if record not in self._records:
            return None
        channel = self._records[record].field(field)
        text = channel is not None and isinstance(channel.value, str)
        return channel if text or base == name else None


class CaServer:
    """Serves records on one port of some interfaces; nothing of it is taken from or left in the environment.

    Args:
        interfaces: addresses to serve on; 0.0.0.0 for all.
        port: TCP and UDP; other servers may not have it.
        gate: who may put.
    """

    def __init__(self, records: Records, *, interfaces: Sequence[str], port: int, gate: Gate) -> None:
        self._records = records
        self._interfaces = interfaces
        self._port = port
        self._gate = gate
        self._clients: dict[asyncio.Task[None], Circuit] = {}
        self._hosts: Counter[str] = Counter()  # of the clients
        self._refuses = False
        self.serving = asyncio.Event()

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    async def run(self) -> NoReturn:
        """Serve until cancelled.

        Raises:
            TryAgain: somebody has the port, or this host does not have an interface's address at present.
            ConfigurationError: the port cannot be had for another reason.
        """
        _quieten_caproto()
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            sockets = [self._bound(interface, stack) for interface in self._interfaces]
            stack.push_async_callback(self._leave_clients)
            for interface, (streams, datagrams) in zip(self._interfaces, sockets, strict=True):
                server = await asyncio.start_server(self._welcome, sock=streams)
                stack.callback(server.close)
                answering, _ = await loop.create_datagram_endpoint(lambda: _Searches(self._records), sock=datagrams)
                stack.callback(answering.close)
                if (broadcast := broadcast_of(interface)) is not None:
                    await self._hear_broadcasts(broadcast, answering, stack)
                _log.info("pvs_served", interface=interface, port=self._port, pvs=len(self._records))
            self.serving.set()
            stack.callback(self.serving.clear)
            await self._beacons()

    async def told(self, within_s: float) -> bool:
        """Wait until every client that reads has been sent everything; False if one has not by then."""
        deadline = asyncio.get_running_loop().time() + within_s
        while not all(circuit.idle for circuit in self._clients.values()):
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.005)
        return True

    async def _hear_broadcasts(self, address: str, answering: asyncio.DatagramTransport, stack: AsyncExitStack) -> None:
        """Answer searches that were sent to everybody; from the interface, since clients connect to who answers."""
        hearing = stack.enter_context(closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
        hearing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # other servers hear them too
        try:
            hearing.bind((address, self._port))
        except OSError as fault:
            raise self._not_had(address, fault) from fault
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Searches(self._records, answering), sock=hearing
        )
        stack.callback(transport.close)

    def _bound(self, interface: str, stack: AsyncExitStack) -> tuple[socket.socket, socket.socket]:
        streams = stack.enter_context(closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)))
        datagrams = stack.enter_context(closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
        streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            streams.bind((interface, self._port))
            # Not shared with another server: of two on one host and port, a search reaches only one.
            datagrams.bind((interface, self._port))
        except OSError as fault:
            raise self._not_had(interface, fault) from fault
        return streams, datagrams

    def _not_had(self, interface: str, fault: OSError) -> HydradError:
        if fault.errno == errno.EADDRNOTAVAIL:  # an interface may come up later than we do
            return TryAgain(f"ioc.interfaces: this host has no address {interface} at present ({fault.strerror})")
        words = f"ioc.port: {self._port} on {interface} cannot be had ({fault.strerror})"
        if fault.errno == errno.EADDRINUSE:  # and whoever has it may go: an earlier daemon, above all
            return TryAgain(f"{words}; is another IOC running here?")
        return ConfigurationError(words)

    def _admits(self, host: str) -> bool:
        """Whether there is room for one more: files need descriptors too, and no host gets more than half."""
        most = min(MOST_CLIENTS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        admits = len(self._clients) < most and self._hosts[host] < most // 2
        if not admits and not self._refuses:
            _log.error(
                "client_refused", host=host, clients=len(self._clients), of_this_host=self._hosts[host], most=most
            )
        self._refuses = not admits
        return admits

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = str((writer.get_extra_info("peername") or ("?",))[0])
        if not self._admits(host):
            writer.transport.abort()
            return
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("KEEPIDLE", SILENT_S), ("KEEPINTVL", ASK_EVERY_S), ("KEEPCNT", ASK_TIMES)):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_{option}"), value)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else events wait 40 ms for one another
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        circuit = Circuit(reader, writer, self._records.find, self._gate)
        task = asyncio.create_task(circuit.serve(), name="a client of the IOC")
        self._clients[task] = circuit
        self._hosts[host] += 1
        task.add_done_callback(lambda task: self._gone(task, host))

    def _gone(self, task: asyncio.Task[None], host: str) -> None:
        self._clients.pop(task, None)
        self._hosts -= Counter([host])  # forgets it with its last client
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("client_dropped", why=repr(fault), exc_info=fault)

    async def _leave_clients(self) -> None:
        await self.told(within_s=0.5)
        tasks = list(self._clients)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _beacons(self) -> NoReturn:
        period_s, number = BEACON_FIRST_S, 0
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sender.setblocking(False)
            while True:
                # Address 0: whoever hears it takes the sender's.
                beacon = bytes(ca.Beacon(VERSION, self._port, number & 0xFFFFFFFF, "0.0.0.0"))  # noqa: S104
                for address in beacon_addresses(self._interfaces, os.environ):
                    try:
                        sender.sendto(beacon, address)
                    except OSError as fault:  # nobody listens there, or no network just now
                        _log.debug("beacon_not_sent", address=address, why=str(fault))
                await asyncio.sleep(period_s)
                period_s, number = min(2 * period_s, BEACON_LAST_S), number + 1


def beacon_addresses(interfaces: Sequence[str], environment: Mapping[str, str]) -> list[tuple[str, int]]:
    """Where beacons go: where the EPICS_CAS_ variables say, else to all of the network, or to this host alone."""
    port = int(environment.get("EPICS_CAS_BEACON_PORT") or DEFAULT_BEACON_PORT)
    addresses = environment.get("EPICS_CAS_BEACON_ADDR_LIST", "").split()
    if not addresses or environment.get("EPICS_CAS_AUTO_BEACON_ADDR_LIST", "YES").upper() == "YES":
        alone = all(ip_address(interface).is_loopback for interface in interfaces)
        addresses.append("127.0.0.1" if alone else "255.255.255.255")
    pairs = (address.partition(":") for address in addresses)
    return [(host, int(own or port)) for host, _, own in pairs]


class _Searches(asyncio.DatagramProtocol):
    """Answers clients that look for a PV."""

    def __init__(self, records: Records, answering: asyncio.DatagramTransport | None = None) -> None:
        self._records = records
        self._answering = answering
        self._core = ca.Broadcaster(ca.SERVER)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._answering is None:
            self._answering = cast("asyncio.DatagramTransport", transport)  # asyncio's own does not derive from it

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            commands = self._core.recv(data, addr)
            wanted = [command for command in commands if isinstance(command, ca.SearchRequest)]
            known = [command.cid for command in wanted if self._records.find(command.name) is not None]
        except (ca.CaprotoError, ValueError) as fault:
            _log.debug("search_garbled", client=addr, why=str(fault))
            return
        if known and self._answering is not None:
            port = self._answering.get_extra_info("sockname")[1]
            answers = (ca.SearchResponse(port, None, cid, VERSION) for cid in known)
            # With the number of its datagram, by which a client sees that it may ask for more at a time.
            numbered = next((command.header for command in commands if isinstance(command, ca.VersionRequest)), None)
            kind, number = (numbered.data_type, numbered.parameter1) if numbered is not None else (0, 0)
            version = message(Command.VERSION, kind=kind, count=VERSION, first=number)
            self._answering.sendto(version + b"".join(map(bytes, answers)), addr)

    def error_received(self, exc: Exception) -> None:
        _log.debug("search_not_answered", why=str(exc))


def _quieten_caproto() -> None:
    """What goes wrong with a client is said here, in one line; caproto would add a traceback each time."""
    theirs = logging.getLogger("caproto")
    theirs.propagate = False
    theirs.setLevel(logging.CRITICAL)
    if not theirs.handlers:
        theirs.addHandler(logging.NullHandler())
