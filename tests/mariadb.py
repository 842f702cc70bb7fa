"""A real MariaDB server of the tests' own."""

from hydrad.store.private_server import INSTALL, SERVER, MariaDB

__all__ = ["INSTALL", "SERVER", "MariaDB"]
