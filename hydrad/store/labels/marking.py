"""Labels that people give to images and take back; every change is kept with who, when and how."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Connection, insert, select, update
from sqlalchemy import func as sql

from hydrad.errors import ChangeRefused
from hydrad.store.labels.defining import ByName, Hand, label_ids, who, why_not
from hydrad.store.packing import ImageFacts
from hydrad.store.places import known, named
from hydrad.store.queries import Store
from hydrad.store.tables import images, labellings, plots

AT_ONCE = 500  # rows looked up by one statement

ImageKey = tuple[str, int]  # sha256, plot
LastWord = tuple[str, datetime]  # who labelled an image last, and when
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mark:
    """A label for one image of a plot; None takes its label back."""

    plot: str
    sha256: str
    label: str | None
    hand: Hand


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image that a person brings along; its bytes lie in the images folder already."""

    plot: str
    sha256: str
    facts: ImageFacts
    path: str  # where it came from
    run: int | None = None
    chunk: int | None = None
    taken_at: datetime | None = None  # aware


class Effect(StrEnum):
    """What a mark has done."""

    GIVEN = "given"  # the image had no label
    CHANGED = "changed"  # it had another
    TAKEN_BACK = "taken_back"
    SAME = "same"  # it had this one: nothing is written
    LEFT = "left"  # what was to be restored is older than what people have said of the image since
    UNKNOWN = "unknown"  # there is no such image of the plot


@dataclass(frozen=True, slots=True)
class Brought:
    """What bringing images has done."""

    new: frozenset[tuple[str, str]]  # plot and sha256 of those nobody knew before
    effects: Sequence[Effect]  # of each mark


def give(store: Store, marks: Sequence[Mark], by_name: ByName, *, restorer: Hand | None = None) -> Sequence[Effect]:
    """Give labels to images, or take them back, in one transaction; return what became of each mark.

    An image that has the label already stays as it is, so giving twice is giving once. A label that its plot does not
    have yet is defined, with the meaning that ``by_name`` says.

    Args:
        restorer: who brings back marks of former times. A mark older than the last word on its image is then left
            aside; one that contradicts what the same person said at the same moment was edited since, and counts as
            said by the restorer.

    Raises:
        ChangeRefused: a text can be no label's name; nothing was changed.
    """
    _refuse(marks)
    effects: list[Effect] = []

    def act(connection: Connection) -> None:
        plot_ids = known(connection, plots, {mark.plot for mark in marks})
        effects[:] = _give(connection, marks, plot_ids, by_name, restorer)

    store.insist(act)
    return effects


def bring(
    store: Store, found: Sequence[NewImage], marks: Sequence[Mark], by_name: ByName, *, restorer: Hand | None = None
) -> Brought:
    """Make images known that nobody has seen before, with plots where needed, and mark them; in one transaction.

    An image that is known already stays one: it is kept again if its bytes had gone, and run and time are filled in
    where they were not known. For the rest see :func:`give`.
    """
    _refuse(marks)
    new: set[tuple[str, str]] = set()
    effects: list[Effect] = []

    def act(connection: Connection) -> None:
        plot_ids = named(connection, plots, {one.plot for one in found})
        plot_ids = {**plot_ids, **known(connection, plots, {mark.plot for mark in marks} - set(plot_ids))}
        new.clear()
        new.update(_bring(connection, found, plot_ids))
        effects[:] = _give(connection, marks, plot_ids, by_name, restorer)

    store.insist(act)
    return Brought(frozenset(new), effects)


def _refuse(marks: Sequence[Mark]) -> None:
    for label in {mark.label for mark in marks if mark.label is not None}:
        if flaw := why_not(label):
            raise ChangeRefused(flaw)


def _give(
    connection: Connection,
    marks: Sequence[Mark],
    plot_ids: Mapping[str, int],
    by_name: ByName,
    restorer: Hand | None,
) -> list[Effect]:
    numbers = _image_ids(connection, {mark.sha256 for mark in marks}, plot_ids)
    image_ids = [numbers.get((mark.sha256, plot_ids.get(mark.plot, 0))) for mark in marks]
    first: dict[tuple[int, str], Hand] = {}
    for mark, image_id in zip(marks, image_ids, strict=True):
        if mark.label is not None and image_id is not None:
            first.setdefault((plot_ids[mark.plot], mark.label), mark.hand)
    # Labels before images, and images in the order of their numbers: writers that keep to it cannot wait in a ring.
    numbers_of = label_ids(connection, first, by_name)
    held = _locked(connection, set(numbers.values()))
    before = dict(held)
    last = {} if restorer is None else _last_words(connection, list(held))
    effects: list[Effect] = []
    rows: list[dict[str, Any]] = []
    for mark, image_id in zip(marks, image_ids, strict=True):
        if image_id is None:
            effects.append(Effect.UNKNOWN)
            continue
        wanted = None if mark.label is None else numbers_of[plot_ids[mark.plot], mark.label]
        effect, hand = _weigh(mark.hand, held[image_id], wanted, last.get(image_id), restorer)
        effects.append(effect)
        if effect not in {Effect.SAME, Effect.LEFT}:
            rows.append({"image_id": image_id, "label_id": wanted, **who(hand), "labelled_at": hand.at})
            held[image_id] = wanted
            last[image_id] = hand.person, hand.at
    if rows:
        connection.execute(insert(labellings), rows)
    _paint(connection, {image_id: label for image_id, label in held.items() if before[image_id] != label})
    return effects


