"""Halls for the tests of alarm trees and screens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydrad import config
from hydrad.ioc.plan import Hall, plan

LABELS = ("Good", "Bad", "NoData")


def configured(**document: Any) -> config.Config:
    """A configuration with these tables."""
    words: dict[str, Any] = {
        "hall": {"name": "T"},
        "ioc": {"prefix": "HYDRA:T:"},
        "beam": {"kind": "fixed"},
        "detector": [
            {"name": "CDC", "plots": ["CDC_*"], "expert": "cdc@example.org", "guidance": "Check the HV."},
        ],
    }
    return config.read(words | document, Path("/nowhere"))


def hall_of(*plots: str, unserved: tuple[str, ...] = (), settings: config.Config | None = None) -> Hall:
    """A hall with these plots, of the detectors that their names begin with."""
    settings = settings or configured()
    known = [(plot, settings.rules_of(plot).detector) for plot in plots]
    labels = {plot: LABELS for plot in plots if plot not in unserved}
    return plan(settings, known, labels, address="http://pages.example:8000/")


def large_hall(plots: int = 400, detectors: int = 13) -> Hall:
    """A hall of this many plots; one detector has a third of them."""
    heads = [0 if n % 3 == 0 else n % detectors for n in range(plots)]
    return hall_of(*(f"DET{head:02}_plot_{n:03}" for n, head in enumerate(heads)))
