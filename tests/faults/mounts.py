"""File systems of a trial's own: small ones that fill up, and folders that are mounted and unmounted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def mount(*words: str | Path) -> None:
    """Mount, or skip the test where that is not permitted."""
    answer = subprocess.run(["mount", *map(str, words)], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        pytest.skip(f"file systems may not be mounted here: {answer.stderr.strip()}")


def unmount(place: Path) -> None:
    """Take it away, whoever still has something open there."""
    subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def small_disk(place: Path, size_kib: int) -> Iterator[Path]:
    """An empty file system of this size."""
    place.mkdir(exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size_kib}k,mode=755", "tmpfs", place)
    try:
        yield place
    finally:
        unmount(place)


def fill(disk: Path) -> Path:
    """A file that leaves no room beside it."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as out:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    out.write(bytes(size))
            except OSError:
                continue
    return ballast
