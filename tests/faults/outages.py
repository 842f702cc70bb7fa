"""What can befall a data base: each a context manager that lets a real server suffer it, and mends it again."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import MySQLdb
import pytest
from mariadb import MariaDB
from sqlalchemy import URL

from hydrad.store import schema

SIZE = (
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=16M",
    "--performance-schema=0",
)
DEADLOCK = 1213  # as MariaDB numbers it
DISK = "size=160m"


@contextmanager
def small_disk(at: Path) -> Iterator[Path | None]:
    """A disk of its own that can be filled; None where this process may not mount one."""
    at.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", DISK, "none", str(at)], capture_output=True, check=False)
    if mounted.returncode:
        yield None
        return
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


@dataclass(frozen=True)
class Base:
    """A hall's data base on a server of its own, with its tables."""

    server: MariaDB
    url: URL
    disk: Path | None = None  # the server's, where it has one of its own

    @classmethod
    def on(cls, server: MariaDB, disk: Path | None = None) -> Base:
        """A fresh one."""
        url = server.create()
        schema.upgrade(url)
        return cls(server, url, disk)

    def parts(self, socket: object = None) -> dict[str, Any]:
        """What a daemon needs to be told to use it, perhaps through another socket."""
        url = self.url if socket is None else self.url.update_query_dict({"unix_socket": str(socket)})
        text = url._replace(password=None).render_as_string(hide_password=False)
        return {"url": text, "environment": {"HYDRA_DB_PASSWORD": str(self.url.password)}}

    def hang_up(self) -> None:
        """End every connection of the hydra account, as the server's administrator can."""
        with suppress(MySQLdb.OperationalError):  # those that come and go meanwhile
            self.server.execute("KILL CONNECTION USER hydra@localhost")

    def as_root(self) -> MySQLdb.Connection:
        """A connection of the administrator in this data base."""
        return MySQLdb.connect(unix_socket=str(self.server.socket), user="root", database=self.url.database)


@contextmanager
def replicated(base: Base, replica: MariaDB, port: int) -> Iterator[None]:
    """Another server follows this one, statement by statement, as it does in a pair that can fail over."""
    base.server.execute("CREATE OR REPLACE USER follower@127.0.0.1 IDENTIFIED BY 'follower'")
    base.server.execute("GRANT REPLICATION SLAVE ON *.* TO follower@127.0.0.1")
    replica.execute(
        f"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, MASTER_USER = 'follower', "
        "MASTER_PASSWORD = 'follower', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1"
    )
    replica.execute("START SLAVE")
    yield
    replica.execute("STOP SLAVE")


@contextmanager
def stopped(base: Base) -> Iterator[None]:
    """The server is stopped in order."""
    base.server.stop()
    yield
    base.server.start()


@contextmanager
def killed(base: Base) -> Iterator[None]:
    """The server is killed with what it was doing."""
    base.server.kill()
    yield
    base.server.start()


@contextmanager
def frozen(base: Base) -> Iterator[None]:
    """The server lives and answers nobody; its socket still takes connections."""
    base.server.freeze()
    try:
        yield
    finally:
        base.server.thaw()


@contextmanager
def read_only(base: Base) -> Iterator[None]:
    """The server refuses to write for accounts without a privilege of their own, as a replica does."""
    base.server.execute("SET GLOBAL read_only = ON")
    try:
        yield
    finally:
        base.server.execute("SET GLOBAL read_only = OFF")


@contextmanager
def full(base: Base) -> Iterator[None]:
    """The server's disk has no byte left, of which it may die."""
    if base.disk is None:
        pytest.skip("a disk that can be filled takes the right to mount one")
    filler = base.disk / "filler"
    with filler.open("wb", buffering=0) as junk, suppress(OSError):
        while True:
            junk.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()
        try:
            base.server.execute("SELECT 1")
        except MySQLdb.OperationalError:
            base.server.kill()
            base.server.start()


@contextmanager
def another_password(base: Base) -> Iterator[None]:
    """Somebody gave the account another password, and ended what was connected."""
    base.server.execute("ALTER USER hydra@localhost IDENTIFIED BY 'another'")
    base.hang_up()
    yield
    base.server.execute(f"ALTER USER hydra@localhost IDENTIFIED BY '{base.url.password}'")


@contextmanager
def without_grants(base: Base) -> Iterator[None]:
    """Somebody took the account's rights away."""
    base.server.execute("REVOKE ALL ON `hydra\\_%`.* FROM hydra@localhost")
    base.hang_up()
    yield
    base.server.execute("GRANT ALL ON `hydra\\_%`.* TO hydra@localhost")
    base.hang_up()


@contextmanager
def not_even_insert(base: Base) -> Iterator[None]:
    """The account may read, and no longer write."""
    base.server.execute("REVOKE INSERT, UPDATE, DELETE ON `hydra\\_%`.* FROM hydra@localhost")
    base.hang_up()
    yield
    base.server.execute("GRANT ALL ON `hydra\\_%`.* TO hydra@localhost")
    base.hang_up()


@contextmanager
def crowded(base: Base) -> Iterator[None]:
    """Others hold every connection that the server has."""
    limit = 10
    base.server.execute(f"SET GLOBAL max_connections = {limit}")
    with ExitStack() as held:
        base.hang_up()
        for _ in range(100):
            with suppress(MySQLdb.OperationalError):
                connection = MySQLdb.connect(unix_socket=str(base.server.socket), user="crowd")
                held.callback(connection.close)
                continue
            break
        base.hang_up()  # what was quicker than the crowd
        with suppress(MySQLdb.OperationalError):
            while True:
                connection = MySQLdb.connect(unix_socket=str(base.server.socket), user="crowd")
                held.callback(connection.close)
        yield
    base.server.execute("SET GLOBAL max_connections = 151")


@contextmanager
def rows_held(base: Base) -> Iterator[None]:
    """Somebody's transaction holds the rows of every plot, and does not end."""
    connection = base.as_root()
    while True:
        try:
            connection.cursor().execute("SELECT * FROM plots FOR UPDATE")
            break
        except MySQLdb.OperationalError as fault:  # of two transactions the server may break this one off
            if fault.args[0] != DEADLOCK:
                raise
            connection.rollback()
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


@contextmanager
def crossed(base: Base) -> Iterator[None]:
    """Transactions take the same rows in the other order, again and again: one of the two is broken off."""
    over = threading.Event()

    def cross() -> None:
        connection = base.as_root()
        try:
            cursor = connection.cursor()
            while not over.is_set():
                with suppress(MySQLdb.OperationalError):
                    cursor.execute("SELECT * FROM hours FOR UPDATE")
                    cursor.execute("SELECT * FROM standings ORDER BY plot_id DESC FOR UPDATE")
                    cursor.execute("SELECT * FROM plots ORDER BY id DESC FOR UPDATE")
                connection.rollback()
        finally:
            connection.close()

    others = [threading.Thread(target=cross, name="crossing") for _ in range(2)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        over.set()
        for other in others:
            other.join()


Outage = Callable[[Base], AbstractContextManager[None]]
OUTAGES: Mapping[str, Outage] = {
    "stopped and started again": stopped,
    "killed": killed,
    "read-only": read_only,
    "full": full,
    "that changed its password": another_password,
    "that took the account's rights": without_grants,
    "that lets the account only read": not_even_insert,
    "with all its connections in use": crowded,
    "whose rows another transaction holds": rows_held,
}
