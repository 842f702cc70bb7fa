"""Names on disk, and what they say."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrad.config import Watch
from hydrad.domain import Caption
from hydrad.watchers.layouts import Names, legible, plain

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ROOT = "/data/monitoring"


def names(layout: str | None = None, root: str = ROOT, zone: str = "America/New_York", **how: Any) -> Names:
    key = {} if layout is None else {"layout": layout}
    return Names(Watch(root=Path(root), **key, **how), ZoneInfo(zone))


def read(layout: str | None, below: str, now: datetime = NOW, **how: Any) -> Caption:
    of = names(layout, **how)
    return of.caption(f"{of.root}/{below}", now=now)


@pytest.mark.parametrize(
    ("below", "plot", "run", "chunk"),
    [
        ("CDC_occupancy_0003.png", "CDC_occupancy", None, 3),
        ("Run012345/CDC_occupancy_0003.png", "CDC_occupancy", 12345, 3),
        ("Run012345/CDC_occupancy-07_0003.png", "CDC_occupancy-07", 12345, 3),
        ("Run012345/CDC_occupancy-straws_0012.png", "CDC_occupancy-straws", 12345, 12),
        ("Run012345/deep/er/FCAL_10000.gif", "FCAL", 12345, 10000),
        ("Run000001/Run000002/FCAL_0001.png", "FCAL", 2, 1),
        ("run_77/FCAL_0001.jpeg", "FCAL", 77, 1),
        ("Run12345/x_2024_0007.PNG", "x_2024", 12345, 7),
        ("RunPeriod-2019-11/FCAL_0001.png", "FCAL", None, 1),
        ("CDC_occupancy.png", "CDC_occupancy", None, None),
        ("CDC_007.png", "CDC_007", None, None),
        ("_0001.png", "_0001", None, None),
        ("0001.png", "0001", None, None),
        ("CDC_٠٠٠١.png", "CDC_٠٠٠١", None, None),
        ("CDC_0001.copy.png", "CDC_0001.copy", None, None),
    ],
)
def test_rsai(below: str, plot: str, run: int | None, chunk: int | None) -> None:
    assert read("rsai", below) == Caption(plot, run, chunk)


def test_a_run_may_stand_above_the_root_but_a_campaign_is_none() -> None:
    assert read("rsai", "CDC_0001.png", root="/data/Run012345/plots").run == 12345
    assert read("rsai", "Run000007/CDC_0001.png", root="/data/Run012345/plots").run == 7
    assert read("rsai", "CDC_0001.png", root="/data/Run3/plots").run is None


@pytest.mark.parametrize(
    ("below", "plot", "run", "taken_at"),
    [
        ("mon_11_10-17-2017_06.09.49_PM/DC_c0.png", "DC_c0", 11, datetime(2017, 10, 17, 22, 9, 49, tzinfo=UTC)),
        ("mon_0_10-17-2017_06.15.01_AM/Faraday Cup_c0.png", "Faraday Cup_c0", 0,
         datetime(2017, 10, 17, 10, 15, 1, tzinfo=UTC)),
        ("mon_5_01-02-2018_12.00.00_AM/DC_a.png", "DC_a", 5, datetime(2018, 1, 2, 5, tzinfo=UTC)),
        ("mon_5_01-02-2018_12.30.00_PM/DC_a.png", "DC_a", 5, datetime(2018, 1, 2, 17, 30, tzinfo=UTC)),
        ("mon_5_01-02-2018_11.59.59_PM/sub/DC_a.png", "DC_a", 5, datetime(2018, 1, 3, 4, 59, 59, tzinfo=UTC)),
        ("my_hall_mon_5_01-02-2018_01.00.00_pm/DC_a.png", "DC_a", 5, datetime(2018, 1, 2, 18, tzinfo=UTC)),
        ("mon_5_13-02-2018_01.00.00_PM/DC_a.png", "DC_a", 5, None),
        ("mon_5_01-02-2018_13.00.00_PM/DC_a.png", "DC_a", 5, None),
        ("mon_5_01-02-2018_00.10.00_AM/DC_a.png", "DC_a", 5, None),
        ("elsewhere/DC_a.png", "DC_a", None, None),
        ("Run000042/DC_a.png", "DC_a", 42, None),
        ("DC_a.png", "DC_a", None, None),
    ],
)  # fmt: skip
def test_mon12(below: str, plot: str, run: int | None, taken_at: datetime | None) -> None:
    assert read("mon12", below) == Caption(plot, run, None, taken_at)


def test_a_time_in_the_future_is_not_believed() -> None:
    below = "mon_5_11-23-2026_07.00.30_AM/DC_a.png"  # half a minute from now: clocks differ
    assert read("mon12", below).taken_at == NOW
    assert read("mon12", "mon_5_11-23-2026_07.01.01_AM/DC_a.png").taken_at is None
    assert read("mon12", "mon_5_11-23-2026_07.01.01_AM/DC_a.png").run == 5


def test_the_hour_that_comes_twice_is_the_later_one_unless_that_is_yet_to_come() -> None:
    below = "mon_5_11-01-2026_01.30.00_AM/DC_a.png"
    first, second = datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert read("mon12", below, now=first).taken_at == first
    assert read("mon12", below, now=second).taken_at == second
    assert read("mon12", below).taken_at == second


def test_the_hour_that_never_comes_is_still_a_time() -> None:
    assert read("mon12", "mon_5_03-08-2026_02.30.00_AM/DC_a.png").taken_at is not None


@pytest.mark.parametrize(
    ("below", "plot", "run", "chunk"),
    [
        ("hydra_4321_bbcal_shower_2.png", "bbcal_shower", 4321, 2),
        ("hydra_4321_page3_pad12_0.png", "page3_pad12", 4321, 0),
        ("hydra_4321_page3_pad12_shower.png", "page3_pad12_shower", 4321, None),
        ("hydra_4321_v2_001.png", "v2", 4321, 1),
        ("hydra_4321_2_001.png", "hydra_2", 4321, 1),
        ("hydra_4321_h1.png", "h1", 4321, None),
        ("summaryPlots_4321_page1_sbs.png", "summaryPlots_4321_page1_sbs", None, None),
        ("hydra_x_y_1.png", "hydra_x_y_1", None, None),
        ("Run000009/other.png", "other", 9, None),
    ],
)
def test_panguin(below: str, plot: str, run: int | None, chunk: int | None) -> None:
    assert read("panguin", below) == Caption(plot, run, chunk)


def test_plain() -> None:
    assert read("plain", "a/Run000012/CDC occupancy.v2.png") == Caption("CDC occupancy.v2", 12)
    assert plain(Path("/anywhere/Run000012/CDC.png")) == Caption("CDC", 12)


def test_a_free_pattern_reads_the_name() -> None:
    pattern = r"^(?P<plot>.+?)(?:-r(?P<run>\d+))?(?:-c(?P<chunk>\d+))?(?:@(?P<time>[\dT]+))?\.png$"
    how: dict[str, Any] = {"pattern": pattern, "time_format": "%Y%m%dT%H%M%S"}
    taken_at = datetime(2026, 7, 1, 16, 0, 0, tzinfo=UTC)
    assert read(None, "sub/CDC-r12-c3@20260701T120000.png", **how) == Caption("CDC", 12, 3, taken_at)
    assert read(None, "CDC.png", **how) == Caption("CDC")
    assert read(None, "CDC@20269901T120000.png", **how) == Caption("CDC")
    assert read(None, "Run000004/CDC.gif", **how) == Caption("CDC", 4)


def test_a_free_pattern_with_a_slash_reads_the_path() -> None:
    pattern = r"(?P<run>\d+)/(?P<plot>[^/]+)/(?P<chunk>\d+)\.png"
    assert read(None, "2026/00123/CDC/7.png", pattern=pattern) == Caption("CDC", 123, 7)


def test_a_zone_in_the_name_counts_more_than_the_halls() -> None:
    how: dict[str, Any] = {"pattern": r"(?P<plot>\w+) (?P<time>\S+)\.png", "time_format": "%Y-%m-%dT%H%M%z"}
    assert read(None, "CDC 2026-07-01T1200+0000.png", **how).taken_at == datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert read(None, "CDC 2027-07-01T1200+0000.png", **how).taken_at is None


def test_years_that_no_clock_knows_do_no_harm() -> None:
    how: dict[str, Any] = {"pattern": r"(?P<plot>\w+)@(?P<time>\d+)\.png", "time_format": "%Y"}
    assert read(None, "CDC@0001.png", zone="Asia/Tokyo", **how) == Caption("CDC")
    assert read(None, "CDC@9999.png", **how) == Caption("CDC")


def test_numbers_too_long_for_a_run_are_no_run() -> None:
    pattern = r"(?P<plot>[A-Z]+)_(?P<run>\w+)\.png"
    assert read(None, f"CDC_{'9' * 10}.png", pattern=pattern).run is None
    assert read(None, "CDC_١٢.png", pattern=pattern).run is None
    assert read(None, f"CDC_{'9' * 9}.png", pattern=pattern).run == 999_999_999


def test_an_empty_plot_is_named_after_the_file() -> None:
    assert read(None, "x 12.png", pattern=r"(?P<plot> *)(?P<run>\d+)").plot == "x 12"


def test_names_that_cannot_be_shown_are_written_as_escapes_and_stay_apart() -> None:
    assert legible(os.fsdecode(b"CDC\xff_\xc3\xa9")) == "CDC\\xff_é"
    assert legible("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert read("plain", os.fsdecode(b"CDC\xff.png")).plot != read("plain", os.fsdecode(b"CDC\xfe.png")).plot


@pytest.mark.parametrize(
    ("below", "wanted"),
    [
        ("CDC.png", True),
        ("CDC.JPG", True),
        ("a/b/CDC.jpeg", True),
        ("Faraday Cup_canvas0.gif", True),
        ("CDC.root", False),
        ("CDC.png.part", False),
        ("png", False),
        (".png", False),
        (".CDC.png", False),
        ("tmp_canvas_12.png", False),
        ("a/tmp_canvas_12.png", False),
        ("a/b/tmp_canvas_x/CDC.png", False),
        (".hidden/CDC.png", False),
        ("old/CDC.png", False),
        ("a/old/CDC.png", True),
        ("old/keep/CDC.png", False),
    ],
)
def test_which_files_count(below: str, wanted: bool) -> None:
    assert names("plain", ignore=("tmp_canvas_*", "/old/")).wants_path(f"{ROOT}/{below}") is wanted


@given(
    layout=st.sampled_from(["rsai", "mon12", "panguin", "plain"]),
    parts=st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4),
)
def test_no_name_is_lost_whatever_it_is(layout: str, parts: list[bytes]) -> None:
    below = os.fsdecode(b"/".join(part.replace(b"/", b"_").replace(b"\0", b"_") for part in parts)) + ".png"
    caption = read(layout, below)
    assert caption.plot
    assert caption.plot.encode("utf-8")
    assert caption.plot.isprintable()
    assert caption.taken_at is None or caption.taken_at <= NOW
