"""A model in shadow beside the models that served: where they agreed, and which alarms it would have changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy import func as sql

from hydrad.domain import BeamState, Meaning
from hydrad.store.queries import Store
from hydrad.store.tables import models, shadows, verdicts

FAULTY = frozenset({Meaning.BAD, Meaning.EMPTY})


@dataclass(frozen=True, slots=True)
class Comparison:
    """Images that a shadow judged along, counted.

    An image is alarming when its label is confirmed and means bad or empty while the beam is not off; delays over
    several images are left out of account for both.
    """

    model: str
    images: int
    agreed: int  # both said the same label
    labels: Mapping[tuple[str | None, str], int]  # images by what served said (None: nothing did) and the shadow said
    alarming_to_both: int
    alarms_added: int  # to the shadow only
    alarms_missed: int  # to what served only


def compare(store: Store, model: str, since: datetime | None = None, *, most: int | None = None) -> Comparison:
    """What a model in shadow said, beside what served, of the images judged since (aware; None: all there are).

    Args:
        most: look at so many of its newest images at most.
    """
    its = select(shadows).where(shadows.c.model_id == model)
    if most is not None:
        its = its.order_by(shadows.c.verdict_id.desc()).limit(most)
    shadow = its.subquery()
    query = (
        select(
            verdicts.c.label.label("served"),
            verdicts.c.confirmed.label("served_sure"),
            verdicts.c.model.label("server"),
            verdicts.c.beam_state,
            shadow.c.label.label("said"),
            shadow.c.confirmed.label("said_sure"),
            sql.count().label("images"),
            sql.max(verdicts.c.id).label("one"),
        )
        .join(verdicts, verdicts.c.id == shadow.c.verdict_id)
        .group_by(
            verdicts.c.label,
            verdicts.c.confirmed,
            verdicts.c.model,
            verdicts.c.beam_state,
            shadow.c.label,
            shadow.c.confirmed,
        )
    )
    if since is not None:
        query = query.where(verdicts.c.judged_at >= since)
    with store.reading() as connection:
        groups = connection.execute(query).all()
        words = _meanings(connection, model)
        theirs = _meanings_of_served(connection, [group.one for group in groups])
    labels: Counter[tuple[str | None, str]] = Counter()
    alarms: Counter[tuple[bool, bool]] = Counter()
    for group in groups:
        labels[group.served, group.said] += group.images
        beam = group.beam_state is not BeamState.OFF
        served = beam and group.served_sure and theirs[group.one].get(group.served) in FAULTY
        said = beam and group.said_sure and words.get(group.said) in FAULTY
        alarms[served, said] += group.images
    return Comparison(
        model=model,
        images=labels.total(),
        agreed=sum(count for (served, said), count in labels.items() if served == said),
        labels=dict(labels),
        alarming_to_both=alarms[True, True],
        alarms_added=alarms[False, True],
        alarms_missed=alarms[True, False],
    )


def _meanings(connection: Connection, model: str) -> Mapping[str, Meaning]:
    card: Mapping[str, Any] | None = connection.scalar(select(models.c.card).where(models.c.id == model))
    return {label["name"]: Meaning(label["meaning"]) for label in (card or {}).get("labels", ())}


def _meanings_of_served(connection: Connection, numbers: Collection[int]) -> dict[int, Mapping[str, Meaning]]:
    rows = connection.execute(select(verdicts.c.id, verdicts.c.meanings).where(verdicts.c.id.in_(list(numbers))))
    return {row.id: {label: Meaning(meaning) for label, meaning in row.meanings.items()} for row in rows}
