"""How one plot is judged, and changing it: thresholds, delays, on and off, shelving, and back again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from hydrad.domain import Change, Meaning, zulu
from hydrad.errors import ChangeRefused
from hydrad.settings import LONGEST_DELAY, LONGEST_SHELF_S, REASON, THRESHOLD
from hydrad.store import changing
from hydrad.store.rows import FiledChange
from hydrad.web.doors.visitors import Decides, Looks, Visitor
from hydrad.web.plot import rules
from hydrad.web.plot.rules import Held
from hydrad.web.site import Here, Site

router = APIRouter(prefix="/api/v1", tags=["settings"])

Plot = Annotated[str, Path(min_length=1, max_length=500, description="A plot's name.")]
Label = Annotated[str, Path(min_length=1, max_length=500, description="A label of the plot.")]
Row = Annotated[int, Field(ge=1, le=2**62)]
Reason = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$", description="Why, in words.")]
Key = Literal["on_delay", "off_delay", "on_window", "off_window", "enabled", "shelve"]

SHELVE = "shelve"
LONGEST_SHELF_MIN = LONGEST_SHELF_S // 60


class Asked(BaseModel):
    """A body without keys that nobody knows."""

    model_config = ConfigDict(extra="forbid")


class NewThreshold(Asked):
    """Where a label's threshold shall be."""

    value: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, description="Confidence from which on it counts.")]
    reason: Reason = ""


class NewValue(Asked):
    """What a setting shall be."""

    value: Annotated[
        float,
        Field(
            ge=0,
            le=LONGEST_SHELF_MIN,
            allow_inf_nan=False,
            description="Images for delays and windows, "
            f"at most {LONGEST_DELAY}; 0 or 1 for `enabled`; minutes for `shelve`.",
        ),
    ]
    reason: Reason = ""


class Back(Asked):
    """Why a change is taken back."""

    reason: Reason = ""


class Changed(BaseModel):
    """A change of a setting, as it stands in the history."""

    id: int
    key: str
    plot: str | None
    detector: str | None
    label: str | None = Field(description="Of a threshold.")
    value: float
    old: float | None
    by: str
    host: str
    at: str
    via: str = Field(description="ca, cli or page.")
    reason: str


class LabelSetting(BaseModel):
    """A label, and from which confidence on it counts."""

    label: str
    meaning: Meaning = Field(description="To the model where it knows the label, else to people.")
    colour: str
    threshold: float | None = Field(description="None: the model that serves the plot does not know this label.")
    suggested: float | None = Field(description="The model's own.")


class PlotSettings(BaseModel):
    """How a plot is judged now."""

    plot: str
    detector: str
    model: str | None
    labels: list[LabelSetting]
    on_delay: int
    off_delay: int
    on_window: int = Field(description="Images within which those of the delay must come; up to it: in a row.")
    off_window: int
    enabled: bool
    shelved_until: str | None
    reason: str = Field(description="Of whoever disabled or shelved it.")
    by: str
    needs_beam: bool
    stale_s: float
    version: int = Field(description="Number of the newest change; 0: nobody has changed anything.")


@router.get("/plots/{plot:path}/settings", summary="How a plot is judged")
def show(plot: Plot, site: Here, _visitor: Looks) -> PlotSettings:
    """Thresholds, delays, on or off, shelved or not, with what people changed."""
    return described(site, rules.held(site, plot))


@router.put("/plots/{plot:path}/thresholds/{label:path}", summary="Move a threshold")
def move(plot: Plot, label: Label, asked: NewThreshold, site: Here, visitor: Decides) -> Changed:
    """The daemon judges by it within a second, and its PV shows it."""
    return _changed(_put(site, visitor, plot=plot, key=f"{THRESHOLD}{label}", value=asked.value, reason=asked.reason))


@router.put("/plots/{plot:path}/settings/{key}", summary="Change how a plot is judged")
def change(plot: Plot, key: Key, asked: NewValue, site: Here, visitor: Decides) -> Changed:
    """Delays and their windows (images), `enabled` (0 or 1), `shelve` (minutes; 0 takes it off the shelf)."""
    quiets = (key == SHELVE and asked.value > 0) or (key == "enabled" and not asked.value)
    if quiets and not asked.reason.strip():
        raise ChangeRefused("say why: the next shift has to know")
    value = asked.value
    if key == SHELVE:
        value = datetime.now(UTC).timestamp() + 60 * value if value else 0.0
    its = "shelved_until" if key == SHELVE else key
    return _changed(_put(site, visitor, plot=plot, key=its, value=value, reason=asked.reason))


