"""What a lab adds to the generated alarm tree or changes in it: its own file, which hydrad reads and never writes."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from hydrad import refusals
from hydrad.config import Section
from hydrad.config.values import Flag
from hydrad.errors import ConfigurationError
from hydrad.ioc.names import part
from hydrad.ioc.trees.tree import Alarm, Group, Note, Tree

HALL = "hall"  # what the hall's own group is called here
Text = Annotated[str, Field(min_length=1)]
NotNegative = Annotated[int, Field(strict=True, ge=0)]


class Titled(Section):
    """A guidance, display or command."""

    title: Text
    details: Text

    def note(self) -> Note:
        """As the tree has it."""
        return Note(self.title, self.details)


class Said(Section):
    """What can be said of an alarm or a group."""

    guidance: tuple[Titled, ...] = ()
    display: tuple[Titled, ...] = ()
    command: tuple[Titled, ...] = ()

    def over(self, one: Alarm | Group) -> dict[str, Any]:
        """The notes of an alarm or group with these before its own: what the lab says comes first."""
        return {
            "guidance": (*(note.note() for note in self.guidance), *one.guidance),
            "displays": (*(note.note() for note in self.display), *one.displays),
            "commands": (*(note.note() for note in self.command), *one.commands),
        }


class Switched(Said):
    """What can be said of an alarm."""

    enabled: Flag | None = None
    latching: Flag | None = None
    annunciating: Flag | None = None
    delay: NotNegative | None = None
    count: NotNegative | None = None

    def switches(self) -> dict[str, Any]:
        """Those that are set."""
        keys = ("enabled", "latching", "annunciating", "delay", "count")
        return {key: value for key in keys if (value := getattr(self, key)) is not None}


class Change(Switched):
    """``[[change]]``: of plots, detectors, the hall, or PVs, by patterns of their names."""

    at: Annotated[tuple[Text, ...], Field(min_length=1)]

    def fits(self, *names: str) -> bool:
        """True if a pattern fits one of these names."""
        return any(fnmatchcase(name, pattern) for name in names for pattern in self.at)


class Extra(Switched):
    """``[[add]]``: a PV of the lab's; ``under`` is a detector, the hall, or a group that is made for it."""

    under: Text
    pv: Annotated[str, Field(pattern=r"^\S+$")]
    description: str = ""


class Edits(Section):
    """The file."""

    change: tuple[Change, ...] = ()
    add: tuple[Extra, ...] = ()


@dataclass(frozen=True, slots=True)
class Edited:
    """A tree with a lab's edits in it, and those patterns that fit nothing (yet)."""

    tree: Tree
    idle: Sequence[str]


def load(path: Path) -> Edits:
    """Read a file of edits.

    Raises:
        ConfigurationError: with one sentence per fault.
    """
    try:
        with path.open("rb") as file:
            return Edits.model_validate(tomllib.load(file))
    except OSError as fault:
        raise ConfigurationError(f"{path}: {fault.strerror or fault}") from fault
    except ValidationError as fault:
        raise ConfigurationError(
            *(f"{path}: {sentence}" for sentence in refusals.sentences(fault, unions={}))
        ) from fault
    except ValueError as fault:
        raise ConfigurationError(f"{path}: is no TOML: {fault}") from fault


def apply(tree: Tree, edits: Edits) -> Edited:
    """Lay a lab's edits over a tree.

    Raises:
        ConfigurationError: a PV that is added is there already.
    """
    known = {alarm.pv for alarm in tree.hall.everything()}
    twice = [extra.pv for n, extra in enumerate(edits.add) if extra.pv in known | {e.pv for e in edits.add[:n]}]
    if twice:
        raise ConfigurationError(*(f"add: {pv} is in the tree already; [[change]] changes it" for pv in twice))
    hall = tree.hall
    for extra in edits.add:
        hall = _with(hall, [] if extra.under == HALL else extra.under.split("/"), extra)
    idle = [pattern for change in edits.change for pattern in change.at if not _is_somewhere(hall, pattern)]
    for change in edits.change:
        hall = _changed(hall, change, (HALL,))
    return Edited(replace(tree, hall=hall), idle)


def _with(group: Group, path: Sequence[str], extra: Extra) -> Group:
    if not path:
        alarm = Alarm(pv=extra.pv, name=extra.pv, description=extra.description or extra.pv)
        alarm = replace(alarm, **extra.over(alarm), **extra.switches())
        return replace(group, alarms=(*group.alarms, alarm))
    head, *rest = path
    if not any(one.name == head for one in group.groups):
        group = replace(group, groups=(*group.groups, Group(head, part(head))))
    return replace(group, groups=tuple(_with(one, rest, extra) if one.name == head else one for one in group.groups))


def _changed(group: Group, change: Change, names: tuple[str, ...], *, switched: bool = False) -> Group:
    """The group with a change in it and below it; what is switched for a group is switched for all of its alarms.

    What is said of a group is said of all in it already, so there it is not said again.
    """
    if change.fits(*names) and not switched:
        group, switched = replace(group, **change.over(group)), True
    return replace(
        group,
        alarms=tuple(_changed_alarm(alarm, change, switched=switched) for alarm in group.alarms),
        groups=tuple(_changed(below, change, (below.name,), switched=switched) for below in group.groups),
    )


def _changed_alarm(alarm: Alarm, change: Change, *, switched: bool) -> Alarm:
    if switched:
        return replace(alarm, **change.switches())
    if change.fits(alarm.name, alarm.pv):
        return replace(alarm, **change.over(alarm), **change.switches())
    return alarm


def _is_somewhere(hall: Group, pattern: str) -> bool:
    alarms: Iterable[Alarm] = hall.everything()
    names = {HALL, *_groups(hall)} | {name for alarm in alarms for name in (alarm.name, alarm.pv)}
    return any(fnmatchcase(name, pattern) for name in names)


def _groups(group: Group) -> Iterable[str]:
    for below in group.groups:
        yield below.name
        yield from _groups(below)
