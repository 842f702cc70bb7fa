"""What a digest says: how many faults, the worst of them, what still lasts, and what only seems to be a fault."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from hydrad.config import Config
from hydrad.domain import Severity, Status
from hydrad.store.history import episodes
from hydrad.store.history.episodes import Episode, Wanted
from hydrad.store.queries import Store
from hydrad.web import pages
from hydrad.web.log.filters import WRONG
from hydrad.web.log.words import beam_words, legible, runs, span

A_DAY: Final = timedelta(hours=24)
WORST: Final = 20  # entries that are told one by one
CHATTERS: Final = 3  # short entries of one plot in a day that look like chatter
SHORT_S: Final = 300.0  # an entry that lasted no longer
AT_MOST: Final = 20_000  # entries that are read; a day with more is told to have at least so many

_ORDER: Final = {status: place for place, status in enumerate(WRONG)}


@dataclass(frozen=True, slots=True)
class Letter:
    """A digest as it is sent."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Told:
    """An entry as a letter has it."""

    status: Status
    plot: str
    what: str
    began: str
    lasted: str
    lasts: bool
    images: int
    runs: str
    beam: str
    seen: str  # who acknowledged it, and what they said
    link: str | None


@dataclass(frozen=True, slots=True)
class Chatter:
    """A plot that went to and fro."""

    plot: str
    times: int
    longest: str
    words: str  # what it went to
    link: str | None


def letter(config: Config, store: Store, until: datetime) -> Letter:
    """The digest of the day before a time; raises StoreAway when the data base is."""
    since = until - A_DAY
    found = [legible(one) for one in _all(store, Wanted(since=since, until=until, statuses=frozenset(WRONG)))]
    facts = {
        "hall": config.hall.name,
        "zone": str(config.hall.zone),
        "since": _local(since, config),
        "until": _local(until, config),
        "counts": _counts(found),
        "total": len(found),
        "more": len(found) >= AT_MOST,
        "unseen": sum(one.acknowledged_at is None for one in found),
        "worst": [_told(one, config, until) for one in sorted(found, key=lambda one: _badness(one, until))[:WORST]],
        "standing": [_told(one, config, until) for one in found if one.ended_at is None and _alarms(one)][:WORST],
        "chatter": _chatter(found, config, until),
        "images": episodes.judged(store, since, until),
        "site": config.mail.address if config.mail is not None else None,
    }
    return Letter(
        " ".join(pages.drawn("digest_subject.txt", facts).split()),
        pages.drawn("digest.txt", facts).strip() + "\n",
        pages.drawn("digest.html", facts),
    )


def _all(store: Store, wanted: Wanted) -> Iterator[Episode]:
    place, read = None, 0
    while read < AT_MOST:
        found, place = episodes.find(store, wanted, limit=min(1000, AT_MOST - read), before=place)
        yield from found
        read += len(found)
        if place is None:
            return


def _counts(found: Sequence[Episode]) -> list[tuple[Status, int, int]]:
    """For each status that there was: entries, and how many plots had it."""
    entries = Counter(one.status for one in found)
    plots: dict[Status, set[str]] = defaultdict(set)
    for one in found:
        plots[one.status].add(one.plot)
    return [(status, entries[status], len(plots[status])) for status in WRONG if entries[status]]


def _alarms(one: Episode) -> bool:
    # One that a flood drowned is as bad as it would be alone.
    return (one.severity or one.status.severity) in {Severity.MAJOR, Severity.INVALID}


def _badness(one: Episode, until: datetime) -> tuple[Any, ...]:
    return (_ORDER[one.status], one.acknowledged_at is not None, -one.lasted_s(until), -one.images)


def _told(one: Episode, config: Config, until: datetime) -> Told:
    what = f"{one.label} at {one.confidence:.2f}" if one.label and one.confidence is not None else one.reason
    seen = ""
    if one.acknowledgements:
        newest = one.acknowledgements[-1]
        seen = f"{newest.person}: {newest.comment}" if newest.comment else newest.person
    return Told(
        status=one.status,
        plot=one.plot,
        what=what,
        began=_local(one.started_at, config),
        lasted=span(one.lasted_s(until)),
        lasts=one.ended_at is None,
        images=one.images,
        runs=runs(one),
        beam=beam_words(one.beam),
        seen=seen,
        link=_link(config, f"log/entry/{one.id}"),
    )


def _chatter(found: Sequence[Episode], config: Config, until: datetime) -> list[Chatter]:
    """Plots that were often faulty and never for long: rather a threshold, or a model in doubt, than a fault."""
    short: dict[str, list[Episode]] = defaultdict(list)
    for one in found:
        if one.ended_at is not None and one.lasted_s(until) <= SHORT_S:
            short[one.plot].append(one)
    chatter = [
        Chatter(
            plot=plot,
            times=len(many),
            longest=span(max(one.lasted_s(until) for one in many)),
            words=", ".join(status.name for status in WRONG if any(one.status is status for one in many)),
            link=_link(config, f"plot/{quote(plot)}"),
        )
        for plot, many in short.items()
        if len(many) >= CHATTERS
    ]
    return sorted(chatter, key=lambda one: (-one.times, one.plot))[:WORST]


def _local(moment: datetime, config: Config) -> str:
    return f"{moment.astimezone(config.hall.zone):%Y-%m-%d %H:%M}"


def _link(config: Config, path: str) -> str | None:
    address = config.mail.address if config.mail is not None else None
    return None if address is None else f"{address.rstrip('/')}/{path}"
