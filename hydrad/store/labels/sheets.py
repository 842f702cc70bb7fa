"""Which images of a plot to label next: what its model doubts and what is odd, then a spread of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import zip_longest
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Select, and_, func, select, true

from hydrad.domain import Meaning, Status
from hydrad.store.colours import painted
from hydrad.store.places import plot_number
from hydrad.store.queries import Store
from hydrad.store.tables import episodes, images, labellings, labels, verdicts

NEWEST: Final = 800  # unlabelled images looked at, from the newest on
OLDER: Final = 10  # moments before those, spread evenly …
EACH: Final = 24  # … and how many images are looked at from each of them on
EPISODES: Final = 200  # stretches in which the plot was not well: the first, last and worst image of each is looked at
EDITED: Final = 2000  # labelled images looked at
CLOSE: Final = 0.3  # a model that gives its two first labels scores nearer than this has not made up its mind
AT_ONCE: Final = 1000  # rows looked up by one statement

T = TypeVar("T")


class Why(StrEnum):
    """Why an image stands where it stands in a sheet."""

    NOVEL = "novel"  # unlike anything its model was trained on
    DOUBTED = "doubted"  # its label is not confirmed, or the second label is close
    FAULTY = "faulty"  # its label means bad or empty
    SPREAD = "spread"  # one of the rest
    UNJUDGED = "unjudged"  # no model has seen it
    DISPUTED = "disputed"  # a person and the model, each sure, call it by two names
    LABELLED = "labelled"


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said of an image, by its newest verdict."""

    model: str
    label: str
    confidence: float  # 0 to 1
    margin: float  # to the label with the second score, 0 to 1
    confirmed: bool
    status: Status
    novelty: float | None


@dataclass(frozen=True, slots=True)
class Tile:
    """An image on a sheet."""

    sha256: str
    run: int | None
    chunk: int | None
    taken_at: datetime | None  # aware, UTC
    width: int  # pixels
    height: int
    why: Why
    said: Said | None
    label: str | None  # as people see it
    by: str = ""  # who said so last
    at: datetime | None = None  # aware, UTC: when they said it


@dataclass(frozen=True, slots=True)
class Sheet:
    """Images in the order in which they are to be looked at."""

    tiles: Sequence[Tile]
    more: bool  # there are some after these


@dataclass(frozen=True, slots=True)
class Sought:
    """Which labelled images are to be looked at again; what is None does not restrict."""

    label: str | None = None
    by: str | None = None  # who labelled it last
    since: datetime | None = None  # aware: labelled then or later
    until: datetime | None = None  # aware: labelled before
    run: int | None = None
    image: str | None = None  # the SHA-256 of the only one
    disputed: bool = False  # only those of which the model, sure of itself, says something else


@dataclass(frozen=True, slots=True)
class Paint:
    """A label of a plot, to be given."""

    name: str
    meaning: Meaning
    colour: str  # as CSS writes it
    chosen: bool  # a person chose the colour
    images: int  # that have it


def unlabelled(store: Store, plot: str, *, limit: int, skip: int = 0) -> Sheet:
    """Kept images of a plot that nobody has labelled.

    What is novel, what the model doubts and what it calls bad or empty take turns, the strongest of each first. The
    rest follows so that each beginning of it is spread over the whole time.

    Args:
        limit: tiles, at most.
        skip: tiles at the beginning that were seen and passed over.
    """
    with store.reading() as connection:
        plot_id = plot_number(connection, plot)
        names = _names(connection, plot_id)
        rows = _candidates(connection, plot_id)
        said = _said(connection, [row.id for row in rows])
    meanings = dict(names.values())
    tiles = [_tile(row, said.get(row.id), _why(said.get(row.id), meanings)) for row in rows]
    return _cut(_ordered(tiles), limit, skip)


def labelled(store: Store, plot: str, sought: Sought, *, limit: int, skip: int = 0) -> Sheet:
    """Kept images of a plot that people have labelled: the newest labels first, or the surest contradictions."""
    with store.reading() as connection:
        plot_id = plot_number(connection, plot)
        names = _names(connection, plot_id)
        rows = _edited(connection, plot_id, names, sought)
        said = _said(connection, [row.id for row in rows])
    tiles = []
    for row in rows:
        name = names[row.label_id][0]
        word = said.get(row.id)
        disputed = word is not None and word.confirmed and word.label != name
        if disputed or not sought.disputed:
            why = Why.DISPUTED if disputed else Why.LABELLED
            tiles.append(_tile(row, word, why, label=name, by=row.person or "", at=row.labelled_at))
    if sought.disputed:
        tiles.sort(key=lambda tile: -tile.said.confidence if tile.said else 0.0)
    return _cut(tiles, limit, skip)


