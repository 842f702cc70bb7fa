"""What people have labelled: the images, how many of them, and the history of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, select
from sqlalchemy import func as sql

from hydrad.domain import Meaning
from hydrad.store.colours import painted
from hydrad.store.columns import digest
from hydrad.store.images import ImageFolder
from hydrad.store.labels.defining import Hand
from hydrad.store.queries import Store
from hydrad.store.tables import definitions, images, labellings, labels, plots

AT_ONCE = 1000  # images read by one statement


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image, its label, and who gave it."""

    plot: str
    label: str
    meaning: Meaning
    sha256: str
    format: str
    run: int | None
    taken_at: datetime | None  # aware, UTC
    by: str
    at: datetime | None  # aware, UTC; None where the label came by no way of hydrad's
    kept: bool = True  # its bytes lie in the images folder

    def lies_in(self, folder: Path) -> Path:
        """Its file, where ``folder`` is ``store.images``."""
        return ImageFolder(folder).path(self.sha256, self.format)


@dataclass(frozen=True, slots=True)
class LabelTally:
    """A plot's label and how many images have it."""

    plot: str
    label: str
    meaning: Meaning
    colour: str  # as CSS writes it
    chosen: bool  # a person chose the colour
    images: int


@dataclass(frozen=True, slots=True)
class Labelling:
    """A label that was given to an image, or taken back (None), once."""

    label: str | None
    hand: Hand


@dataclass(frozen=True, slots=True)
class Definition:
    """What a person made of a label, once; ``colour`` is None while nobody has chosen one."""

    meaning: Meaning
    colour: str | None
    hand: Hand


def labelled(store: Store, patterns: Sequence[str] = (), *, purged: bool = False) -> Sequence[LabelledImage]:
    """The labelled images of these plots, or of all: by plot, label and content, in whatever order they came.

    Args:
        patterns: names of plots, or patterns of them as a shell has them.
        purged: those too whose bytes are no longer kept.
    """
    found = [one for one in _labelled(store, patterns) if purged or one.kept]
    return sorted(found, key=lambda one: (one.plot, one.label, one.sha256))


def tallies(store: Store, patterns: Sequence[str] = ()) -> Sequence[LabelTally]:
    """The labels of these plots, or of all, by plot and in the order in which they were first met.

    Labels that no image has are there too.
    """
    query = select(labels, sql.count(images.c.id).label("images")).outerjoin(images, _HAS_IT)
    by_plot: dict[int, list[Any]] = defaultdict(list)
    with store.reading() as connection:
        names = _plots(connection, patterns)
        for row in connection.execute(query.group_by(labels.c.id).order_by(labels.c.id)):
            by_plot[row.plot_id].append(row)
    found: list[LabelTally] = []
    for plot_id, name in sorted(names.items(), key=lambda pair: pair[1]):
        paints = painted(by_plot[plot_id])
        for row in by_plot[plot_id]:
            label = paints[row.name]
            found.append(LabelTally(name, row.name, row.meaning, label.colour, label.chosen, row.images))
    return found


def counts(store: Store) -> Mapping[str, int]:
    """How many images of each plot have a label; plots without any are left out."""
    counted = sql.count(images.c.id).label("images")
    # Label by label the index answers; grouping all images by plot would read every unlabelled one too.
    each = select(labels.c.plot_id, counted).outerjoin(images, _HAS_IT).group_by(labels.c.id).subquery()
    query = (
        select(plots.c.name, sql.sum(each.c.images).label("images"))
        .join(each, each.c.plot_id == plots.c.id)
        .group_by(plots.c.id)
    )
    with store.reading() as connection:
        return {row.name: int(row.images) for row in connection.execute(query) if row.images}


def history(store: Store, plot: str, sha256: str) -> Sequence[Labelling]:
    """Every label that was given to an image of a plot or taken back, the oldest first."""
    query = (
        select(labellings, labels.c.name)
        .join(images, images.c.id == labellings.c.image_id)
        .join(plots, plots.c.id == images.c.plot_id)
        .outerjoin(labels, labels.c.id == labellings.c.label_id)
        .where(plots.c.digest == digest(plot), images.c.sha256 == sha256)
        .order_by(labellings.c.id)
    )
    with store.reading() as connection:
        return [
            Labelling(row.name, Hand(row.person, row.host, row.via, row.labelled_at))
            for row in connection.execute(query)
        ]


def definitions_of(store: Store, plot: str, label: str) -> Sequence[Definition]:
    """Everything that people made of a label, the oldest first; nothing for one that only its model defined."""
    query = (
        select(definitions)
        .join(labels, labels.c.id == definitions.c.label_id)
        .join(plots, plots.c.id == labels.c.plot_id)
        .where(plots.c.digest == digest(plot), labels.c.digest == digest(label))
        .order_by(definitions.c.id)
    )
    with store.reading() as connection:
        return [
            Definition(row.meaning, row.colour, Hand(row.person, row.host, row.via, row.changed_at))
            for row in connection.execute(query)
        ]


_HAS_IT = and_(images.c.plot_id == labels.c.plot_id, images.c.label_id == labels.c.id)


def _labelled(store: Store, patterns: Sequence[str]) -> Iterator[LabelledImage]:
    with store.reading() as connection:
        names = _plots(connection, patterns)
        theirs = connection.execute(select(labels).where(labels.c.plot_id.in_(names)).order_by(labels.c.id)).all()
    for label in theirs:
        # Their numbers first, out of an index alone; then some of the rows at a time.
        mine = select(images.c.id).where(images.c.plot_id == label.plot_id, images.c.label_id == label.id)
        with store.reading() as connection:
            numbers = connection.scalars(mine.order_by(images.c.id)).all()
        for start in range(0, len(numbers), AT_ONCE):
            piece = numbers[start : start + AT_ONCE]
            with store.reading() as connection:
                rows = connection.execute(select(*_COLUMNS).where(images.c.id.in_(piece))).all()
                said = connection.execute(_SAID.where(labellings.c.image_id.in_(piece)).order_by(labellings.c.id))
                last = {row.image_id: row for row in said}
            for row in rows:
                word = last.get(row.id)
                yield LabelledImage(
                    plot=names[label.plot_id],
                    label=label.name,
                    meaning=label.meaning,
                    sha256=row.sha256,
                    format=row.format,
                    run=row.run,
                    taken_at=row.taken_at,
                    by="" if word is None else word.person,
                    at=None if word is None else word.labelled_at,
                    kept=row.kept,
                )


_COLUMNS = [images.c[name] for name in ("id", "sha256", "format", "run", "taken_at", "kept")]
_SAID = select(labellings.c.image_id, labellings.c.person, labellings.c.labelled_at)


def _plots(connection: Connection, patterns: Sequence[str]) -> dict[int, str]:
    rows = connection.execute(select(plots.c.id, plots.c.name))
    return {row.id: row.name for row in rows if not patterns or any(_fits(row.name, one) for one in patterns)}


def _fits(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)
