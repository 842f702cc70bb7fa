"""The verbs: `hydrad VERB`. Reading them loads neither TensorFlow nor EPICS nor the data base."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

from hydrad import __version__
from hydrad.domain import Status
from hydrad.errors import ConfigurationError, HydradError

DONE, FAULT, WRONG = 0, 1, 2
LAYOUTS = ("rsai", "mon12", "panguin", "plain")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; the exit status is 0 done, 1 fault, 2 wrong configuration or arguments."""
    options = parser().parse_args(arguments)
    module, _, function = options.runs.partition(":")
    try:
        answer = getattr(import_module(f"hydrad.verbs.{module}"), function)(options)
    except ConfigurationError as wrong:
        _say(*wrong.faults)
        return WRONG
    except HydradError as fault:
        _say(str(fault))
        return FAULT
    except BrokenPipeError:  # the reader of our output has had enough
        sys.stderr.close()
        return DONE
    except KeyboardInterrupt:
        return 130
    return DONE if answer is None else int(answer)


def parser() -> argparse.ArgumentParser:
    """All verbs with their arguments."""
    top = argparse.ArgumentParser(
        prog="hydrad", description="Watches monitoring histograms and says, on EPICS, which of them are wrong."
    )
    top.add_argument("--version", action="version", version=f"hydrad {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(
        name: str, runs: str, says: str, *, configured: bool = True, reports: bool = False
    ) -> argparse.ArgumentParser:
        new = verbs.add_parser(name, help=says, description=says)
        _common(new, runs, configured=configured, reports=reports)
        return new

    run = verb("run", "daemon:run", "the daemon")
    run.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")

    demo = verb("demo", "demo:demo", "all of it on a simulated hall", configured=False)
    demo.add_argument("--minutes", type=_positive, metavar="M", help="end by itself after so long")

    simulate = verb("simulate", "simulation:simulate", "a simulated hall's images and beam IOC", configured=False)
    simulate.add_argument("folder", type=Path, metavar="DIR")
    simulate.add_argument("--layout", choices=LAYOUTS, default="rsai")
    simulate.add_argument("--cadence-s", type=_positive, default=30.0, metavar="S", help="seconds between dumps (30)")
    simulate.add_argument(
        "--fault", action="append", default=[], metavar="SPEC", help="PLOT:FAULT[=WHERE][@START_S[+LENGTH_S]]"
    )
    simulate.add_argument("--seed", type=int, default=1, help="the same seed makes the same images (1)")
    simulate.add_argument("--run", type=int, default=1, metavar="N", help="run number in the names (1)")
    simulate.add_argument("--beam-port", type=_port, metavar="N", help="serve the beam IOC on this port of loopback")
    simulate.add_argument("--story", action="store_true", help="a fault every minute or so, chosen by the seed")
    simulate.add_argument("--seconds", type=_positive, metavar="S", help="end by itself after so long")

    verb("check", "check:check", "configuration, data base, bundles, PVs, folders: one line each", reports=True)

    status = verb("status", "reports:status", "each plot's present status", reports=True)
    status.add_argument("plots", nargs="*", metavar="PLOT")

    log = verb("log", "reports:log", "verdicts, newest first", reports=True)
    log.add_argument("--since", type=since, metavar="T", help="a time (ISO 8601) or an age such as 90m, 24h, 7d")
    log.add_argument("--plot", metavar="P")
    log.add_argument("--run", type=int, metavar="N")
    log.add_argument("--status", type=_status, metavar="S")
    log.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (100)")

    ledger = verb("ledger", "reports:ledger", "every file seen, and what became of it", reports=True)
    ledger.add_argument("--files", action="store_true", help="list the files, not only their counts")

    submit = verb("submit", "handing:submit", "hand images to the running daemon", reports=True)
    submit.add_argument("files", nargs="+", type=Path, metavar="FILE")
    submit.add_argument("--run", type=int, metavar="N")
    submit.add_argument("--plot", metavar="P")
    submit.add_argument("--wait", action="store_true", help="print the verdicts")
    submit.add_argument("--timeout-s", type=_positive, default=60.0, metavar="S", help="wait at most so long (60)")

    models = verbs.add_parser("models", help="the library").add_subparsers(metavar="VERB", required=True)
    _common(models.add_parser("list", help="every bundle"), "library:models", reports=True)
    show = models.add_parser("show", help="one bundle's card and figures")
    show.add_argument("id")
    _common(show, "library:model", reports=True)

    thresholds = verbs.add_parser("thresholds", help="confirm thresholds").add_subparsers(metavar="VERB", required=True)
    _common(thresholds.add_parser("list", help="those that somebody changed"), "library:thresholds", reports=True)
    put = thresholds.add_parser("set", help="as on the page and by caput")
    put.add_argument("plot")
    put.add_argument("label")
    put.add_argument("value", type=float)
    put.add_argument("--user", help="whom the history shall name (the account that runs this)")
    _common(put, "library:set_threshold")

    db = verbs.add_parser("db", help="the data base").add_subparsers(metavar="VERB", required=True)
    _common(db.add_parser("upgrade", help="bring the schema to this version"), "database:upgrade")
    _common(db.add_parser("status", help="the schema's version"), "database:status", reports=True)

    bench = verb(
        "bench", "bench:bench", "hydrad's own figures, each beside its baseline", configured=False, reports=True
    )
    bench.add_argument("--images", type=int, default=400, metavar="N", help="images a figure is taken from (400)")
    return top


def since(text: str) -> datetime:
    """A time from ISO 8601 or from an age such as ``90m``, ``24h`` or ``7d``."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    if text[-1:] in units and text[:-1].replace(".", "", 1).isdecimal():
        return datetime.now(UTC) - timedelta(seconds=float(text[:-1]) * units[text[-1]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time such as 2026-11-23T07:00 and no age such as 24h"
        ) from fault
    return moment.astimezone(UTC)


def _common(parser: argparse.ArgumentParser, runs: str, *, configured: bool = True, reports: bool = False) -> None:
    parser.set_defaults(runs=runs)
    if configured:
        parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="$HYDRA_CONFIG, else etc/hydra.toml")
    if reports:
        parser.add_argument("--json", action="store_true", help="for programs")


def _status(text: str) -> Status:
    try:
        return Status[text.upper()]
    except KeyError as fault:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(Status.__members__)}") from fault


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def _say(*faults: str) -> None:
    for fault in faults:
        sys.stderr.write(f"hydrad: {fault}\n")
