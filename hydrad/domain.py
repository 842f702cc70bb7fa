"""What hydrad talks about: arrivals, beam, predictions, verdicts. All of it frozen, none of it does I/O."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]  # RGB, shape (height, width, 3)
HeatMap = npt.NDArray[np.uint8]  # shape (rows, columns); 0 = no evidence, 255 = the strongest of this image
Embedding = npt.NDArray[np.float32]  # shape (features,)


class Severity(IntEnum):
    """EPICS alarm severities, by their EPICS numbers."""

    NO_ALARM = 0
    MINOR = 1
    MAJOR = 2
    INVALID = 3


class Status(IntEnum):
    """The judged state of a plot; the numbers are those of the STATUS PVs."""

    UNKNOWN = 0
    GOOD = 1
    SUSPECT = 2
    BAD = 3
    NODATA = 4
    NOBEAM = 5
    UNFAMILIAR = 6
    STALE = 7
    DISABLED = 8
    NOMODEL = 9
    OTHER = 10

    @property
    def severity(self) -> Severity:
        """The severity this status has unless an operator chose another on the PV, or a flood drowns it."""
        return _SEVERITIES.get(self, Severity.NO_ALARM)


_SEVERITIES = {
    Status.UNKNOWN: Severity.INVALID,
    Status.STALE: Severity.INVALID,
    Status.BAD: Severity.MAJOR,
    Status.NODATA: Severity.MAJOR,
    Status.SUSPECT: Severity.MINOR,
    Status.UNFAMILIAR: Severity.MINOR,
}


class Meaning(StrEnum):
    """What a user's label says about the detector."""

    GOOD = "good"
    BAD = "bad"
    EMPTY = "empty"
    OTHER = "other"


class BeamState(IntEnum):
    """The numbers are those of the BEAM:STATE PV. UNKNOWN is not OFF."""

    OFF = 0
    ON = 1
    UNKNOWN = 2


class RunState(IntEnum):
    """The numbers are those of the RUN:STATE PV. UNKNOWN: a run is assumed to be going."""

    IDLE = 0
    RUNNING = 1
    UNKNOWN = 2


class Outcome(StrEnum):
    """What became of a file, as the ledger has it."""

    PENDING = "pending"
    JUDGED = "judged"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"


class Cause(StrEnum):
    """Why a verdict was given."""

    IMAGE = "image"  # a new image of the plot was judged
    CLOCK = "clock"  # time passed, or the beam came or went
    CHANGE = "change"  # a person changed a setting


class Role(IntEnum):
    """What a person may do; each may also do what those before may."""

    VIEWER = 0  # looks
    LABELER = 1  # labels, acknowledges
    EXPERT = 2  # changes how plots are judged, trains, promotes
    ADMIN = 3  # says who may do what


class Health(IntEnum):
    """The pipeline's own state; the numbers are those of the WATCHDOG PV."""

    OK = 0
    DEGRADED = 1
    STALLED = 2


