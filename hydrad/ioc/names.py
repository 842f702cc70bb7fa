"""How plots, detectors and labels are called on EPICS."""

from __future__ import annotations

import re
from hashlib import sha256

LONGEST = 59  # characters of a PV's name, prefix included: what CA clients and EPICS base 3 can hold
_LABEL_ROOM = 6  # a label may always have this many, however long its plot's name is
_PLOT_ROOM = 8  # likewise a plot, however long its detector's name is
STEM_LIMIT = LONGEST - len(":THRESH:") - _LABEL_ROOM
_HASH = 4  # hexadecimal digits that tell two names apart
# First parts of the hall's own PVs: a detector of that name would share them.
HALL = frozenset({
    "BEAM", "CANARY", "CA_CLNT_CNT", "DB", "HEARTBEAT", "HOSTNAME", "LATENCY", "MEM_USED", "MODEL", "MSG", "NBAD",
    "NSTALE", "PENDING", "PROCESS_ID", "RATE", "RUN", "STARTTOD", "SUMMARY", "UPTIME", "VERSION", "WATCHDOG",
})  # fmt: skip


def part(text: str) -> str:
    """One part of a PV's name: upper case, other characters than letters and digits become ``_``.

    The colon too: it is what separates the parts, so one within a plot's name could make two PVs one.
    """
    return re.sub(r"[^A-Z0-9_]", "_", text.upper()) or "_"


def within(plot: str, detector: str) -> str:
    """A plot's name without its detector's: ``CDC_occupancy`` of ``CDC`` is ``occupancy``."""
    return plot.removeprefix(f"{detector}_") or plot


class Names:
    """Gives every detector, plot and label its PV name, once and for good.

    Who comes first gets the plain name; a later one that would be called the same, or whose name would be too long,
    gets a name that ends in a hash of its full name. So the names depend on nothing but the order in which plots were
    first seen: hand them in by that order after a restart and every PV keeps its name.

    Args:
        prefix: of every PV but the mirrors, e.g. ``HYDRA:D:``; at most 20 characters.
        mirror: of the mirrors, e.g. ``HB:monitoring:ai:``; at most 40 characters.
    """

    def __init__(self, prefix: str, mirror: str = "") -> None:
        self._prefix = prefix
        self._mirror = mirror
        self._detectors: dict[str, str] = {}
        self._plots: dict[str, str] = {}
        self._labels: dict[tuple[str, str], str] = {}
        self._mirrors: dict[str, str] = {}
        self._taken: set[str] = set()

    def hall(self, leaf: str) -> str:
        """A PV of the hall, e.g. ``HYDRA:D:SUMMARY``."""
        return f"{self._prefix}{leaf}"

    def detector(self, detector: str) -> str:
        """What a detector's PVs begin with, e.g. ``HYDRA:D:CDC``."""
        if detector not in self._detectors:
            room = STEM_LIMIT - len(self._prefix) - 1 - _PLOT_ROOM
            plain = part(detector)
            self._detectors[detector] = self._claim(self._prefix, plain, detector, room, usable=plain not in HALL)
        return self._detectors[detector]

    def plot(self, plot: str, detector: str) -> str:
        """What a plot's PVs begin with, e.g. ``HYDRA:D:CDC:OCCUPANCY``; at most 45 characters."""
        if plot not in self._plots:
            stem = f"{self.detector(detector)}:"
            self._plots[plot] = self._claim(stem, part(within(plot, detector)), plot, STEM_LIMIT - len(stem))
        return self._plots[plot]

    def threshold(self, plot: str, detector: str, label: str) -> str:
        """The PV of a label's threshold, e.g. ``HYDRA:D:CDC:OCCUPANCY:THRESH:BAD``."""
        if (plot, label) not in self._labels:
            stem = f"{self.plot(plot, detector)}:THRESH:"
            self._labels[plot, label] = self._claim(stem, part(label), label, LONGEST - len(stem))
        return self._labels[plot, label]

    def of_mirrors(self, leaf: str) -> str:
        """A PV of all mirrors together, e.g. ``HB:monitoring:ai:wf``: ask for it before any mirror's."""
        return self._claim(self._mirror, leaf, leaf, LONGEST - len(self._mirror))

    def mirror(self, plot: str) -> str:
        """The mirror of a plot: the prefix of mirrors and the plot's name in its own case."""
        if plot not in self._mirrors:
            plain = re.sub(r"[^A-Za-z0-9_:]", "_", plot) or "_"
            room = LONGEST - len(self._mirror)
            # The hall's and the plots' own PVs may begin alike: all of them are upper case and have one of these stems.
            name = self._mirror + plain
            usable = not (name.startswith(self._prefix) and name == name.upper())
            self._mirrors[plot] = self._claim(self._mirror, plain, plot, room, usable=usable)
        return self._mirrors[plot]

    def _claim(self, stem: str, plain: str, whole: str, room: int, *, usable: bool = True) -> str:
        """The plain name if it is free and short enough, else one that ends in a hash of the whole."""
        name = stem + plain
        length = _HASH
        while name in self._taken or len(name) > len(stem) + room or not usable:
            usable = True
            digits = sha256(whole.encode()).hexdigest().upper()
            name = f"{stem}{plain[: max(room - length - 1, 0)]}_{digits[:length]}"[: len(stem) + room]
            length += 1
        self._taken.add(name)
        return name
