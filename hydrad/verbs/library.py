"""`hydrad models` and `hydrad thresholds`."""

from __future__ import annotations

import argparse
import getpass
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hydrad import config
from hydrad.classify import bundle as bundles
from hydrad.classify.claims import Claim, server
from hydrad.classify.manifest import Manifest
from hydrad.domain import Change
from hydrad.errors import BundleError, ChangeRefused, ConfigurationError, StoreAway
from hydrad.settings import THRESHOLD, check
from hydrad.store import changing
from hydrad.store.models import registry
from hydrad.store.models.comparing import Comparison, compare
from hydrad.store.models.registry import Move, Place
from hydrad.store.tables import ModelState
from hydrad.verbs import printing
from hydrad.verbs.reports import existing, opened

NEW, REFUSED = "new", "refused"
COMPARED_DAYS = 7


def models(options: argparse.Namespace) -> int:
    """Every bundle below ``store.models`` and every model of the data base; exit 1 if one is damaged or was refused."""
    settings = config.load(config.find(options.config))
    shelf = look(settings)
    rows = [_row(entry, shelf) for entry in shelf.entries]
    if options.json:
        printing.objects(rows)
    else:
        printing.table(
            ("model", "state", "since", "by", "serves", "labels", "plots or fault"),
            (
                (r["id"], r["state"], r["since"], r["by"], _number_of(r["serves"]), " ".join(r["labels"]),
                 r["reason"] or " ".join(r["plots"]))
                for r in rows
            ),
        )  # fmt: skip
        if any(row["state"] == NEW for row in rows):
            sys.stderr.write(f"{NEW}: nobody has decided about it; {_what_becomes_of_new(shelf)}\n")
    return int(any(row["state"] == REFUSED or row["reason"] for row in rows))


def model(options: argparse.Namespace) -> None:
    """One bundle's card, figures and history; raises BundleError when it would be refused."""
    settings = config.load(config.find(options.config))
    folder = settings.store.models / options.id
    if folder not in bundles.listed(settings.store.models):
        raise ConfigurationError(f"no bundle is called {options.id!r} in {settings.store.models}")
    words = bundles.read(folder).manifest.model_dump(mode="json")
    shelf = look(settings)
    entry = next(entry for entry in shelf.entries if entry.id == options.id)
    place = _row(entry, shelf)
    words |= {key: place[key] for key in ("state", "since", "by", "serves")} | {"fault": place["reason"]}
    moves, compared = _past(settings, options.id)
    words["history"] = [_move_words(move) for move in moves]
    words["as_shadow"] = None if compared is None or not compared.images else _comparison(compared)
    if options.json:
        printing.document(words)
        return
    words["labels"] = " ".join(f"{label['name']} ({label['meaning']})" for label in words["labels"])
    words["serves"] = " ".join(words["serves"] or ()) or None
    for key in ("files", "history", "as_shadow"):
        words.pop(key)
    printing.table(("key", "value"), words.items())
    if moves:
        printing.say("")
        printing.table(
            ("moved", "from", "to", "by", "via", "reason"),
            ((m.at, m.old and m.old.value, m.new.value, m.by.person, m.by.via, m.reason) for m in moves),
        )
    if compared is not None and compared.images:
        printing.say("")
        _say_comparison(compared)


def thresholds(options: argparse.Namespace) -> None:
    """The thresholds that somebody changed; all others are the models' own."""
    with opened(options) as store:
        changes = [change for change in store.newest_settings() if change.key.startswith(THRESHOLD)]
    rows = [
        {
            "plot": change.plot,
            "label": change.key.removeprefix(THRESHOLD),
            "value": change.value,
            "by": change.by,
            "host": change.host,
            "via": change.via,
            "at": change.at,
        }
        for change in sorted(changes, key=lambda change: (change.plot or "", change.key))
    ]
    if options.json:
        printing.objects(rows)
    else:
        printing.table(("plot", "label", "value", "by", "host", "via", "at"), (tuple(row.values()) for row in rows))


def set_threshold(options: argparse.Namespace) -> None:
    """Write a threshold into the history of settings; the daemon applies it within a second."""
    change = Change(
        key=f"{THRESHOLD}{options.label}",
        value=options.value,
        plot=options.plot,
        by=options.user or getpass.getuser(),
        host=socket.gethostname(),
        at=datetime.now(UTC),
        via="cli",
    )
    try:
        check(change)
        with opened(options) as store:
            changing.put(store, change)
    except ChangeRefused as why:
        raise ConfigurationError(str(why)) from why


