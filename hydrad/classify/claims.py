"""Which of several models serves a plot: the one whose pattern says most about it; of equals, the one made last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Claim:
    """The plots that a model is for."""

    model: str
    patterns: tuple[str, ...]
    made_at: datetime  # aware

    def covers(self, plot: str) -> bool:
        """True if one of the patterns fits."""
        return any(fnmatchcase(plot, pattern) for pattern in self.patterns)


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
