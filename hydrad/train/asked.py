"""What somebody asked of a training, in full: written down, so that it can be repeated and gone on with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from hydrad.classify.manifest import Identifier
from hydrad.config import Emulate, Section, Symmetry, Train
from hydrad.config.values import Count, Flag, Share, Side, Text
from hydrad.errors import ConfigurationError
from hydrad.train.labelled import Labelled

FOLDER: Final = ".training-"  # of one under way, beside the bundles: a hidden one is none
ASKED: Final = "asked.json"

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")


class Asked(Section):
    """One training. Plots are names, not patterns: those that had labels when it was asked for."""

    id: Identifier
    plots: Annotated[tuple[Text, ...], Field(min_length=1)]
    architecture: Text
    weights: Path | None = None
    parent: Text | None = None
    width: Side
    height: Side
    epochs: Count
    batch: Annotated[int, Field(ge=1, le=1024)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    good_share: Annotated[Share, Field(gt=0)]
    hold_out: Literal["auto", "run", "plot", "image"]
    few: Count
    precision: Literal["auto", "float32", "mixed"]
    int8: Flag = False
    shift: float = 0.0
    scale: float = 0.0
    contrast: float = 0.0
    rim: float = 0.0
    colours: float = 0.0
    emulate: tuple[Emulate, ...] = ()
    symmetry: tuple[Symmetry, ...] = ()


class Record(Section):
    """A labelled image as it is written down."""

    path: Path
    plot: str
    label: str
    sha256: str
    run: int | None = None

    def labelled(self) -> Labelled:
        """The same, as a data set takes it."""
        return Labelled(self.path, self.plot, self.label, self.sha256, self.run)


class Sheet(Section):
    """All that a training needs to begin, or to go on after a stop."""

    asked: Asked
    number: int | None = None  # of its row in the data base
    meanings: dict[str, str]
    records: tuple[Record, ...]


def write(folder: Path, sheet: Sheet) -> None:
    """Put the sheet into a folder; raises OSError when the disk does not take it."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{ASKED}.draft"
    draft.write_text(sheet.model_dump_json(), encoding="utf-8", errors="surrogatepass")
    draft.replace(folder / ASKED)


def read(folder: Path) -> Sheet:
    """The sheet of a training that was stopped.

    Raises:
        ConfigurationError: there is none, or it cannot be read.
    """
    try:
        return Sheet.model_validate_json((folder / ASKED).read_bytes())
    except (OSError, ValueError) as fault:
        stopped = ", ".join(sorted(one.name.removeprefix(FOLDER) for one in folder.parent.glob(f"{FOLDER}*")))
        raise ConfigurationError(
            f"resume: no training {folder.name.removeprefix(FOLDER)!r} was stopped; there are: {stopped or 'none'}"
        ) from fault


def name_of(plots: Sequence[str], now: datetime) -> str:
    """A name for a model: its plot, or that it serves several, and the time, UTC."""
    of = _NOT_IN_NAMES.sub("_", plots[0]).strip("._-") if len(plots) == 1 else "all"
    return f"{(of or 'plot')[:60]}-{now.astimezone(UTC):%Y%m%dT%H%M%S}"


def defaults(train: Train) -> dict[str, object]:
    """What the configuration says where the command line says nothing else."""
    return {name: getattr(train, name) for name in Asked.model_fields if name in Train.model_fields}
