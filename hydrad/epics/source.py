"""The PVs behind a state, and which of them can be trusted now."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from hydrad.domain import Severity

V = TypeVar("V", float, str)


@dataclass(slots=True)
class Source(Generic[V]):
    """One PV and whether its value can be trusted now."""

    label: str  # "beam PV IBCAD00CRCUR6"
    value: V
    trouble: str = "has not connected yet"  # why the value cannot be trusted; empty when it can
    read_at_s: float = -math.inf  # the last reading, or the last proof that it still holds

    def take(self, value: V, severity: int, at_s: float) -> None:
        """A reading came in; INVALID is as good as none."""
        self.value = value
        self.read_at_s = at_s
        self.trouble = "is INVALID" if severity >= Severity.INVALID else ""


def grow_stale(sources: Mapping[str, Source[V]], stale_s: float, until_s: float) -> Iterator[float]:
    """Let time pass: what nobody confirmed goes stale at its own moment, which is yielded, not when somebody asks."""
    while True:
        sound = [source for source in sources.values() if not source.trouble]
        oldest = min(sound, key=lambda source: source.read_at_s, default=None)
        if oldest is None or oldest.read_at_s + stale_s > until_s:
            return
        oldest.trouble = f"gave no sign of life for {stale_s:g} s"
        yield oldest.read_at_s + stale_s
