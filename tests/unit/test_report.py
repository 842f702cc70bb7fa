"""The report: one file, whole in itself, that says in words what the figures mean."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from hydrad.domain import Meaning
from hydrad.train.evaluation import advice, evaluate, report
from hydrad.train.evaluation.report import Shown

RNG = np.random.default_rng(4)
LABELS = {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY}
EMPTY_TAGS = {"meta", "img", "br", "link", "hr", "input"}


def some(labels: dict[str, Meaning] = LABELS, count: int = 400, wrong: float = 0.05, **other: object) -> dict:
    """Figures of a model that errs in a share of all images."""
    truth = np.arange(count) % len(labels)
    logits = RNG.normal(0, 1, (count, len(labels)))
    said = np.where(RNG.random(count) < wrong, (truth + 1) % len(labels), truth)
    logits[np.arange(count), said] += 6
    shown = {
        "groups": tuple((f"PLOT_{n % 5}", f"kind {n % 3}") for n in range(count)),
        "names": tuple(f"{n:064x}" for n in range(count)),
        "runs": tuple(100 + n % 9 for n in range(count)),
    } | other
    thresholds = (0.6,) * len(labels)
    return evaluate.measure(evaluate.Tested(labels, truth, logits.astype(np.float32), 1.2, thresholds, **shown))


FACTS = {
    "model": "m-1",
    "made_at": "2026-11-23 23:00 UTC",
    "plots": ["PLOT_*"],
    "architecture": "plain",
    "parameters": 123456,
    "labels": [{"label": "Good", "meaning": "good", "training": 1000, "validation": 200, "test": 134}],
    "runs": {"training": 7, "test": 2},
    "split": {"kind": "image", "warning": "results on new runs may be worse", "why": "few runs"},
    "few": ["NoData"],
    "ignored": ["Cosmic"],
    "emulated": [{"name": "dead_region", "images": 500}],
    "good_share": 0.25,
    "seed": 2,
    "epochs": 3,
    "best_epoch": 2,
    "calibrated_on": {"taken": 200, "emulated": 1100},
    "took_s": 300.0,
    "fingerprint": "ab" * 32,
    "curve": {"loss": [1.0, 0.5, 0.2], "validation_loss": [1.0, 0.6, 0.3], "balanced_accuracy": [0.3, 0.8, 0.9]},
    "attempts": [{"seed": 1, "stuck": True, "curve": {"loss": [1.0, 0.9]}}, {"seed": 2, "stuck": False}],
    "notes": ["A remark."],
    "exports": {
        "float32": {"images": 134, "other_label": 0, "score_off": 2e-6, "ms_per_image": 1.75},
        "bfloat16": {"images": 134, "other_label": 0, "score_off": 0.031, "ms_per_image": None},
        "int8": {"images": 134, "other_label": 3, "score_off": 0.21, "ms_per_image": 0.8125},
    },
}


class Reader(HTMLParser):
    """Reads a page as a browser would, and notes what does not fit."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.asks: list[str] = []
        self.handlers: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.asks += [value or "" for name, value in attributes if name in {"src", "href", "xlink:href", "srcset"}]
        self.handlers += [name for name, _ in attributes if name.startswith("on")]
        if tag not in EMPTY_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in EMPTY_TAGS:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.text.append(text)


def read(page: bytes) -> tuple[Reader, str]:
    """The page, read; and its text with single spaces."""
    reader = Reader()
    reader.feed(page.decode())
    reader.close()
    assert not reader.open
    return reader, " ".join(" ".join(reader.text).replace("\u00a0", " ").split())


def pictures_for(metrics: dict, height: int = 30, width: int = 40) -> dict[int, Shown]:
    return {
        number: Shown(RNG.integers(0, 256, (height, width, 3), np.uint8), RNG.integers(0, 256, (8, 12), np.uint8))
        for number in report.wanted(metrics)
    }


@pytest.fixture(scope="module")
def metrics() -> dict:
    return some()


@pytest.fixture(scope="module")
def pictures(metrics: dict) -> dict[int, Shown]:
    return pictures_for(metrics)


@pytest.fixture(scope="module")
def page(metrics: dict, pictures: dict[int, Shown]) -> bytes:
    """As it usually is."""
    return report.page("A chamber", FACTS, metrics, pictures)


