"""hydrad's records as an IOC of their own, steered by lines on stdin; run as a process by the tests.

Usage: ``records_ioc.py PREFIX PORT``. Each line is ``RECORD VALUE``, the value in JSON; each is answered by ``ok``.
The records are those of records_peer.py. The end of stdin ends it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from hydrad.domain import Severity
from hydrad.ioc.channel_access import CaServer, Records
from hydrad.ioc.controls import Who
from hydrad.ioc.records import Analog, Record, States, String, Text, Whole
from hydrad.ioc.waveforms import Array
from hydrad.ioc.wire import Dbr

NONE, MINOR, MAJOR, INVALID = Severity


class OpenGate:
    """Lets everybody put."""

    def admit(self, who: Who, groups: object) -> None:
        pass

    def refused(self, who: Who, name: str, value: object, why: str) -> None:
        sys.stderr.write(f"{who} {name} {value} {why}\n")


async def accept(who: Who, value: float, old: float | None) -> None:
    """Every value is fine."""


def records(prefix: str) -> dict[str, Record]:
    between = (0.0, 100.0)
    made: dict[str, Record] = {
        "MBBI": States(f"{prefix}:MBBI", "four states", ("ZERO", "ONE", "TWO", "THREE"), (NONE, MINOR, MAJOR, INVALID)),
        "BI": States(f"{prefix}:BI", "two states", ("Off", "On"), (NONE, MAJOR)),
        "BO": States(f"{prefix}:BO", "two states", ("Off", "On"), (NONE, MINOR), putter=accept),
        "AI": Analog(f"{prefix}:AI", "an analog input", units="nA", precision=3, between=between),
        "AO": Analog(f"{prefix}:AO", "an analog output", units="nA", precision=2, between=between, putter=accept),
        "LONGIN": Whole(f"{prefix}:LONGIN", "a whole number", units="img", between=between),
        "LONGOUT": Whole(f"{prefix}:LONGOUT", "a whole number", units="img", between=between, putter=accept),
        "STRINGIN": String(f"{prefix}:STRINGIN", "one line"),
        "WAVEFORM": Text(f"{prefix}:WAVEFORM", "a text"),
        "NUMBERS": Array(f"{prefix}:NUMBERS", "many numbers", Dbr.DOUBLE),
        "NAMES": Array(f"{prefix}:NAMES", "many names", Dbr.STRING),
    }
    for name in ("AI", "LONGIN"):
        record = made[name]
        assert isinstance(record, Analog)
        record.hihi, record.high, record.low, record.lolo = 90.0, 80.0, 20.0, 10.0
        record.hhsv, record.hsv, record.lsv, record.llsv = MAJOR, MINOR, MINOR, MAJOR
    return made


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main() -> None:
    prefix, port = sys.argv[1], int(sys.argv[2])
    made, served = records(prefix), Records()
    served.add(*made.values())
    for name, record in made.items():
        if name in {"STRINGIN", "WAVEFORM"}:
            record.post("", time.time())
        elif isinstance(record, Array):
            record.show((), time.time())
        else:
            record.post(50 if name.startswith("LONG") else 50.0 if name.startswith("A") else 0, time.time())
    server = CaServer(served, interfaces=["127.0.0.1"], port=port, gate=OpenGate())
    running = asyncio.create_task(server.run())
    await server.serving.wait()
    say("ready")
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, value = line.split(maxsplit=1)
        record, told = made[name], json.loads(value)
        if isinstance(record, Array):
            record.show(tuple(told), time.time())
        else:
            record.post(told, time.time())
        say("ok")
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main())
