"""A Channel Access client that notes when it heard what: for measuring.

Run as a program it takes names as JSON from a line of stdin, says ``ready`` and how many seconds it took to hear of all
of them, and answers each further line by ``ok`` and JSON: how late it heard each event since the last, in ms.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import epics

from hydrad.errors import HydradError


class Listener:
    """Monitors PVs below a prefix; a context manager."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._pvs: dict[str, Any] = {}
        self._heard: dict[str, tuple[float, Any]] = {}
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        for pv in self._pvs.values():
            pv.disconnect()

    def listen(self, name: str) -> None:
        """Begin to monitor this PV."""
        if name not in self._pvs:
            self._pvs[name] = epics.PV(f"{self._prefix}{name}", auto_monitor=True, callback=self._hear)

    def wait_for(self, name: str, within_s: float, alive: Callable[[], None] = lambda: None) -> None:
        """Return when this PV has been heard at all."""
        self.listen(name)
        deadline = time.monotonic() + within_s
        with self._news:
            while name not in self._heard:
                alive()
                if time.monotonic() > deadline:
                    raise HydradError(f"{self._prefix}{name} was not heard within {within_s:g} s")
                self._news.wait(0.2)

    def wait_until(self, name: str, value: Any, within_s: float) -> float:
        """Return ``time.perf_counter()`` of when this PV was heard to have this value."""
        with self._news:
            if not self._news.wait_for(lambda: name in self._heard and self._heard[name][1] == value, within_s):
                raise HydradError(f"{self._prefix}{name} did not become {value} within {within_s:g} s")
            return self._heard[name][0]

    def _hear(self, pvname: str, value: Any, **_: Any) -> None:
        heard = time.perf_counter()
        with self._news:
            self._heard[pvname.removeprefix(self._prefix)] = heard, value
            self._news.notify_all()


def main() -> None:
    """Listen to what stdin names."""
    names, late_ms, began = json.loads(sys.stdin.readline()), list[float](), time.monotonic()
    unheard = set(names)
    all_heard = threading.Event()

    def hear(pvname: str, timestamp: float, **_: Any) -> None:
        late_ms.append(1e3 * (time.time() - timestamp))
        unheard.discard(pvname)
        if not unheard:
            all_heard.set()

    pvs = [epics.PV(name, form="time", auto_monitor=True, callback=hear) for name in names]
    if not all_heard.wait(60):
        raise HydradError(f"{len(unheard)} of {len(pvs)} PVs were not heard of")
    sys.stdout.write(f"ready {time.monotonic() - began}\n")
    sys.stdout.flush()
    late_ms.clear()
    for _ in sys.stdin:
        sys.stdout.write(f"ok {json.dumps(late_ms)}\n")
        sys.stdout.flush()
        late_ms.clear()


if __name__ == "__main__":
    main()
