"""What is fuzzed: the decoder, and what each layout reads in a name. A target asserts what must hold."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import hostile_images
import numpy as np
from hostile_images import mended

from hydrad.config import Watch
from hydrad.errors import UnfinishedImage, UnreadableImage
from hydrad.images import picture_of, pixels_of
from hydrad.ioc.names import LONGEST
from hydrad.ioc.names import Names as PvNames
from hydrad.store.columns import digest, escape, unescape
from hydrad.watchers.layouts import Names

Target = Callable[[bytes], None]
MAX_PIXELS: Final = 4_000_000  # a fuzzer is to look at many files, not at large ones
ROOT: Final = "/data/Run3/monitoring"
NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
PV: Final = re.compile(rf"[A-Z0-9_:]{{1,{LONGEST}}}")
LAYOUTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "rsai": {"layout": "rsai"},
    "mon12": {"layout": "mon12"},
    "panguin": {"layout": "panguin"},
    "plain": {"layout": "plain"},
    "pattern": {
        "pattern": r"(?P<plot>[^/]*)@(?P<time>[^/]*)#(?P<run>[^/]*)-(?P<chunk>[^/]*)\.",
        "time_format": "%Y%m%d %H%M%S%z",
    },
    "pattern_of_paths": {
        "pattern": r"r(?P<run>\w+)/(?P<plot>[^/]*)/(?P<time>[^/]*)\.",
        "time_format": "%j %y %I %p",
    },
}


def decoder(data: bytes) -> None:
    """Any file becomes a picture, or is unfinished or unreadable with a reason."""
    try:
        pixels, picture = pixels_of(data, max_pixels=MAX_PIXELS), picture_of(data, max_pixels=MAX_PIXELS)
    except (UnfinishedImage, UnreadableImage) as why:
        if not str(why).isprintable() or not str(why):
            raise AssertionError(f"{why!r} is no sentence") from why
        return
    height, width, channels = pixels.shape
    assert channels == 3
    assert 1 <= height * width <= MAX_PIXELS
    assert (picture.width, picture.height) == (width, height)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert not pixels.flags.writeable
    assert picture.format in {"png", "jpeg", "gif"}
    assert picture.data is data


def name_of(layout: str) -> Target:
    """Any path below the root says which plot it is of, by a name that the rest of the house can bear."""
    names = Names(Watch(root=Path(ROOT), **LAYOUTS[layout]), ZoneInfo("America/New_York"))

    def name(data: bytes) -> None:
        below = os.fsdecode(data.replace(b"\0", b"")).strip("/")
        path = f"{ROOT}/{below}.png"
        names.wants_path(path)
        caption = names.caption(path, now=NOW)
        _assert_bearable(caption.plot)
        for number in (caption.run, caption.chunk):
            assert number is None or 0 <= number <= 999_999_999
        assert caption.taken_at is None or caption.taken_at <= NOW

    return name


def _assert_bearable(plot: str) -> None:
    assert plot
    assert plot.isprintable()
    assert "/" not in plot
    assert plot.encode().decode() == plot
    assert unescape(escape(plot)) == plot
    assert digest(plot) != digest(f"{plot}_")
    detector = plot.split("_", 1)[0] or plot
    pvs = PvNames("HYDRA:D:")
    for pv in (pvs.detector(detector), f"{pvs.plot(plot, detector)}:OFFDELAY", pvs.threshold(plot, detector, "NoData")):
        assert PV.fullmatch(pv), pv


__all__ = ["TARGETS", "mended", "seeds"]
TARGETS: Final[Mapping[str, Target]] = {"decoder": decoder, **{layout: name_of(layout) for layout in LAYOUTS}}

_NAMES: Final = """
CDC_occupancy_0003|Run012345/CDC_occupancy-07_0003|run 7/FCAL-straws_99999|CDC_٠٠٠١|_0001|..| |Δ_ßﬁ|a/b/c/d/e/f/g/h|
clas12mon_11_10-17-2017_06.09.49_PM/Faraday Cup_canvas0|mon_0_02-30-2018_12.00.00_AM/DC|
x_1_01-01-0001_01.00.00_AM/y|mon_5_11-01-2026_01.30.00_AM/DC|hydra_123_page2_pad7_0004|hydra_1_2_3|hydra_1234567890_x|
hydra__|CDC@20261123 070102Z#111652-3.x|CDC@00010101 000000+2359#1-1.|@#-.|r12/CDC_x/001 26 07 AM.x|r/ /366 25 12 PM.|
CDC:x_THRESH:Bad|BEAM_STATE
"""


def seeds(target: str) -> list[bytes]:
    """What a target is tried with first: the shortest way to every corner that somebody thought of."""
    if target != "decoder":
        odd = [
            b"CDC\xff_\xc3\xa9_0001",
            b"\xed\xa0\x80_1",
            b"",
            b"a" * 250,
            "a\nb\x1b[31m_\u202e\u2028\x85\xa0".encode(),
        ]
        return odd + [name.encode() for name in _NAMES.replace("\n", "").split("|")]
    whole = hostile_images.seeds()
    odd = hostile_images.oddities()
    return [*whole.values(), *(data for data in odd.values() if len(data) < 20_000), b"\xff\xd8" + b"\xff" * 200]
