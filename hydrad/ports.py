"""The few things the story needs from the world, as protocols: what stands behind them is chosen in ``app``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from hydrad.domain import Arrival, Beam, Change, HeatMap, LedgerEntry, ModelCard, Picture, Prediction, Run, Verdict


class Watcher(Protocol):
    """Tells which files have come to rest below one root. A context manager: entered, it watches."""

    @property
    def patience_s(self) -> float:
        """How long a file of this producer may lie unfinished, in s, before it is rejected."""
        ...

    @property
    def pending(self) -> int:
        """Files seen that have not come to rest."""
        ...

    @property
    def ticked_at(self) -> float:
        """``time.monotonic()`` of its last sign of life."""
        ...

    def arrivals(self) -> AsyncIterator[Arrival]:
        """Yield files at rest, for ever; each sighting (path, size, mtime) once, unless asked to look again."""
        ...

    def again(self, arrival: Arrival) -> None:
        """The decoder did not reach the end of this file: offer it again when it has changed, or after a while."""
        ...

    def missed(self, arrival: Arrival) -> None:
        """This file was not there when it was to be read: should it come again, even as it was, offer it."""
        ...


class Decoder(Protocol):
    """Reads a file once and makes a picture of it."""

    async def __call__(self, path: Path, plot: str) -> Picture:
        """Return the picture, with the views that the plot's model wants.

        Raises:
            UnfinishedImage: more of it may follow.
            UnreadableImage: it shows nothing.
            OSError: the file cannot be read.
        """
        ...


class Classifier(Protocol):
    """Serves the models, in batches gathered across plots."""

    @property
    def ticked_at(self) -> float:
        """``time.monotonic()`` of its last progress; idle counts as progress, a hung batch does not."""
        ...

    def card(self, plot: str) -> ModelCard | None:
        """The model that serves this plot now, or None."""
        ...

    async def classify(self, plot: str, picture: Picture) -> Prediction:
        """Scores, heatmap and embedding of one picture; raise BundleError when the model cannot answer."""
        ...

    def shadows(self, plot: str) -> Sequence[ModelCard]:
        """The models that judge this plot along without effect."""
        ...

    async def ask(self, shadow: str, picture: Picture) -> Prediction:
        """What a model in shadow says, once no picture waits for one in service; raise BundleError when it cannot."""
        ...


class BeamMonitor(Protocol):
    """Knows the beam current and its recent past."""

    on_above: float  # threshold in the hall's units; may be set while running

    def now(self) -> Beam:
        """The last reading and the state it stands for; UNKNOWN when it is lost, frozen or invalid."""
        ...

    def during(self, start: datetime, end: datetime) -> Beam:
        """The beam over [start, end] (aware, UTC): the state that held longest, the mean current."""
        ...


class RunMonitor(Protocol):
    """Knows whether a run is going, which, and the runs of the recent past."""

    def now(self) -> Run:
        """The run at this moment; UNKNOWN, which means that one is assumed to be going, when its state is lost."""
        ...

    def during(self, start: datetime, end: datetime, number: int | None) -> Run:
        """The run that an image belongs to which filled over [start, end] (aware, UTC).

        Args:
            number: what the image's path says; it wins over what a PV says.
        """
        ...


class Sink(Protocol):
    """Whoever wants to hear of verdicts at once."""

    @property
    def name(self) -> str:
        """For the log."""
        ...

    async def tell(self, verdict: Verdict) -> None:
        """Take notice of what now holds; never wait for the outside world."""
        ...


class Told(Protocol):
    """A file whose story is told, as it was then."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def mtime_ns(self) -> int:
        """Time of the last write."""
        ...

    @property
    def sha256(self) -> str | None:
        """Of its content, hex; None where that never became a picture."""
        ...


class Ledger(Protocol):
    """Remembers every file and keeps what was found until the data base has it."""

    def seen(self, path: str) -> Told | None:
        """What became of the file last dealt with under this path, or None for one never dealt with."""
        ...

    async def record(
        self, entry: LedgerEntry, verdict: Verdict | None, picture: Picture | None, heatmap: HeatMap | None
    ) -> None:
        """Return once this is safe on the local disk; raise TryAgain when it cannot be."""
        ...

    async def overhear(self, verdict: Verdict, said: Prediction, *, confirmed: bool) -> None:
        """Keep what a model in shadow said of a verdict's image; ``confirmed`` by its own thresholds."""
        ...

    async def note(self, verdict: Verdict) -> None:
        """Keep a verdict that no new image caused (age, beam, a person's change)."""
        ...

    async def change(self, change: Change) -> None:
        """Keep a setting that a person changed."""
        ...
