"""A watched folder that goes away, is another one, or may not be read; and comes back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mounts import mount, unmount
from trial import LONG, Trial

ROUNDS, FILES = (6, 40) if LONG else (1, 6)
# root may read everything; without these it is like anybody else
BOUND = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


@pytest.mark.long
def test_a_root_that_vanishes_and_comes_back_costs_no_file(trial: Callable[..., Trial]) -> None:
    with trial("a root that vanishes and comes back") as hall:
        aside = hall.daemon.home / "aside"
        hall.start()
        for again in range(ROUNDS):
            for n in range(FILES):
                hall.write(f"CDC_p{n}.png")
            if again % 2:
                hall.settled()
            hall.root.rename(aside)
            hall.tries += 1
            hall.until(lambda again=again: len(hall.said("root_is_away")) > again)
            aside.rename(hall.root)
            hall.write("CDC_back.png")
            hall.until(lambda again=again: len(hall.said("root_is_back")) > again)
            hall.settled()
        shutil.rmtree(hall.root)
        hall.tries += 1
        hall.until(lambda: len(hall.said("root_is_away")) > ROUNDS)
        hall.root.mkdir()
        for n in range(FILES):
            hall.write(f"CDC_p{n}.png")


@pytest.mark.long
def test_a_root_that_is_unmounted_and_mounted_again_costs_no_file(trial: Callable[..., Trial]) -> None:
    with trial("a root that is unmounted and mounted again") as hall:
        disk = hall.daemon.home / "disk"
        disk.mkdir()
        mount("--bind", disk, hall.root)
        mounted = True
        try:
            hall.start()
            for again in range(ROUNDS):
                for n in range(FILES):
                    hall.write(f"CDC_p{n}_{again}.png")
                hall.settled()
                unmount(hall.root)
                mounted = False
                hall.tries += 1
                hall.until(lambda again=again: len(hall.said("root_is_away")) > again)
                beats = len(hall.clients.events("HEARTBEAT"))
                hall.until(lambda beats=beats: len(hall.clients.events("HEARTBEAT")) > beats + (12 if LONG else 3))
                mount("--bind", disk, hall.root)
                mounted = True
                hall.write("CDC_back.png")
            hall.settled()
            hall.told()
        finally:
            if mounted:
                unmount(hall.root)


@contextmanager
def closed(path: Path) -> Iterator[None]:
    """Nobody may read it meanwhile."""
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        yield
    finally:
        path.chmod(mode)


def test_a_folder_or_file_that_may_not_be_read_for_a_while_is_judged_afterwards(trial: Callable[..., Trial]) -> None:
    with trial("permission lost and given back: root, folder, file", before=BOUND) as hall:
        hall.start()
        for again in range(ROUNDS):
            path = hall.write("Run1/CDC_before.png")
            with hall.frozen():
                late = [hall.write(f"Run1/CDC_p{n}.png") for n in range(FILES)]
                mode = path.parent.stat().st_mode
                path.parent.chmod(0)
                hall.tries += 1
            hall.until(lambda again=again: len(hall.said("folder_cannot_be_read")) > again)
            beats = len(hall.clients.events("HEARTBEAT"))
            hall.until(lambda beats=beats: len(hall.clients.events("HEARTBEAT")) > beats + 3)  # out of patience
            path.parent.chmod(mode)
            hall.settled()
            with closed(hall.root):
                hall.tries += 1
                hall.until(lambda again=again: len(hall.said("root_is_away")) > again)
            with hall.frozen():
                late = hall.write("CDC_closed.png")
                late.chmod(0)
                hall.tries += 1
            beats = len(hall.clients.events("HEARTBEAT"))
            hall.until(lambda beats=beats: len(hall.clients.events("HEARTBEAT")) > beats + 3)
            late.chmod(0o644)
            hall.settled()
