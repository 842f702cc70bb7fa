"""What a client of the PVs heard during a trial, and how long it heard nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

WATCH = Path(__file__).with_name("pv_watch.py")
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Event:
    """One value of a PV; ``at`` is ``time.monotonic()``, in s."""

    at: float
    name: str | None  # None: the server is lost
    value: float | str | None
    severity: int


class PvWatch:
    """``pv_watch.py`` as a process; a context manager that ends it.

    Args:
        port: of the daemon's PVs.
        prefix: of the names, with its colon.
        names: of PVs, without the prefix; HEARTBEAT is always among them.
        notes: the file it writes.
    """

    def __init__(self, port: int, prefix: str, names: Iterable[str], notes: Path) -> None:
        self._prefix = prefix
        self._notes = notes
        wanted = [f"{prefix}{name}" for name in dict.fromkeys(("HEARTBEAT", *names))]
        self._process = subprocess.Popen([sys.executable, str(WATCH), str(port), str(notes), *wanted])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.kill()

    def events(self, name: str | None = None) -> list[Event]:
        """What was heard so far of a PV, without its prefix, or of all."""
        lines = self._notes.read_text(encoding="utf-8").splitlines() if self._notes.exists() else []
        heard = []
        for line in lines:
            try:
                at, full, value, severity = json.loads(line)
            except ValueError:  # the last one is just being written
                continue
            short = None if full is None else full.removeprefix(self._prefix)
            if name is None or short == name:
                heard.append(Event(at, short, value, severity))
        return heard


def longest_gap_s(beats: Sequence[float], excused: Sequence[Span], until: float) -> float:
    """The longest time between two heartbeats, or from the last to ``until``, in s.

    Args:
        beats: when they were heard, in order.
        excused: stretches in which nobody had started a daemon; they do not count.
        until: when the listening ended.
    """
    longest = 0.0
    for begin, end in zip(beats, [*beats[1:], until], strict=True):
        away = sum(max(0.0, min(end, to) - max(begin, since)) for since, to in excused)
        longest = max(longest, end - begin - away)
    return longest
