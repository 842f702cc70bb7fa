"""What every classifier keeps to, whatever it knows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from classify_world import drawn

from hydrad.classify.fixed import FixedClassifier
from hydrad.classify.labels import meaning_of
from hydrad.classify.service import ModelService
from hydrad.domain import Picture
from hydrad.images import picture_of
from hydrad.ports import Classifier
from hydrad.train.assemble import random_bundle

pytestmark = [pytest.mark.keras]

LABELS = ("Good", "Bad", "NoData", "Cosmic")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_bundle("plain", LABELS, ["CDC_*"], tmp_path_factory.mktemp("models"), 64).folder


@asynccontextmanager
async def fixed(_folder: Path) -> AsyncIterator[Classifier]:
    with FixedClassifier({"Good": 0.7, "Bad": 0.1, "NoData": 0.1, "Cosmic": 0.1}) as classifier:
        task = asyncio.create_task(classifier.run())
        yield classifier
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def keras(folder: Path) -> AsyncIterator[Classifier]:
    with ModelService(batch=4, max_wait_ms=5.0) as service:
        await service.load(folder)
        task = asyncio.create_task(service.run())
        yield service
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


everyone = pytest.mark.parametrize("opened", [fixed, keras])


def picture(seed: int, *, width: int = 300, height: int = 200) -> Picture:
    return picture_of(drawn(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)))


@everyone
async def test_scores_are_probabilities_of_the_cards_labels(opened, folder: Path) -> None:
    async with opened(folder) as classifier:
        card = classifier.card("CDC_occupancy")
        assert card is not None
        prediction = await classifier.classify("CDC_occupancy", picture(1))

    assert prediction.model == card.id
    assert set(prediction.scores) == set(card.labels) == set(card.thresholds) == set(LABELS)
    assert all(0.0 <= score <= 1.0 for score in prediction.scores.values())
    assert sum(prediction.scores.values()) == pytest.approx(1.0, abs=1e-5)
    assert all(type(score) is float for score in prediction.scores.values())
    assert prediction.confidence == max(prediction.scores.values())


@everyone
async def test_meanings_are_those_of_the_card(opened, folder: Path) -> None:
    async with opened(folder) as classifier:
        card = classifier.card("CDC_occupancy")
        assert card is not None
        prediction = await classifier.classify("CDC_occupancy", picture(1))

    assert dict(prediction.meanings) == dict(card.labels) == {label: meaning_of(label) for label in LABELS}


@everyone
async def test_what_comes_with_the_scores_has_its_documented_shape(opened, folder: Path) -> None:
    async with opened(folder) as classifier:
        prediction = await classifier.classify("CDC_occupancy", picture(1))

    if prediction.heatmap is not None:
        assert prediction.heatmap.dtype == np.uint8
        assert prediction.heatmap.ndim == 2
    if prediction.embedding is not None:
        assert prediction.embedding.dtype == np.float32
        assert prediction.embedding.ndim == 1
    assert prediction.novelty is None or prediction.novelty >= 0.0


@everyone
async def test_many_at_once_get_the_answers_they_would_get_alone(opened, folder: Path) -> None:
    pictures = [picture(n, width=100 + 10 * n) for n in range(11)]
    async with opened(folder) as classifier:
        alone = [await classifier.classify("CDC_occupancy", one) for one in pictures]
        together = await asyncio.gather(*(classifier.classify("CDC_occupancy", one) for one in pictures))

    for one, other in zip(alone, together, strict=True):
        assert dict(one.scores) == pytest.approx(dict(other.scores), abs=1e-4)


@everyone
async def test_it_shows_that_it_lives(opened, folder: Path) -> None:
    async with opened(folder) as classifier:
        before = time.monotonic()
        await classifier.classify("CDC_occupancy", picture(1))
        async with asyncio.timeout(5):
            while classifier.ticked_at < before:  # noqa: ASYNC110  a port has no event for it
                await asyncio.sleep(0.01)
        assert classifier.ticked_at <= time.monotonic()


@everyone
async def test_the_card_says_what_computes(opened, folder: Path) -> None:
    async with opened(folder) as classifier:
        card = classifier.card("CDC_occupancy")
        assert card is not None
        assert card.runtime
        assert card.architecture
        assert all(0.0 <= threshold <= 1.0 for threshold in card.thresholds.values())
