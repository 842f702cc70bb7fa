"""What a label says about the detector is told from its name."""

from __future__ import annotations

import pytest

from hydrad.classify.fixed import FixedClassifier
from hydrad.classify.labels import meaning_of
from hydrad.domain import Meaning
from hydrad.errors import ConfigurationError


@pytest.mark.parametrize(
    ("label", "meaning"),
    [
        ("Good", Meaning.GOOD),
        ("good", Meaning.GOOD),
        ("Bad", Meaning.BAD),
        ("NoData", Meaning.EMPTY),
        ("No Data", Meaning.EMPTY),
        ("no_data", Meaning.EMPTY),
        ("NO-DATA", Meaning.EMPTY),
        ("Empty", Meaning.EMPTY),
        ("Cosmic", Meaning.OTHER),
        ("LED", Meaning.OTHER),
        ("Goodish", Meaning.OTHER),
        ("", Meaning.OTHER),
    ],
)
def test_meanings_follow_from_names(label: str, meaning: Meaning) -> None:
    assert meaning_of(label) is meaning


@pytest.mark.parametrize("scores", [{"Good": 0.9}, {"Good": 0.6, "Bad": 0.6}, {}])
def test_fixed_scores_that_are_no_probabilities_are_wrong_configuration(scores: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=r"classify\.scores: they add up to"):
        FixedClassifier(scores)
