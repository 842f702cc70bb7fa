"""Ten million verdicts must not be read through to show a page of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from store_world import MORNING, entry_of, later, verdict_of

from hydrad.domain import Outcome, Status
from hydrad.store.packing import Parcel
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


def test_files_are_counted_without_counting_them(embedded: Store) -> None:
    assert "files" not in plans(embedded, Store.ledger_counts)


def test_a_bad_plan_would_be_noticed(embedded: Store) -> None:
    with embedded._writing() as connection:
        connection.execute(text("DROP INDEX ix_verdicts_run"))
    assert "ix_verdicts_run" not in plans(embedded, lambda store: store.log(run=2))