def test_the_page_asks_nothing_of_anybody(page: bytes) -> None:
    reader, _ = read(page)
    assert "script" not in reader.tags
    assert "link" not in reader.tags
    assert not reader.handlers
    assert reader.asks
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in reader.asks)
    assert b"@import" not in page
    assert not re.search(rb"url\((?!#)", page)


def test_names_that_people_gave_are_shown_and_never_run() -> None:
    evil = "<script>alert(1)</script>"
    labels = {evil: Meaning.GOOD, "B&d \"'$x^": Meaning.BAD, "</style>": Meaning.OTHER}
    metrics = some(labels, groups=(((evil + "plot"), "<img src=x onerror=y>"),) * 400, names=("<b>name",) * 400)
    facts = FACTS | {"few": [evil], "ignored": ["<i>"], "plots": [evil], "notes": [evil], "fingerprint": evil,
                     "labels": [{"label": evil, "meaning": "good"}]}  # fmt: skip
    reader, text = read(report.page(evil, facts, metrics, pictures_for(metrics)))
    assert "script" not in reader.tags
    assert not reader.handlers
    assert all(address.startswith(("data:", "#")) for address in reader.asks)
    assert evil in text
    assert "<b>name" in text
    assert "B&d \"'$x^" in text


def test_what_each_precision_costs_in_accuracy_is_told(page: bytes) -> None:
    _, text = read(page)
    assert "float32 0 of 134 2e-06 1.75 ms yes" in text
    assert "bfloat16 0 of 134 0.031 – yes" in text
    assert "int8 3 of 134 0.21 0.812 ms no" in text
    without = FACTS | {"exports": {"int8": {"reason": "it cannot be quantized"}}}
    assert "int8 it cannot be quantized no" in read(report.page("A chamber", without, some(), {}))[1]
    assert "without Keras" not in read(report.page("A chamber", FACTS | {"exports": None}, some(), {}))[1]


def test_what_is_known_of_the_making_is_told(page: bytes) -> None:
    _, text = read(page)
    for words in (
        "A chamber", "m-1", "PLOT_*", "123,456 parameters", "results on new runs may be worse", "Cosmic", "NoData",
        "dead_region", "5 min", "ab" * 32, "A remark.", "1 attempt learned no more than to guess", "seed 1", "25.0 %",
        "few runs", "the best was number 2", "200 taken, 1,100 emulated",
    ):  # fmt: skip
        assert words in text


def test_what_is_not_known_is_not_shown() -> None:
    metrics = some(count=0)  # without figures, which take their time
    for missing in FACTS:
        known = {name: FACTS[name] for name in FACTS if name not in {missing, "curve"}}
        _, text = read(report.page("A chamber", known, metrics, {}))
        assert "None" not in text.replace("None: every", "")


def test_nothing_known_and_nothing_tested_is_still_a_page() -> None:
    reader, text = read(report.page("Nothing", {}, some(count=0), {}))
    assert "Nothing is known of this model" in text
    assert "NaN" not in text
    assert "None" not in text.replace("None: every", "")
    assert "svg" not in reader.tags


def test_the_page_stays_below_three_megabytes_whatever_the_pictures() -> None:
    metrics = some(wrong=0.9)
    page = report.page("Noise", FACTS, metrics, pictures_for(metrics, 400, 600))
    assert len(page) <= 3_000_000
    reader, text = read(page)
    assert 20 <= reader.tags.count("img") // 2 <= 60
    assert "more without a picture" in text


def test_thumbnails_are_small_and_show_where_the_map_is_strong(metrics: dict) -> None:
    first = report.wanted(metrics)[0]
    heatmap = np.zeros((4, 6), np.uint8)
    heatmap[0, 5] = 255
    white = np.full((600, 900, 3), 255, np.uint8)
    reader, _ = read(report.page("A chamber", {}, metrics, {first: Shown(white, heatmap)}))
    plain, heat = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB"))
        for address in reader.asks
        if address.startswith("data:")
    )
    assert plain.shape == heat.shape == (107, 160, 3)
    assert plain.min() == 255
    assert heat[5, -5, 2] < 120
    assert heat[-5, 5].min() >= 250


