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
    FakeRuns,
    FakeSink,
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


async def in_vain():
    """What a file lives through."""


class Panel:
    """Remembers the rules and vitals it was shown."""

    def __init__(self):
        self.rules = {}
        self.vitals = []
        self.fields = []

    async def show_rules(self, plot, rules):
        self.rules[plot] = rules

    async def show_field(self, change):
        self.fields.append((change.plot, change.key, change.value))

    async def show_vitals(self, vitals):
        self.vitals.append(vitals)

    async def tick(self, now):
        self.now = now


class House:
    """A pipeline of fakes with its desk and rounds, on a clock that the test moves."""

    def __init__(self):
        self.clock, self.now_s = Clock(), 1000.0
        self.classifier, self.beam, self.ledger, self.sink = FakeClassifier(), FakeBeam(), FakeLedger(), FakeSink()
        self.runs = FakeRuns()
        self.roster = Roster(configuration(), self.classifier.card, Settings())
        self.pipeline = Pipeline(
            decode=FakeDecoder(), classifier=self.classifier, beam=self.beam, runs=self.runs, roster=self.roster,
            sinks=[self.sink], ledger=self.ledger, fill_s=30, clock=self.clock,
        )  # fmt: skip
        self.desk, self.panel = Desk(self.pipeline), Panel()
        self.desk.panel = self.panel
        self.trouble = False
        self.rival = ""
        self.rounds = Rounds(
            pipeline=self.pipeline, dials=[self.panel], ticked_at={"the watch": lambda: self.ticked_at},
            troubles={"the disk is full": lambda: self.trouble}, database_ok=lambda: True, model_ok=lambda: True,
            waiting=lambda: 3, outbox=lambda: 17, pv_clients=lambda: 2, rival=lambda: self.rival,
            clock=lambda: self.now_s,
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
async def test_a_limit_of_a_pv_is_kept_with_what_it_was_and_shown_and_no_plot_is_judged_anew():
    house = House()
    house.judge("Good")
    await house.desk.put(house.change("pv.mirror.LOLO", -0.5, old=0.0))
    house.pass_s(1)
    await house.desk.put(house.change("pv.mirror.LOLO", -0.7))
    assert [(change.value, change.old) for change in house.ledger.changes] == [(-0.5, 0.0), (-0.7, -0.5)]
    await house.desk.adopt(replace(house.change("pv.SUMMARY.THSV", 1, plot=None), via="page"))
    assert house.panel.fields == [
        (PLOT, "pv.mirror.LOLO", -0.5), (PLOT, "pv.mirror.LOLO", -0.7), (None, "pv.SUMMARY.THSV", 1),
    ]  # fmt: skip
    assert (house.panel.rules, house.sink.statuses()) == ({}, [])


@in_no_time
async def test_a_reason_given_first_is_recorded_with_the_shelf_it_is_of():
    house = House()
    house.judge("Bad")
    await house.desk.put(house.change("reason", 1, reason="HV work"))
    house.pass_s(60)
    await house.desk.put(house.change("shelved_until", house.clock().timestamp() + 600))
    assert house.ledger.changes[-1].reason == "HV work"
    assert house.roster.shown(PLOT).reason.endswith("by ana: HV work")
    house.pass_s(60)
    await house.desk.put(house.change("reason", 1, reason="cooling"))
    assert house.roster.shown(PLOT).reason.endswith("by ana: cooling")


@in_no_time
async def test_a_shelf_ends_by_itself_and_that_is_said_once():
    house = House()
    house.judge("Bad")
    await house.desk.put(house.change("shelved_until", house.clock().timestamp() + 60))
    house.pass_s(61)
    for _ in range(2):
        await house.rounds.once()
    assert house.sink.statuses() == ["DISABLED", "SUSPECT"]
    assert [verdict.reason for verdict in house.ledger.notes][1:] == [
        "no longer shelved since 12:01 UTC; Bad at 0.97, 1 of 2 such images that raise an alarm"
    ]


@in_no_time
async def test_an_image_that_comes_before_the_clock_says_that_the_shelf_has_ended():
    house = House()
    house.judge("Bad")
    await house.desk.put(house.change("shelved_until", house.clock().timestamp() + 60))
    house.pass_s(61)
    assert house.judge("Good").reason.startswith("no longer shelved since 12:01 UTC; Good at ")
    house.pass_s(30)
    assert house.judge("Good").reason.startswith("Good at ")


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
    assert (house.panel.vitals[-1].outbox, house.panel.vitals[-1].pv_clients) == (17, 2)
    house.trouble = True
    await house.rounds.once()
    assert (house.panel.vitals[-1].health, house.panel.vitals[-1].why) == (Health.DEGRADED, "the disk is full")
    house.trouble, house.rival = False, "another daemon uses this data base: process 7 on counting2"
    await house.rounds.once()
    assert (house.panel.vitals[-1].health, house.panel.vitals[-1].why) == (Health.DEGRADED, house.rival)
    house.pass_s(31)
    await house.rounds.once()
    assert house.panel.vitals[-1].health is Health.STALLED
    assert "the watch" in house.panel.vitals[-1].why


@in_no_time
async def test_files_that_wait_and_are_not_judged_are_a_stalled_pipeline():
    house = House()
    house.pipeline.backlog.put(arrival(), in_vain)
    await house.rounds.once()
    assert house.panel.vitals[-1].health is Health.OK
    house.pass_s(31)
    house.ticked_at = house.now_s
    await house.rounds.once()
    assert house.panel.vitals[-1].health is Health.STALLED
    assert "none was judged" in house.panel.vitals[-1].why
