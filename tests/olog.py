"""A logbook service that speaks Olog's form, and is as strict about it as the real one."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass
class Part:
    """One part of a multipart body."""

    name: str
    filename: str | None
    kind: str | None
    data: bytes


@dataclass
class Made:
    """An entry as the service got it."""

    owner: str
    query: dict[str, list[str]]
    entry: dict[str, Any]
    files: list[Part]


@dataclass
class OlogServer:
    """The service on a port of its own; a context manager."""

    user: str = "hydra"
    password: str = "s3cret/ü"  # noqa: S105  the test's own
    logbooks: tuple[str, ...] = ("Operations", "Hall")
    tags: tuple[str, ...] = ("Monitoring",)
    made: list[Made] = field(default_factory=list)
    answers: tuple[int, bytes] | None = None  # instead of what it would say
    hold: threading.Event | None = None  # it does not answer before this is set

    def __enter__(self) -> Self:
        house = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if house.hold is not None:
                    house.hold.wait(20)
                status, answer = house.answers or house.put(self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/Olog"
        return self

    def __exit__(self, *_: object) -> None:
        if self.hold is not None:
            self.hold.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def put(self, path: str, headers: Message, body: bytes) -> tuple[int, bytes]:
        """What the service's own code does with a request, in its order."""
        told = urlsplit(path)
        for status, message in self.refuses(told.path, headers):
            return _fault(status, message)
        parts = parts_of(body, str(headers.get_param("boundary")))
        entries = [one for one in parts if one.name == "logEntry"]
        files = [one for one in parts if one.name == "files"]
        if len(entries) != 1 or entries[0].kind != "application/json":
            return _fault(400, "Required part 'logEntry' is not present.")
        entry = json.loads(entries[0].data)
        for message in [*self.misses(entry.get("attachments", []), files), *self.misnames(entry)]:
            return _fault(400, message)
        self.made.append(Made(self.user, parse_qs(told.query), entry, files))
        return 200, json.dumps({**entry, "id": 574 + len(self.made), "owner": self.user}).encode()

    def refuses(self, path: str, headers: Message) -> Iterator[tuple[int, str]]:
        """Why a request is none for this service."""
        expected = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if path != "/Olog/logs/multipart":
            yield 404, "Not Found"
        if headers["Authorization"] != f"Basic {expected}":
            yield 401, "Unauthorized"
        if headers.get_content_type() != "multipart/form-data":
            yield 415, "Unsupported Media Type"

    def misses(self, attachments: list[dict[str, str]], files: list[Part]) -> Iterator[str]:
        """What is wrong with the files."""
        for file in files:
            fitting = [one for one in attachments if one["filename"] == file.filename]
            if len(fitting) != 1 or not fitting[0]["id"]:
                yield "Attachment data invalid: file does not match any attachment meta data"
        if len(files) != len(attachments):
            yield "Attachment data invalid: file count does not match attachment count"

    def misnames(self, entry: dict[str, Any]) -> Iterator[str]:
        """What is wrong with the entry."""
        if not entry["logbooks"]:
            yield "A log entry must specify at least one logbook"
        if not entry["title"]:
            yield "A log entry must specify a title"
        if not {one["name"] for one in entry["logbooks"]} <= set(self.logbooks):
            yield "One or more invalid logbook name(s)"
        if not {one["name"] for one in entry["tags"]} <= set(self.tags):
            yield "One or more invalid tag name(s)"


def parts_of(body: bytes, boundary: str) -> list[Part]:
    """The parts of a multipart body."""
    found = []
    _, *pieces, end = body.split(b"--" + boundary.encode())
    assert end.strip() == b"--"
    for piece in pieces:
        head, data = piece.removeprefix(b"\r\n").split(b"\r\n\r\n", 1)
        facts = Message()
        for line in head.decode().split("\r\n"):
            key, _, value = line.partition(":")
            facts[key] = value.strip()
        names = dict(facts.get_params(header="Content-Disposition"))
        kind = facts.get_content_type() if "Content-Type" in facts else None
        found.append(Part(names["name"], names.get("filename"), kind, data.removesuffix(b"\r\n")))
    return found


def _fault(status: int, message: str) -> tuple[int, bytes]:
    return status, json.dumps({"status": status, "error": "Bad Request", "message": message}).encode()