def test_suspicious_labels_are_shown_first_and_named(metrics: dict, page: bytes) -> None:
    assert metrics["misclassified"]["suspicious"]
    wanted = report.wanted(metrics)
    assert len(wanted) == min(60, metrics["misclassified"]["all"])
    assert wanted[0] == metrics["misclassified"]["listed"][0]["number"]
    _, text = read(page)
    assert "relabel?" in text


def test_equal_figures_give_equal_pages(metrics: dict, pictures: dict[int, Shown], page: bytes) -> None:
    assert report.page("A chamber", FACTS, metrics, pictures) == page


def test_many_labels_and_plots_still_make_a_page() -> None:
    labels = {f"Label {n}": Meaning.OTHER for n in range(60)}
    metrics = some(labels, 1200, groups=tuple((f"PLOT_{n}",) for n in range(1200)))
    page = report.page("Digits", {}, metrics, {})
    assert len(page) < 3_000_000
    _, text = read(page)
    assert "and 975 more" in text
    assert "Shown are the 12 labels with the lowest average precision" in text


def test_the_figures_take_the_pages_colours(page: bytes) -> None:
    assert b"#0102" not in page
    assert b"var(--first)" in page
    assert b"prefers-color-scheme: dark" in page
    assert b"@media print" in page


# --- words ---------------------------------------------------------------------------------------------------------


def counted(good: tuple[int, int], bad: tuple[int, int], labels: dict[str, Meaning] = LABELS) -> dict:
    """Figures of so many good images of which some are called bad, and bad ones of which some are found."""
    truth = np.repeat([0, 1], [good[1], bad[1]])
    logits = np.zeros((len(truth), len(labels)), np.float32)
    said = np.concatenate([np.arange(good[1]) < good[0], np.arange(bad[1]) < bad[0]]).astype(np.int64)
    logits[np.arange(len(truth)), said] = 9.0
    return evaluate.measure(evaluate.Tested(labels, truth, logits, 1.0, (0.6,) * len(labels)))


def plain(sentences: object) -> str:
    return " ".join(sentences).replace("\u00a0", " ")


def test_the_verdict_is_said_in_counts_of_images() -> None:
    assert plain(advice.headline(counted((2, 10_000), (97, 100)))) == (
        "Of 100 bad images it would have raised 97 (91.5 to 99.0 %), and let 3 pass as good."
        " In 10,000 good images 2 false alarms (in as many others at most 8)."
    )


def test_none_seen_is_not_called_never() -> None:
    assert plain(advice.headline(counted((0, 10_000), (500, 500)))) == (
        "Of 500 bad images it would have raised 500 (at least 99.4 %), and let none pass as good."
        " In 10,000 good images no false alarm (in as many others at most 3)."
    )


def test_what_was_not_tested_is_said_to_be_unknown() -> None:
    words = plain(advice.headline(counted((0, 10), (0, 0))))
    assert "No bad image was held out: what it does with faults is not known." in words
    assert "No good image was held out" in plain(advice.headline(counted((0, 0), (5, 5))))


def test_labels_that_mean_nothing_for_a_detector_are_told_by_their_names() -> None:
    digits = {"one": Meaning.OTHER, "two": Meaning.OTHER}
    assert plain(advice.headline(counted((10, 100), (95, 100), digits))).startswith(
        "Of 200 images it named 185 rightly"
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0.0, "0 %"), (1.0, "100 %"), (0.5, "50.0 %"), (0.9996, "99.96 %"), (0.0002, "0.02 %"),
     (0.999999, "99.9999 %"), (0.031, "3.1 %")],
)  # fmt: skip
def test_a_share_near_all_is_not_rounded_to_all(value: float | None, said: str) -> None:
    assert advice.percent(value).replace("\u00a0", " ") == said


def test_a_model_without_faults_gets_no_advice() -> None:
    assert list(advice.steps(counted((0, 2000), (300, 300), {"Good": Meaning.GOOD, "Bad": Meaning.BAD}), {})) == []


def test_advice_names_what_an_expert_can_do() -> None:
    words = plain(advice.steps(counted((30, 1000), (10, 20)), FACTS))
    for part in (
        "results on new runs may be worse",
        "No test image shows “NoData”",
        "Only 20 bad images could be tested",
        "have labels that look mistaken",
        "3.0 % of good images would raise an alarm",
        "10 bad images would pass as good",
        "Few images of “NoData”",
        "No image has the label “Cosmic”",
    ):
        assert part in words
