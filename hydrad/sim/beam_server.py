"""Serves current, permit and run number over Channel Access: the process behind :mod:`hydrad.sim.beam`.

Readings come on standard input, one JSON object a line; the process ends with its input, so that nothing is left
behind even when the parent is killed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys

from caproto import ChannelDouble, ChannelInteger
from caproto.asyncio.server import Context

from hydrad.sim.beam import READY, Names, Reading


async def serve(names: Names) -> None:
    """Serve readings from standard input until it ends."""
    current = ChannelDouble(value=0.0, units=names.units.encode(), precision=2)
    permit = ChannelInteger(value=0)
    run = ChannelInteger(value=0)
    context = Context({names.current: current, names.permit: permit, names.run: run}, interfaces=["127.0.0.1"])
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    async def ready(_: object) -> None:
        if context.port != context.ca_server_port:  # searches would reach whoever was there first
            sys.exit(f"port {context.ca_server_port} is taken")
        sys.stdout.buffer.write(READY)
        sys.stdout.buffer.flush()

    async def follow() -> None:
        while line := await lines.readline():
            reading = Reading(**json.loads(line))
            await current.write(reading.current)
            if permit.value != reading.permit:
                await permit.write(reading.permit)
            if run.value != reading.run:
                await run.write(reading.run)

    server = asyncio.create_task(context.run(startup_hook=ready))
    follower = asyncio.create_task(follow())
    await asyncio.wait({server, follower}, return_when=asyncio.FIRST_COMPLETED)
    follower.cancel()
    server.cancel()
    await asyncio.wait({server, follower}, timeout=2)


if __name__ == "__main__":
    logging.getLogger("caproto").setLevel(logging.CRITICAL)  # a beacon nobody hears is no news
    asyncio.run(serve(Names(**json.loads(sys.argv[1]))))
