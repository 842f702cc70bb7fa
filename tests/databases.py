"""Fixtures: an empty data base of each kind, so that every test of the store runs on all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mariadb
import pytest
from sqlalchemy import URL, event

from hydrad.store import schema
from hydrad.store.queries import Store

KINDS = ["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)]


@dataclass(frozen=True)
class Database:
    """An empty data base; ``kind`` is what it is."""

    kind: str
    url: URL

    @property
    def text(self) -> str:
        """The URL with its password, for another process."""
        return self.url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[mariadb.MariaDB]:
    """One server for all tests."""
    with started() as server:
        yield server


def started(*, data: Path | None = None, options: Sequence[str] = mariadb.SMALL) -> mariadb.MariaDB:
    """A server of its own for a test that kills it; skips the test where none is installed, except in CI."""
    if mariadb.SERVER is None or mariadb.INSTALL is None:
        if os.environ.get("CI"):
            pytest.fail("CI is set, and no MariaDB server is installed (Debian: mariadb-server)")
        pytest.skip("no MariaDB server is installed (Debian: mariadb-server)")
    return mariadb.MariaDB(data=data, options=options)


@pytest.fixture(scope="session", params=KINDS)
def database_kind(request: pytest.FixtureRequest) -> str:
    """Which kind of data base this test runs on."""
    kind = str(request.param)
    if kind == "mariadb":  # started here, before a test's own fixtures count what processes there are
        request.getfixturevalue("mariadb_server")
    return kind


@pytest.fixture
def bare_database(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A data base without any tables."""
    if database_kind == "sqlite":
        yield Database("sqlite", URL.create("sqlite", database=str(tmp_path / "hydra.db")))
        return
    server: mariadb.MariaDB = request.getfixturevalue("mariadb_server")
    url = server.create()
    yield Database("mariadb", url)
    server.drop(url)


@pytest.fixture
def database(bare_database: Database) -> Database:
    """A data base with this program's tables, all of them empty."""
    schema.upgrade(bare_database.url)
    return bare_database


@pytest.fixture
def stored(database: Database) -> dict[str, Any]:
    """What a daemon needs to be told to use this data base."""
    url = database.url
    password = url.password
    text = url._replace(password=None).render_as_string(hide_password=False)
    return {"url": text, "environment": {} if password is None else {"HYDRA_DB_PASSWORD": str(password)}}


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    """The same, opened."""
    with Store(database.url) as opened:
        yield opened


@pytest.fixture
def statements(store: Store) -> Iterator[list[str]]:
    """What SQL the opened store has run since."""
    ran: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        ran.append(statement)

    event.listen(store._engine, "before_cursor_execute", note)
    yield ran
    event.remove(store._engine, "before_cursor_execute", note)
