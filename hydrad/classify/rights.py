"""Who could have written a bundle: where that is everybody on the host, it is nobody's word."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from hydrad.errors import BundleError


def check(folder: Path) -> None:
    """Go on only with a bundle that those alone could write who were let in.

    Its group may: that is how an account of the trainings' own hands models to the daemon's.

    Raises:
        BundleError: everybody on the host may write to the folder, to something in it or to the folder of models.
        OSError: it cannot be looked at.
    """
    if folder.is_symlink():
        raise BundleError("its folder is a link; put a copy of what it leads to in its place")
    for path in (folder.parent, folder, *_below(folder)):
        if path.lstat().st_mode & stat.S_IWOTH:
            raise BundleError(f"everybody on this host may write to {path}: find out who has, then chmod -R o-w it")


def _below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if not path.is_symlink())  # a link's own rights say nothing
