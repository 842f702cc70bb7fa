"""What a watcher must bear of the folders it watches, whether it hears or looks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from watched import log_lines, png, taking, until, watcher_for


@pytest.fixture(params=["inotify", "polling"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "disk" / "plots"
    folder.mkdir(parents=True)
    return folder


async def test_an_empty_folder_in_the_place_of_the_root_is_a_disk_that_is_not_mounted(
    kind: str, root: Path, tmp_path: Path
) -> None:
    gone: list[str] = []
    (root / "before.png").write_bytes(png(1))
    with log_lines() as lines:
        async with taking(watcher_for(kind, root, rescan_s=0.1, gone=gone.extend)) as taken:
            await taken.count(1)
            root.rename(tmp_path / "mounted")
            root.mkdir()
            await until(lambda: any(line["event"] == "root_is_away" and "empty" in line["why"] for line in lines))
            await taken.nothing_more()
            root.rmdir()
            (tmp_path / "mounted").rename(root)
            (root / "after.png").write_bytes(png(2))
            await taken.count(2)
            await taken.nothing_more()
    assert taken.names == ["before.png", "after.png"]
    assert gone == []


async def test_the_folder_that_the_root_lies_in_may_go_as_well(kind: str, root: Path, tmp_path: Path) -> None:
    with log_lines() as lines:
        async with taking(watcher_for(kind, root, rescan_s=0.1)) as taken:
            (root / "before.png").write_bytes(png(1))
            await taken.count(1)
            root.parent.rename(tmp_path / "aside")
            await until(lambda: any(line["event"] == "root_is_away" for line in lines))
            await taken.nothing_more()
            (tmp_path / "aside").rename(root.parent)
            (root / "after.png").write_bytes(png(2))
            await taken.count(2)
    assert taken.names == ["before.png", "after.png"]


async def test_a_file_that_was_not_there_to_be_read_is_offered_when_it_is_found_as_it_was(
    kind: str, root: Path, tmp_path: Path
) -> None:
    with log_lines() as lines:
        async with taking(watcher_for(kind, root, rescan_s=0.1)) as taken:
            (root / "CDC.png").write_bytes(png(1))
            os.utime(root / "CDC.png", (1e9, 1e9))
            await taken.count(1)
            root.rename(tmp_path / "aside")
            await until(lambda: any(line["event"] == "root_is_away" for line in lines))
            taken.watcher.missed(taken.arrivals[-1])
            (tmp_path / "aside").rename(root)
            await taken.count(2)
            await taken.nothing_more()
    assert taken.arrivals[0].mtime_ns == taken.arrivals[1].mtime_ns
