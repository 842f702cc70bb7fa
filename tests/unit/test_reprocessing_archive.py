"""What lies in an archive: exactly what the watchers would find there, however it is linked together."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import reprocessing_world as world

from hydrad.config import Watch
from hydrad.reprocessing.archive import Archived, FolderArchive, extent, portions
from hydrad.watchers.folders import Folders
from hydrad.watchers.layouts import Names
from hydrad.watchers.settling import Settling


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "archive"
    for name in (
        "Run000002/CDC_adc_0001.png", "Run000002/CDC_adc_0002.PNG", "Run000001/deep/er/FDC_tdc_0001.jpg", "loose.gif",
        "Run000001/tmp_canvas_1.png", "Run000001/notes.txt", ".hidden/CDC_adc_0001.png", "Run000001/.CDC_adc_0002.png",
        "tmp_canvas_folder/CDC_adc_0001.png",
    ):  # fmt: skip
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"")
    elsewhere = tmp_path / "elsewhere/Run000009"
    elsewhere.mkdir(parents=True)
    (elsewhere / "CDC_adc_0007.png").write_bytes(b"")
    (top / "a_link").symlink_to(elsewhere.parent)
    (top / "b_link").symlink_to(elsewhere)  # the same folder by another name
    (top / "to_run").symlink_to(top / "Run000002")
    (top / "circle").symlink_to(top)
    (top / "up").symlink_to(tmp_path)
    (top / "CDC_linked_0001.png").symlink_to(elsewhere / "CDC_adc_0007.png")
    return top


def test_it_finds_what_the_watchers_find(tree: Path) -> None:
    names = Names(Watch(root=tree, layout="rsai"), UTC)
    found = [file.path for file in FolderArchive(tree, names, "rsai").files()]
    settling = Settling(settle_s=0.2, overdue_s=30.0, trusted_age_s=60.0, told=lambda _: None, hears=False)
    watched = Folders(names, settling).full_round().files
    real = os.path.realpath  # by which of two links a folder goes is a matter of the order in which they are met
    assert sorted(map(real, found)) == sorted(real(path) for path, _ in watched)
    assert len(found) == 6


def test_the_order_is_the_same_each_time_and_links_come_last(tree: Path) -> None:
    archive = world.archive_of(tree)
    below = [file.below for file in archive.files()]
    assert below == [file.below for file in archive.files()]
    assert below == [
        "CDC_linked_0001.png", "loose.gif", "Run000001/deep/er/FDC_tdc_0001.jpg", "Run000002/CDC_adc_0001.png",
        "Run000002/CDC_adc_0002.PNG", "a_link/Run000009/CDC_adc_0007.png",
    ]  # fmt: skip


def test_a_name_says_what_it_says_to_the_watchers(tmp_path: Path) -> None:
    dump = tmp_path / "clas12mon_11_12-31-2017_11.30.00_PM"
    dump.mkdir()
    (dump / "DC_canvas0.png").write_bytes(b"")
    [file] = world.archive_of(tmp_path, "mon12").files()
    assert file == Archived(
        str(dump / "DC_canvas0.png"), f"{dump.name}/DC_canvas0.png", "DC_canvas0", 11,
        datetime(2017, 12, 31, 23, 30, tzinfo=UTC),
    )  # fmt: skip


def test_a_folder_that_cannot_be_looked_into_is_named_and_the_rest_is_there(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir: Callable[..., object] = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    archive = world.archive_of(tree)
    assert len(list(archive.files())) == 5
    assert archive.unlisted == {str(tree / "Run000001/deep"): "Permission denied"}
    monkeypatch.undo()
    assert len(list(archive.files())) == 6
    assert archive.unlisted == {}


def test_files_of_other_plots_are_counted_and_left_out(tree: Path) -> None:
    archive = world.archive_of(tree)

    def wants(plot: str) -> bool:
        return plot.startswith("CDC")

    there = extent(archive, wants)
    assert (there.files, there.others) == (4, 2)
    cut = list(portions(archive.files(), wants, 3))
    assert [len(portion) for portion in cut] == [3, 1]
