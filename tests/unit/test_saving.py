"""How many images stay for labelling, and which."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_world import entry_of, verdict_of

from hydrad.config import Saving
from hydrad.domain import LedgerEntry
from hydrad.saving import RUNS, Sampling, lot, share, shares

counts = st.integers(0, 10**7)


def content(n: int) -> str:
    return hashlib.sha256(str(n).encode()).hexdigest()


def entry(n: int, plot: str = "CDC_occupancy", run: int | None = 7, **words: object) -> LedgerEntry:
    return replace(entry_of(verdict_of(plot)), sha256=content(n), plot=plot, run=run, **words)


def drawn(sampling: Sampling, entries: list[LedgerEntry]) -> int:
    return sum(sampling.draws(entry) for entry in entries)


@pytest.mark.parametrize(("labels", "kept"), [(0, 0.8), (300, 0.4), (900, 0.2), (23_700, 0.01), (10**6, 0.01)])
def test_half_of_the_share_is_kept_at_half_at_and_never_less_than_the_least(labels: int, kept: float) -> None:
    assert share(Saving(share=0.8, half_at=300, least=0.01), labels) == pytest.approx(kept)


@given(labels=counts, more=counts, half_at=st.integers(1, 10**6), at_first=st.floats(0, 1), least=st.floats(0, 1))
def test_the_share_never_grows_with_labels_and_is_always_one(
    labels: int, more: int, half_at: int, at_first: float, least: float
) -> None:
    saving = Saving(share=at_first, half_at=half_at, least=least)
    assert least <= share(saving, labels + more) <= share(saving, labels) <= 1


def test_each_plot_has_the_share_of_its_own_labels() -> None:
    saving = Saving()
    assert shares(saving, {"CDC_a": 300, "CDC_b": 0}) == {"CDC_a": 0.5, "CDC_b": 1.0}
    sampling = Sampling(saving)
    assert sampling.shares == {}
    sampling.learn({"CDC_a": 100})
    assert sampling.shares == {"CDC_a": 0.75}


@given(n=st.integers(0), plot=st.text(st.characters(codec=None)))
def test_a_lot_is_below_one_and_always_the_same(n: int, plot: str) -> None:
    assert 0 <= lot(content(n), plot) < 1
    assert lot(content(n), plot) == lot(content(n), plot)


def test_lots_are_those_of_yesterday() -> None:
    """What was drawn must not be drawn otherwise by a later version."""
    assert lot("ab" * 32, "CDC_occupancy") == pytest.approx(0.2265449807, abs=1e-9)


def test_lots_are_spread_evenly_and_differ_between_plots() -> None:
    lots = [lot(content(n), "CDC_occupancy") for n in range(10_000)]
    for tenth in range(10):
        hits = sum(tenth <= 10 * lot < tenth + 1 for lot in lots)
        assert abs(hits - 1000) < 5 * sqrt(10_000 * 0.1 * 0.9)
    both = sum(lot(content(n), "CDC_occupancy") < 0.5 and lot(content(n), "FDC_hits") < 0.5 for n in range(10_000))
    assert abs(both - 2500) < 5 * sqrt(10_000 * 0.25 * 0.75)


def test_everything_is_drawn_while_nobody_has_told_of_any_labels() -> None:
    assert drawn(Sampling(Saving()), [entry(n) for n in range(100)]) == 100


@pytest.mark.parametrize("labels", [100, 700, 2000])
def test_as_many_are_drawn_as_the_rule_says(labels: int) -> None:
    sampling, wanted = Sampling(Saving()), share(Saving(), labels)
    sampling.learn({"CDC_occupancy": labels})
    hits = drawn(sampling, [entry(n, run=None) for n in range(4000)])
    assert abs(hits - 4000 * wanted) < 5 * sqrt(4000 * wanted * (1 - wanted))


def test_what_is_drawn_at_a_small_share_is_drawn_at_every_larger_one() -> None:
    chosen = []
    for labels in (0, 300, 3000):
        sampling = Sampling(Saving())
        sampling.learn({"CDC_occupancy": labels})
        chosen.append({n for n in range(500) if sampling.draws(entry(n, run=None))})
    assert chosen[2] < chosen[1] < chosen[0]


def nothing() -> Sampling:
    return Sampling(Saving(share=0, least=0))


def test_what_a_person_handed_in_always_stays() -> None:
    assert not nothing().draws(entry(1, run=None))
    assert nothing().draws(entry(1, run=None, submission=3))


def test_the_first_image_of_each_run_stays_however_often_it_is_recorded() -> None:
    sampling = nothing()
    assert [sampling.draws(entry(n, run=run)) for n, run in [(1, 7), (2, 7), (3, 8), (2, 7), (1, 7)]] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert sampling.draws(entry(2, plot="FDC_hits"))


def test_runs_that_were_forgotten_have_a_first_image_again_and_memory_does_not_grow() -> None:
    sampling = nothing()
    for run in range(5 * RUNS):
        assert sampling.draws(entry(run, run=run))
    assert not sampling.draws(entry(999, run=5 * RUNS - 1))
    assert sampling.draws(entry(999, run=0))
    assert len(sampling._firsts["CDC_occupancy"]) == RUNS
