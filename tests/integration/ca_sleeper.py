"""A client that subscribes to PVs and remembers what it hears, until its stdin ends; tests stop it as a debugger would.

Usage: ``ca_sleeper.py NAME…``. It says ``ready`` when it has heard of all; a line on stdin is answered by ``ok`` and
the number of events and the newest values as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import Any

import epics

newest: dict[str, Any] = {}
heard: Counter[str] = Counter()


def hear(*, pvname: str, value: Any, char_value: str, **_: Any) -> None:
    newest[pvname] = value if isinstance(value, int | float) else char_value
    heard[pvname] += 1


pvs = [epics.PV(name, auto_monitor=True, callback=hear) for name in sys.argv[1:]]
deadline = time.monotonic() + 20
while len(newest) < len(pvs) and time.monotonic() < deadline:
    time.sleep(0.01)
sys.stdout.write("ready\n" if len(newest) == len(pvs) else "not all of them are there\n")
sys.stdout.flush()
for _ in sys.stdin:
    sys.stdout.write(f"ok {json.dumps([heard.total(), newest])}\n")
    sys.stdout.flush()
