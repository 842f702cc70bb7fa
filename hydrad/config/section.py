"""What every table of hydra.toml is, and how one that may be of several kinds is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Discriminator


class Section(BaseModel):
    """A table of the file: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def by_kind(**tags: str) -> Discriminator:
    """Choose a union's member by its key ``kind``; the first tag is that of a table that does not say."""
    default = next(iter(tags))

    def read(value: Any) -> str | None:
        kind = value.get("kind", default) if isinstance(value, Mapping) else getattr(value, "kind", default)
        return tags.get(kind) if isinstance(kind, str) else None

    return Discriminator(
        read,
        custom_error_type="unknown_kind",
        custom_error_message=f"kind is none of {', '.join(tags)}",
    )
