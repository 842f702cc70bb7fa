"""What the data base wants of models becomes true in the service, or is undone with the reason."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from classify_world import Hall, brightness_bundle, picture, serving

from hydrad import library as under_test
from hydrad.errors import BundleError, StoreAway, TryAgain
from hydrad.library import Library
from hydrad.store.models import registry
from hydrad.store.models.registry import Place, Who
from hydrad.store.outbox.journal import Journal
from hydrad.store.queries import Store
from hydrad.store.tables import ModelState

ANA = Who("ana", "counting-3", "cli")


async def until(holds: Callable[[], object], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it never became so"
        await asyncio.sleep(0.01)


class FaintStore(Store):
    """Is away for as long as the test wants."""

    away = False

    def reading(self):
        self._faint()
        return super().reading()

    def writing(self):
        self._faint()
        return super().writing()

    def _faint(self) -> None:
        if self.away:
            raise StoreAway("nobody answers")


class FullJournal(Journal):
    """Its disk is full for as long as the test wants."""

    full = False

    async def keep_models(self, models):
        if self.full:
            raise TryAgain("the disk is full")
        await super().keep_models(models)


class World:
    """A folder of bundles, a data base, a journal, and a daemon's library that may be started again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.models = home / "models"
        self.hall = Hall()
        self.store: FaintStore
        self.journal: FullJournal
        self.library: Library
        self.changes = 0

    def bundle(self, name: str, plots: tuple[str, ...] = ("*",), day: int = 1, *, lie: float = 0.0) -> Path:
        return brightness_bundle(self.models, name, plots, day, lie=lie).folder

    def enter(self, *names: str) -> None:
        """Make bundles, the later the newer, and enter them as candidates."""
        for day, name in enumerate(names, 1):
            self.bundle(name, day=day)
            self.register(name)

    def register(self, name: str, plots: tuple[str, ...] = ("*",)) -> None:
        registry.register(self.store, name, {"plots": list(plots)}, {}, ANA)

    @asynccontextmanager
    async def daemon(self, *, answers: bool = True):
        """A daemon's library at work; what it starts with is what the data base says, if that answers."""
        self.hall = Hall()
        with ExitStack() as stack:
            self.journal = stack.enter_context(FullJournal(self.home / "journal.db", self.home / "images"))
            async with serving(self.hall.service):
                with Library(self.models, self.hall.service, self.store, self.journal) as self.library:
                    await self.library.serve(registry.models(self.store) if answers else None)
                    self.library.changed = self._changed
                    tasks = [asyncio.create_task(self.library.run()), asyncio.create_task(self._mailbox())]
                    try:
                        yield
                        assert not any(task.done() for task in tasks), "eternal tasks do not end"
                    finally:
                        for task in tasks:
                            task.cancel()
                        await asyncio.wait(tasks)

    async def _mailbox(self) -> None:
        while True:
            with suppress(StoreAway):
                self.library.look(registry.places(self.store))
            await asyncio.sleep(0.02)

    async def _changed(self) -> None:
        self.changes += 1

    @property
    def serve(self) -> list[str]:
        return sorted(card.id for card in self.hall.service.cards)

    @property
    def states(self) -> Mapping[str, str]:
        return {place.id: place.state.value for place in registry.places(self.store)}

    def place(self, name: str) -> Place:
        return next(place for place in registry.places(self.store) if place.id == name)

    async def settled(self) -> None:
        """Until the daemon has answered everything that was decided."""
        await until(lambda: all(place.fault is not None for place in registry.places(self.store)))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    with FaintStore(f"sqlite:///{tmp_path}/hydra.db") as made.store:
        yield made


# ---- who serves at the start ----


