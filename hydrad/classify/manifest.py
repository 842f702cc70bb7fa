"""What a bundle says of itself: bundle.json as frozen types."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from hydrad.classify.prepare import Preparation
from hydrad.domain import Meaning
from hydrad.errors import BundleError

MODEL = "model.keras"
NOVELTY = "novelty.npz"
GOLDEN = "golden.npz"
EXPORT = ("network.xml", "network.bin")  # for the CPU runtime
EXPORT_INT8 = ("network-int8.xml", "network-int8.bin")  # the same, quantized

Calibrated = Literal["bfloat16", "int8"]  # what needs a calibration of its own
Precision = Literal["float32"] | Calibrated

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")

Probability = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]


def _inside(name: str) -> str:
    parts = PurePosixPath(name).parts
    if not parts or str(PurePosixPath(name)) != name or not all(_PART.fullmatch(part) for part in parts):
        raise ValueError(f"{name!r} is no plain name of a file inside the bundle")
    return name


FileName = Annotated[str, AfterValidator(_inside)]


class Part(BaseModel):
    """A table of bundle.json: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Label(Part):
    """A class of the network, in the order of its outputs."""

    name: str = Field(min_length=1, max_length=39)  # it must fit into an EPICS string
    meaning: Meaning


class DataSet(Part):
    """What the network learned from."""

    images: int = Field(ge=0)
    seed: int | None = None
    fingerprint: str = Field(default="", max_length=200)  # equal for equal data


class Golden(Part):
    """How closely the stored images must give the stored logits."""

    tolerance: float = Field(gt=0)  # share of the largest stored logit


class Calibration(Part):
    """What fits a network's answers where they are computed in another precision than where it was trained."""

    temperature: float = Field(gt=0)
    thresholds: Mapping[str, Probability]


class Manifest(Part):
    """bundle.json, without its seal."""

    format: Literal[1] = 1
    id: Identifier
    created_at: AwareDatetime
    labels: Annotated[tuple[Label, ...], Field(min_length=2, max_length=100)]
    plots: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]  # fnmatch patterns
    preparation: Preparation
    architecture: str = Field(min_length=1, max_length=100)
    parameters: int = Field(ge=1)
    temperature: float = Field(gt=0)  # the logits are divided by it before the softmax
    thresholds: Mapping[str, Probability]  # suggested, per label
    precisions: Mapping[Calibrated, Calibration] = Field(default_factory=dict)  # that it may be computed in too
    golden: Golden
    data: DataSet
    metrics: Mapping[str, JsonValue] = Field(default_factory=dict)
    files: Mapping[FileName, Sha256] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = self.names
        if len(set(names)) < len(names):
            raise ValueError("labels: a name stands there twice")
        for its in (self.thresholds, *(calibration.thresholds for calibration in self.precisions.values())):
            if set(its) != set(names):
                raise ValueError("thresholds: there must be one for each label and no other")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The labels' names, in the order of the network's outputs."""
        return tuple(label.name for label in self.labels)

    @property
    def meanings(self) -> dict[str, Meaning]:
        """What each label says about the detector."""
        return {label.name: label.meaning for label in self.labels}


def export_in(precision: Precision) -> tuple[str, str]:
    """The files, description and weights, that a network is computed from in this precision."""
    return EXPORT_INT8 if precision == "int8" else EXPORT


def parse(document: Any) -> Manifest:
    """A manifest from parsed JSON.

    Raises:
        BundleError: naming every fault of it.
    """
    try:
        return Manifest.model_validate(document)
    except ValidationError as fault:
        raise BundleError("; ".join(_sentences(fault))) from fault


def _sentences(fault: ValidationError) -> Sequence[str]:
    return [
        f"{'.'.join(map(str, error['loc'])) or 'bundle.json'}: {error['msg'].removeprefix('Value error, ')}"
        for error in fault.errors(include_url=False)
    ]
