"""Which of the images that nobody labelled and nothing is wrong with stay for labelling: fewer, the more labels."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping

from hydrad.config import Saving
from hydrad.domain import LedgerEntry, Status

TELLING = frozenset({Status.BAD, Status.NODATA, Status.SUSPECT, Status.UNFAMILIAR})  # an image judged so always stays
RUNS = 16  # of a plot whose first images are remembered: runs may be written side by side

Labels = Mapping[str, int]  # by plot, how many of its images people have labelled


def share(saving: Saving, labels: int) -> float:
    """The share of a plot's images that stays for labelling, 0 to 1, once it has so many labels."""
    return max(saving.least, saving.share / (1 + labels / saving.half_at))


def shares(saving: Saving, counts: Labels) -> dict[str, float]:
    """The same for each of these plots."""
    return {plot: share(saving, labels) for plot, labels in counts.items()}


def lot(sha256: str, plot: str) -> float:
    """An image's lot, evenly spread over [0, 1): the same whenever and wherever it is drawn."""
    drawn = hashlib.blake2b(f"{sha256} {plot}".encode(errors="backslashreplace"), digest_size=8).digest()
    return (int.from_bytes(drawn) >> 11) / 2**53  # as many bits as a float holds: never rounded up to 1


class Sampling:
    """Draws images as they are recorded, by the labels there were then. Not thread-safe: it belongs to the event loop.

    A lot that wins at a small share wins at every larger one. What a person handed in always stays, and so does the
    first image of each run of a plot, and the first that is seen of a run after a start.
    """

    def __init__(self, saving: Saving) -> None:
        self.saving = saving  # may be replaced by another at any time
        self._labels: Labels = {}
        self._firsts: dict[str, dict[int, str]] = defaultdict(dict)  # by plot and run, the content

    @property
    def shares(self) -> dict[str, float]:
        """The share drawn at present, of each plot that has labels."""
        return shares(self.saving, self._labels)

    def learn(self, labels: Labels) -> None:
        """So many labels there are now; until this is told, each plot is taken to have none."""
        self._labels = labels

    def draws(self, entry: LedgerEntry) -> bool:
        """True if this image stays for labelling; asked again about the same image, it answers the same."""
        if entry.plot is None or entry.sha256 is None or entry.submission is not None:
            return True
        first = self._is_first(entry.plot, entry.run, entry.sha256)
        return first or lot(entry.sha256, entry.plot) < share(self.saving, self._labels.get(entry.plot, 0))

    def _is_first(self, plot: str, run: int | None, sha256: str) -> bool:
        if run is None:
            return False
        firsts = self._firsts[plot]
        if run not in firsts and len(firsts) == RUNS:
            del firsts[next(iter(firsts))]
        return firsts.setdefault(run, sha256) == sha256