async def test_on_the_very_first_start_every_bundle_serves_and_is_entered(world: World) -> None:
    world.bundle("cdc", ("CDC_*",))
    world.bundle("fdc", ("FDC_*",))
    async with world.daemon():
        assert world.serve == ["cdc", "fdc"]
        assert world.states == {"cdc": "in_service", "fdc": "in_service"}
        assert {place.fault for place in registry.places(world.store)} == {""}
        [move] = registry.history(world.store, "cdc")
        assert (move.old, move.by.via, move.reason) == (None, "daemon", "nobody had decided about any model")
        assert world.library.ok


async def test_once_somebody_has_decided_a_bundle_nobody_decided_about_waits(world: World) -> None:
    world.enter("old")
    registry.promote(world.store, "old", ANA)
    world.bundle("stranger", day=20)
    async with world.daemon():
        assert world.serve == ["old"]
        assert world.states == {"old": "in_service", "stranger": "candidate"}
        assert world.library.ok


async def test_a_bundle_that_appears_while_the_daemon_runs_becomes_a_candidate(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "LOOK_EVERY_S", 0.05)
    world.bundle("first")
    async with world.daemon():
        world.bundle("second", day=2)
        await until(lambda: world.states.get("second") == "candidate")
        assert world.serve == ["first"]
        assert registry.models(world.store)[1].card["plots"] == ["*"]


async def test_a_damaged_newcomer_is_said_once_and_does_no_harm(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(under_test, "LOOK_EVERY_S", 0.02)
    world.bundle("first")
    async with world.daemon():
        folder = world.models / "broken"
        folder.mkdir()
        (folder / "bundle.json").write_text("no JSON")
        world.bundle("after", day=2)
        await until(lambda: world.states.get("after") == "candidate")
        await asyncio.sleep(0.2)
        assert "broken" not in world.states
        assert world.library.ok
    assert capsys.readouterr().out.count("bundle_not_registered") == 1


async def test_a_bundle_that_cannot_serve_on_the_first_start_is_a_fault_until_it_goes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "LOOK_EVERY_S", 0.05)
    world.bundle("sound", ("CDC_*",))
    torn = world.bundle("torn")
    (torn / "model.keras").write_bytes(b"brightnesz")
    async with world.daemon():
        assert world.serve == ["sound"]
        assert not world.library.ok
        shutil.rmtree(torn)
        await until(lambda: world.library.ok)


async def test_one_that_fails_its_self_test_on_the_first_start_is_a_candidate_with_a_fault(world: World) -> None:
    world.bundle("lying", lie=0.5)
    async with world.daemon():
        assert world.serve == []
        assert world.states == {"lying": "candidate"}
        assert "its self-test failed" in (world.place("lying").fault or "")
        assert not world.library.ok


async def test_without_the_data_base_this_host_serves_what_it_served_last(world: World) -> None:
    world.enter("old", "new")
    registry.promote(world.store, "old", ANA)
    async with world.daemon():
        registry.promote(world.store, "new", ANA)
        await world.settled()
    registry.rollback(world.store, "new", ANA)
    world.store.away = True
    async with world.daemon(answers=False):
        assert world.serve == ["new"]
        world.store.away = False
        await until(lambda: world.serve == ["old"])
        await world.settled()


# ---- promoting ----


async def test_a_promotion_changes_places_without_a_gap_and_is_answered(world: World) -> None:
    world.enter("old", "new")
    registry.promote(world.store, "old", ANA)
    async with world.daemon():
        said: list[str] = []

        async def ask() -> None:
            while True:
                said.append((await world.hall.service.classify("A", picture())).model)

        asking = asyncio.create_task(ask())
        before = world.changes
        registry.promote(world.store, "new", ANA)
        await world.settled()
        await until(lambda: said[-1:] == ["new"])
        asking.cancel()
        await asyncio.wait([asking])
        assert said == sorted(said, reverse=True)  # all of the old, then all of the new
        assert world.serve == ["new"]
        assert world.changes == before + 1
        assert world.library.ok


