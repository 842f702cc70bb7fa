"""What the labels of a plot are, what they mean and look like; every change is kept with who, when and how."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from hydrad.domain import Meaning
from hydrad.errors import ChangeRefused
from hydrad.store.colours import is_colour
from hydrad.store.columns import digest
from hydrad.store.places import named
from hydrad.store.queries import Store
from hydrad.store.tables import definitions, labels, plots

LONGEST = 39  # bytes of UTF-8: an EPICS string without its end
_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})  # Unicode's categories of what is no letter, space or picture

ByName = Callable[[str], Meaning]  # what a label means that nobody has defined yet


@dataclass(frozen=True, slots=True)
class Hand:
    """Whose deed it is, and how it was done."""

    person: str
    host: str
    via: str  # "cli", "page", "import"
    at: datetime  # aware


def why_not(label: str) -> str | None:
    """Why a text can be no label's name, as a sentence; None where it can."""
    if not label:
        return "a label needs a name"
    if label != label.strip():
        return f"the label {label!r} begins or ends with a space"
    if any(unicodedata.category(letter) in _UNSEEN for letter in label):
        return f"the label {label!r} has characters that nobody can see"
    if (size := len(label.encode())) > LONGEST:
        return f"the label {label!r} has {size} bytes; the PV that names it holds {LONGEST}"
    return None


def define(
    store: Store, plot: str, label: str, hand: Hand, by_name: ByName, *,
    meaning: Meaning | None = None, colour: str | None = None,
) -> bool:  # fmt: skip
    """Define a label of a plot, or change what it means and looks like; what is None stays as it is.

    Args:
        colour: as CSS writes it in hex, such as ``#c0392b``.

    Returns:
        True if this changed anything.

    Raises:
        ChangeRefused: it can be no label's name, or no colour; nothing was changed.
    """
    if flaw := why_not(label):
        raise ChangeRefused(flaw)
    if colour is not None and not is_colour(colour):
        raise ChangeRefused(f"{colour!r} is no colour such as #c0392b")
    said = {"meaning": meaning, "colour": None if colour is None else colour.lower()}
    said = {key: value for key, value in said.items() if value is not None}
    changed: list[bool] = []

    def act(connection: Connection) -> None:
        plot_id = named(connection, plots, [plot])[plot]
        here = labels.c.plot_id == plot_id, labels.c.digest == digest(label)
        row = connection.execute(select(labels).where(*here).with_for_update()).one_or_none()
        if row is None:
            _define(connection, {(plot_id, label): hand}, by_name, **said)
        elif news := {key: value for key, value in said.items() if getattr(row, key) != value}:
            connection.execute(update(labels).where(labels.c.id == row.id).values(news))
            both = {"meaning": row.meaning, "colour": row.colour} | news
            connection.execute(insert(definitions), [{"label_id": row.id, **both, **_changed(hand)}])
        else:
            changed[:] = [False]
            return
        changed[:] = [True]

    store.insist(act)
    return changed[0]


def label_ids(
    connection: Connection, wanted: Mapping[tuple[int, str], Hand], by_name: ByName
) -> dict[tuple[int, str], int]:
    """The row numbers of these labels, by plot and name; those that are not there are defined by these hands."""
    found = _known_labels(connection, wanted)
    if missing := {key: hand for key, hand in wanted.items() if key not in found}:
        found |= _define(connection, missing, by_name)
    return found


def _known_labels(connection: Connection, wanted: Collection[tuple[int, str]]) -> dict[tuple[int, str], int]:
    if not wanted:
        return {}
    names = {(plot_id, digest(name)): name for plot_id, name in wanted}
    query = select(labels.c.id, labels.c.plot_id, labels.c.digest).where(
        labels.c.plot_id.in_({plot_id for plot_id, _ in wanted})
    )
    rows = {(row.plot_id, bytes(row.digest)): row.id for row in connection.execute(query)}
    return {(key[0], names[key]): number for key, number in rows.items() if key in names}


def _define(
    connection: Connection, missing: Mapping[tuple[int, str], Hand], by_name: ByName, **said: Any
) -> dict[tuple[int, str], int]:
    values = {key: {"meaning": by_name(key[1]), "colour": None} | said for key in sorted(missing)}
    connection.execute(
        insert(labels),
        [{"plot_id": plot, "digest": digest(name), "name": name} | words for (plot, name), words in values.items()],
    )
    found = _known_labels(connection, missing)
    connection.execute(
        insert(definitions), [{"label_id": found[key], **values[key], **_changed(missing[key])} for key in values]
    )
    return found


def who(hand: Hand) -> dict[str, str]:
    """The columns that every history has."""
    return {"person": hand.person, "host": hand.host, "via": hand.via}


def _changed(hand: Hand) -> dict[str, Any]:
    return {**who(hand), "changed_at": hand.at}
