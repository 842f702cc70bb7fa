"""An image and the label that a person gave it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Labelled:
    """One labelled image, wherever it lies."""

    path: Path
    plot: str
    label: str
    sha256: str  # of the file's bytes: its name in reports
    run: int | None = None
