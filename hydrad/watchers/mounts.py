"""On what kind of file system does a folder lie: one whose changes this kernel sees, or one that others write to?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

MOUNTS: Final = Path("/proc/self/mountinfo")
# Several hosts, or a host and its guest, write to these; the kernel tells of what is done on its own side only.
SHARED: Final = frozenset(
    {
        "9p", "acfs", "afs", "autofs", "beegfs", "ceph", "cifs", "coda", "drvfs", "gfs2", "glusterfs", "gpfs", "lustre",
        "mmfs", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "prl_fs", "pvfs2", "smb2", "smb3", "smbfs",
        "vboxsf", "virtiofs", "vmhgfs", "wekafs",
    }
)  # fmt: skip


def choose(kind: Literal["auto", "inotify", "polling"], root: Path) -> Literal["inotify", "polling"]:
    """The kind of watcher for a folder: the one asked for, or the one its file system needs."""
    if kind != "auto":
        return kind
    root.is_dir()  # a folder that is mounted on demand shows its true kind only once it has been asked for
    try:
        mounts = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return "polling"  # no Linux: no inotify either
    return "polling" if is_shared(file_system(root, mounts)) else "inotify"


def is_shared(kind: str) -> bool:
    """Whether others than this kernel may write to a file system of this kind; a FUSE one may hide anything."""
    return kind in SHARED or kind.startswith("fuse.") or kind == "fuse"


def file_system(folder: Path, mounts: str) -> str:
    """The type of file system a folder lies on, links resolved; ``mounts`` as in /proc/self/mountinfo."""
    place = folder.resolve()
    kind, depth = "", -1
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(_unescaped(before.split(" ")[4]))
        # Of two mounts on the same place the later one hides the earlier.
        if place.is_relative_to(point) and len(point.parts) >= depth:
            kind, depth = after.split(" ")[0], len(point.parts)
    return kind


def _unescaped(point: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)
