"""What the labeler's API takes and gives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from hydrad.domain import Meaning, zulu
from hydrad.store.labels import needs, sheets
from hydrad.store.labels.marking import Effect
from hydrad.store.labels.needs import Leader, Need
from hydrad.store.labels.sheets import Paint, Tile

MOST_MARKS = 500  # in one request
MOST_TILES = 1000
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

PlotName = Annotated[str, Field(max_length=1000, description="the plot's name")]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
LabelName = Annotated[str, Field(min_length=1, max_length=39)]
Moment = Annotated[AwareDatetime, Field(ge=EARLIEST, le=LATEST)]


class LabelOut(BaseModel):
    """A label of a plot."""

    name: str
    meaning: Meaning
    colour: str = Field(description="as CSS writes it")
    images: int = Field(description="how many have it")


class LabelIn(BaseModel, extra="forbid"):
    """A label to define; what is left out stays as it is, or is told from the name."""

    name: LabelName
    meaning: Meaning | None = None
    colour: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None


class SheetAsked(BaseModel, extra="forbid"):
    """Which sheet; the filters after ``skip`` are those of mode ``edit``."""

    plot: PlotName
    mode: Annotated[Literal["new", "edit"], Field(description="unlabelled images, or labelled ones")] = "new"
    limit: Annotated[int, Field(ge=1, le=MOST_TILES)] = 200
    skip: Annotated[int, Field(ge=0, le=100_000, description="tiles passed over already")] = 0
    label: Annotated[str | None, Field(max_length=39)] = None
    by: Annotated[str | None, Field(max_length=200, description="who labelled it last")] = None
    since: Annotated[Moment | None, Field(description="labelled then or later")] = None
    until: Annotated[Moment | None, Field(description="labelled before")] = None
    run: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    image: Annotated[Hex | None, Field(description="this one only")] = None
    disputed: Annotated[bool, Field(description="the model, sure of itself, says something else")] = False


class LeadersAsked(BaseModel, extra="forbid"):
    """Of which plot besides all."""

    plot: PlotName | None = None


class SaidOut(BaseModel):
    """What the model said of an image."""

    model: str
    label: str
    confidence: float
    margin: float
    confirmed: bool
    status: str
    novelty: float | None


class TileOut(BaseModel):
    """An image on a sheet."""

    sha256: str
    run: int | None
    chunk: int | None
    taken_at: str | None
    width: int
    height: int
    why: sheets.Why
    said: SaidOut | None
    label: str | None
    by: str
    labelled_at: str | None


class SheetOut(BaseModel):
    """Images in the order in which they are to be looked at."""

    plot: str
    now: str = Field(description="the server's time, by which marks are dated")
    tiles: list[TileOut]
    more: bool
    reference: TileOut | None = Field(description="what the plot looks like when all is well")


class MarkIn(BaseModel, extra="forbid"):
    """A label given to an image, or taken back, at a time."""

    id: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="the sender's own, to be answered by")
    plot: PlotName
    sha256: Hex
    label: LabelName | None
    at: Moment


class MarksIn(BaseModel, extra="forbid"):
    """Marks, the earliest first."""

    marks: Annotated[list[MarkIn], Field(min_length=1, max_length=MOST_MARKS)]


class MarkOut(BaseModel):
    """What became of a mark."""

    id: str
    effect: Effect | Literal["no_such_label"]


class MarksOut(BaseModel):
    """What became of each mark, in their order; all of them are settled and need not be sent again."""

    marks: list[MarkOut]


class NeedOut(BaseModel):
    """A plot, and how much labels would help it."""

    plot: str
    waiting: int = Field(description=f"images to label; {needs.ENOUGH} stands for that many or more")
    unsure: int = Field(description="images of the last day of which its model, if any, was not sure")
    labels: dict[str, int] = Field(description="how many images have each")


class LeaderOut(BaseModel):
    """Somebody who labels."""

    person: str
    today: int
    week: int
    ever: int


class LeadersOut(BaseModel):
    """Who gave how many labels by hand: of one plot, and of all."""

    plot: list[LeaderOut]
    all: list[LeaderOut]
    whole: bool = Field(description="false while labels of former weeks are still being counted: ask again")


def tile_of(tile: Tile) -> TileOut:
    """A tile as it is sent."""
    said = tile.said
    return TileOut(
        sha256=tile.sha256,
        run=tile.run,
        chunk=tile.chunk,
        taken_at=zulu(tile.taken_at),
        width=tile.width,
        height=tile.height,
        why=tile.why,
        said=None
        if said is None
        else SaidOut(
            model=said.model,
            label=said.label,
            confidence=said.confidence,
            margin=said.margin,
            confirmed=said.confirmed,
            status=said.status.name,
            novelty=said.novelty,
        ),
        label=tile.label,
        by=tile.by,
        labelled_at=zulu(tile.at),
    )


def label_of(one: Paint) -> LabelOut:
    """A label as it is sent."""
    return LabelOut(name=one.name, meaning=one.meaning, colour=one.colour, images=one.images)


def need_of(one: Need) -> NeedOut:
    """A plot as it is sent."""
    labels = {label.label: label.images for label in one.labels}
    return NeedOut(plot=one.plot, waiting=one.waiting, unsure=one.unsure, labels=labels)


def leader_of(one: Leader) -> LeaderOut:
    """Somebody as they are sent."""
    return LeaderOut(person=one.person, today=one.today, week=one.week, ever=one.ever)
