"""What the library's API says, as types."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from hydrad.domain import zulu
from hydrad.store.models.registry import Move
from hydrad.web.library.figures import Share
from hydrad.web.library.shelf import Book
from hydrad.web.spoken import Prose

State = Literal["candidate", "shadow", "in_service", "retired"]
Answer = Literal["done", "waiting", "refused"]


class Reason(BaseModel):
    """Why a person decides so, for the history."""

    reason: Prose = Field(default="", max_length=500)


class LabelWords(BaseModel):
    """A label of a model."""

    name: str
    meaning: str
    threshold: float | None = Field(description="Suggested confirm threshold, 0 to 1")
    by_hand: dict[str, float] = Field(description="Plots for which a person chose another one")
    precision: Share | None
    recall: Share | None


class ModelWords(BaseModel):
    """A model, where it stands, and its main figures; shares carry 95 % intervals."""

    id: str
    state: State
    since: str
    answer: Answer = Field(description="What the daemon has made of the last decision")
    fault: str = Field(description="Why the daemon refused; else empty")
    plots: list[str] = Field(description="Patterns of plots that it is for")
    serves: list[str] = Field(description="Plots that it serves now")
    labels: list[LabelWords]
    architecture: str
    parameters: int | None
    made_at: str | None
    trained_by: str | None
    parent: str | None
    learned_from: int | None = Field(description="Images")
    tested_on: int | None = Field(description="Images that it never saw")
    accuracy: Share | None
    balanced_accuracy: float | None
    false_alarms: Share | None = Field(description="Good images that it would have raised")
    faults_raised: Share | None
    faults_missed: Share | None = Field(description="Bad images that it would have let pass as good, with confirmation")


class MoveWords(BaseModel):
    """One model's change of state."""

    model: str
    old: State | None
    new: State
    by: str
    host: str
    via: str
    reason: str
    at: str | None


class Library(BaseModel):
    """All models."""

    daemon: bool = Field(description="Whether a daemon runs that acts on decisions")
    models: list[ModelWords]
    strays: list[str] = Field(description="Bundles in the folder of models that nobody has decided about")


class StateWords(BaseModel):
    """Where a model stands, as cheaply as it can be asked for."""

    id: str
    state: State
    answer: Answer
    fault: str


class States(BaseModel):
    """Where all models stand."""

    daemon: bool
    revision: str = Field(description="Changes with every decision and every answer")
    models: list[StateWords]


class OneModel(ModelWords):
    """A model with its history, and its metrics as its bundle has them."""

    history: list[MoveWords]
    metrics: dict[str, object]


class ThresholdChange(BaseModel):
    """A label's threshold before and after; None where the model does not know the label."""

    label: str
    before: float | None
    after: float | None


class Kept(BaseModel):
    """A threshold that a person chose for a plot: it goes before the model's."""

    plot: str
    label: str
    value: float


class Handover(BaseModel):
    """Plots that go from one model to another; None: that no model serves."""

    old: str | None
    new: str | None
    plots: list[str]
    thresholds: list[ThresholdChange]
    kept: list[Kept]


class MoveAhead(BaseModel):
    """A change of state to come."""

    model: str
    old: State
    new: State


class Outlook(BaseModel):
    """What a decision would change."""

    daemon: bool
    moves: list[MoveAhead]
    handovers: list[Handover]
    leaves: dict[str, str | None] = Field(description="Plots it is for that another model goes on serving")


class Decided(BaseModel):
    """What was decided, and what comes of it."""

    ticket: str
    at: str | None
    moves: list[MoveWords]
    serves: list[str]
    leaves: dict[str, str | None]
    unserved: list[str] = Field(description="Plots that no model serves")
    daemon: bool = Field(description="Whether a daemon runs that acts on it; if not, it holds from the next start")


class BothSaid(BaseModel):
    """Images on which two models said these labels."""

    served: str | None = Field(description="Null: nothing served")
    shadow: str
    images: int


class Compared(BaseModel):
    """A model in shadow beside what served, on the same images; delays are left out for both."""

    days: int
    images: int
    most: int = Field(description="Images looked at, at most: the newest")
    agreed: int
    alarming_to_both: int
    alarms_added: int = Field(description="Alarming to the shadow only")
    alarms_missed: int = Field(description="Alarming to what served only")
    labels: list[BothSaid] = Field(description="The most frequent first")


def model_words(book: Book) -> dict[str, Any]:
    """What a :class:`ModelWords` says of a model."""
    figures = book.figures
    known_labels = {one.label: one for one in figures.by_label or ()}
    return {
        "id": book.id,
        "state": book.state.value,
        "since": zulu(book.model.moved_at),
        "answer": book.answer,
        "fault": book.model.fault or "",
        "plots": book.patterns,
        "serves": book.serves,
        "labels": [
            LabelWords(
                name=one.label,
                meaning=one.meaning,
                threshold=one.suggested,
                by_hand=dict(one.by_hand),
                precision=None if (row := known_labels.get(one.label)) is None else row.precision,
                recall=None if row is None else row.recall,
            )
            for one in book.thresholds
        ],
        "architecture": book.architecture,
        "parameters": book.parameters,
        "made_at": zulu(book.made_at),
        "trained_by": book.trained_by,
        "parent": None if figures.making is None else figures.making.parent,
        "learned_from": book.learned_from,
        "tested_on": figures.images,
        "accuracy": figures.accuracy,
        "balanced_accuracy": figures.balanced_accuracy,
        "false_alarms": figures.false_alarms,
        "faults_raised": figures.faults_raised,
        "faults_missed": figures.faults_missed,
    }


def move_words(move: Move) -> MoveWords:
    """A move as the API has it."""
    return MoveWords(
        model=move.model,
        old=None if move.old is None else move.old.value,
        new=move.new.value,
        by=move.by.person,
        host=move.by.host,
        via=move.by.via,
        reason=move.reason,
        at=zulu(move.at),
    )
