"""The pages: where they are served, and how people are let in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from hydrad.config.section import Section
from hydrad.config.values import Flag, Port, Positive, Text


class Web(Section):
    """The pages."""

    auth: Literal["none", "local", "proxy"] = "none"
    host: Text = "127.0.0.1"
    port: Port = 8000
    hosts: tuple[Text, ...] = ()
    certificate: Path | None = None
    key: Path | None = Field(default=None, validate_default=True)
    https: Flag = False  # a proxy in front of it speaks https
    plain_http: Flag = False  # passwords may cross the network in the clear
    proxy_header: Text = "X-Remote-User"
    proxy_from: tuple[Text, ...] = ("127.0.0.1", "::1")
    default_role: Literal["viewer", "labeler", "expert"] = "viewer"
    session_h: Positive = 12
    cache: Path = Path("cache")
    trains: Flag = True

    @field_validator("key")
    @classmethod
    def _both_halves(cls, value: Path | None, others: ValidationInfo) -> Path | None:
        if "certificate" in others.data and (others.data["certificate"] is None) != (value is None):
            raise ValueError("certificate and key go together")
        return value

    @property
    def encrypted(self) -> bool:
        """Whether people's browsers speak https."""
        return self.https or self.certificate is not None
