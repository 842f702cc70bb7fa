"""What a daemon died of is computed alone, and then no more; what only fails spoils nothing beside it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from classify_world import BrightnessRuntime, brightness_bundle, picture, serving

from hydrad.classify import loaded
from hydrad.classify.bundle import Bundle
from hydrad.classify.runtime import Answers, Batch, NoRoom
from hydrad.classify.service import ModelService
from hydrad.deaths import MOST_DEATHS, Deaths
from hydrad.domain import Picture, Prediction
from hydrad.errors import BundleError

DARK = 10  # what the networks of these tests stumble over


DIES = """
import os, sys
from pathlib import Path
from hydrad.deaths import Deaths
with Deaths(Path(sys.argv[1])) as deaths, deaths.survived(sys.argv[2:]):
    os._exit(9)
"""


def dies_in(note: Path, *names: str) -> None:
    """A process begins to compute these and is no more."""
    assert subprocess.run([sys.executable, "-c", DIES, str(note), *names], check=False).returncode == 9


def test_what_was_in_hand_at_a_death_is_suspect_and_after_another_hopeless(tmp_path: Path) -> None:
    note = tmp_path / "in-hand"
    dies_in(note, "a", "b")
    with Deaths(note) as deaths:
        assert [deaths.suspect(name) for name in "abc"] == [True, True, False]
        assert not deaths.hopeless("a")
        with deaths.survived(["b"]):
            pass
        assert not deaths.suspect("b")
    dies_in(note, "a")
    with Deaths(note) as deaths:
        assert deaths.hopeless("a")
        assert not deaths.suspect("b")
    assert MOST_DEATHS == 2


def test_an_orderly_end_and_a_failure_are_no_deaths(tmp_path: Path) -> None:
    note = tmp_path / "in-hand"
    with Deaths(note) as deaths:
        with deaths.survived(["a"]):
            pass
        with pytest.raises(BundleError), deaths.survived(["b"]):
            raise BundleError("it could not")
    with Deaths(note) as deaths:
        assert not any(map(deaths.suspect, "ab"))


def test_a_picture_that_was_in_hand_twice_has_one_death(tmp_path: Path) -> None:
    note = tmp_path / "in-hand"
    dies_in(note, "a", "a")
    with Deaths(note) as deaths:
        assert deaths.suspect("a")
        assert not deaths.hopeless("a")


def test_threads_have_a_suspect_in_hand_alone_and_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    note = tmp_path / "in-hand"
    dies_in(note, "a", "b")
    together: set[frozenset[str]] = set()
    survived = Counter[str]()
    in_hand: list[str] = []
    with Deaths(note, most=3) as deaths, ThreadPoolExecutor(4) as pool:

        def compute(name: str) -> None:
            with deaths.survived([name]):
                in_hand.append(name)
                time.sleep(0.002)
                together.add(frozenset(in_hand))
                in_hand.remove(name)
            survived[name] += 1

        innocent = [f"n{n}" for n in range(100)]
        for _ in pool.map(compute, [*innocent[:20], "a", *innocent[20:60], "b", *innocent[60:]]):
            pass
        assert {"a"} in together
        assert {"b"} in together
        assert all(len(names) == 1 for names in together if names & {"a", "b"})
        assert max(map(len, together)) > 1
        assert survived == Counter([*innocent, "a", "b"])
        assert not any(map(deaths.suspect, "ab"))
        assert note.read_text()[0] == "\0"


def test_files_of_another_kind_and_a_folder_that_is_away_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "in-hand.deaths").write_text("no JSON")
    (tmp_path / "in-hand").write_bytes(b"\xff\x00\n")
    for note in (tmp_path / "in-hand", tmp_path / "nowhere" / "in-hand"):
        with Deaths(note) as deaths, deaths.survived(["a"]):
            assert not deaths.hopeless("a")


class Stumbling(BrightnessRuntime):
    """A network that is given a batch with dark pictures in it and does as the test says."""

    stumble: Callable[[], object] = staticmethod(lambda: None)

    def compute(self, batch: Batch) -> Answers:
        if self.warmed and (batch.reshape(len(batch), -1).mean(axis=1) < DARK + 5).any():
            self.sizes.append(len(batch))
            self.stumble()
        return super().compute(batch)


class Narrow(BrightnessRuntime):
    """A network for which there is not always memory."""

    most = 2

    def compute(self, batch: Batch) -> Answers:
        if self.warmed and len(batch) > self.most:
            self.sizes.append(len(batch))
            raise NoRoom(f"no memory for {len(batch)}")
        return super().compute(batch)


class Misshapen(BrightnessRuntime):
    """A network that leaves an answer out."""

    def compute(self, batch: Batch) -> Answers:
        answers = super().compute(batch)
        return replace(answers, scores=answers.scores[:, :1]) if self.warmed else answers


runtimes: list[BrightnessRuntime] = []


def of(kind: type[BrightnessRuntime], models: Path, note: Path | None = None, batch: int = 8) -> ModelService:
    def opened(bundle: Bundle, most: int) -> BrightnessRuntime:
        runtimes[:] = [kind(bundle, most)]
        return runtimes[0]

    if not models.exists():
        brightness_bundle(models)
    return ModelService(batch=batch, max_wait_ms=500.0, open_runtime=opened, in_hand=note)


def shade(brightness: int) -> Picture:
    return replace(picture(brightness), pixels_digest=f"{brightness:064x}")


async def said(service: ModelService, *shades: int) -> list[Prediction | BaseException]:
    asked = (service.classify(f"P{n}", shade(brightness)) for n, brightness in enumerate(shades))
    return await asyncio.gather(*asked, return_exceptions=True)


def raising(fault: BaseException) -> Callable[[], object]:
    def stumble() -> None:
        raise fault

    return stumble


@pytest.mark.parametrize(
    "fault", [BundleError("no"), RuntimeError("no"), KeyError("no"), MemoryError(), FloatingPointError("no")], ids=repr
)
async def test_a_picture_that_cannot_be_computed_takes_no_other_with_it(tmp_path: Path, fault: Exception) -> None:
    async with serving(service := of(Stumbling, tmp_path / "models")):
        await service.load(tmp_path / "models" / "brightness")
        runtimes[0].stumble = raising(fault)  # type: ignore[attr-defined]
        answers = await said(service, 200, 201, DARK, 203, 204, 205, 206, 207)
        runtimes[0].stumble = lambda: None  # type: ignore[attr-defined]
        (healed,) = await said(service, DARK)

    assert [isinstance(one, BundleError) for one in answers] == [n == 2 for n in range(8)]
    assert isinstance(healed, Prediction)


async def test_without_memory_for_a_batch_fewer_are_computed_at_once_and_later_more_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(service := of(Narrow, tmp_path / "models")):
        await service.load(tmp_path / "models" / "brightness")
        for _ in range(2):
            assert not [one for one in await said(service, *range(200, 208)) if isinstance(one, BaseException)]
        sizes = list(runtimes[0].sizes)
        runtimes[0].sizes.clear()
        Narrow.most = 8
        monkeypatch.setattr(loaded, "RELIEF_S", 0.0)
        service._served["brightness"].lacks_room(4)
        await said(service, *range(200, 208))

    assert sizes[:3] == [8, 4, 2]
    assert sizes.count(8) == 1, "what there was no room for is not tried each time"
    assert runtimes[0].sizes == [8]


async def test_answers_of_another_shape_are_none(tmp_path: Path) -> None:
    async with serving(service := of(Misshapen, tmp_path / "models")):
        await service.load(tmp_path / "models" / "brightness")
        answers = await said(service, 200, 201)
    assert all(
        isinstance(one, BundleError) and "of shape (1, 1) for 1 images and 2 labels" in str(one) for one in answers
    )


@pytest.fixture
def dead(tmp_path: Path) -> Iterator[Path]:
    """The note of a daemon that died of three pictures."""
    note = tmp_path / "in-hand"
    dies_in(note, *(f"brightness/{shade(n).pixels_digest}" for n in (200, DARK, 202)))
    return note


async def test_what_a_daemon_died_of_is_computed_alone_and_what_kills_again_no_more(tmp_path: Path, dead: Path) -> None:
    in_hand: list[str] = []
    async with serving(service := of(Stumbling, tmp_path / "models", dead)):
        await service.load(tmp_path / "models" / "brightness")
        runtimes[0].stumble = lambda: in_hand.append(dead.read_text().partition("\0")[0])  # type: ignore[attr-defined]
        assert not [one for one in await said(service, 200, 201, DARK, 202, 203) if isinstance(one, BaseException)]
        assert runtimes[0].sizes[-4:].count(1) >= 3
    assert in_hand == [f"brightness/{shade(DARK).pixels_digest}"], "alone"

    for _ in range(MOST_DEATHS):
        dies_in(dead, in_hand[0])
    async with serving(service := of(Stumbling, tmp_path / "models", dead)):
        await service.load(tmp_path / "models" / "brightness")
        runtimes[0].stumble = raising(AssertionError("it was computed again"))  # type: ignore[attr-defined]
        good, hopeless = await said(service, 200, DARK)
        assert runtimes[0].sizes == [1]
    assert isinstance(good, Prediction)
    assert str(hopeless) == "the daemon ended 2 times while model 'brightness' computed it"


async def test_a_shadow_that_two_daemons_died_of_is_asked_no_more_and_one_that_is_survived_is(tmp_path: Path) -> None:
    note = tmp_path / "in-hand"
    dies_in(note, "brightness")
    for times, answers in ((1, Prediction), (2, BundleError)):
        for _ in range(times - 1):
            dies_in(note, "brightness")
            dies_in(note, "brightness")
        async with serving(service := of(Stumbling, tmp_path / "models", note)):
            service.swap(shadow=[await service.prepare(tmp_path / "models" / "brightness")])
            (said_,) = await asyncio.gather(service.ask("brightness", shade(200)), return_exceptions=True)
        assert isinstance(said_, answers)
