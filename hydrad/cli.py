"""The verbs: `hydrad VERB`. Reading them loads neither TensorFlow nor EPICS nor the data base."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

from hydrad import __version__
from hydrad.domain import Role, Status
from hydrad.errors import ConfigurationError, HydradError

DONE, FAULT, WRONG = 0, 1, 2
Verbs = argparse._SubParsersAction  # noqa: SLF001  argparse gives it no other name
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

    web = verb("web", "pages:web", "the pages")
    web.add_argument("--host", metavar="H", help="listen there instead of web.host")
    web.add_argument("--port", type=_port, metavar="N", help="instead of web.port")
    web.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")

    demo = verb("demo", "demo:demo", "all of it on a simulated hall", configured=False)
    demo.add_argument("--port", type=_port, metavar="N", help="of the pages (8000)")
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

    _labelling(verbs.add_parser("label", help="labelled images").add_subparsers(metavar="VERB", required=True))
    _training(verb("train", "training:train", "learn from labelled images: a new candidate", reports=True))

    _reprocessing(verb("reprocess", "reprocessing:reprocess", "let a model judge an archive, apart", reports=True))

    models = verbs.add_parser("models", help="the library").add_subparsers(metavar="VERB", required=True)
    _common(models.add_parser("list", help="every bundle"), "library:models", reports=True)
    show = models.add_parser("show", help="one bundle's card and figures")
    show.add_argument("id")
    _common(show, "library:model", reports=True)
    for name, says in (
        ("promote", "put a candidate, a shadow or a retired model into service"),
        ("shadow", "let a model judge along without effect"),
        ("retire", "take a model out of service or out of the shadow"),
        ("rollback", "undo a promotion: what served before serves again"),
    ):
        move = models.add_parser(name, help=says, description=says)
        move.add_argument("id", metavar="MODEL")
        move.add_argument("--reason", default="", help="for the history")
        move.add_argument("--user", help="whom the history shall name (the account that runs this)")
        move.add_argument("--wait-s", type=_positive, metavar="S", help="wait for the daemon's answer, at most so long")
        _common(move, f"moving:{name}", reports=True)

    thresholds = verbs.add_parser("thresholds", help="confirm thresholds").add_subparsers(metavar="VERB", required=True)
    _common(thresholds.add_parser("list", help="those that somebody changed"), "library:thresholds", reports=True)
    put = thresholds.add_parser("set", help="as on the page and by caput")
    put.add_argument("plot")
    put.add_argument("label")
    put.add_argument("value", type=float)
    put.add_argument("--user", help="whom the history shall name (the account that runs this)")
    _common(put, "library:set_threshold")

    _people(
        verbs.add_parser("people", help="who may do what on the pages").add_subparsers(metavar="VERB", required=True)
    )

    _control_room(
        verb("alarms", "control_room:alarms", "the alarm tree, for an alarm handler", reports=True),
        verb("screens", "control_room:screens", "screens for CS-Studio", reports=True),
    )

    db = verbs.add_parser("db", help="the data base").add_subparsers(metavar="VERB", required=True)
    _common(db.add_parser("upgrade", help="bring the schema to this version"), "database:upgrade")
    _common(db.add_parser("status", help="the schema's version"), "database:status", reports=True)
    _backups(
        db.add_parser("backup", help="write all of it into one file, while everything goes on"),
        db.add_parser("restore", help="make it from such a file, while the daemon is stopped"),
    )
    _grants(db.add_parser("grants", help="SQL that lets each account do what it must, and no more"))

    _bench(
        verb("bench", "bench:bench", "hydrad's own figures, each beside its baseline", configured=False, reports=True)
    )
    return top


def _bench(bench: argparse.ArgumentParser) -> None:
    bench.add_argument("--images", type=_count, default=400, metavar="N", help="images that land at once (400)")
    bench.add_argument(
        "--only",
        nargs="+",
        choices=("rows", "landing", "pvs", "idle", "growth", "flat"),
        metavar="PART",
        help="rows, landing, pvs, idle, growth (all of these, in a quarter of an hour), or flat (an hour)",
    )
    bench.add_argument(
        "--network", action="append", choices=("shipped", "inception"), help="what judges images that land (both)"
    )
    bench.add_argument(
        "--plots",
        nargs="+",
        type=_count,
        default=(10, 100, 400, 1000, 4000),
        metavar="N",
        help="sizes of the hall that grows, ascending (10 100 400 1000 4000)",
    )
    bench.add_argument("--minutes", type=_positive, default=60.0, metavar="M", help="how long it shall be flat (60)")


def _control_room(alarms: argparse.ArgumentParser, screens: argparse.ArgumentParser) -> None:
    alarms.add_argument("file", type=Path, metavar="FILE")
    alarms.add_argument("--format", choices=("phoebus", "alh"), required=True, help="of Phoebus' alarm server, or ALH")
    alarms.add_argument(
        "--edits", type=Path, metavar="TOML", help="the lab's own (FILE with .edits.toml, if it is there)"
    )
    alarms.add_argument("--screens", metavar="DIR", help="where clients find the screens ('screens' beside FILE)")
    screens.add_argument("folder", type=Path, metavar="DIR")
    for parser in (alarms, screens):
        parser.add_argument("--web", metavar="URL", help="of the pages (mail.address, else web.host and web.port)")


def _backups(backup: argparse.ArgumentParser, restore: argparse.ArgumentParser) -> None:
    backup.add_argument("file", type=Path, metavar="FILE", help="new; or a folder, then it is named by hall and time")
    backup.add_argument("--images", action="store_true", help="with the images that are kept")
    backup.add_argument("--models", action="store_true", help="with the bundles")
    backup.add_argument("--keep", type=_count, metavar="N", help="in a folder: of this hall's, only the N newest stay")
    _common(backup, "database:backup", reports=True)
    restore.add_argument("file", type=Path, metavar="FILE")
    restore.add_argument("--check", action="store_true", help="only say whether it could be restored")
    restore.add_argument("--replace", action="store_true", help="though there is something in the data base: lose that")
    _common(restore, "database:restore", reports=True)


def _grants(grants: argparse.ArgumentParser) -> None:
    for part, account, says in (
        ("daemon", "hydrad@localhost", "the daemon's account"),
        ("pages", "hydrad_web@localhost", "that of the pages, and of verbs that change something"),
        ("trainings", "hydrad_train@localhost", "that of trainings that are units of their own"),
        ("reader", None, "one that may look at all but people's accounts"),
    ):
        default = "" if account is None else f" ({account})"
        grants.add_argument(f"--{part}", metavar="NAME@HOST", default=account, help=says + default)
    _common(grants, "database:grants")


def _people(verbs: Verbs[argparse.ArgumentParser]) -> None:
    roles = [role.name.lower() for role in Role]
    _common(verbs.add_parser("list", help="everybody, with their role"), "people:everybody", reports=True)
    add = verbs.add_parser("add", help="a new account; asks for its password, or reads it from standard input")
    add.add_argument("--role", choices=roles, default="viewer")
    add.add_argument("--email", metavar="ADDRESS")
    add.add_argument("--no-password", action="store_true", help="known by the proxy's header, or by a token, only")
    role = verbs.add_parser("role", help="change what somebody may do")
    role.add_argument("--role", choices=roles, required=True)
    password = verbs.add_parser("password", help="a new password; ends every session")
    disable = verbs.add_parser("disable", help="no way in any more; the history keeps the name")
    enable = verbs.add_parser("enable", help="undo that")
    token = verbs.add_parser("token", help="a new token for a program; it is printed once")
    token.add_argument("--role", choices=roles, help="at most the person's own, which it is unless said")
    token.add_argument("--purpose", default="", help="what it is for")
    token.add_argument("--days", type=_positive, metavar="N", help="ends after so long")
    for parser, runs in (
        (add, "add"), (role, "role"), (password, "password"), (disable, "disable"), (enable, "enable"),
        (token, "token"),
    ):  # fmt: skip
        parser.add_argument("name")
        _common(parser, f"people:{runs}")
    _common(verbs.add_parser("revoke", help="end a token"), "people:revoke")
    verbs.choices["revoke"].add_argument("token", type=int, help="its number, as list shows it")


def _labelling(verbs: Verbs[argparse.ArgumentParser]) -> None:
    bring = verbs.add_parser("import", help="folders named after labels, or a CSV file")
    bring.add_argument("folder", type=Path, metavar="DIR", help="holds a folder per label; or a file written by export")
    whose = bring.add_mutually_exclusive_group()
    whose.add_argument("--plot", metavar="P", help="the plot that all of them show")
    whose.add_argument("--layout", choices=LAYOUTS, help="plot and run are told by the files' names, as in [[watch]]")
    bring.add_argument("--label", metavar="L", help="of all images below DIR, which then holds no folders of labels")
    bring.add_argument("--run", type=int, metavar="N", help="the run that all of them are of")
    bring.add_argument(
        "--meaning", action="append", default=[], metavar="LABEL=MEANING", help="good, bad, empty or other"
    )
    bring.add_argument("--user", help="who labelled them (the account that runs this)")
    _common(bring, "labelling:bring", reports=True)

    take = verbs.add_parser("export", help="a folder per plot and label, and labels.csv beside them")
    take.add_argument("folder", type=Path, metavar="DIR", help="new or empty")
    take.add_argument("--plot", action="append", default=[], metavar="P", help="these plots only")
    take.add_argument("--csv-only", action="store_true", help="the table without the images")
    _common(take, "labelling:export", reports=True)

    show = verbs.add_parser("list", help="each plot's labels, and how many images have them")
    show.add_argument("plots", nargs="*", metavar="PLOT")
    _common(show, "labelling:listed", reports=True)

    define = verbs.add_parser("define", help="a label's meaning and colour, new or changed")
    define.add_argument("plot")
    define.add_argument("label")
    define.add_argument("--meaning", choices=("good", "bad", "empty", "other"))
    define.add_argument("--colour", metavar="CSS", help="such as #c0392b")
    define.add_argument("--user", help="whom the history shall name (the account that runs this)")
    _common(define, "labelling:define")


def _training(train: argparse.ArgumentParser) -> None:
    train.add_argument("plots", nargs="*", metavar="PLOT", help="names or patterns; one model serves all of them")
    train.add_argument("--all-plots", action="store_true", help="one model for every plot that has labels")
    train.add_argument("--id", metavar="NAME", help="of the model (made of plot and time)")
    train.add_argument("--architecture", metavar="A", help="plain, a network of keras.applications, or a .keras file")
    train.add_argument("--weights", type=Path, metavar="FILE", help="of a keras.applications network, without its top")
    train.add_argument("--parent", metavar="MODEL", help="go on from this model's network (fine-tuning)")
    train.add_argument("--width", type=int, metavar="PIXELS")
    train.add_argument("--height", type=int, metavar="PIXELS")
    train.add_argument("--epochs", type=int, metavar="N")
    train.add_argument("--seed", type=int, metavar="N", help="the same seed and labels give the same model on a CPU")
    train.add_argument("--good-share", type=_positive, metavar="SHARE", help="of the good images to learn from, 0 to 1")
    train.add_argument("--hold-out", choices=("auto", "run", "plot", "image"), help="what is kept apart for the test")
    train.add_argument(
        "--int8", action=argparse.BooleanOptionalAction, help="also quantized for a CPU, its accuracy cost measured"
    )
    train.add_argument(
        "--emulate",
        action="append",
        default=[],
        metavar="SPEC",
        help="FAULT[,KEY=VALUE…] as in [[train.emulate]], instead of those there; 'none' for none",
    )
    train.add_argument("--resume", metavar="NAME", help="go on with a training that was stopped")
    train.add_argument("--queued", type=int, metavar="N", help="do what somebody asked for on a page")
    train.add_argument("--user", help="whom the history shall name (the account that runs this)")


def _reprocessing(reprocess: argparse.ArgumentParser) -> None:
    reprocess.add_argument(
        "model", nargs="?", metavar="MODEL", help="any bundle: candidate, shadow, in service, retired"
    )
    reprocess.add_argument("archive", nargs="?", type=Path, metavar="ARCHIVE", help="a folder of images")
    what = reprocess.add_mutually_exclusive_group()
    what.add_argument("--from-store", action="store_true", help="the images that hydrad has kept, instead of a folder")
    what.add_argument("--list", action="store_true", help="what was reprocessed, and how far it is")
    what.add_argument("--forget", type=int, metavar="N", help="remove what a reprocessing said, and itself")
    reprocess.add_argument("--layout", choices=LAYOUTS, help="how names are read, as in [[watch]]")
    reprocess.add_argument(
        "--plot", action="append", default=[], metavar="P", help="names or patterns, instead of those the model is for"
    )
    reprocess.add_argument("--again", action="store_true", help="begin anew, beside what was said before")
    reprocess.add_argument("--workers", type=_whole, metavar="N", help="processes at most (one fewer than cores)")
    reprocess.add_argument("--ray", metavar="ADDRESS", help="on a Ray cluster: auto, HOST:PORT, or local for one here")
    reprocess.add_argument(
        "--gpus", type=_positive, metavar="N", help="that each worker of the cluster needs, or a share"
    )
    reprocess.add_argument(
        "--portion", type=_whole, default=256, metavar="N", help="files that a worker gets at once (256)"
    )
    reprocess.add_argument("--user", help="whom the list shall name (the account that runs this)")


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


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 1000")
    return int(text)


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def _say(*faults: str) -> None:
    for fault in faults:
        sys.stderr.write(f"hydrad: {fault}\n")
