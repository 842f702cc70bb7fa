"""Where the log of faults goes: to a logbook, and to people by e-mail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Tag

from hydrad import texts
from hydrad.config.section import Section, by_kind
from hydrad.config.values import Flag, Port, Text


class NoLogbook(Section):
    """Entries are written by hand."""

    kind: Literal["none"] = "none"


class Olog(Section):
    """The Phoebus Olog service."""

    kind: Literal["olog"] = "olog"
    url: Annotated[str, AfterValidator(texts.web_address)]
    logbooks: Annotated[tuple[Text, ...], Field(min_length=1)]
    tags: tuple[Text, ...] = ()
    level: Text = "Info"
    user: Text | None = None
    password_file: Path | None = None


class Elog(Section):
    """Files in a folder that a logbook reads, as the lab's electronic logbook does."""

    kind: Literal["elog"] = "elog"
    folder: Path
    logbooks: Annotated[tuple[Text, ...], Field(min_length=1)]
    tags: tuple[Text, ...] = ()


LogbookSection = Annotated[
    Annotated[NoLogbook, Tag("none")] | Annotated[Olog, Tag("olog")] | Annotated[Elog, Tag("elog")],
    by_kind(none="none", olog="olog", elog="elog"),
]


class Mail(Section):
    """How the digest of the log goes out, to those who ask for it."""

    host: Text
    port: Port = 25
    sender: Annotated[str, AfterValidator(texts.mail_address)]
    starttls: Flag = False
    user: Text | None = None
    password_file: Path | None = None
    at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "07:00"  # in the hall's time zone
    address: Annotated[str, AfterValidator(texts.web_address)] | None = None  # of the pages, for the links in it
