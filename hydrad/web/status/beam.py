"""The beam as it is said to be, what the plots say against it, and the threshold that makes the difference."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from hydrad.config import Config
from hydrad.domain import BeamState, Change, Status, zulu
from hydrad.errors import ChangeRefused
from hydrad.settings import BEAM_THRESHOLD
from hydrad.store import changing
from hydrad.store.history import figures
from hydrad.store.history.figures import Witness
from hydrad.web.documents import Words
from hydrad.web.doors.visitors import Decides
from hydrad.web.site import Here, Site
from hydrad.web.status import health
from hydrad.web.status.health import BeamTold, Sign

router = APIRouter(tags=["status"])

WITNESS_WITHIN: Final = timedelta(minutes=30)
WITNESSES: Final = 2  # fewer plots prove nothing
FULL_SHARE, EMPTY_SHARE = 0.5, 0.8  # of the plots that need beam, against what the beam is said to be

Count = Annotated[int, Field(ge=0)]


class Contradiction(BaseModel):
    """What the plots' newest images say against the beam."""

    plots: Count = Field(description="that need beam and had an image in the last half hour")
    full: Count = Field(description="of these, good although the beam was said to be off while they filled")
    empty: Count = Field(description="of these, without data although the beam was said to be on")
    warning: str | None = Field(description="a sentence where they contradict it")


class BeamNow(BeamTold):
    """The beam as the daemon has seen it within the last ten seconds."""

    noise_above: float | None = Field(None, description="readings above are noise; a threshold stays below")
    seen: Contradiction


class Threshold(BaseModel):
    """The beam current that means beam."""

    model_config = ConfigDict(extra="forbid")

    value: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False, description="in the hall's units")]
    reason: Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class ThresholdSet(BaseModel):
    """A threshold that was changed; the daemon judges by it within a second."""

    value: float
    old: float | None
    by: Words
    at: str


@router.put("/api/v1/beam/on_above", summary="Set the current that means beam")
def set_threshold(site: Here, visitor: Decides, threshold: Threshold) -> ThresholdSet:
    """The daemon takes it up within a second; kept over restarts, recorded with person and host."""
    noise = noise_above(site.config)
    if noise is not None and threshold.value >= noise:
        raise ChangeRefused(f"it must stay below {noise:g} {site.config.beam.units}: readings above are noise")
    now = datetime.now(UTC)
    beam = health.read(site.clocks.heartbeat(), now).beam
    held = site.config.beam.on_above if beam is None or beam.on_above is None else beam.on_above
    change = Change(
        BEAM_THRESHOLD, threshold.value, visitor.name, visitor.host, now, "page", old=held,
        reason=threshold.reason.strip(),
    )  # fmt: skip
    filed = changing.put(site.store, change).change
    return ThresholdSet(value=filed.value, old=filed.old, by=filed.by, at=zulu(filed.at) or "")


def beam_of(site: Site, sign: Sign, now: datetime) -> BeamNow | None:
    """The beam; None where no living daemon tells of it."""
    if sign.beam is None or not sign.alive:
        return None
    needs = [
        one for one in figures.witnesses(site.store, now - WITNESS_WITHIN) if site.config.rules_of(one.plot).needs_beam
    ]
    seen = contradiction(sign.beam, needs)
    return BeamNow(**sign.beam.model_dump(), noise_above=noise_above(site.config), seen=seen)


def contradiction(beam: BeamTold, needs: Sequence[Witness]) -> Contradiction:
    """Whether plots that need beam show that the beam is not what it is said to be.

    Args:
        beam: as it is said to be.
        needs: what the newest images of plots that need beam show.
    """
    full = sum(one.status is Status.GOOD and one.beam is BeamState.OFF for one in needs)
    empty = sum(one.status is Status.NODATA and one.beam is BeamState.ON for one in needs)
    current = "" if beam.current is None else f" at {beam.current:.4g} {beam.units}"
    limit = "" if beam.on_above is None else f" (it is on above {beam.on_above:g} {beam.units})"
    warning = None
    if beam.state == "OFF" and full >= max(WITNESSES, FULL_SHARE * len(needs)):
        warning = (
            f"{full} of {len(needs)} plots that need beam are full and good, though the beam is said to be "
            f"OFF{current}{limit}. Meanwhile a bad plot shows NOBEAM and raises no alarm: is the threshold too high?"
        )
    elif beam.state == "ON" and empty >= max(WITNESSES, EMPTY_SHARE * len(needs)):
        warning = (
            f"{empty} of {len(needs)} plots that need beam are empty, though the beam is said to be "
            f"ON{current}{limit}. Is the threshold too low, so that a dark current passes for beam?"
        )
    return Contradiction(plots=len(needs), full=full, empty=empty, warning=warning)


def noise_above(config: Config) -> float | None:
    """The reading above which it is noise, where there is such a limit."""
    return getattr(config.beam, "noise_above", None)  # a fixed beam has none