def reference(store: Store, plot: str) -> Tile | None:
    """What a plot looks like when all is well: the newest image that people call good, better if its model agrees.

    Where nobody has called any good, the newest one that the model is sure of.
    """
    with store.reading() as connection:
        plot_id = plot_number(connection, plot)
        names = _names(connection, plot_id)
        good = {number: name for number, (name, meaning) in names.items() if meaning is Meaning.GOOD}
        query = _images().where(images.c.plot_id == plot_id, images.c.kept == true()).limit(20)
        query = query.order_by(images.c.taken_at.desc())
        rows = [row for number in good for row in connection.execute(query.where(images.c.label_id == number))]
        if not rows:
            rows = list(connection.execute(query.where(images.c.label_id.is_(None))))
        said = _said(connection, [row.id for row in rows])
    sure = [row for row in rows if (one := said.get(row.id)) and one.confirmed and one.label in good.values()]
    found = sure or [row for row in rows if row.label_id is not None]
    if not found:
        return None
    row = max(found, key=_taken)
    return _tile(row, said.get(row.id), Why.LABELLED, label=good.get(row.label_id))


def palette(store: Store, plot: str) -> Sequence[Paint]:
    """The labels of a plot in the order in which they were first met, and how many images have each."""
    counted = func.count(images.c.id).label("images")
    has_it = and_(images.c.plot_id == labels.c.plot_id, images.c.label_id == labels.c.id)
    query = select(labels, counted).outerjoin(images, has_it).group_by(labels.c.id).order_by(labels.c.id)
    with store.reading() as connection:
        rows = connection.execute(query.where(labels.c.plot_id == plot_number(connection, plot))).all()
    paints = painted(rows)
    return [Paint(row.name, row.meaning, paints[row.name].colour, paints[row.name].chosen, row.images) for row in rows]


def spread(things: Sequence[T]) -> list[T]:
    """The same things in an order of which each beginning is spread over the whole (van der Corput's sequence)."""
    bits = max(len(things) - 1, 0).bit_length()
    turned = (int(f"{n:0{bits}b}"[::-1], 2) if bits else 0 for n in range(1 << bits))
    return [things[n] for n in turned if n < len(things)]


def _candidates(connection: Connection, plot_id: int | None) -> Sequence[Any]:
    mine = images.c.plot_id == plot_id, images.c.label_id.is_(None), images.c.kept == true()
    numbers = select(images.c.id, images.c.taken_at).where(*mine)
    newest = connection.execute(numbers.order_by(images.c.taken_at.desc()).limit(NEWEST)).all()
    found = {row.id for row in newest}
    if len(newest) == NEWEST:
        found |= set(_older(connection, numbers, newest[-1].taken_at))
        found |= set(_telling(connection, plot_id))
    wanted = sorted(found)
    query = _images().where(*mine)
    return [row for piece in _pieces(wanted) for row in connection.execute(query.where(images.c.id.in_(piece)))]


def _older(connection: Connection, numbers: Select[Any], before: datetime | None) -> Iterator[int]:
    """Some of the images taken before, from moments that are spread over the time since the first of them."""
    dated = numbers.where(images.c.taken_at.is_not(None)).order_by(images.c.taken_at)
    first = connection.execute(dated.limit(1)).first()
    if before is None or first is None:
        return
    step = (before - first.taken_at) / OLDER
    for n in range(OLDER):
        until = first.taken_at + step * (n + 1)
        stretch = dated.where(images.c.taken_at >= first.taken_at + step * n, images.c.taken_at < until)
        yield from connection.scalars(stretch.limit(EACH))


def _telling(connection: Connection, plot_id: int | None) -> Sequence[int]:
    """Images from the last times when something was wrong with the plot, however long ago."""
    columns = [episodes.c[name] for name in ("first_verdict_id", "last_verdict_id", "worst_verdict_id")]
    last = select(*columns).where(episodes.c.plot_id == plot_id).order_by(episodes.c.last_at.desc()).limit(EPISODES)
    numbers = {number for row in connection.execute(last) for number in row}
    telling = select(verdicts.c.image_id).where(verdicts.c.id.in_(numbers), verdicts.c.image_id.is_not(None))
    return connection.scalars(telling).all()


