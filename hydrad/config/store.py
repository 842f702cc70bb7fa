"""What is kept, where and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from hydrad import texts
from hydrad.config.section import Section
from hydrad.config.values import NotNegative, Share


class Store(Section):
    """Where verdicts, images and models are kept."""

    url: Annotated[str, AfterValidator(texts.store_url)] = "sqlite:///hydra.db"
    password_file: Path | None = None
    images: Path = Path("images")
    models: Path = Path("models")
    journal: Path = Path("journal.db")
    keep_all_h: NotNegative = 24
    keep_verdicts_d: NotNegative = 0
    keep_delivered_h: NotNegative = 48

    @property
    def keep_delivered_s(self) -> float:
        """For how long the journal keeps what the data base has: half as long as that does itself, or less.

        A verdict is younger in the journal than in the data base, where its age counts from when it was judged.
        """
        hours = self.keep_delivered_h
        return 3600 * (min(hours, 12 * self.keep_verdicts_d) if self.keep_verdicts_d else hours)


class Saving(Section):
    """How many of the images that nobody labelled and nothing is wrong with stay after ``store.keep_all_h``."""

    share: Share = 1.0  # of a plot without labels
    half_at: Annotated[int, Field(strict=True, ge=1)] = 300  # labels of a plot at which half of that share is kept
    least: Share = 0.01  # never fewer
