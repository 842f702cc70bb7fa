"""`hydrad` under the system calls and the kinds of socket that systemd/hydrad.service allows, and no others."""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import runpy
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

UNIT = Path(__file__).parents[2] / "systemd/hydrad.service"
ALLOW, FAIL = 0x7FFF0000, 0x00050000 | errno.EPERM  # seccomp.h
EQUAL = 4
UNKNOWN = -1


class Compared(ctypes.Structure):
    """seccomp.h's ``struct scmp_arg_cmp``."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def said(key: str) -> list[str]:
    return [line.partition("=")[2] for line in UNIT.read_text().splitlines() if line.startswith(f"{key}=")]


def calls(group: str) -> Iterator[str]:
    """The system calls of one of systemd's groups."""
    listed = subprocess.run(["systemd-analyze", "syscall-filter", group], check=True, capture_output=True, text=True)
    for line in listed.stdout.splitlines()[1:]:
        name = line.strip()
        if name.startswith("@"):
            yield from calls(name)
        elif name and not name.startswith("#"):
            yield name


def allowed() -> set[str]:
    found = set(calls("@default"))  # systemd adds it to what a unit allows
    for words in said("SystemCallFilter"):
        named = {call for group in words.removeprefix("~").split() for call in calls(group)}
        found = found - named if words.startswith("~") else found | named
    return found


def confine() -> None:
    seccomp = ctypes.CDLL(ctypes.util.find_library("seccomp"))
    seccomp.seccomp_init.restype = ctypes.c_void_p
    filtering = ctypes.c_void_p(seccomp.seccomp_init(FAIL))
    for name in allowed() - {"socket"}:
        if (number := seccomp.seccomp_syscall_resolve_name(name.encode())) != UNKNOWN:
            seccomp.seccomp_rule_add_array(filtering, ALLOW, number, 0, None)
    number = seccomp.seccomp_syscall_resolve_name(b"socket")
    for family in said("RestrictAddressFamilies")[0].split():
        compared = Compared(0, EQUAL, getattr(socket, family), 0)
        assert seccomp.seccomp_rule_add_array(filtering, ALLOW, number, 1, ctypes.byref(compared)) == 0
    assert seccomp.seccomp_load(filtering) == 0


confine()
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
except PermissionError:
    sys.argv[0] = "hydrad"
    runpy.run_module("hydrad", run_name="__main__")
