"""Readers of alarm trees that take nothing on trust: what Phoebus' alarm server and ALH would make of a file."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

PV_PARTS = ("enabled", "latching", "annunciating", "description", "delay", "count", "filter")
NOTES = ("guidance", "display", "command", "automated_action")
MASK = re.compile(r"[C-][D-][A-][T-][L-]")
DIRECTIVES = (  # of a channel, and what follows them
    (r"\$ALIAS", r".+"),
    (r"\$ALARMCOUNTFILTER", r"(-1|\d+) \d+"),
    (r"\$FORCEPV", r"CALC [C-][D-][A-][T-][L-] 0 NE"),
    (r"\$FORCEPV_CALC(_[A-F])?", r"\S+"),
)
# A filter is a formula over quoted PV names, numbers and these operators.
FORMULA = re.compile(r"(?:'[A-Za-z0-9_:]+'|\d+|==|&&|\|\||[<>!()])+")


@dataclass
class Leaf:
    """An alarm as it was read."""

    pv: str
    path: tuple[str, ...]  # groups above it, from the root on
    enabled: bool = True
    guidance: list[tuple[str, str]] = field(default_factory=list)
    displays: list[tuple[str, str]] = field(default_factory=list)
    commands: list[tuple[str, str]] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)


def read_phoebus(content: bytes) -> tuple[str, dict[str, Leaf]]:
    """The configuration's name and its alarms by PV; fails on what the alarm server would stumble over or ignore."""
    root = ET.fromstring(content)
    assert root.tag == "config"
    assert root.attrib.keys() == {"name"}
    assert re.fullmatch(r"[A-Za-z0-9._-]+", root.attrib["name"]), "it names topics of Kafka"
    leaves: dict[str, Leaf] = {}
    _children(root, (root.attrib["name"],), leaves, {"guidance": [], "display": [], "command": []})
    return root.attrib["name"], leaves


def _children(
    node: ET.Element, path: tuple[str, ...], leaves: dict[str, Leaf], inherited: dict[str, list[tuple[str, str]]]
) -> None:
    tags = [child.tag for child in node]
    assert set(tags) <= {"pv", "component", *NOTES}, f"{path}: {set(tags)}"
    order = ["component" if tag == "component" else "pv" if tag == "pv" else "note" for tag in tags]
    assert order == sorted(order, key=["note", "pv", "component"].index), f"{path}: pv before component"
    mine = {kind: inherited[kind] + _notes(node, kind, path) for kind in inherited}
    names: set[str] = set()
    for child in node:
        if child.tag not in {"pv", "component"}:
            continue
        assert child.attrib.keys() == {"name"}
        name = child.attrib["name"]
        assert name
        assert not set(name) & {"/", "\\"}, "it is part of a path"
        assert name not in names, f"{path}: {name} stands there twice"
        names.add(name)
        if child.tag == "component":
            _children(child, (*path, name), leaves, mine)
        else:
            assert name not in leaves, f"{name} stands there twice"
            leaves[name] = _leaf(child, name, path, mine)


def _leaf(node: ET.Element, name: str, path: tuple[str, ...], inherited: dict[str, list[tuple[str, str]]]) -> Leaf:
    tags = [child.tag for child in node]
    assert set(tags) <= {*PV_PARTS, *NOTES}, f"{name}: {set(tags)}"
    words = {tag: node.findtext(tag) or "" for tag in PV_PARTS if node.find(tag) is not None}
    assert all(tags.count(tag) == 1 for tag in words)
    for flag in ("enabled", "latching", "annunciating"):
        assert words.get(flag) in {"true", "false"}, f"{name}: {flag} is always written"
    for number in ("delay", "count"):
        assert words[number].isdecimal()
    assert words["description"]
    if "filter" in words:
        assert FORMULA.fullmatch(words["filter"]), words["filter"]
        assert words["filter"].count("(") == words["filter"].count(")")
    leaf = Leaf(
        pv=name,
        path=path,
        enabled=words["enabled"] == "true",
        guidance=_notes(node, "guidance", path) + inherited["guidance"],
        displays=_notes(node, "display", path) + inherited["display"],
        commands=_notes(node, "command", path) + inherited["command"],
        words=words,
    )
    assert leaf.guidance, f"{name}: no guidance"
    assert leaf.displays, f"{name}: no display"
    return leaf


def _notes(node: ET.Element, kind: str, path: tuple[str, ...]) -> list[tuple[str, str]]:
    found = []
    for note in node.findall(kind):
        assert [child.tag for child in note] == ["title", "details"], f"{path}: {kind}"
        title, details = note.findtext("title") or "", note.findtext("details") or ""
        assert title, f"{path}: {kind}"
        assert details, f"{path}: {kind}"
        found.append((title, details))
    return found


def read_alh(content: bytes) -> dict[str, Leaf]:
    """The alarms by PV; fails on anything outside ALH's grammar.

    ``GROUP parent name``, ``CHANNEL parent pv mask`` with a parent that is the present group or one above it, each
    followed by its ``$`` lines; a guidance goes over several lines, to ``$END``.
    """
    lines = iter(content.decode().splitlines())
    open_groups: list[str] = []
    leaves: dict[str, Leaf] = {}
    now: Leaf | None = None
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        word, *rest = line.split()
        if word == "GROUP":
            parent, name = rest
            if parent == "NULL":
                assert not open_groups, "there is one root"
            else:
                assert parent in open_groups, f"{line}: no such group above it"
                del open_groups[open_groups.index(parent) + 1 :]
            assert name not in open_groups
            assert name != "NULL"
            open_groups.append(name)
            now = None
        elif word == "CHANNEL":
            parent, pv, mask = rest
            assert MASK.fullmatch(mask), line
            assert parent == open_groups[-1], f"{line}: channels stand before the groups below"
            assert pv not in leaves
            now = leaves[pv] = Leaf(pv, tuple(open_groups), enabled=mask[1] != "D", words={"mask": mask})
        else:
            assert open_groups, f"{line}: belongs to nothing"
            _directive(word, line, lines, now)
    assert content.count(b"$GUIDANCE\n") == content.count(b"\n$END\n")
    for leaf in leaves.values():
        assert leaf.guidance, f"{leaf.pv}: no guidance"
        forced = {key for key in leaf.words if key.startswith("$FORCEPV")}
        if forced:
            letters = set(re.findall(r"[A-F]", leaf.words["$FORCEPV_CALC"]))
            assert forced == {"$FORCEPV", "$FORCEPV_CALC", *(f"$FORCEPV_CALC_{letter}" for letter in letters)}
    return leaves


def _directive(word: str, line: str, lines: Iterator[str], now: Leaf | None) -> None:
    if word == "$GUIDANCE":
        said = list(itertools.takewhile(lambda text: not text.startswith("$END"), lines))
        assert said
        if now is not None:
            now.guidance += [("", text) for text in said]
        return
    text = line.split(maxsplit=1)[1]
    if word == "$COMMAND":
        assert shlex.split(text)
        if now is not None:
            now.commands.append(("", text))
    elif now is None:
        assert word == "$ALIAS", line
    else:
        assert word not in now.words, line
        assert any(re.fullmatch(known, word) and re.fullmatch(form, text) for known, form in DIRECTIVES), line
        now.words[word] = text