@dataclass(frozen=True, slots=True)
class Entry:
    """A model: its bundle, or what is wrong with it, and where the data base has it."""

    id: str
    manifest: Manifest | None
    fault: str  # of the bundle
    place: Place | None
    moved: Move | None  # its last move


@dataclass(frozen=True, slots=True)
class Shelf:
    """Every model there is, and what the plots that are known have of it."""

    entries: Sequence[Entry]
    plots: Sequence[str]

    @property
    def claims(self) -> Sequence[Claim]:
        """Of the models in service."""
        return [
            Claim(entry.id, entry.manifest.plots, entry.manifest.created_at)
            for entry in self.entries
            if entry.manifest and entry.place and entry.place.state is ModelState.IN_SERVICE and not entry.place.fault
        ]


def look(settings: config.Config) -> Shelf:
    """Look at the bundles and, if it answers, at the data base."""
    places: dict[str, Place] = {}
    moved: dict[str, Move] = {}
    plots: list[str] = []
    with suppress(StoreAway), existing(settings) as store:
        places = {place.id: place for place in registry.places(store)}
        for move in registry.history(store):
            moved.setdefault(move.model, move)
        plots = [standing.plot for standing in store.standings()]
    entries = []
    for folder in bundles.listed(settings.store.models):
        manifest, fault = None, ""
        try:
            manifest = bundles.read(folder).manifest
        except BundleError as why:
            fault = str(why)
        entries.append(Entry(folder.name, manifest, fault, places.pop(folder.name, None), moved.get(folder.name)))
    gone = "its bundle is not in store.models"
    entries += [Entry(name, None, gone, place, moved.get(name)) for name, place in places.items()]
    return Shelf(entries, plots)


def _row(entry: Entry, shelf: Shelf) -> dict[str, Any]:
    manifest, place, moved = entry.manifest, entry.place, entry.moved
    state = NEW if place is None else place.state.value
    serves = place is not None and place.state is ModelState.IN_SERVICE
    claims = shelf.claims
    return {
        "id": entry.id,
        "state": REFUSED if manifest is None and place is None else state,
        "since": None if place is None else place.moved_at,
        "by": None if moved is None else moved.by.person,
        "serves": [plot for plot in shelf.plots if server(plot, claims) == entry.id] if serves else [],
        "reason": entry.fault or (place.fault if place is not None else None) or "",
        "architecture": None if manifest is None else manifest.architecture,
        "plots": [] if manifest is None else list(manifest.plots),
        "labels": [] if manifest is None else list(manifest.names),
        "created_at": None if manifest is None else manifest.created_at,
    }


def _number_of(plots: Sequence[str]) -> str:
    return f"{len(plots)} plot{'s' * (len(plots) != 1)}" if plots else "-"


def _what_becomes_of_new(shelf: Shelf) -> str:
    places = [entry.place for entry in shelf.entries if entry.place is not None]
    if registry.undecided(places):
        return "it serves from the daemon's next start"
    return "the daemon enters it as a candidate"


def _past(settings: config.Config, name: str) -> tuple[Sequence[Move], Comparison | None]:
    try:
        with existing(settings) as store:
            since = datetime.now(UTC) - timedelta(days=COMPARED_DAYS)
            return registry.history(store, name), compare(store, name, since)
    except StoreAway:
        return [], None


def _move_words(move: Move) -> dict[str, Any]:
    return {
        "ticket": move.ticket,
        "old": None if move.old is None else move.old.value,
        "new": move.new.value,
        "by": move.by.person,
        "host": move.by.host,
        "via": move.by.via,
        "reason": move.reason,
        "at": move.at,
    }


def _comparison(compared: Comparison) -> dict[str, Any]:
    return {
        "days": COMPARED_DAYS,
        "images": compared.images,
        "agreed": compared.agreed,
        "alarming_to_both": compared.alarming_to_both,
        "alarms_added": compared.alarms_added,
        "alarms_missed": compared.alarms_missed,
        "labels": [
            {"served": served, "shadow": said, "images": images} for (served, said), images in compared.labels.items()
        ],
    }


def _say_comparison(compared: Comparison) -> None:
    printing.say(
        f"in shadow, last {COMPARED_DAYS} days: agreed with what served on {compared.agreed} of {compared.images} "
        f"images; images alarming to both {compared.alarming_to_both}, to the shadow only {compared.alarms_added}, "
        f"to what served only {compared.alarms_missed}"
    )
    ordered = sorted(compared.labels.items(), key=lambda pair: -pair[1])
    printing.table(("served said", "shadow said", "images"), ((*pair, images) for pair, images in ordered))
