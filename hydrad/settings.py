"""What people changed since the configuration was written: the newest value of each setting counts."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from hydrad.domain import Change, Rules, Severity
from hydrad.errors import ChangeRefused

THRESHOLD = "threshold."
BEAM_THRESHOLD = "beam.on_above"
REASON = "reason"
LONGEST_SHELF_S = 7 * 86400
LONGEST_DELAY = 1000
REASON_WAITS = timedelta(minutes=10)  # a reason given before its shelf or switch holds so long

PV = "pv."
MIRROR = "mirror"  # a leaf: the mirror's PV has a name of its own
LIMITS = ("HIHI", "HIGH", "LOW", "LOLO", "HYST", "MDEL", "ADEL", "HOPR", "LOPR")  # of analog PVs
SEVERITIES_OF_LIMITS = ("HHSV", "HSV", "LSV", "LLSV")
STATE_CODES = ("ZR", "ON", "TW", "TH", "FR", "FV", "SX", "SV", "EI", "NI", "TE", "EL", "TV", "TT", "FT", "FF")
SEVERITIES_OF_STATES = tuple(f"{code}SV" for code in STATE_CODES)
SEVERITIES_OF_TWO_STATES = ("ZSV", "OSV")
_SEVERITIES = frozenset({*SEVERITIES_OF_LIMITS, *SEVERITIES_OF_STATES, *SEVERITIES_OF_TWO_STATES})
_ANALOG_LEAVES = ("CONF", "AGE", "RUN", "NBAD", "ONDELAY", "OFFDELAY", "ONWINDOW", "OFFWINDOW", "SHELVE", MIRROR)
DELAYS = ("on_delay", "off_delay")
WINDOWS = ("on_window", "off_window")

Owner = tuple[str | None, str | None]  # plot, detector; neither for the hall


def of_pv(leaf: str, field: str) -> str:
    """The key of a PV's limit or severity; ``leaf`` is its name without that of its plot, detector or hall."""
    return f"{PV}{leaf}.{field}"


def leaf_and_field(key: str) -> tuple[str, str]:
    """Both again, of a key of :func:`of_pv`."""
    leaf, _, field = key.removeprefix(PV).rpartition(".")
    return leaf, field


def pv_of_threshold(label: str) -> str:
    """The leaf of the PV of a label's threshold, by the label as the model writes it."""
    return f"THRESH:{label}"


def keys_of_pvs(labels: Collection[str]) -> Sequence[str]:
    """All that can be set of the fields of a plot's PVs."""
    analog = (*_ANALOG_LEAVES, *map(pv_of_threshold, labels))
    return [
        *(of_pv("STATUS", field) for field in SEVERITIES_OF_STATES),
        *(of_pv("ENABLE", field) for field in SEVERITIES_OF_TWO_STATES),
        *(of_pv(leaf, field) for leaf in analog for field in (*LIMITS, *SEVERITIES_OF_LIMITS)),
    ]


class Why(NamedTuple):
    """Who switched something off or shelved it, the reason, and when that is over (None: with the next change)."""

    by: str
    reason: str
    until: datetime | None


class Settings:
    """The newest value of every setting that somebody changed."""

    def __init__(self, changes: Iterable[Change] = ()) -> None:
        self._newest: dict[Owner, dict[str, Change]] = {}  # by owner, by key
        for change in sorted(changes, key=lambda change: change.at):
            self._of(change.plot, change.detector)[change.key] = change
        self._turns = 0

    @property
    def turns(self) -> int:
        """How often something was taken over: as long as it is the same, so are the settings."""
        return self._turns

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
        self._turns += 1
        return True

    def explained(self, change: Change) -> Change:
        """A change that switches off or shelves without a reason, with the one that stands."""
        switches_off = change.key == "enabled" and not change.value
        if change.reason or not (switches_off or (change.key == "shelved_until" and change.value)):
            return change
        why = self.why(plot=change.plot, detector=change.detector)
        stands = why.until is None or change.at < why.until
        return replace(change, reason=why.reason) if stands else change

    def why(self, *, plot: str | None = None, detector: str | None = None) -> Why:
        """The reason that stands for a plot or a detector by itself, given before, with or after a change."""
        return _why(self._newest.get((plot, detector), {}))

    def value(self, key: str, *, plot: str | None = None, detector: str | None = None) -> float | None:
        """The value somebody gave this setting, or None."""
        change = self._newest.get((plot, detector), {}).get(key)
        return None if change is None else change.value

    def of_pvs(self, plot: str | None = None, detector: str | None = None) -> Mapping[tuple[str, str], float]:
        """What somebody set of the fields of PVs of a plot, a detector or the hall, by leaf and field."""
        held = self._newest.get((plot, detector), {})
        return {leaf_and_field(key): change.value for key, change in held.items() if key.startswith(PV)}

    def over(self, plot: str, rules: Rules) -> Rules:
        """The rules of a plot with what people changed laid over them."""
        mine = self._newest.get((plot, None), {})
        detector = self._newest.get((None, rules.detector), {})
        changed: dict[str, Any] = {key: int(mine[key].value) for key in DELAYS + WINDOWS if key in mine}
        labels = {key.removeprefix(THRESHOLD): c.value for key, c in mine.items() if key.startswith(THRESHOLD)}
        changed["thresholds"] = {**rules.thresholds, **{k: v for k, v in labels.items() if k in rules.thresholds}}
        shelf = mine.get("shelved_until")
        if shelf is not None and shelf.value > 0:
            changed["shelved_until"] = datetime.fromtimestamp(shelf.value, UTC)
        off, detector_off = _is_off(mine), _is_off(detector)
        if off or detector_off:
            changed["enabled"] = False
        if off or detector_off or "shelved_until" in changed:
            why = _why(detector if detector_off and not off else mine)
            changed |= {"shelved_by": why.by, "reason": why.reason}
        return replace(rules, **changed)

    def _of(self, plot: str | None, detector: str | None) -> dict[str, Change]:
        return self._newest.setdefault((plot, detector), {})


