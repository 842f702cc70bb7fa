"""Plots and verdicts as the API has them, and the shapes of what it is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import Path
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, Field

from hydrad.config import Config
from hydrad.domain import Cause, as_json, zulu
from hydrad.store.history import newest
from hydrad.store.history.newest import OpenEpisode, PlotNow
from hydrad.store.rows import FiledVerdict
from hydrad.web.feed import printable
from hydrad.web.site import Site

LARGEST: Final = 2**63 - 1


def in_utc(moment: datetime) -> datetime:
    """The same instant in UTC; a ValueError where that lies outside the calendar."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as fault:
        raise ValueError("lies outside the calendar") from fault


Words = Annotated[str, BeforeValidator(lambda text: printable(text) if isinstance(text, str) else text)]
Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]
RowNumber = Annotated[int, Path(ge=1, le=LARGEST, description="the number of the verdict's row")]
Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="of the image's bytes, hexadecimal")]
PlotName = Annotated[str, Path(min_length=1, max_length=1000, description="may hold slashes")]
StatusName = Literal[
    "UNKNOWN", "GOOD", "SUSPECT", "BAD", "NODATA", "NOBEAM", "UNFAMILIAR", "STALE", "DISABLED", "NOMODEL", "OTHER"
]


class Trouble(BaseModel):
    """A stretch in which a plot is not well, as it lasts."""

    id: int
    started_at: str
    acknowledged_at: str | None
    acknowledged_by: Words | None


class PlotDocument(BaseModel):
    """How a plot stands, what there is to show of it, what to do and whom to call."""

    plot: Words
    detector: Words
    status: StatusName
    severity: Literal["NO_ALARM", "MINOR", "MAJOR", "INVALID"]
    reason: Words
    label: Words | None = None
    confidence: float | None = Field(None, description="0 to 1")
    run: int | None = None
    taken_at: str | None = Field(None, description="of its newest image; ISO 8601, UTC")
    judged_at: str | None = None
    verdict: int | None = Field(None, description="the row of what holds at present")
    model: Words | None = None
    bad_in_a_row: int = 0
    sha256: str | None = Field(None, description="of its newest image: /images/{sha256}")
    width: int | None = Field(None, description="of the image, pixels")
    height: int | None = None
    heatmap: bool = Field(False, description="/api/v1/verdicts/{verdict}/heatmap.png shows where the model looked")
    stale_s: float = Field(description="without a new image for so long it is STALE, or NOBEAM")
    expert: Words = Field("", description="whom to call")
    guidance: Words = Field("", description="what to do")
    episode: Trouble | None = None


class PlotsDocument(BaseModel):
    """All plots at one moment."""

    now: str
    after: int = Field(description="newest verdict that is surely in it: /api/v1/events?after=… goes on from there")
    plots: list[PlotDocument]


class BeamDocument(BaseModel):
    """The beam while an image filled."""

    state: Literal["OFF", "ON", "UNKNOWN"]
    current: float | None
    units: Words


class VerdictDocument(BaseModel):
    """One verdict."""

    id: int
    plot: Words
    detector: Words
    run: int | None
    chunk: int | None
    path: Words | None
    sha256: str | None
    taken_at: str | None
    judged_at: str
    model: Words | None
    label: Words | None
    confidence: float | None
    scores: dict[Words, float]
    confirmed: bool
    status: StatusName
    severity: Literal["NO_ALARM", "MINOR", "MAJOR", "INVALID"]
    reason: Words
    beam: BeamDocument
    cause: Cause
    superseded: bool
    bad_in_a_row: int
    novelty: float | None


def plots_document(site: Site) -> PlotsDocument:
    """All plots at this moment, for the API and for the wall."""
    shown = newest.showing(site.store)
    now = zulu(datetime.now(UTC)) or ""
    return PlotsDocument(now=now, after=shown.after, plots=[plot_document(site.config, one) for one in shown.plots])


def plot_document(config: Config, one: PlotNow) -> PlotDocument:
    """A plot, with what the configuration says of it."""
    section = next((detector for detector in config.detector if detector.claims(one.plot)), None)
    return PlotDocument.model_validate(
        {
            "plot": one.plot,
            "detector": one.detector or config.detector_of(one.plot),
            "status": one.status.name,
            "severity": one.severity.name,
            "reason": one.reason or "no image has been judged yet",
            "label": one.label,
            "confidence": one.confidence,
            "run": one.run,
            "taken_at": zulu(one.taken_at),
            "judged_at": zulu(one.judged_at),
            "verdict": one.verdict_id,
            "model": one.model,
            "bad_in_a_row": one.bad_in_a_row,
            "sha256": one.sha256,
            "width": one.width,
            "height": one.height,
            "heatmap": one.heatmap,
            "stale_s": config.defaults.stale_s if section is None or section.stale_s is None else section.stale_s,
            "expert": "" if section is None else section.expert,
            "guidance": "" if section is None else section.guidance,
            "episode": None if one.episode is None else _trouble(one.episode),
        }
    )


def _trouble(episode: OpenEpisode) -> dict[str, Any]:
    return {
        "id": episode.id,
        "started_at": zulu(episode.started_at),
        "acknowledged_at": zulu(episode.acknowledged_at),
        "acknowledged_by": episode.acknowledged_by,
    }


def verdict_document(filed: FiledVerdict) -> VerdictDocument:
    """A verdict with its number."""
    return VerdictDocument.model_validate(as_json(filed.verdict, filed.id))
