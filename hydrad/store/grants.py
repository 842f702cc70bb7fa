"""Who may do what to which table: the least that each process of hydrad has to be granted on a server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

from hydrad.errors import ConfigurationError
from hydrad.store.tables import METADATA

REVISION: Final = "alembic_version"  # the migrations' own table: which schema there is


class Part(StrEnum):
    """A part of hydrad that has an account of its own in the data base."""

    DAEMON = "daemon"
    PAGES = "pages"  # and the verbs that people change something with
    TRAININGS = "trainings"
    READER = "reader"  # the verbs that report, and other programs


Rights = Mapping[Part, str]  # privileges beside SELECT, as GRANT takes them

_D, _P, _T = Part.DAEMON, Part.PAGES, Part.TRAININGS
_LABELLED: Final = "label_id, kept, sampled, run, chunk, taken_at"  # what labelling and bringing images change
_BY_ALL: Final[Mapping[str, Rights]] = {
    "detectors": {_D: "INSERT"},
    "plots": {_D: "INSERT, UPDATE (detector_id)", _P: "INSERT"},
    "standings": {_D: "INSERT, UPDATE, DELETE"},
    "labels": {_D: "INSERT", _P: "INSERT, UPDATE (meaning, colour)"},
    "definitions": {_P: "INSERT"},
    "runs": {_D: "INSERT, UPDATE"},
    "images": {_D: "INSERT, UPDATE", _P: f"INSERT, UPDATE ({_LABELLED})"},
    "labellings": {_P: "INSERT"},
    "verdicts": {_D: "INSERT"},
    "files": {_D: "INSERT, UPDATE"},
    "tallies": {_D: "INSERT, UPDATE"},
    "settings": {_D: "INSERT", _P: "INSERT"},
    "models": {_D: "INSERT, UPDATE", _P: "INSERT, UPDATE", _T: "INSERT, UPDATE (card, metrics)"},
    "moves": {_D: "INSERT", _P: "INSERT", _T: "INSERT"},
    "shadows": {_D: "INSERT"},
    "reprocessings": {_P: "INSERT, UPDATE, DELETE"},
    "reprocessed": {_P: "INSERT, DELETE"},
    "trainings": {_P: "INSERT, UPDATE", _T: "INSERT, UPDATE"},
    "submissions": {_D: "UPDATE (taken_at)", _P: "INSERT"},
    "heartbeats": {_D: "INSERT, UPDATE"},
    "canaries": {_D: "INSERT, UPDATE"},
    "episodes": {_D: "INSERT, UPDATE", _P: "UPDATE (acknowledged_at, acknowledged_by)"},
    "acknowledgements": {_P: "INSERT"},
    "logbook_entries": {_P: "INSERT"},
    "hours": {_D: "INSERT, UPDATE"},
    "news": {_P: "INSERT"},
    REVISION: {},
}
_BY_PAGES: Final[Mapping[str, Rights]] = {  # nobody else reads these: digests of passwords, cookies and tokens
    "people": {_P: "INSERT, UPDATE"},
    "people_changes": {_P: "INSERT"},
    "sessions": {_P: "INSERT, UPDATE, DELETE"},
    "tokens": {_P: "INSERT, UPDATE"},
    "digests": {_P: "INSERT, UPDATE, DELETE"},
}
_FORGOTTEN: Final = ("files", "images", "shadows", "verdicts")  # the daemon deletes there, where a hall says so
_NAME: Final = re.compile(r"[\w.-]{1,80}", re.ASCII)
_HOST: Final = re.compile(r"[\w.:%/-]{1,60}", re.ASCII)


def rights(part: Part) -> Iterator[tuple[str, str]]:
    """Each table that a part of hydrad needs, and what it may do there."""
    for table in (*sorted(METADATA.tables), REVISION):
        more = _BY_ALL[table] if table in _BY_ALL else _BY_PAGES[table]
        if table in _BY_ALL or part in more:
            yield table, ", ".join(["SELECT", *([more[part]] if part in more else [])])


def statements(database: str, accounts: Mapping[Part, str], *, forgetting: bool = False) -> Iterator[str]:
    """What an administrator of the server runs, once the tables are there and again when there are new ones.

    Args:
        database: its name.
        accounts: as ``name@host``, or ``name`` for one of the same host.
        forgetting: the daemon lets old verdicts go.

    Raises:
        ConfigurationError: a name is none that could be quoted without doubt.
    """
    if not re.fullmatch(r"[\w$-]+", database, re.ASCII):
        raise ConfigurationError(f"{database!r} is no name of a data base")
    names = {part: _quoted(account) for part, account in accounts.items()}
    allowed = [(name, table, what) for part, name in names.items() for table, what in rights(part)]
    whole = [(name, f"`{database}`.*") for name in dict.fromkeys(names.values())]
    for name, place in (*whole, *dict.fromkeys((name, f"`{database}`.`{table}`") for name, table, _ in allowed)):
        yield f"GRANT SELECT ON {place} TO {name};"  # so that there is something to revoke: rights of former times
        yield f"REVOKE ALL ON {place} FROM {name};"
    for name, table, what in allowed:
        yield f"GRANT {what} ON `{database}`.`{table}` TO {name};"
    if forgetting and Part.DAEMON in names:
        for table in _FORGOTTEN:
            yield f"GRANT DELETE ON `{database}`.`{table}` TO {names[Part.DAEMON]};"


def _quoted(account: str) -> str:
    name, _, host = account.partition("@")
    host = host or "localhost"
    if not (_NAME.fullmatch(name) and _HOST.fullmatch(host)):
        raise ConfigurationError(f"{account!r} is no account of a data base, e.g. hydrad@localhost")
    return f"'{name}'@'{host}'"