@router.get("/settings/history", summary="Who changed what")
def history(
    site: Here,
    _visitor: Looks,
    plot: Annotated[str | None, Query(min_length=1, max_length=500, description="Of this plot only.")] = None,
    before: Annotated[int | None, Query(ge=1, le=2**62, description="Only rows with lower numbers.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[Changed]:
    """Every change of a setting by caput, by command or by page, the newest first."""
    if plot is None:
        return [_changed(one) for one in changing.history_of_all(site.store, before=before, limit=limit)]
    return changes_of(site, rules.held(site, plot), before=before, limit=limit)


@router.post("/settings/{number}/revert", summary="Take a change back")
def revert(
    number: Annotated[int, Path(ge=1, le=2**62)], site: Here, visitor: Decides, asked: Back | None = None
) -> Changed:
    """Put back what was before a change, as a new change."""
    filed = changing.one(site.store, number)
    if filed is None:
        raise HTTPException(404, f"nothing was changed under number {number}")
    was = filed.change
    if was.key == REASON:
        raise ChangeRefused("a reason is taken back by another one")
    value = was.old
    if was.key == "shelved_until" and (value is None or value <= datetime.now(UTC).timestamp()):
        value = 0.0  # a shelf of which the time is over holds nothing
    if value is None and was.key == "enabled":
        value = 1.0
    if value is None and was.plot is not None:
        value = rules.before(rules.held(site, was.plot), was.key)
    if value is None:
        raise ChangeRefused(f"nobody knows what {was.key} was before")
    reason = (asked.reason if asked is not None else "") or f"takes back what {was.by} did on {was.at:%F %T} UTC"
    return _changed(changing.put(site.store, _change(was, value, reason, visitor)))


def _change(was: Change, value: float, reason: str, visitor: Visitor) -> Change:
    return Change(
        key=was.key,
        value=value,
        by=visitor.name,
        host=visitor.host,
        at=datetime.now(UTC),
        via="page",
        plot=was.plot,
        detector=was.detector,
        old=was.value,
        reason=reason,
    )


def _put(site: Site, visitor: Visitor, *, plot: str, key: str, value: float, reason: str) -> FiledChange:
    held = rules.held(site, plot)
    return changing.put(
        site.store,
        Change(
            key=key,
            value=value,
            by=visitor.name,
            host=visitor.host,
            at=datetime.now(UTC),
            via="page",
            plot=plot,
            old=rules.before(held, key),
            reason=reason.strip(),
        ),
    )


def described(site: Site, held: Held) -> PlotSettings:
    """How a plot is judged, as a document."""
    its = held.rules
    return PlotSettings(
        plot=held.known.name,
        detector=its.detector,
        model=its.model,
        labels=[
            LabelSetting(
                label=name,
                meaning=held.meanings[name] if name in held.meanings else held.labels[name].meaning,
                colour=held.labels[name].colour if name in held.labels else "#8a8f94",
                threshold=its.thresholds.get(name),
                suggested=held.unchanged.thresholds.get(name),
            )
            for name in held.names
        ],
        on_delay=its.on_delay,
        off_delay=its.off_delay,
        on_window=its.on_window,
        off_window=its.off_window,
        enabled=its.enabled,
        shelved_until=_still(its.shelved_until),
        reason=its.reason,
        by=its.shelved_by,
        needs_beam=its.needs_beam,
        stale_s=its.stale_s,
        version=changing.last_change(site.store, held.known.name, its.detector, held.names),
    )


def _still(until: datetime | None) -> str | None:
    return zulu(until) if until is not None and until > datetime.now(UTC) else None


def changes_of(site: Site, held: Held, *, before: int | None = None, limit: int = 100) -> list[Changed]:
    """What was changed about a plot, the newest first."""
    filed: Sequence[FiledChange] = changing.history(
        site.store, held.known.name, held.rules.detector, held.names, before=before, limit=limit
    )
    return [_changed(one) for one in filed]


def _changed(filed: FiledChange) -> Changed:
    one = filed.change
    return Changed(
        id=filed.id,
        key=one.key,
        plot=one.plot,
        detector=one.detector,
        label=one.key.removeprefix(THRESHOLD) if one.key.startswith(THRESHOLD) else None,
        value=one.value,
        old=one.old,
        by=one.by,
        host=one.host,
        at=zulu(one.at) or "",
        via=one.via,
        reason=one.reason,
    )
