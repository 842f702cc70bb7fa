"""`hydrad demo`: the daemon, the pages and a simulated hall as processes, and a table of what they say."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hydrad import config as configuration
from hydrad.domain import Severity
from hydrad.errors import ConfigurationError, HydradError, StoreAway
from hydrad.shipped import folder as shipped_bundle
from hydrad.store.queries import Store
from hydrad.store.rows import PlotStanding
from hydrad.verbs.processes import child, free_port, tail
from hydrad.verbs.reports import existing

CADENCE_S = 5.0
PAGES_PORT = 8000
COLOURS = {Severity.NO_ALARM: "", Severity.MINOR: "yellow", Severity.MAJOR: "bold red", Severity.INVALID: "magenta"}

HALL = """\
[hall]
name = "SIM"

[ioc]
prefix = "HYDRA:SIM:"
port = {port}

[beam]
pv = "SIM:BEAM:CURRENT"
permit_pv = "SIM:BEAM:PERMIT"
permit_value = 6
window_s = {cadence_s}
stale_s = 10

[web]
port = {web_port}

[[watch]]
root = "dumps"
layout = "rsai"

[defaults]
stale_s = 30

[[detector]]
name = "CDC"
expert = "cdc-expert@example.org"
guidance = "Check the high voltage of the boards that the heatmap shows, then call the expert."

[[detector]]
name = "BCAL"
expert = "bcal-expert@example.org"
guidance = "Look at the rates of the sector that the heatmap shows; if they stay wrong, call the expert."
"""


def demo(options: argparse.Namespace) -> None:
    """Run all of it until Ctrl-C or until the minutes are over."""
    # Ctrl-C is how a demo ends, not a fault; what it started is stopped by then.
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hydrad-demo-")))
        stack.enter_context(_ended_by_signals())
        port, beam_port, web_port = free_port(5064), free_port(), free_port(options.port or PAGES_PORT)
        if options.port and web_port != options.port:
            raise ConfigurationError(f"--port: {options.port} is in use")
        settings = _furnish(folder, port, web_port)
        log_file = folder / "hydrad.log"
        output = stack.enter_context(log_file.open("wb"))
        environment = {"EPICS_CA_ADDR_LIST": f"127.0.0.1:{beam_port}", "EPICS_CA_AUTO_ADDR_LIST": "NO"}
        console = Console()
        _say_where(console, settings, port, web_port)
        daemon = stack.enter_context(child(["run", "-c", str(settings)], environment=environment, output=output))
        pages = stack.enter_context(child(["web", "-c", str(settings)], output=output))
        hall = stack.enter_context(
            child(
                [
                    "simulate",
                    str(folder / "dumps"),
                    "--story",
                    "--run=30408",
                    f"--cadence-s={CADENCE_S}",
                    f"--beam-port={beam_port}",
                ],
                output=output,
            )
        )
        loaded = configuration.load(settings)
        store: Store | None = None
        end = time.monotonic() + options.minutes * 60 if options.minutes else float("inf")
        show = stack.enter_context(_screen(console))
        while time.monotonic() < end:
            for name, process in (("the daemon", daemon), ("the pages", pages), ("the simulated hall", hall)):
                if process.poll() is not None:
                    raise HydradError(f"{name} ended by itself:\n{tail(log_file)}")
            with suppress(StoreAway):  # the daemon may not have made it yet
                store = store or stack.enter_context(existing(loaded))
                show.draw(store.standings())
            time.sleep(0.5)


def _furnish(folder: Path, port: int, web_port: int) -> Path:
    (folder / "dumps").mkdir()
    bundle = shipped_bundle()
    shutil.copytree(bundle, folder / "models" / bundle.name)
    settings = folder / "hydra.toml"
    settings.write_text(HALL.format(port=port, web_port=web_port, cadence_s=CADENCE_S), encoding="utf-8")
    return settings


def _say_where(console: Console, settings: Path, port: int, web_port: int) -> None:
    console.print(f"the wall:  http://127.0.0.1:{web_port}", style="bold", highlight=False)
    variables = "EPICS_CA_AUTO_ADDR_LIST=NO EPICS_CA_ADDR_LIST=127.0.0.1"
    if port != 5064:
        variables += f" EPICS_CA_SERVER_PORT={port}"
    console.print(
        f"PVs on 127.0.0.1, port {port}:  {variables} caget HYDRA:SIM:SUMMARY", highlight=False, soft_wrap=True
    )
    console.print(f"asked from elsewhere:  hydrad status -c {settings}", highlight=False, soft_wrap=True)
    console.print("The model is being loaded; the first images follow in some seconds. Ctrl-C ends it.", style="dim")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Lines:
    """Says each change of a status in a line: for logs, and for terminals that are none."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: dict[str, str] = {}

    def draw(self, states: Sequence[PlotStanding]) -> None:
        for state in states:
            if self._shown.get(state.plot) == state.status.name:
                continue
            self._shown[state.plot] = state.status.name
            moment = f"{state.judged_at:%H:%M:%S}" if state.judged_at else ""
            text = f"{moment} {state.plot:<24} {state.status.name:<10} {state.severity.name:<8} {state.reason}"
            self._console.print(text, highlight=False, soft_wrap=True, markup=False)
            sys.stdout.flush()


class _Table:
    """All plots at a glance, the worst first."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def draw(self, states: Sequence[PlotStanding]) -> None:
        table = Table(box=None, pad_edge=False)
        for column in ("plot", "status", "severity", "label", "why"):
            table.add_column(column, no_wrap=True, overflow="ellipsis")
        for state in sorted(states, key=lambda state: (-(state.severity or state.status.severity), state.plot)):
            seen = "" if state.label is None else f"{state.label} @ {state.confidence:.2f}"
            style = COLOURS[state.severity or state.status.severity]  # one that a flood drowned is bad all the same
            table.add_row(state.plot, state.status.name, state.severity.name, seen, state.reason, style=style)
        self._live.update(Group(Text(""), table))


@contextmanager
def _screen(console: Console) -> Iterator[_Lines | _Table]:
    if not console.is_terminal or os.environ.get("TERM") == "dumb":
        yield _Lines(console)
        return
    with Live(console=console, refresh_per_second=4, vertical_overflow="visible") as live:
        yield _Table(live)
