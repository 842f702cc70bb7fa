"""By what a plot is judged is worked out once, and anew as soon as anything it is made of changes."""

from __future__ import annotations

from dataclasses import replace

from fakes import NOON, card, configuration

from hydrad.domain import Change, ModelCard
from hydrad.roster import Roster
from hydrad.settings import Settings

PLOT = "CDC_occupancy"


def test_rules_are_worked_out_anew_when_model_setting_or_configuration_changes_and_only_then() -> None:
    cards: dict[str, ModelCard] = {}
    settings = Settings()
    roster = Roster(configuration(), cards.get, settings)
    bare = roster.rules(PLOT)
    assert roster.rules(PLOT) is bare

    cards[PLOT] = card()
    served = roster.rules(PLOT)
    assert (bare.model, served.model) == (None, cards[PLOT].id)
    cards[PLOT] = replace(cards[PLOT], thresholds={"Good": 0.25})
    assert roster.rules(PLOT).thresholds == {"Good": 0.25}

    change = Change(key="threshold.Good", value=0.75, by="shift", host="cr", at=NOON, via="page", plot=PLOT)
    assert settings.apply(change)
    assert roster.rules(PLOT).thresholds == {"Good": 0.75}
    assert roster.rules(PLOT) is roster.rules(PLOT)

    roster.config = configuration(defaults={"on_delay": 5})
    assert roster.rules(PLOT).on_delay == 5
    assert roster.rules(PLOT).thresholds == {"Good": 0.75}
