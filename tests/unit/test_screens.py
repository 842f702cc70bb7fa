"""Screens as CS-Studio reads them: complete, navigable, and never a colour without a word."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hall_plans import configured, hall_of, large_hall
from screens import collisions, read

from hydrad.domain import Severity, Status
from hydrad.ioc.own_files import MARK
from hydrad.ioc.plan import Hall, plan
from hydrad.ioc.screens import cells, sheet
from hydrad.ioc.screens.pages import pages

SETTINGS = ("ENABLE", "SHELVE", "ONDELAY", "OFFDELAY", "ONWINDOW", "OFFWINDOW")
ALONE = {"hall.bob", "health.bob", "experts.bob", "shelved.bob"}


def laid(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def small() -> Hall:
    return hall_of("CDC_occupancy", "CDC_time", "FDC_a", "Faraday Cup_canvas0", unserved=("FDC_a",))


def whole(files: Mapping[str, bytes]) -> list[str]:
    """The screens that people open; the others are parts of them."""
    return [name for name in files if name.startswith(("hall", "health", "experts", "shelved", "detector-"))]


def test_there_is_a_screen_of_the_hall_each_detector_the_experts_and_the_health(small: Hall) -> None:
    files = pages(small)
    assert set(whole(files)) == ALONE | {"detector-CDC.bob", "detector-FDC.bob", "detector-FARADAY_CUP.bob"}
    assert files.keys() - whole(files) == {"tile.bob", "row-3.bob", "row-0.bob", "setting-3.bob", "setting-0.bob"}


def test_every_screen_can_be_read_back_and_leads_to_files_that_are_there(small: Hall, tmp_path: Path) -> None:
    files = pages(small)
    laid(tmp_path, files)
    for name in whole(files):
        found = read(tmp_path, name)
        assert found.leads_to <= files.keys(), name
        assert found.leads_to, name
        assert all(address.startswith("http://pages.example:8000/") for address in found.addresses)


def test_from_every_screen_one_gets_to_every_other(tmp_path: Path) -> None:
    files = pages(large_hall())
    laid(tmp_path, files)
    ways = {name: read(tmp_path, name).leads_to for name in whole(files)}
    for start in ways:
        reached, edge = {start}, {start}
        while edge:
            edge = {target for name in edge for target in ways[name]} - reached
            reached |= edge
        assert reached == set(ways), start


def test_a_row_shows_all_that_is_known_of_a_plot(small: Hall, tmp_path: Path) -> None:
    laid(tmp_path, pages(small))
    shown = read(tmp_path, "detector-CDC.bob").pvs
    for leaf in (
        "STATUS", "CONF", "CLASS", "AGE", "NBAD", "MSG", "ENABLE", "SHELVE", "REASON", "ONDELAY", "OFFDELAY",
        "THRESH:GOOD", "THRESH:BAD", "THRESH:NODATA",
    ):  # fmt: skip
        assert f"HYDRA:T:CDC:OCCUPANCY:{leaf}" in shown
    assert not any("FDC" in pv for pv in shown)
    assert {"HYDRA:T:CDC:STATUS", "HYDRA:T:CDC:NBAD", "HYDRA:T:CDC:ENABLE", "HYDRA:T:CDC:REASON"} <= shown


def test_guidance_and_expert_stand_on_the_detector_s_screen(small: Hall, tmp_path: Path) -> None:
    laid(tmp_path, pages(small))
    assert "Check the HV. · cdc@example.org" in read(tmp_path, "detector-CDC.bob").texts


def test_experts_find_every_setting_and_the_beam_s_threshold(small: Hall, tmp_path: Path) -> None:
    laid(tmp_path, pages(small))
    shown = read(tmp_path, "experts.bob").pvs
    assert {"HYDRA:T:BEAM:MIN", "HYDRA:T:MSG", "HYDRA:T:FARADAY_CUP:CANVAS0:THRESH:BAD"} <= shown
    for plot in ("CDC:OCCUPANCY", "CDC:TIME", "FDC:A", "FARADAY_CUP:CANVAS0"):
        assert {f"HYDRA:T:{plot}:{leaf}" for leaf in SETTINGS} <= shown


def test_health_shows_how_hydrad_is(small: Hall, tmp_path: Path) -> None:
    laid(tmp_path, pages(small))
    assert read(tmp_path, "health.bob").pvs == {
        f"HYDRA:T:{leaf}"
        for leaf in (
            "WATCHDOG", "DB:STATUS", "MODEL:STATUS", "RATE", "LATENCY", "PENDING", "HEARTBEAT", "UPTIME", "STARTTOD",
            "VERSION", "HOSTNAME", "PROCESS_ID", "MEM_USED", "CA_CLNT_CNT", "MSG",
        )
    }  # fmt: skip


def test_no_widget_lies_over_another_or_sticks_out(tmp_path: Path) -> None:
    settings = configured()
    labels = {f"CDC_{n}": [f"Label {m}" for m in range(n)] for n in range(1, 12)}
    many = plan(settings, [(plot, "CDC") for plot in labels], labels, address="http://pages.example")
    for n, hall in enumerate((hall_of(), hall_of("CDC_a"), large_hall(), many)):
        folder = tmp_path / str(n)
        folder.mkdir()
        files = pages(hall)
        laid(folder, files)
        assert [found for name in files for found in collisions(folder / name)] == []
        for name in whole(files):
            read(folder, name)


def test_every_widget_with_a_pv_shows_its_alarm(small: Hall) -> None:
    for name, content in pages(small).items():
        for widget in ET.fromstring(content).iter("widget"):
            if widget.findtext("pv_name"):
                assert widget.findtext("border_alarm_sensitive") == "true", name


def test_texts_of_characters_are_shown_as_texts(small: Hall) -> None:
    for content in pages(small).values():
        for widget in ET.fromstring(content).iter("widget"):
            if (widget.findtext("pv_name") or "").endswith(("MSG", "REASON")):
                assert widget.findtext("format") == "6"


def test_a_status_is_a_word_and_what_is_normal_is_grey() -> None:
    by_value = {shade.value: shade for shade in cells.STATUS}
    for status in Status:
        shade = by_value[status.value]
        assert shade.label == status.name
        if status is Status.DISABLED:
            assert shade.colour == sheet.OFF
        else:
            assert shade.colour == sheet.COLOURS[status.severity]
    red, green, blue = sheet.COLOURS[Severity.NO_ALARM]
    assert red == green == blue


def test_a_plot_that_somebody_switched_off_stands_out_on_the_screen_of_shelved_plots(
    small: Hall, tmp_path: Path
) -> None:
    files = pages(small)
    bricks = [
        one for one in ET.fromstring(files["shelved.bob"]).iter("widget") if one.attrib["type"] == "multi_state_led"
    ]
    assert bricks[0].findtext("pv_name") == "$(P)CDC:OCCUPANCY:STATUS"
    assert [one.findtext("states/state/value") for one in bricks] == [str(Status.DISABLED.value)] * 4
    assert bricks[0].findtext("states/state/label") == "OFF"
    assert not bricks[0].findtext("fallback_label")
    assert [one for one in read(laid(tmp_path, files), "shelved.bob").texts if "_" in one] == [
        "CDC_occupancy", "CDC_time", "FDC_a", "Faraday Cup_canvas0",
    ]  # fmt: skip


def test_the_same_hall_gives_the_same_screens(small: Hall) -> None:
    assert pages(small) == pages(small)


def test_every_file_says_that_it_is_written_by_hydrad(small: Hall) -> None:
    for content in pages(small).values():
        assert MARK in content.decode().splitlines()[1]


def test_odd_names_do_not_break_a_screen(tmp_path: Path) -> None:
    files = pages(hall_of("A/B_<x>&'\"_\x07", "CDC_größe"))
    laid(tmp_path, files)
    for name in whole(files):
        read(tmp_path, name)


def test_400_plots_take_seconds_and_no_screen_is_large(tmp_path: Path) -> None:
    hall = large_hall()
    began = time.monotonic()
    files = pages(hall)
    assert time.monotonic() - began < 20
    laid(tmp_path, files)
    assert sum(map(len, files.values())) < 2_000_000
    for name in whole(files):
        embedded = sum(one.attrib["type"] == "embedded" for one in ET.fromstring(files[name]).iter("widget"))
        assert embedded <= 50, name
    shown = set().union(*(read(tmp_path, name).pvs for name in whole(files) if name.startswith("detector-")))
    assert {plot.pv("STATUS") for _, plot in hall.plots} <= shown
    bricks = read(tmp_path, "shelved.bob").pvs
    assert bricks == {plot.pv("STATUS") for _, plot in hall.plots}
