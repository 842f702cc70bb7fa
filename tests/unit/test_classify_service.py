"""The service gathers pictures into batches and keeps one model's trouble from the others."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from classify_world import PREPARATION, Hall, brightness_bundle, nothing, picture, serving

from hydrad.classify.service import ModelService
from hydrad.domain import Meaning
from hydrad.errors import BundleError
from hydrad.images import picture_of


async def until(condition: Callable[[], bool], deadline_s: float = 5.0) -> None:
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.001)


async def test_a_picture_gets_its_models_answer(tmp_path: Path) -> None:
    hall = Hall()
    async with serving(hall.service):
        card = await hall.service.load(brightness_bundle(tmp_path).folder)
        good, bad = await asyncio.gather(
            hall.service.classify("A", picture(240)), hall.service.classify("B", picture(10))
        )

    assert card == hall.service.cards[0]
    assert card.thresholds == {"Good": 0.5, "Bad": 0.6}
    assert (good.label, good.meaning, good.model) == ("Good", Meaning.GOOD, "brightness")
    assert bad.label == "Bad"
    assert sum(bad.scores.values()) == pytest.approx(1.0)
    assert hall.runtimes["brightness"].threads == {"hydrad-inference_0"}


async def test_a_lone_picture_does_not_wait_for_company(tmp_path: Path) -> None:
    hall = Hall(max_wait_ms=1000.0)
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path).folder)
        started = time.monotonic()
        await hall.service.classify("A", picture())
        took_s = time.monotonic() - started

    assert took_s < 0.5


async def test_pictures_of_different_plots_share_batches(tmp_path: Path) -> None:
    hall = Hall(batch=8, max_wait_ms=500.0)
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path).folder)
        await asyncio.gather(*(hall.service.classify(f"P{n}", picture()) for n in range(24)))

    sizes = hall.runtimes["brightness"].sizes
    assert sum(sizes) == 24
    assert sizes == [8, 8, 8]


async def test_a_batch_waits_for_a_picture_that_is_being_read_but_not_for_long(tmp_path: Path) -> None:
    hall = Hall(max_wait_ms=200.0)
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path).folder)
        with hall.service.expecting("B") as views:
            first = asyncio.create_task(hall.service.classify("A", picture()))
            await until(lambda: bool(hall.service._served["brightness"].waiting))
            second = picture_of(picture().data, views)
        await hall.service.classify("B", second)
        await first
        together = list(hall.runtimes["brightness"].sizes)
        with hall.service.expecting("B"):
            await hall.service.classify("A", picture())

    assert together == [2]
    assert hall.runtimes["brightness"].sizes == [2, 1]


async def test_what_was_made_of_a_picture_while_it_was_read_is_what_the_model_looks_at(tmp_path: Path) -> None:
    hall = Hall()
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path).folder)
        with hall.service.expecting("A") as views:
            ready = picture_of(picture(240).data, views)
        answer = await hall.service.classify("A", replace(ready, data=b"not read again"))
        with pytest.raises(BundleError, match="could not be decoded again: it is no PNG"):
            await hall.service.classify("A", replace(ready, data=b"not read again", views={}))

    assert list(ready.views) == [PREPARATION]
    assert answer.label == "Good"


async def test_what_models_in_shadow_look_at_is_wanted_too_and_of_other_plots_nothing(tmp_path: Path) -> None:
    hall = Hall()
    with hall.service as service:
        larger = PREPARATION.model_copy(update={"width": 64})
        shadow = brightness_bundle(tmp_path, "shadow", ("A",), preparation=larger)
        await service.load(brightness_bundle(tmp_path, plots=("A", "B")).folder)
        service.swap(shadow=[await service.prepare(shadow.folder)])
        wanted = {}
        for plot in "ABC":
            with service.expecting(plot) as views:
                wanted[plot] = list(views)

    assert wanted == {"A": [PREPARATION, larger], "B": [PREPARATION], "C": []}


async def test_a_model_that_goes_while_a_picture_is_read_leaves_it_to_its_successor(tmp_path: Path) -> None:
    hall = Hall()
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path, "first").folder)
        with hall.service.expecting("A") as views:
            ready = picture_of(picture(240).data, views)
            await hall.service.load(brightness_bundle(tmp_path, "second", day=2).folder, replaces="first")
        answer = await hall.service.classify("A", ready)
        await until(lambda: not hall.service._retired)

    assert answer.model == "second"


async def test_what_arrives_while_a_batch_runs_makes_the_next_one(tmp_path: Path) -> None:
    hall = Hall(batch=8, max_wait_ms=0.0)
    gate = threading.Event()
    hall.before = lambda _size: gate.wait(5)
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path).folder)
        first = asyncio.create_task(hall.service.classify("A", picture()))
        await until(lambda: hall.runtimes["brightness"].sizes == [1])
        rest = [asyncio.create_task(hall.service.classify("A", picture())) for _ in range(5)]
        served = hall.service._served["brightness"]
        await until(lambda: len(served.waiting) == 5)
        gate.set()
        await asyncio.gather(first, *rest)

    assert hall.runtimes["brightness"].sizes == [1, 5]


async def test_a_full_batch_is_in_hand_while_another_is_computed_and_one_that_may_grow_is_not(tmp_path: Path) -> None:
    hall = Hall(batch=4, max_wait_ms=0.0)
    gate = threading.Event()
    hall.before = lambda _size: gate.wait(5)
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path).folder)
        served = hall.service._served["brightness"]
        first = asyncio.create_task(hall.service.classify("A", picture()))
        await until(lambda: served.computing == 1)
        rest = [asyncio.create_task(hall.service.classify("A", picture())) for _ in range(7)]
        await until(lambda: (served.computing, len(served.waiting)) == (5, 3))
        last = asyncio.create_task(hall.service.classify("A", picture()))
        await until(lambda: len(served.waiting) == 4)
        hall.before = lambda _size: None
        gate.set()
        await asyncio.gather(first, *rest, last)
        assert not served.busy

    assert hall.runtimes["brightness"].sizes == [1, 4, 4]
    assert len(hall.runtimes["brightness"].threads) == 1


async def test_a_lone_picture_of_one_model_waits_for_two_batches_of_another_at_most(tmp_path: Path) -> None:
    hall = Hall(batch=2, max_wait_ms=0.0)
    gate = threading.Event()
    order: list[tuple[str, int]] = []
    async with serving(hall.service):
        for name in "ab":
            await hall.service.load(brightness_bundle(tmp_path, name, (f"{name}_*",)).folder)
            hall.runtimes[name].before = lambda size, name=name: (order.append((name, size)), gate.wait(5))
        crowded, quiet = (hall.service._served[name] for name in "ab")
        asked = [asyncio.create_task(hall.service.classify("a_1", picture()))]
        await until(lambda: crowded.computing == 1)
        asked += [asyncio.create_task(hall.service.classify("a_1", picture())) for _ in range(2)]
        await until(lambda: crowded.computing == 3)
        asked += [asyncio.create_task(hall.service.classify("b_1", picture()))]
        await until(lambda: len(quiet.waiting) == 1)
        asked += [asyncio.create_task(hall.service.classify("a_1", picture())) for _ in range(6)]
        await until(lambda: len(crowded.waiting) == 6)
        gate.set()
        await asyncio.gather(*asked)

    assert order == [("a", 1), ("a", 2), ("b", 1), ("a", 2), ("a", 2), ("a", 2)]


async def test_a_batch_that_fails_fails_only_its_own(tmp_path: Path) -> None:
    hall = Hall()
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path, "sound", ("A",)).folder)
        await hall.service.load(brightness_bundle(tmp_path, "broken", ("B",)).folder)

        def fail(size: int) -> None:
            raise BundleError(f"no memory for {size}")

        hall.runtimes["broken"].before = fail
        sound, broken = await asyncio.gather(
            hall.service.classify("A", picture()), hall.service.classify("B", picture()), return_exceptions=True
        )
        hall.runtimes["broken"].before = nothing
        healed = await hall.service.classify("B", picture())

    assert not isinstance(sound, BaseException)
    assert isinstance(broken, BundleError)
    assert "no memory for 1" in str(broken)
    assert healed.model == "broken"


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
async def test_a_score_that_is_no_number_is_never_an_answer(tmp_path: Path, poison: float) -> None:
    hall = Hall()
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path).folder)
        hall.runtimes["brightness"].poison = poison
        good, bad = await asyncio.gather(
            hall.service.classify("A", picture(240)), hall.service.classify("A", picture(10)), return_exceptions=True
        )

    assert not isinstance(good, BaseException)
    assert isinstance(bad, BundleError)
    assert "no numbers" in str(bad)


async def test_the_most_specific_pattern_serves_a_plot(tmp_path: Path) -> None:
    hall = Hall()
    with hall.service as service:
        for name, plots, day in (
            ("exact", ("CDC_occupancy",), 1),
            ("detector", ("CDC_*",), 1),
            ("all", ("*",), 1),
            ("newer", ("*",), 2),
        ):
            await service.load(brightness_bundle(tmp_path, name, plots, day).folder)

        def of(plot: str) -> str:
            card = service.card(plot)
            assert card is not None
            return card.id

        assert [of("CDC_occupancy"), of("CDC_time"), of("FDC_time")] == ["exact", "detector", "newer"]


async def test_whoever_served_a_plot_before_models_changed_places_is_asked_no_more(tmp_path: Path) -> None:
    hall = Hall()
    with hall.service as service:
        assert service.card("CDC_time") is None
        for name, plots in (("all", ("*",)), ("detector", ("CDC_*",)), ("exact", ("CDC_time",))):
            await service.load(brightness_bundle(tmp_path, name, plots).folder)
            card = service.card("CDC_time")
            assert card is not None
            assert card.id == name
        for name, left in (("exact", "detector"), ("all", "detector"), ("detector", None)):
            service.retire(name)
            card = service.card("CDC_time")
            assert (card and card.id) == left


async def test_a_plot_without_a_model_has_no_card_and_no_answer(tmp_path: Path) -> None:
    hall = Hall()
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path, plots=("CDC_*",)).folder)
        assert hall.service.card("FDC_time") is None
        with pytest.raises(BundleError, match="no model serves FDC_time"):
            await hall.service.classify("FDC_time", picture())


async def test_plots_may_be_given_at_loading(tmp_path: Path) -> None:
    hall = Hall()
    with hall.service as service:
        await service.load(brightness_bundle(tmp_path).folder, plots=["CDC_time"])
        assert service.card("CDC_time") is not None
        assert service.card("CDC_occupancy") is None


async def test_a_refused_bundle_leaves_the_one_in_service(tmp_path: Path) -> None:
    hall = Hall()
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path, "sound").folder)
        lying = brightness_bundle(tmp_path, "lying", lie=0.5).folder
        with pytest.raises(
            BundleError, match=r"model 'lying' refused: its self-test failed: golden image . is off by 0\.5"
        ):
            await hall.service.load(lying, replaces="sound")
        torn = brightness_bundle(tmp_path, "torn").folder
        (torn / "model.keras").write_bytes(b"brightnesz")
        with pytest.raises(BundleError, match=r"model 'torn' refused: model.keras is not the file it was"):
            await hall.service.load(torn, replaces="sound")

        assert (await hall.service.classify("A", picture())).model == "sound"


async def test_pictures_that_wait_for_a_replaced_model_are_answered_by_it(tmp_path: Path) -> None:
    hall = Hall(batch=4, max_wait_ms=0.0)
    gate = threading.Event()
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path, "old").folder)
        successor = brightness_bundle(tmp_path, "new").folder
        hall.before = lambda _size: gate.wait(5)
        first = asyncio.create_task(hall.service.classify("A", picture()))
        await until(lambda: hall.runtimes["old"].sizes == [1])
        second = asyncio.create_task(hall.service.classify("A", picture()))
        await until(lambda: len(hall.service._served["old"].waiting) == 1)

        await hall.service.load(successor, replaces="old")
        third = asyncio.create_task(hall.service.classify("A", picture()))
        gate.set()
        models = [prediction.model for prediction in await asyncio.gather(first, second, third)]
        assert [card.id for card in hall.service.cards] == ["new"]
        await until(lambda: not hall.service._retired)

    assert models == ["old", "old", "new"]


async def test_a_batch_that_hangs_stops_the_ticking(tmp_path: Path) -> None:
    hall = Hall()
    gate = threading.Event()
    hall.before = lambda _size: gate.wait(5)
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path).folder)
        hung = asyncio.create_task(hall.service.classify("A", picture()))
        await until(lambda: hall.runtimes["brightness"].sizes == [1])
        before = hall.service.ticked_at
        hall.service._changed.set()
        await asyncio.sleep(0.05)
        assert hall.service.ticked_at == before
        gate.set()
        await hung
        await until(lambda: hall.service.ticked_at > before)


async def test_an_idle_service_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hydrad.classify.service.TICK_S", 0.01)
    hall = Hall()
    async with serving(hall.service):
        before = hall.service.ticked_at
        await until(lambda: hall.service.ticked_at > before + 0.01)


async def test_whoever_waits_is_told_when_the_service_stops(tmp_path: Path) -> None:
    hall = Hall(batch=2, max_wait_ms=0.0)
    gate = threading.Event()
    hall.before = lambda _size: gate.wait(5)
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path).folder)
        pending = [asyncio.create_task(hall.service.classify("A", picture())) for _ in range(7)]
        await until(lambda: bool(hall.runtimes["brightness"].sizes))
        await until(lambda: len(hall.service._served["brightness"].waiting) >= 3)
        opener = threading.Timer(0.1, gate.set)  # closing waits for the batch that runs
        opener.start()
    answers = await asyncio.gather(*pending, return_exceptions=True)

    assert all(isinstance(answer, BundleError) for answer in answers)
    with pytest.raises(BundleError, match="has stopped"):
        await hall.service.classify("A", picture())
    opener.join()


async def test_a_caller_that_gives_up_does_not_spoil_the_batch(tmp_path: Path) -> None:
    hall = Hall(batch=8, max_wait_ms=0.0)
    gate = threading.Event()
    hall.before = lambda _size: gate.wait(5)
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path).folder)
        first = asyncio.create_task(hall.service.classify("A", picture()))
        await until(lambda: hall.runtimes["brightness"].sizes == [1])
        impatient, patient = (asyncio.create_task(hall.service.classify("A", picture())) for _ in range(2))
        await until(lambda: len(hall.service._served["brightness"].waiting) == 2)
        impatient.cancel()
        gate.set()
        assert (await patient).label == "Good"
        assert (await first).label == "Good"
        with pytest.raises(asyncio.CancelledError):
            await impatient

    assert hall.runtimes["brightness"].sizes == [1, 1]


async def test_no_thread_outlives_the_service(tmp_path: Path) -> None:
    hall = Hall()
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path).folder)
        await hall.service.classify("A", picture())
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("hydrad")]


# ---- shadows ----


async def test_a_shadow_serves_nobody_and_answers_whoever_asks(tmp_path: Path) -> None:
    hall = Hall()
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path, "old").folder)
        hall.service.swap(shadow=[await hall.service.prepare(brightness_bundle(tmp_path, "new", ("CDC_*",), 2).folder)])
        assert [card.id for card in hall.service.shadows("CDC_a")] == ["new"]
        assert hall.service.shadows("FDC_a") == []
        assert (await hall.service.classify("CDC_a", picture())).model == "old"
        assert (await hall.service.ask("new", picture(10))).label == "Bad"
        with pytest.raises(BundleError, match="no model 'old' is in shadow"):
            await hall.service.ask("old", picture())


async def test_a_shadow_answers_only_when_nobody_waits_for_a_model_in_service(tmp_path: Path) -> None:
    hall = Hall(batch=2, max_wait_ms=0.0)
    gate = threading.Event()
    order: list[str] = []
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path, "old").folder)
        hall.service.swap(shadow=[await hall.service.prepare(brightness_bundle(tmp_path, "new", day=2).folder)])
        hall.runtimes["old"].before = lambda _size: (order.append("old"), gate.wait(5))
        hall.runtimes["new"].before = lambda _size: order.append("new")
        first = asyncio.create_task(hall.service.classify("A", picture()))
        await until(lambda: order == ["old"])
        asked = [asyncio.create_task(hall.service.ask("new", picture())) for _ in range(2)]
        await until(lambda: len(hall.service._shadows["new"].waiting) == 2)
        rest = [asyncio.create_task(hall.service.classify("A", picture())) for _ in range(4)]
        old = hall.service._served["old"]
        await until(lambda: (old.computing, len(old.waiting)) == (3, 2))
        gate.set()
        await asyncio.gather(first, *rest, *asked)

    assert order == ["old", "old", "old", "new", "new"]
    assert hall.runtimes["new"].sizes == [1, 1]  # one by one: whoever comes meanwhile waits for one


async def test_a_loaded_model_of_the_same_files_is_not_loaded_again(tmp_path: Path) -> None:
    hall = Hall()
    with hall.service as service:
        folder = brightness_bundle(tmp_path).folder
        service.swap(shadow=[await service.prepare(folder)])
        runtime = service._shadows["brightness"].runtime
        hall.runtimes.clear()
        service.swap(serve=[await service.prepare(folder)])
        assert not hall.runtimes
        assert service._served["brightness"].runtime is runtime
        (folder / "model.keras").write_bytes(b"brightnesz")
        with pytest.raises(BundleError, match="not the file it was"):
            await service.prepare(folder)


async def test_no_memory_for_a_model_is_a_refusal(tmp_path: Path) -> None:
    def open_runtime(_bundle: object, _batch: int) -> object:
        raise MemoryError

    folder = brightness_bundle(tmp_path).folder
    with (
        ModelService(open_runtime=open_runtime) as service,
        pytest.raises(BundleError, match="there is not memory enough for it"),
    ):
        await service.load(folder)


async def test_a_model_that_has_gone_is_forgotten_once_nobody_waits_for_it(tmp_path: Path) -> None:
    hall = Hall()
    async with serving(hall.service):
        await hall.service.load(brightness_bundle(tmp_path, "old").folder)
        gone = weakref.ref(hall.runtimes.pop("old"))
        await hall.service.classify("A", picture())
        await hall.service.load(brightness_bundle(tmp_path, "new", day=2).folder, replaces="old")
        await until(lambda: gone() is None)
