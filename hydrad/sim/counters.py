"""The scintillators, tagger, Cherenkov counter, cup and clock of the simulated hall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hydrad.sim.histograms import Axis, Histogram, Means, blocks, efficiencies, landau, peak, tail
from hydrad.sim.panels import amplitudes, paddles, time_peak
from hydrad.sim.plots import PlotKind

MINT = (153, 225, 195)
LILAC = (170, 170, 232)


def plots() -> Sequence[PlotKind]:
    """All plots of the hodoscopes, tagger, pair spectrometer, Cherenkov counter, clock and cup."""
    return (*_wall(), *_start(), *_tagger(), *_pairs(), *_cherenkov(), *_clock(), *_cup())


def _wall() -> Sequence[PlotKind]:
    bars = 46
    place = np.abs(np.arange(bars) - 22.5) / 23
    panels, spectra, times = [], [], []
    for plane, end in (("vertical", "up"), ("vertical", "down"), ("horizontal", "north"), ("horizontal", "south")):
        hits = 1150.0 * np.exp(-2.3 * place)
        hits[21:25] *= 0.55  # half-length paddles beside the beam
        panels.append(paddles(f"TOF {plane}, {end}", "paddle", hits, f"TOF_{end}", per_board=8, fill=LILAC))
        rows = np.stack([landau(100, 22, 4.0, 0.55 * n) + tail(100, 6, 0.35 * n) for n in hits])
        rows = rows * efficiencies(f"TOF_adc{end}", (bars, 1))
        spectra.append(
            Histogram(
                title=f"TOF ADC {plane}, {end}",
                x=Axis("ADC", 0, 4096),
                y=Axis("paddle", 0, bars),
                means=rows,
                boards=blocks(rows.shape, 8, 100),
                bands=blocks(rows.shape, 1, 100),
                peak_bins=4.0,
                gain=True,
                dark=1,
            )
        )
        times.append(time_peak(f"TOF time {plane}, {end}", (-20, 20), 100, 2.2, 9000, flat=0.06))
    return (
        PlotKind("TOF_occupancy", "TOF occupancy", tuple(panels), width=1200, height=900, columns=2),
        PlotKind("TOF_adc", "TOF ADC", tuple(spectra), width=1378, height=636, columns=2, style="grey"),
        PlotKind("TOF_timing", "TOF time", tuple(times), width=1200, height=800, columns=2),
    )


def _start() -> Sequence[PlotKind]:
    hits = 620.0 * (1 + 0.1 * np.cos(2 * np.pi * np.arange(30) / 30 - 0.4))
    occupancy = paddles("", "sector", hits, "ST_occupancy", per_board=5, fill=LILAC)
    spectrum = landau(100, 30, 6.0, 15000) + tail(100, 5, 7000)
    return (
        PlotKind("ST_occupancy", "ST hits per sector", (occupancy,), width=800, height=600),
        PlotKind(
            "ST_timing", "ST time", (time_peak("", (-20, 20), 120, 2.0, 16000, flat=0.07),), width=800, height=600
        ),
        PlotKind("ST_adc", "ST pulse integral", (amplitudes("", spectrum, 6.0),), width=800, height=600),
    )


def _tagger() -> Sequence[PlotKind]:
    counters = 274
    hits = 260.0 * (0.7 + 0.6 * np.arange(counters) / counters)
    hits[182:214] = 0.0  # the microscope stands there
    hits *= np.where(np.arange(counters) % 2 == 0, 1.0, 1.12)
    occupancy = paddles("", "counter", hits, "TAGH_occupancy", per_board=16)
    return (
        PlotKind("TAGH_occupancy", "TAGH hits per counter", (occupancy,), width=1200, height=600),
        PlotKind("TAGH_timing", "TAGH time", (_buckets("", 6),), width=1000, height=600),
    )


def _pairs() -> Sequence[PlotKind]:
    place = np.arange(145) / 145
    arms = [
        paddles(
            f"PS {side} arm",
            "tile",
            210.0 * np.sqrt(place * (1 - place) + 0.02) * 2,
            f"PS_{side}",
            per_board=16,
            fill=MINT,
        )
        for side in ("north", "south")
    ]
    energy = Histogram(
        title="",
        x=Axis("pair energy [GeV]", 4, 12),
        y=Axis("entries", 0, 1),
        means=np.atleast_2d(_coherent_edge(100)),
        bands=blocks((1, 100), 1, 11),
        peak_bins=2.5,
        gain=False,
        kind="bars",
    )
    return (
        PlotKind("PS_occupancy", "PS occupancy", tuple(arms), width=1200, height=560, columns=2),
        PlotKind("PS_energy", "PS pair energy", (energy,), width=1000, height=640),
    )


def _cherenkov() -> Sequence[PlotKind]:
    rings = 4
    sums, times = [], []
    for half in ("left", "right"):
        sector = np.arange(24)
        hits = 240.0 * (1 + 0.35 * np.cos(np.pi * (sector % rings - 1.2) / rings))
        sums.append(paddles(f"HTCC {half} half", "mirror", hits, f"HTCC_{half}", per_board=4, fill=MINT))
        times.append(amplitudes(f"HTCC photoelectrons, {half}", landau(80, 11, 3.5, 7000) + tail(80, 2.5, 2500), 4.0))
    return (
        PlotKind("HTCC_occupancy", "HTCC occupancy", (*sums, *times), width=1378, height=636, columns=2, style="grey"),
    )


def _clock() -> Sequence[PlotKind]:
    panels = tuple(time_peak(f"RF {name}", (-4, 4), 100, 1.7, 8000, flat=0.02) for name in ("TAGH", "PS", "FDC", "TOF"))
    return (PlotKind("RF_timing", "RF time differences", panels, width=1200, height=800, columns=2),)


def _cup() -> Sequence[PlotKind]:
    charge = time_peak("Faraday Cup charge", (0, 200), 100, 5.0, 12000, flat=0.03)
    charge = replace(charge, x=Axis("charge [pC]", 0, 200), gain=True)
    helicity = paddles(
        "Faraday Cup gated scaler", "helicity window", np.full(40, 420.0), "Faraday Cup", per_board=8, fill=MINT
    )
    return (
        PlotKind(
            "Faraday Cup_charge", "Faraday Cup", (charge, helicity), width=1378, height=636, columns=2, style="grey"
        ),
    )


def _buckets(title: str, either_side: int) -> Histogram:
    """Beam bunches every 4 ns, the prompt one highest."""
    bins = 240
    means = np.full(bins, 4.0)
    for bucket in range(-either_side, either_side + 1):
        means += peak(bins, bins / 2 + 18.0 * bucket, 2.6, 9000.0 if bucket == 0 else 2100.0)
    return Histogram(
        title=title,
        x=Axis("time [ns]", -26.7, 26.7),
        y=Axis("entries", 0, 1),
        means=np.atleast_2d(means),
        bands=blocks((1, bins), 1, bins // 9),
        peak_bins=2.6,
        kind="bars",
        fill=LILAC,
    )


def _coherent_edge(bins: int) -> Means:
    """A bremsstrahlung continuum with the coherent peak below its edge."""
    energy = 4 + 8 * (np.arange(bins) + 0.5) / bins
    accepted = 1 / (1 + np.exp(-(energy - 6.2) / 0.35)) / (1 + np.exp((energy - 11.4) / 0.12))
    enhanced = np.where(energy < 8.9, np.exp((energy - 8.9) / 0.35), np.exp(-0.5 * ((energy - 8.9) / 0.06) ** 2))
    shape: Means = accepted * (1 / energy + 0.16 * enhanced)
    return shape * (21000 / float(shape.sum()))
