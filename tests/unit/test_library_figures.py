"""What the library says of models: their claims, their figures, and small drawings of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrad.classify.claims import Claim, claim_of, outlook, server, servers
from hydrad.shipped import folder
from hydrad.web.library import drawings
from hydrad.web.library.figures import Share, between, figures_of, percent

PATTERNS = st.sampled_from(["*", "CDC_*", "CDC_a", "CDC_b", "CDC_[ab]", "F?C_a", "FDC_a", "a]"])
CLAIMS = st.lists(
    st.builds(
        Claim,
        st.sampled_from(["one", "two", "three"]),
        st.lists(PATTERNS, min_size=1, max_size=4).map(tuple),
        st.integers(1, 3).map(lambda day: datetime(2026, 11, day, tzinfo=UTC)),
    ),
    max_size=4,
)


@given(CLAIMS)
def test_all_plots_at_once_are_served_as_each_by_itself(claims: list[Claim]) -> None:
    plots = ["CDC_a", "CDC_b", "FDC_a", "a]", "TOF_*"]
    assert servers(plots, claims) == {plot: server(plot, claims) for plot in plots}


def test_a_claim_comes_to_what_no_other_says_more_about() -> None:
    day = datetime(2026, 11, 1, tzinfo=UTC)
    claims = [Claim("all", ("CDC_*",), day), Claim("one", ("CDC_a",), day)]
    found = outlook("all", ["CDC_a", "CDC_b", "FDC_a"], claims)
    assert (found.serves, found.leaves, found.unserved) == (["CDC_b"], {"CDC_a": "one"}, ["FDC_a"])


@pytest.mark.parametrize("card", [{}, {"plots": ["*"]}, {"plots": 5, "created_at": "x"}, {"created_at": "2026-11-23"}])
def test_a_card_that_says_nothing_of_plots_claims_nothing(card: dict[str, object]) -> None:
    assert claim_of("x", card) is None


def test_the_shipped_models_figures_are_all_known() -> None:
    figures = figures_of(json.loads((folder() / "bundle.json").read_text(encoding="utf-8"))["metrics"])
    assert [name for name in type(figures).model_fields if getattr(figures, name) is None] == []
    assert figures.labels == ["Good", "Bad", "NoData"]
    assert sum(map(sum, figures.confusion.counts)) == figures.images


@pytest.mark.parametrize("odd", [True, float("nan"), "x", [], [[1, "x"]], {"hits": 1}, {"counts": [[1]]}, [{"of": 2}]])
def test_figures_of_another_shape_are_not_known_and_no_fault(odd: object) -> None:
    figures = figures_of(dict.fromkeys(("accuracy", "confusion", "curve", "making", "by_label"), odd))
    assert figures.accuracy is None
    assert figures.confusion is None
    assert not figures.curve
    assert not figures.by_label


@pytest.mark.parametrize(
    ("value", "says"),
    [(None, "–"), (0.0, "0 %"), (1.0, "100 %"), (0.5, "50.0 %"), (0.9996, "99.96 %"), (0.00004, "0.004 %")],
)
def test_a_share_is_all_or_none_only_when_it_is(value: float | None, says: str) -> None:
    assert percent(value).replace("\u00a0", " ") == says


def test_an_interval_is_said_in_words() -> None:
    said = [
        between(share).replace("\u00a0", " ")
        for share in (
            None,
            Share(hits=0, of=0),
            Share(hits=0, of=100, value=0.0, low=0.0, high=0.03),
            Share(hits=100, of=100, value=1.0, low=0.97, high=1.0),
            Share(hits=50, of=100, value=0.5, low=0.4, high=0.6),
        )
    ]
    assert said == ["no images", "no images", "at most 3.0 %", "at least 97.0 %", "40.0 to 60.0 %"]


def test_one_image_among_thousands_is_seen_in_a_histogram() -> None:
    one, many = drawings.bars([0, 1, 0, 100_000], 0.6)
    assert (one.x, many.x) == (25.4, 75.4)
    assert one.height >= 1.5
    assert many.height == pytest.approx(drawings.BARS_HEIGHT)
    assert (one.sure, many.sure) == (False, True)
    assert drawings.bars([0, 0], 0.5) == []


@given(st.lists(st.floats(-1e6, 1e6), max_size=30), st.lists(st.floats(1e-9, 1e3), max_size=30), st.booleans())
def test_a_chart_stays_inside_its_frame(first: list[float], second: list[float], log: bool) -> None:
    chart = drawings.course("Loss", {"one": second if log else first, "two": second})
    if chart is None:
        assert not second
        return
    for line in chart.lines:
        for point in line.points.split():
            x, y = map(float, point.split(","))
            assert drawings.LEFT - 0.1 <= x <= drawings.WIDTH
            assert drawings.TOP - 0.1 <= y <= drawings.HEIGHT - drawings.BOTTOM + 0.1
    assert len(chart.rows) == max(map(len, (first if not log else second, second)))


def test_without_a_curve_nothing_is_drawn() -> None:
    assert drawings.course("Loss", {"training": [], "validation": [float("nan")]}) is None
    assert len(drawings.course("Accuracy", {"validation": [0.5]}, shares=True).lines[0].dots) == 1
