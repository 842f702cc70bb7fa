"""`hydrad models` and `hydrad thresholds`."""

from __future__ import annotations

import argparse
import getpass
import socket
from datetime import UTC, datetime
from typing import Any

from hydrad import config
from hydrad.classify import bundle as bundles
from hydrad.domain import Change
from hydrad.errors import BundleError, ChangeRefused, ConfigurationError, StoreAway
from hydrad.settings import THRESHOLD, check
from hydrad.store.queries import Store
from hydrad.verbs import printing
from hydrad.verbs.reports import existing, opened


def models(options: argparse.Namespace) -> int:
    """Every bundle below ``store.models`` and every model of the data base; exit 1 if a bundle is damaged."""
    settings = config.load(config.find(options.config))
    states = _states(settings)
    rows: list[dict[str, Any]] = []
    for folder in bundles.listed(settings.store.models):
        try:
            manifest = bundles.read(folder).manifest
        except BundleError as fault:
            rows.append({"id": folder.name, "state": "refused", "reason": str(fault)})
            continue
        rows.append(
            {
                "id": manifest.id,
                "state": states.pop(manifest.id, "new"),
                "architecture": manifest.architecture,
                "plots": list(manifest.plots),
                "labels": list(manifest.names),
                "created_at": manifest.created_at,
            }
        )
    rows += [
        {"id": name, "state": state, "reason": "its bundle is not in store.models"} for name, state in states.items()
    ]
    if options.json:
        printing.objects(rows)
    else:
        printing.table(
            ("model", "state", "architecture", "labels", "plots"),
            (
                (
                    r["id"],
                    r["state"],
                    r.get("architecture"),
                    " ".join(r.get("labels", ())),
                    r.get("reason") or " ".join(r["plots"]),
                )
                for r in rows
            ),
        )
    return int(any(row["state"] == "refused" for row in rows))


def model(options: argparse.Namespace) -> None:
    """One bundle's card and figures; raises BundleError when it would be refused."""
    settings = config.load(config.find(options.config))
    folder = settings.store.models / options.id
    if folder not in bundles.listed(settings.store.models):
        raise ConfigurationError(f"no bundle is called {options.id!r} in {settings.store.models}")
    words = bundles.read(folder).manifest.model_dump(mode="json")
    if options.json:
        printing.document(words)
        return
    words["labels"] = " ".join(f"{label['name']} ({label['meaning']})" for label in words["labels"])
    words.pop("files")
    printing.table(("key", "value"), words.items())


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
    except ChangeRefused as why:
        raise ConfigurationError(str(why)) from why
    with opened(options) as store:
        _require_label(store, options.plot, options.label)
        store.append_setting(change)


def _require_label(store: Store, plot: str, label: str) -> None:
    if not store.standings([plot]):
        raise ConfigurationError(f"no plot is called {plot!r}")
    labels = store.labels(plot)
    if label not in labels:
        raise ConfigurationError(f"{plot} has no label {label!r}; it has {', '.join(labels) or 'none yet'}")


def _states(settings: config.Config) -> dict[str, str]:
    try:
        with existing(settings) as store:
            return {model.id: model.state.value for model in store.models()}
    except StoreAway:
        return {}
