"""`hydrad status`, `log`, `ledger`: what the data base knows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydrad import config
from hydrad.domain import Health, LedgerEntry, Outcome, as_json
from hydrad.errors import ConfigurationError, StoreAway
from hydrad.store.queries import Store
from hydrad.store.rows import Heartbeat, PlotStanding
from hydrad.verbs import printing


def opened(options: argparse.Namespace) -> Store:
    """The data base of the configuration that the options name; a report does not make one that is not there.

    Raises:
        StoreAway: there is none yet.
    """
    return existing(config.load(config.find(options.config)))


def existing(settings: config.Config) -> Store:
    """The data base of a configuration; see :func:`opened`."""
    url = settings.store_url()
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise StoreAway(f"there is no data base {url.database} yet: `hydrad run` makes it")
    return Store(url)


def status(options: argparse.Namespace) -> None:
    """Each plot's present status, the worst first; says so when no daemon keeps it fresh."""
    with opened(options) as store:
        standings = store.standings(options.plots)
        beat = store.heartbeat()
    alive = is_alive(beat)
    if missing := sorted(set(options.plots) - {standing.plot for standing in standings}):
        raise ConfigurationError(*(f"no plot is called {name!r}" for name in missing))
    if options.json:
        printing.objects({**_standing(standing), "fresh": alive} for standing in standings)
        return
    if not alive:
        sys.stderr.write("no daemon is running: this is how things stood when it stopped\n")
    elif beat is not None and beat.health is not Health.OK:
        sys.stderr.write(f"the daemon is {beat.health.name}: {printing.printable(beat.why)}\n")
    ordered = sorted(standings, key=lambda one: (-(one.severity or one.status.severity), one.plot))
    printing.table(
        ("plot", "status", "severity", "label", "confidence", "run", "image", "reason"),
        ((s.plot, s.status.name, s.severity.name, s.label, s.confidence, s.run, s.taken_at, s.reason) for s in ordered),
    )


def log(options: argparse.Namespace) -> None:
    """Verdicts, newest first."""
    with opened(options) as store:
        filed = store.log(
            since=options.since, plot=options.plot, run=options.run, status=options.status, limit=options.limit
        )
    if options.json:
        printing.objects(as_json(one.verdict, one.id) for one in filed)
        return
    printing.table(
        ("judged", "plot", "run", "status", "reason"),
        ((v.judged_at, v.plot, v.run, v.status.name, v.reason) for v in (one.verdict for one in filed)),
    )


def ledger(options: argparse.Namespace) -> None:
    """What became of every file."""
    with opened(options) as store:
        if options.files:
            entries = list(store.ledger_files())
            if options.json:
                printing.objects(map(entry_words, entries))
            else:
                printing.table(
                    ("seen", "done", "outcome", "path", "reason"),
                    ((e.seen_at, e.done_at, e.outcome.value, e.path, e.reason) for e in entries),
                )
            return
        counts = store.ledger_counts()
        beat = store.heartbeat()
    pending = beat.pending if beat is not None and is_alive(beat) else 0
    words = {outcome.value: counts.get(outcome, 0) for outcome in Outcome} | {"pending": pending}
    if options.json:
        printing.document(words)
    else:
        printing.table(("outcome", "files"), words.items())


def is_alive(beat: Heartbeat | None) -> bool:
    """True if a daemon has given a sign of life just now."""
    return beat is not None and beat.is_fresh()


def entry_words(entry: LedgerEntry) -> Mapping[str, Any]:
    """A ledger entry as JSON."""
    return {
        "path": printing.printable(entry.path),
        "outcome": entry.outcome.value,
        "reason": entry.reason,
        "plot": entry.plot,
        "run": entry.run,
        "sha256": entry.sha256,
        "size": entry.size,
        "seen_at": entry.seen_at,
        "done_at": entry.done_at,
    }


def _standing(standing: PlotStanding) -> Mapping[str, Any]:
    return {
        "plot": standing.plot,
        "detector": standing.detector,
        "status": standing.status.name,
        "severity": standing.severity.name,
        "reason": standing.reason,
        "label": standing.label,
        "confidence": standing.confidence,
        "run": standing.run,
        "taken_at": standing.taken_at,
        "judged_at": standing.judged_at,
        "bad_in_a_row": standing.bad_in_a_row,
    }
