"""`hydrad` with a network, or a decoder, that does what the file ``fault`` beside hydra.toml says.

The file holds a word, e.g. one of :data:`BEFORE`, and after it ``all``, or nothing for pictures that are
:func:`deadly`; a word that begins with ``decoder_`` befalls the decoder, at the deadly. A file ``loading`` holds up the
loading of models, which a file ``loads`` tells of; ``blocking`` holds a number of seconds for which the event loop
stands still, once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from classify_world import BrightnessRuntime

from hydrad import app, cli, image_files, images
from hydrad.classify.bundle import Bundle
from hydrad.classify.keras_runtime import could_not_compute
from hydrad.classify.runtime import Answers, Batch
from hydrad.endings import Frame
from hydrad.rounds import Rounds

HOME = Path(sys.argv[-1]).parent  # of hydra.toml
DEADLY_BLUE = 99
ROOM = 2  # pictures at once that there is memory for


class ResourceExhaustedError(RuntimeError):
    """Named as TensorFlow's, which would take seconds to import; keras's tests meet the real one."""


def deadly(batch: Batch) -> np.ndarray:
    """Which pictures have the colour that was agreed upon."""
    blue = np.median(batch[..., 2].reshape(len(batch), -1), axis=1)
    return np.abs(blue - DEADLY_BLUE) < 3


def raises() -> NoReturn:
    raise RuntimeError("the network stumbled")


def lacks_memory() -> NoReturn:
    raise MemoryError


def hangs() -> None:
    while True:
        time.sleep(1)


def crashes() -> None:
    ctypes.string_at(0)  # as native code does: a signal sent with kill() may be taken by another thread, later


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


BEFORE: dict[str, Callable[[], None]] = {
    "raises": raises, "lacks_memory": lacks_memory, "hangs": hangs, "crashes": crashes, "is_killed": is_killed,
}  # fmt: skip


def fault() -> list[str]:
    """The words of the file."""
    return (HOME / "fault").read_text().split() if (HOME / "fault").exists() else []


def shown(frame: Frame, essence: bytes, views: Iterable[images.View]) -> images.Shown:
    """Decode, and ask the file when it is done."""
    found = images.shown(frame, essence, views)
    for word in fault()[:1]:
        if word.startswith("decoder_") and deadly(images.pixels_of(essence)[None]).any():
            BEFORE[word.removeprefix("decoder_")]()
    return found


class FaultyRuntime(BrightnessRuntime):
    """Asks the file before each batch."""

    def compute(self, batch: Batch) -> Answers:
        words = fault() if self.warmed else []
        hit = np.ones(len(batch), bool) if "all" in words else deadly(batch)
        if words and hit.any():
            if words[0] in BEFORE:
                BEFORE[words[0]]()
            if words[0] == "out_of_memory" and len(batch) > ROOM:
                full = ResourceExhaustedError("OOM when allocating tensor\nwith shape [32,3,224,224]")
                raise could_not_compute(self.bundle.id, full) from full
        answers = super().compute(batch)
        if words and words[0] == "nan":
            answers.scores[hit] = np.nan
        if words and words[0] == "misshapes" and hit.any():
            return replace(answers, scores=answers.scores[:, :1])
        return answers


def opened(bundle: Bundle, batch: int) -> FaultyRuntime:
    (HOME / "loads").touch()
    while (HOME / "loading").exists():
        time.sleep(0.02)
    return FaultyRuntime(bundle, batch)


_once = Rounds.once


async def once(rounds: Rounds) -> None:
    """A round, before which the event loop may stand still."""
    blocking = HOME / "blocking"
    if blocking.exists():
        seconds = float(blocking.read_text())
        blocking.unlink()
        time.sleep(seconds)
    await _once(rounds)


Rounds.once = once  # type: ignore[method-assign]
image_files.shown = shown  # type: ignore[attr-defined]
with patch.object(app, "Opener", lambda *_: opened):  # which fails where the daemon has no such door
    sys.exit(cli.main())
