"""Which of several models serves a plot: the one whose pattern says most about it; of equals, the one made last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True, slots=True)
class Claim:
    """The plots that a model is for."""

    model: str
    patterns: tuple[str, ...]
    made_at: datetime  # aware

    def covers(self, plot: str) -> bool:
        """True if one of the patterns fits."""
        return any(fnmatchcase(plot, pattern) for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a model's claim comes to among the others'."""

    serves: Sequence[str]  # plots
    leaves: Mapping[str, str | None]  # plots that it claims, and the model that serves them instead
    unserved: Sequence[str]  # plots that no model serves


def claim_of(model: str, card: Mapping[str, Any]) -> Claim | None:
    """The claim of a model, from what its bundle.json says; None where that says nothing of plots."""
    try:
        return Claim(model, tuple(card["plots"]), datetime.fromisoformat(card["created_at"]))
    except (KeyError, TypeError, ValueError):
        return None


def outlook(model: str, plots: Iterable[str], claims: Sequence[Claim]) -> Outlook:
    """Which of these plots a model serves, by these claims."""
    mine = [claim for claim in claims if claim.model == model]
    by = servers(plots, claims)
    return Outlook(
        [plot for plot, one in by.items() if one == model],
        {plot: one for plot, one in by.items() if one != model and any(claim.covers(plot) for claim in mine)},
        [plot for plot, one in by.items() if one is None],
    )


def servers(plots: Iterable[str], claims: Sequence[Claim]) -> dict[str, str | None]:
    """The model that serves each of these plots, or None where nobody claims it."""
    literal: dict[str, list[Claim]] = {}
    wild: list[Claim] = []
    for claim in claims:  # most claims spell their plots out: these need not be tried on every plot
        wide = tuple(pattern for pattern in claim.patterns if any(letter in "*?[]" for letter in pattern))
        if wide:
            wild.append(Claim(claim.model, wide, claim.made_at))
        for pattern in set(claim.patterns) - set(wide):
            literal.setdefault(pattern, []).append(Claim(claim.model, (pattern,), claim.made_at))
    return {plot: server(plot, literal.get(plot) or wild) for plot in plots}


def server(plot: str, claims: Iterable[Claim]) -> str | None:
    """The model that serves a plot, or None when nobody claims it."""
    fitting = [
        (*_specificity(pattern), claim.made_at, claim.model)
        for claim in claims
        for pattern in claim.patterns
        if fnmatchcase(plot, pattern)
    ]
    return max(fitting)[-1] if fitting else None


def _specificity(pattern: str) -> tuple[bool, int]:
    """A plain name before a pattern; of patterns, the one that spells out more."""
    literal = sum(letter not in "*?[]" for letter in pattern)
    return (literal == len(pattern), literal)
