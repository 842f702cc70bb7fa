"""One plot: its scores over time, its last images, its figures, the beam beside it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import AwareDatetime, BaseModel, Field

from hydrad.domain import BeamState, Role, Status, zulu
from hydrad.store import changing
from hydrad.store.history import series
from hydrad.store.history.series import Frame, Series
from hydrad.store.rows import PlotStanding
from hydrad.web import pages
from hydrad.web.doors.visitors import Looks
from hydrad.web.plot import rules, setting
from hydrad.web.plot.rules import Held, Steps
from hydrad.web.plot.setting import Plot
from hydrad.web.site import Here, Site

router = APIRouter()

POINTS = 2000
AFTER_A_RUN = timedelta(minutes=10)  # its last files may be judged so late
LONGEST_H = 24 * 60
FIGURES_OVER = timedelta(days=14)
FILM = 30


class Points(BaseModel):
    """Images, a column each, in the order in which they were judged."""

    id: list[int] = Field(description="Of the verdict.")
    at: list[int] = Field(description="Judged at, ms since 1970, UTC.")
    label: list[int] = Field(description="A place in `labels`; -1: the model had no answer.")
    confidence: list[float | None]
    confirmed: list[bool]
    status: list[str]
    beam: list[str]
    current: list[float | None]
    run: list[int | None]


class Step(BaseModel):
    """From when on something held; `at` is None where it always had."""

    at: int | None = Field(description="ms since 1970, UTC.")
    value: float | None


class Line(BaseModel):
    """A label's threshold over time."""

    label: str
    colour: str
    meaning: str
    steps: list[Step]


class Mark(BaseModel):
    """From when on a run or a model held."""

    at: int | None
    name: str


class Present(BaseModel):
    """What holds of the plot."""

    status: str
    severity: str
    reason: str
    label: str | None
    confidence: float | None
    run: int | None
    taken_at: str | None
    judged_at: str | None
    verdict: int | None = Field(description="Its number.")


class Course(BaseModel):
    """A plot's scores over time."""

    plot: str
    since: int
    until: int
    images: int = Field(description="Judged in that time; `points` are fewer where there are many.")
    labels: list[str]
    points: Points
    lines: list[Line]
    runs: list[Mark]
    models: list[Mark]
    units: str = Field(description="Of the beam current.")
    newest: int = Field(description="The highest number among the verdicts, for `after`.")
    present: Present
    settings: int = Field(description="Number of the newest change of a setting.")


class Shot(BaseModel):
    """One image of the film."""

    id: int
    sha256: str | None
    kept: bool
    heatmap: bool
    status: str
    label: str | None
    confidence: float | None
    confirmed: bool
    reason: str
    run: int | None
    chunk: int | None
    model: str | None
    taken_at: str | None
    judged_at: str
    human: str | None = Field(description="The label that people gave it.")


class Day(BaseModel):
    """A day's images, in the hall's time zone."""

    day: str
    images: dict[str, int] = Field(description="By status.")


class LabelCount(BaseModel):
    """How often a label was given."""

    label: str
    images: int
    confirmed: int
    mean_confidence: float


class Statistics(BaseModel):
    """A plot's figures of two weeks."""

    plot: str
    days: list[Day]
    images: int
    share_good: float | None = Field(description="Of the images judged with beam.")
    mean_confidence: float | None
    labels: list[LabelCount]
    last_alarm_at: str | None
    last_alarm_ended_at: str | None
    well_for_s: float | None = Field(
        description="Since the last alarm ended; None: one stands, or there never was one."
    )
    changes_by_hour: list[int] = Field(description="Changes of status in each of the last 24 hours, the present last.")
    models: list[Mark]


@router.get("/plot/{plot:path}", include_in_schema=False)
def page(plot: Plot, request: Request, site: Here, visitor: Looks) -> HTMLResponse:
    """A plot's page."""
    held = rules.held(site, plot)
    island = {
        "plot": plot,
        "settings": setting.described(site, held).model_dump(mode="json"),
        "decides": visitor.may(Role.EXPERT),
        "zone": str(site.config.hall.zone),
    }
    return pages.draw(request, "plot.html", plot=plot, held=held, standing=_standing(site, plot), island=island)


@router.get("/api/v1/plots/{plot:path}/series", summary="A plot's scores over time", tags=["plots"])
def course(
    *,
    plot: Plot,
    site: Here,
    _visitor: Looks,
    hours: Annotated[float, Query(gt=0, le=LONGEST_H, allow_inf_nan=False, description="How far back.")] = 8,
    run: Annotated[int | None, Query(ge=0, le=2**62, description="This run only, however long ago.")] = None,
    after: Annotated[int, Query(ge=0, le=2**62, description="Only what is newer than this verdict.")] = 0,
    points: Annotated[int, Query(ge=100, le=20_000, description="About as many as are wanted.")] = POINTS,
) -> Course:
    """Thinned where there are many images: the extremes stay, and every image that raised an alarm."""
    held = rules.held(site, plot)
    now = datetime.now(UTC)
    since, until = now - timedelta(hours=hours), now
    if run is not None:
        seen = series.from_run(site.store, run)
        if seen is None:
            raise HTTPException(404, f"nobody has heard of run {run}")
        since, until = seen[0], min(now, seen[1] + AFTER_A_RUN)
    from_here = since
    if after:
        from_here = max(since, series.reached(site.store, after) or since)
    if run is None and not after:
        found = site.remembered.scores(held.known, from_here)
    else:
        found = series.scores(site.store, held.known, from_here, run=run, after=after)
    reigned, cards = rules.reigns(site, held)
    shown = series.thinned(found, points)
    standing = _standing(site, plot)
    return Course(
        plot=plot,
        since=_ms(since),
        until=_ms(until),
        images=len(found),
        labels=list(held.known.labels),
        points=_points(shown),
        lines=_lines(held, rules.lines(site, held, reigned, cards)),
        runs=_runs(found),
        models=[Mark(at=None if at is None else _ms(at), name=name or "") for at, name in reigned],
        units=site.config.beam.units,
        newest=max(after, int(found.id.max()) if len(found) else 0),
        present=_present(standing),
        settings=changing.last_change(site.store, plot, held.rules.detector, held.names),
    )


