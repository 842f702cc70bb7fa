"""More than the pipeline can bear: what must be forgotten is forgotten in the ledger's sight, the newest never."""

from __future__ import annotations

import asyncio

import pytest
from fakes import OFF, ON, in_no_time, rest
from structlog.testing import capture_logs
from test_pipeline import PLOT, House

from hydrad import pipeline
from hydrad.backlog import Backlog
from hydrad.domain import Outcome, Status, Verdict


@in_no_time
async def test_what_is_passed_over_unread_is_in_the_ledger_and_the_newest_of_each_plot_is_judged():
    house = House()
    house.pipeline.backlog = Backlog(most=10)
    with house.classifier.held(PLOT), capture_logs() as lines:
        async with house.running():
            for number in range(40):
                house.clock.advance(1)
                last = house.write(f"peak {number}")
                await rest()
            assert len(house.pipeline.backlog) <= 12
    async with house.running():
        await rest()
        house.clock.advance(1)
        house.write("the next")
        await rest()
    entries = [entry for entry, *_ in house.ledger.entries]
    unread = [entry for entry in entries if entry.reason == pipeline.UNREAD]
    assert len(unread) >= 20
    assert {(entry.outcome, entry.sha256, entry.plot) for entry in unread} == {(Outcome.SUPERSEDED, None, PLOT)}
    paths = [entry.path for entry in entries]
    assert len(set(paths)) == len(paths)
    assert str(last.path) in {entry.path for entry in entries if entry.outcome is Outcome.JUDGED}
    assert [line["event"] for line in lines].count("files_passed_over") == 1


@in_no_time
async def test_a_disk_that_is_away_for_hours_costs_history_but_no_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pipeline, "MOST_UNKEPT", 6)
    house = House()
    async with house.running():
        await house.see("a")
        await house.see("b", plot="FDC_hits", every_s=0)
        house.ledger.away = True
        house.clock.advance(121)
        for number in range(20):
            house.beam.beam = (ON, OFF)[number % 2]
            await house.pipeline.look_again()
            assert len(house.pipeline._unkept) <= 8
        assert len(house.sink.statuses(PLOT)) == 21
        house.ledger.away = False
        await house.pipeline.look_again()
    assert {verdict.plot: verdict.status for verdict in house.ledger.notes} == {
        PLOT: Status.NOBEAM,
        "FDC_hits": Status.NOBEAM,
    }


@in_no_time
async def test_plots_that_grow_stale_together_are_noted_together():
    house = House()
    plots = [f"CDC_p{n}" for n in range(20)]
    together, meet = asyncio.Event(), house.ledger.note
    waiting: list[Verdict] = []

    async def note(verdict: Verdict) -> None:
        waiting.append(verdict)
        if len(waiting) == len(plots):
            together.set()
        await together.wait()  # a disk that commits when all of them are there
        await meet(verdict)

    async with house.running():
        for plot in plots:
            house.write(plot, plot=plot)
        await rest()
        house.ledger.note = note
        house.clock.advance(121)
        await house.pipeline.look_again()
    assert {verdict.plot for verdict in house.ledger.notes} == set(plots)