def _is_off(held: Mapping[str, Change]) -> bool:
    return "enabled" in held and not held["enabled"].value


def _why(held: Mapping[str, Change]) -> Why:
    """The reason that stands among these changes of one plot or detector."""
    switch, shelf, said = (held.get(key) for key in ("enabled", "shelved_until", REASON))
    if switch is not None and not switch.value:
        return Why(switch.by, _amended(switch, said), None)
    over = datetime.fromtimestamp(shelf.value, UTC) if shelf is not None and shelf.value else None
    if shelf is not None and over is not None and (said is None or said.at < over):
        return Why(shelf.by, _amended(shelf, said), over)
    ended = max(moment for moment in (_at(switch), _at(shelf), over or _NEVER))
    if said is None or not said.value or said.at <= ended:
        return Why("", "", None)
    return Why("", said.reason, said.at + REASON_WAITS)


def _amended(change: Change, said: Change | None) -> str:
    return change.reason if said is None or said.at < change.at else said.reason


_NEVER = datetime.min.replace(tzinfo=UTC)


def _at(change: Change | None) -> datetime:
    return _NEVER if change is None else change.at


def check(change: Change) -> None:
    """Raise ChangeRefused, with a sentence, for a key or a value that no setting can have."""
    value = change.value
    if not math.isfinite(value):
        raise ChangeRefused(f"{change.key}: {value} is no number")
    match change.key:
        case key if key in DELAYS + WINDOWS:
            least = int(key in DELAYS)
            fine = value == int(value) and least <= value <= LONGEST_DELAY
            wanted = f"a whole number of images from {least} to {LONGEST_DELAY}"
        case "enabled" | "reason":
            fine, wanted = value in {0, 1}, "0 or 1"
        case "shelved_until":
            fine = value == 0 or 0 < value - change.at.timestamp() <= LONGEST_SHELF_S + 1
            wanted = f"a time within the next {LONGEST_SHELF_S // 86400} days, or 0"
        case key if key == BEAM_THRESHOLD:
            fine, wanted = value > 0, "above 0"
        case key if key.startswith(THRESHOLD) and key != THRESHOLD:
            fine, wanted = 0 <= value <= 1, "from 0 to 1"
        case key if key.startswith(PV):
            fine, wanted = _fits_field(key, value), f"one of {', '.join(map(str, _NUMBERS))}"
        case key:
            raise ChangeRefused(f"there is no setting {key!r}")
    if not fine:
        raise ChangeRefused(f"{change.key}: {value:g} is not {wanted}")
    if not _belongs(change):
        raise ChangeRefused(f"{change.key}: is no setting of {change.plot or change.detector or 'the hall'}")


_NUMBERS = tuple(int(severity) for severity in Severity)


def _fits_field(key: str, value: float) -> bool:
    leaf, field = leaf_and_field(key)
    if not leaf or (field not in LIMITS and field not in _SEVERITIES):
        raise ChangeRefused(f"there is no setting {key!r}")
    return field in LIMITS or value in _NUMBERS


def _belongs(change: Change) -> bool:
    """True if whoever it is for, plot, detector or hall, has such a setting."""
    if change.plot is not None and change.detector is not None:
        return False
    if change.key.startswith(PV):
        return True
    if change.key == BEAM_THRESHOLD:
        return change.plot is None and change.detector is None
    return change.plot is not None or (change.detector is not None and change.key in {"enabled", REASON})
