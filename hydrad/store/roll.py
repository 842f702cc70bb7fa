"""Which plots have PVs, and which model serves each: what alarm trees and screens are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from hydrad.store.models import registry
from hydrad.store.queries import Store
from hydrad.store.tables import ModelState, detectors, plots, standings


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A plot that was judged at least once, and so has PVs."""

    plot: str
    detector: str


def call(store: Store) -> Sequence[Enrolled]:
    """Every plot that was ever judged, in the order in which they were first kept."""
    query = (
        select(plots.c.name, detectors.c.name.label("detector"))
        .join(standings, standings.c.plot_id == plots.c.id)
        .join(detectors, detectors.c.id == plots.c.detector_id)
        .order_by(plots.c.id)
    )
    with store.reading() as connection:
        return [Enrolled(row.name, row.detector) for row in connection.execute(query)]


def cards(store: Store) -> Mapping[str, Mapping[str, object]]:
    """By name, what the models say of themselves that are in service and that the daemon did not refuse."""
    return {
        model.id: model.card
        for model in registry.models(store)
        if model.state is ModelState.IN_SERVICE and not model.fault
    }
