"""What the quick cursor sends is what its client library would send, to the letter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import mariadb
import pytest
from MySQLdb import ProgrammingError, connect
from MySQLdb.cursors import Cursor

from hydrad.store.cursor import QuickCursor

pytestmark = pytest.mark.mariadb

INSERT = "INSERT INTO things (a, b) VALUES (%s, %s)"
UPSERT = f"{INSERT} ON DUPLICATE KEY UPDATE b = VALUES(b), a = (things.a + VALUES(a))"


class Word(StrEnum):
    ONE = "it's one"


class Usual(Cursor):  # type: ignore[misc]  # the library has no types
    sent: tuple[bytes, ...] = ()

    def execute(self, query: Any, args: Any = None) -> Any:
        self.sent += (bytes(query),)
        return super().execute(query, args)


class Quick(QuickCursor):
    sent: tuple[bytes, ...] = ()

    def execute(self, query: Any, args: Any = None) -> Any:
        self.sent += (bytes(query),)
        return super().execute(query, args)


@pytest.fixture(params=[False, True], ids=["bytes as they are", "bytes marked as such"])
def connection(request: pytest.FixtureRequest, mariadb_server: mariadb.MariaDB) -> Iterator[Any]:
    url = mariadb_server.create()
    with closing(
        connect(
            unix_socket=str(mariadb_server.socket),
            user="hydra",
            password=url.password,
            database=url.database,
            charset="utf8mb4",
            binary_prefix=request.param,
        )
    ) as opened:
        opened.cursor().execute("CREATE TABLE things (a LONGBLOB, b LONGBLOB)")
        yield opened
    mariadb_server.drop(url)


def sent_by(
    kind: type[Usual | Quick], connection: Any, rows: Sequence[tuple[Any, Any]], query: str = INSERT
) -> tuple[bytes, ...]:
    with closing(connection.cursor(kind)) as cursor:
        assert cursor.executemany(query, rows) == cursor.rowcount == len(rows)
        sent: tuple[bytes, ...] = cursor.sent
        return sent


def test_values_of_every_kind_are_spelled_as_the_client_library_spells_them(connection: Any) -> None:
    values = [
        *(None, True, False, 0, -7, 2**63, 0.1, -0.0, 1e300, 5e-324, 98.0),
        *("", "it's", 'a "quoted" one', "\\ \0 \n \r \x1a % %s", "µ 😀", Word.ONE, Decimal("1.50")),
        *(b"", b"'\\\0\xff\n", bytearray(b"'")),
        *(datetime(2026, 11, 23, 7, 1, 2), datetime(900, 1, 2, 3, 4, 5, 678), datetime(2026, 1, 2, tzinfo=UTC)),  # noqa: DTZ001
    ]
    rows = [(value, number) for number, value in enumerate(values)]
    assert sent_by(Quick, connection, rows) == sent_by(Usual, connection, rows)


@pytest.mark.parametrize(
    "values",
    [
        [None, None],
        [True, False],
        [1, -2],
        [0.5, -0.0],
        ["a", "it's"],
        [b"", b"'\xff"],
        [datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)],
        [Decimal("1.50"), Decimal(2)],
    ],
)
def test_a_column_of_one_kind_is_spelled_alike(connection: Any, values: Sequence[Any]) -> None:
    rows = [(value, None) for value in values]
    assert sent_by(Quick, connection, rows) == sent_by(Usual, connection, rows)


def test_rows_that_change_others_of_their_key_are_spelled_alike(connection: Any) -> None:
    rows = [(n, "x" * 40_000) for n in range(3)]
    sent = sent_by(Quick, connection, rows, UPSERT)
    assert sent == sent_by(Usual, connection, rows, UPSERT)
    assert [part.count(b"ON DUPLICATE") for part in sent] == [1] * len(sent) == [1, 1, 1]


def test_what_is_too_long_for_one_statement_is_sent_in_several(connection: Any) -> None:
    rows = [("x" * length, length) for length in (10, 60_000, 10_000, 70_000, 1, 1)]
    assert len(sent := sent_by(Quick, connection, rows)) == len(sent_by(Usual, connection, rows))
    assert b"".join(sent).count(b"VALUES (") == len(sent)


def test_a_number_that_is_none_is_refused(connection: Any) -> None:
    with pytest.raises(ProgrammingError, match="nan"):
        sent_by(Quick, connection, [(float("nan"), 1)])
