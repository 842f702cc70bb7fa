"""An alarm tree, whatever alarm handler it is for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """A guidance, a display or a command: a title, and the text, address or command line."""

    title: str
    details: str


@dataclass(frozen=True, slots=True)
class Condition:
    """When an alarm counts: an expression of letters, which stand for PVs.

    Comparisons are ``<``, ``>`` and ``==``; ``&&``, ``||`` and ``!`` join them: what alarm handlers have in common.
    """

    expression: str
    pvs: Mapping[str, str]  # by letter, A to F

    def spelled(self, name: Callable[[str], str]) -> str:
        """The expression with PVs instead of letters, each as ``name`` writes it."""
        return re.sub(r"[A-F]", lambda letter: name(self.pvs[letter.group()]), self.expression)


@dataclass(frozen=True, slots=True)
class Alarm:
    """A PV whose severity is the alarm. Delays are the IOC's, so those of the alarm handler are 0."""

    pv: str
    name: str  # what it is called in the lab's own edits
    description: str
    guidance: tuple[Note, ...] = ()
    displays: tuple[Note, ...] = ()
    commands: tuple[Note, ...] = ()
    enabled: bool = True
    latching: bool = True
    annunciating: bool = True
    delay: int = 0  # s
    count: int = 0
    counts_when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Alarms that belong together; what is said of the group holds for all of them."""

    name: str
    part: str  # the same as one word
    guidance: tuple[Note, ...] = ()
    displays: tuple[Note, ...] = ()
    commands: tuple[Note, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    groups: tuple[Group, ...] = ()

    def everything(self) -> Iterator[Alarm]:
        """The alarms of it and of all groups below it."""
        yield from self.alarms
        for group in self.groups:
            yield from group.everything()


@dataclass(frozen=True, slots=True)
class Tree:
    """The whole of it; ``name`` is one word."""

    name: str
    hall: Group
