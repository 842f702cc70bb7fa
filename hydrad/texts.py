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
WEB = re.compile(r"https?://([\w.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[\w.~%!$&'()*+,;=:@/-]*)?", re.ASCII)
WEB_PASSWORD = re.compile(r"//[^/?#]*@")
MAIL = re.compile(r"[^\s<>@]+@[\w.-]+|[^<>@\x00-\x1f\x7f]+<[^\s<>@]+@[\w.-]+>", re.ASCII)
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


def web_address(text: str) -> str:
    """The address of a service or of a page, without a password and without anything behind its path."""
    if WEB_PASSWORD.search(text):
        raise ValueError("a password never stands here: use user and password_file, a credential or the environment")
    if not WEB.fullmatch(text):
        raise ValueError("is no address of a service, e.g. 'https://olog.example/Olog'")
    return text.rstrip("/")


def mail_address(text: str) -> str:
    """Somebody's e-mail address, with or without a name before it."""
    if not MAIL.fullmatch(text):
        raise ValueError("is no e-mail address, e.g. 'hydrad@counting.example' or 'Hydra <hydrad@counting.example>'")
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
