"""The API of trainings: asked for on the page, followed while they run, stopped and gone on with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hydrad.classify import bundle as bundles
from hydrad.classify.labels import meaning_of
from hydrad.config import Config
from hydrad.domain import Meaning, Role, zulu
from hydrad.errors import ChangeRefused
from hydrad.store.labels import labelling
from hydrad.store.labels.labelling import LabelTally
from hydrad.store.models import trainings
from hydrad.store.models.trainings import UNFINISHED, Training
from hydrad.store.tables import TrainingState
from hydrad.web.doors.visitors import Decides, Looks, Visitor
from hydrad.web.library import trainer
from hydrad.web.site import Here, Site
from hydrad.web.spoken import Prose

router = APIRouter(prefix="/api/v1/trainings", tags=["library"])

LOG_LINES: Final = 20
LISTED: Final = 50
MEANINGS: Final = tuple(Meaning)  # good first, as people read tables

Number = Annotated[int, Path(ge=1, lt=2**63, description="The training's number")]
Plot = Annotated[Prose, Field(min_length=1, max_length=300)]
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]


class Wish(BaseModel):
    """A training that somebody wants; what is left out is as the configuration has it."""

    model_config = ConfigDict(extra="forbid")

    plots: list[Plot] = Field(min_length=1, max_length=2000, description="One model serves all of them")
    id: ModelName | None = Field(default=None, description="Of the model; made of plot and time unless said")
    architecture: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9]{1,40}$", description="plain, or a network of keras.applications"
    )
    parent: ModelName | None = Field(default=None, description="Go on from this model's network")
    width: int | None = Field(default=None, ge=16, le=2048, description="Of the images it learns from, pixels")
    height: int | None = Field(default=None, ge=16, le=2048)
    epochs: int | None = Field(default=None, ge=1, le=1000)
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    good_share: float | None = Field(
        default=None, gt=0, le=1, allow_inf_nan=False, description="Of the good images to learn from"
    )
    emulate: bool = Field(default=True, description="Put the configuration's faults into good images")
    int8: bool | None = Field(
        default=None, description="Also quantize it for a CPU; serves if no image held out gets another label by that"
    )


class Learned(BaseModel):
    """How far it was after an epoch."""

    model_config = ConfigDict(allow_inf_nan=False)

    epoch: int
    loss: float
    balanced_accuracy: float | None = Field(description="As known by then")

    @model_validator(mode="before")
    @classmethod
    def _as_kept(cls, value: object) -> object:
        return dict(zip(cls.model_fields, value, strict=False)) if isinstance(value, list) else value


class Progress(BaseModel):
    """Where a training stands; what is None is not known yet, or has no place in this stage."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    stage: str = ""
    done: float = Field(default=0.0, description="Share of the stage, 0 to 1")
    epoch: int | None = None
    epochs: int | None = None
    loss: float | None = None
    balanced_accuracy: float | None = None
    attempt: int = Field(default=1, description="Above 1: it was stuck and began anew with another seed")
    left_s: float | None = None
    curve: list[Learned] = Field(default=[], description="Of the attempt under way, by epoch")


class TrainingWords(BaseModel):
    """One training."""

    number: int
    state: Literal["queued", "running", "stopped", "failed", "done"]
    plots: list[str]
    architecture: str | None
    parent: str | None
    epochs: int | None
    person: str
    host: str | None
    asked_at: str | None
    started_at: str | None
    ended_at: str | None
    stop_asked: bool
    silent: bool = Field(description="It is said to run, and has given no sign of life for long")
    can_resume: bool
    progress: Progress
    model: str | None = Field(description="What came of it")
    reason: str


class OneTraining(TrainingWords):
    """One training, with the end of its log for those who may start one."""

    log: list[str]


class Trainings(BaseModel):
    """The newest trainings."""

    trains: bool = Field(description="Whether this server starts those that wait")
    trainings: list[TrainingWords]


@router.get("", summary="The newest trainings, with their progress")
def listed(site: Here, visitor: Looks, limit: Annotated[int, Query(ge=1, le=200)] = LISTED) -> Trainings:  # noqa: ARG001
    """The newest first."""
    now = datetime.now(UTC)
    found = trainings.trainings(site.store, limit=limit)
    return Trainings(trains=site.config.web.trains, trainings=[TrainingWords(**_words(one, now)) for one in found])


@router.post("", status_code=201, summary="Ask for a training")
def ask(site: Here, visitor: Decides, body: Wish) -> TrainingWords:
    """It waits until nothing else is trained on a host that trains, and ends with a candidate."""
    _require_possible(site, body)
    asked = body.model_dump(exclude_none=True, exclude={"emulate"})
    asked["plots"] = sorted(set(body.plots))
    if not body.emulate:
        asked["emulate"] = []
    number = trainings.ask(site.store, asked, visitor.name)
    return TrainingWords(**_words(_known(site, number), datetime.now(UTC)))


@router.get("/{number}", summary="One training")
def one(site: Here, visitor: Looks, number: Number) -> OneTraining:
    """With the last lines of its log, where it was started by this host's pages."""
    return _with_log(site, visitor, _known(site, number))


