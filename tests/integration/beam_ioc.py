"""An IOC of EPICS base with two currents, a permit and what tells of runs; run as a process by the tests.

It is steered by lines on stdin. Usage: ``beam_ioc.py PREFIX``. There is also a TEXT that is no number, and CLOSED,
which nobody may read. Each line is ``RECORD VALUE [SEVERITY]``; each is answered by ``ok`` once the record has been
processed. The end of stdin ends it.
"""

from __future__ import annotations

import sys
import tempfile

from epicscorelibs.ioc import dbCore
from softioc import alarm, asyncio_dispatcher, builder, softioc

KINDS = {"PERMIT": int, "STATE": int, "RUN": int, "DAQ": str, "TYPE": str}  # an mbbi's value is an index
SEVERITIES = {
    "NO_ALARM": alarm.NO_ALARM,
    "MINOR": alarm.MINOR_ALARM,
    "MAJOR": alarm.MAJOR_ALARM,
    "INVALID": alarm.INVALID_ALARM,
}


def main() -> None:
    builder.SetDeviceName(sys.argv[1])
    records = {
        "CURRENT": builder.aIn("CURRENT", initial_value=0.0, PREC=2, EGU="nA"),
        "CURRENT2": builder.aIn("CURRENT2", initial_value=0.0, PREC=2, EGU="nA"),
        "PERMIT": builder.mbbIn("PERMIT", *(f"state {n}" for n in range(8)), initial_value=6),
        "RUN": builder.longIn("RUN", initial_value=0),
        "DAQ": builder.stringIn("DAQ", initial_value="configured"),
        "STATE": builder.mbbIn("STATE", "Idle", "Running", initial_value=0),
        "TYPE": builder.stringIn("TYPE", initial_value="PRODUCTION"),
        "TEXT": builder.stringIn("TEXT", initial_value="no number"),
        "CLOSED": builder.aIn("CLOSED", initial_value=1.0, ASG="CLOSED"),
    }
    builder.LoadDatabase()
    with tempfile.NamedTemporaryFile("w", suffix=".acf") as access:
        access.write("ASG(DEFAULT) { RULE(1, WRITE) }\nASG(CLOSED) { RULE(0, NONE) }\n")
        access.flush()
        dbCore.asSetFilename(access.name.encode())
        softioc.iocInit(asyncio_dispatcher.AsyncioDispatcher())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        name, value, *severity = line.split()
        records[name].set(
            KINDS.get(name, float)(value),
            severity=SEVERITIES[severity[0]] if severity else alarm.NO_ALARM,
            alarm=alarm.LINK_ALARM if severity else alarm.NO_ALARM,
        )
        sys.stdout.write("ok\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
