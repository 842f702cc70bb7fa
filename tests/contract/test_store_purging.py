"""What the images folder holds after a purge: everything that somebody needs, and nothing else."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from databases import Database
from sqlalchemy import func, insert, select, update
from store_world import MEANINGS, entry_of, picture_of, verdict_of

from hydrad.config import Saving
from hydrad.domain import Outcome, Picture, Status, Verdict
from hydrad.errors import TryAgain
from hydrad.saving import Sampling, share
from hydrad.store import purging
from hydrad.store.columns import digest
from hydrad.store.forgetting import Forgetting
from hydrad.store.images import ImageFolder
from hydrad.store.labels import labelling
from hydrad.store.outbox.delivery import Delivery
from hydrad.store.outbox.journal import Journal
from hydrad.store.packing import ImageFacts, Opinion, Parcel
from hydrad.store.purging import Freed, Purge
from hydrad.store.queries import Store
from hydrad.store.tables import images, labels, plots, verdicts
from hydrad.upkeep import Upkeep


def later(seconds: float) -> datetime:
    """So long after a morning long gone, whatever the clock of this host says."""
    return datetime(2020, 3, 2, 7, 1, 2, 500001, tzinfo=UTC) + timedelta(seconds=seconds)


LIMIT = later(3600)
PLAIN = {"status": Status.GOOD, "label": "Good", "confidence": 0.98, "confirmed": True, "novelty": 0.3}


@pytest.fixture
def folder(tmp_path: Path) -> ImageFolder:
    return ImageFolder(tmp_path / "images")


def whole(
    n: int, plot: str = "CDC_occupancy", *, sampled: bool = False, picture: Picture | None = None, **words: Any
) -> Parcel:
    """What is recorded of an image, seen n seconds after the morning; nothing speaks for it unless words do."""
    picture = picture or picture_of(f"{plot} {n}")
    verdict = verdict_of(plot, later(n), sha256=picture.sha256, path=f"/data/{plot}_{n:04}.png", **(PLAIN | words))
    return Parcel(entry_of(verdict), verdict, ImageFacts(len(picture.data), "png", 8, 6, sampled))


def name(parcel: Parcel) -> str:
    assert parcel.verdict is not None
    assert parcel.verdict.sha256 is not None
    return parcel.verdict.sha256


def lay(folder: ImageFolder, sha256: str, at: datetime) -> None:
    """A file that was last kept at this time."""
    path = folder.path(sha256, "png")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG")
    date(path, at)


def date(path: Path, at: datetime) -> None:
    os.utime(path, (at.timestamp(), at.timestamp()))


def record(store: Store, folder: ImageFolder, *parcels: Parcel) -> None:
    """As the daemon does it: first the file, then the row."""
    for parcel in parcels:
        assert parcel.verdict is not None
        lay(folder, name(parcel), parcel.verdict.judged_at)
    store.put(parcels)


def shown_after(store: Store, folder: ImageFolder, *names: str) -> None:
    """A newer image of each of these plots, so that none of the older ones is on the wall."""
    record(store, folder, *(whole(7000, plot, sampled=True) for plot in names))


def purge(store: Store, folder: ImageFolder, limit: datetime = LIMIT, *, whole: bool = True) -> Freed:
    return total(Purge(store, folder).round(limit, whole=whole))


def total(steps: Iterable[Freed]) -> Freed:
    return sum(steps, Freed())


def lies(folder: ImageFolder, parcel: Parcel) -> bool:
    return folder.path(name(parcel), "png").exists()


def kept(store: Store) -> dict[tuple[str, str], bool]:
    query = select(images.c.sha256, plots.c.name, images.c.kept).join(plots, plots.c.id == images.c.plot_id)
    with store.reading() as connection:
        return {(row.sha256, row.name): row.kept for row in connection.execute(query)}


def count(store: Store, table: Any) -> int:
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def label(store: Store, hashes: Sequence[str], name: str = "Good") -> None:
    """As people do it."""
    with store.writing() as connection:
        label_id = connection.scalars(select(labels.c.id).where(labels.c.digest == digest(name))).first()
        connection.execute(update(images).where(images.c.sha256.in_(hashes)).values(label_id=label_id))


def test_an_image_that_nothing_speaks_for_loses_its_bytes_and_keeps_its_row_and_verdict(
    store: Store, folder: ImageFolder
) -> None:
    parcel = whole(1)
    record(store, folder, parcel)
    shown_after(store, folder, "CDC_occupancy")
    assert parcel.image is not None
    assert purge(store, folder) == Freed(1, parcel.image.size)
    assert not lies(folder, parcel)
    assert kept(store)[name(parcel), "CDC_occupancy"] is False
    assert len(kept(store)) == count(store, verdicts) == 2
    assert purge(store, folder) == Freed()


@pytest.mark.parametrize(
    "words",
    [
        {"sampled": True},
        {"status": Status.BAD, "label": "Bad"},
        {"status": Status.NODATA, "label": "NoData"},
        {"status": Status.SUSPECT},
        {"status": Status.UNFAMILIAR},
        {"confirmed": False},
        {"status": Status.DISABLED, "confirmed": False},
        {"novelty": 1.2},
    ],
)
def test_what_somebody_may_want_to_see_stays(store: Store, folder: ImageFolder, words: dict[str, Any]) -> None:
    parcel = whole(1, **words)
    record(store, folder, parcel, whole(2))
    shown_after(store, folder, "CDC_occupancy")
    assert purge(store, folder).images == 1
    assert lies(folder, parcel)
    assert kept(store)[name(parcel), "CDC_occupancy"] is True


def test_without_beam_nothing_is_telling(store: Store, folder: ImageFolder) -> None:
    masked = whole(1, status=Status.NOBEAM, label="Bad", confirmed=False, novelty=3.0)
    record(store, folder, masked)
    shown_after(store, folder, "CDC_occupancy")
    assert purge(store, folder).images == 1


def test_one_telling_verdict_among_many_is_enough(store: Store, folder: ImageFolder) -> None:
    parcel = whole(1)
    again = replace(verdict_of("CDC_occupancy", later(9), sha256=name(parcel), **PLAIN), status=Status.BAD)
    record(store, folder, parcel)
    store.put([Parcel(entry_of(again, Outcome.UNCHANGED), again)])
    shown_after(store, folder, "CDC_occupancy")
    assert purge(store, folder) == Freed()
    assert lies(folder, parcel)


def test_a_labelled_image_stays_until_its_label_is_taken_back(store: Store, folder: ImageFolder) -> None:
    parcel = whole(1)
    record(store, folder, parcel)
    shown_after(store, folder, "CDC_occupancy")
    label(store, [name(parcel)])
    assert purge(store, folder) == Freed()
    assert lies(folder, parcel)
    label(store, [name(parcel)], "no such label")
    assert purge(store, folder).images == 1


def test_an_image_stays_over_which_models_disagree(store: Store, folder: ImageFolder) -> None:
    parcels = [whole(n) for n in (1, 2)]
    record(store, folder, *parcels)
    opinions = [
        Opinion(parcel.verdict.key, "cdc-8", said, 0.9, {said: 0.9}, confirmed=True)
        for parcel, said in zip(parcels, ("Good", "Bad"), strict=True)
        if parcel.verdict is not None
    ]
    store.put([Parcel(opinion=opinion) for opinion in opinions])
    shown_after(store, folder, "CDC_occupancy")
    assert purge(store, folder).images == 1
    assert [lies(folder, parcel) for parcel in parcels] == [False, True]


def test_the_image_on_the_wall_stays_until_a_newer_one_hangs_there(store: Store, folder: ImageFolder) -> None:
    parcel = whole(1)
    record(store, folder, parcel)
    stale = verdict_of("CDC_occupancy", later(200), sha256=name(parcel), **(PLAIN | {"status": Status.STALE}))
    store.put([Parcel(verdict=stale)])
    rounds = Purge(store, folder)
    assert total(rounds.round(LIMIT, whole=True)) == Freed()
    assert total(rounds.round(LIMIT, whole=False)) == Freed()
    shown_after(store, folder, "CDC_occupancy")
    assert total(rounds.round(LIMIT, whole=False)).images == 1
    assert not lies(folder, parcel)


@pytest.mark.parametrize("young", ["taken", "kept"])
def test_what_is_young_stays(store: Store, folder: ImageFolder, young: str) -> None:
    parcel = whole(1)
    record(store, folder, parcel)
    shown_after(store, folder, "CDC_occupancy")
    if young == "kept":
        date(folder.path(name(parcel), "png"), LIMIT + timedelta(seconds=1))
    limit = later(0) if young == "taken" else LIMIT
    assert purge(store, folder, limit) == Freed()
    assert lies(folder, parcel)
    assert kept(store)[name(parcel), "CDC_occupancy"] is True


def test_a_content_stays_while_one_plot_needs_it(store: Store, folder: ImageFolder) -> None:
    empty = picture_of("an empty canvas")
    parcels = [whole(1, "CDC_a", picture=empty), whole(2, "CDC_b", picture=empty, sampled=True)]
    record(store, folder, *parcels)
    shown_after(store, folder, "CDC_a", "CDC_b")
    assert purge(store, folder) == Freed()
    assert folder.path(empty.sha256, "png").exists()
    assert kept(store)[empty.sha256, "CDC_a"] is False
    with store.writing() as connection:
        connection.execute(update(images).values(sampled=False))
    assert purge(store, folder).images == 1
    assert not folder.path(empty.sha256, "png").exists()


def test_an_image_whose_file_lies_elsewhere_is_not_this_daemons_to_let_go(store: Store, folder: ImageFolder) -> None:
    parcel = whole(1)
    store.put([parcel])
    shown_after(store, folder, "CDC_occupancy")
    assert purge(store, folder) == Freed()
    assert kept(store)[name(parcel), "CDC_occupancy"] is True


def test_a_content_that_comes_again_is_kept_again(store: Store, folder: ImageFolder) -> None:
    parcel = whole(1)
    record(store, folder, parcel)
    shown_after(store, folder, "CDC_occupancy")
    purge(store, folder)
    record(store, folder, whole(8000, picture=picture_of("CDC_occupancy 1")))
    assert kept(store)[name(parcel), "CDC_occupancy"] is True
    assert lies(folder, parcel)
    assert count(store, images) == 2
    shown_after(store, folder, "FDC_hits")
    record(store, folder, whole(9000, sampled=True))
    assert purge(store, folder, later(8500)).images == 1


def test_a_content_that_is_handed_in_later_is_drawn_then(store: Store, folder: ImageFolder) -> None:
    record(store, folder, whole(1), whole(5, picture=picture_of("CDC_occupancy 1"), sampled=True))
    record(store, folder, whole(2), whole(3))
    record(store, folder, whole(6, picture=picture_of("CDC_occupancy 2"), sampled=True))
    shown_after(store, folder, "CDC_occupancy")
    assert purge(store, folder).images == 1
    assert not lies(folder, whole(3))


class Busy(ImageFolder):
    """Each content comes again at the moment at which it is to be removed."""

    def discard(self, sha256: str, format: str, than: datetime) -> bool:  # noqa: A002  the port's word
        self.keep(b"\x89PNG", sha256, format)
        return super().discard(sha256, format, than)


def test_a_content_that_comes_again_just_then_stays(store: Store, tmp_path: Path) -> None:
    folder = Busy(tmp_path / "images")
    parcel = whole(1)
    record(store, folder, parcel)
    shown_after(store, folder, "CDC_occupancy")
    assert purge(store, folder) == Freed()
    assert lies(folder, parcel)
    assert kept(store)[name(parcel), "CDC_occupancy"] is True
    assert not list((tmp_path / "images" / ".unfinished").iterdir())


class Interrupted(ImageFolder):
    """The daemon ends before anything is removed."""

    def discard(self, sha256: str, format: str, than: datetime) -> bool:  # noqa: A002, ARG002  the port's words
        raise TryAgain("gone")


def interrupted(store: Store, folder: ImageFolder) -> None:
    with pytest.raises(TryAgain):
        purge(store, Interrupted(folder._root))


def test_what_a_crash_left_lying_is_removed_by_the_next_daemon(store: Store, folder: ImageFolder) -> None:
    parcels = [whole(1), whole(2)]
    record(store, folder, *parcels)
    shown_after(store, folder, "CDC_occupancy")
    interrupted(store, folder)
    assert [lies(folder, parcel) for parcel in parcels] == [True, True]
    assert not any(kept(store)[name(parcel), "CDC_occupancy"] for parcel in parcels)
    date(folder.path(name(parcels[1]), "png"), LIMIT + timedelta(seconds=1))
    assert purge(store, folder).images == 1
    assert [lies(folder, parcel) for parcel in parcels] == [False, True]


def test_what_a_crash_left_lying_stays_if_something_has_come_to_speak_for_it(store: Store, folder: ImageFolder) -> None:
    parcels = [whole(1), whole(2), whole(3)]
    record(store, folder, *parcels)
    shown_after(store, folder, "CDC_occupancy")
    interrupted(store, folder)
    label(store, [name(parcels[0])])
    store.put([Parcel(verdict=verdict_of("CDC_occupancy", later(9), sha256=name(parcels[1]), status=Status.BAD))])
    assert purge(store, folder).images == 1
    assert [lies(folder, parcel) for parcel in parcels] == [True, True, False]
    assert [kept(store)[name(parcel), "CDC_occupancy"] for parcel in parcels] == [True, True, False]


def test_files_that_no_row_knows_are_counted_and_left(store: Store, folder: ImageFolder) -> None:
    lay(folder, "ab" * 32, later(1))
    lay(folder, "cd" * 32, LIMIT + timedelta(seconds=1))  # so young that its row may be on its way
    note = folder.path("ab" * 32, "png").with_name("README")
    note.write_text("do not remove")
    assert purge(store, folder) == Freed(unknown=1)
    assert purge(store, folder, whole=False) == Freed()
    assert folder.path("ab" * 32, "png").exists()
    assert note.exists()


def test_a_round_goes_on_where_the_last_one_ended(
    store: Store, folder: ImageFolder, monkeypatch: pytest.MonkeyPatch, statements: list[str]
) -> None:
    monkeypatch.setattr(purging, "AT_ONCE", 10)
    parcels = [whole(n, sampled=n % 2 == 0) for n in range(60)]
    record(store, folder, *parcels)
    shown_after(store, folder, "CDC_occupancy")
    rounds = Purge(store, folder)
    first = next(rounds.round(LIMIT, whole=True))
    assert first.images == 5
    assert total(rounds.round(LIMIT, whole=False)).images == 25
    del statements[:]
    assert total(rounds.round(LIMIT, whole=False)) == Freed()
    assert len([statement for statement in statements if statement.startswith("SELECT images")]) == 1
    assert [lies(folder, parcel) for parcel in parcels] == [n % 2 == 0 for n in range(60)]


def test_images_taken_at_one_instant_are_all_looked_at(
    store: Store, folder: ImageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "AT_ONCE", 7)
    record(store, folder, *(whole(n, taken_at=later(5)) for n in range(40)))
    shown_after(store, folder, "CDC_occupancy")
    assert purge(store, folder).images == 40


def test_what_is_kept_is_counted(store: Store, folder: ImageFolder) -> None:
    assert purging.holding(store) == purging.Holding(0, 0)
    parcels = [whole(1), whole(2)]
    record(store, folder, *parcels)
    size = sum(parcel.image.size for parcel in parcels if parcel.image is not None)
    assert purging.holding(store) == purging.Holding(2, size)


# ---- what the data base does not know yet ----


async def delivered(journal: Journal, store: Store) -> None:
    with Delivery(journal, store) as delivery:
        await delivery._deliver()


def upkeep(store: Store, folder: ImageFolder, journal: Journal, keep_all_h: float = 24) -> Upkeep:
    return Upkeep(
        labels=dict,
        sampling=Sampling(Saving()),
        purge=Purge(store, folder),
        forgetting=Forgetting(store, lambda path: journal.seen(path) is not None),
        deliveries=journal,
        keep_all_h=keep_all_h,
    )


async def test_an_image_that_waits_for_the_data_base_stays_however_long_it_waits(
    store: Store, folder: ImageFolder, tmp_path: Path
) -> None:
    """A content seen a week ago came again three days ago, and the data base went away before it could be told."""
    now = datetime.now(UTC)
    week_ago, three_days_ago = now - timedelta(days=7), now - timedelta(days=3)
    picture = picture_of("seen before")
    path = folder.path(picture.sha256, "png")

    def seen(at: datetime, picture: Picture = picture) -> Verdict:
        return verdict_of("CDC_a", at, sha256=picture.sha256, path=f"/data/{at:%j}.png", **PLAIN)

    def entry(verdict: Verdict) -> Any:
        return entry_of(verdict, seen_at=verdict.judged_at)

    with Journal(tmp_path / "journal.db", tmp_path / "images", lambda _: False) as journal:
        first, newer = seen(week_ago), seen(week_ago + timedelta(minutes=1), picture_of("newer"))
        await journal.record(entry(first), first, picture, None)
        await journal.record(entry(newer), newer, picture_of("newer"), None)
        await delivered(journal, store)
        again = seen(three_days_ago)
        await journal.record(entry(again), again, picture, None)
        date(path, three_days_ago + timedelta(seconds=0.1))
        assert await journal.undelivered_since() == three_days_ago
    with Journal(tmp_path / "journal.db", tmp_path / "images") as journal, upkeep(store, folder, journal) as keeper:
        await keeper.round()
        assert path.exists()
        await delivered(journal, store)
        assert await journal.undelivered_since() > now
        assert kept(store)[picture.sha256, "CDC_a"] is True
        newest = seen(three_days_ago + timedelta(minutes=1), picture_of("newest"))
        await journal.record(entry(newest), newest, picture_of("newest"), None)
        await delivered(journal, store)
        keeper._looked_at_all = float("-inf")
        await keeper.round()
        assert not path.exists()


async def test_without_asking_what_waits_it_would_have_gone(store: Store, folder: ImageFolder, tmp_path: Path) -> None:
    verdict = verdict_of("CDC_a", later(1), sha256=picture_of("x").sha256, **PLAIN)
    with Journal(tmp_path / "journal.db", tmp_path / "images", lambda _: False) as journal:
        await journal.record(entry_of(verdict), verdict, picture_of("x"), None)
        await delivered(journal, store)
        shown_after(store, folder, "CDC_a")
        await journal.record(entry_of(verdict), verdict, picture_of("x"), None)
        path = folder.path(picture_of("x").sha256, "png")
        date(path, later(2))
        assert purge(store, folder, await journal.undelivered_since()) == Freed()
        assert path.exists()
        assert purge(store, folder).images == 1


async def test_parcels_without_an_image_hold_nothing_up(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.db", tmp_path / "images") as journal:
        rejected = entry_of(verdict_of(), Outcome.REJECTED, reason='"image":{')
        await journal.record(rejected, None, None, None)
        await journal.note(verdict_of(at=later(0), reason='"image":{'))
        before = datetime.now(UTC)
        assert before <= await journal.undelivered_since() <= datetime.now(UTC)
        verdict = verdict_of(at=later(5))
        await journal.record(entry_of(verdict), verdict, picture_of("x"), None)
        assert await journal.undelivered_since() == entry_of(verdict).seen_at


async def test_a_parcel_that_cannot_be_read_holds_everything_up_until_it_is_set_aside(
    store: Store, folder: ImageFolder, tmp_path: Path
) -> None:
    with Journal(tmp_path / "journal.db", tmp_path / "images") as journal:
        verdict = verdict_of(at=later(0))
        await journal.record(entry_of(verdict), verdict, picture_of("x"), None)
        journal._book._connection.execute("""UPDATE outgoing SET document = '{"image":{}, torn'""")
        assert (await journal.undelivered_since()).year == 1000
        with upkeep(store, folder, journal, 0) as keeper:
            await keeper.round()
        await delivered(journal, store)
        assert (await journal.undelivered_since()).year > 2000


class Tide:
    """Contents come again and old ones go, as fast as two threads can do it."""

    def __init__(self, store: Store, folder: ImageFolder, parcels: Sequence[Parcel]) -> None:
        self._store = store
        self._folder = folder
        self._parcels = parcels
        self._since: list[datetime] = []  # what has come and the data base does not know: when that began
        self._lock = threading.Lock()
        self._ends = time.monotonic() + 60.0
        self.come = self.gone = 0

    @property
    def turns(self) -> bool:
        return self.come < 100 or self.gone < 20

    def run(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(self._while_it_turns, act) for act in (self._arrive, self._remove)]:
                done.result()

    def _while_it_turns(self, act: Callable[[], None]) -> None:
        try:
            while self.turns:
                assert time.monotonic() < self._ends, f"{self.come} came, {self.gone} went"
                act()
        except BaseException:
            self._ends = 0.0  # the other need not go on either
            raise

    def _arrive(self) -> None:
        chunk = [self._parcels[(self.come + i * 7) % len(self._parcels)] for i in range(3)]
        with self._lock:
            self._since[:] = [datetime.now(UTC)]
        for parcel in chunk:
            self._folder.keep(b"\x89PNG", name(parcel), "png")
        again_and_again(lambda: self._store.put(chunk))
        with self._lock:
            self._since.clear()
        for parcel in chunk:  # more than once: a file that is looked at is away for a moment
            there = (lies(self._folder, parcel) or not row_kept(self._store, parcel) for _ in range(20))
            assert any(there), name(parcel)
        self.come += len(chunk)

    def _remove(self) -> None:
        with self._lock:
            limit = min([datetime.now(UTC), *self._since])
        again_and_again(lambda: self._count(purge(self._store, self._folder, limit, whole=False)))

    def _count(self, freed: Freed) -> None:
        self.gone += freed.images


def test_contents_that_come_and_go_at_the_same_time_are_never_missing(store: Store, folder: ImageFolder) -> None:
    """What a row calls kept must lie there, whoever has just been at it."""
    parcels = [whole(n) for n in range(40)]
    record(store, folder, *parcels)
    shown_after(store, folder, "CDC_occupancy")
    Tide(store, folder, parcels).run()
    assert all(lies(folder, parcel) for parcel in parcels if row_kept(store, parcel))
    assert purge(store, folder, datetime.now(UTC)).unknown == 0
    assert not any(lies(folder, parcel) for parcel in parcels)
    assert not any(row_kept(store, parcel) for parcel in parcels)


def row_kept(store: Store, parcel: Parcel) -> bool:
    return kept(store)[name(parcel), "CDC_occupancy"]


def again_and_again(act: Callable[[], None]) -> None:
    for _ in range(50):
        try:
            act()
        except TryAgain:  # a deadlock: the daemon tries again
            continue
        return
    pytest.fail("never got through")


# ---- the flow, measured ----


def test_the_share_that_is_kept_falls_as_labels_grow_and_the_telling_ones_all_stay(
    store: Store, folder: ImageFolder, database: Database
) -> None:
    saving = Saving(share=1.0, half_at=300, least=0.05)
    sampling = Sampling(saving)
    at_each = 1200 if database.kind == "sqlite" else 150
    seen_before = 0
    kinds = {17: Status.BAD, 29: Status.SUSPECT, 41: Status.UNFAMILIAR, 53: Status.NODATA}
    with store.writing() as connection:
        plot_id = connection.execute(insert(plots).values(digest=digest("CDC_x"), name="CDC_x")).inserted_primary_key[0]
        label_id = connection.execute(
            insert(labels).values(plot_id=plot_id, digest=digest("Good"), name="Good", meaning=MEANINGS["Good"])
        ).inserted_primary_key[0]
    shares = []
    for labelled in (0, 100, 300, 900, 2000):
        _label_up_to(store, plot_id, label_id, labelled)
        counts = labelling.counts(store)
        assert counts.get("CDC_x", 0) == labelled
        sampling.learn(counts)
        parcels = []
        for n in range(seen_before, seen_before + at_each):
            status = next((kind for step, kind in kinds.items() if n % step == 0), Status.GOOD)
            parcel = whole(n, "CDC_x", status=status, run=None)
            assert parcel.entry is not None
            assert parcel.image is not None
            parcels.append(replace(parcel, image=replace(parcel.image, sampled=sampling.draws(parcel.entry))))
        seen_before += at_each
        record(store, folder, *parcels)
        record(store, folder, whole(seen_before, "CDC_x", sampled=True))
        seen_before += 1
        purge(store, folder, later(seen_before))
        telling = [p for p in parcels if p.verdict is not None and p.verdict.status is not Status.GOOD]
        plain = [p for p in parcels if p.verdict is not None and p.verdict.status is Status.GOOD]
        assert len(telling) > at_each / 20
        assert all(lies(folder, parcel) for parcel in telling)
        stay = sum(lies(folder, parcel) for parcel in plain)
        wanted = share(saving, labelled)
        assert abs(stay - wanted * len(plain)) <= 4 * sqrt(len(plain) * wanted * (1 - wanted))
        shares.append(stay / len(plain))
    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)
    assert all(lies(folder, parcel) for parcel in _labelled_parcels(store))


def _label_up_to(store: Store, plot_id: int, label_id: int, wanted: int) -> None:
    """People label what is kept, the oldest first; what is missing came from a folder of labelled images."""
    with store.writing() as connection:
        have = connection.scalar(select(func.count()).select_from(images).where(images.c.label_id.is_not(None))) or 0
        kept_ones = select(images.c.id).where(images.c.kept, images.c.label_id.is_(None)).order_by(images.c.id)
        numbers = connection.scalars(kept_ones.limit(wanted - have)).all()
        connection.execute(update(images).where(images.c.id.in_(numbers)).values(label_id=label_id))
        brought = [
            {
                "sha256": picture_of(f"brought {n}").sha256,
                "plot_id": plot_id,
                "label_id": label_id,
                "size": 1,
                "format": "png",
                "width": 8,
                "height": 6,
                "path": "/labelled",
                "taken_at": later(0),
                "run": None,
                "chunk": None,
                "kept": True,
                "sampled": True,
            }
            for n in range(have + len(numbers), wanted)
        ]
        if brought:
            connection.execute(insert(images), brought)


def _labelled_parcels(store: Store) -> list[Parcel]:
    query = select(images.c.sha256).where(images.c.label_id.is_not(None), images.c.path != "/labelled")
    with store.reading() as connection:
        hashes = connection.scalars(query).all()
    return [Parcel(verdict=verdict_of("CDC_x", sha256=sha256)) for sha256 in hashes]
