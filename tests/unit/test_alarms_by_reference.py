"""Alarms through random lives, restarts and clock jumps, against a plain account of the whole history."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fakes import LOST, OFF, ON, Clock, arrival, card, configuration, picture, prediction
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from reference import Looked, Seen, lives

from hydrad.domain import SOME_RUN, Change, Run, RunState, Severity, Status, Verdict
from hydrad.roster import Roster
from hydrad.settings import Settings
from hydrad.store.outbox.journal import Journal
from hydrad.store.packing import pack_verdict, unpack_verdict
from hydrad.verdict import CLOCK_SLACK_S

MANY = int(os.environ.get("HYDRA_ALARM_EXAMPLES", "300"))
PLOTS = ("CDC_a", "CDC_b", "CDC_c", "CDC_d", "RF_phase")
TABLES = {
    "defaults": {"stale_s": 100, "flood_above": 2, "on_window": 4, "off_window": 3},
    "detector": [{"name": "RF", "needs_beam": False, "on_delay": 3, "on_window": 5, "off_delay": 3, "off_window": 2}],
}
PHYSICS = Run(RunState.RUNNING, 8, "physics")
COSMIC = Run(RunState.RUNNING, 7, "cosmic", masked=True)
IDLE = Run(RunState.IDLE, 8, "physics")
ENDED_COSMIC = Run(RunState.IDLE, 7, "cosmic", masked=True)
RUNS = (SOME_RUN, PHYSICS, PHYSICS, COSMIC, IDLE, ENDED_COSMIC)


@dataclass(frozen=True)
class Proof:
    """What the newest image of a plot proves."""

    good: bool
    taken_at: datetime


class World:
    """A roster that is killed and started again, what outlives it, and what the reference is told."""

    def __init__(self) -> None:
        self.config = configuration(**TABLES)
        self.clock, self.beam, self.run = Clock(), ON, SOME_RUN
        self.models: dict[str, str | None] = {}
        self.settings = Settings()
        self.roster = Roster(self.config, self.card, self.settings)
        self.history: list[Seen | Looked] = []
        self.newest: dict[str, Proof] = {}
        self.kept: dict[str, str] = {}  # by plot, as the journal keeps it
        self.told: list[Verdict] = []

    def card(self, plot):
        model = self.models.get(plot, "m1")
        return None if model is None else card(model)

    def image(self, plot, label, confidence, novelty, beam, run, age_s, *, lost=False):
        now = self.clock()
        model = self.models.get(plot, "m1")
        said = None
        if label is not None and model is not None:
            said = prediction(label, confidence, model=model, novelty=novelty)
        rules = self.roster.rules(plot)
        taken_at = now - timedelta(seconds=age_s)
        verdict = self.roster.judge(
            arrival(plot, taken_at, run=run.number), picture(f"{confidence:.1f}"), said,
            beam=beam, beam_now=self.beam, now=now, run=run, run_now=self.run,
        )  # fmt: skip
        if lost:  # killed before it was kept: the file is judged again, or never
            self.restart()
            return
        self.history.append(Seen(plot, taken_at, said, beam, run, now, self.beam, self.run, rules))
        self.keep(verdict)
        if not verdict.superseded:
            known = novelty is None or novelty <= 1
            good = said is not None and label == "Good" and known and confidence >= rules.thresholds["Good"]
            self.newest[plot] = Proof(good, min(taken_at, now))
            self.compare([plot])

    def look(self):
        now = self.clock()
        for verdict in self.roster.look_again(self.beam, now, run=self.run):
            self.keep(verdict)
        assert self.roster.look_again(self.beam, now, run=self.run) == []  # each transition once
        rules = {plot: self.roster.rules(plot) for plot in self.roster}
        self.history.append(Looked(now, self.beam, self.run, rules))
        self.compare(self.roster)
        for plot in self.roster:
            self.check(plot, self.roster.shown(plot))

    def keep(self, verdict):
        self.told.append(verdict)
        if not verdict.superseded:
            self.kept[verdict.plot] = pack_verdict(verdict)

    def restart(self):
        self.roster = Roster(self.config, self.card, self.settings)
        self.roster.restore((unpack_verdict(text), None) for text in self.kept.values())

    def compare(self, plots):
        """What is shown is what the reference finds in the whole history."""
        wanted = lives(self.history)
        for plot in plots:
            verdict, life = self.roster.shown(plot), wanted[plot]
            severity = Severity.NO_ALARM if life.drowned else life.status.severity
            assert (plot, verdict.status.name, verdict.severity) == (plot, life.status.name, severity), verdict.reason

    def check(self, plot, verdict):
        """What must hold whatever the reference says."""
        now, rules = self.clock(), self.roster.rules(plot)
        assert verdict.reason
        if verdict.status is Status.GOOD:  # never a stale green
            proof = self.newest[plot]
            age_s = (now - proof.taken_at).total_seconds()
            assert proof.good
            assert verdict.taken_at == proof.taken_at
            assert -CLOCK_SLACK_S <= age_s <= rules.stale_s
            assert rules.model is not None
            assert rules.enabled
            assert rules.shelved_until is None or rules.shelved_until <= now
        if verdict.drowned:  # somebody else is heard for it
            others = [
                self.roster.shown(one) for one in self.roster if self.roster.rules(one).detector == rules.detector
            ]
            least = min(verdict.status.severity, Severity.MAJOR)
            assert sum(one.status.severity >= least for one in others) > rules.flood_above // 2
            assert verdict.reason.endswith(f"part of the flood of detector {rules.detector}")
        if self.run.masked:
            assert verdict.severity is Severity.NO_ALARM or verdict.status is Status.UNKNOWN
        if self.run.state is RunState.IDLE:
            assert verdict.status is not Status.STALE

    def change(self, key, value, plot=None, detector=None):
        change = Change(key, value, "ana", "desk", self.clock(), "ca", plot=plot, detector=detector, reason="work")
        self.roster.change(change)


beams = st.sampled_from([ON, ON, OFF, LOST])
runs = st.sampled_from(RUNS)
plots = st.sampled_from(PLOTS)
shown = st.tuples(
    plots,
    st.sampled_from(["Good", "Good", "Good", "Bad", "Bad", "Bad", "NoData", "Cosmic", None]),
    st.sampled_from([0.4, 0.97, 0.97, 0.97, 1.0]),
    st.sampled_from([None, None, None, 0.5, 1.5]),
    beams,
    runs,
    st.sampled_from([0, 0, 0, 0, 1, 30, 101, 4000, -50]),
)
settled = st.one_of(
    st.tuples(st.sampled_from(["on_delay", "off_delay"]), st.integers(1, 4)),
    st.tuples(st.sampled_from(["on_window", "off_window"]), st.integers(0, 6)),
    st.tuples(st.just("threshold.Good"), st.sampled_from([0.0, 0.5, 0.9, 1.0])),
    st.tuples(st.just("enabled"), st.sampled_from([0, 1])),
    st.tuples(st.just("shelved_for"), st.sampled_from([0, 20, 200])),
    st.tuples(st.just("detector"), st.sampled_from([0, 1])),
)
# A course: the same plot again and again, as detectors give it, so that delays and windows are reached.
letters = st.one_of(
    st.lists(st.sampled_from("GB"), min_size=4, max_size=16),
    st.lists(st.sampled_from("BN"), min_size=4, max_size=10),
    st.lists(st.sampled_from("GGBBNCDU"), min_size=3, max_size=10),
)
courses = st.tuples(st.just("course"), plots, letters, st.sampled_from([1, 5]))
together = st.tuples(st.just("together"), st.sampled_from("GBBNC"), st.integers(2, 4), st.integers(1, 3))
watched = st.one_of(
    st.tuples(st.just("image"), shown),
    st.tuples(st.just("image"), shown),
    courses,
    courses,
    together,
    together,
    st.tuples(st.just("wait"), st.sampled_from([0.5, 10, 30, 60, 99, 101, 400, -3, -6, -90, -4000])),
    st.tuples(st.just("beam"), beams, st.booleans()),
    st.tuples(st.just("run"), runs, st.booleans()),
    st.tuples(st.just("sudden"), runs, shown),  # a run begins, and an image comes before anybody looks
    st.tuples(st.just("change"), plots, settled),
    st.tuples(st.just("model"), plots, st.sampled_from(["m1", "m2", None])),
    st.just(("restart",)),
    st.tuples(st.just("killed"), shown),
)
# Nobody looks again between this and the next.
happenings = st.one_of(watched, watched, watched, st.tuples(st.just("unseen"), watched))
COURSE = {
    "G": ("Good", 0.97, None), "B": ("Bad", 0.97, None), "N": ("NoData", 0.97, None), "C": ("Cosmic", 0.97, None),
    "D": ("Good", 0.4, None), "U": ("Good", 0.97, 1.5),
}  # fmt: skip


def happen(world, happening):  # noqa: C901, PLR0912  a case for each thing that can happen
    """One thing happens."""
    match happening:
        case ("unseen", inner):
            happen(world, inner)
        case ("image", image):
            world.image(*image)
        case ("killed", image):
            world.image(*image, lost=True)
        case ("course", plot, letters, every_s):
            for letter in letters:
                world.clock.advance(every_s)
                world.image(plot, *COURSE[letter], world.beam, world.run, 0)
        case ("together", letter, count, times):
            for _ in range(times):
                world.clock.advance(5)
                for plot in PLOTS[:count]:
                    world.image(plot, *COURSE[letter], world.beam, world.run, 0)
        case ("wait", seconds):
            world.clock.advance(seconds)
        case ("beam", beam, back):
            world.beam = replace(beam, since=world.clock() if back and beam is ON else None)
        case ("run", run, begun):
            world.run = replace(run, since=world.clock() if begun else None)
        case ("sudden", run, image):
            world.run = run
            world.image(*image)
        case ("change", plot, ("shelved_for", seconds)):
            world.change("shelved_until", world.clock().timestamp() + seconds if seconds else 0, plot)
        case ("change", plot, ("detector", on)):
            world.change("enabled", on, detector=plot.split("_")[0])
        case ("change", plot, (key, value)):
            world.change(key, value, plot)
        case ("model", plot, model):
            world.models[plot] = model
        case ("restart",):
            world.restart()
        case _:  # pragma: no cover
            raise AssertionError(happening)


def live(world, happenings, then: Callable[[], None] = lambda: None):
    for happening in happenings:
        happen(world, happening)
        if happening[0] != "unseen":
            world.look()
        then()
    return world


@settings(max_examples=MANY, deadline=None)
@given(st.lists(happenings, min_size=3, max_size=25))
def test_what_is_shown_is_what_the_whole_history_says(life):
    told = live(World(), life).told
    for status in {verdict.status.name for verdict in told}:
        event(status)
    event(f"a flood: {any(verdict.drowned for verdict in told)}")


@settings(max_examples=MANY // 2, deadline=None)
@given(st.lists(st.one_of(courses, together, st.tuples(st.just("run"), runs, st.booleans())), max_size=8))
def test_with_a_restart_after_every_step_it_is_the_same(life):
    world = World()
    live(world, life, then=world.restart)


FLOOD = [("together", "B", 4, 2), ("restart",), ("together", "G", 3, 2), ("wait", 101), ("restart",), ("wait", 10)]


@settings(max_examples=max(10, MANY // 20), deadline=None)
@given(st.lists(happenings, max_size=12))
@example(FLOOD)
def test_what_a_real_journal_remembers_is_enough(life):
    async def told():
        with tempfile.TemporaryDirectory() as home:
            path, images = Path(home) / "journal.db", Path(home) / "images"
            world, kept = World(), 0
            for happening in life:
                with Journal(path, images) as journal:
                    world.roster = Roster(world.config, world.card, world.settings)
                    world.roster.restore(journal.standings().values())
                    if happening[0] not in {"restart", "killed"}:
                        happen(world, happening)
                    world.look()
                    for verdict in world.told[kept:]:
                        await journal.note(verdict)
                    kept = len(world.told)

    asyncio.run(told())


def test_the_reference_itself_knows_a_bad_plot_from_a_good_one():
    world = World()
    live(world, [("together", "G", 1, 1), ("course", "CDC_a", "BBGBGG", 30)])
    assert [verdict.status.name for verdict in world.told if verdict.plot == "CDC_a"] == [
        "GOOD", "SUSPECT", "BAD", "BAD", "BAD", "GOOD", "GOOD",
    ]  # fmt: skip
    assert lives(world.history)["CDC_a"].status is Status.GOOD


@pytest.mark.parametrize("spoil", ["stale", "memory", "flood"])
def test_a_daemon_that_forgets_is_found_out(spoil, monkeypatch):
    world = World()
    if spoil == "stale":
        monkeypatch.setattr("hydrad.verdict.CLOCK_SLACK_S", 5000)
        life = [("together", "G", 2, 1), ("wait", -4000)]
    elif spoil == "memory":
        monkeypatch.setattr("hydrad.memory.written", lambda _: "")
        life = [("course", "RF_phase", "BGB", 1), ("restart",), ("course", "RF_phase", "GB", 1)]
    else:
        monkeypatch.setattr("hydrad.floods.Floods.restore", lambda *_: None)
        life = [("together", "B", 4, 2), ("restart",), ("wait", 0.5)]
    with pytest.raises(AssertionError):
        live(world, life)
