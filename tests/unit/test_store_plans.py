"""Ten million verdicts must not be read through to show a page of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mariadb import MariaDB
from sqlalchemy import event, text
from store_world import MORNING, entry_of, later, verdict_of

from hydrad.domain import Outcome, Status
from hydrad.store import purging, schema
from hydrad.store.history import figures
from hydrad.store.images import ImageFolder
from hydrad.store.labels import labelling
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.purging import Purge
from hydrad.store.queries import Store


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path}/hydra.db") as store:
        verdicts = [verdict_of(f"CDC_{n % 3}", later(n)) for n in range(9)]
        store.put([Parcel(entry_of(verdict), verdict) for verdict in verdicts])
        yield store


def plans(store: Store, ask: Any) -> str:
    """How SQLite goes about each query that this asks."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        asked.append((statement, parameters))

    event.listen(store._engine, "before_cursor_execute", note)
    ask(store)
    event.remove(store._engine, "before_cursor_execute", note)
    with store.reading() as connection:
        return " | ".join(
            str(row.detail)
            for statement, parameters in asked
            if statement.startswith("SELECT")
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        )


@pytest.mark.parametrize(
    ("words", "index"),
    [
        ({}, "ix_verdicts_time"),
        ({"since": MORNING}, "ix_verdicts_time"),
        ({"plot": "CDC_1"}, "ix_verdicts_plot"),
        ({"plot": "CDC_1", "status": [Status.BAD, Status.NODATA], "since": MORNING}, "ix_verdicts_status"),
        ({"run": 2}, "ix_verdicts_run"),
        ({"run": 2, "since": MORNING}, "ix_verdicts_run"),
        ({"status": Status.STALE}, "ix_verdicts_status"),
    ],
)
def test_the_log_finds_its_verdicts_in_an_index_and_sorts_nothing(
    embedded: Store, words: dict[str, Any], index: str
) -> None:
    plan = plans(embedded, lambda store: store.log(**words))
    assert f"USING COVERING INDEX {index}" in plan
    assert "TEMP B-TREE" not in plan
    assert "SCAN verdicts" not in plan.replace(f"SCAN verdicts USING COVERING INDEX {index}", "")


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: next(store.ledger_files()),
        lambda store: next(store.ledger_files(outcome=Outcome.JUDGED)),
        lambda store: next(store.ledger_files(path="/data/CDC_1_0003.png")),
        lambda store: store.handled([1, 2]),
        lambda store: store.settings_after(5),
        lambda store: store.labels("CDC_1"),
        lambda store: store.heatmap(3),
        lambda store: store.standings(["CDC_1"]),
    ],
)
def test_no_question_reads_a_table_through(embedded: Store, ask: Any) -> None:
    plan = plans(embedded, ask)
    assert plan
    for step in plan.split(" | "):
        assert not step.startswith("SCAN") or "USING INDEX" in step, step


@pytest.mark.parametrize("outcome", [None, Outcome.JUDGED])
def test_the_ledger_is_listed_without_sorting(embedded: Store, outcome: Outcome | None) -> None:
    plan = plans(embedded, lambda store: next(store.ledger_files(outcome=outcome, since=MORNING)))
    assert "USING INDEX ix_files_" in plan
    assert "TEMP B-TREE" not in plan


def images_of(store: Store, count: int) -> ImageFolder:
    """Rows of so many images, every tenth of them drawn for labelling, and an empty folder."""
    verdicts = [verdict_of(f"CDC_{n % 7}", later(n), status=Status.GOOD) for n in range(count)]
    facts = [ImageFacts(1000, "png", 8, 6, sampled=n % 10 == 0) for n in range(count)]
    store.put([Parcel(entry_of(verdict), verdict, fact) for verdict, fact in zip(verdicts, facts, strict=True)])
    return ImageFolder(Path("nowhere"))


class Everything(ImageFolder):
    """Every image that anybody asks for lies here, and is old."""

    def older(self, *_: object) -> bool:
        return True

    def discard(self, *_: object) -> bool:
        return True


