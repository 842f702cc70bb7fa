"""The screens of a hall, file by file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hydrad.domain import Status
from hydrad.ioc.plan import Detector, Hall, Page, Plot
from hydrad.ioc.screens import cells
from hydrad.ioc.screens.cells import EXPERTS, GAP, OPERATORS, TOP, WIDTH, header, macros
from hydrad.ioc.screens.sheet import CALM, OFF, RIGHT, Box, Shade, Sheet

TILE_W, TILE_H, TILES = 300, 116, 6  # of a detector in the overview, and how many abreast
PER_COLUMN = 25  # plots in a column of the experts' screen
BRICK_W, BRICK_H, BRICKS = 228, 24, 8  # of a plot on the screen of shelved plots, and how many abreast
PER_SHELF = 400  # plots on one of these


@dataclass(frozen=True, slots=True)
class Fact:
    """A PV of the hall, with what it is called on the screen."""

    title: str
    leaf: str
    shades: Sequence[Shade] = ()  # of a lamp
    long: bool = False
    tip: str = ""


GLANCE = (  # of the hall
    Fact("Worst", "SUMMARY", cells.STATUS, tip="Status of the worst detector"),
    Fact("Bad plots", "NBAD"),
    Fact("Without images", "NSTALE", tip="Plots that give no new images"),
    Fact("Beam", "BEAM:STATE", cells.BEAM),
    Fact("Current", "BEAM:CURRENT"),
    Fact("Run", "RUN:NUMBER"),
    Fact("Run is", "RUN:STATE"),
    Fact("Run type", "RUN:TYPE"),
    Fact("hydrad", "WATCHDOG", cells.HEALTH, tip="Does the pipeline get on?"),
    Fact("Images a second", "RATE"),
)
VITALS = (  # of hydrad
    Fact("Pipeline", "WATCHDOG", cells.HEALTH, tip="STALLED: nothing is judged any more"),
    Fact("Data base", "DB:STATUS", cells.DATABASE, tip="Fault: verdicts wait on the disk"),
    Fact("Models", "MODEL:STATUS", cells.MODEL, tip="Fault: a model was refused"),
    Fact("Images a second", "RATE"),
    Fact("File to PV, 99 % within", "LATENCY"),
    Fact("Files waiting", "PENDING"),
    Fact("Heartbeat", "HEARTBEAT"),
    Fact("Up for", "UPTIME"),
    Fact("Started", "STARTTOD"),
    Fact("Version", "VERSION"),
    Fact("Host", "HOSTNAME"),
    Fact("Process", "PROCESS_ID"),
    Fact("Memory", "MEM_USED"),
    Fact("PV clients", "CA_CLNT_CNT"),
    Fact("Last refused put", "MSG", long=True, tip="Who, what, why"),
)


def pages(hall: Hall) -> Mapping[str, bytes]:
    """All screens, by file name."""
    files = dict(_whole(hall))
    for detector in hall.detectors:
        shown = detector.pages
        for n, page in enumerate(shown):
            files[page.file] = _detector(hall, detector, shown, n)
    for layout in (OPERATORS, EXPERTS):
        for plot in {len(plot.thresholds): plot for _, plot in hall.plots}.values():
            files[layout.file(plot)] = layout.row(len(plot.thresholds))
    return files


def _whole(hall: Hall) -> Iterator[tuple[str, bytes]]:
    yield "hall.bob", _hall(hall)
    yield "tile.bob", _tile()
    yield "health.bob", _health(hall)
    yield from _experts(hall)
    yield from _shelved(hall)


def _hall(hall: Hall) -> bytes:
    rows = -(-len(hall.detectors) // TILES)
    tiles_at = TOP + 120
    sheet = Sheet(f"Hall {hall.name}", WIDTH, max(600, tiles_at + rows * (TILE_H + 12)), macros(hall))
    header(sheet, f"Hall {hall.name}", here="hall.bob")
    each = WIDTH // len(GLANCE)
    for n, fact in enumerate(GLANCE):
        sheet.text(fact.title, Box(GAP + n * each, TOP, each - GAP, 24))
        _show(sheet, fact, Box(GAP + n * each, TOP + 26, each - 2 * GAP, 40), large=True)
    sheet.text("Last refused put", Box(GAP, TOP + 78, 150, 28))
    sheet.value("$(P)MSG", Box(GAP + 156, TOP + 78, WIDTH - 168, 28), long=True)
    for n, detector in enumerate(hall.detectors):
        place = Box(GAP + n % TILES * (TILE_W + 12), tiles_at + n // TILES * (TILE_H + 12), TILE_W, TILE_H)
        sheet.embed("tile.bob", place, {"DET": detector.part, "NAME": detector.name})
    return sheet.written()


def _tile() -> bytes:
    sheet = Sheet("$(NAME)", TILE_W, TILE_H)
    sheet.button("$(NAME)", "detector-$(DET).bob", Box(2, 2, 150, 36))
    sheet.lamp("$(P)$(DET):STATUS", Box(158, 2, 138, 36), cells.STATUS, large=False, tip="Why: $(P)$(DET):MSG")
    sheet.text("bad", Box(2, 42, 36, 24))
    sheet.value("$(P)$(DET):NBAD", Box(40, 42, 44, 24), tip="How many of its plots are bad")
    sheet.value("$(P)$(DET):PLOT", Box(90, 42, 206, 24), tip="Its worst plot")
    sheet.value("$(P)$(DET):MSG", Box(2, 70, 294, 42), long=True)
    return sheet.written()


def _detector(hall: Hall, detector: Detector, shown: Sequence[Page], n: int) -> bytes:
    page, many = shown[n], len(shown) > 1
    heads_at, rows_at = TOP + 66, TOP + 94
    height = rows_at + sum(OPERATORS.tall(plot) for plot in page.plots) + GAP
    title = f"{detector.name}{f', {n + 1} of {len(shown)}' if many else ''}"
    sheet = Sheet(title, WIDTH, height, macros(hall, DET=detector.part))
    header(sheet, title, here=page.file)
    sheet.lamp("$(P)$(DET):STATUS", Box(GAP, TOP, 180, 34), cells.STATUS, tip="Why: $(P)$(DET):MSG")
    sheet.text("bad plots", Box(194, TOP, 80, 34), at=RIGHT)
    sheet.value("$(P)$(DET):NBAD", Box(280, TOP, 50, 34))
    sheet.switch("$(P)$(DET):ENABLE", Box(340, TOP, 110, 34), tip="All plots of the detector at once")
    sheet.note("$(P)$(DET):REASON", Box(456, TOP, 240, 34), tip="Why all of it is off")
    sheet.value("$(P)$(DET):MSG", Box(706, TOP, 894, 34), long=True)
    _turn(sheet, [one.file for one in shown], n)
    if contact := " · ".join(text for text in (detector.guidance, detector.expert) if text):
        sheet.text(contact, Box(GAP, TOP + 38, WIDTH - 2 * GAP, 24))
    OPERATORS.heads(sheet, GAP, heads_at)
    y = rows_at
    for plot in page.plots:
        tall = OPERATORS.tall(plot)
        sheet.embed(OPERATORS.file(plot), Box(GAP, y, OPERATORS.width, tall), OPERATORS.macros(plot))
        y += tall
    return sheet.written()


def _health(hall: Hall) -> bytes:
    title = f"Health of hydrad, hall {hall.name}"
    sheet = Sheet(title, WIDTH, TOP + len(VITALS) * 40 + GAP, macros(hall))
    header(sheet, title, here="health.bob")
    for n, fact in enumerate(VITALS):
        y = TOP + n * 40
        sheet.text(fact.title, Box(GAP, y, 240, 32))
        _show(sheet, fact, Box(GAP + 246, y, 1600 if fact.long else 300, 32))
    return sheet.written()


def _experts(hall: Hall) -> Iterator[tuple[str, bytes]]:
    """Every plot's settings, two columns a screen."""
    each = 2 * PER_COLUMN
    everything = list(hall.plots)
    files = [f"experts{f'-{n + 1}' if n else ''}.bob" for n in range(max(1, -(-len(everything) // each)))]
    heads_at, rows_at = TOP + 50, TOP + 78
    for n, file in enumerate(files):
        columns = [everything[start : start + PER_COLUMN] for start in range(n * each, (n + 1) * each, PER_COLUMN)]
        tallest = max(sum(EXPERTS.tall(plot) for _, plot in column) for column in columns)
        title = f"Experts, hall {hall.name}{f', {n + 1} of {len(files)}' if len(files) > 1 else ''}"
        sheet = Sheet(title, WIDTH, max(600, rows_at + tallest + GAP), macros(hall))
        header(sheet, title, here=file)
        _beam(sheet)
        _turn(sheet, files, n)
        for c, column in enumerate(columns):
            x, y = GAP + c * (WIDTH // 2), rows_at
            if column:
                EXPERTS.heads(sheet, x, heads_at)
            for detector, plot in column:
                tall, told = EXPERTS.tall(plot), EXPERTS.macros(plot) | {"DET": detector.part}
                sheet.embed(EXPERTS.file(plot), Box(x, y, EXPERTS.width, tall), told)
                y += tall
        yield file, sheet.written()


def _beam(sheet: Sheet) -> None:
    sheet.text("Beam is on from", Box(GAP, TOP, 130, 34))
    sheet.entry("$(P)BEAM:MIN", Box(142, TOP, 90, 34), tip="In the units of the beam current; not above 0 is refused")
    sheet.lamp("$(P)BEAM:STATE", Box(242, TOP, 120, 34), cells.BEAM)
    sheet.value("$(P)BEAM:CURRENT", Box(370, TOP, 130, 34))
    sheet.text("Last refused put", Box(510, TOP, 140, 34), at=RIGHT)
    sheet.value("$(P)MSG", Box(656, TOP, 944, 34), long=True, tip="Who, what, why")


def _shelved(hall: Hall) -> Iterator[tuple[str, bytes]]:
    """A brick for each plot: those that a person shelved or disabled stand out, all others are grey."""
    everything = list(hall.plots)
    files = [f"shelved{f'-{n + 1}' if n else ''}.bob" for n in range(max(1, -(-len(everything) // PER_SHELF)))]
    for n, file in enumerate(files):
        here = everything[n * PER_SHELF : (n + 1) * PER_SHELF]
        title = f"Shelved and disabled, hall {hall.name}"
        rows = -(-len(here) // BRICKS)
        sheet = Sheet(title, WIDTH, max(600, TOP + 44 + rows * (BRICK_H + 4)), macros(hall))
        header(sheet, title, here=file)
        sheet.text(
            "OFF: shelved or disabled by a person; why and until when stands at the plot. The others are judged.",
            Box(GAP, TOP, 1400, 32),
        )
        _turn(sheet, files, n)
        for m, (detector, plot) in enumerate(here):
            place = Box(GAP + m % BRICKS * (BRICK_W + 5), TOP + 44 + m // BRICKS * (BRICK_H + 4), BRICK_W, BRICK_H)
            _brick(sheet, detector, plot, place)
        yield file, sheet.written()


def _brick(sheet: Sheet, detector: Detector, plot: Plot, place: Box) -> None:
    stem = f"$(P){detector.part}:{plot.part}"
    lamp = 46
    sheet.text(plot.shown, Box(place.x + lamp + 4, place.y, place.width - lamp - 4, place.height))
    sheet.lamp(
        f"{stem}:STATUS",
        Box(place.x, place.y, lamp, place.height),
        (Shade(Status.DISABLED.value, "OFF", OFF), Shade(Status.GOOD.value, "", CALM)),
        else_shows=("", CALM),
        tip=f"Why: {stem}:MSG",
    )


def _turn(sheet: Sheet, files: Sequence[str], n: int) -> None:
    """To the screens before and after this one of several."""
    if n > 0:
        sheet.button("Previous", files[n - 1], Box(1610, TOP, 120, 34))
    if n + 1 < len(files):
        sheet.button("Next", files[n + 1], Box(1736, TOP, 120, 34))


def _show(sheet: Sheet, fact: Fact, box: Box, *, large: bool = False) -> None:
    if fact.shades:
        sheet.lamp(f"$(P){fact.leaf}", box, fact.shades, large=large, tip=fact.tip)
    else:
        sheet.value(f"$(P){fact.leaf}", box, long=fact.long, large=large, tip=fact.tip)
