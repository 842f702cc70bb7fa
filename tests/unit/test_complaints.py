"""What a walk through the folders passes over is told once, and remembered no longer than it lies there."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo

from structlog.testing import capture_logs

from hydrad.config import Watch
from hydrad.watchers.folders import Folders
from hydrad.watchers.layouts import Names
from hydrad.watchers.settling import Settling


def test_what_is_no_file_is_told_once_for_as_long_as_it_lies_there(tmp_path: Path) -> None:
    settling = Settling(settle_s=0.1, overdue_s=1.0, trusted_age_s=1.0, told=lambda _: None, hears=True)
    folders = Folders(Names(Watch(root=tmp_path, layout="plain"), ZoneInfo("UTC")), settling)
    pipe, link = tmp_path / "pipe.png", tmp_path / "link.png"
    os.mkfifo(pipe)
    link.symlink_to("nowhere")
    with capture_logs() as lines:
        for _ in range(3):
            assert folders.full_round().files == []
    assert sorted((line["event"], Path(line["path"]).name) for line in lines) == [
        ("link_waits_for_its_target", "link.png"),
        ("passed_over", "pipe.png"),
    ]
    pipe.unlink()
    link.unlink()
    folders.full_round()
    assert not folders._complaints
    os.mkfifo(pipe)
    with capture_logs() as lines:
        folders.full_round()
    assert [line["event"] for line in lines] == ["passed_over"]
