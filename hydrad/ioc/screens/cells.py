"""What the screens share: how a status looks, the way from screen to screen, and rows of plots.

A PV that is new is shown by a line in one of the tables here, or in those of :mod:`hydrad.ioc.screens.pages`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hydrad.domain import BeamState, Health, Severity, Status
from hydrad.ioc.plan import Hall, Plot
from hydrad.ioc.screens.sheet import CALM, CENTER, COLOURS, OFF, RIGHT, Box, Shade, Sheet

WIDTH = 1880  # of a full-HD screen, less the frame
GAP = 6
STATUS = tuple(
    Shade(status.value, status.name, OFF if status is Status.DISABLED else COLOURS[status.severity])
    for status in Status
)
HEALTH = tuple(
    Shade(health.value, health.name, colour)
    for health, colour in zip(Health, (CALM, COLOURS[Severity.MINOR], COLOURS[Severity.MAJOR]), strict=True)
)
BEAM = tuple(
    Shade(state.value, state.name, colour)
    for state, colour in zip(BeamState, (OFF, CALM, COLOURS[Severity.INVALID]), strict=True)
)
DATABASE = (Shade(0, "OK", CALM), Shade(1, "Fault", COLOURS[Severity.MINOR]))
MODEL = (Shade(0, "OK", CALM), Shade(1, "Fault", COLOURS[Severity.MAJOR]))

NAVIGATION = (
    ("Hall", "hall.bob"), ("Experts", "experts.bob"), ("Shelved", "shelved.bob"), ("Health", "health.bob"),
)  # fmt: skip
TOP = 70  # where what is below the header begins

Draws = Callable[[Sheet, str, Box, str], None]  # sheet, PV, where, tip


def _lamp(sheet: Sheet, pv: str, box: Box, tip: str) -> None:
    sheet.lamp(pv, box, STATUS, tip=tip)


def _value(sheet: Sheet, pv: str, box: Box, tip: str) -> None:
    sheet.value(pv, box, tip=tip)


def _count(sheet: Sheet, pv: str, box: Box, tip: str) -> None:
    sheet.entry(pv, box, whole=True, tip=tip)


def _note(sheet: Sheet, pv: str, box: Box, tip: str) -> None:
    sheet.note(pv, box, tip=tip)


def _switch(sheet: Sheet, pv: str, box: Box, tip: str) -> None:
    sheet.switch(pv, box, tip=tip)


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of a row of plots."""

    title: str
    leaf: str  # of the plot's PV
    width: int  # pixels
    draws: Draws
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """A row of plots: its columns, thresholds after them, and the reason where there is room left.

    Args:
        name: what files of it are called.
        width: of the row, in pixels.
        height: of one line of it.
        naming: pixels of the plot's name.
        abreast: thresholds on one line.
    """

    name: str
    width: int
    height: int
    naming: int
    cells: Sequence[Cell]
    abreast: int
    reason: bool

    def file(self, plot: Plot) -> str:
        """The screen that one plot's row is an instance of: plots with equally many labels share one."""
        return f"{self.name}-{len(plot.thresholds)}.bob"

    def tall(self, plot: Plot) -> int:
        """How high a plot's row is, in pixels."""
        return self.height * self.lines(len(plot.thresholds))

    def lines(self, labels: int) -> int:
        """How many lines this many thresholds take."""
        return max(1, -(-labels // self.abreast))

    def macros(self, plot: Plot) -> dict[str, str]:
        """What makes the screen this plot's row; P, DET and WEB are told by what it is in."""
        found = {"PLOT": plot.part, "NAME": plot.shown, "PAGE": plot.page}
        for n, threshold in enumerate(plot.thresholds, 1):
            found |= {f"L{n}": threshold.leaf, f"T{n}": threshold.label}
        return found

    def heads(self, sheet: Sheet, x: int, y: int) -> None:
        """The columns' titles."""
        left = x + self.naming + GAP
        sheet.text("Plot", Box(x, y, self.naming, 24), strong=True)
        for cell in self.cells:
            sheet.text(cell.title, Box(left, y, cell.width, 24), strong=True, at=CENTER)
            left += cell.width + GAP
        sheet.text("Confirmed from", Box(left, y, self.abreast * THRESHOLD_PX - GAP, 24), strong=True, at=CENTER)
        left += self.abreast * THRESHOLD_PX
        if self.reason:
            sheet.text("Reason", Box(left, y, x + self.width - left, 24), strong=True)

    def row(self, labels: int) -> bytes:
        """The screen of a plot with so many labels."""
        stem, inner = "$(P)$(DET):$(PLOT):", self.height - 4
        sheet = Sheet("$(NAME)", self.width, self.height * self.lines(labels))
        sheet.link("$(NAME)", "$(WEB)/$(PAGE)", Box(0, 2, self.naming, inner), tip="Images and history of $(NAME)")
        left = self.naming + GAP
        for cell in self.cells:
            cell.draws(sheet, stem + cell.leaf, Box(left, 2, cell.width, inner), cell.tip)
            left += cell.width + GAP
        for n in range(labels):
            x, y = left + n % self.abreast * THRESHOLD_PX, 2 + n // self.abreast * self.height
            sheet.text(f"$(T{n + 1})", Box(x, y, 60, inner), at=RIGHT)
            tip = f"$(T{n + 1}) counts from this confidence on, 0 to 1"
            sheet.entry(f"{stem}THRESH:$(L{n + 1})", Box(x + 64, y, THRESHOLD_PX - 64 - GAP, inner), tip=tip)
        left += self.abreast * THRESHOLD_PX
        if self.reason:
            sheet.value(f"{stem}MSG", Box(left, 2, self.width - left, inner), long=True)
        return sheet.written()


THRESHOLD_PX = 122  # a label and its threshold
_WHY = "Why: $(P)$(DET):$(PLOT):MSG"
_SHELVE = "Minutes that it raises no alarm; 0 takes it back from the shelf"

_STATUS = Cell("Status", "STATUS", 116, _lamp, _WHY)
_SETTINGS = (
    Cell("Judged", "ENABLE", 90, _switch, "Disabled: raises no alarm until somebody enables it"),
    Cell("Shelf min", "SHELVE", 82, _count, _SHELVE),
    Cell("On", "ONDELAY", 40, _count, "Bad images in a row that raise the alarm"),
    Cell("Off", "OFFDELAY", 40, _count, "Good images in a row that end it"),
)
OPERATORS = Layout(
    name="row",
    width=WIDTH - 2 * GAP,
    height=30,
    naming=236,
    cells=(
        _STATUS,
        Cell("Conf.", "CONF", 60, _value, "Confidence, 0 to 1"),
        Cell("Class", "CLASS", 104, _value),
        Cell("Age", "AGE", 70, _value, "Age of the newest image"),
        Cell("Bad", "NBAD", 40, _value, "Bad images in a row"),
        *_SETTINGS,
        Cell("Why off or shelved", "REASON", 170, _note, "Written by whoever switches it off or shelves it"),
    ),
    abreast=4,
    reason=True,
)
EXPERTS = Layout(
    name="setting",
    width=WIDTH // 2 - 2 * GAP,
    height=28,
    naming=160,
    cells=(
        *_SETTINGS,
        Cell("On of", "ONWINDOW", 56, _count, "… within so many images; up to On: in a row"),
        Cell("Off of", "OFFWINDOW", 56, _count, "… within so many images; up to Off: in a row"),
    ),
    abreast=3,
    reason=False,
)


def header(sheet: Sheet, title: str, *, here: str) -> None:
    """The title and the ways to the other screens."""
    sheet.text(title, Box(GAP, 10, 900, 44), large=True, strong=True)
    x = WIDTH - (len(NAVIGATION) + 1) * 126
    for words, file in NAVIGATION:
        if file == here:
            sheet.text(words, Box(x, 14, 120, 36), strong=True, at=CENTER)
        else:
            sheet.button(words, file, Box(x, 14, 120, 36))
        x += 126
    sheet.link("Web pages", "$(WEB)/", Box(x, 14, 120, 36), tip="The wall of all plots, in the browser")


def macros(hall: Hall, **others: str) -> dict[str, str]:
    """What every screen is told of the hall."""
    return {"P": hall.prefix, "WEB": hall.address, **others}