def test_a_purge_finds_old_images_and_what_speaks_for_them_in_indices(embedded: Store) -> None:
    images_of(embedded, 30)
    rounds = Purge(embedded, Everything(Path("nowhere")))
    plan = plans(embedded, lambda _: list(rounds.round(later(1000), whole=True)))
    assert "SEARCH images USING INDEX ix_images_kept_taken_at (kept=? AND taken_at>? AND taken_at<?)" in plan
    assert "SEARCH verdicts USING INDEX ix_verdicts_image (image_id=?)" in plan
    assert "SCAN" not in plan
    assert "TEMP B-TREE FOR ORDER BY" not in plan


def test_images_kept_and_labels_are_counted_without_reading_what_does_not_count(embedded: Store) -> None:
    images_of(embedded, 30)
    assert "SEARCH images USING INDEX ix_images_kept_taken_at (kept=?)" in plans(embedded, purging.holding)
    assert "SCAN images" not in plans(embedded, labelling.counts)


@pytest.mark.mariadb
def test_a_server_finds_old_images_and_their_verdicts_in_indices_too(
    mariadb_server: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "AT_ONCE", 20)  # as few of all there are as in a data base of some age
    url = mariadb_server.create()
    schema.upgrade(url)
    with Store(url) as store:
        images_of(store, 2000)
        with store.writing() as connection:
            for table in ("images", "verdicts", "standings"):
                connection.execute(text(f"ANALYZE TABLE {table}")).all()
        asked: list[tuple[str, Any]] = []

        def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
            asked.append((statement, parameters))

        event.listen(store._engine, "before_cursor_execute", note)
        total = sum(Purge(store, Everything(Path("nowhere"))).round(later(300), whole=False), purging.Freed())
        event.remove(store._engine, "before_cursor_execute", note)
        with store.reading() as connection:
            steps = [
                (statement.split()[1], row)
                for statement, parameters in asked
                if statement.startswith("SELECT")
                for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).mappings()
            ]
    mariadb_server.drop(url)
    assert total.images == 270
    pages = [row for _, row in steps if row["table"] == "images" and "taken_at" in str(row["key"])]
    assert pages
    for _, row in steps:
        assert row["key"] is not None or int(row["rows"]) < 10, dict(row)
        assert "filesort" not in (row["Extra"] or ""), dict(row)
    assert {row["key"] for row in pages} == {"ix_images_kept_taken_at"}
    assert "ix_verdicts_image" in {row["key"] for _, row in steps}


@pytest.mark.parametrize(
    ("ask", "wanted"),
    [
        (lambda store: figures.alarms_by_ten_minutes(store, MORNING), "SEARCH episodes USING COVERING INDEX"),
        (lambda store: figures.alarms(store, MORNING), "SEARCH episodes USING COVERING INDEX"),
        (lambda store: figures.alarms_count(store, MORNING), "SEARCH episodes USING COVERING INDEX"),
        (lambda store: figures.most_frequent(store, MORNING), "SEARCH episodes USING COVERING INDEX"),
        (lambda store: figures.restless(store, MORNING, 3), "SEARCH episodes USING INDEX"),
        (lambda store: figures.standing(store, later(99)), "SEARCH episodes USING INDEX"),
        (lambda store: figures.answers(store, MORNING), "SEARCH acknowledgements USING INDEX"),
        (lambda store: figures.images_by_hour(store, MORNING), "SEARCH hours USING INDEX"),
    ],
)
def test_figures_of_alarms_read_no_verdict_and_no_more_episodes_than_they_count(
    embedded: Store, ask: Any, wanted: str
) -> None:
    plan = plans(embedded, ask)
    assert wanted in plan
    assert "verdicts" not in plan
    assert "SCAN episodes" not in plan


def test_files_are_counted_without_counting_them(embedded: Store) -> None:
    assert "files" not in plans(embedded, Store.ledger_counts)


def test_a_bad_plan_would_be_noticed(embedded: Store) -> None:
    with embedded.writing() as connection:
        connection.execute(text("DROP INDEX ix_verdicts_run"))
    assert "ix_verdicts_run" not in plans(embedded, lambda store: store.log(run=2))
