"""By which images a network is quantized, and what a training says of what that cost."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from hydrad.errors import ConfigurationError
from hydrad.train import quantizing
from hydrad.verbs.training import _cost_of_int8

FLOAT32 = {"images": 340, "other_label": 0, "score_off": 1e-6, "ms_per_image": 1.94}
INT8 = {"images": 340, "other_label": 0, "score_off": 0.0213, "ms_per_image": 0.81}


def test_every_group_is_shown_however_rare_it_is() -> None:
    groups = [("A",)] * 5000 + [("A", "dead board")] * 3 + [("B",)] * 200
    found = quantizing.chosen(groups, seed=1, most=60)
    assert len(found) == 60
    assert (np.diff(found) > 0).all()
    shown = [groups[n] for n in found]
    assert shown.count(("A", "dead board")) == 3
    assert abs(shown.count(("A",)) - shown.count(("B",))) <= 1


def test_the_same_seed_shows_the_same_images_and_another_one_others() -> None:
    groups = list(range(4)) * 100
    assert np.array_equal(quantizing.chosen(groups, 1), quantizing.chosen(groups, 1))
    assert not np.array_equal(quantizing.chosen(groups, 1, 40), quantizing.chosen(groups, 2, 40))
    assert np.array_equal(quantizing.chosen(groups, 1, 1000), np.arange(400))


@pytest.mark.parametrize(("package", "name"), [("nncf", "NNCF"), ("openvino", "OpenVINO")])
def test_what_is_missing_is_named_with_what_asked_for_it(
    package: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", sys)  # something is there
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=f"train.int8: {name} is not installed.*constraints/int8.txt"):
        quantizing.require_installed("train.int8")


def test_the_cost_is_told_in_images_scores_and_time() -> None:
    kept = _cost_of_int8({"float32": FLOAT32, "int8": INT8})
    assert kept == (
        "0 of 340 images held out get another label, scores are off by up to 0.021; ms an image: 1.94 in float32,"
        ' 0.81 in int8. It serves where classify.precision = "int8"'
    )
    left_out = _cost_of_int8({"float32": FLOAT32, "int8": INT8 | {"other_label": 3}})
    assert left_out.startswith("3 of 340 images")
    assert "left out" in left_out
    assert "serves" not in left_out


def test_what_was_not_made_says_why() -> None:
    assert _cost_of_int8({"float32": FLOAT32, "int8": {"reason": "too odd"}}) == "not made: too odd"
    assert "no export" in _cost_of_int8({})
