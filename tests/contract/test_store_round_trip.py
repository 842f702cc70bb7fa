"""What goes into the journal comes out of the data base as it was, whatever it is."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from databases import Database
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from store_world import MORNING, change_of, entry_of, later, leave, verdict_of

from hydrad.domain import (
    Beam,
    BeamState,
    Cause,
    Change,
    HeatMap,
    LedgerEntry,
    Meaning,
    Outcome,
    Severity,
    Status,
    Verdict,
)
from hydrad.store import tables
from hydrad.store.columns import digest
from hydrad.store.engine import Unacceptable
from hydrad.store.outbox.book import Book, Page
from hydrad.store.packing import ImageFacts, Parcel, pack, pack_verdict, spell, unpack, unpack_verdict
from hydrad.store.queries import Store

bytes_as_text = st.binary(min_size=1, max_size=300).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
words = (
    st.text(max_size=40) | bytes_as_text | st.sampled_from(["a ", "A", "\\udcff", "µA ± 1\\", "漢字 🚨", "'; --", "%s"])
)
numbers = st.floats(allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1)
integers = st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 2**31 - 1)
moments = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  hypothesis adds it
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
heatmaps = arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)))

beams = st.builds(
    Beam,
    state=st.sampled_from(BeamState),
    current=st.none() | numbers,
    units=words,
    read_at=st.none() | moments,
    reason=words,
    since=st.none() | moments,
)
verdicts = st.builds(
    Verdict,
    key=words,
    plot=words,
    detector=words,
    status=st.sampled_from(Status),
    severity=st.sampled_from(Severity),
    reason=words,
    judged_at=moments,
    cause=st.sampled_from(Cause),
    beam=beams,
    bad_in_a_row=counts,
    superseded=st.booleans(),
    path=st.none() | words,
    run=st.none() | integers,
    chunk=st.none() | integers,
    sha256=st.none() | hashes,
    taken_at=st.none() | moments,
    model=st.none() | words,
    label=st.none() | words,
    confidence=st.none() | shares,
    scores=st.dictionaries(words, numbers, max_size=5),
    meanings=st.dictionaries(words, st.sampled_from(Meaning), max_size=5),
    confirmed=st.booleans(),
    novelty=st.none() | numbers,
)
entries = st.builds(
    LedgerEntry,
    path=words,
    size=st.integers(0, 2**62),
    mtime_ns=integers.filter(lambda number: number > -(2**63)),
    outcome=st.sampled_from(Outcome),
    reason=words,
    seen_at=moments,
    done_at=st.none() | moments,
    plot=st.none() | words,
    run=st.none() | integers,
    sha256=st.none() | hashes,
    submission=st.none() | st.integers(1, 2**62),
)
changes = st.builds(
    Change,
    key=words,
    value=numbers,
    by=words,
    host=words,
    at=moments,
    via=words,
    plot=st.none() | words,
    detector=st.none() | words,
    old=st.none() | numbers,
    reason=words,
)
on_one_data_base = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    opened = Book(tmp_path / "journal.db")
    yield opened
    opened.close()


def deliver(book: Book, store: Store, parcel: Parcel) -> None:
    book.write([Page(parcel)])
    waiting = book.outgoing(10)
    store.put([unpack(one.document, one.heatmap) for one in waiting])
    book.delivered([one.id for one in waiting], [])


@on_one_data_base
@given(verdict=verdicts, heatmap=st.none() | heatmaps)
def test_a_verdict_survives_exactly(book: Book, store: Store, verdict: Verdict, heatmap: HeatMap | None) -> None:
    verdict = replace(verdict, key=f"{verdict.key}{uuid.uuid4()}")  # an earlier example's key would be known
    deliver(book, store, Parcel(verdict=verdict, heatmap=heatmap))
    filed = next(one for one in store.log(plot=verdict.plot, limit=100_000) if one.verdict.key == verdict.key)
    assert filed.verdict == verdict
    assert list(filed.verdict.scores) == list(verdict.scores)
    assert filed.verdict.judged_at.utcoffset() == timedelta(0)
    kept = store.heatmap(filed.id)
    if heatmap is None:
        assert kept is None
    else:
        assert kept is not None
        assert kept.dtype == np.uint8
        np.testing.assert_array_equal(kept, heatmap)


@on_one_data_base
@given(entry=entries)
def test_a_ledger_entry_survives_exactly(book: Book, store: Store, entry: LedgerEntry) -> None:
    entry = replace(entry, path=f"{entry.path}{uuid.uuid4()}")
    deliver(book, store, Parcel(entry))
    assert list(store.ledger_files(path=entry.path)) == [entry]


@on_one_data_base
@given(change=changes)
def test_a_change_survives_exactly(book: Book, store: Store, change: Change) -> None:
    known = [filed.id for filed in store.settings_after(0)]
    deliver(book, store, Parcel(change=change, ticket=uuid.uuid4().hex, origin="a" * 32))
    (filed,) = store.settings_after(max(known, default=0))
    assert filed.change == change
    assert filed.origin == "a" * 32


@given(verdict=verdicts, memory=words)
def test_a_verdict_survives_the_journal_exactly(verdict: Verdict, memory: str) -> None:
    verdict = replace(verdict, memory=memory)
    assert unpack_verdict(pack_verdict(verdict)) == unpack_verdict(pack_verdict(verdict, spell(verdict))) == verdict


@given(verdict=verdicts, memory=words, entry=st.none() | entries, heatmap=st.none() | heatmaps)
def test_a_verdict_that_was_spelled_once_is_packed_the_same(
    verdict: Verdict, memory: str, entry: LedgerEntry | None, heatmap: HeatMap | None
) -> None:
    parcel = Parcel(entry, replace(verdict, memory=memory), None, heatmap)
    packed = pack(parcel)
    assert packed == pack(parcel, spell(verdict))
    there = unpack(*packed)
    assert (there.entry, there.verdict) == (entry, verdict)  # and its memory stays with the journal
    assert (heatmap is None) is (there.heatmap is None)


@given(parts=st.lists(words | integers | st.none(), min_size=1, max_size=5))
def test_a_digest_stays_what_it_was_when_it_was_first_written(parts: list[str | int | None]) -> None:
    text = json.dumps(parts, separators=(",", ":"))
    assert digest(*parts) == hashlib.blake2b(text.encode("ascii"), digest_size=16).digest()


def test_verdicts_of_two_models_keep_their_own_meanings_in_their_order(book: Book, store: Store) -> None:
    meanings: list[dict[str, Meaning]] = [
        {"Good": Meaning.GOOD, "Bad": Meaning.BAD},
        {"Bad": Meaning.BAD, "Good": Meaning.GOOD},
        {"Good": Meaning.GOOD, "Bad": Meaning.EMPTY},
    ]
    for n, several in enumerate(meanings * 2):
        book.write([Page(Parcel(verdict=verdict_of("CDC_a", later(n), meanings=several)))])
    store.put([unpack(one.document, one.heatmap) for one in book.outgoing(10)])
    found = [filed.verdict.meanings for filed in reversed(store.log())]
    assert [list(several.items()) for several in found] == [list(several.items()) for several in meanings * 2]


def test_every_field_of_a_verdict_has_a_column() -> None:
    columns = set(tables.verdicts.c.keys())
    elsewhere = {"key": "verdict_key", "plot": "plot_id", "detector": "detector_id"}
    assert {elsewhere.get(field.name, field.name) for field in fields(Verdict)} - {"beam", "memory"} <= columns
    assert {f"beam_{field.name}" for field in fields(Beam)} <= columns


@pytest.mark.parametrize("microsecond", [0, 1, 499_999, 999_999])
def test_times_keep_their_microseconds_and_come_back_aware(store: Store, microsecond: int) -> None:
    there = MORNING.replace(microsecond=microsecond).astimezone(timezone(timedelta(hours=-5)))
    store.put([Parcel(verdict=verdict_of(at=there))])
    (filed,) = store.log()
    assert filed.verdict.judged_at == there
    assert filed.verdict.judged_at.tzinfo is UTC
    assert filed.verdict.judged_at.microsecond == microsecond


def test_a_time_without_zone_is_refused(store: Store) -> None:
    with pytest.raises(Unacceptable, match="time zone"):
        store.put([Parcel(verdict=verdict_of(at=datetime(2026, 11, 23)))])  # noqa: DTZ001  the point of it
    assert store.log() == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused_not_silently_lost(store: Store, value: float) -> None:
    with pytest.raises(Unacceptable, match="finite"):
        store.put([Parcel(verdict=verdict_of(confidence=value))])
    with pytest.raises(Unacceptable, match=r"[Oo]ut of range float"):
        store.put([Parcel(verdict=verdict_of(scores={"Good": value}))])


def test_a_path_of_any_length_and_any_bytes_survives(store: Store) -> None:
    raw = b"/data/" + bytes(range(1, 256)).replace(b"/", b"") * 300 + b"_0001.png"
    verdict = verdict_of(path=os.fsdecode(raw))
    store.put([Parcel(entry_of(verdict), verdict)])
    (entry,) = store.ledger_files(path=os.fsdecode(raw))
    assert os.fsencode(entry.path) == raw
    assert store.log()[0].verdict.path == os.fsdecode(raw)


@pytest.mark.parametrize(
    ("one", "other"), [("CDC_occ", "cdc_occ"), ("CDC_occ", "CDC_occ "), ("CDC_é", "CDC_e"), ("A\udcff", "A\\udcff")]
)
def test_plots_whose_names_differ_at_all_are_two_plots(store: Store, one: str, other: str) -> None:
    store.put([Parcel(verdict=verdict_of(one)), Parcel(verdict=verdict_of(other))])
    assert [standing.plot for standing in store.standings()] == sorted([one, other])
    assert [filed.verdict.plot for filed in store.log(plot=other)] == [other]


def test_a_name_is_told_apart_by_case_in_anybodys_own_sql(store: Store, database: Database) -> None:
    store.put([Parcel(verdict=verdict_of("CDC_occ")), Parcel(verdict=verdict_of("cdc_occ"))])
    with store.reading() as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM plots WHERE name = 'CDC_occ'").scalar()
    assert found == 1, database.kind


def test_a_file_written_in_a_year_beyond_64_bits_of_nanoseconds_is_kept_all_the_same(book: Book, store: Store) -> None:
    entry = entry_of(verdict_of(), mtime_ns=2**63 + 5)
    deliver(book, store, Parcel(entry))
    (kept,) = store.ledger_files()
    assert kept == replace(entry, mtime_ns=2**63 - 1)


def test_a_setting_of_a_plot_is_another_than_the_same_of_a_detector(store: Store) -> None:
    of_plot = change_of(1, key="enabled", plot="CDC", detector=None)
    of_detector = change_of(0, key="enabled", plot=None, detector="CDC")
    leave(store, of_plot)
    leave(store, of_detector)
    assert sorted(change.value for change in store.newest_settings()) == [0, 1]


def test_the_facts_of_an_image_are_kept(store: Store) -> None:
    verdict = verdict_of()
    store.put([Parcel(entry_of(verdict), verdict, ImageFacts(48_000, "png", 1378, 636))])
    with store.reading() as connection:
        row = connection.execute(tables.images.select()).one()
    assert (row.sha256, row.size, row.format, row.width, row.height) == (verdict.sha256, 48_000, "png", 1378, 636)
    assert (row.path, row.run, row.chunk, row.taken_at) == (verdict.path, verdict.run, verdict.chunk, verdict.taken_at)
    assert row.kept is True
