"""What control-room programs need to know of a hall: its detectors and plots, with the names of their PVs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from hydrad.config import Config
from hydrad.ioc.names import Names

ROWS = 25  # plots on one screen: what a screen of 1080 lines shows without scrolling


@dataclass(frozen=True, slots=True)
class Threshold:
    """The PV of a label's threshold, after ``<plot>:THRESH:``."""

    label: str
    leaf: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot; its PVs are ``<prefix><detector's part>:<part>:…``."""

    name: str
    part: str
    stem: str  # what its PVs begin with, e.g. HYDRA:D:CDC:OCCUPANCY
    thresholds: tuple[Threshold, ...]
    served: bool  # by a model

    def pv(self, leaf: str) -> str:
        """One of its PVs."""
        return f"{self.stem}:{leaf}"

    @property
    def page(self) -> str:
        """Its page, counted from the address of the pages."""
        return f"plot/{quote(self.name, errors='surrogateescape')}"

    @property
    def shown(self) -> str:
        """Its name as it can be written into any file, however it was spelt on disk."""
        return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in self.name)


@dataclass(frozen=True, slots=True)
class Page:
    """A screen with some of a detector's plots."""

    file: str
    plots: tuple[Plot, ...]


@dataclass(frozen=True, slots=True)
class Detector:
    """One detector."""

    name: str
    part: str
    stem: str
    expert: str
    guidance: str
    plots: tuple[Plot, ...]

    def pv(self, leaf: str) -> str:
        """One of its PVs."""
        return f"{self.stem}:{leaf}"

    @property
    def pages(self) -> Sequence[Page]:
        """Its screens, each with at most ROWS plots."""
        starts = range(0, len(self.plots), ROWS)
        return [
            Page(f"detector-{self.part}{f'-{n}' if n > 1 else ''}.bob", self.plots[start : start + ROWS])
            for n, start in enumerate(starts, 1)
        ]


@dataclass(frozen=True, slots=True)
class Hall:
    """A hall: its detectors by name, each with its plots by name."""

    name: str
    prefix: str
    address: str  # of the pages, without a slash at its end
    detectors: tuple[Detector, ...]

    def pv(self, leaf: str) -> str:
        """A PV of the hall."""
        return f"{self.prefix}{leaf}"

    @property
    def plots(self) -> Iterator[tuple[Detector, Plot]]:
        """All of them."""
        return ((detector, plot) for detector in self.detectors for plot in detector.plots)


def plan(
    config: Config,
    known: Iterable[tuple[str, str]],
    labels: Mapping[str, Sequence[str]],
    *,
    address: str,
) -> Hall:
    """Lay out a hall.

    Args:
        known: plots and their detectors, in the order in which they were first seen: it decides about PV names.
        labels: those of the model that serves a plot, by plot; plots that no model serves are not in it.
        address: of the pages.
    """
    names = Names(config.ioc.prefix, config.ioc.mirror or "")
    found: dict[str, list[Plot]] = {}
    for plot, detector in known:
        found.setdefault(detector, []).append(_plot(names, plot, detector, labels.get(plot)))
    return Hall(
        name=config.hall.name,
        prefix=config.ioc.prefix,
        address=address.rstrip("/"),
        detectors=tuple(_detector(config, names, name, found[name]) for name in sorted(found)),
    )


def _plot(names: Names, plot: str, detector: str, labels: Sequence[str] | None) -> Plot:
    stem = names.plot(plot, detector)
    whole = {label: names.threshold(plot, detector, label) for label in labels or ()}
    return Plot(
        name=plot,
        part=stem.removeprefix(f"{names.detector(detector)}:"),
        stem=stem,
        thresholds=tuple(Threshold(label, pv.removeprefix(f"{stem}:THRESH:")) for label, pv in whole.items()),
        served=labels is not None,
    )


def _detector(config: Config, names: Names, name: str, plots: Sequence[Plot]) -> Detector:
    section = next((one for one in config.detector if one.name == name), None)
    stem = names.detector(name)
    return Detector(
        name=name,
        part=stem.removeprefix(config.ioc.prefix),
        stem=stem,
        expert="" if section is None else section.expert,
        guidance="" if section is None else section.guidance,
        plots=tuple(sorted(plots, key=lambda plot: plot.name)),
    )
