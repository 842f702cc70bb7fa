"""The panels that many detectors share: spectra, times, amplitudes, multiplicities, rows of counters."""

from __future__ import annotations

import numpy as np

from hydrad.sim.histograms import Axis, Histogram, Means, blocks, efficiencies, peak


def spectrum(
    title: str,
    x: str,
    span: tuple[float, float],
    means: Means,
    *,
    peak_bins: float,
    gain: bool = False,
    log: bool = False,
) -> Histogram:
    """What was measured, in bins; ``gain`` where faults scale it instead of shifting it."""
    return Histogram(
        title=title,
        x=Axis(x, *span),
        y=Axis("entries", 0, 1),
        means=np.atleast_2d(means),
        bands=blocks((1, means.size), 1, max(4, means.size // 9)),
        peak_bins=peak_bins,
        gain=gain,
        kind="bars",
        log=log,
    )


def time_peak(title: str, span: tuple[float, float], bins: int, width: float, area: float, *, flat: float) -> Histogram:
    """A peak at 0 ns, σ in bins, with the share ``flat`` of its counts spread evenly."""
    means = peak(bins, bins / 2, width, area * (1 - flat)) + area * flat / bins
    return spectrum(title, "time [ns]", span, means, peak_bins=width)


def amplitudes(title: str, means: Means, peak_bins: float) -> Histogram:
    """Pulse heights or integrals on a logarithmic scale."""
    return spectrum(title, "ADC", (0, 4096), means, peak_bins=peak_bins, gain=True, log=True)


def few(x: str, bins: int, mode: float, area: float) -> Histogram:
    """How many of something an event has: Poisson."""
    number = np.arange(bins)
    steps = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, bins)))])
    means = area * np.exp(number * np.log(mode) - mode - steps)
    return Histogram(
        title="",
        x=Axis(x, -0.5, bins - 0.5),
        y=Axis("events", 0, 1),
        means=np.atleast_2d(means),
        bands=blocks((1, bins), 1, 6),
        peak_bins=float(np.sqrt(mode)),
        gain=True,
        kind="bars",
    )


def paddles(
    title: str, x: str, hits: Means, name: str, *, per_board: int, fill: tuple[int, int, int] | None = None
) -> Histogram:
    """Hits per counter of a row of counters."""
    shape = (1, hits.size)
    return Histogram(
        title=title,
        x=Axis(x, 0.5, hits.size + 0.5),
        y=Axis("hits", 0, 1),
        means=np.atleast_2d(hits) * efficiencies(name, shape),
        boards=blocks(shape, 1, per_board),
        sectors=blocks(shape, 1, -(-hits.size // 4)),
        kind="bars",
        fill=fill,
        dark=1,
    )
