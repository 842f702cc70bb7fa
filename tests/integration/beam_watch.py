"""A process that says on stdout when the beam changes, until its stdin ends. Usage: ``beam_watch.py PV ABSENT_PV``."""

from __future__ import annotations

import asyncio
import sys

from hydrad import log
from hydrad.beam import monitor
from hydrad.config import EpicsBeam


async def main() -> None:
    log.configure(json=True)
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.read)
    present, absent = sys.argv[1:]
    with monitor(EpicsBeam(pv=(absent,))), monitor(EpicsBeam(pv=(present,))) as beam:
        running = asyncio.create_task(beam.run())
        said = beam.now().state
        while not ended.done():
            if (state := beam.now().state) is not said:
                said = state
                sys.stdout.write(f"{state.name}\n")
                sys.stdout.flush()
            await asyncio.wait([ended, running], timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()


asyncio.run(main())
