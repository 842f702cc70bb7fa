"""The roll of plots and models, on every data base."""

from __future__ import annotations

from dataclasses import replace

from store_world import entry_of, later, verdict_of

from hydrad.store import roll
from hydrad.store.models import registry
from hydrad.store.models.registry import Deed, Who
from hydrad.store.packing import Parcel
from hydrad.store.queries import Store
from hydrad.store.roll import Enrolled

BY = Who("otto", "counting-3", "cli")


def judged(store: Store, plot: str, at_s: float, **words) -> None:
    verdict = verdict_of(plot, later(at_s), **words)
    store.put([Parcel(entry_of(verdict), verdict)])


def test_plots_are_called_in_the_order_in_which_they_came(store: Store) -> None:
    for n, plot in enumerate(("FDC_b", "CDC_a", "BCAL_z", "CDC_a")):
        judged(store, plot, n)
    assert roll.call(store) == [Enrolled("FDC_b", "FDC"), Enrolled("CDC_a", "CDC"), Enrolled("BCAL_z", "BCAL")]


def test_a_plot_that_was_never_judged_has_no_pvs_and_is_not_called(store: Store) -> None:
    judged(store, "CDC_a", 0)
    verdict = verdict_of("CDC_late", later(1))
    store.put([Parcel(entry_of(verdict), replace(verdict, superseded=True))])
    assert [one.plot for one in roll.call(store)] == ["CDC_a"]


def test_a_plot_is_called_with_the_detector_of_its_newest_verdict(store: Store) -> None:
    judged(store, "CDC_a", 0)
    judged(store, "CDC_a", 1, detector="Central")
    assert roll.call(store) == [Enrolled("CDC_a", "Central")]


def test_only_models_in_service_that_were_not_refused_have_a_say(store: Store) -> None:
    for name in ("serves", "waits", "refused"):
        registry.register(store, name, {"plots": ["*"], "thresholds": {"Good": 0.5, "Bad": 0.6}}, {}, BY)
    registry.decide(store, "serves", Deed.PROMOTE, BY)
    card = roll.cards(store)["serves"]
    assert list(card["thresholds"]) == ["Good", "Bad"]
    assert roll.cards(store).keys() == {"serves"}
    registry.decide(store, "refused", Deed.PROMOTE, BY)
    (place,) = [one for one in registry.places(store) if one.id == "refused"]
    registry.not_done(store, place, "its hashes are others")
    assert "refused" not in roll.cards(store)
