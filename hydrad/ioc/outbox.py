"""What a client is still to be sent: every event while it keeps up, the newest of each subscription when not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hydrad.ioc.channel import Channel, Encoded
from hydrad.ioc.messages import Command, Status, message
from hydrad.ioc.wire import Untranslatable, encode

MOST_UNSENT = 256 * 1024  # bytes for one client that does not keep up
BATCH_BYTES = 16 * 1024


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
        self.channel.hear(self)
        self.news({})

    def end(self) -> None:
        """Tell nothing any more."""
        self.channel.part(self)
        self.outbox.forget(self)

    def news(self, encoded: Encoded) -> None:
        """Send it, or the newest when the client can take it."""
        self.outbox.offer(self, encoded)

    def event(self, encoded: Encoded) -> bytes:
        """The message that tells the client; a reading that cannot be had says so."""
        key = self.dbr_type, self.count
        if key not in encoded:
            try:
                encoded[key] = encode(self.channel, *key)
            except Untranslatable:
                return message(Command.EVENT_ADD, kind=self.dbr_type, first=Status.GET_FAILED, second=self.number)
        payload, count = encoded[key]
        return message(
            Command.EVENT_ADD, payload, kind=self.dbr_type, count=count, first=Status.NORMAL, second=self.number
        )


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
        """The subscription has ended: what was told before still goes, and nothing after."""
        self._late.pop(subscription.number, None)

    def want(self, wanted: bool) -> None:
        """The client says whether it can take events at present."""
        self._wanted = wanted
        self._news.set()

    @property
    def full(self) -> bool:
        """True if the client should take something before it asks for more."""
        return self._unsent_bytes > MOST_UNSENT

    def answer(self, reply: bytes) -> None:
        """Answer a request; never before an event, so that who is told that a put is done has seen what it did."""
        self._append(reply)
        self._news.set()

    async def pause(self) -> None:
        """Let others have their turn, and wait for a client that does not take what it asked for."""
        self._flush()
        await self._writer.drain()
        await asyncio.sleep(0)

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
        self._flush()
        if not self._writer.transport.get_write_buffer_size():
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