@dataclass(frozen=True, slots=True)
class Caption:
    """What a file's path says about the image, by the layout of its producer."""

    plot: str
    run: int | None = None
    chunk: int | None = None
    taken_at: datetime | None = None  # aware, UTC; None when the path does not tell


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that has come to rest and is about to be read.

    ``size`` (bytes) and ``mtime_ns`` are those of the file behind a symbolic link. ``at_rest_s`` says how long they
    had not changed when the file was handed over (0.0 for one renamed or linked into place).
    """

    path: Path
    size: int
    mtime_ns: int
    plot: str
    taken_at: datetime  # aware, UTC: from the path where it tells, else the time of the last write
    seen_at: datetime  # aware, UTC
    run: int | None = None
    chunk: int | None = None
    at_rest_s: float = 0.0
    submission: int | None = None  # set when a person handed it in


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Picture:
    """An image as it was read: its bytes, once, and what was wanted of its pixels while they were at hand."""

    data: bytes  # the file's content, as judged
    sha256: str  # of ``data``, hex
    width: int
    height: int
    pixels_digest: str  # of size and pixels: equal for equal pictures however they are encoded
    format: str  # "png", "jpeg", "gif"
    views: Mapping[Hashable, Pixels] = field(default_factory=dict)  # by what made each: as models look at it
    written_ns: int | None = None  # when the file was last written, as its reader found it; None: it is no file's


@dataclass(frozen=True, slots=True)
class Beam:
    """A beam reading, or the beam over a stretch of time; ``current`` is None when nothing could be read."""

    state: BeamState
    current: float | None = None  # in ``units``; the mean where it stands for a stretch of time
    units: str = ""
    read_at: datetime | None = None  # aware, UTC
    reason: str = ""  # why it is UNKNOWN, or OFF in spite of its current
    since: datetime | None = None  # aware, UTC: when it last came back after having been OFF


@dataclass(frozen=True, slots=True)
class Run:
    """The run that is going, or the one that an image belongs to."""

    state: RunState = RunState.UNKNOWN
    number: int | None = None
    type: str = ""  # empty where nobody says
    masked: bool = False  # in a run of this type nothing alarms
    reason: str = ""  # what could not be read; of an image's run, what contradicts its number
    since: datetime | None = None  # aware, UTC: when images became due again after they had not been


SOME_RUN = Run()


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model in service says of itself."""

    id: str
    labels: Mapping[str, Meaning]
    thresholds: Mapping[str, float]  # suggested confirm threshold per label, 0 to 1
    architecture: str = ""
    runtime: str = ""  # what computes it, e.g. "keras/tensorflow-cpu float32"


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a model says about one image.

    ``scores`` are calibrated probabilities that sum to one. ``novelty`` is the image's distance from what the model
    was trained on in units of its limit: above 1.0 the image is unlike anything known; None when the model cannot tell.
    """

    model: str
    scores: Mapping[str, float]
    meanings: Mapping[str, Meaning]
    heatmap: HeatMap | None = None
    embedding: Embedding | None = None
    novelty: float | None = None

    @property
    def label(self) -> str:
        """The label with the highest score."""
        return max(self.scores, key=self.scores.__getitem__)

    @property
    def confidence(self) -> float:
        """The score of :attr:`label`, 0 to 1."""
        return self.scores[self.label]

    @property
    def meaning(self) -> Meaning:
        """What :attr:`label` says about the detector."""
        return self.meanings[self.label]


@dataclass(frozen=True, slots=True)
class Rules:
    """How one plot is judged at present: its configuration, its model's thresholds, and what people changed since."""

    detector: str
    needs_beam: bool = True
    stale_s: float = 120.0
    on_delay: int = 2  # faulty images that raise the alarm
    off_delay: int = 2  # good images that end it
    on_window: int = 0  # images within which these must come; up to the delay: in a row
    off_window: int = 0  # likewise
    flood_above: int = 10  # plots of the detector; more that alarm at once are one alarm
    thresholds: Mapping[str, float] = field(default_factory=dict)  # per label, 0 to 1
    enabled: bool = True
    shelved_until: datetime | None = None  # aware, UTC
    shelved_by: str = ""
    reason: str = ""  # given by whoever disabled or shelved it
    model: str | None = None  # the model that serves it


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is held true of a plot from ``judged_at`` on; with ``cause`` IMAGE also the record of one image judged.

    Everything from ``path`` to ``novelty`` is that of the image and is None for a plot that has had none.
    ``key`` is unique over all hosts and restarts: it is what makes a verdict arrive once.
    """

    key: str
    plot: str
    detector: str
    status: Status
    severity: Severity
    reason: str
    judged_at: datetime  # aware, UTC
    cause: Cause
    beam: Beam
    bad_in_a_row: int = 0
    superseded: bool = False  # a newer image was judged before it: recorded, never shown
    path: str | None = None
    run: int | None = None
    chunk: int | None = None
    sha256: str | None = None
    taken_at: datetime | None = None  # aware, UTC
    model: str | None = None
    label: str | None = None
    confidence: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    meanings: Mapping[str, Meaning] = field(default_factory=dict)
    confirmed: bool = False
    novelty: float | None = None
    memory: str = ""  # what the next image is judged by besides, as whoever judges writes it for his own restart

    @property
    def drowned(self) -> bool:
        """True where its detector has a flood and alarms in its place."""
        return self.severity is Severity.NO_ALARM and self.status.severity is not Severity.NO_ALARM


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that a person changed: the history of settings is a list of these.

    ``plot`` and ``detector`` are None for a setting of the hall. Keys: ``threshold.<label>`` (0 to 1), ``on_delay``,
    ``off_delay``, ``on_window``, ``off_window`` (images), ``enabled`` (0 or 1), ``shelved_until`` (Unix time, s; 0
    unshelves), ``reason`` (1 with the text in ``reason``, 0 takes it away), ``beam.on_above`` (the hall's units),
    ``pv.<leaf>.<field>`` (a limit, or a severity by its number, of a PV of the plot, detector or hall). Values are
    finite numbers.
    """

    key: str
    value: float
    by: str
    host: str
    at: datetime  # aware, UTC
    via: str  # "ca", "cli", "page"
    plot: str | None = None
    detector: str | None = None
    old: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What became of one file."""

    path: str
    size: int
    mtime_ns: int
    outcome: Outcome
    reason: str
    seen_at: datetime
    done_at: datetime | None  # None while pending
    plot: str | None = None
    run: int | None = None
    sha256: str | None = None
    submission: int | None = None
    gone: bool = False  # it was not there to be read: should it come again as it was, it has not been dealt with


@dataclass(frozen=True, slots=True, eq=False)
class Specimen:
    """An image that a model is tested with while it serves, and what must come of it: BAD, or any verdict at all."""

    model: str
    pixels: Pixels
    known_bad: bool  # the model has found it bad, and sure, ever since it was trained
    why_not: str = ""  # where nobody knows an image that it must find bad


@dataclass(frozen=True, slots=True)
class Canary:
    """What has come of the images that are known to be bad and are sent the way of all images now and then."""

    status: Status  # of the one that stands for all: BAD is as it should be
    says: str  # in words, whatever it is
    trouble: str = ""  # what is wrong with the pipeline by it; empty while nothing is
    blind: bool = False  # a model does not find its known-bad image bad
    out_s: float = 0.0  # how long one has been on its way without having been judged
    age_s: float | None = None  # since all had come out as they should; None before the first time
    latency_s: float | None = None  # from file to data base, the slowest of the last ones


NO_CANARY = Canary(Status.DISABLED, "no canary: canary.every_s is 0")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long something took, each time, over the last minute: median and 99th percentile."""

    p50_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the daemon itself is, for the PVs of the hall and the status page."""

    health: Health
    why: str  # of a health that is not OK
    beam: Beam
    beam_on_above: float
    database_ok: bool
    model_ok: bool
    images_per_s: float  # over the last minute
    latency_s: float  # from file at rest to PV, 99th percentile of the last minute; 0.0 when there was none
    pending: int  # files waiting
    stages: Mapping[str, Timing] = field(default_factory=dict)  # of an image's way, in their order
    outbox: int = 0  # records that the data base does not have yet
    pv_clients: int = 0  # connected to the PV server
    silent: Sequence[str] = ()  # parts of it that show no sign of life
    run: Run = SOME_RUN
    tasks: int = 0  # of the event loop
    canary: Canary = NO_CANARY


def as_json(verdict: Verdict, row_id: int | None = None) -> dict[str, Any]:
    """A verdict as the document that verbs, API and events share."""
    return {
        "id": row_id,
        "plot": verdict.plot,
        "detector": verdict.detector,
        "run": verdict.run,
        "chunk": verdict.chunk,
        "path": verdict.path,
        "sha256": verdict.sha256,
        "taken_at": zulu(verdict.taken_at),
        "judged_at": zulu(verdict.judged_at),
        "model": verdict.model,
        "label": verdict.label,
        "confidence": verdict.confidence,
        "scores": dict(verdict.scores),
        "confirmed": verdict.confirmed,
        "status": verdict.status.name,
        "severity": verdict.severity.name,
        "reason": verdict.reason,
        "beam": {"state": verdict.beam.state.name, "current": verdict.beam.current, "units": verdict.beam.units},
        "cause": verdict.cause.value,
        "superseded": verdict.superseded,
        "bad_in_a_row": verdict.bad_in_a_row,
        "novelty": verdict.novelty,
    }


def zulu(moment: datetime | None) -> str | None:
    """An aware time as ISO 8601 in UTC, ending in Z."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
