"""What a bundle's metrics say, as types: a part that is missing, or is of another shape, is not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

PERCENT: Final = "\u00a0%"  # never at the beginning of a line


class Part(BaseModel):
    """A table of the metrics; what is not asked for is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class Share(Part):
    """How many of how many, with its 95 % interval; without images nothing is known of it."""

    hits: int
    of: int
    value: float | None = None
    low: float | None = None
    high: float | None = None


class Confusion(Part):
    """Images by their label (rows) and by what the model said (columns), each cell by confidence, 0 to 1."""

    counts: list[list[int]]
    histograms: list[list[list[int] | None]]


class ByLabel(Part):
    """What is known of one label."""

    label: str
    images: int = 0
    precision: Share | None = None
    recall: Share | None = None


class ByPlot(Part):
    """What is known of one plot."""

    name: str
    images: int = 0
    accuracy: float | None = None
    false_alarms: float | None = None
    faults_raised: float | None = None
    faults_missed: int | None = None


class Mistaken(Part):
    """An image that the model and a person disagree about."""

    plot: str | None = None
    name: str | None = None  # its SHA-256, where it is an image that was taken
    run: int | None = None
    truth: str
    said: str
    confidence: float | None = None
    suspicious: bool = False


class Misclassified(Part):
    """All of them, the suspicious labels first."""

    all: int = 0
    suspicious: int = 0
    listed: list[Mistaken] = []


class Sides(Part):
    """How many images of a label were in which part of the data set."""

    label: str
    training: int = 0
    validation: int = 0
    test: int = 0


class Split(Part):
    """What was kept apart for the test."""

    kind: str = ""
    warning: str | None = None


class Emulated(Part):
    """Images with emulated faults that it learned from."""

    name: str
    images: int = 0


class Making(Part):
    """How the model was made."""

    images: int | None = None
    learned_from: int | None = None
    labels: list[Sides] = []
    split: Split | None = None
    parent: str | None = None
    seed: int | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    took_s: float | None = None
    good_share: float | None = None
    emulated: list[Emulated] = []
    few: list[str] = []
    ignored: list[str] = []
    notes: list[str] = []


class Export(Part):
    """What the CPU runtime says of the images held out, in one precision."""

    images: int | None = None
    other_label: int | None = None
    score_off: float | None = None
    ms_per_image: float | None = None
    reason: str | None = None  # why it could not be made


def _known(part: Any) -> BeforeValidator:
    """A part of the metrics, or None where it is of another shape than this program's."""
    adapter: TypeAdapter[Any] = TypeAdapter(part)

    def read(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError:
            return None

    return BeforeValidator(read)


class Figures(Part):
    """The metrics of one model."""

    images: Annotated[int | None, _known(int)] = None
    labels: Annotated[list[str] | None, _known(list[str])] = None
    accuracy: Annotated[Share | None, _known(Share)] = None
    balanced_accuracy: Annotated[float | None, _known(float)] = None
    unconfirmed: Annotated[Share | None, _known(Share)] = None
    false_alarms: Annotated[Share | None, _known(Share)] = None
    faults_raised: Annotated[Share | None, _known(Share)] = None
    faults_missed: Annotated[Share | None, _known(Share)] = None
    empty_raised: Annotated[Share | None, _known(Share)] = None
    confusion: Annotated[Confusion | None, _known(Confusion)] = None
    by_label: Annotated[list[ByLabel] | None, _known(list[ByLabel])] = None
    by_plot: Annotated[list[ByPlot] | None, _known(list[ByPlot])] = None
    misclassified: Annotated[Misclassified | None, _known(Misclassified)] = None
    curve: Annotated[dict[str, list[float]] | None, _known(dict[str, list[float]])] = None
    making: Annotated[Making | None, _known(Making)] = None
    ms_per_image: Annotated[float | None, _known(float)] = None
    exports: Annotated[dict[str, Export] | None, _known(dict[str, Export])] = None


def figures_of(metrics: Mapping[str, Any]) -> Figures:
    """What these metrics say."""
    return Figures.model_validate(dict(metrics))


def percent(value: float | None) -> str:
    """A share as people read it: more digits the nearer it is to none or all, which are said only when true."""
    if value is None:
        return "–"
    if value in {0.0, 1.0}:
        return f"{100 * value:.0f}{PERCENT}"
    for digits in (1, 2, 3):
        text = f"{100 * value:.{digits}f}"
        if float(text) not in {0.0, 100.0}:
            break
    return f"{text}{PERCENT}"


def between(share: Share | None) -> str:
    """The interval of a share, in words."""
    if share is None or share.value is None or share.low is None or share.high is None:
        return "no images"
    if share.hits == 0:
        return f"at most {percent(share.high)}"
    if share.hits == share.of:
        return f"at least {percent(share.low)}"
    return f"{percent(share.low).removesuffix(PERCENT)} to {percent(share.high)}"
