"""A folder full of what means harm: every file is in the ledger once, and the PVs of honest plots go on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from accounts import Fate
from hostile_images import ATTACKS, header, mutants, oddities, seeds
from trial import LONG, Trial

MUTANTS = 1_000 if LONG else 20  # of each format
QUICKLY_MADE = ("png 60", "png 2 m", "png of no", "png zTXt", "jpeg of", "jpeg with", "gif with")
HONEST = 100 if LONG else 5


def no_files(root: Path) -> None:
    """Things with images' names that are no files."""
    os.mkfifo(root / "pipe.png")
    (root / "folder.png").mkdir()
    (root / "zero.png").symlink_to("/dev/zero")
    (root / "nowhere.png").symlink_to("nowhere")
    (root / "loop.png").symlink_to("loop.png")
    (root / "itself").symlink_to(".")


@contextmanager
def growing(hall: Trial) -> Iterator[None]:
    """A picture that grows for as long as this lasts and never gets its end."""
    path, over = hall.root / "GROWING_picture.png", threading.Event()

    def grow() -> None:
        with path.open("ab") as file:
            file.write(header(64, 48) + b"\x7f\xff\xff\xffIDAT")
            while not over.wait(0.02):
                file.write(bytes(1000))
                file.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()
        hall.remember(path, path.read_bytes(), fate=Fate.REJECTED)


def hostile_files() -> Iterator[tuple[str, bytes, Fate]]:
    """Name, content, and what may become of it."""
    for name, data in oddities().items():
        yield f"ODD_{name}", data, Fate.EITHER
    for name, data in seeds().items():
        yield f"SEED_{name}", data, Fate.JUDGED
    for suffix in (".png", ".jpg", ".gif"):
        for n, data in enumerate(mutants(suffix, MUTANTS, seed=6)):
            yield f"mutants/{n}/MUTANT_{n % 10}{suffix}", data, Fate.EITHER
    for n, (name, make) in enumerate(ATTACKS.items()):
        if LONG or name.startswith(QUICKLY_MADE):
            yield f"attacks/{n}/ATTACK_{n}.png", make(), Fate.EITHER


def test_a_hostile_folder_is_accounted_for_and_the_pvs_of_honest_plots_go_on(trial: Callable[..., Trial]) -> None:
    with trial(
        "a folder of hostile images", watch=["CDC:OCCUPANCY:STATUS", "CDC:OCCUPANCY:NBAD"], patience_s=2
    ) as hall:
        no_files(hall.root)
        hall.start()
        files = list(hostile_files())
        often = max(1, len(files) // HONEST)
        with growing(hall):
            for number, (name, data, fate) in enumerate(files):
                hall.write(name, data, fate=fate)
                hall.tries += 1
                if number % often == 0:
                    before = len(hall.clients.events("CDC:OCCUPANCY:NBAD"))
                    hall.write(f"honest/{number}/CDC_occupancy.png")
                    hall.until(lambda before=before: len(hall.clients.events("CDC:OCCUPANCY:NBAD")) > before, 120.0)
        assert {Path(line["path"]).name for line in hall.said("passed_over")} == {"pipe.png", "zero.png"}
