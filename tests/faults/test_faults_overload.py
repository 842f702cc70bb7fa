"""Ten times more images than can be judged: what is shown stays young, memory flat, and the ledger explains the rest.

The cadence is the shortest that the model could keep up with: every plot's image once in it. Producers write ten.
"""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from accounts import Fate, ledger
from classify_world import brightness_bundle
from PIL import Image
from trial import LONG, Trial

from hydrad.backlog import MOST_WAITING
from hydrad.domain import Outcome
from hydrad.pipeline import UNREAD
from hydrad.store.queries import Store

SLOW = Path(__file__).with_name("slow_daemon.py")
PLOTS, IMAGES_PER_S, CADENCES = (100, 20, 24) if LONG else (10, 5, 4)
CADENCE_S = PLOTS / IMAGES_PER_S
TIMES = 10
FEW = 4 * PLOTS  # files that wait, where no more are remembered
MIB = 2**20
_numbers = itertools.count(1)


def dark() -> bytes:
    """A small picture unlike any other, which the model calls bad."""
    n, data = next(_numbers), io.BytesIO()
    Image.new("RGB", (64, 48), (n & 63, n >> 6 & 63, n >> 12 & 63)).save(data, "png")
    return data.getvalue()


def load(hall: Trial, fate: Fate) -> list[float]:
    """Write ten images of every plot in each cadence; the daemon's resident memory meanwhile, in MiB."""
    process, sizes = psutil.Process(hall.daemon.pid), []
    began = time.monotonic()
    for dump in range(TIMES * CADENCES):
        for plot in range(PLOTS):
            hall.write(f"d{dump}/CDC_p{plot}.png", dark(), fate=fate)
            due = began + (dump + plot / PLOTS) * CADENCE_S / TIMES
            time.sleep(max(0.0, due - time.monotonic()))
        sizes.append(process.memory_info().rss / MIB)
    return sizes


def oldest_shown_s(hall: Trial, since: float, until: float) -> dict[str, float]:
    """The greatest age that a client saw of each plot's image, in s; one that was told before holds until the next."""
    oldest: dict[str, float] = {}
    for event in hall.clients.events():
        if event.name is not None and event.name.endswith(":AGE") and event.at <= until:
            age = float(event.value or 0.0)
            oldest[event.name] = age if event.at <= since else max(age, oldest.get(event.name, 0.0))
    return oldest


@pytest.mark.parametrize("most", [MOST_WAITING, FEW] if LONG else [MOST_WAITING])
def test_what_is_shown_stays_younger_than_two_cadences_whatever_comes(
    trial: Callable[..., Trial], tmp_path: Path, most: int
) -> None:
    brightness_bundle(tmp_path / "models")
    (tmp_path / "slow").touch()
    few = most == FEW
    name = f"ten times the load, {most} files remembered" if few else "ten times the load"
    watch = [f"CDC:P{n}:AGE" for n in range(PLOTS)] + ["PENDING", "WATCHDOG"]
    with trial(name, watch=watch, scores=None, program=(str(SLOW), str(IMAGES_PER_S), str(most))) as hall:
        hall.start()
        hall.tries = 1
        began = time.monotonic()
        sizes = load(hall, Fate.EITHER if few else Fate.JUDGED)
        ended = time.monotonic()
        waited = int(hall.clients.events("PENDING")[-1].value or 0)
        (tmp_path / "slow").unlink()
    oldest = oldest_shown_s(hall, began + 2 * CADENCE_S, ended)
    with Store(hall.url) as store:
        rows = ledger(store)
    unread = [row for row in rows if row.sha256 is None]
    judged = [row for row in rows if row.outcome is Outcome.JUDGED]
    told = (
        f"{PLOTS} plots, {IMAGES_PER_S} images/s: {len(hall.written)} files in {ended - began:.0f} s, {waited} waited",
        f"cadence {CADENCE_S:.1f} s, the oldest shown {max(oldest.values()):.1f} s",
        f"judged {len(judged)}, superseded {len(rows) - len(judged)}, of these unread {len(unread)}",
        f"resident after each quarter {[round(sizes[len(sizes) * n // 4 - 1]) for n in (1, 2, 3, 4)]} MiB",
    )
    print(*told, sep="\n")  # noqa: T201
    assert len(oldest) == PLOTS
    if LONG:  # else a cadence is so short that a busy machine may well sleep through two
        assert max(oldest.values()) < 2 * CADENCE_S
    assert {row.outcome for row in rows} == {Outcome.JUDGED, Outcome.SUPERSEDED}
    assert all(row.outcome is Outcome.SUPERSEDED and row.reason == UNREAD for row in unread)
    assert bool(unread) is few
    newest = {str(hall.root / f"d{TIMES * CADENCES - 1}" / f"CDC_p{plot}.png") for plot in range(PLOTS)}
    assert newest <= {row.path for row in judged}
    # What grows is what is remembered of a file in its first ten minutes: no more than a few times its path.
    assert sizes[-1] - sizes[len(sizes) // 4] < 8 + 0.0025 * len(hall.written), sizes
