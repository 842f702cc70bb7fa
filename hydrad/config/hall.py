"""The hall, and the folders that its producers write to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from hydrad import texts
from hydrad.config.section import Section
from hydrad.config.values import Positive


class Hall(Section):
    """Which hall this is."""

    name: str = Field(default="D", min_length=1, max_length=40)
    timezone: Annotated[str, AfterValidator(texts.time_zone)] = "UTC"

    @property
    def zone(self) -> ZoneInfo:
        """The time zone that producers' names are written in."""
        return ZoneInfo(self.timezone)


class Watch(Section):
    """One folder that a producer writes to."""

    kind: Literal["auto", "inotify", "polling"] = "auto"
    root: Path
    layout: Literal["rsai", "mon12", "panguin", "plain"] | None = None
    pattern: Annotated[str, AfterValidator(texts.pattern)] | None = Field(default=None, validate_default=True)
    time_format: Annotated[str, AfterValidator(texts.time_format)] | None = Field(default=None, validate_default=True)
    ignore: tuple[str, ...] = ("tmp_canvas_*",)
    settle_ms: Positive = 200
    patience_s: Positive = 30
    rescan_s: Positive = 10

    @field_validator("pattern")
    @classmethod
    def _one_way_to_read_names(cls, value: str | None, others: ValidationInfo) -> str | None:
        if "layout" in others.data and (others.data["layout"] is None) == (value is None):
            raise ValueError("either layout or pattern must stand here, and not both")
        return value

    @field_validator("time_format")
    @classmethod
    def _one_time(cls, value: str | None, others: ValidationInfo) -> str | None:
        if "pattern" not in others.data:
            return value
        timed = "time" in re.compile(others.data["pattern"] or "").groupindex
        if timed != (value is not None):
            raise ValueError("a pattern's group 'time' and time_format go together")
        return value
