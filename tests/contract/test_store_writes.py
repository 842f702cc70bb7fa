"""What the data base holds after parcels came: once, twice, out of order, from several plots."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from databases import Database
from sqlalchemy import Column, Table, func, insert, select, update
from store_world import change_of, entry_of, later, verdict_of

from hydrad.domain import Cause, Meaning, Outcome, Severity, Status
from hydrad.errors import StoreAway
from hydrad.store import tables
from hydrad.store.among import among
from hydrad.store.engine import Unacceptable, writing
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.queries import Store
from hydrad.store.rows import Label
from hydrad.store.tables import verdicts

FACTS = ImageFacts(48_000, "png", 1378, 636)


def rows(store: Store, table: Table) -> Sequence[Any]:
    with store.reading() as connection:
        return connection.execute(select(table).order_by(*table.primary_key)).all()


def count(store: Store, table: Table) -> int:
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def whole(n: int, plot: str = "CDC_occupancy") -> Parcel:
    verdict = verdict_of(plot, later(n), path=f"/data/{plot}_{n:04}.png")
    return Parcel(entry_of(verdict), verdict, FACTS)


def snapshot(store: Store) -> dict[str, Sequence[Any]]:
    return {name: rows(store, table) for name, table in tables.METADATA.tables.items()}


def test_parcels_that_come_again_change_nothing(store: Store) -> None:
    parcels = [whole(n, plot) for n in range(5) for plot in ("CDC_occupancy", "FDC_hits")]
    parcels.append(Parcel(change=change_of(), ticket="t1", origin="o"))
    store.put(parcels)
    before = snapshot(store)
    others = {
        *("models", "moves", "shadows", "trainings", "labellings", "definitions", "submissions", "heartbeats"),
        *(
            "acknowledgements",
            "logbook_entries",
            "news",
            "people",
            "people_changes",
            "sessions",
            "tokens",
            "digests",
            "canaries",
            "reprocessings",
            "reprocessed",
        ),
    }
    assert all(before[name] for name in set(before) - others)
    store.put(parcels)
    store.put(parcels[3:6])
    assert snapshot(store) == before
    assert len(before["verdicts"]) == len(before["files"]) == len(before["images"]) == 10
    assert store.ledger_counts()[Outcome.JUDGED] == 10


def test_a_parcel_that_stands_twice_in_a_batch_is_stored_once(store: Store) -> None:
    parcel = whole(1)
    store.put([parcel, parcel, Parcel(change=change_of(), ticket="t"), Parcel(change=change_of(), ticket="t")])
    assert [count(store, table) for table in (tables.verdicts, tables.files, tables.images, tables.settings)] == [1] * 4
    assert store.ledger_counts()[Outcome.JUDGED] == 1


def test_several_writers_of_the_same_parcels_store_them_once(store: Store) -> None:
    parcels = [whole(n, f"DC_{n % 7}") for n in range(60)]

    def put(_writer: int) -> None:
        for start in range(0, len(parcels), 20):
            for _ in range(50):
                try:
                    store.put(parcels[start : start + 20])
                except StoreAway:  # a deadlock: the delivery tries again
                    continue
                break
            else:
                pytest.fail("never got through")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(4)))
    assert count(store, tables.verdicts) == count(store, tables.files) == count(store, tables.images) == 60
    assert count(store, tables.plots) == 7
    assert store.ledger_counts()[Outcome.JUDGED] == 60


def test_equal_images_of_different_plots_are_different_images(store: Store) -> None:
    one = verdict_of("CDC_a", sha256="ab" * 32)
    other = verdict_of("CDC_b", sha256="ab" * 32)
    store.put([Parcel(entry_of(one), one, FACTS), Parcel(entry_of(other), other, FACTS)])
    images, judged = rows(store, tables.images), rows(store, tables.verdicts)
    assert [image.sha256 for image in images] == ["ab" * 32] * 2
    assert {image.id: image.plot_id for image in images} == {verdict.image_id: verdict.plot_id for verdict in judged}
    assert len({image.plot_id for image in images}) == 2


def test_equal_images_of_one_plot_are_one_image_first_seen_where_it_was_first_seen(store: Store) -> None:
    first = verdict_of(sha256="ab" * 32, path="/data/x_0001.png")
    again = verdict_of(sha256="ab" * 32, path="/data/x_0002.png", at=later(30))
    store.put([Parcel(entry_of(first), first, FACTS)])
    store.put([Parcel(entry_of(again, Outcome.UNCHANGED), again, FACTS)])
    (image,) = rows(store, tables.images)
    assert image.path == "/data/x_0001.png"
    assert [verdict.image_id for verdict in rows(store, tables.verdicts)] == [image.id] * 2


def test_the_same_path_with_new_content_is_another_file(store: Store) -> None:
    one = verdict_of(sha256="ab" * 32, path="/data/x_0001.png")
    other = verdict_of(sha256="cd" * 32, path="/data/x_0001.png", at=later(30))
    store.put([Parcel(entry_of(one), one, FACTS), Parcel(entry_of(other), other, FACTS)])
    assert [entry.sha256 for entry in store.ledger_files(path="/data/x_0001.png")] == ["cd" * 32, "ab" * 32]
    assert count(store, tables.images) == count(store, tables.verdicts) == 2
    assert store.ledger_counts()[Outcome.JUDGED] == 2


def test_a_pending_file_that_is_judged_is_counted_once(store: Store) -> None:
    verdict = verdict_of()
    pending = entry_of(verdict, Outcome.PENDING, done_at=None)
    store.put([Parcel(pending)])
    assert store.ledger_counts() == {**dict.fromkeys(Outcome, 0), Outcome.PENDING: 1}
    store.put([Parcel(entry_of(verdict), verdict, FACTS)])
    store.put([Parcel(pending)])
    assert store.ledger_counts() == {**dict.fromkeys(Outcome, 0), Outcome.JUDGED: 1}
    (entry,) = store.ledger_files()
    assert entry == entry_of(verdict)
    (row,) = rows(store, tables.files)
    assert row.verdict_id == rows(store, tables.verdicts)[0].id


def test_a_rejected_file_has_its_reason_and_no_verdict(store: Store) -> None:
    entry = replace(entry_of(verdict_of()), outcome=Outcome.REJECTED, reason="no image", sha256=None, run=None)
    store.put([Parcel(entry)])
    assert list(store.ledger_files()) == [entry]
    assert store.log() == []
    (standing,) = store.standings()
    assert (standing.plot, standing.status, standing.severity) == (
        "CDC_occupancy",
        Status.UNKNOWN,
        Severity.INVALID,
    )


def test_a_file_of_no_plot_is_kept(store: Store) -> None:
    entry = replace(entry_of(verdict_of()), outcome=Outcome.REJECTED, plot=None)
    store.put([Parcel(entry)])
    assert list(store.ledger_files()) == [entry]
    assert store.standings() == []


def standing_of(store: Store) -> tuple[Status, Any]:
    (standing,) = store.standings(["CDC_occupancy"])
    return standing.status, standing.judged_at


def test_a_plot_stands_as_its_newest_verdict_says(store: Store) -> None:
    newest = verdict_of(at=later(60), status=Status.GOOD, severity=Severity.NO_ALARM, bad_in_a_row=0, run=7)
    store.put([Parcel(verdict=verdict_of(at=later(30))), Parcel(verdict=newest)])
    (standing,) = store.standings()
    (filed, _) = store.log()
    assert filed.verdict == newest
    for word in ("plot", "detector", "status", "severity", "reason", "label", "confidence", "taken_at", "judged_at"):
        assert getattr(standing, word) == getattr(newest, word)
    assert (standing.run, standing.bad_in_a_row, standing.verdict_id) == (7, 0, filed.id)


@pytest.mark.parametrize("together", [True, False])
def test_an_older_verdict_never_moves_a_standing_back(store: Store, together: bool) -> None:
    parcels = [
        Parcel(verdict=verdict_of(at=later(60), status=Status.GOOD)),
        Parcel(verdict=verdict_of(at=later(30), status=Status.BAD)),
    ]
    for batch in [parcels] if together else [[parcel] for parcel in parcels]:
        store.put(batch)
    assert standing_of(store) == (Status.GOOD, later(60))
    assert count(store, tables.verdicts) == 2


@pytest.mark.parametrize("together", [True, False])
def test_what_is_judged_after_the_clock_was_set_back_is_newer_than_what_was_judged_in_a_time_to_come(
    store: Store, together: bool
) -> None:
    now = datetime.now(UTC)
    parcels = [
        Parcel(verdict=verdict_of(at=now + timedelta(hours=2), status=Status.GOOD)),
        Parcel(verdict=verdict_of(at=now, status=Status.BAD)),
    ]
    for batch in [parcels] if together else [[parcel] for parcel in parcels]:
        store.put(batch)
    assert standing_of(store)[0] is Status.BAD
    with store.reading() as connection:
        assert connection.execute(select(tables.episodes.c.status)).scalars().all() == [Status.BAD]


def test_what_was_judged_just_now_stands_although_the_clock_was_set_back_a_little_before(store: Store) -> None:
    now = datetime.now(UTC)
    store.put([Parcel(verdict=verdict_of(at=now - timedelta(seconds=1), status=Status.GOOD))])
    store.put([Parcel(verdict=verdict_of(at=now - timedelta(seconds=30), status=Status.BAD))])
    assert standing_of(store)[0] is Status.BAD


def test_a_superseded_verdict_is_recorded_and_never_stands(store: Store) -> None:
    late = verdict_of(at=later(90), status=Status.BAD, superseded=True)
    store.put([Parcel(verdict=verdict_of(at=later(60), status=Status.GOOD))])
    store.put([Parcel(entry_of(late, Outcome.SUPERSEDED), late, FACTS)])
    assert standing_of(store) == (Status.GOOD, later(60))
    assert store.log()[0].verdict == late


def test_of_two_verdicts_of_one_instant_the_later_told_stands(store: Store) -> None:
    store.put([Parcel(verdict=verdict_of(at=later(60), status=Status.BAD))])
    store.put([Parcel(verdict=verdict_of(at=later(60), status=Status.STALE, cause=Cause.CLOCK))])
    assert standing_of(store)[0] is Status.STALE


def test_a_plot_moves_to_another_detector_with_its_next_verdict_and_its_history_stays(store: Store) -> None:
    store.put([Parcel(verdict=verdict_of(detector="CDC"))])
    store.put([Parcel(verdict=verdict_of(detector="Tracking", at=later(5)))])
    assert [standing.detector for standing in store.standings()] == ["Tracking"]
    assert [filed.verdict.detector for filed in store.log()] == ["Tracking", "CDC"]


def test_labels_are_added_as_they_are_met_and_keep_what_people_made_of_them(store: Store) -> None:
    store.put([Parcel(verdict=verdict_of(meanings={"Bad": Meaning.BAD, "Good": Meaning.GOOD}))])
    with writing(store._engine) as connection:
        by_people = {"meaning": Meaning.OTHER, "colour": "#d33"}
        connection.execute(update(tables.labels).where(tables.labels.c.name == "Bad").values(by_people))
    store.put([Parcel(verdict=verdict_of(meanings={"Bad": Meaning.BAD, "bad": Meaning.EMPTY}, at=later(3)))])
    assert store.labels("CDC_occupancy") == {
        "Bad": Label(Meaning.OTHER, "#d33", chosen=True),
        "Good": Label(Meaning.GOOD, "#2e9e5b"),
        "bad": Label(Meaning.EMPTY, "#8a8f94"),
    }
    assert store.labels("unheard of") == {}


def test_a_run_is_seen_from_its_first_file_to_its_last(store: Store) -> None:
    for seconds in (50, 10, 90, 20):
        store.put([Parcel(entry_of(verdict_of(at=later(seconds), run=5), seen_at=later(seconds)))])
    store.put([Parcel(entry_of(verdict_of(at=later(1), run=None)))])
    (run,) = rows(store, tables.runs)
    assert (run.number, run.first_seen, run.last_seen) == (5, later(10), later(90))


def test_rows_are_found_by_many_digests_hashes_and_numbers_at_once(store: Store) -> None:
    store.put([whole(n) for n in range(20)])
    there = rows(store, verdicts)[3:9]
    with store.reading() as connection:

        def found(column: Column[Any], values: Collection[Any]) -> set[int]:
            return set(connection.scalars(select(verdicts.c.id).where(among(column, values))))

        wanted = {row.id for row in there}
        assert found(verdicts.c.digest, [*(row.digest for row in there), bytes(16)]) == wanted
        assert found(verdicts.c.sha256, {row.sha256 for row in there} | {"00" * 32}) == wanted
        assert found(verdicts.c.id, sorted(wanted)) == wanted
        assert found(verdicts.c.id, {}) == set()


@pytest.mark.parametrize(("column", "value"), [("sha256", "00"), ("sha256", "'" * 64), ("id", "1) OR (1=1")])
def test_what_is_no_hash_or_number_is_refused_and_not_asked_for(column: str, value: str) -> None:
    with pytest.raises(Unacceptable):
        among(verdicts.c[column], [value])


def test_a_batch_with_one_record_that_cannot_be_stored_stores_nothing(store: Store) -> None:
    with pytest.raises(Unacceptable):
        store.put([whole(1), Parcel(verdict=verdict_of(at=later(5), confidence=float("nan")))])
    assert store.log() == []
    assert store.standings() == []
    assert store.ledger_counts()[Outcome.JUDGED] == 0


def test_a_verdict_that_points_nowhere_is_refused_by_the_data_base(store: Store, database: Database) -> None:
    store.put([whole(1)])
    (row,) = rows(store, tables.verdicts)
    astray = dict(row._mapping) | {"id": None, "digest": bytes(16), "plot_id": 4711}
    del astray["label_start"]  # the data base's own
    with pytest.raises(Unacceptable, match=r"(?i)foreign key"), writing(store._engine) as connection:
        connection.execute(insert(tables.verdicts).values(astray))
    assert count(store, tables.verdicts) == 1, database.kind


def test_a_text_longer_than_the_servers_plain_text_columns_is_kept_whole(store: Store) -> None:
    store.put([Parcel(verdict=verdict_of(reason="µ" * 200_000))])
    assert store.log()[0].verdict.reason == "µ" * 200_000


def test_a_text_too_long_for_its_column_is_refused_not_cut(store: Store, database: Database) -> None:
    facts = replace(FACTS, format="x" * 17)
    verdict = verdict_of()
    if database.kind == "mariadb":
        with pytest.raises(Unacceptable, match="Data too long"):
            store.put([Parcel(entry_of(verdict), verdict, facts)])
    else:
        store.put([Parcel(entry_of(verdict), verdict, facts)])
        assert rows(store, tables.images)[0].format == "x" * 17
