"""Killed at any moment: nothing is lost, and nothing is counted twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from trial import LONG, Trial

KILLS, FILES = (100, 10_000) if LONG else (2, 60)
PLOTS = [f"CDC_p{n}" for n in range(40)]


def test_a_daemon_that_is_killed_at_random_moments_counts_every_file_once(
    trial: Callable[..., Trial], stored: dict[str, Any], database_kind: str
) -> None:
    chance = random.Random(6)
    with trial(
        f"kill -9 at random moments ({database_kind})", watch=[f"CDC:P{n}:STATUS" for n in range(3)], **stored
    ) as hall:
        hall.start()
        for kill in range(KILLS):
            for n in range(kill, FILES, KILLS):
                hall.write(f"Run{kill:03}/{chance.choice(PLOTS)}_{n}/{chance.choice(PLOTS)}.png")
                if chance.random() < KILLS / FILES:  # some while files are still coming
                    time.sleep(chance.random() * 0.2)
            time.sleep(chance.expovariate(2.0))
            hall.kill()
            hall.tries += 1
            hall.launch()
            if chance.random() < 0.3:  # and some before it is ready
                time.sleep(chance.random() * 2.0)
            else:
                hall.daemon.until_ready()
