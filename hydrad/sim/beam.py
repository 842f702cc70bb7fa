"""A beam IOC as its parent holds it: a process of its own that serves what it is told."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Final, Self

from hydrad import log
from hydrad.errors import HydradError

READY: Final = b"ready\n"
START_S: Final = 30.0
STOP_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Names:
    """The PVs' names."""

    current: str = "SIM:BEAM:CURRENT"
    permit: str = "SIM:BEAM:PERMIT"
    run: str = "SIM:RUN"
    units: str = "nA"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the PVs say: current in the hall's units, the beam permit's state, the run."""

    current: float
    permit: int = 6
    run: int = 1


class BeamIoc:
    """The IOC as its parent holds it: an asynchronous context manager that serves while it is open.

    Args:
        port: Channel Access server port on 127.0.0.1.
    """

    def __init__(self, port: int, names: Names = Names()) -> None:
        self._port = port
        self._names = names
        self._process: Process | None = None
        self._log = log.get("sim")

    async def __aenter__(self) -> Self:
        surroundings = os.environ | {
            "CAPROTO_MAX_SUBSCRIPTION_BACKLOG": "1",
            "EPICS_CA_SERVER_PORT": str(self._port),
            "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
            "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
            "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
        }
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hydrad.sim.beam_server", json.dumps(asdict(self._names))),
            stdin=PIPE,
            stdout=PIPE,
            env=surroundings,
            start_new_session=True,  # Ctrl-C is for the parent, which then closes the pipe
        )
        try:
            async with asyncio.timeout(START_S):
                answer = await self._stream_out().readline()
        except TimeoutError:
            answer = b""
        if answer != READY:
            await self._end()
            raise HydradError(f"the simulated beam IOC did not start on port {self._port}; is the port taken?")
        self._log.info("beam_ioc_serves", port=self._port, pv=self._names.current)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def publish(self, reading: Reading) -> None:
        """Serve a new reading.

        Raises:
            HydradError: when the IOC's process has ended.
        """
        process = self._process
        if process is None or process.stdin is None:
            raise HydradError("the simulated beam IOC is not open")
        try:
            process.stdin.write(json.dumps(asdict(reading)).encode() + b"\n")
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as fault:
            raise HydradError("the simulated beam IOC has ended") from fault

    def _stream_out(self) -> asyncio.StreamReader:
        if self._process is None or self._process.stdout is None:
            raise HydradError("the simulated beam IOC is not open")
        return self._process.stdout

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
