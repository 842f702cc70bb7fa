"""A hall as its control room meets it: the daemon with its beam, its images, its alarm tree, and who listens."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alarm_trees import Leaf, read_phoebus
from daemon import Daemon
from formulas import condition, counts
from listening import PV_CA, Listener
from PIL import Image

from hydrad.shipped import folder as shipped_bundle
from hydrad.sim import hall
from hydrad.sim.faults import Fault

GOOD = {"Good": 0.9, "Bad": 0.08, "NoData": 0.02}
DEAD_BOARD = Fault("dead_board", at="CDC_occupancy", where=88)


def with_shipped_model(home: Path, **parts: Any) -> Daemon:
    """A daemon, not yet started, whose model knows the simulated hall."""
    bundle = shipped_bundle()
    shutil.copytree(bundle, home / "models" / bundle.name)
    return Daemon(home, layout="rsai", **parts)


def dump(hydrad: Daemon, plot: str, chunk: int, *, faults: Sequence[Fault] = (), beam: float = 1.0) -> None:
    """One image of a plot, as the hall's producer lands it; return when it has been judged."""
    before = hydrad.counts()["judged"]
    aside = hydrad.home / "aside.png"
    pixels = hall.render(plot, seed=chunk, faults=faults, run=30408, beam=beam)
    Image.fromarray(pixels).save(aside, compress_level=1)
    target = hydrad.root / "Run030408" / f"{plot}_{chunk:04}.png"
    target.parent.mkdir(exist_ok=True)
    aside.rename(target)
    hydrad.until(lambda: hydrad.counts()["judged"] > before)


def settings_for(hydrad: Daemon) -> dict[str, str]:
    """How CS-Studio finds the PVs."""
    return {
        f"{PV_CA}addr_list": "127.0.0.1",
        f"{PV_CA}auto_addr_list": "false",
        f"{PV_CA}server_port": str(hydrad.port),
    }


class Watch:
    """All of a tree's alarms, heard with CS-Studio's library, and which of them an alarm server would raise."""

    def __init__(self, tree: Path, listener: Listener) -> None:
        _, self.leaves = read_phoebus(tree.read_bytes())
        self._listener = listener
        listener.hear({*self.leaves, *(pv for leaf in self.leaves.values() for pv in conditions(leaf))})

    def raised(self) -> dict[str, str]:
        """By PV, the severity of what counts and is not well."""
        return {
            pv: heard.severity
            for pv, leaf in self.leaves.items()
            if (heard := self._listener[pv]).severity != "NO_ALARM" and self._counts(leaf)
        }

    def until(self, wanted: Mapping[str, str], within_s: float = 20.0) -> None:
        """Wait until exactly these are raised."""
        self._listener.until(lambda: self.raised() == wanted, within_s)

    def _counts(self, leaf: Leaf) -> bool:
        return counts(leaf, {pv: self._listener[pv].number for pv in conditions(leaf)})


def conditions(leaf: Leaf) -> Sequence[str]:
    """The PVs by which an alarm counts or not."""
    formula = condition(leaf)
    return formula.pvs if formula else ()
