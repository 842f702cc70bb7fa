"""`hydrad` whose model computes so many images a second, no more, while a file ``slow`` lies beside hydra.toml.

``slow_daemon.py IMAGES_PER_S MOST_WAITING run -c hydra.toml``: of the files that wait, so many are remembered.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))

from classify_world import BrightnessRuntime

from hydrad import app, cli
from hydrad.backlog import Backlog
from hydrad.classify.bundle import Bundle

IMAGES_PER_S, MOST_WAITING = float(sys.argv.pop(1)), int(sys.argv.pop(1))
SLOW = Path(sys.argv[-1]).parent / "slow"


def compute(size: int) -> None:
    if SLOW.exists():
        time.sleep(size / IMAGES_PER_S)


def opened(bundle: Bundle, batch: int) -> BrightnessRuntime:
    return BrightnessRuntime(bundle, batch, compute)


Backlog.__init__.__defaults__ = (MOST_WAITING, *Backlog.__init__.__defaults__[1:])
with patch.object(app, "Opener", lambda *_: opened):  # which fails where the daemon has no such door
    sys.exit(cli.main())
