"""The simulated hall's images: the same for the same arguments, alike for others, wrong only where a fault says."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrad.errors import ConfigurationError
from hydrad.sim import effects, hall
from hydrad.sim.faults import FAULTS, Fault
from hydrad.sim.hall import PLOTS
from hydrad.sim.scales import linear_ticks, log_ticks

EVERY_FAULT = [(plot, name) for plot in PLOTS for name in hall.faults_of(plot)]


def test_the_hall_has_many_plots_of_many_detectors_in_several_sizes() -> None:
    assert len(PLOTS) >= 24
    assert len({plot.detector for plot in PLOTS.values()}) >= 6
    assert len({(plot.width, plot.height) for plot in PLOTS.values()}) >= 4
    assert all(600 <= plot.width <= 1600 for plot in PLOTS.values())


@pytest.mark.parametrize("plot", PLOTS)
def test_an_image_has_its_plots_size_and_is_the_same_every_time(plot: str) -> None:
    first = hall.render(plot, seed=3, run=7)
    assert first.shape == (PLOTS[plot].height, PLOTS[plot].width, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, hall.render(plot, seed=3, run=7))
    assert not np.array_equal(first, hall.render(plot, seed=4, run=7))
    assert not np.array_equal(first, hall.render(plot, seed=3, run=8))


@pytest.mark.parametrize("plot", PLOTS)
def test_good_images_look_alike_and_empty_ones_do_not(plot: str) -> None:
    good = [counts_of(plot, seed=seed, run=seed) for seed in (1, 2)]
    empty = counts_of(plot, seed=3, beam=0.0)
    assert 0.6 < np.corrcoef(*good)[0, 1] < 0.99999
    assert good[0].sum() == pytest.approx(good[1].sum(), rel=0.25)
    assert empty.sum() < 0.01 * good[0].sum()


@pytest.mark.parametrize("plot", PLOTS)
def test_without_beam_little_but_the_ground_is_drawn(plot: str) -> None:
    inside = hall.marked(plot, Fault("empty", plot))
    for seed in range(3):
        assert inked(hall.render(plot, seed=seed, beam=0.0), inside) < 0.07 * inside.sum()


def test_counts_grow_with_beam_and_with_statistics() -> None:
    usual = counts_of("CDC_occupancy", seed=1).sum()
    assert counts_of("CDC_occupancy", seed=1, beam=0.5).sum() == pytest.approx(usual / 2, rel=0.02)
    assert counts_of("CDC_occupancy", seed=1, statistics=3.0).sum() == pytest.approx(3 * usual, rel=0.02)


def test_counts_scatter_as_counts_do() -> None:
    drawn = np.stack([counts_of("CDC_occupancy", seed=seed) for seed in range(60)])
    mean, variance = drawn.mean(axis=0), drawn.var(axis=0, ddof=1)
    assert np.median(variance[mean > 0] / mean[mean > 0]) == pytest.approx(1.0, abs=0.1)


def test_a_channels_efficiency_is_its_own_in_every_image() -> None:
    drawn = [np.mean([counts_of("ST_occupancy", seed=seed + n) for n in range(200)], axis=0) for seed in (0, 1000)]
    smooth = [values - np.convolve(np.pad(values, 1, "wrap"), [0.5, 0.0, 0.5], "valid") for values in drawn]
    assert np.corrcoef(*smooth)[0, 1] > 0.9


@pytest.mark.parametrize(("plot", "name"), EVERY_FAULT)
def test_a_fault_changes_the_counts_where_it_says_and_nowhere_else(plot: str, name: str) -> None:
    for seed in range(3):
        fault = Fault(name, plot, seed=seed)
        good, bad = hall.counts(plot, seed=9), hall.counts(plot, seed=9, faults=[fault])
        masks = effects.touched(PLOTS[plot], fault)
        for before, after, mask in zip(good, bad, masks, strict=True):
            assert np.array_equal(before[~mask], after[~mask])
            assert (after >= 0).all()
        assert any((before != after).any() for before, after in zip(good, bad, strict=True))


@pytest.mark.parametrize("plot", PLOTS)
def test_all_is_gone_in_an_empty_plot_and_one_panel_in_another(plot: str) -> None:
    assert counts_of(plot, seed=1, faults=[Fault("empty")]).sum() == 0
    if "missing_panel" in hall.faults_of(plot):
        panels = hall.counts(plot, seed=1, faults=[Fault("missing_panel", where=1)])
        assert [bool(panel.sum()) for panel in panels] == [n != 1 for n in range(len(panels))]


def test_the_ring_chamber_has_146_boards_of_about_24_straws() -> None:
    assert hall.places("CDC_occupancy", "dead_board") == 146
    kind = PLOTS["CDC_occupancy"]
    masks = [effects.touched(kind, Fault("dead_board", where=n))[0] for n in range(146)]
    sizes = [int(mask.sum()) for mask in masks]
    assert 3400 < sum(sizes) < 3600
    assert min(sizes) >= 18
    assert max(sizes) <= 30
    assert (np.sum(masks, axis=0) <= 1).all()


def test_equal_faults_strike_the_same_place_in_every_image() -> None:
    fault = Fault("hot_channels", "DC_occupancy", seed=4)
    places = []
    for seed in (1, 2):
        good, bad = counts_of("DC_occupancy", seed=seed), counts_of("DC_occupancy", seed=seed, faults=[fault])
        places.append(np.flatnonzero(good != bad).tolist())
    assert places[0] == places[1] != []


def test_a_shifted_peak_keeps_its_entries_and_moves_its_mean() -> None:
    good, bad = (
        counts_of("FCAL_timing", seed=2, faults=faults) for faults in ([], [Fault("shifted_peak", strength=1)])
    )
    assert bad.sum() == good.sum()
    assert abs(int(bad.argmax()) - int(good.argmax())) > 20


def test_a_broadened_peak_keeps_its_entries_and_loses_its_height() -> None:
    good, bad = (counts_of("FCAL_timing", seed=2, faults=faults) for faults in ([], [Fault("broadened_peak")]))
    assert bad.sum() == good.sum()
    assert bad.max() < 0.6 * good.max()


def test_low_occupancy_leaves_a_fraction_of_a_sectors_hits() -> None:
    fault = Fault("low_occupancy", where=2, strength=1.0)
    good, bad = counts_of("CDC_occupancy", seed=2), counts_of("CDC_occupancy", seed=2, faults=[fault])
    mask = effects.touched(PLOTS["CDC_occupancy"], fault)[0].reshape(-1)
    assert bad[mask].sum() == pytest.approx(0.05 * good[mask].sum(), rel=0.05)


def test_a_fault_of_another_plot_or_of_no_meaning_here_changes_nothing() -> None:
    good = hall.render("CDC_time", seed=1)
    others = [Fault("empty", "FDC_*"), Fault("dead_board", "CDC_*")]
    assert np.array_equal(good, hall.render("CDC_time", seed=1, faults=others))
    assert not np.array_equal(good, hall.render("CDC_time", seed=1, faults=[Fault("empty", "CDC_*")]))


@pytest.mark.parametrize("plot", ["CDC_occupancy", "FDC_occupancy", "DC_occupancy"])
def test_what_a_fault_changes_is_drawn_where_it_is_marked(plot: str) -> None:
    everything = hall.marked(plot, Fault("empty"))
    for name in {"dead_board", "missing_panel"} & set(hall.faults_of(plot)):
        fault = Fault(name, seed=2)
        good, bad = hall.render(plot, seed=6), hall.render(plot, seed=6, faults=[fault])
        changed = (good != bad).any(axis=2) & everything
        marked = hall.marked(plot, fault)
        assert (changed & marked).sum() > 0.95 * marked.sum()
        assert (changed & marked).sum() > 0.9 * changed.sum()


def test_the_plots_of_a_fault_are_those_it_changes() -> None:
    assert hall.plots_of(Fault("empty", "ST_*")) == ["ST_occupancy", "ST_timing", "ST_adc"]
    assert hall.plots_of(Fault("dead_board", "ST_*")) == ["ST_occupancy"]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault("empty", "XYZ_*"), "no plot is called 'XYZ_\\*'"),
        (Fault("dead_board", "CDC_time"), "knows no dead_board, only"),
    ],
)
def test_a_fault_of_no_plot_is_a_fault_of_the_command(fault: Fault, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        hall.plots_of(fault)


def test_every_fault_there_is_can_happen_somewhere() -> None:
    assert {name for _, name in EVERY_FAULT} == set(FAULTS)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(3, 12))
@settings(max_examples=200)
def test_ticks_stand_in_order_on_their_axis(low: float, span: float, about: int) -> None:
    ticks = linear_ticks(low, low + span, about)
    assert 1 <= len(ticks) <= 2.6 * about
    assert all(-1e-6 <= tick.share <= 1 + 1e-6 for tick in ticks)
    assert all(first.share < second.share for first, second in pairwise(ticks))


def test_a_logarithmic_axis_names_the_powers_of_ten() -> None:
    named = [tick.label + tick.raised for tick in log_ticks(0.5, 2500) if tick.label]
    assert named == ["1", "10", "102", "103"]
    assert log_ticks(1, 1) == ()
    assert linear_ticks(0, 0, 5) == ()


def counts_of(plot: str, **how: object) -> np.ndarray:
    return np.concatenate([values.reshape(-1) for values in hall.counts(plot, **how)])  # type: ignore[arg-type]


def inked(pixels: np.ndarray, inside: np.ndarray) -> int:
    """Pixels of the frames that are neither white nor grey ground."""
    grounds = (pixels == 255).all(axis=2) | (pixels == 200).all(axis=2)
    return int((~grounds & inside).sum())
