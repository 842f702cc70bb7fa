"""Which run is going: from EPICS, or from the images' paths."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, Tag, model_validator

from hydrad.config.section import Section, by_kind
from hydrad.config.values import Positive, Text


class PathRun(Section):
    """Runs as the images' paths name them; one is assumed to be going."""

    kind: Literal["path"] = "path"


class EpicsRun(Section):
    """Number, state and type of the run as EPICS has them, each where there is such a PV."""

    kind: Literal["epics"] = "epics"
    number_pv: Text | None = None
    state_pv: Text | None = None
    running: Annotated[tuple[Text, ...], Field(min_length=1)] = ("running",)
    type_pv: Text | None = None
    masked_types: tuple[Text, ...] = ("cosmic*", "*calib*")
    stale_s: Positive = 40

    @model_validator(mode="after")
    def _something_to_ask(self) -> Self:
        if self.number_pv is None and self.state_pv is None and self.type_pv is None:
            raise ValueError("one of number_pv, state_pv, type_pv must stand here")
        return self


RunSection = Annotated[
    Annotated[PathRun, Tag("path")] | Annotated[EpicsRun, Tag("epics")],
    by_kind(path="path", epics="epics"),
]