def _edited(
    connection: Connection, plot_id: int | None, names: Mapping[int, tuple[str, Meaning]], sought: Sought
) -> Sequence[Any]:
    again = labellings.alias()
    newest = select(func.max(again.c.id)).where(again.c.image_id == images.c.id).correlate(images).scalar_subquery()
    query = (
        _images()
        .add_columns(labellings.c.person, labellings.c.labelled_at)
        .outerjoin(labellings, labellings.c.id == newest)
        .where(images.c.plot_id == plot_id, images.c.kept == true())
        .order_by(images.c.taken_at.desc())
        .limit(EDITED)
    )
    if sought.by is not None:
        query = query.where(labellings.c.person == sought.by)
    if sought.since is not None:
        query = query.where(labellings.c.labelled_at >= sought.since)
    if sought.until is not None:
        query = query.where(labellings.c.labelled_at < sought.until)
    if sought.run is not None:
        query = query.where(images.c.run == sought.run)
    if sought.image is not None:
        query = query.where(images.c.sha256 == sought.image)
    rows: list[Any] = []
    for number, (name, _) in names.items():  # label by label the index has them in order
        if sought.label is None or sought.label == name:
            rows += connection.execute(query.where(images.c.label_id == number))
    rows.sort(key=lambda row: (row.labelled_at or _LONG_AGO, row.id), reverse=True)
    return rows[:EDITED]


def _said(connection: Connection, numbers: Sequence[int]) -> Mapping[int, Said]:
    """What models said of these images last."""
    found: dict[int, Said] = {}
    for piece in _pieces(sorted(numbers)):
        last = select(func.max(verdicts.c.id)).where(verdicts.c.image_id.in_(piece)).group_by(verdicts.c.image_id)
        query = select(*_SAID).where(verdicts.c.id.in_(connection.scalars(last).all()), verdicts.c.label.is_not(None))
        for row in connection.execute(query):
            first, second = sorted([*row.scores.values(), 0.0, 0.0], reverse=True)[:2]
            found[row.image_id] = Said(
                row.model or "", row.label, row.confidence or 0.0, first - second, row.confirmed, row.status,
                row.novelty,
            )  # fmt: skip
    return found


_SAID = [
    verdicts.c[name]
    for name in ("image_id", "model", "label", "confidence", "scores", "confirmed", "status", "novelty")
]
_LONG_AGO = datetime(1000, 1, 1, tzinfo=UTC)


def _why(said: Said | None, meanings: Mapping[str, Meaning]) -> Why:
    if said is None:
        return Why.UNJUDGED
    if said.status is Status.NOBEAM:  # without beam nothing can be said of an image
        return Why.SPREAD
    if said.novelty is not None and said.novelty > 1:
        return Why.NOVEL
    if not said.confirmed or said.margin < CLOSE:
        return Why.DOUBTED
    return Why.FAULTY if meanings.get(said.label) in {Meaning.BAD, Meaning.EMPTY} else Why.SPREAD


def _ordered(tiles: Sequence[Tile]) -> Iterator[Tile]:
    kinds: dict[Why, list[Tile]] = {why: [tile for tile in tiles if tile.why is why] for why in Why}
    kinds[Why.NOVEL].sort(key=lambda tile: -(tile.said.novelty or 0.0) if tile.said else 0.0)
    kinds[Why.DOUBTED].sort(key=lambda tile: tile.said.margin if tile.said else 0.0)
    first = kinds[Why.NOVEL], kinds[Why.DOUBTED], spread(sorted(kinds[Why.FAULTY], key=_taken))
    for turn in zip_longest(*first):
        yield from (tile for tile in turn if tile is not None)
    yield from spread(sorted(kinds[Why.SPREAD] + kinds[Why.UNJUDGED], key=_taken))


def _taken(one: Any) -> datetime:
    return one.taken_at or _LONG_AGO


def _cut(tiles: Iterable[Tile], limit: int, skip: int) -> Sheet:
    after = list(tiles)[skip:]
    return Sheet(after[:limit], more=len(after) > limit)


def _tile(
    row: Any, said: Said | None, why: Why, *, label: str | None = None, by: str = "", at: datetime | None = None
) -> Tile:
    return Tile(
        row.sha256, row.run, row.chunk, row.taken_at, row.width, row.height, why, said, label, by, at
    )  # fmt: skip


def _images() -> Select[Any]:
    names = "id", "sha256", "run", "chunk", "taken_at", "width", "height", "label_id"
    return select(*(images.c[name] for name in names)).select_from(images)


def _names(connection: Connection, plot_id: int | None) -> Mapping[int, tuple[str, Meaning]]:
    rows = connection.execute(select(labels).where(labels.c.plot_id == plot_id).order_by(labels.c.id))
    return {row.id: (row.name, row.meaning) for row in rows}


def _pieces(things: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(things), AT_ONCE):
        yield things[start : start + AT_ONCE]
