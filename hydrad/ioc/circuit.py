"""One client: what it asks for is answered in order, and what it subscribed to is told."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from hydrad import log
from hydrad.errors import HydradError
from hydrad.ioc.channel import Channel
from hydrad.ioc.controls import Gate, NotAdmitted, Who
from hydrad.ioc.messages import VERSION, Command, Garbled, Inflow, Request, Status, error, message
from hydrad.ioc.outbox import Outbox, Subscription
from hydrad.ioc.wire import LAST_DBR, PUT_ACKS, PUT_ACKT, Dbr, Untranslatable, Value, encode, received

READ_BYTES = 16384
AT_A_TIME = 50  # requests of one client, before the others have their turn
MOST_CHANNELS = 250_000  # of one client, and as many subscriptions: several times all the PVs of a large hall
READ_AND_WRITE = 3
DO_REPLY = 10  # a search wants to hear too that there is no such PV
_MASK = struct.Struct(">12xH")

_log = log.get("ioc")

Find = Callable[[str], Channel | None]


@dataclass(slots=True)
class _Open:
    """A channel that the client has open."""

    channel: Channel
    cid: int  # the client's number
    subscriptions: dict[int, Subscription] = field(default_factory=dict)  # by the client's numbers


class Circuit:
    """A client's TCP connection.

    Args:
        find: the channel of a name, or None.
        gate: who may put.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, find: Find, gate: Gate) -> None:
        self._reader = reader
        self._writer = writer
        self._find = find
        self._gate = gate
        self._inflow = Inflow()
        self._numbers = itertools.count(1)
        self._open: dict[int, _Open] = {}  # by our number
        self._homes: dict[int, _Open] = {}  # of subscriptions, by the client's number
        self._outbox = Outbox(writer)
        self._who = Who("", "")
        self._answers: dict[int, Callable[[Request], None]] = {
            Command.VERSION: lambda _: self._say(Command.VERSION, count=VERSION),
            Command.ECHO: lambda _: self._say(Command.ECHO),
            Command.READ_SYNC: lambda _: None,
            Command.HOST_NAME: self._host,
            Command.CLIENT_NAME: self._user,
            Command.SEARCH: self._search,
            Command.CREATE_CHANNEL: self._create,
            Command.CLEAR_CHANNEL: self._clear,
            Command.READ: self._read,
            Command.READ_NOTIFY: self._read,
            Command.EVENT_ADD: self._subscribe,
            Command.EVENT_CANCEL: self._cancel,
            Command.EVENTS_OFF: lambda _: self._outbox.want(False),
            Command.EVENTS_ON: lambda _: self._outbox.want(True),
        }

    @property
    def idle(self) -> bool:
        """True if everything told has left this process."""
        return self._outbox.idle

    async def serve(self) -> None:
        """Answer and tell until the client leaves."""
        try:
            async with asyncio.TaskGroup() as group:
                carrying = group.create_task(self._outbox.carry())
                await self._listen()
                carrying.cancel()
        except* (ConnectionError, TimeoutError) as lost:
            _log.debug("client_lost", client=self._address, why=str(lost.exceptions[0]))
        finally:
            for home in self._homes.values():
                for subscription in home.subscriptions.values():
                    subscription.end()
                home.subscriptions.clear()
            self._homes.clear()
            self._outbox.close()

    async def _listen(self) -> None:
        obeyed, request = 0, Request(0, 0, 0, 0, 0, b"")
        try:
            while data := await self._reader.read(READ_BYTES):
                for request in self._inflow.requests(data):
                    await self._obey(request)
                    obeyed += 1
                    if obeyed % AT_A_TIME == 0 or self._outbox.full:
                        await self._outbox.pause()
                await self._outbox.pause()
        except Garbled as fault:
            _log.warning("client_sent_garbage", client=self._address, why=str(fault))
            self._outbox.answer(error(request, fault))

    async def _obey(self, request: Request) -> None:
        if request.command in self._answers:
            self._answers[request.command](request)
        elif request.command in {Command.WRITE, Command.WRITE_NOTIFY}:
            await self._write(request)
        else:
            raise Garbled(f"there is no command {request.command}")

    def _host(self, request: Request) -> None:
        self._who = Who(self._who.user, request.text)

    def _user(self, request: Request) -> None:
        self._who = Who(request.text, self._who.host)

    def _search(self, request: Request) -> None:
        cid = request.first
        if self._find(request.text) is not None:
            port = self._writer.get_extra_info("sockname")[1]
            self._say(Command.SEARCH, struct.pack(">H", VERSION), kind=port, first=0xFFFFFFFF, second=cid)
        elif request.kind == DO_REPLY:
            self._say(Command.NOT_FOUND, kind=DO_REPLY, count=VERSION, first=cid, second=cid)

    def _create(self, request: Request) -> None:
        name, cid = request.text, request.first
        channel = self._find(name) if len(self._open) < MOST_CHANNELS else None
        if channel is None:
            self._say(Command.CREATE_FAILED, first=cid)
            return
        number = next(self._numbers)
        self._open[number] = _Open(channel, cid)
        native, capacity = channel.native, channel.capacity
        if name.endswith("$"):
            native, capacity = Dbr.CHAR, channel.room
        # Everybody is told that they may write, also where they may not: the answer to a put says why it was refused.
        self._say(Command.ACCESS_RIGHTS, first=cid, second=READ_AND_WRITE)
        self._say(Command.CREATE_CHANNEL, kind=native, count=capacity, first=cid, second=number)

    def _clear(self, request: Request) -> None:
        home = self._of(request)
        for number in list(home.subscriptions):
            self._end(number)
        del self._open[request.first]
        self._say(Command.CLEAR_CHANNEL, first=request.first, second=home.cid)

    def _read(self, request: Request) -> None:
        channel, status = self._of(request).channel, Status.NORMAL
        try:
            payload, count = encode(channel, request.kind, _fitting(request.elements, channel))
        except Untranslatable:
            payload, count, status = b"", 0, Status.GET_FAILED
        if request.command == Command.READ_NOTIFY:
            self._say(Command.READ_NOTIFY, payload, kind=request.kind, count=count, first=status, second=request.second)
        else:
            cid = self._of(request).cid
            self._say(Command.READ, payload, kind=request.kind, count=count, first=cid, second=request.second)

    def _subscribe(self, request: Request) -> None:
        home, number = self._of(request), request.second
        if len(request.payload) < _MASK.size:
            raise Garbled("a subscription without a mask")
        if len(self._homes) >= MOST_CHANNELS:
            raise Garbled("too many subscriptions")
        mask, count = _MASK.unpack_from(request.payload)[0], _fitting(request.elements, home.channel)
        self._end(number)
        subscription = Subscription(self._outbox, home.channel, mask, request.kind, count, number)
        self._homes[number] = home
        home.subscriptions[number] = subscription
        subscription.begin()

    def _cancel(self, request: Request) -> None:
        number = request.second
        if number not in self._homes:
            raise Garbled(f"there is no subscription {number}", Status.BAD_MONITOR)
        self._end(number)
        self._say(Command.EVENT_ADD, kind=request.kind, count=request.elements, first=request.first, second=number)

    def _end(self, number: int) -> None:
        home = self._homes.pop(number, None)
        if home is not None:
            home.subscriptions.pop(number).end()

    async def _write(self, request: Request) -> None:
        channel, status = self._of(request).channel, Status.NORMAL
        value: Value | None = None
        try:
            if request.kind in {PUT_ACKS, PUT_ACKT}:
                self._acknowledge(channel, request)
            else:
                value = received(request.kind, request.payload, request.elements)
                self._gate.admit(self._who, channel.groups)
                await channel.put(value, self._who)
                _log.info("put_accepted", by=self._who.user, host=self._who.host, pv=channel.name, value=value)
        except HydradError as why:
            status = Status.NO_WRITE_ACCESS if isinstance(why, NotAdmitted) else Status.PUT_FAILED
            self._gate.refused(self._who, channel.name, value, str(why))
        if request.command == Command.WRITE_NOTIFY:
            self._say(
                Command.WRITE_NOTIFY, kind=request.kind, count=request.elements, first=status, second=request.second
            )
        elif status is not Status.NORMAL:
            self._outbox.answer(error(request, Garbled(channel.name, status)))

    def _acknowledge(self, channel: Channel, request: Request) -> None:
        self._gate.admit(self._who, ("acknowledge",))
        severity = int(received(Dbr.ENUM, request.payload, request.elements))
        if request.kind == PUT_ACKS:
            channel.acknowledge_alarm(severity=severity)
        else:
            channel.acknowledge_alarm(transient=severity)
        _log.info("alarm_acknowledged", by=self._who.user, host=self._who.host, pv=channel.name)

    def _of(self, request: Request) -> _Open:
        if request.first not in self._open:
            raise Garbled(f"there is no channel {request.first}")
        if request.kind > LAST_DBR and request.command != Command.CLEAR_CHANNEL:
            raise Garbled(f"there is no DBR type {request.kind}", Status.BAD_TYPE)
        return self._open[request.first]

    def _say(
        self, command: Command, payload: bytes = b"", *, kind: int = 0, count: int = 0, first: int = 0, second: int = 0
    ) -> None:
        self._outbox.answer(message(command, payload, kind=kind, count=count, first=first, second=second))

    @property
    def _address(self) -> str:
        host, port, *_ = self._writer.get_extra_info("peername") or ("?", 0)
        return f"{host}:{port}"


def _fitting(count: int, channel: Channel) -> int:
    """The elements a client gets of those it asked for: never more than there can be."""
    return min(count, max(channel.capacity, channel.room))
