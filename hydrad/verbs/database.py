"""`hydrad db`: the schema, and the data base as a file."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydrad import config
from hydrad.errors import ConfigurationError
from hydrad.store import schema
from hydrad.store.backup import restoring, taking
from hydrad.store.backup.archive import Archive, Manifest, named, summary, thin
from hydrad.store.grants import Part, statements
from hydrad.verbs import advancing, printing
from hydrad.verbs.reports import existing


def upgrade(options: argparse.Namespace) -> None:
    """Bring the data base to this program's schema."""
    state = schema.upgrade(config.load(config.find(options.config)).store_url())
    printing.say(f"the schema is {state.present}, as this program wants it")


def status(options: argparse.Namespace) -> int:
    """Say how the schema stands; exit 1 if `hydrad db upgrade` is called for."""
    settings = config.load(config.find(options.config))
    with existing(settings):
        state = schema.schema_state(settings.store_url())
    if options.json:
        printing.document({"present": state.present, "wanted": state.wanted, "age": state.age.value})
    else:
        printing.say(f"present {state.present or 'none'}, wanted {state.wanted}: {state.age.value}")
    return int(state.age is not schema.Age.CURRENT)


def backup(options: argparse.Namespace) -> None:
    """Write a backup, and in a folder remove the oldest where that was asked for."""
    path = config.find(options.config)
    settings = config.load(path)
    target, folder = options.file, options.file.is_dir()
    if options.keep and not folder:
        raise ConfigurationError(f"--keep: {target} is no folder, so there are no others to keep")
    if folder:
        target = named(target, settings.hall.name, datetime.now(UTC))
    what = taking.What(
        hall=settings.hall.name,
        settings=path,
        images=settings.store.images if options.images else None,
        models=settings.store.models if options.models else None,
    )
    with existing(settings), advancing.named() as told:
        manifest = taking.take(settings.store_url(), target, what, told)
    gone = thin(options.file, settings.hall.name, options.keep) if options.keep else []
    if options.json:
        printing.document(summary(manifest, target) | {"removed": [str(one) for one in gone]})
        return
    printing.say(f"{target}: {_contents(manifest, target)}")
    for one in gone:
        printing.say(f"{one}: removed, older than the newest {options.keep}")


def restore(options: argparse.Namespace) -> None:
    """Make the data base from a backup; with ``--check``, only say whether that could be done."""
    settings = config.load(config.find(options.config))
    url = settings.store_url()
    with Archive(options.file) as archive, advancing.named() as told:
        if options.check:
            restoring.check(archive, url, replace=options.replace, told=told)
            _report(options, archive.manifest, {"restored": False})
            return
        with restoring.alone(settings.store.journal) as book:
            restoring.check(archive, url, replace=options.replace, told=told)
            restoring.restore(archive, url, told)
            remembered = restoring.prepare_journal(book, url, told)
        images = restoring.put_images(archive, settings.store.images, told)
        models = restoring.put_models(archive, settings.store.models, told)
    facts = {"restored": True, "images_put": images, "models_put": list(models), "files_remembered": remembered}
    _report(options, archive.manifest, facts)


def _report(options: argparse.Namespace, manifest: Manifest, facts: dict[str, Any]) -> None:
    if options.json:
        printing.document(summary(manifest, options.file) | facts)
        return
    done = "restored" if facts["restored"] else "sound, and could be restored"
    printing.say(f"{options.file} is {done}: {_contents(manifest, options.file)}")
    if facts["restored"]:
        printing.say("the daemon may be started; what still waits in its journal it delivers by itself")


def _contents(manifest: Manifest, path: Path) -> str:
    verdicts = manifest.tables["verdicts"].rows if "verdicts" in manifest.tables else 0
    more = f", {manifest.images} images" if manifest.images else ""
    more += f", {len(manifest.models)} bundles" if manifest.models else ""
    return (
        f"{manifest.rows} rows, {verdicts} of them verdicts{more}; hall {manifest.hall} on {manifest.host}, "
        f"{manifest.taken_at}, schema {manifest.schema}; {printing.size(path.stat().st_size)}"
    )


def grants(options: argparse.Namespace) -> None:
    """Print what an administrator of the server runs, so that each process may do what it must and no more."""
    settings = config.load(config.find(options.config))
    database = settings.store_url().database
    if settings.store.url.startswith("sqlite") or database is None:
        raise ConfigurationError(
            "store.url: SQLite knows no accounts; who may do what is a matter of its file's and its folder's rights"
        )
    accounts = {part: account for part in Part if (account := getattr(options, part.value)) is not None}
    for statement in statements(database, accounts, forgetting=settings.store.keep_verdicts_d > 0):
        printing.say(statement)
