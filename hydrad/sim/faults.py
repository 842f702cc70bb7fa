"""What can go wrong with a detector, by name, and how one says so on the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from hydrad.domain import Meaning
from hydrad.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What a fault's name stands for: its meaning, and a sentence for people."""

    meaning: Meaning
    says: str


FAULTS: Final[Mapping[str, FaultKind]] = MappingProxyType(
    {
        "dead_board": FaultKind(Meaning.BAD, "one front-end board gives no hits"),
        "dead_sector": FaultKind(Meaning.BAD, "a whole sector gives no hits"),
        "noisy_board": FaultKind(Meaning.BAD, "one front-end board counts several times too much"),
        "hot_channels": FaultKind(Meaning.BAD, "a few channels count far too much"),
        "low_occupancy": FaultKind(Meaning.BAD, "a sector gives a fraction of its hits, as with low high voltage"),
        "noise_band": FaultKind(Meaning.BAD, "a row, ring or range is full of noise"),
        "shifted_peak": FaultKind(Meaning.BAD, "the peak is not where it belongs"),
        "broadened_peak": FaultKind(Meaning.BAD, "the peak is several times too wide"),
        "double_peak": FaultKind(Meaning.BAD, "part of the peak is off by one clock"),
        "missing_panel": FaultKind(Meaning.BAD, "one panel of the canvas is empty, the others are not"),
        "empty": FaultKind(Meaning.EMPTY, "nothing at all arrives"),
    }
)

_SPEC = re.compile(
    r"(?P<at>[^:@=]+):(?P<name>[a-z_]+)(?:=(?P<where>\d+))?"
    r"(?:@(?P<start>\d+(?:\.\d+)?)(?:\+(?P<length>\d+(?:\.\d+)?))?)?"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with one plot, or with every plot that ``at`` matches.

    Equal faults hit the same channels in every image, of whatever seed. ``where`` and ``strength`` left at None are
    drawn from ``seed``.
    """

    name: str  # one of FAULTS
    at: str = "*"  # a plot, or a pattern of plots such as "CDC_*"
    seed: int = 0
    where: int | None = None  # which board, sector, band or panel of the plot, from 0
    strength: float | None = None  # 0 (just visible) to 1 (drastic)
    start_s: float = 0.0  # since the simulation's start
    length_s: float | None = None  # None: for good

    def __post_init__(self) -> None:
        if self.name not in FAULTS:
            raise ConfigurationError(f"--fault: {self.name!r} is no fault; there are {', '.join(FAULTS)}")

    @property
    def meaning(self) -> Meaning:
        """What an image with this fault shows: ``bad`` or ``empty``."""
        return FAULTS[self.name].meaning

    @property
    def end_s(self) -> float:
        """When it is over; infinite for a fault that stays."""
        return float("inf") if self.length_s is None else self.start_s + self.length_s

    def hits(self, plot: str) -> bool:
        """Whether this plot is one of those it is about."""
        return fnmatchcase(plot, self.at)

    def lasts(self, start_s: float, end_s: float) -> bool:
        """Whether it lasts for most of the stretch from ``start_s`` to ``end_s``."""
        return min(self.end_s, end_s) - max(self.start_s, start_s) > 0.5 * (end_s - start_s)


def parse(text: str) -> Fault:
    """A fault from its command-line form, ``PLOT:FAULT[=WHERE][@START_S[+LENGTH_S]]``.

    ``CDC_occupancy:dead_board@60+120`` is a dead board from the first to the third minute,
    ``CDC_occupancy:dead_board=17`` is board 17 for good, ``FDC_*:empty@30`` is all of a detector after half a minute.

    Raises:
        ConfigurationError: when the text has another form or names no fault.
    """
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(
            f"--fault: {text!r} is not PLOT:FAULT[=WHERE][@START_S[+LENGTH_S]], e.g. CDC_occupancy:dead_board@60+120"
        )
    where, start, length = match["where"], match["start"], match["length"]
    return Fault(
        name=match["name"],
        at=match["at"],
        where=None if where is None else int(where),
        start_s=float(start or 0.0),
        length_s=None if length is None else float(length),
    )
