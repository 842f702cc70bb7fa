"""Faults put into good pictures, so that a network knows them before the detector shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import ValidationError

from hydrad import config, refusals
from hydrad.domain import Pixels
from hydrad.errors import ConfigurationError
from hydrad.train.emulation import kinds, panels, regions
from hydrad.train.emulation.panels import Panel
from hydrad.train.emulation.strikes import Blow

Mask = npt.NDArray[np.bool_]  # shape (height, width)

_NUMBERS: Final[dict[str, type[int | float]]] = {"share": float, "weight": float, "most": int}
_OUTLINE: Final = (255, 0, 255)  # no palette in use has it
_GROUND: Final = 128
_GAP: Final = 6  # pixels between pictures of a sheet
_HALF: Final = 48  # of 255: what covers a fifth of a small pixel is outlined
_SIZES_KEPT: Final = 4  # of pictures, per emulator: a plot's images have one, rarely two


@dataclass(frozen=True, slots=True, eq=False)
class Struck:
    """A picture with a fault in it; ``touched`` is where the fault sits, nowhere if the picture allowed none.

    What merely follows from it, such as an axis that takes another scale, lies outside of ``touched``.
    """

    pixels: Pixels  # uint8 RGB, of the shape that was given
    touched: Mask
    says: str  # what it is and where, e.g. "dead_region 17"


class Emulator:
    """One emulated fault, ready to strike: its channel map is read once and stretched over each size once.

    Args:
        spec: which fault, where, how often.

    Raises:
        ConfigurationError: the channel map cannot be read or has no regions, or a box has no inside.
    """

    def __init__(self, spec: config.Emulate) -> None:
        regions.check_boxes(spec.boxes)
        self.spec = spec
        self._map = None if spec.map is None else regions.load(spec.map)
        self._places: dict[tuple[int, int], tuple[regions.Places, ...]] = {}

    def __call__(
        self, pixels: Pixels, rng: np.random.Generator, turn: int | None = None, shown: Sequence[Panel] | None = None
    ) -> Struck:
        """The picture with this fault, somewhere that the generator chooses; what was given is not changed.

        Args:
            pixels: uint8 RGB, shape (height, width, 3): any picture, though only histograms give faults to believe.
            rng: where, how many and how strong.
            turn: of this strike among many: each region is struck in its turn, so that none is left out by chance.
            shown: its panels, where they are known.
        """
        height, width = pixels.shape[:2]
        blow = Blow(
            pixels=pixels,
            panels=panels.read(pixels) if shown is None else shown,
            regions=self.regions(height, width),
            most=self.spec.most,
            rng=rng,
            turn=turn,
        )
        dealt = kinds.KINDS[self.spec.fault](blow)
        if dealt is None:
            return Struck(pixels.copy(), np.zeros((height, width), np.bool_), f"{self.spec.fault}: nothing to strike")
        return Struck(dealt.pixels, dealt.touched, f"{self.spec.fault} {dealt.where}".rstrip())

    def regions(self, height: int, width: int) -> tuple[regions.Places, ...]:
        """The pixels of each region in a picture of this size; none where neither map nor boxes were given."""
        if (known := self._places.get((height, width))) is not None:
            return known
        found: tuple[regions.Places, ...] = ()
        if self._map is not None:
            found = self._map.over(height, width)
        found += regions.box_places(self.spec.boxes, height, width)
        while len(self._places) >= _SIZES_KEPT:
            self._places.pop(next(iter(self._places)))
        self._places[height, width] = found
        return found


def _number(value: str, kind: type[int | float]) -> int | float | str:
    try:
        return kind(value)
    except ValueError:
        return value  # as it is: the configuration says what is wrong with it


def strike(pixels: Pixels, spec: config.Emulate, rng: np.random.Generator) -> Struck:
    """One picture with one fault; for many pictures make an :class:`Emulator` once.

    Raises:
        ConfigurationError: as :class:`Emulator` does.
    """
    return Emulator(spec)(pixels, rng)


def parse(text: str) -> config.Emulate:
    """A fault from its command-line form, ``FAULT[,KEY=VALUE…]`` with the keys of ``[[train.emulate]]``.

    ``dead_region,plots=CDC_*,map=maps/cdc.png,share=0.5,weight=0.7,most=2,label=Bad``; several plots are given by
    several ``plots=``, boxes as ``box=LEFT:TOP:RIGHT:BOTTOM`` in shares of the picture, as often as there are boxes.

    Raises:
        ConfigurationError: the text has another form, or a key has a value that it cannot have.
    """
    fault, *rest = (part.strip() for part in text.split(","))
    given: dict[str, Any] = {"fault": fault}
    faults = []
    for part in rest:
        key, equals, value = (side.strip() for side in part.partition("="))
        if not equals:
            faults.append(f"--emulate: {part!r} is not KEY=VALUE, e.g. share=0.5")
        elif key == "plots":
            given[key] = (*given.get(key, ()), value)
        elif key == "box":
            given["boxes"] = (*given.get("boxes", ()), tuple(_number(side, float) for side in value.split(":")))
        elif key in given:
            faults.append(f"--emulate: {key} stands there twice")
        else:
            given[key] = _number(value, _NUMBERS[key]) if key in _NUMBERS else value
    if faults:
        raise ConfigurationError(*faults)
    try:
        return config.Emulate(**given)
    except ValidationError as fault_found:
        raise ConfigurationError(
            *(f"--emulate: {sentence}" for sentence in refusals.sentences(fault_found, unions={}))
        ) from fault_found


def sheet(
    pixels: Sequence[Pixels], spec: config.Emulate, seed: int, count: int, *, columns: int = 3, width: int = 480
) -> Pixels:
    """A contact sheet of emulated faults, each outlined in magenta, for an expert to look at before any training.

    Args:
        pixels: good pictures, taken in turn; uint8 RGB, of any size.
        spec: which fault, where.
        seed: of where they strike; the same seed gives the same sheet.
        count: how many are shown.
        columns: of the sheet.
        width: of each picture on it, in pixels; a height follows from the first one's.

    Returns:
        uint8 RGB, on a grey ground.

    Raises:
        ValueError: there are no pictures, or nothing to show.
        ConfigurationError: as :class:`Emulator` does.
    """
    if not pixels or count < 1 or columns < 1 or width < 1:
        raise ValueError("a sheet wants at least one picture, one column and one pixel")
    emulator = Emulator(spec)
    height = max(1, round(width * pixels[0].shape[0] / pixels[0].shape[1]))
    columns = min(columns, count)
    rows = -(-count // columns)
    page = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), _GROUND, np.uint8)
    for n in range(count):
        struck = emulator(pixels[n % len(pixels)], np.random.default_rng([seed, n]))
        row, column = divmod(n, columns)
        y, x = _GAP + row * (height + _GAP), _GAP + column * (width + _GAP)
        page[y : y + height, x : x + width] = _outlined(struck, height, width)
    return page


def _outlined(struck: Struck, height: int, width: int) -> Pixels:
    """The picture made small, with a line around what was touched."""
    size = (width, height)
    small = np.array(Image.fromarray(struck.pixels).resize(size, Image.Resampling.BOX))
    share = Image.fromarray(struck.touched.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
    inside = np.pad(np.asarray(share) > _HALF, 1)
    around = inside[:-2, 1:-1] | inside[2:, 1:-1] | inside[1:-1, :-2] | inside[1:-1, 2:]
    small[around & ~inside[1:-1, 1:-1]] = _OUTLINE
    return small
