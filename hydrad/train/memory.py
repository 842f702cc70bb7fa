"""What a training has learned so far, on disk: a stop costs the epoch under way and no more."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hydrad.errors import ConfigurationError, TryAgain

FILE: Final = "state.npz"

Values = list[npt.NDArray[Any]]


@dataclass(slots=True)
class State:
    """Where one attempt stands after a whole epoch."""

    attempt: int = 0
    epoch: int = 0  # whole ones
    curve: dict[str, list[float]] = field(default_factory=dict)
    best: tuple[float, float] | None = None  # balanced accuracy, and the validation loss with a minus
    best_epoch: int = 0
    best_weights: Values = field(default_factory=list)
    variables: Values = field(default_factory=list)  # of network and optimiser
    given_up: list[dict[str, Any]] = field(default_factory=list)  # ``seed`` and ``curve`` of each attempt before


class Memory:
    """Keeps the state in one file, which is always whole.

    Args:
        folder: where; nothing is kept when None.
        purpose: equal for trainings that may go on with each other's state.
    """

    def __init__(self, folder: Path | None, purpose: str) -> None:
        self._path = None if folder is None else folder / FILE
        self._purpose = hashlib.sha256(purpose.encode()).hexdigest()

    def keep(self, state: State) -> None:
        """Put it in the place of what was kept before; raises TryAgain when the disk does not take it."""
        if self._path is None:
            return
        words = {
            "purpose": self._purpose,
            "attempt": state.attempt,
            "epoch": state.epoch,
            "curve": state.curve,
            "best": state.best,
            "best_epoch": state.best_epoch,
            "given_up": state.given_up,
        }
        arrays = {f"best_{n}": value for n, value in enumerate(state.best_weights)}
        arrays |= {f"variable_{n}": value for n, value in enumerate(state.variables)}
        draft = self._path.with_suffix(".draft")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                np.savez(file, words=np.frombuffer(json.dumps(words).encode(), np.uint8), **arrays)  # type: ignore[arg-type]  # the stubs take a keyword for allow_pickle
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as fault:
            raise TryAgain(f"{self._path}: {fault.strerror or fault}") from fault

    def recall(self) -> State:
        """What was kept, or a beginning.

        Raises:
            ConfigurationError: it is of another training, or no longer readable.
        """
        if self._path is None or not self._path.exists():
            return State()
        try:
            with self._path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                words = json.loads(file["words"].tobytes())
                names = set(file.files)
                best = [file[f"best_{n}"] for n in range(sum(name.startswith("best_") for name in names))]
                variables = [file[f"variable_{n}"] for n in range(sum(name.startswith("variable_") for name in names))]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as fault:
            raise ConfigurationError(f"resume: {self._path} cannot be read: {fault}") from fault
        if words["purpose"] != self._purpose:
            raise ConfigurationError("resume: images, labels or settings are not those that it began with")
        score = words["best"]
        return State(
            words["attempt"], words["epoch"], words["curve"], None if score is None else (score[0], score[1]),
            words["best_epoch"], best, variables, words["given_up"],
        )  # fmt: skip