@router.post("/{number}/stop", summary="Stop a training")
def stop(site: Here, visitor: Decides, number: Number) -> OneTraining:
    """What it has learned is kept, and it can be gone on with."""
    found = _known(site, number)
    if not trainings.ask_to_stop(site.store, number):
        raise ChangeRefused(f"training {number} is {found.state.value}: there is nothing to stop")
    return _with_log(site, visitor, _known(site, number))


@router.post("/{number}/resume", summary="Go on with a training that was stopped, or failed")
def resume(site: Here, visitor: Decides, number: Number) -> OneTraining:
    """From where it was, if that is kept; else from its beginning."""
    found = _known(site, number)
    if not trainings.resume(site.store, number):
        raise ChangeRefused(f"training {number} is {found.state.value}: there is nothing to go on with")
    return _with_log(site, visitor, _known(site, number))


def choices(config: Config, tallies: Sequence[LabelTally], plots: Collection[str]) -> Mapping[str, Any]:
    """What the form offers: plots with their labels, and what the configuration says where nobody says otherwise."""
    train = config.train
    by_plot: dict[str, list[LabelTally]] = defaultdict(list)
    for tally in sorted(tallies, key=lambda one: (MEANINGS.index(one.meaning), one.label)):
        by_plot[tally.plot].append(tally)
    return {
        "few": train.few,
        "quantizes": _quantizes(config),
        "plots": [
            {
                "name": plot,
                "labels": [
                    {"name": one.label, "meaning": one.meaning.value, "images": one.images} for one in by_plot[plot]
                ],
            }
            for plot in sorted({*plots, *by_plot})
        ],
        "emulate": [
            {"fault": one.fault, "plots": list(one.plots), "label": one.label, "meaning": meaning_of(one.label).value}
            for one in train.emulate
        ],
    }


def _require_possible(site: Site, wish: Wish) -> None:
    """Refuse at once what the training would refuse after a minute."""
    wanted = set(wish.plots)
    images: dict[str, int] = dict.fromkeys(wanted, 0)
    meanings: dict[str, set[Meaning]] = defaultdict(set)
    for tally in labelling.tallies(site.store):
        if tally.plot in wanted:
            images[tally.plot] += tally.images
            if tally.images:
                meanings[tally.label].add(tally.meaning)
    if bare := sorted(plot for plot, count in images.items() if not count):
        raise ChangeRefused(f"nobody has labelled an image of {', '.join(bare[:5])}{'…' * (len(bare) > 5)}")
    if unclear := sorted(label for label, meant in meanings.items() if len(meant) > 1):
        raise ChangeRefused(
            f"the label {unclear[0]!r} means different things for these plots; one model holds only one"
        )
    emulated = {spec.label for spec in site.config.train.emulate} if wish.emulate else set()
    if len({*meanings, *emulated}) < 2:
        raise ChangeRefused(f"a model tells at least two labels apart; there are images of {', '.join(meanings)} only")
    models = {folder.name for folder in bundles.listed(site.config.store.models)}
    if wish.parent is not None and wish.parent not in models:
        raise ChangeRefused(f"there is no bundle {wish.parent!r} to go on from")
    if wish.int8 and not _quantizes(site.config):
        raise ChangeRefused("this server cannot quantize a network: NNCF is not installed (extra `int8`)")
    if wish.id in models:
        raise ChangeRefused(f"there is a model {wish.id!r} already")


def _quantizes(config: Config) -> bool:
    """Whether int8 can be had; of another host that trains nobody knows here, and its training says so if not."""
    return not config.web.trains or find_spec("nncf") is not None


def _known(site: Site, number: int) -> Training:
    found = trainings.training(site.store, number)
    if found is None:
        raise HTTPException(404, f"there is no training {number}")
    return found


def _with_log(site: Site, visitor: Visitor, found: Training) -> OneTraining:
    lines = trainer.last_lines(site.config, found.id, LOG_LINES) if visitor.may(Role.EXPERT) else []
    return OneTraining(**_words(found, datetime.now(UTC)), log=list(lines))


def _words(found: Training, now: datetime) -> dict[str, Any]:
    asked = found.settings
    plots, epochs = asked.get("plots"), asked.get("epochs")
    return {
        "number": found.id,
        "state": found.state.value,
        "plots": list(map(str, plots)) if isinstance(plots, list) else [],
        "architecture": _text(asked.get("architecture")),
        "parent": _text(asked.get("parent")),
        "epochs": epochs if isinstance(epochs, int) else None,
        "person": found.person,
        "host": found.host,
        "asked_at": zulu(found.asked_at),
        "started_at": zulu(found.started_at),
        "ended_at": zulu(found.ended_at),
        "stop_asked": found.stop_asked and found.state is TrainingState.RUNNING,
        "silent": found.silent(now),
        "can_resume": found.state in UNFINISHED,
        "progress": _progress(found.progress),
        "model": found.model_id,
        "reason": found.reason,
    }


def _progress(told: Mapping[str, Any]) -> Progress:
    try:
        return Progress.model_validate(dict(told))
    except ValidationError:  # of another version of this program
        return Progress()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
