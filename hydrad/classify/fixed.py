"""The same answer for every picture: for tests and benches."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

from hydrad.classify.labels import meaning_of
from hydrad.classify.specimen import specimen_without
from hydrad.domain import ModelCard, Picture, Prediction, Specimen
from hydrad.errors import BundleError, ConfigurationError
from hydrad.images import View

THRESHOLD = 0.5


class FixedClassifier:
    """Serves every plot with these scores; what a label means is told by its name.

    Args:
        scores: probability per label; they add up to one.
        model: what it calls itself.
    """

    def __init__(self, scores: Mapping[str, float], *, model: str = "fixed") -> None:
        total = math.fsum(scores.values())
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ConfigurationError(f"classify.scores: they add up to {total:g}, not to 1")
        self._scores = dict(scores)
        self._meanings = {label: meaning_of(label) for label in scores}
        self._card = ModelCard(
            id=model,
            labels=self._meanings,
            thresholds=dict.fromkeys(scores, THRESHOLD),
            architecture="fixed",
            runtime="fixed",
        )

        self._specimens = [specimen_without(self._card)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    @property
    def ticked_at(self) -> float:
        """Now: there is nothing in it that could hang."""
        return time.monotonic()

    def hands(self, plots: int) -> float:  # noqa: ARG002  however many
        """As many pictures as there are may be in hand: each is answered at once."""
        return math.inf

    async def run(self) -> None:
        """Wait for ever, as a root task does that has nothing to do."""
        await asyncio.Event().wait()

    def card(self, plot: str) -> ModelCard | None:  # noqa: ARG002  the same for every plot
        """The one model there is."""
        return self._card

    @property
    def specimens(self) -> Sequence[Specimen]:
        """What the way of images is tested with: of the answer nothing can be learned."""
        return self._specimens

    def named(self, model: str) -> ModelCard | None:
        """The one model there is, if it is called so."""
        return self._card if model == self._card.id else None

    async def examine(self, model: str, picture: Picture) -> Prediction:
        """The one answer there is."""
        return await self.classify(model, picture)

    def expecting(self, plot: str) -> AbstractContextManager[Sequence[View]]:  # noqa: ARG002  the same for every plot
        """It looks at nothing."""
        return nullcontext(())

    def shadows(self, plot: str) -> Sequence[ModelCard]:  # noqa: ARG002  the same for every plot
        """None."""
        return ()

    async def ask(self, shadow: str, picture: Picture) -> Prediction:  # noqa: ARG002  there is nobody to ask
        """Nobody's answer."""
        raise BundleError(f"no model {shadow!r} is in shadow")

    async def classify(self, plot: str, picture: Picture) -> Prediction:  # noqa: ARG002  the same for every picture
        """The one answer there is."""
        return Prediction(self._card.id, dict(self._scores), dict(self._meanings))
