"""What classifies images, and the known-bad ones that show whether it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, Tag, ValidationInfo, field_validator

from hydrad.config.section import Section, by_kind
from hydrad.config.values import Batch, NotNegative, Positive, Text

Wait = Annotated[NotNegative, Field(le=1000)]
CpuPrecision = Literal["auto", "float32", "bfloat16", "int8"]


class Computing(Section):
    """How whatever classifies does so."""

    precision: CpuPrecision = "auto"
    batch: Batch = 32
    max_wait_ms: Wait = 100
    open_models: Annotated[int, Field(strict=True, ge=1, le=1000)] = 32
    ray_address: Text = "auto"
    ray_gpus: NotNegative = 0


class Models(Computing):
    """Trained bundles, and what computes them."""

    kind: Literal["auto", "keras", "openvino", "ray"] = "auto"


class FixedClassify(Computing):
    """The same answer for every image, for tests and benches."""

    kind: Literal["fixed"] = "fixed"
    scores: Mapping[str, Annotated[NotNegative, Field(le=1)]] = Field(
        default={"Good": 0.98, "Bad": 0.01, "NoData": 0.01}, min_length=1
    )


ClassifySection = Annotated[
    Annotated[Models, Tag("models")] | Annotated[FixedClassify, Tag("fixed")],
    by_kind(auto="models", keras="models", openvino="models", ray="models", fixed="fixed"),
]


class Canary(Section):
    """The known-bad images that are sent the way of all images, to see that they come out BAD."""

    every_s: NotNegative = 300  # 0: never
    within_s: Positive = Field(default=60, validate_default=True)

    @field_validator("within_s")
    @classmethod
    def _back_before_the_next(cls, value: float, others: ValidationInfo) -> float:
        every_s = others.data.get("every_s", 0)
        if every_s and value >= every_s:
            raise ValueError(f"{value:g} is not less than every_s: the next would come before it is missed")
        return value

    @property
    def flies(self) -> bool:
        """Whether there is one."""
        return self.every_s > 0