async def test_a_promotion_that_is_overtaken_leaves_no_gap(world: World) -> None:
    world.enter("a", "b", "c")
    registry.promote(world.store, "a", ANA)
    async with world.daemon():
        gaps: list[str] = []

        async def watch() -> None:
            while True:
                if world.hall.service.card("A") is None:
                    gaps.append("gap")
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        registry.promote(world.store, "b", ANA)
        registry.promote(world.store, "c", ANA)
        await world.settled()
        watching.cancel()
        await asyncio.wait([watching])
        assert world.serve == ["c"]
        assert not gaps


async def test_models_of_one_decision_change_places_together(world: World) -> None:
    world.enter("old", "new")
    registry.promote(world.store, "old", ANA)
    async with world.daemon():
        both: list[list[str]] = []
        swap = world.hall.service.swap
        world.hall.service.swap = lambda **how: (swap(**how), both.append(world.serve))[0]  # type: ignore[method-assign]
        registry.promote(world.store, "new", ANA)
        await world.settled()
        assert both == [["new"]]


async def test_a_shadow_that_is_promoted_is_the_very_model_that_judged_along(world: World) -> None:
    world.enter("old", "new")
    registry.promote(world.store, "old", ANA)
    registry.move(world.store, "new", ModelState.SHADOW, ANA)
    async with world.daemon():
        assert [card.id for card in world.hall.service.shadows("A")] == ["new"]
        assert world.serve == ["old"]
        runtime = world.hall.runtimes["new"]
        registry.promote(world.store, "new", ANA)
        await world.settled()
        assert world.serve == ["new"]
        assert world.hall.service.shadows("A") == []
        assert world.hall.runtimes["new"] is runtime
        registry.move(world.store, "new", ModelState.RETIRED, ANA)
        await world.settled()
        assert world.serve == []


# ---- refusing ----


async def test_a_refused_promotion_is_undone_and_a_fault_until_it_is_moved(world: World) -> None:
    world.enter("old")
    world.bundle("lying", day=2, lie=0.5)
    world.register("lying")
    registry.promote(world.store, "old", ANA)
    async with world.daemon():
        registry.promote(world.store, "lying", ANA)
        await until(lambda: world.place("lying").fault)
        assert "its self-test failed" in (world.place("lying").fault or "")
        assert world.states == {"old": "in_service", "lying": "candidate"}
        assert world.serve == ["old"]
        await until(lambda: not world.library.ok)
        registry.move(world.store, "lying", ModelState.RETIRED, ANA)
        await until(lambda: world.library.ok)
    async with world.daemon():
        assert world.serve == ["old"]


async def test_a_fault_outlives_a_restart(world: World) -> None:
    world.enter("old")
    world.bundle("lying", day=2, lie=0.5)
    world.register("lying")
    registry.promote(world.store, "old", ANA)
    async with world.daemon():
        registry.promote(world.store, "lying", ANA)
        await world.settled()
    async with world.daemon():
        assert not world.library.ok


async def test_a_refusal_behind_an_overtaken_promotion_leaves_no_gap(world: World) -> None:
    world.enter("a", "b")
    world.bundle("lying", day=9, lie=0.5)
    world.register("lying")
    registry.promote(world.store, "a", ANA)
    async with world.daemon():
        gaps: list[str] = []

        async def watch() -> None:
            while True:
                if world.hall.service.card("A") is None:
                    gaps.append("gap")
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        registry.promote(world.store, "b", ANA)
        registry.promote(world.store, "lying", ANA)
        await world.settled()
        await until(lambda: world.serve == ["b"])
        watching.cancel()
        await asyncio.wait([watching])
        assert world.states == {"a": "retired", "b": "in_service", "lying": "candidate"}
        assert not gaps


