"""A reader of CS-Studio screens that takes nothing on trust: widgets, macros, places, and what leads where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from phoebusgen.v4.properties.types import OpenDisplayAction, OpenWebpageAction
from phoebusgen.v4.screen import Screen

MACRO = re.compile(r"\$\(([^)]+)\)")
OF_THE_WIDGET = {"pv_name", "pv_value", "name"}


@dataclass
class Found:
    """What a screen comes to with its macros put in."""

    pvs: set[str] = field(default_factory=set)
    leads_to: set[str] = field(default_factory=set)  # files of the folder
    addresses: set[str] = field(default_factory=set)  # pages
    texts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """A widget."""

    name: str
    kind: str
    box: tuple[int, int, int, int]  # left, top, right, bottom
    pv: str
    text: str
    tip: str
    macros: Mapping[str, str]
    embeds: str
    files: tuple[str, ...]
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Sheet:
    """A screen without what is embedded in it."""

    width: int
    height: int
    macros: Mapping[str, str]
    parts: tuple[Part, ...]


_PARSED: dict[bytes, Sheet] = {}  # by content: it takes long


def read(folder: Path, file: str, macros: Mapping[str, str] | None = None) -> Found:
    """Read a screen with all that is embedded in it; fails where Phoebus would show a fault."""
    found = Found()
    _look(folder, file, dict(macros or {}), found)
    return found


def _look(folder: Path, file: str, given: dict[str, str], found: Found) -> None:
    sheet = parsed(folder / file)
    known = given | dict(sheet.macros)
    for part in sheet.parts:
        mine = known | dict(part.macros)
        if part.pv:
            found.pvs.add(expanded(part.pv, mine))
        if part.text:
            found.texts.append(expanded(part.text, mine))
        expanded(part.tip, mine, widget=True)
        found.leads_to.update(expanded(target, mine) for target in part.files)
        found.addresses.update(expanded(target, mine) for target in part.addresses)
        if part.embeds:
            inner = expanded(part.embeds, mine)
            left, top, right, bottom = part.box
            size = (parsed(folder / inner).width, parsed(folder / inner).height)
            assert size == (right - left, bottom - top), f"{file}: {inner} is cut or has room around it"
            _look(folder, inner, mine, found)


def parsed(path: Path) -> Sheet:
    """A screen as phoebusgen reads it, which raises on widgets and properties that there are not."""
    content = path.read_bytes()
    if content not in _PARSED:
        screen = Screen(f_name=path)
        parts = tuple(map(_part, screen.get_all_widgets()))
        _PARSED[content] = Sheet(screen.width, screen.height, dict(screen.macros), parts)
    return _PARSED[content]


def _part(widget: object) -> Part:
    # phoebusgen numbers formats otherwise than CS-Studio.
    words = {name: getattr(widget, name) for name in widget.get_property_names() if name != "format"}
    actions = list(words["actions"])
    assert all(isinstance(action, OpenDisplayAction | OpenWebpageAction) for action in actions)
    left, top = words["x"], words["y"]
    kind = widget.root.attrib["type"]
    return Part(
        name=words["name"],
        kind=kind,
        box=(left, top, left + words["width"], top + words["height"]),
        pv=words.get("pv_name", ""),
        text=words.get("text", ""),
        tip=words["tooltip"],
        macros=dict(words.get("macros", {})),
        embeds=str(words["file"]) if kind == "embedded" else "",
        files=tuple(str(action.file) for action in actions if isinstance(action, OpenDisplayAction)),
        addresses=tuple(action.url for action in actions if isinstance(action, OpenWebpageAction)),
    )


def expanded(text: str, macros: Mapping[str, str], *, widget: bool = False) -> str:
    """A text with its macros put in; fails on one that nobody gave."""
    missing = {name for name in MACRO.findall(text) if name not in macros and not (widget and name in OF_THE_WIDGET)}
    assert not missing, f"{text!r}: {missing}"
    return MACRO.sub(lambda found: macros.get(found.group(1), ""), text)


def collisions(path: Path) -> Iterator[str]:
    """Widgets of a screen that lie over each other or stick out of it."""
    sheet = parsed(path)
    parts = sorted(sheet.parts, key=lambda part: part.box[1])
    for n, part in enumerate(parts):
        left, top, right, bottom = part.box
        if left < 0 or top < 0 or right > sheet.width or bottom > sheet.height:
            yield f"{path.name}: {part.name} sticks out: {part.box} of {sheet.width} x {sheet.height}"
        for other in parts[n + 1 :]:
            left2, top2, right2, _ = other.box
            if top2 >= bottom:
                break
            if left < right2 and left2 < right:
                yield f"{path.name}: {part.name} and {other.name} lie over each other"
