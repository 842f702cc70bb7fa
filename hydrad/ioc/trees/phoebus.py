"""An alarm tree as Phoebus' alarm server imports it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from xml.etree import ElementTree as ET

from hydrad.ioc.own_files import MARK
from hydrad.ioc.trees.tree import Alarm, Group, Note, Tree

# The server hears a PV at once and its filter later, after a reconnection by seconds: without a delay, what the filter
# masks would be announced before, and latched.
FILTER_FIRST_S = 5


def write(tree: Tree) -> bytes:
    """The configuration: ``alarm-server -import FILE -config NAME`` reads it."""
    config = ET.Element("config", name=tree.name)
    _group(config, tree.hall)
    ET.indent(config)
    text = ET.tostring(config, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {MARK} -->\n{text}\n'.encode()


def _group(parent: ET.Element, group: Group) -> None:
    # A name within a path of the tree.
    component = ET.SubElement(parent, "component", name=_printable(group.name).replace("/", "_"))
    _notes(component, group.guidance, group.displays, group.commands)
    for alarm in group.alarms:  # before the groups, since the server ignores what it has met before
        _alarm(component, alarm)
    for below in group.groups:
        _group(component, below)


def _alarm(parent: ET.Element, alarm: Alarm) -> None:
    pv = ET.SubElement(parent, "pv", name=alarm.pv)
    say = _teller(pv)
    say("enabled", _word(alarm.enabled))
    say("latching", _word(alarm.latching))
    say("annunciating", _word(alarm.annunciating))
    say("description", alarm.description)
    say("delay", str(max(alarm.delay, FILTER_FIRST_S if alarm.counts_when else 0)))
    say("count", str(alarm.count))
    if alarm.counts_when is not None:
        say("filter", alarm.counts_when.spelled("'{}'".format))
    _notes(pv, alarm.guidance, alarm.displays, alarm.commands)


def _notes(parent: ET.Element, guidance: Iterable[Note], displays: Iterable[Note], commands: Iterable[Note]) -> None:
    for kind, notes in (("guidance", guidance), ("display", displays), ("command", commands)):
        for note in notes:
            say = _teller(ET.SubElement(parent, kind))
            say("title", note.title)
            say("details", note.details)


def _teller(parent: ET.Element) -> Callable[[str, str], None]:
    def say(kind: str, text: str) -> None:
        ET.SubElement(parent, kind).text = _printable(text)

    return say


def _printable(text: str) -> str:
    """A text without the characters that XML cannot hold."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def _word(flag: bool) -> str:
    return "true" if flag else "false"
