"""Whether there is beam: from EPICS, or fixed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, Tag, ValidationInfo, field_validator

from hydrad.config.section import Section, by_kind
from hydrad.config.values import NotNegative, Number, Positive, Text


class EpicsBeam(Section):
    """The beam current as EPICS has it."""

    kind: Literal["epics"] = "epics"
    pv: Annotated[tuple[Text, ...], Field(min_length=1), BeforeValidator(lambda v: (v,) if isinstance(v, str) else v)]
    units: str = "nA"
    on_above: Positive = 5.0
    off_below: NotNegative = Field(default=3.0, validate_default=True)
    noise_above: Positive | None = None
    permit_pv: Text | None = None
    permit_value: Number | None = Field(default=None, validate_default=True)
    window_s: Positive = 30
    stale_s: Positive = 40

    @field_validator("off_below")
    @classmethod
    def _off_below_on(cls, value: float, others: ValidationInfo) -> float:
        if value > others.data.get("on_above", value):
            raise ValueError(f"{value:g} is above on_above")
        return value

    @field_validator("noise_above")
    @classmethod
    def _noise_above_on(cls, value: float | None, others: ValidationInfo) -> float | None:
        if value is not None and value <= others.data.get("on_above", 0):
            raise ValueError(f"{value:g} is not above on_above")
        return value

    @field_validator("permit_value")
    @classmethod
    def _permit_whole(cls, value: float | None, others: ValidationInfo) -> float | None:
        if "permit_pv" in others.data and (others.data["permit_pv"] is None) != (value is None):
            raise ValueError("permit_pv and permit_value go together")
        return value


class FixedBeam(Section):
    """A beam that never changes, for tests and benches."""

    kind: Literal["fixed"] = "fixed"
    current: NotNegative = 100.0
    units: str = "nA"
    on_above: Positive = 5.0
    window_s: Positive = 30


BeamSection = Annotated[
    Annotated[EpicsBeam, Tag("epics")] | Annotated[FixedBeam, Tag("fixed")],
    by_kind(epics="epics", fixed="fixed"),
]