@router.get("/api/v1/plots/{plot:path}/film", summary="A plot's last images", tags=["plots"])
def film(
    plot: Plot,
    site: Here,
    _visitor: Looks,
    before: Annotated[AwareDatetime | None, Query(description="Only those judged before.")] = None,
    id: Annotated[list[Annotated[int, Field(ge=1, le=2**62)]] | None, Query(max_length=100)] = None,  # noqa: A002
    limit: Annotated[int, Query(ge=1, le=200)] = FILM,
) -> list[Shot]:
    """The newest first; with `id`, those of these verdicts."""
    known = rules.plot_of(site, plot)
    return [_shot(one) for one in series.film(site.store, known, before=before, numbers=id or (), limit=limit)]


@router.get("/api/v1/plots/{plot:path}/statistics", summary="A plot's figures", tags=["plots"])
def statistics(plot: Plot, site: Here, _visitor: Looks) -> Statistics:
    """Of the last two weeks."""
    held = rules.held(site, plot)
    now = datetime.now(UTC)
    found = site.remembered.scores(held.known, now - FIGURES_OVER)
    figures = series.figures(site.store, held.known, now - FIGURES_OVER, now)
    said = ~np.isnan(found.confidence)
    with_beam = found.status != Status.NOBEAM
    days: dict[str, Counter[str]] = {}
    for hour, counts in figures.images.items():
        day = days.setdefault(f"{hour.astimezone(site.config.hall.zone):%Y-%m-%d}", Counter())
        day.update({status.name: images for status, images in counts.items()})
    ended = figures.alarm_ended_at
    reigned, _ = rules.reigns(site, held)
    return Statistics(
        plot=plot,
        days=[Day(day=day, images=dict(days[day])) for day in sorted(days)],
        images=len(found),
        share_good=_mean(found.status[with_beam] == Status.GOOD),
        mean_confidence=_mean(found.confidence[said]),
        labels=_labels(held, found),
        last_alarm_at=zulu(figures.alarmed_at),
        last_alarm_ended_at=zulu(ended),
        well_for_s=None if ended is None else (now - ended).total_seconds(),
        changes_by_hour=list(figures.changes_by_hour),
        models=[Mark(at=None if at is None else _ms(at), name=name or "") for at, name in reigned],
    )


def _labels(held: Held, found: Series) -> list[LabelCount]:
    counts = []
    for place, label in enumerate(held.known.labels):
        its = found.label == place
        if its.any():
            mean = float(np.nanmean(found.confidence[its]))
            sure = int(found.confirmed[its].sum())
            counts.append(LabelCount(label=label, images=int(its.sum()), confirmed=sure, mean_confidence=mean))
    return counts


def _mean(values: series.Real | series.Flags) -> float | None:
    return float(values.mean()) if len(values) else None


def _points(found: Series) -> Points:
    statuses = {status.value: status.name for status in Status}
    states = {state.value: state.name for state in BeamState}
    return Points(
        id=found.id.tolist(),
        at=(found.at // 1000).tolist(),
        label=found.label.tolist(),
        confidence=_or_none(found.confidence),
        confirmed=found.confirmed.tolist(),
        status=[statuses[one] for one in found.status.tolist()],
        beam=[states[one] for one in found.beam.tolist()],
        current=_or_none(found.current),
        run=[None if one < 0 else one for one in found.run.tolist()],
    )


def _or_none(values: series.Real) -> list[float | None]:
    return [None if math.isnan(one) else one for one in values.tolist()]


def _runs(found: Series) -> list[Mark]:
    begins = np.flatnonzero(np.diff(found.run, prepend=-2)).tolist()
    return [Mark(at=int(found.at[n] // 1000), name=str(found.run[n])) for n in begins if found.run[n] >= 0]


def _lines(held: Held, steps: Mapping[str, Steps]) -> list[Line]:
    return [
        Line(
            label=label,
            colour=held.labels[label].colour if label in held.labels else "#8a8f94",
            meaning=(held.meanings.get(label) or held.labels[label].meaning).value,
            steps=[Step(at=None if at is None else _ms(at), value=value) for at, value in its],
        )
        for label, its in steps.items()
    ]


def _standing(site: Site, plot: str) -> PlotStanding:
    found: Sequence[PlotStanding] = site.store.standings([plot])
    return found[0] if found else PlotStanding(plot, None)


def _present(standing: PlotStanding) -> Present:
    return Present(
        status=standing.status.name,
        severity=standing.severity.name,
        reason=standing.reason,
        label=standing.label,
        confidence=standing.confidence,
        run=standing.run,
        taken_at=zulu(standing.taken_at),
        judged_at=zulu(standing.judged_at),
        verdict=standing.verdict_id,
    )


def _shot(frame: Frame) -> Shot:
    its = frame.filed.verdict
    return Shot(
        id=frame.filed.id,
        sha256=its.sha256,
        kept=frame.kept,
        heatmap=frame.heatmap,
        status=its.status.name,
        label=its.label,
        confidence=its.confidence,
        confirmed=its.confirmed,
        reason=its.reason,
        run=its.run,
        chunk=its.chunk,
        model=its.model,
        taken_at=zulu(its.taken_at),
        judged_at=zulu(its.judged_at) or "",
        human=frame.human,
    )


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
