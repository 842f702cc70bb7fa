"""One client: what it asks for is answered in order, and what it subscribed to is told.

caproto's protocol core does the parsing and the bookkeeping of channels. Its server layer is not used: there one client
that stops reading freezes the monitors of all.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

import caproto as ca

from hydrad import log
from hydrad.errors import HydradError
from hydrad.ioc.channel import Channel
from hydrad.ioc.controls import Gate, NotAdmitted, Who
from hydrad.ioc.outbox import Outbox, Subscription
from hydrad.ioc.wire import PUT_ACKS, PUT_ACKT, Dbr, Untranslatable, Value, encode, received

GARBLED = (ca.CaprotoError, ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error)
READ_BYTES = 16384
LONGEST_MESSAGE = 1024 * 1024
MOST_CHANNELS = 60_000  # caproto's core never returns from looking for a channel number when all 2**16 are taken
VERSION = 13

_log = log.get("ioc")

Find = Callable[[str], Channel | None]


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
        self._core = ca.VirtualCircuit(ca.SERVER, writer.get_extra_info("peername"), None)
        self._channels: dict[int, Channel] = {}  # by our number
        self._subscriptions: dict[int, tuple[int, Subscription]] = {}  # by the client's number: our channel's, and it
        self._outbox = Outbox(writer)
        self._who = Who("", "")
        self._answers: dict[type[ca.Message], Callable[[ca.Message], None]] = {
            ca.VersionRequest: lambda _: self._say(ca.VersionResponse(VERSION)),
            ca.EchoRequest: lambda _: self._say(ca.EchoResponse()),
            ca.HostNameRequest: self._host,
            ca.ClientNameRequest: self._user,
            ca.SearchRequest: self._search,
            ca.CreateChanRequest: self._create,
            ca.ClearChannelRequest: self._clear,
            ca.ReadRequest: self._read,
            ca.ReadNotifyRequest: self._read,
            ca.EventAddRequest: self._subscribe,
            ca.EventCancelRequest: self._cancel,
            ca.EventsOffRequest: lambda _: self._outbox.want(False),
            ca.EventsOnRequest: lambda _: self._outbox.want(True),
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
            for _, subscription in self._subscriptions.values():
                subscription.end()
            self._subscriptions.clear()
            self._outbox.close()

    async def _listen(self) -> None:
        while data := await self._reader.read(READ_BYTES):
            try:
                commands, needed = self._core.recv(data)
            except GARBLED as fault:
                _log.warning("client_sent_garbage", client=self._address, why=str(fault).split("\n", 1)[0])
                return
            if needed > LONGEST_MESSAGE:
                _log.warning("client_announced_too_much", client=self._address, bytes=needed)
                return
            for command in commands:
                await self._obey(command)
            await self._writer.drain()

    async def _obey(self, command: ca.Message) -> None:
        try:
            self._core.process_command(command)
            if type(command) in self._answers:
                self._answers[type(command)](command)
        except GARBLED as fault:
            # Out of order, or about a channel that is gone: the next one may be fine.
            _log.debug("client_out_of_order", client=self._address, command=type(command).__name__, why=str(fault))
            return
        if isinstance(command, ca.WriteRequest | ca.WriteNotifyRequest):
            await self._write(command)

    def _host(self, command: ca.HostNameRequest) -> None:
        self._who = Who(self._who.user, command.name)

    def _user(self, command: ca.ClientNameRequest) -> None:
        self._who = Who(command.name, self._who.host)

    def _search(self, command: ca.SearchRequest) -> None:
        if self._find(command.name) is not None:
            port = self._writer.get_extra_info("sockname")[1]
            self._say(ca.SearchResponse(port, None, command.cid, VERSION))
        elif command.reply == ca.DO_REPLY:
            self._say(ca.NotFoundResponse(version=VERSION, cid=command.cid))

    def _create(self, command: ca.CreateChanRequest) -> None:
        channel = self._find(command.name) if len(self._channels) < MOST_CHANNELS else None
        if channel is None:
            self._say(ca.CreateChFailResponse(cid=command.cid))
            return
        number = self._core.new_channel_id()
        self._channels[number] = channel
        native, capacity = channel.native, channel.capacity
        if command.name.endswith("$"):
            native, capacity = Dbr.CHAR, channel.room
        # Everybody is told that they may write, also where they may not: the answer to a put says why it was refused.
        self._say(
            ca.AccessRightsResponse(cid=command.cid, access_rights=3),
            ca.CreateChanResponse(data_type=native, data_count=capacity, cid=command.cid, sid=number),
        )

    def _clear(self, command: ca.ClearChannelRequest) -> None:
        for number in [n for n, (sid, _) in self._subscriptions.items() if sid == command.sid]:
            self._end(number)
            self._core.event_add_commands.pop(number, None)  # the core would keep them for ever
        self._channels.pop(command.sid, None)
        self._say(self._core.channels_sid[command.sid].clear())

    def _read(self, command: ca.ReadNotifyRequest | ca.ReadRequest) -> None:
        channel, status = self._channels[command.sid], ca.CAStatus.ECA_NORMAL
        dbr_type, wanted = command.header.data_type, command.data_count
        try:
            payload, count = encode(channel, dbr_type, min(wanted, channel.room))
        except Untranslatable:
            payload, count, status = b"", 0, ca.CAStatus.ECA_GETFAIL
        response = ca.ReadNotifyResponse if isinstance(command, ca.ReadNotifyRequest) else ca.ReadResponse
        self._say(response(payload, dbr_type, count, status, command.ioid, metadata=b""))

    def _subscribe(self, command: ca.EventAddRequest) -> None:
        channel, number = self._channels[command.sid], command.subscriptionid
        count = min(command.data_count, channel.room)
        subscription = Subscription(self._outbox, channel, int(command.mask), command.header.data_type, count, number)
        self._end(number)
        self._subscriptions[number] = command.sid, subscription
        subscription.begin()

    def _cancel(self, command: ca.EventCancelRequest) -> None:
        self._end(command.subscriptionid)
        channel = self._core.channels_sid[command.sid]
        self._say(channel.unsubscribe(command.subscriptionid, command.data_type, 0))

    def _end(self, number: int) -> None:
        if number in self._subscriptions:
            self._subscriptions.pop(number)[1].end()

    async def _write(self, command: ca.WriteRequest | ca.WriteNotifyRequest) -> None:
        channel, dbr_type = self._channels[command.sid], command.header.data_type
        status = ca.CAStatus.ECA_NORMAL
        value: Value | None = None
        try:
            if dbr_type not in {PUT_ACKS, PUT_ACKT}:
                value = received(dbr_type, b"".join(bytes(buffer) for buffer in command.buffers))
            self._gate.admit(self._who)
            if value is not None:
                await channel.put(value, self._who)
                _log.info("put_accepted", by=self._who.user, host=self._who.host, pv=channel.name, value=value)
            elif dbr_type == PUT_ACKS:
                channel.acknowledge_alarm(severity=command.metadata.value)
            else:
                channel.acknowledge_alarm(transient=command.metadata.value)
        except HydradError as why:
            status = ca.CAStatus.ECA_NOWTACCESS if isinstance(why, NotAdmitted) else ca.CAStatus.ECA_PUTFAIL
            self._gate.refused(self._who, channel.name, value, str(why))
        if isinstance(command, ca.WriteNotifyRequest):
            number = self._core.channels_sid[command.sid]
            self._say(number.write(command.ioid, command.data_type, command.data_count, status=status))

    def _say(self, *messages: ca.Message) -> None:
        self._outbox.answer(b"".join(self._core.send(*messages)))

    @property
    def _address(self) -> str:
        return f"{self._core.host}:{self._core.port}"
