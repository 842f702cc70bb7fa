"""What stands before every page: which hosts it answers to, which other sites may not use it, what browsers may do."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import secrets
from typing import Final
from urllib.parse import urlsplit

from jinja2 import TemplateError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hydrad import log
from hydrad.config import Web
from hydrad.web import pages

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FORMS: Final = frozenset({"/login", "/logout"})  # what people fill in; everything else speaks JSON
BODY_BYTES: Final = 4 * 2**20
FORM_BYTES: Final = 16 * 2**10
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'{more_styles}; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
CHARTED: Final = ("/plot/", "/library", "/status")  # pages with charts, whose library writes styles into the page
SAID: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "Cache-Control": "no-store",
}
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]{0,252}))(?::[0-9]{1,5})?", re.ASCII)

_log = log.get("web")


class Shield:
    """Refuses what no page of this house asks for, and tells browsers what pages may do.

    A request that changes something must come from a page of this very site: browsers say so by themselves
    (``Sec-Fetch-Site``, else ``Origin``). A program that is no browser sends neither, and no cookie it could misuse.
    Whatever goes wrong behind it is logged with a number, and only the number is told.
    """

    def __init__(self, app: ASGIApp, web: Web) -> None:
        self._app = app
        self._hosts = LOOPBACK | {name(host) or host for host in (web.host, *web.hosts)}
        self._encrypted = web.encrypted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(self, scope, receive, send)
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, answer.receive, answer.send)
            return
        try:
            await self._app(answer.scope, answer.receive, answer.send)
        except ClientDisconnect:  # nobody is there to be told anything
            return
        except Exception as fault:  # whatever it is, the log has it and nobody outside does
            number = secrets.token_hex(4)
            _log.error(
                "request_failed", number=number, method=scope["method"], path=scope["path"], exc_info=fault
            )  # fmt: skip
            if answer.begun:
                raise  # the server breaks the connection off, so that half an answer does not look whole
            await _went_wrong(Request(scope), number)(scope, answer.receive, answer.send)

    def say(self, headers: MutableHeaders, path: str) -> None:
        """Put into an answer what browsers are to know."""
        more = " 'unsafe-inline'" if path.startswith(CHARTED) else ""
        headers.setdefault("Content-Security-Policy", POLICY.format(more_styles=more))
        for key, value in SAID.items():
            headers.setdefault(key, value)
        if self._encrypted:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        asked = name(hosts[0]) if len(hosts) == 1 else None
        most = limit(scope["path"])
        changes = scope["method"] not in SAFE
        found: tuple[int, str] | None = None
        if asked is None:
            found = 400, "a request names its host once"
        elif asked not in self._hosts:
            found = 421, "no pages are served by this name: web.hosts lists those that are"
        elif changes and _foreign(headers, hosts[0]):
            found = 403, "asked by a page of another site"
        elif _length(headers) > most:
            found = 413, f"at most {most} bytes are read"
        elif changes and not _acceptable(headers, scope["path"]):
            found = 415, "what is sent here is application/json"
        return None if found is None else JSONResponse({"detail": found[1]}, found[0])


class _Answer:
    """One request's two channels: what comes in is counted, what goes out carries the policy.

    HEAD is GET whose body stays here; once the headers are out, the page behind is told that nobody listens.
    """

    def __init__(self, shield: Shield, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun = False
        self.scope = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        self._headless = scope["method"] == "HEAD"
        self._shield = shield
        self._receive = receive
        self._send = send
        self._limit = limit(scope["path"])
        self._came = 0
        self._enough = asyncio.Event()

    async def receive(self) -> Message:
        if self._headless:
            return await self._nothing()
        message = await self._receive()
        if message["type"] == "http.request":
            self._came += len(message.get("body", b""))
            if self._came > self._limit:
                raise HTTPException(413, f"at most {self._limit} bytes are read")
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            self._shield.say(headers, self.scope["path"])
            await self._send(message)
            if self._headless:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
                self._enough.set()
        elif not self._headless:
            await self._send(message)

    async def _nothing(self) -> Message:
        if not self._came:
            self._came = 1
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._enough.wait()
        return {"type": "http.disconnect"}


def name(host: str) -> str | None:
    """A Host header without port, in the one spelling of that name; None for what is no host."""
    found = _HOST.fullmatch(host.lower())
    if found is None:
        return None
    text = found["name"]
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        return None if text.startswith("[") else text.removesuffix(".")


def limit(path: str) -> int:
    """How many bytes of a request's body are read, at most."""
    return FORM_BYTES if path in FORMS else BODY_BYTES


def _foreign(headers: Headers, host: str) -> bool:
    fetched = headers.get("sec-fetch-site")
    if fetched is not None:
        return fetched not in {"same-origin", "none"}
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != host.lower()
    except ValueError:
        return True


def _acceptable(headers: Headers, path: str) -> bool:
    if "content-type" not in headers:
        return _length(headers) == 0 and "transfer-encoding" not in headers
    kind = headers["content-type"].partition(";")[0].strip().lower()
    return kind == "application/json" or (kind == "application/x-www-form-urlencoded" and path in FORMS)


def _length(headers: Headers) -> int:
    said = headers.get("content-length", "0")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 20 else 2**63


def _went_wrong(request: Request, number: str) -> Response:
    words = f"Something went wrong here. The log of the pages tells more under the number {number}."
    if not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", ""):
        try:
            answer: Response = pages.draw(request, "fault.html", status=500, words=words, again=False)
        except TemplateError:  # it may be the very fault
            return JSONResponse({"detail": words, "number": number}, 500)
        answer.status_code = 500
        return answer
    return JSONResponse({"detail": words, "number": number}, 500)
