"""People's changes and the passing of time reach the judgement, the history and the PVs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from fakes import (
    NOON,
    OFF,
    ON,
    Clock,
    FakeBeam,
    FakeClassifier,
    FakeDecoder,
    FakeLedger,
    FakeSink,
    FakeWatcher,
    arrival,
    configuration,
    in_no_time,
    picture,
    prediction,
)

from hydrad.desk import Desk
from hydrad.domain import Change, Health
from hydrad.errors import ChangeRefused
from hydrad.pipeline import Pipeline
from hydrad.roster import Roster
from hydrad.rounds import Rounds
from hydrad.settings import Settings

PLOT = "CDC_occupancy"


class Panel:
    """Remembers the rules and vitals it was shown."""

    def __init__(self):
        self.rules = {}
        self.vitals = []

    async def show_rules(self, plot, rules):
        self.rules[plot] = rules

    async def show_vitals(self, vitals):
        self.vitals.append(vitals)

    async def tick(self, now):
        self.now = now


class House:
    """A pipeline of fakes with its desk and rounds, on a clock that the test moves."""

    def __init__(self):
        self.clock, self.now_s = Clock(), 1000.0
        self.classifier, self.beam, self.ledger, self.sink = FakeClassifier(), FakeBeam(), FakeLedger(), FakeSink()
        self.roster = Roster(configuration(), self.classifier.card, Settings())
        self.pipeline = Pipeline(
            decode=FakeDecoder(), classifier=self.classifier, beam=self.beam, roster=self.roster, sinks=[self.sink],
            ledger=self.ledger, fill_s=30, clock=self.clock,
        )  # fmt: skip
        self.desk, self.panel = Desk(self.pipeline), Panel()
        self.desk.panel = self.panel
        self.trouble = False
        self.rounds = Rounds(
            pipeline=self.pipeline, dials=[self.panel], ticked_at={"the watch": lambda: self.ticked_at},
            troubles={"the disk is full": lambda: self.trouble}, database_ok=lambda: True, model_ok=lambda: True,
            waiting=lambda: 3, clock=lambda: self.now_s,
        )  # fmt: skip
        self.ticked_at = self.now_s

    def judge(self, label, plot=PLOT):
        taken = arrival(plot, self.clock())
        return self.roster.judge(
            taken, picture(f"{label}{taken.taken_at}"), prediction(label), beam=ON, beam_now=ON, now=self.clock()
        )

    def pass_s(self, seconds):
        self.clock.advance(seconds)
        self.now_s += seconds

    def change(self, key, value, plot=PLOT, **words):
        return Change(key, value, "ana", "console", self.clock(), "ca", plot=plot, **words)


@in_no_time
async def test_a_change_is_applied_kept_and_shown():
    house = House()
    house.judge("Good")
    await house.desk.put(house.change("threshold.Good", 0.99))
    assert house.panel.rules[PLOT].thresholds["Good"] == 0.99
    assert house.ledger.changes == [replace(house.change("threshold.Good", 0.99), old=0.8)]
    house.pass_s(30)
    assert house.judge("Good").status.name == "SUSPECT"


@in_no_time
async def test_a_refused_change_is_neither_kept_nor_shown():
    house = House()
    with pytest.raises(ChangeRefused, match="from 0 to 1"):
        await house.desk.put(house.change("threshold.Good", 2))
    assert (house.ledger.changes, house.panel.rules) == ([], {})


@in_no_time
async def test_an_older_change_does_not_undo_a_newer_one():
    house = House()
    await house.desk.put(house.change("on_delay", 5))
    with pytest.raises(ChangeRefused, match="newer"):
        await house.desk.put(replace(house.change("on_delay", 3), at=NOON - timedelta(seconds=9)))
    assert house.roster.rules(PLOT).on_delay == 5


@in_no_time
async def test_what_stands_in_the_data_base_is_adopted_and_nonsense_there_is_not():
    house = House()
    house.judge("Good")
    await house.desk.adopt(house.change("enabled", 0))
    assert house.sink.statuses() == ["DISABLED"]
    assert house.ledger.changes == []
    await house.desk.adopt(house.change("speed", 1))
    assert house.panel.rules[PLOT].enabled is False


@in_no_time
async def test_a_detector_switched_off_is_shown_on_all_its_plots():
    house = House()
    for plot in (PLOT, "CDC_adc", "FDC_adc"):
        house.judge("Bad", plot)
    await house.desk.put(house.change("enabled", 0, plot=None, detector="CDC"))
    assert set(house.panel.rules) == {PLOT, "CDC_adc"}
    assert house.sink.statuses("CDC_adc") == ["DISABLED"]
    assert house.sink.statuses("FDC_adc") == []


@in_no_time
async def test_the_beam_threshold_reaches_the_beam():
    house = House()
    await house.desk.put(house.change("beam.on_above", 12, plot=None))
    assert house.beam.on_above == 12
    assert house.ledger.changes[-1].old == 5


@in_no_time
async def test_a_beam_threshold_that_the_beam_refuses_is_not_kept():
    house = House()

    class Choosy(FakeBeam):
        def __setattr__(self, name, value):
            if name == "on_above" and value > 500:
                raise ChangeRefused("above the noise")
            super().__setattr__(name, value)

    house.pipeline.beam = Choosy()
    with pytest.raises(ChangeRefused, match="noise"):
        await house.desk.put(house.change("beam.on_above", 501, plot=None))
    with pytest.raises(ChangeRefused, match="above 0"):
        await house.desk.put(house.change("beam.on_above", -1, plot=None))
    assert house.ledger.changes == []
    assert house.roster.settings.value("beam.on_above") is None


@in_no_time
async def test_a_round_ages_the_statuses():
    house = House()
    house.judge("Good")
    house.pass_s(121)
    house.ticked_at = house.now_s
    await house.rounds.once()
    assert house.sink.statuses() == ["STALE"]
    assert [verdict.status.name for verdict in house.ledger.notes] == ["STALE"]
    house.beam.beam = OFF
    await house.rounds.once()
    assert house.sink.statuses() == ["STALE", "NOBEAM"]
    await house.rounds.once()
    assert house.sink.statuses() == ["STALE", "NOBEAM"]


@in_no_time
async def test_the_daemons_health_follows_its_parts():
    house = House()
    await house.rounds.once()
    assert house.panel.vitals[-1].health is Health.OK
    assert house.panel.vitals[-1].pending == 3
    house.trouble = True
    await house.rounds.once()
    assert (house.panel.vitals[-1].health, house.panel.vitals[-1].why) == (Health.DEGRADED, "the disk is full")
    house.pass_s(31)
    await house.rounds.once()
    assert house.panel.vitals[-1].health is Health.STALLED
    assert "the watch" in house.panel.vitals[-1].why


@in_no_time
async def test_files_that_wait_and_are_not_judged_are_a_stalled_pipeline():
    house = House()
    house.pipeline.backlog.put(arrival(), FakeWatcher())
    await house.rounds.once()
    assert house.panel.vitals[-1].health is Health.OK
    house.pass_s(31)
    house.ticked_at = house.now_s
    await house.rounds.once()
    assert house.panel.vitals[-1].health is Health.STALLED
    assert "none was judged" in house.panel.vitals[-1].why