async def test_with_the_data_base_away_the_old_one_serves_and_the_undoing_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "LOOK_EVERY_S", 0.05)
    world.enter("old")
    world.bundle("lying", day=2, lie=0.5)
    world.register("lying")
    registry.promote(world.store, "old", ANA)
    async with world.daemon():
        registry.promote(world.store, "lying", ANA)
        wanted = registry.places(world.store)
        world.store.away = True
        world.library.look(wanted)
        await until(lambda: not world.library.ok)
        assert (await world.hall.service.classify("A", picture())).model == "old"
        models = {model.id: model.state for model in world.journal.models()}
        assert models == {"old": ModelState.IN_SERVICE, "lying": ModelState.CANDIDATE}
        world.store.away = False
        await world.settled()
        assert world.states == {"old": "in_service", "lying": "candidate"}
        assert world.serve == ["old"]


async def test_a_promotion_decided_while_no_daemon_ran_is_undone_at_the_start(world: World) -> None:
    world.enter("old")
    world.bundle("lying", day=2, lie=0.5)
    world.register("lying")
    registry.promote(world.store, "old", ANA)
    async with world.daemon():
        pass
    registry.promote(world.store, "lying", ANA)
    async with world.daemon():
        assert world.serve == ["old"]
        assert world.states == {"old": "in_service", "lying": "candidate"}


async def test_a_model_that_served_and_is_gone_at_the_start_stays_decided_and_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.enter("cdc")
    registry.promote(world.store, "cdc", ANA)
    async with world.daemon():
        assert world.serve == ["cdc"]
    (world.models / "cdc").rename(world.home / "elsewhere")
    monkeypatch.setattr(under_test, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(under_test, "TRY_AGAIN_S", 0.0)
    async with world.daemon():
        assert world.serve == []
        assert world.states == {"cdc": "in_service"}
        assert "bundle.json is missing" in (world.place("cdc").fault or "")
        assert not world.library.ok
        (world.home / "elsewhere").rename(world.models / "cdc")
        await until(lambda: world.library.ok)
        assert world.serve == ["cdc"]


async def test_what_ended_the_daemon_twice_is_not_tried_a_third_time(world: World) -> None:
    world.enter("old", "new")
    registry.promote(world.store, "old", ANA)
    async with world.daemon():
        pass
    registry.promote(world.store, "new", ANA)
    words = f"{world.place('new').id} {world.place('new').moved_at.isoformat()}"
    with Journal(world.home / "journal.db", world.home / "images") as journal:  # as a killed daemon leaves it
        await journal.begin_trial(f"2 {words}")
    async with world.daemon():
        assert world.serve == ["old"]
        assert "the daemon ended 2 times while it loaded it" in (world.place("new").fault or "")
        registry.promote(world.store, "new", ANA)  # a person may insist
        await until(lambda: world.serve == ["new"])


async def test_a_trial_that_ended_well_is_forgotten(world: World) -> None:
    world.enter("old")
    registry.promote(world.store, "old", ANA)
    async with world.daemon():
        assert world.journal.trial() == ""
        assert world.serve == ["old"]


async def test_a_full_disk_delays_only_what_is_to_be_remembered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "LOOK_EVERY_S", 0.05)
    world.enter("old", "new")
    registry.promote(world.store, "old", ANA)
    async with world.daemon():
        world.journal.full = True
        registry.promote(world.store, "new", ANA)
        await until(lambda: world.serve == ["new"])
        world.journal.full = False
        await world.settled()
        assert {m.id: m.state for m in world.journal.models()}["new"] is ModelState.IN_SERVICE


async def test_a_stale_look_does_not_bring_a_refused_model_back(world: World) -> None:
    world.enter("old")
    world.bundle("lying", day=2, lie=0.5)
    world.register("lying")
    registry.promote(world.store, "old", ANA)
    async with world.daemon():
        registry.promote(world.store, "lying", ANA)
        stale = registry.places(world.store)
        await world.settled()
        world.library.look(stale)
        await asyncio.sleep(0.1)
        assert world.serve == ["old"]
        with pytest.raises(BundleError, match="no model 'lying' is in shadow"):
            await world.hall.service.ask("lying", picture())
