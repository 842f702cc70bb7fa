"""One screen of CS-Studio, written with phoebusgen: the only place that knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from phoebusgen.v4 import Screen, widgets
from phoebusgen.v4.properties.types import (
    Color,
    Font,
    FontStyle,
    HorizontalAlignment,
    OpenDisplayAction,
    OpenDisplayTarget,
    OpenWebpageAction,
    ResizeBehavior,
    State,
    VerticalAlignment,
)

from hydrad.domain import Severity
from hydrad.ioc.own_files import MARK

PAPER = Color((225, 225, 225))
INK = Color((20, 20, 20))
FIELD = Color((250, 250, 250))  # of what can be put
CALM = Color((200, 200, 200))
OFF = Color((150, 175, 215))  # by a person: no alarm, and yet not as usual
COLOURS: Mapping[Severity, Color] = {  # as Phoebus draws its alarm borders
    Severity.NO_ALARM: CALM,
    Severity.MINOR: Color((255, 128, 0)),
    Severity.MAJOR: Color((255, 0, 0)),
    Severity.INVALID: Color((255, 0, 255)),
}
LEFT, CENTER, RIGHT = HorizontalAlignment.LEFT, HorizontalAlignment.CENTER, HorizontalAlignment.RIGHT
AS_TEXT = "6"  # of FormatOption in CS-Studio; phoebusgen counts its formats otherwise
TEXT_PX, TITLE_PX = 15, 22


@dataclass(frozen=True, slots=True)
class Box:
    """Where a widget is, in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Shade:
    """What a lamp shows for a value: always a word, never a colour alone."""

    value: int
    label: str
    colour: Color


class Sheet:
    """A screen that is being filled; names of PVs and texts may hold macros."""

    def __init__(self, title: str, width: int, height: int, macros: Mapping[str, str] | None = None) -> None:
        self._screen = Screen(title)
        self._screen.width, self._screen.height = width, height
        self._screen.background_color = PAPER
        if macros:
            self._screen.macros = dict(macros)
        self._widgets: list[Any] = []

    def text(
        self, words: str, box: Box, *, large: bool = False, strong: bool = False, at: HorizontalAlignment = LEFT
    ) -> None:
        """Words that never change."""
        one = self._add(widgets.Label(self._name("text"), words, box.x, box.y, box.width, box.height))
        one.font = Font(size=TITLE_PX if large else TEXT_PX, style=FontStyle.BOLD if strong else FontStyle.REGULAR)
        one.foreground_color = INK
        one.transparent = True
        one.wrap_words = False
        one.vertical_alignment = VerticalAlignment.MIDDLE
        one.horizontal_alignment = at

    def value(self, pv: str, box: Box, *, long: bool = False, large: bool = False, tip: str = "") -> None:
        """What a PV says, with its unit; ``long`` for texts, which go over several lines where there is room."""
        one = self._of_pv(widgets.TextUpdate(self._name("value"), pv, box.x, box.y, box.width, box.height), tip)
        one.font = Font(size=TITLE_PX if large else TEXT_PX)
        one.foreground_color = INK
        one.transparent = True
        one.vertical_alignment = VerticalAlignment.MIDDLE
        one.horizontal_alignment = LEFT if long else CENTER
        one.wrap_words = long and box.height > 2 * TEXT_PX
        if long:
            ET.SubElement(one.root, "format").text = AS_TEXT

    def entry(self, pv: str, box: Box, *, whole: bool = False, tip: str = "") -> None:
        """A number that may be put."""
        one = self._of_pv(widgets.TextEntry(self._name("entry"), pv, box.x, box.y, box.width, box.height), tip)
        one.font = Font(size=TEXT_PX)
        one.background_color = FIELD
        one.foreground_color = INK
        one.show_units = False
        one.horizontal_alignment = CENTER
        if whole:
            one.precision = 0

    def note(self, pv: str, box: Box, *, tip: str = "") -> None:
        """A text that may be put."""
        one = self._of_pv(widgets.TextEntry(self._name("note"), pv, box.x, box.y, box.width, box.height), tip)
        one.font = Font(size=TEXT_PX)
        one.background_color = FIELD
        one.foreground_color = INK
        ET.SubElement(one.root, "format").text = AS_TEXT

    def switch(self, pv: str, box: Box, *, tip: str = "") -> None:
        """A ``bo`` that may be put, with its state in words."""
        one = self._of_pv(widgets.BooleanButton(self._name("switch"), pv, box.x, box.y, box.width, box.height), tip)
        one.labels_from_pv = True
        one.show_led = False
        for state, (red, green, blue) in (("off_color", OFF), ("on_color", FIELD)):  # phoebusgen does not know these
            ET.SubElement(ET.SubElement(one.root, state), "color", red=str(red), green=str(green), blue=str(blue))
        one.font = Font(size=TEXT_PX)
        one.background_color = FIELD
        one.foreground_color = INK

    def lamp(
        self,
        pv: str,
        box: Box,
        shades: Sequence[Shade],
        *,
        else_shows: tuple[str, Color] = ("?", COLOURS[Severity.INVALID]),
        large: bool = False,
        tip: str = "",
    ) -> None:
        """A word on a colour for each value."""
        one = self._of_pv(widgets.LEDMultiState(self._name("lamp"), pv, box.x, box.y, box.width, box.height), tip)
        one.states = [State(value=shade.value, label=shade.label, color=shade.colour) for shade in shades]
        one.fallback_label, one.fallback_color = else_shows
        one.square = True
        one.font = Font(size=TITLE_PX if large else TEXT_PX, style=FontStyle.BOLD)
        one.foreground_color = INK

    def button(self, words: str, file: str, box: Box, *, macros: Mapping[str, str] | None = None) -> None:
        """Leads to another screen of the folder."""
        action = OpenDisplayAction(
            description=words, file=file, target=OpenDisplayTarget.REPLACE, macros=dict(macros or {})
        )
        self._button(words, box, action)

    def link(self, words: str, address: str, box: Box, *, tip: str = "") -> None:
        """Leads to a page in the browser."""
        self._button(words, box, OpenWebpageAction(description=words, url=address), tip=tip)

    def embed(self, file: str, box: Box, macros: Mapping[str, str]) -> None:
        """Another screen of the folder, with macros of its own."""
        one = self._add(widgets.EmbeddedDisplay(self._name("part"), file, box.x, box.y, box.width, box.height))
        one.macros = dict(macros)
        one.resize_behavior = ResizeBehavior.NO_RESIZE

    def written(self) -> bytes:
        """The file."""
        self._screen.widgets = self._widgets  # at once: one by one it reads all of them each time
        ET.indent(self._screen.root)
        text = ET.tostring(self._screen.root, encoding="unicode")
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {MARK} -->\n{text}\n'.encode()

    def _button(self, words: str, box: Box, action: OpenDisplayAction | OpenWebpageAction, *, tip: str = "") -> None:
        one = self._add(widgets.ActionButton(self._name("button"), words, "", box.x, box.y, box.width, box.height))
        one.actions = [action]
        one.font = Font(size=TEXT_PX)
        one.foreground_color = INK
        one.tooltip = tip or words

    def _of_pv(self, one: Any, tip: str) -> Any:
        one.border_alarm_sensitive = True
        one.tooltip = f"{tip}\n$(pv_name)\n$(pv_value)".lstrip()
        return self._add(one)

    def _add(self, one: Any) -> Any:
        self._widgets.append(one)
        return one

    def _name(self, kind: str) -> str:
        return f"{kind} {len(self._widgets) + 1}"
