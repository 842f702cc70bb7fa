"""The hall's logbook: an entry goes to Olog's service, or as a file into the folder that the lab's logbook reads."""

from __future__ import annotations

import base64
import getpass
import json
import os
import re
import secrets
import socket
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol
from xml.etree import ElementTree as ET

import httpx

from hydrad import password
from hydrad.config import Config, Elog, Olog
from hydrad.errors import ChangeRefused, ConfigurationError, TryAgain

ANSWERS_WITHIN_S: Final = 20.0
LONGEST_TITLE: Final = 255  # letters; the lab's logbook takes no more
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, eq=False)
class Enclosure:
    """A picture that goes with an entry; names are unique in one entry."""

    name: str
    kind: str  # "image/png"
    caption: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be put into the logbook."""

    title: str
    text: str  # reads well as it is and as CommonMark
    person: str
    enclosures: Sequence[Enclosure] = field(default=())


class Logbook(Protocol):
    """Takes entries."""

    name: str  # as one would say it

    def make(self, draft: Draft) -> str:
        """Put an entry in; returns its address, or the file that was handed over. Blocks.

        Raises:
            TryAgain: the logbook is away, or the disk.
            ChangeRefused: it does not take this entry.
            ConfigurationError: it does not take ours at all.
        """
        ...


def of(config: Config) -> Logbook | None:
    """The logbook of this hall; None where entries are written by hand."""
    match config.logbook:
        case Olog() as section:
            return OlogService(section)
        case Elog() as section:
            return ElogFolder(section)
        case _:
            return None


class OlogService:
    """The Phoebus Olog service.

    One request makes an entry with its pictures: ``PUT {url}/logs/multipart?markup=commonmark`` with a part
    ``logEntry`` (JSON) and a part ``files`` for each attachment, in the order of the entry's ``attachments`` and with
    their names; the client chooses the attachments' ids and may show them in the text as ``attachment/<id>``. The
    service makes whoever logs in the owner. Source: ``LogResource.createLog`` and ``AttachmentsUploadUtil`` of
    Olog/phoebus-olog, and Phoebus's own ``OlogHttpClient.save``.
    """

    name = "Olog"

    def __init__(self, section: Olog) -> None:
        self._section = section
        self._url = section.url.rstrip("/")

    def make(self, draft: Draft) -> str:
        """Put an entry in; returns its address. Raises as :class:`Logbook` says."""
        ids = [str(uuid.uuid4()) for _ in draft.enclosures]
        try:
            answer = httpx.put(
                f"{self._url}/logs/multipart",
                params={"markup": "commonmark"},
                files=self._parts(draft, ids),
                auth=self._login(),
                headers={"Accept": "application/json", "X-Olog-Client-Info": "hydrad"},
                timeout=ANSWERS_WITHIN_S,
            )
        except httpx.TimeoutException as fault:
            raise TryAgain(
                f"Olog at {self._url} has not answered within {ANSWERS_WITHIN_S:.0f} s; look there before you try again"
            ) from fault
        except (httpx.TransportError, httpx.InvalidURL) as fault:
            raise TryAgain(f"Olog at {self._url} cannot be reached: {fault}") from fault
        return self._reference(answer)

    def _parts(self, draft: Draft, ids: Sequence[str]) -> list[tuple[str, tuple[str | None, bytes, str]]]:
        section = self._section
        shown = "".join(
            f"\n\n![{one.caption}](attachment/{id_})" for one, id_ in zip(draft.enclosures, ids, strict=True)
        )
        entry = {
            "owner": section.user or draft.person,
            "title": draft.title,
            "description": draft.text + shown,
            "level": section.level,
            "logbooks": [{"name": name} for name in section.logbooks],
            "tags": [{"name": name} for name in section.tags],
            "attachments": [
                {"id": id_, "filename": one.name, "fileMetadataDescription": one.kind}
                for one, id_ in zip(draft.enclosures, ids, strict=True)
            ],
        }
        parts: list[tuple[str, tuple[str | None, bytes, str]]] = [
            ("logEntry", (None, json.dumps(entry).encode("ascii"), "application/json"))
        ]
        return parts + [("files", (one.name, one.data, one.kind)) for one in draft.enclosures]

    def _login(self) -> httpx.BasicAuth | None:
        if self._section.user is None:
            return None
        secret = password.find(self._section.password_file, of="logbook", name="logbook")
        if secret is None:
            raise ConfigurationError(
                "logbook.password_file: Olog's user needs a password: give this key, or systemd's credential "
                f"hydrad-logbook-password, or ${password.variable('logbook')}"
            )
        return httpx.BasicAuth(self._section.user, secret)

    def _reference(self, answer: httpx.Response) -> str:
        if answer.status_code in {401, 403}:
            raise ConfigurationError(
                f"logbook.user: Olog at {self._url} does not let {self._section.user or 'nobody'} write "
                f"({answer.status_code})"
            )
        if answer.is_server_error:
            raise TryAgain(f"Olog at {self._url} fails: {_words(answer)}")
        if not answer.is_success:
            raise ChangeRefused(f"Olog at {self._url} does not take the entry: {_words(answer)}")
        try:
            number = int(answer.json()["id"])
        except (ValueError, KeyError, TypeError) as fault:
            raise ChangeRefused(
                f"what answers at {self._url} is no Olog service: it has not said the entry's number"
            ) from fault
        return f"{self._url}/logs/{number}"


class ElogFolder:
    """The folder from which the lab's electronic logbook takes entries as XML files.

    The form is that of ``Logentry.xsd``, which the library jlog (``LogItem.java``, ``LogEntry.java``) and its like in
    PHP write: ``created``, ``title``, ``Author/username``, ``Logbooks/logbook``, ``Tags/tag``,
    ``Entrymakers/Entrymaker/username``, ``body``, ``Attachments/Attachment`` with ``caption``, ``filename``, ``type``
    and ``data`` in base64; a file's name is ``<time>_<pid>_<host>_<random>.xml``. The author is the account that
    writes the file, the entry maker is the person.
    """

    name = "the logbook"

    def __init__(self, section: Elog) -> None:
        self._section = section

    def make(self, draft: Draft) -> str:
        """Put a file there, whole or not at all; returns its path. Raises as :class:`Logbook` says."""
        now = datetime.now(UTC)
        name = f"{now:%Y_%m_%d_%H%M%S}_{os.getpid()}_{socket.gethostname()}_{secrets.randbelow(10**8):08}.xml"
        path = self._section.folder / name
        unfinished = path.with_name(f".{name}.part")
        try:
            with unfinished.open("xb") as file:
                file.write(self._document(draft, now))
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
        except OSError as fault:
            with suppress(OSError):  # the same disk; the fault that counts is the first
                unfinished.unlink(missing_ok=True)
            raise TryAgain(f"cannot put an entry into {self._section.folder}: {fault.strerror or fault}") from fault
        return str(path)

    def _document(self, draft: Draft, now: datetime) -> bytes:
        root = ET.Element("Logentry")
        _add(root, "created", now.isoformat(timespec="seconds"))
        _add(root, "title", draft.title[:LONGEST_TITLE])
        _add(ET.SubElement(root, "Author"), "username", getpass.getuser())
        books = ET.SubElement(root, "Logbooks")
        for name in self._section.logbooks:
            _add(books, "logbook", name)
        if self._section.tags:
            tags = ET.SubElement(root, "Tags")
            for name in self._section.tags:
                _add(tags, "tag", name)
        maker = ET.SubElement(ET.SubElement(root, "Entrymakers"), "Entrymaker")
        _add(maker, "username", draft.person)
        _add(root, "body", draft.text).set("type", "text")
        if draft.enclosures:
            enclosed = ET.SubElement(root, "Attachments")
            for one in draft.enclosures:
                attachment = ET.SubElement(enclosed, "Attachment")
                _add(attachment, "caption", one.caption)
                _add(attachment, "filename", one.name)
                _add(attachment, "type", one.kind)
                _add(attachment, "data", base64.b64encode(one.data).decode("ascii")).set("encoding", "base64")
        return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _add(parent: ET.Element, tag: str, text: str) -> ET.Element:
    child = ET.SubElement(parent, tag)
    child.text = _NO_XML.sub("\ufffd", text)
    return child


def _words(answer: httpx.Response) -> str:
    """What a service says went wrong, as one line: Spring has it in ``message`` or ``error``."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    said = ""
    if isinstance(document, dict):
        said = next((str(document[key]) for key in ("message", "detail", "error") if document.get(key)), "")
    return f"{said[:300] or answer.reason_phrase} ({answer.status_code})"
