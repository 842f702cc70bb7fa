"""Many models, few networks in memory: those used longest ago are closed, and are tested anew on need."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
from classify_world import Hall, brightness_bundle, picture, serving

from hydrad.classify import bundle as bundles
from hydrad.classify.shelf import OnNeed, Shelf
from hydrad.errors import BundleError

MODELS = 6


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    return [brightness_bundle(tmp_path, f"m{n}", (f"DET_{n}",)).folder for n in range(MODELS)]


def shelved(folder: Path, shelf: Shelf, hall: Hall) -> OnNeed:
    return OnNeed(bundles.read(folder), 4, open_runtime=hall._open, shelf=shelf)


async def test_each_plot_is_answered_by_its_model_although_few_are_open(models: list[Path]) -> None:
    hall = Hall(open_models=2)
    async with serving(hall.service):
        for folder in models:
            await hall.service.load(folder)
        first = dict(hall.runtimes)
        answers = await asyncio.gather(
            *(hall.service.classify(f"DET_{n % MODELS}", picture(240 if n % 2 else 10)) for n in range(4 * MODELS))
        )
    assert [answer.model for answer in answers] == [f"m{n % MODELS}" for n in range(4 * MODELS)]
    assert [answer.label for answer in answers] == ["Bad", "Good"] * (2 * MODELS)
    assert sum(hall.runtimes[name] is not first[name] for name in first) >= MODELS - 2


def test_the_one_used_longest_ago_gives_way_and_the_hot_ones_keep_their_memory(models: list[Path]) -> None:
    hall, shelf = Hall(), Shelf(open_models=3, hot=1)
    batch = np.full((1, *bundles.read(models[0]).manifest.preparation.shape), 200, np.uint8)
    a, b, c, d = (shelved(folder, shelf, hall) for folder in models[:4])
    assert [one.is_open for one in (a, b, c, d)] == [False, True, True, True]
    assert [hall.runtimes[f"m{n}"].rests for n in range(4)] == [1, 1, 1, 0]
    b.compute(batch)
    a.compute(batch)
    assert [one.is_open for one in (a, b, c, d)] == [True, True, False, True]
    assert shelf.open == 3


def test_what_was_let_go_by_everyone_is_not_kept_by_the_shelf(models: list[Path]) -> None:
    hall, shelf = Hall(), Shelf()
    gone = weakref.ref(shelved(models[0], shelf, hall))
    gc.collect()
    assert gone() is None
    assert shelf.open == 0


async def test_files_that_were_changed_since_serve_nobody_and_harm_no_other_model(models: list[Path]) -> None:
    hall = Hall(open_models=1)
    async with serving(hall.service):
        for folder in models[:2]:
            await hall.service.load(folder)
        path = models[0] / "golden.npz"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with pytest.raises(BundleError, match=r"golden\.npz"):
            await hall.service.classify("DET_0", picture(240))
        assert (await hall.service.classify("DET_1", picture(240))).model == "m1"


async def test_a_bundle_that_another_took_the_place_of_does_not_serve_in_its_name(
    models: list[Path], tmp_path: Path
) -> None:
    hall = Hall(open_models=1)
    async with serving(hall.service):
        for folder in models[:2]:
            await hall.service.load(folder)
        models[0].rename(tmp_path / "old")
        brightness_bundle(tmp_path, "m0", ("DET_0",), day=2)
        with pytest.raises(BundleError, match="has other files now than when it came into service"):
            await hall.service.classify("DET_0", picture(240))
