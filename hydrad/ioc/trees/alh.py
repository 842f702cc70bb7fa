"""An alarm tree as the classic alarm handler (ALH) reads it."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator

from hydrad.ioc.own_files import MARK
from hydrad.ioc.trees.tree import Alarm, Condition, Group, Note, Tree

WIDTH = 100  # of guidance, in characters: ALH cuts long lines where it likes
QUIET, DISABLED, UNLATCHED, SILENT = "-----", "-D---", "---T-", "-D-T-"


def write(tree: Tree) -> bytes:
    """The configuration: ``alh FILE`` reads it. What is said of a group is said of each alarm: here none inherits."""
    lines = [f"# {MARK}", *_group("NULL", tree.hall, ())]
    return "".join(f"{line}\n" for line in lines).encode()


def _group(parent: str, group: Group, inherited: tuple[Note, ...]) -> Iterator[str]:
    yield ""
    yield f"GROUP {parent} {group.part}"
    yield f"$ALIAS {_line(group.name)}"
    yield from _command(group.commands, group.displays)
    yield from _guidance(group.guidance)
    guidance = (*inherited, *group.guidance)
    for alarm in group.alarms:
        yield from _alarm(group, alarm, guidance)
    for below in group.groups:
        yield from _group(group.part, below, guidance)


def _alarm(group: Group, alarm: Alarm, inherited: tuple[Note, ...]) -> Iterator[str]:
    yield ""
    yield f"CHANNEL {group.part} {alarm.pv} {_mask(enabled=alarm.enabled, latching=alarm.latching)}"
    yield f"$ALIAS {_line(alarm.description)}"
    if alarm.counts_when is not None and alarm.enabled:
        yield from _force(alarm.counts_when, _mask(enabled=False, latching=alarm.latching))
    if alarm.delay:
        yield f"$ALARMCOUNTFILTER {alarm.count or -1} {alarm.delay}"
    yield from _command(alarm.commands, alarm.displays)
    yield from _guidance((*alarm.guidance, *inherited))


def _mask(*, enabled: bool, latching: bool) -> str:
    if enabled:
        return QUIET if latching else UNLATCHED
    return DISABLED if latching else SILENT


def _force(condition: Condition, mask: str) -> Iterator[str]:
    """Disabled while the condition does not hold."""
    yield f"$FORCEPV CALC {mask} 0 NE"
    yield f"$FORCEPV_CALC {condition.expression}"
    for letter, pv in condition.pvs.items():
        yield f"$FORCEPV_CALC_{letter} {pv}"


def _command(commands: tuple[Note, ...], displays: tuple[Note, ...]) -> Iterator[str]:
    """ALH has room for one: the lab's own, else the first display that a browser can open."""
    addresses = [note.details for note in displays if note.details.startswith(("http://", "https://"))]
    if commands:
        yield f"$COMMAND {_line(commands[0].details)}"
    elif addresses:
        yield f"$COMMAND xdg-open {shlex.quote(addresses[0])}"


def _guidance(notes: tuple[Note, ...]) -> Iterator[str]:
    if not notes:
        return
    yield "$GUIDANCE"
    for note in notes:
        for line in f"{note.title}: {note.details}".splitlines():
            text = _line(line).replace("$END", "$ END")  # where it stood first it would end the guidance
            yield from textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False) or [""]
    yield "$END"


def _line(text: str) -> str:
    """On one line."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
