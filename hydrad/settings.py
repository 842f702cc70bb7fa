"""What people changed since the configuration was written: the newest value of each setting counts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hydrad.domain import Change, Rules
from hydrad.errors import ChangeRefused

THRESHOLD = "threshold."
BEAM_THRESHOLD = "beam.on_above"
LONGEST_SHELF_S = 7 * 86400
LONGEST_DELAY = 1000

Owner = tuple[str | None, str | None]  # plot, detector; neither for the hall


class Settings:
    """The newest value of every setting that somebody changed."""

    def __init__(self, changes: Iterable[Change] = ()) -> None:
        self._newest: dict[Owner, dict[str, Change]] = {}  # by owner, by key
        for change in sorted(changes, key=lambda change: change.at):
            self._of(change.plot, change.detector)[change.key] = change

    def apply(self, change: Change) -> bool:
        """Take a change over; False if a newer one of the same setting is already held.

        Raises:
            ChangeRefused: its key or value is none that can be.
        """
        check(change)
        held = self._of(change.plot, change.detector)
        if change.key in held and held[change.key].at > change.at:
            return False
        held[change.key] = change
        return True

    def value(self, key: str, *, plot: str | None = None, detector: str | None = None) -> float | None:
        """The value somebody gave this setting, or None."""
        change = self._newest.get((plot, detector), {}).get(key)
        return None if change is None else change.value

    def over(self, plot: str, rules: Rules) -> Rules:
        """The rules of a plot with what people changed laid over them."""
        mine = self._newest.get((plot, None), {})
        off = self._newest.get((None, rules.detector), {}).get("enabled")
        changed: dict[str, Any] = {key: int(mine[key].value) for key in ("on_delay", "off_delay") if key in mine}
        labels = {key.removeprefix(THRESHOLD): c.value for key, c in mine.items() if key.startswith(THRESHOLD)}
        changed["thresholds"] = {**rules.thresholds, **{k: v for k, v in labels.items() if k in rules.thresholds}}
        for change in (off, mine.get("enabled")):
            if change is not None and not change.value:
                changed |= {"enabled": False, "shelved_by": change.by, "reason": change.reason}
        shelf = mine.get("shelved_until")
        if shelf is not None and shelf.value > 0:
            changed["shelved_until"] = datetime.fromtimestamp(shelf.value, UTC)
            if changed.get("enabled", True):
                changed |= {"shelved_by": shelf.by, "reason": shelf.reason}
        return replace(rules, **changed)

    def _of(self, plot: str | None, detector: str | None) -> dict[str, Change]:
        return self._newest.setdefault((plot, detector), {})


def check(change: Change) -> None:
    """Raise ChangeRefused, with a sentence, for a key or a value that no setting can have."""
    value = change.value
    if not math.isfinite(value):
        raise ChangeRefused(f"{change.key}: {value} is no number")
    match change.key:
        case "on_delay" | "off_delay":
            fine = value == int(value) and 1 <= value <= LONGEST_DELAY
            wanted = f"a whole number of images from 1 to {LONGEST_DELAY}"
        case "enabled":
            fine, wanted = value in {0, 1}, "0 or 1"
        case "shelved_until":
            fine = value == 0 or 0 < value - change.at.timestamp() <= LONGEST_SHELF_S + 1
            wanted = f"a time within the next {LONGEST_SHELF_S // 86400} days, or 0"
        case key if key == BEAM_THRESHOLD:
            fine, wanted = value > 0, "above 0"
        case key if key.startswith(THRESHOLD) and key != THRESHOLD:
            fine, wanted = 0 <= value <= 1, "from 0 to 1"
        case key:
            raise ChangeRefused(f"there is no setting {key!r}")
    if not fine:
        raise ChangeRefused(f"{change.key}: {value:g} is not {wanted}")
    belongs = {BEAM_THRESHOLD: change.plot is None and change.detector is None}.get(
        change.key, (change.plot is None) != (change.detector is None)
    )
    if not belongs or (change.detector is not None and change.key != "enabled"):
        raise ChangeRefused(f"{change.key}: is no setting of {change.plot or change.detector or 'the hall'}")
