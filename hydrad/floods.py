"""When too many plots of a detector alarm at once, one alarm says it: those that join raise none of their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from hydrad.domain import Severity, Status


def gravity(status: Status) -> int:
    """0: well, or nobody asks; 1: a minor alarm; 2: a grave one."""
    return min(status.severity, Severity.MAJOR)


@dataclass(slots=True)
class _Crowd:
    """The plots of one detector that are not well."""

    gravity: dict[str, int] = field(default_factory=dict)
    drowned: set[str] = field(default_factory=set)  # those of them without an alarm of their own

    def leave(self, plot: str) -> None:
        self.gravity.pop(plot, None)
        self.drowned.discard(plot)


class Floods:
    """Knows of each plot whether it has an alarm of its own.

    A flood begins when more than ``above`` plots of a detector alarm as gravely or more, be it minor or grave. Whoever
    then begins to alarm so gravely has no alarm of his own until it is over: once no more than half of ``above`` alarm
    so, or nobody is left who drowned. So minor alarms, be they ever so many, drown no grave one.
    """

    def __init__(self) -> None:
        self._crowds: dict[str, _Crowd] = defaultdict(_Crowd)
        self._homes: dict[str, str] = {}  # each plot's detector
        self._moved: set[str] = set()

    def restore(self, plot: str, detector: str, status: Status, severity: Severity) -> None:
        """A plot was shown so before."""
        self._homes[plot] = detector
        if gravity(status):
            self._crowds[detector].gravity[plot] = gravity(status)
            if not severity:
                self._crowds[detector].drowned.add(plot)

    def has_drowned(self, plot: str) -> bool:
        """Whether a plot has no alarm of its own."""
        home = self._homes.get(plot)
        return home is not None and plot in self._crowds[home].drowned

    def moved(self) -> set[str]:
        """The plots that drowned or came up again since this was last asked."""
        moved, self._moved = self._moved, set()
        return moved

    def turn(self, detector: str, above: int, statuses: Mapping[str, Status]) -> None:
        """Take in how some plots of a detector stand now, all at once; the others stand as they did."""
        crowd = self._crowds[detector]
        drowned = set(crowd.drowned)
        before = {}
        for plot, status in statuses.items():
            self._move(plot, detector)
            before[plot] = crowd.gravity.get(plot, 0)
            if gravity(status):
                crowd.gravity[plot] = gravity(status)
            else:
                crowd.leave(plot)
        floods = {grave: self._is_flood(crowd, above, before, grave) for grave in (1, 2)}
        for plot, was in before.items():
            now = crowd.gravity.get(plot, 0)
            if now > was and floods[now]:
                crowd.drowned.add(plot)
        crowd.drowned = {plot for plot in crowd.drowned if floods[crowd.gravity[plot]]}
        self._moved |= drowned ^ crowd.drowned

    @staticmethod
    def _is_flood(crowd: _Crowd, above: int, before: Mapping[str, int], grave: int) -> bool:
        many = sum(its >= grave for its in crowd.gravity.values())
        lasting = any(min(crowd.gravity[plot], before.get(plot, grave)) >= grave for plot in crowd.drowned)
        return many > above or (lasting and many > above // 2)

    def _move(self, plot: str, detector: str) -> None:
        """A plot may have another detector since the configuration was read again."""
        before = self._homes.get(plot)
        if before is not None and before != detector:
            self._crowds[before].leave(plot)
        self._homes[plot] = detector
