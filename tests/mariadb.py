"""A real MariaDB server of the tests' own."""

from hydrad.store.private_server import INSTALL, SERVER, SMALL, MariaDB

__all__ = ["INSTALL", "SERVER", "SMALL", "MariaDB"]
