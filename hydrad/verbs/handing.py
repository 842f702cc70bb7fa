"""`hydrad submit`: images handed to the daemon by a person."""

from __future__ import annotations

import argparse
import getpass
import sys
import time

from hydrad.domain import as_json
from hydrad.errors import ConfigurationError, HydradError
from hydrad.store.queries import Store
from hydrad.store.rows import SILENT_AFTER, Handled
from hydrad.verbs import printing
from hydrad.verbs.reports import entry_words, is_alive, opened

ASK_EVERY_S = 0.2


def submit(options: argparse.Namespace) -> int:
    """Hand files over; with ``--wait`` print what became of them. Exit 1 if one was rejected."""
    files = [path.absolute() for path in options.files]
    if missing := [path for path in files if not path.is_file()]:
        raise ConfigurationError(*(f"{printing.printable(str(path))}: no such file" for path in missing))
    with opened(options) as store:
        alive = _comes_alive(store, SILENT_AFTER.total_seconds() if options.wait else 0.0)
        numbers = store.submit([str(path) for path in files], plot=options.plot, run=options.run, by=getpass.getuser())
        if not options.wait:
            if not alive:
                sys.stderr.write("no daemon is running: they will be judged when it starts\n")
            return 0
        if not alive:
            raise HydradError("no daemon is running; the files are noted and will be judged when it starts")
        deadline = time.monotonic() + options.timeout_s
        handled = store.handled(numbers)
        while len(handled) < len(numbers) and time.monotonic() < deadline:
            time.sleep(ASK_EVERY_S)
            handled = store.handled(numbers)
    for one in handled:
        _print(one, as_document=options.json)
    if len(handled) < len(numbers):
        raise HydradError(f"{len(numbers) - len(handled)} of {len(numbers)} not judged within {options.timeout_s:g} s")
    return int(any(one.filed is None for one in handled))


def _comes_alive(store: Store, within_s: float) -> bool:
    """True if a daemon gives a sign of life; one that was only just started takes a moment."""
    deadline = time.monotonic() + within_s
    while not (alive := is_alive(store.heartbeat())) and time.monotonic() < deadline:
        time.sleep(ASK_EVERY_S)
    return alive


def _print(one: Handled, *, as_document: bool) -> None:
    if as_document:
        verdict = None if one.filed is None else as_json(one.filed.verdict, one.filed.id)
        printing.document({**entry_words(one.entry), "verdict": verdict})
        return
    status = one.entry.outcome.value if one.filed is None else one.filed.verdict.status.name
    printing.say(f"{printing.printable(one.entry.path)}  {status}  {one.entry.reason}")
