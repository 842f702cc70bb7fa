"""The whole IOC as a process, as tests and their clients talk to it."""

from __future__ import annotations

import getpass
import json
import socket
from typing import Any

import epics
from epics_env import random_prefix
from steered import Steered, alarm, free_server_port, put, read

ME = f"{getpass.getuser()}@{socket.gethostname()}"


class Ioc:
    """ioc_process.py, and how its PVs are called."""

    def __init__(self, process: Steered, prefix: str) -> None:
        self._process = process
        self.prefix = prefix
        self.process = process
        self.mirror = ""

    def __call__(self, word: str, document: Any = None, **keys: Any) -> Any:
        return json.loads(self._process.tell(f"{word} {json.dumps(keys or document)}"))

    def pv(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def get(self, name: str) -> Any:
        return read(self.pv(name))

    def text(self, name: str) -> str:
        says: str = read(self.pv(name), text=True)
        return says

    def alarm(self, name: str) -> tuple[int, int]:
        return alarm(self.pv(name))

    def put(self, name: str, value: Any) -> None:
        put(self.pv(name), value)


def ioc_with(**settings: Any) -> tuple[dict[str, Any], str]:
    prefix = f"{random_prefix()}:"
    return {"prefix": prefix, "port": free_server_port(), **settings}, prefix


def put_text(pv: epics.PV, value: str) -> None:
    """Put a string as caput does, also to a number."""
    data = value.encode().ljust(40, b"\0")
    epics.ca.libca.ca_array_put(epics.dbr.STRING, 1, pv.chid, data)
    epics.ca.flush_io()
