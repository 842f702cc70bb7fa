"""The records of records_ioc.py as EPICS base has them, steered likewise; run as a process by the tests.

Usage: ``records_peer.py PREFIX``; the port is EPICS_CA_SERVER_PORT of the environment.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from softioc import asyncio_dispatcher, builder, softioc

LIMITS = {
    "HIHI": 90,
    "HIGH": 80,
    "LOW": 20,
    "LOLO": 10,
    "HHSV": "MAJOR",
    "HSV": "MINOR",
    "LSV": "MINOR",
    "LLSV": "MAJOR",
}
RANGE = {"HOPR": 100, "LOPR": 0, "MDEL": 0}
OPEN = {"DISP": 0}  # operators may put to the fields of inputs too


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    builder.SetDeviceName(sys.argv[1])
    records = {
        "MBBI": builder.mbbIn(
            "MBBI", ("ZERO", 0), ("ONE", 1), ("TWO", 2), ("THREE", 3), initial_value=0, DESC="four states", **OPEN
        ),
        "BI": builder.boolIn("BI", ZNAM="Off", ONAM="On", OSV="MAJOR", initial_value=0, DESC="two states"),
        "BO": builder.boolOut("BO", ZNAM="Off", ONAM="On", OSV="MINOR", initial_value=0, DESC="two states"),
        "AI": builder.aIn("AI", EGU="nA", PREC=3, initial_value=50, DESC="an analog input", **RANGE, **LIMITS, **OPEN),
        "AO": builder.aOut(
            "AO", EGU="nA", PREC=2, initial_value=50, DESC="an analog output", DRVH=100, DRVL=0, **RANGE
        ),
        "LONGIN": builder.longIn(
            "LONGIN", EGU="img", initial_value=50, DESC="a whole number", **RANGE, **LIMITS, **OPEN
        ),
        "LONGOUT": builder.longOut(
            "LONGOUT", EGU="img", initial_value=50, DESC="a whole number", DRVH=100, DRVL=0, **RANGE
        ),
        "STRINGIN": builder.stringIn("STRINGIN", initial_value="", DESC="one line"),
        "WAVEFORM": builder.WaveformIn("WAVEFORM", length=256, FTVL="UCHAR", DESC="a text"),
        "NUMBERS": builder.WaveformIn("NUMBERS", length=128, FTVL="DOUBLE", DESC="many numbers"),
        "NAMES": builder.WaveformIn("NAMES", length=128, FTVL="STRING", DESC="many names"),
    }
    builder.LoadDatabase()
    softioc.iocInit(asyncio_dispatcher.AsyncioDispatcher())
    say("ready")
    for line in sys.stdin:
        name, text = line.split(maxsplit=1)
        value = json.loads(text)
        if name == "WAVEFORM":
            value = np.frombuffer(value.encode() + b"\0", np.uint8)
        if name in {"NUMBERS", "NAMES"}:
            value = np.array(value) if name == "NUMBERS" else np.array([one.encode() for one in value])
        records[name].set(value[:39] if name == "STRINGIN" else value)
        say("ok")


if __name__ == "__main__":
    main()
