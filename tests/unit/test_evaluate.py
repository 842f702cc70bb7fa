"""The figures of a model: right where they are known, and None where nothing is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydrad.domain import Meaning
from hydrad.train.evaluation import curves, evaluate, pointing
from hydrad.train.evaluation.shares import brief, share

LABELS = {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY}
GOOD, BAD, EMPTY = range(3)


def logits_of(*said: tuple[int, float], labels: int = 3) -> np.ndarray:
    """Logits of images that are said to have a label with a confidence."""
    scores = np.full((len(said), labels), 0.0)
    for n, (label, confidence) in enumerate(said):
        scores[n] = (1 - confidence) / (labels - 1)
        scores[n, label] = confidence
    return np.log(scores).astype(np.float32)


def shown(truth: list[int], *said: tuple[int, float], **other: object) -> evaluate.Tested:
    return evaluate.Tested(LABELS, np.array(truth, np.int64), logits_of(*said), 1.0, (0.6, 0.8, 0.9), **other)


def seven() -> evaluate.Tested:
    """Three good ones (one false alarm, one in doubt), three bad ones (raised, passed, as empty), an empty one."""
    return shown(
        [GOOD, GOOD, GOOD, BAD, BAD, BAD, EMPTY],
        *[(GOOD, 0.99), (BAD, 0.95), (BAD, 0.7), (BAD, 0.9), (GOOD, 0.7), (EMPTY, 0.95), (EMPTY, 0.85)],
        groups=(
            ("A", "none"),
            ("A", "none"),
            ("B", "none"),
            ("A", "dead"),
            ("A", "dead"),
            ("B", "hot"),
            ("B", "empty"),
        ),
        names=tuple("abcdefg"),
        runs=(1, 1, 2, 2, 3, None, 3),
    )


def test_the_figures_of_seven_images_are_what_one_counts_by_hand() -> None:
    found = evaluate.measure(seven())
    counted = {
        name: (found[name]["hits"], found[name]["of"])
        for name in ("false_alarms", "faults_raised", "faults_missed", "empty_raised", "good_confirmed", "unconfirmed")
    }
    assert counted == {
        "false_alarms": (1, 3),
        "faults_raised": (2, 3),
        "faults_missed": (1, 3),
        "empty_raised": (0, 1),
        "good_confirmed": (1, 3),
        "unconfirmed": (2, 7),
    }
    assert found["accuracy"]["hits"] == 3
    assert found["balanced_accuracy"] == pytest.approx((1 / 3 + 1 / 3 + 1) / 3, abs=1e-5)
    assert found["confusion"]["counts"] == [[1, 2, 0], [1, 1, 1], [0, 0, 1]]
    assert found["confusion"]["confirmed"] == [[1, 1, 0], [1, 1, 1], [0, 0, 0]]
    assert (found["images"], found["runs"], found["untested"]) == (7, 3, [])


def test_a_cell_of_the_confusion_has_a_histogram_of_confidence() -> None:
    histograms = evaluate.measure(seven())["confusion"]["histograms"]
    assert histograms[GOOD][EMPTY] is None
    assert sum(histograms[GOOD][BAD]) == 2
    assert histograms[GOOD][BAD][14] == histograms[GOOD][BAD][19] == 1  # 0.7 and 0.95
    certain = evaluate.measure(shown([GOOD], (GOOD, 1.0 - 1e-9)))["confusion"]["histograms"][GOOD][GOOD]
    assert certain == [0] * 19 + [1]


def test_a_label_is_measured_with_and_without_confirmation() -> None:
    bad = evaluate.measure(seven())["by_label"][BAD]
    assert (bad["precision"]["hits"], bad["precision"]["of"]) == (1, 3)
    assert (bad["confirmed_precision"]["hits"], bad["confirmed_precision"]["of"]) == (1, 2)
    assert (bad["confirmed_wrong"]["hits"], bad["confirmed_wrong"]["of"]) == (1, 4)
    assert bad["threshold"] == 0.8


def test_plots_and_groups_stand_with_the_worst_first() -> None:
    found = evaluate.measure(seven())
    assert [(row["name"], row["faults_raised"], row["false_alarms"]) for row in found["by_plot"]] == [
        ("A", 0.5, 0.5),
        ("B", 1.0, 0.0),
    ]
    groups = {row["name"]: row for row in found["by_group"]}
    assert found["by_group"][0]["name"] == "dead"
    assert groups["none"]["faults_raised"] is None
    assert groups["dead"]["faults_missed"] == 1
    assert groups["empty"]["false_alarms"] is None


def test_what_a_person_labelled_otherwise_than_a_sure_model_comes_first() -> None:
    found = evaluate.measure(seven())["misclassified"]
    assert [(line["name"], line["suspicious"]) for line in found["listed"]] == [
        ("b", True), ("f", True), ("e", True), ("c", False),
    ]  # fmt: skip
    sure = shown([BAD, BAD, GOOD, GOOD], (GOOD, 0.55), (BAD, 0.9), (GOOD, 0.98), (BAD, 0.97), runs=(4, 4, 4, 5))
    listed = evaluate.measure(sure)["misclassified"]
    assert [(line["number"], line["suspicious"]) for line in listed["listed"]] == [(3, True), (0, False)]
    assert (listed["all"], listed["suspicious"]) == (2, 1)
    assert listed["listed"][0] == {
        "number": 3, "name": None, "plot": None, "run": 5, "truth": "Good", "said": "Bad",
        "confidence": pytest.approx(0.97), "confirmed": True, "suspicious": True,
    }  # fmt: skip


def test_the_label_of_a_fault_that_somebody_marked_is_beyond_suspicion() -> None:
    marked = np.zeros((2, 8, 12), bool)
    marked[1, 3, 3] = True
    found = evaluate.measure(shown([BAD, BAD], (GOOD, 0.99), (GOOD, 0.99), marked=marked))["misclassified"]
    assert [(line["number"], line["suspicious"]) for line in found["listed"]] == [(0, True), (1, False)]


def test_only_so_many_mistakes_are_listed_but_all_are_counted() -> None:
    many = shown([GOOD] * 700, *[(BAD, 0.9)] * 700)
    found = evaluate.measure(many)["misclassified"]
    assert (found["all"], len(found["listed"])) == (700, 500)


def test_a_label_without_test_images_has_no_figures_rather_than_zeros() -> None:
    found = evaluate.measure(shown([GOOD, GOOD], (GOOD, 0.9), (GOOD, 0.8)))
    assert found["untested"] == ["Bad", "NoData"]
    assert found["by_label"][BAD]["recall"] == {"hits": 0, "of": 0, "value": None, "low": None, "high": None}
    assert found["faults_raised"]["value"] is None
    assert found["curves"]["Bad"] is None
    assert found["curves"]["Good"] is None  # nothing to tell it from
    assert found["balanced_accuracy"] == 1.0


@settings(max_examples=60, deadline=None)
@given(
    images=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(0.34, 0.999999)), max_size=30),
    temperature=st.floats(0.05, 10),
    known=st.booleans(),
)
def test_figures_are_json_without_nan_whatever_was_tested(images: list, temperature: float, known: bool) -> None:
    count = len(images)
    one = evaluate.Tested(
        LABELS,
        np.array([truth for truth, _, _ in images], np.int64),
        logits_of(*((label, confidence) for _, label, confidence in images)),
        temperature,
        (0.5, 0.7, 0.99),
        groups=tuple(("P", f"g{n % 3}") for n in range(count)) if known else (),
        heatmaps=np.zeros((count, 4, 6), np.uint8) if known else None,
        marked=np.zeros((count, 8, 12), bool) if known else None,
        novelty=np.linspace(0, 2, count).astype(np.float32) if known else None,
    )
    found = evaluate.measure(one)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert sum(map(sum, found["confusion"]["counts"])) == count
    assert found["misclassified"]["all"] == sum(
        found["confusion"]["counts"][row][column] for row in range(3) for column in range(3) if row != column
    )


def test_the_figures_of_many_images_and_plots_stay_small() -> None:
    rng = np.random.default_rng(1)
    count = 20_000
    big = evaluate.Tested(
        LABELS,
        rng.integers(0, 3, count),
        rng.normal(0, 3, (count, 3)).astype(np.float32),
        1.3,
        (0.5, 0.6, 0.7),
        groups=tuple((f"DETECTOR_plot_with_a_long_name_{n % 400}", f"emulated {n % 7}") for n in range(count)),
        names=tuple(f"{n:064x}" for n in range(count)),
        runs=tuple(range(count)),
    )
    assert len(json.dumps(evaluate.measure(big))) < 350_000


def test_the_novelty_of_good_images_and_of_faults_that_pass_is_told() -> None:
    one = shown([GOOD, GOOD, BAD, BAD], (GOOD, 0.9), (GOOD, 0.9), (GOOD, 0.9), (BAD, 0.9),
                 novelty=np.array([0.5, 1.2, 3.0, 4.0], np.float32))  # fmt: skip
    found = evaluate.measure(one)["novelty"]
    assert (found["good_unfamiliar"]["hits"], found["good_unfamiliar"]["of"]) == (1, 2)
    assert (found["missed_but_unfamiliar"]["hits"], found["missed_but_unfamiliar"]["of"]) == (1, 1)


@pytest.mark.parametrize(("hits", "of"), [(0, 10_000), (3, 300), (50, 100), (97, 100)])
def test_an_interval_holds_the_value_and_narrows_with_more_images(hits: int, of: int) -> None:
    few, many = share(hits, of), share(hits * 100, of * 100)
    assert few["low"] <= few["value"] <= few["high"]
    assert many["high"] - many["low"] < few["high"] - few["low"]


def test_none_of_many_is_at_most_three_in_as_many() -> None:
    assert share(0, 10_000)["high"] == pytest.approx(3 / 10_000, rel=0.01)
    assert share(10_000, 10_000)["low"] == pytest.approx(1 - 3 / 10_000, rel=1e-4)
    assert share(0, 1)["high"] == pytest.approx(0.95)


def test_an_interval_is_wilsons() -> None:
    found = share(8, 10)  # Brown, Cai and DasGupta, Statistical Science 16 (2001) 101
    assert (found["low"], found["high"]) == (pytest.approx(0.4902, abs=2e-4), pytest.approx(0.9433, abs=2e-4))


def test_what_is_no_number_has_no_figure() -> None:
    assert brief(float("nan")) is None
    assert brief(float("inf")) is None
    assert brief(1 / 3) == 0.333333


def test_honest_confidence_lies_on_the_diagonal_and_boasting_below() -> None:
    rng = np.random.default_rng(5)
    sure = rng.uniform(0.5, 1.0, 20_000)
    scores = np.stack([sure, 1 - sure], axis=1)
    honest = curves.reliability(scores, (rng.random(20_000) > sure).astype(np.int64))
    boasting = curves.reliability(scores, rng.integers(0, 2, 20_000))
    assert honest["error"] < 0.02
    assert honest["largest"] < 0.05
    assert boasting["error"] == pytest.approx(0.25, abs=0.02)
    assert boasting["largest"] == pytest.approx(0.47, abs=0.05)
    assert boasting["surprise"] > honest["surprise"]
    assert sum(each["images"] for each in honest["bins"]) == 20_000
    assert all(each["low"] < each["confidence"] <= each["high"] for each in honest["bins"])


def test_a_bin_of_few_images_does_not_set_the_largest_error() -> None:
    scores = np.array([[0.99, 0.01]] * 50 + [[0.6, 0.4]])
    found = curves.reliability(scores, np.array([0] * 50 + [1]))
    assert found["largest"] == pytest.approx(0.01, abs=1e-6)


def test_a_curve_is_thinned_and_keeps_its_ends() -> None:
    rng = np.random.default_rng(2)
    own = np.arange(30_000) < 900
    scores = 1 / (1 + np.exp(-rng.normal(np.where(own, 3.0, -1.0), 1.0)))
    found = curves.precision_recall(scores, own)
    assert 100 <= len(found["recall"]) <= 200
    assert len(found["precision"]) == len(found["threshold"]) == len(found["recall"])
    assert found["recall"][0] == 1.0
    assert found["recall"][-1] < 0.01
    assert found["threshold"] == sorted(found["threshold"])
    assert 0.9 < found["average_precision"] < 1.0
    assert max(np.abs(np.diff(found["recall"]))) < 0.03


def test_ninety_labels_share_the_room_for_curves() -> None:
    own = np.arange(5000) % 2 == 0
    found = curves.precision_recall(np.random.default_rng(0).random(5000), own, labels=90)
    assert len(found["recall"]) <= 44


def peak(row: int, column: int) -> np.ndarray:
    heatmap = np.full((8, 12), 10, np.uint8)
    heatmap[row, column] = 255
    return heatmap


def test_a_map_points_when_its_peak_is_at_most_one_cell_from_the_fault() -> None:
    marked = np.zeros((5, 64, 96), bool)
    marked[:4, 16:24, 24:32] = True  # exactly the cell in row 2 and column 3
    maps = np.stack([peak(2, 3), peak(1, 4), peak(2, 5), np.zeros((8, 12), np.uint8), peak(0, 0)])
    found = pointing.measure(maps, marked, np.array([True, False, True, True, True]))
    assert (found["inside"]["hits"], found["inside"]["of"]) == (1, 4)
    assert (found["near"]["hits"], found["near"]["of"]) == (2, 4)
    assert (found["called_bad"]["hits"], found["called_bad"]["of"]) == (1, 3)
    assert found["by_chance"] == pytest.approx(9 / 96, abs=1e-6)


def test_a_fault_on_the_edge_between_cells_touches_both() -> None:
    marked = np.zeros((64, 96), bool)
    marked[15:17, 40] = True
    assert np.argwhere(pointing.touched(marked, 8, 12)).tolist() == [[1, 5], [2, 5]]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(20, 70), st.integers(20, 70), st.data())
def test_every_marked_pixel_lies_in_exactly_one_cell(
    rows: int, columns: int, height: int, width: int, data: st.DataObject
) -> None:
    marked = np.zeros((height, width), bool)
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    marked[y, x] = True
    cells = np.argwhere(pointing.touched(marked, rows, columns))
    assert len(cells) == 1
    row, column = cells[0]
    assert abs((row + 0.5) / rows - (y + 0.5) / height) <= 0.5 / rows + 0.5 / height + 1e-9
    assert abs((column + 0.5) / columns - (x + 0.5) / width) <= 0.5 / columns + 0.5 / width + 1e-9


def test_without_maps_or_places_nothing_is_said_of_pointing() -> None:
    called = np.ones(2, bool)
    assert pointing.measure(None, np.ones((2, 4, 4), bool), called) is None
    assert pointing.measure(np.ones((2, 2, 2), np.uint8), None, called) is None
    assert pointing.measure(np.ones((2, 2, 2), np.uint8), np.zeros((2, 4, 4), bool), called) is None
