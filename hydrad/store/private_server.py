"""A MariaDB server of one's own, for tests and benches: in a folder and on a socket of its own, without a network."""

from __future__ import annotations

import getpass
import itertools
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import MySQLdb
from sqlalchemy import URL

from hydrad.errors import HydradError

SERVER = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin:/usr/libexec")
INSTALL = shutil.which("mariadb-install-db")
START_WITHIN_S = 60.0
STOP_WITHIN_S = 120.0  # what a large one has in memory goes to the disk first
SHORT = "/tmp"  # noqa: S108  a socket's path may have 107 bytes; the folder made in it is our own
SMALL = ("--innodb-buffer-pool-size=128M", "--innodb-log-file-size=64M")


def installed() -> bool:
    """True if there is a server to start."""
    return SERVER is not None and INSTALL is not None


class MariaDB:
    """A server; a context manager that stops it and removes its folder.

    Args:
        data: the folder of its data bases, which stays and may be there already; else they go with the server.
        options: its size, as its command line takes it.
    """

    def __init__(self, *, data: Path | None = None, options: Sequence[str] = SMALL) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="hydb", dir=SHORT))
        self._data = self._home / "data" if data is None else data
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._password = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self.socket = self._home / "s"

    def __enter__(self) -> Self:
        try:
            if not (self._data / "mysql").exists():
                self._install()
            self.start()
            self.execute(f"CREATE OR REPLACE USER hydra@localhost IDENTIFIED BY '{self._password}'")
            self.execute("GRANT ALL ON `hydra\\_%`.* TO hydra@localhost")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it answers, if it does not run already."""
        if self._process is not None:
            return
        log = self._home / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  likewise
                [
                    str(SERVER),
                    "--no-defaults",
                    f"--datadir={self._data}",
                    f"--socket={self.socket}",
                    f"--pid-file={self._home / 'pid'}",
                    f"--user={getpass.getuser()}",
                    "--skip-networking",
                    *self._options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_WITHIN_S
        while True:
            try:
                self.execute("SELECT 1")
            except MySQLdb.OperationalError as fault:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise HydradError(f"MariaDB does not start: {log.read_text(errors='replace')}") from fault
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End it as a loss of power would, but for what the operating system still writes."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Let it end in order."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Let it live, and answer nobody."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def create(self) -> URL:
        """Make an empty data base."""
        name = f"hydra_{os.getpid()}_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str) -> URL:
        """Where a data base of this name is, with the password; the user may do everything in it."""
        place = {"unix_socket": str(self.socket)}
        return URL.create("mysql+mysqldb", "hydra", self._password, "localhost", database=name, query=place)

    def drop(self, url: URL) -> None:
        """Remove a data base."""
        self.execute(f"DROP DATABASE {url.database}")

    def execute(self, statement: str) -> None:
        """Run a statement as the server's administrator."""
        connection = MySQLdb.connect(unix_socket=str(self.socket), user="root")
        try:
            connection.cursor().execute(statement)
            connection.commit()
        finally:
            connection.close()

    def _install(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        subprocess.run(  # noqa: S603  a program of this host, with our own arguments
            [
                str(INSTALL),
                "--no-defaults",
                f"--datadir={self._data}",
                f"--user={getpass.getuser()}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            check=True,
            capture_output=True,
            timeout=START_WITHIN_S,
        )

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
