"""Texts of the configuration that mean something: a time zone, a data base, a pattern of names, a format of times.

Each function returns the text it is given, or raises ValueError with what is wrong with it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

SQLITE = "sqlite:///"
SERVER = re.compile(
    r"(mysql|mariadb)\+mysqldb://([\w.%+-]+@)?([\w.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?/[\w$%-]+(\?[\w.=&/%-]*)?",
    re.ASCII,
)
PASSWORD = re.compile(r"//[^/@:]*:[^@]*@|[?&]passw", re.IGNORECASE)


def time_zone(name: str) -> str:
    """An IANA time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as fault:
        raise ValueError(f"{name!r} is no time zone of the IANA data base, e.g. 'America/New_York'") from fault
    return name


def store_url(text: str) -> str:
    """The URL of an embedded or a served data base, without a password."""
    if PASSWORD.search(text):
        raise ValueError("a password never stands here: use password_file, a systemd credential or the environment")
    embedded = text.startswith(SQLITE) and len(text) > len(SQLITE)
    if not embedded and not SERVER.fullmatch(text):
        raise ValueError("is no data-base URL, e.g. 'sqlite:///hydra.db' or 'mysql+mysqldb://hydra@localhost/hydra'")
    return text


def pattern(text: str) -> str:
    """A regular expression that finds at least a plot's name."""
    try:
        groups = re.compile(text).groupindex
    except (re.error, OverflowError, RecursionError) as fault:
        raise ValueError(f"is no regular expression: {fault}") from fault
    if "plot" not in groups:
        raise ValueError("needs a group (?P<plot>…)")
    if unknown := set(groups) - {"plot", "run", "chunk", "time"}:
        raise ValueError(f"knows no group {', '.join(sorted(unknown))}; groups are plot, run, chunk, time")
    return text


def time_format(text: str) -> str:
    """A strptime format."""
    try:
        datetime.strptime(datetime.now(UTC).strftime(text), text)  # noqa: DTZ007  only whether it can be read back
    except (re.error, ValueError) as fault:
        raise ValueError(f"is no format that times can be read by: {fault}") from fault
    return text
