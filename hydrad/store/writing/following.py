"""Episodes follow the verdicts: begun, prolonged and ended in the transaction that keeps them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, insert, select

from hydrad.domain import Verdict
from hydrad.episodes import UNWELL, Episode, follow
from hydrad.store.among import among
from hydrad.store.columns import digest
from hydrad.store.places import Numbers, Stood
from hydrad.store.tables import episodes
from hydrad.store.writing.upserting import put_or

_FIELDS = tuple(field.name for field in fields(Episode))


def follow_episodes(
    connection: Connection,
    fresh: Iterable[Verdict],
    before: Mapping[int, Stood],
    numbers: Numbers,
) -> None:
    """Begin, prolong and end the episodes of these verdicts' plots.

    A verdict that is older than what its plot was last seen to be, or superseded, was never its state: it changes none.

    Args:
        fresh: verdicts that are new to the data base.
        before: how their plots stand, locked against other writers.
    """
    by_plot = _in_order(fresh, before, numbers.plots)
    # A plot that stood well has no episode that lasts; so where all is well nothing is asked and nothing is written.
    lasting = _lasting(connection, [plot_id for plot_id in by_plot if before[plot_id].status in UNWELL])
    changed: list[dict[str, Any]] = []
    begun: list[dict[str, Any]] = []
    for plot_id, theirs in by_plot.items():
        own_id, held = lasting.get(plot_id, (None, None))
        for n, episode in enumerate(follow(held, ((numbers.verdicts[digest(one.key)], one) for one in theirs))):
            row = {name: getattr(episode, name) for name in _FIELDS}
            row |= {"plot_id": plot_id, "detector_id": numbers.detectors[theirs[0].detector]}
            if n == 0 and own_id is not None:
                changed.append(row | {"id": own_id})
            else:
                begun.append(row)
    put_or(connection, episodes, changed, set=_FIELDS)
    if begun:
        connection.execute(insert(episodes), begun)


def _in_order(
    fresh: Iterable[Verdict], before: Mapping[int, Stood], plot_ids: Mapping[str, int]
) -> Mapping[int, list[Verdict]]:
    """By plot, the verdicts that held, one after the other."""
    by_plot: defaultdict[int, list[Verdict]] = defaultdict(list)
    for verdict in fresh:
        plot_id = plot_ids[verdict.plot]
        if not verdict.superseded and before[plot_id].is_before(verdict):
            by_plot[plot_id].append(verdict)
    return {plot_id: sorted(theirs, key=before[plot_id].turn) for plot_id, theirs in by_plot.items()}


def _lasting(connection: Connection, plots: list[int]) -> Mapping[int, tuple[int, Episode]]:
    """By plot, the row number and what stands there of the episode that has not ended."""
    if not plots:
        return {}
    columns = [episodes.c[name] for name in ("id", "plot_id", *_FIELDS)]
    query = select(*columns).where(among(episodes.c.plot_id, plots), episodes.c.ended_at.is_(None))
    rows = connection.execute(query.order_by(episodes.c.id))
    return {row.plot_id: (row.id, Episode(*(getattr(row, name) for name in _FIELDS))) for row in rows}
