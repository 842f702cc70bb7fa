"""Which file systems this kernel sees all of."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydrad.watchers import mounts
from hydrad.watchers.mounts import choose, file_system, is_shared

TABLE = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:40 / /nfs rw shared:1 - nfs4 server:/export rw
31 30 0:41 / /nfs/local rw - tmpfs tmpfs rw
32 27 0:42 / /with\\040space rw - cifs //server/share rw
33 27 0:43 / /over rw - xfs /dev/vdb rw
34 27 0:44 / /over rw - fuse.sshfs host: rw
35 27 0:45 / /nfsx rw master:1 propagate_from:2 - btrfs /dev/vdc rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/data/monitoring", "ext4"),
        ("/nfs", "nfs4"),
        ("/nfs/halld/plots", "nfs4"),
        ("/nfs/local/plots", "tmpfs"),
        ("/nfsx/plots", "btrfs"),
        ("/with space/plots", "cifs"),
        ("/over/plots", "fuse.sshfs"),
    ],
)
def test_a_folder_lies_on_the_innermost_and_latest_mount(folder: str, kind: str) -> None:
    assert file_system(Path(folder), TABLE) == kind


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "afs", "9p", "fuse.sshfs", "virtiofs"]
)
def test_what_others_write_to_is_polled(kind: str) -> None:
    assert is_shared(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "fuseblk"])
def test_what_only_this_kernel_writes_to_is_heard(kind: str) -> None:
    assert not is_shared(kind)


def test_the_choice_is_made_by_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    monkeypatch.setattr(mounts, "MOUNTS", table)
    table.write_text(TABLE)
    assert choose("auto", Path("/nfs/halld")) == "polling"
    assert choose("auto", tmp_path) == "inotify"
    assert choose("inotify", Path("/nfs/halld")) == "inotify"
    assert choose("polling", tmp_path) == "polling"


def test_a_link_counts_as_where_it_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plots").symlink_to("/nfs/halld")
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    monkeypatch.setattr(mounts, "MOUNTS", table)
    assert choose("auto", tmp_path / "plots") == "polling"


def test_where_there_is_no_such_table_there_is_no_inotify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "none")
    assert choose("auto", tmp_path) == "polling"


def test_this_machines_table_can_be_read(tmp_path: Path) -> None:
    assert file_system(tmp_path, mounts.MOUNTS.read_text())
