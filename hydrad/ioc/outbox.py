"""What a client is still to be sent: every event while it keeps up, the newest of each subscription when not."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass

from caproto import CAStatus

from hydrad.ioc.channel import Channel, Encoded
from hydrad.ioc.wire import Untranslatable, encode

MOST_UNSENT = 256 * 1024  # bytes for one client that does not keep up
BATCH_BYTES = 16 * 1024
NORMAL = CAStatus.ECA_NORMAL.value.code_with_severity
GETFAIL = CAStatus.ECA_GETFAIL.value.code_with_severity
_EVENT = struct.Struct(">HHHHII")
_EVENT_ADD = 1


@dataclass(slots=True, eq=False)
class Subscription:
    """What a client wants to be told of one channel."""

    outbox: Outbox
    channel: Channel
    mask: int
    dbr_type: int
    count: int  # 0: as many elements as there are
    number: int  # the client's

    def begin(self) -> None:
        """Tell the present value, and whatever comes."""
        self.channel.listeners = (*self.channel.listeners, self)
        self.news({})

    def end(self) -> None:
        """Tell nothing any more."""
        self.channel.listeners = tuple(other for other in self.channel.listeners if other is not self)
        self.outbox.forget(self)

    def news(self, encoded: Encoded) -> None:
        """Send it, or the newest when the client can take it."""
        self.outbox.offer(self, encoded)

    def event(self, encoded: Encoded) -> bytes:
        """The message that tells the client; a reading that cannot be had says so."""
        key = self.dbr_type, self.count
        if key not in encoded:
            try:
                payload, count = encode(self.channel, *key)
            except Untranslatable:
                return _EVENT.pack(_EVENT_ADD, 0, self.dbr_type, 0, GETFAIL, self.number)
            encoded[key] = payload + bytes(-len(payload) % 8), count
        payload, count = encoded[key]
        return _EVENT.pack(_EVENT_ADD, len(payload), self.dbr_type, count, NORMAL, self.number) + payload


class Outbox:
    """The way to one client."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._late: dict[int, Subscription] = {}
        self._wanted = True
        self._news = asyncio.Event()

    @property
    def idle(self) -> bool:
        """True if everything told has left this process."""
        return not (self._unsent or self._late or self._writer.transport.get_write_buffer_size())

    def offer(self, subscription: Subscription, encoded: Encoded) -> None:
        """Tell the client, unless it does not keep up: then the newest counts, once it does."""
        waiting = self._unsent_bytes + self._writer.transport.get_write_buffer_size()
        if subscription.number in self._late or not self._wanted or waiting > MOST_UNSENT:
            self._late[subscription.number] = subscription
        else:
            self._append(subscription.event(encoded))
        self._news.set()

    def forget(self, subscription: Subscription) -> None:
        """The subscription has ended: what was told before goes now, and nothing after."""
        self._late.pop(subscription.number, None)
        self._flush()

    def want(self, wanted: bool) -> None:
        """The client says whether it can take events at present."""
        self._wanted = wanted
        self._news.set()

    def answer(self, message: bytes) -> None:
        """Answer a request; never before an event, so that who is told that a put is done has seen what it did."""
        self._flush()
        self._writer.write(message)

    async def carry(self) -> None:
        """Carry events to the client, for ever; one that does not read holds this, and nothing else."""
        while True:
            await self._news.wait()
            self._news.clear()
            self._flush()
            await self._writer.drain()
            while self._late and self._wanted:
                self._catch_up()
                await self._writer.drain()

    def close(self) -> None:
        """Hang up, without waiting for a client that does not read."""
        if self.idle:
            self._writer.close()
        else:
            self._writer.transport.abort()

    def _catch_up(self) -> None:
        while self._late and self._unsent_bytes < BATCH_BYTES:
            self._append(self._late.pop(next(iter(self._late))).event({}))
        self._flush()

    def _append(self, event: bytes) -> None:
        self._unsent.append(event)
        self._unsent_bytes += len(event)

    def _flush(self) -> None:
        if self._unsent:
            self._writer.write(b"".join(self._unsent))
            self._unsent.clear()
            self._unsent_bytes = 0