def _weigh(
    hand: Hand, held: int | None, wanted: int | None, last: LastWord | None, restorer: Hand | None
) -> tuple[Effect, Hand]:
    """What a mark does to an image that has the label ``held``, and whose deed it is."""
    if held == wanted:
        return Effect.SAME, hand
    if restorer is not None and last is not None:
        if last == (hand.person, hand.at):
            hand = restorer
        elif last[1] >= hand.at:
            return Effect.LEFT, hand
    if wanted is None:
        return Effect.TAKEN_BACK, hand
    return (Effect.GIVEN if held is None else Effect.CHANGED), hand


def _paint(connection: Connection, painted: Mapping[int, int | None]) -> None:
    by_label: dict[int | None, list[int]] = defaultdict(list)
    for image_id, label_id in painted.items():
        by_label[label_id].append(image_id)
    for label_id, theirs in by_label.items():
        for piece in _pieces(theirs):
            connection.execute(update(images).where(images.c.id.in_(piece)).values(label_id=label_id))


def _bring(connection: Connection, found: Sequence[NewImage], plot_ids: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    wanted = {(image.sha256, plot_ids[image.plot]): image for image in reversed(found)}  # the first of equal ones
    there = _image_ids(connection, {sha256 for sha256, _ in wanted}, plot_ids)
    again = {there[key]: image for key, image in wanted.items() if key in there}
    for piece in _pieces(list(again)):
        for row in connection.execute(select(images).where(images.c.id.in_(piece))):
            told = again[row.id]
            news = {
                name: value
                for name in ("run", "chunk", "taken_at")
                if (value := getattr(told, name)) is not None and getattr(row, name) is None
            } | ({} if row.kept else {"kept": True, "sampled": True})
            if news:
                connection.execute(update(images).where(images.c.id == row.id).values(news))
    missing = {key: image for key, image in sorted(wanted.items(), key=lambda pair: pair[0]) if key not in there}
    if missing:
        connection.execute(insert(images), [_image_row(image, plot_id) for (_, plot_id), image in missing.items()])
    for image in missing.values():
        yield image.plot, image.sha256


def _image_row(image: NewImage, plot_id: int) -> dict[str, Any]:
    facts = image.facts
    return {
        "sha256": image.sha256,
        "plot_id": plot_id,
        "size": facts.size,
        "format": facts.format,
        "width": facts.width,
        "height": facts.height,
        "path": image.path,
        "run": image.run,
        "chunk": image.chunk,
        "taken_at": image.taken_at,
        "kept": True,
        "sampled": True,
    }


def _image_ids(connection: Connection, hashes: Collection[str], plot_ids: Mapping[str, int]) -> dict[ImageKey, int]:
    query = select(images.c.id, images.c.sha256, images.c.plot_id)
    if len(plot_ids) == 1:
        query = query.where(images.c.plot_id.in_(plot_ids.values()))
    return {
        (row.sha256, row.plot_id): row.id
        for piece in _pieces(sorted(hashes))
        for row in connection.execute(query.where(images.c.sha256.in_(piece)))
    }


def _locked(connection: Connection, numbers: Collection[int]) -> dict[int, int | None]:
    """These images' labels; nobody else changes them before this transaction ends."""
    query = select(images.c.id, images.c.label_id).order_by(images.c.id).with_for_update()
    return {
        row.id: row.label_id
        for piece in _pieces(sorted(numbers))
        for row in connection.execute(query.where(images.c.id.in_(piece)))
    }


def _last_words(connection: Connection, numbers: Sequence[int]) -> dict[int, LastWord]:
    """Who said the last word on these images, and when; a label that was taken back is one too."""
    found: dict[int, LastWord] = {}
    for piece in _pieces(numbers):
        newest = (
            select(sql.max(labellings.c.id)).where(labellings.c.image_id.in_(piece)).group_by(labellings.c.image_id)
        )
        for row in connection.execute(select(labellings).where(labellings.c.id.in_(newest))):
            found[row.image_id] = row.person, row.labelled_at
    return found


def _pieces(things: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(things), AT_ONCE):
        yield things[start : start + AT_ONCE]
