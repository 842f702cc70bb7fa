"""Labelled images on their way into the data base: looked into, kept, and marked a few hundred at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from hydrad import image_files, images
from hydrad.classify.labels import meaning_of
from hydrad.domain import Meaning
from hydrad.errors import ImageError
from hydrad.store.images import ImageFolder
from hydrad.store.labels.defining import Hand, define
from hydrad.store.labels.marking import Effect, Mark, NewImage, bring
from hydrad.store.packing import ImageFacts
from hydrad.store.queries import Store
from hydrad.verbs.label_folders import Offer, Refusal, claims_to_be_image

AT_ONCE = 250  # images in one transaction
THREADS = 4  # each decodes an image, then waits for the disk
KINDS = ("new", "known", "relabelled", "left", "rejected")  # what a summary counts

Key = tuple[str, str]  # plot and label
T = TypeVar("T")


@dataclass(slots=True)
class Report:
    """What became of everything that was offered."""

    counts: dict[Key, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    rejected: list[Refusal] = field(default_factory=list)
    skipped: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what else a person should know

    @property
    def taken(self) -> int:
        """How many images have come into the data base, or were there."""
        return sum(n for counter in self.counts.values() for kind, n in counter.items() if kind != "rejected")

    def refuse(self, refusal: Refusal) -> None:
        """Note a file that is not taken."""
        if refusal.no_image:
            self.skipped.append(refusal)
            return
        self.rejected.append(refusal)
        if refusal.key is not None:
            self.counts[refusal.key]["rejected"] += 1


@dataclass(frozen=True, slots=True)
class _Seen:
    """An offer whose content is known; ``facts`` is None where only the data base can have the picture."""

    offer: Offer
    sha256: str
    facts: ImageFacts | None


class Bringing:
    """Takes offers, each picture once.

    Args:
        hand: who brings them, and labelled those of which nobody else is said to have.
        meanings: of labels, by name, where a person says so; they change what was defined before.
        restores: the offers tell of former times, so that newer labels stay.
    """

    def __init__(
        self, store: Store, folder: ImageFolder, hand: Hand, meanings: Mapping[str, Meaning], *, restores: bool = False
    ) -> None:
        self._store = store
        self._folder = folder
        self._hand = hand
        self._meanings = meanings
        self._restorer = hand if restores else None
        self._labels: dict[tuple[str, str], tuple[str, str]] = {}  # by plot and content: the label, and the file's name
        self._defined: set[Key] = set()
        self.report = Report()

    def take(self, offered: Iterable[Offer | Refusal], tell: Callable[[int], None]) -> None:
        """Take these; ``tell`` is called with each number of files done.

        Raises:
            StoreAway, TryAgain: the data base or the disk is away; what was told of is safe.
        """
        with ThreadPoolExecutor(THREADS, thread_name_prefix="look") as pool:
            under_way: list[Future[_Seen | Refusal]] = []
            try:
                for batch in _batches(self._wanted(offered), AT_ONCE):
                    ahead = [
                        pool.submit(self._look, offer) for offer in batch
                    ]  # these are read while those are written
                    under_way, done = ahead, under_way
                    self._settle(done, tell)
                self._settle(under_way, tell)
            finally:
                pool.shutdown(cancel_futures=True)

    def _wanted(self, offered: Iterable[Offer | Refusal]) -> Iterator[Offer]:
        for one in offered:
            if isinstance(one, Refusal):
                self.report.refuse(one)
            else:
                yield one

    def _look(self, offer: Offer) -> _Seen | Refusal:
        try:
            picture = None if offer.file is None else images.picture_of(image_files.read(offer.file))
        except FileNotFoundError as fault:
            if offer.sha256 is None:
                return _refusal(offer, fault.strerror or str(fault))
            picture = None
        except OSError as fault:
            return _refusal(offer, fault.strerror or str(fault))
        except (ImageError, ValueError) as fault:  # ValueError: a NUL in its name
            return _refusal(offer, str(fault))
        if picture is None:
            return _Seen(offer, offer.sha256 or "", None)
        if offer.sha256 not in {None, picture.sha256}:
            return _refusal(offer, "is not the picture that was labelled: its content differs")
        self._folder.keep(picture.data, picture.sha256, picture.format)
        facts = ImageFacts(len(picture.data), picture.format, picture.width, picture.height)
        return _Seen(offer, picture.sha256, facts)

    def _settle(self, looked: Sequence[Future[_Seen | Refusal]], tell: Callable[[int], None]) -> None:
        seen: list[_Seen] = []
        for future in looked:
            match future.result():
                case Refusal() as refusal:
                    self.report.refuse(refusal)
                case _Seen() as one if self._is_first(one):
                    seen.append(one)
        if seen:
            self._write(seen)
        tell(len(looked))

    def _is_first(self, one: _Seen) -> bool:
        """Whether nobody has offered this picture of the plot before; two labels for it are not both taken."""
        offer = one.offer
        label, name = self._labels.setdefault((offer.caption.plot, one.sha256), (offer.label, offer.name))
        if name == offer.name and label == offer.label:
            return True
        if label == offer.label:
            self.report.counts[offer.key]["known"] += 1
        else:
            self.report.refuse(_refusal(offer, f"is the same picture as {name}, which has the label {label!r}"))
        return False

    def _write(self, seen: Sequence[_Seen]) -> None:
        for one in seen:
            if one.facts is not None:  # of the others nobody knows yet whether there is an image to have the label
                self._define(one.offer)
        done = bring(
            self._store,
            [_new_image(one, one.facts) for one in seen if one.facts is not None],
            [Mark(one.offer.caption.plot, one.sha256, one.offer.label, one.offer.hand or self._hand) for one in seen],
            self._by_name,
            restorer=self._restorer,
        )
        for one, effect in zip(seen, done.effects, strict=True):
            if effect is Effect.UNKNOWN:
                self._labels.pop((one.offer.caption.plot, one.sha256))
                self.report.refuse(_refusal(one.offer, "there is no such file, and no such image is known"))
                continue
            self._define(one.offer)
            if (one.offer.caption.plot, one.sha256) in done.new:
                self.report.counts[one.offer.key]["new"] += 1
            else:
                kind = {Effect.CHANGED: "relabelled", Effect.LEFT: "left"}.get(effect, "known")
                self.report.counts[one.offer.key][kind] += 1

    def _define(self, offer: Offer) -> None:
        """See that the label means what somebody said; what was defined before stays where nobody says otherwise."""
        plot, label = offer.key
        told = self._meanings.get(label)
        if offer.key in self._defined or (told, offer.meaning, offer.colour) == (None, None, None):
            return
        self._defined.add(offer.key)
        there = self._store.labels(plot).get(label)
        if there is None:
            meaning = told or offer.meaning
            hand = offer.hand or self._hand
            if meaning is not self._by_name(label) or offer.colour is not None:  # else the first mark defines it
                define(self._store, plot, label, hand, self._by_name, meaning=meaning, colour=offer.colour)
            return
        colour = None if there.chosen else offer.colour
        define(self._store, plot, label, self._hand, self._by_name, meaning=told, colour=colour)
        if told is None and offer.meaning not in {None, there.meaning}:
            self.report.notes.append(f"{plot}: {label} stays {there.meaning}; the table says {offer.meaning}")

    def _by_name(self, label: str) -> Meaning:
        return self._meanings.get(label) or meaning_of(label)


def _new_image(one: _Seen, facts: ImageFacts) -> NewImage:
    caption = one.offer.caption
    return NewImage(caption.plot, one.sha256, facts, str(one.offer.file), caption.run, caption.chunk, caption.taken_at)


def _refusal(offer: Offer, reason: str) -> Refusal:
    no_image = offer.file is not None and offer.hand is None and not claims_to_be_image(offer.file)
    return Refusal(offer.name, reason, no_image=no_image, key=offer.key)


def _batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    them = iter(things)
    while batch := list(islice(them, size)):
        yield batch
