"""How models are trained: the network, emulated faults, and what may be done to images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from hydrad.config.section import Section
from hydrad.config.values import Batch, Count, Flag, Number, Positive, Share, Side, Text


class Emulate(Section):
    """A fault to be put into good images, so that a network learns it before the detector shows it."""

    fault: Literal[
        "dead_region", "hot_channels", "shifted_peak", "broadened_peak", "lost_statistics", "noise", "missing_panel"
    ]
    plots: Annotated[tuple[Text, ...], Field(min_length=1)] = ("*",)
    label: Text = "Bad"
    share: Positive = 0.5  # images made, per good image of the plot
    weight: Positive = 1.0  # in training, beside 1 of an image that was taken
    map: Path | None = None  # a picture of the plot in which each region has its own colour
    boxes: tuple[tuple[Share, Share, Share, Share], ...] = ()  # left, top, right, bottom
    most: Annotated[int, Field(strict=True, ge=1, le=100)] = 1  # regions struck at once, at most


class Symmetry(Section):
    """What may be done to the images of some plots without changing what they show."""

    plots: Annotated[tuple[Text, ...], Field(min_length=1)]
    valid: Annotated[tuple[Literal["flip_x", "flip_y", "rotate_180", "rotate_90"], ...], Field(min_length=1)]


class Train(Section):
    """How models are trained where the command line says nothing else."""

    architecture: Text = "plain"
    weights: Path | None = None
    width: Side = 192
    height: Side = 128
    epochs: Count = 15
    batch: Batch = 32
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**31)] = 1
    good_share: Annotated[Share, Field(gt=0)] = 1.0
    hold_out: Literal["auto", "run", "plot", "image"] = "auto"
    few: Count = 10
    precision: Literal["auto", "float32", "mixed"] = "auto"
    int8: Flag = False
    shift: Annotated[Number, Field(ge=0, le=0.2)] = 0.0
    scale: Annotated[Number, Field(ge=0, le=0.2)] = 0.0
    contrast: Share = 0.0
    rim: Annotated[Number, Field(ge=0, le=0.2)] = 0.0
    colours: Share = 0.0
    threads: Annotated[int, Field(strict=True, ge=0, le=256)] = 0
    memory_gb: Positive = 8
    emulate: tuple[Emulate, ...] = ()
    symmetry: tuple[Symmetry, ...] = ()
