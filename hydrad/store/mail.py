"""What verbs and pages have left in the data base for the daemon, which looks twice a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hydrad.store import queries
from hydrad.store.models import registry
from hydrad.store.models.registry import Place
from hydrad.store.queries import Store
from hydrad.store.rows import FiledChange, Submission


@dataclass(frozen=True, slots=True)
class Mail:
    """What was found at one look."""

    places: Sequence[Place]
    changes: Sequence[FiledChange]
    submissions: Sequence[Submission]  # which are taken by that


def collected(store: Store, *, after: int, taken_before: datetime | None) -> Mail:
    """Look, in one transaction, and take what was handed in; nothing is locked where there is nothing to take.

    Args:
        after: the row of the last change of a setting that is known already.
        taken_before: as in :meth:`Store.take_submissions`.
    """
    with store.reading() as connection:
        places = registry.places_in(connection)
        changes = queries.settings_after(connection, after)
        some = connection.execute(queries.open_submissions(taken_before).limit(1)).first() is not None
    # Last: what is taken must not be lost again.
    return Mail(places, changes, store.take_submissions(taken_before=taken_before) if some else [])
