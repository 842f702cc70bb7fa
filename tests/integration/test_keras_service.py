"""Several networks serve side by side, and change places without a gap."""

from __future__ import annotations

import asyncio
import shutil
import weakref
from pathlib import Path

import numpy as np
import psutil
import pytest
from classify_world import drawn, serving

from hydrad.classify import bundle
from hydrad.classify.bench import compare
from hydrad.classify.service import ModelService
from hydrad.domain import Picture
from hydrad.errors import BundleError
from hydrad.images import picture_of
from hydrad.train.assemble import random_bundle

pytestmark = [pytest.mark.keras]

LABELS = ("Good", "Bad", "NoData")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    random_bundle("plain", LABELS, ["*"], folder, 64, model_id="small")
    random_bundle("plain", LABELS, ["*"], folder, 64, model_id="successor", seed=1)
    return folder


def picture(seed: int) -> Picture:
    return picture_of(drawn(np.random.default_rng(seed).integers(0, 256, (200, 300, 3), np.uint8)))


@pytest.mark.timeout(240)
async def test_inception_at_299_pixels_serves_beside_the_small_one(models: Path, tmp_path: Path) -> None:
    large = random_bundle("InceptionV3", LABELS, ["FDC_*"], tmp_path, 299, model_id="inception")
    async with serving(service := ModelService(batch=4)):
        await service.load(models / "small")
        card = await service.load(large.folder)
        assert card.architecture == "InceptionV3"
        answers = await asyncio.gather(
            *(service.classify(plot, picture(n)) for n, plot in enumerate(["CDC_time", "FDC_time"] * 3))
        )

    assert [answer.model for answer in answers] == ["small", "inception"] * 3
    small, inception = answers[0], answers[1]
    assert small.heatmap is not None
    assert small.heatmap.shape == (8, 8)
    assert inception.heatmap is not None
    assert inception.heatmap.shape == (8, 8)
    assert inception.embedding is not None
    assert inception.embedding.shape == (2048,)


async def test_models_change_places_under_load_without_a_lost_picture(models: Path) -> None:
    async with serving(service := ModelService(batch=4)):
        await service.load(models / "small")
        stop = asyncio.Event()
        seen: list[str] = []

        async def stream(plot: str) -> None:
            while not stop.is_set():
                seen.append((await service.classify(plot, picture(1))).model)

        async with asyncio.TaskGroup() as group:
            for n in range(6):
                group.create_task(stream(f"P{n}"))
            await service.load(models / "successor", replaces="small")
            async with asyncio.timeout(30):
                while seen[-6:].count("successor") < 6:  # noqa: ASYNC110  answers have no event
                    await asyncio.sleep(0.005)
            stop.set()

    assert seen.count("small") > 0
    assert [card.id for card in service.cards] == ["successor"]


async def test_a_network_that_gives_other_answers_than_where_it_was_made_is_refused(
    models: Path, tmp_path: Path
) -> None:
    small, successor = bundle.read(models / "small"), bundle.read(models / "successor")
    mixed = bundle.write(
        tmp_path,
        small.manifest.model_copy(update={"id": "mixed"}),
        {"model.keras": successor.model, "golden.npz": small.folder / "golden.npz"},
    )
    async with serving(service := ModelService(batch=4)):
        await service.load(models / "small")
        with pytest.raises(BundleError, match="model 'mixed' refused: its self-test failed"):
            await service.load(mixed.folder, replaces="small")
        assert (await service.classify("A", picture(1))).model == "small"


async def test_a_torn_network_is_refused_before_keras_sees_it(models: Path, tmp_path: Path) -> None:
    torn = tmp_path / "small"
    shutil.copytree(models / "small", torn)
    with (torn / "model.keras").open("r+b") as file:
        file.truncate(1000)
    async with serving(service := ModelService(batch=4)):
        with pytest.raises(BundleError, match=r"model\.keras is not the file it was"):
            await service.load(torn)
        assert service.card("A") is None


async def test_the_bench_counts_both_ways_on_the_same_files(models: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.png" for n in range(12)]
    for n, path in enumerate(files):
        path.write_bytes(picture(n).data)
    figures = await compare(models / "small", "A", files, batch=4)

    assert figures["images"] == 12
    assert figures["model"] == "small"
    assert float(figures["baseline_per_s"]) > 0
    assert float(figures["ratio"]) == pytest.approx(float(figures["service_per_s"]) / float(figures["baseline_per_s"]))


async def test_ten_promotions_leave_no_network_behind(models: Path) -> None:
    gone: list[weakref.ref[object]] = []
    sizes: list[int] = []
    async with serving(service := ModelService(batch=4)):
        await service.load(models / "small")
        for n in range(10):
            old, new = ("small", "successor") if n % 2 == 0 else ("successor", "small")
            gone.append(weakref.ref(service._served[old].runtime))
            await service.load(models / new, replaces=old)
            assert (await service.classify("A", picture(n))).model == new
            async with asyncio.timeout(20):
                while any(one() is not None for one in gone):  # noqa: ASYNC110  memory has no event
                    await asyncio.sleep(0.02)
            sizes.append(psutil.Process().memory_info().rss)

    assert sizes[-1] - sizes[2] < 30_000_000  # bytes
