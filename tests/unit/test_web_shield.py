"""What stands before every page lets in what pages of this house ask for, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from hydrad.config import Web
from hydrad.web.shield import BODY_BYTES, FORM_BYTES, Shield, _Answer, name

Page = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass
class Answer:
    """What came out."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    messages: list[Message] = field(default_factory=list)

    @property
    def detail(self) -> str:
        return str(json.loads(self.body)["detail"])


async def page(_: Scope, receive: Receive, send: Send) -> None:
    """Reads all there is, and says how much that was."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-read", str(size).encode())]})
    await send({"type": "http.response.body", "body": b"here it is"})


async def ask(
    behind: Page = page,
    method: str = "GET",
    path: str = "/",
    *,
    web: Web | None = None,
    body: Iterable[bytes] = (b"",),
    **headers: str | list[str],
) -> Answer:
    answer = Answer()
    parts = list(body)

    async def receive() -> Message:
        if not parts:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Message) -> None:
        answer.messages.append(message)
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {key.decode(): value.decode() for key, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    raw = []
    for key, value in ({"host": "127.0.0.1:8000"} | headers).items():
        raw += [
            (key.replace("_", "-").encode(), one.encode("latin-1"))
            for one in ([value] if isinstance(value, str) else value)
        ]
    scope: dict[str, Any] = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": raw, "scheme": "http", "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 5),
        "http_version": "1.1", "root_path": "", "state": {},
    }  # fmt: skip
    await Shield(behind, web or Web())(scope, receive, send)
    return answer


# ---- names ----


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1:8000", "localhost", "LocalHost:8000", "localhost.", "localhost.:8000", "[::1]",
        "[::1]:8000", "[0:0:0:0:0:0:0:1]", "Hydra.Counting.example:443", "hydra.counting.example.", "[2001:DB8::7]:80",
    ],
)  # fmt: skip
async def test_it_answers_to_its_names_however_they_are_spelt(host: str) -> None:
    web = Web(hosts=("hydra.counting.EXAMPLE.", "[2001:db8::7]"))
    assert (await ask(web=web, host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "127.0.0.1.evil.example", "evil.example:8000", "localhost.evil.example", "10.0.0.1", "[::2]",
        "hydra.counting.example",
    ],
)  # fmt: skip
async def test_it_answers_to_no_other_name(host: str) -> None:
    answer = await ask(host=host)
    assert (answer.status, answer.detail[:9]) == (421, "no pages ")


@pytest.mark.parametrize(
    "host",
    [
        "", "127.0.0.1@evil.example", "evil@127.0.0.1", "127.0.0.1/", "127.0.0.1:80:80", "127.0.0.1:port", "[::1",
        "::1", "127.0.0.1 ", "127.0.0.1\t", "localhost,evil.example", "127.0.0.1:", "[localhost]", "lo\xe4l", "..",
        ["127.0.0.1", "evil.example"], ["localhost", "localhost"], [],
    ],
)  # fmt: skip
async def test_what_is_no_name_is_refused(host: str | list[str]) -> None:
    assert (await ask(host=host)).status in {400, 421}
    assert (await ask(host=host)).body != b"here it is"


@given(st.text(max_size=40))
def test_reading_a_name_never_fails(host: str) -> None:
    found = name(host)
    assert found is None or (found == found.lower() and "@" not in found and "/" not in found)


# ---- other sites ----


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # a program
        ({"sec_fetch_site": "same-origin", "origin": "http://127.0.0.1:8000"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": ""}, 403),
        ({"sec_fetch_site": "cross-site", "origin": "http://127.0.0.1:8000"}, 403),
        ({"origin": "http://127.0.0.1:8000"}, 200),
        ({"origin": "http://127.0.0.1:9000"}, 403),  # another program of this host
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://127.0.0.1:8000@evil.example"}, 403),
        ({"origin": "http://[::1"}, 403),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_what_changes_something_comes_from_a_page_of_this_site(
    method: str, headers: dict[str, str], status: int
) -> None:
    assert (await ask(method=method, **headers)).status == status


async def test_other_sites_may_link_here() -> None:
    assert (await ask(sec_fetch_site="cross-site", origin="https://logbook.example")).status == 200


# ---- what is sent ----


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/v1/x", {"content_type": "application/json"}, 200),
        ("/api/v1/x", {"content_type": "Application/JSON; charset=utf-8"}, 200),
        ("/api/v1/x", {}, 200),  # nothing is sent
        ("/api/v1/x", {"content_length": "0"}, 200),
        ("/api/v1/x", {"content_length": "2"}, 415),
        ("/api/v1/x", {"transfer_encoding": "chunked"}, 415),
        ("/api/v1/x", {"content_type": "text/plain"}, 415),
        ("/api/v1/x", {"content_type": "application/jsonx"}, 415),
        ("/api/v1/x", {"content_type": ""}, 415),
        ("/api/v1/x", {"content_type": "application/x-www-form-urlencoded"}, 415),
        ("/api/v1/x", {"content_type": "multipart/form-data; boundary=x"}, 415),
        ("/login", {"content_type": "application/x-www-form-urlencoded"}, 200),
        ("/login", {"content_type": "multipart/form-data; boundary=x"}, 415),
        ("/login/", {"content_type": "application/x-www-form-urlencoded"}, 415),
    ],
)
async def test_only_json_is_taken_and_a_form_where_one_logs_in(path: str, headers: dict[str, str], status: int) -> None:
    assert (await ask(method="POST", path=path, **headers)).status == status


@pytest.mark.parametrize("length", [str(BODY_BYTES + 1), "9" * 5000, "-1", "1e3", "²", "0x10", "1,1"])
async def test_too_long_a_body_is_refused_before_any_of_it_is_read(length: str) -> None:
    reached = []

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])
        await page(scope, receive, send)

    for method in ("GET", "POST"):
        answer = await ask(noting, method=method, content_type="application/json", content_length=length)
        assert (answer.status, reached) == (413, [])


async def test_a_body_that_does_not_say_its_length_is_counted_as_it_comes() -> None:
    taken = 0

    def parts() -> Iterable[bytes]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield b"x" * 2**20

    with pytest.raises(HTTPException) as told:  # to the application, which answers with it
        await asyncio.wait_for(_read_all(parts()), 5)
    assert told.value.status_code == 413
    assert taken == 5
    short = {"method": "POST", "content_type": "application/json", "transfer_encoding": "chunked"}
    whole = await ask(body=[b"x" * 2**20] * 4, **short)
    assert whole.headers["x-read"] == str(BODY_BYTES)


async def _read_all(parts: Iterable[bytes]) -> None:
    coming = iter(parts)

    async def receive() -> Message:
        return {"type": "http.request", "body": next(coming), "more_body": True}

    async def send(_: Message) -> None:
        pytest.fail("nothing was to be said")

    scope = {"type": "http", "method": "POST", "path": "/api/v1/x", "headers": []}
    answer = _Answer(Shield(page, Web()), scope, receive, send)
    while True:
        await answer.receive()


async def test_a_login_needs_few_bytes() -> None:
    form = {"method": "POST", "path": "/login", "content_type": "application/x-www-form-urlencoded"}
    assert (await ask(content_length=str(FORM_BYTES), **form)).status == 200
    assert (await ask(content_length=str(FORM_BYTES + 1), **form)).status == 413


# ---- what is said to browsers ----


@pytest.mark.parametrize(
    "asked", [{}, {"host": "evil.example"}, {"method": "POST", "origin": "null"}, {"path": "/log"}]
)
async def test_every_answer_carries_the_policy(asked: dict[str, str]) -> None:
    headers = (await ask(**asked)).headers  # type: ignore[arg-type]
    assert "script-src 'self';" in headers["content-security-policy"]
    assert "style-src 'self';" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers
    assert "server" not in headers


async def test_scripts_are_never_inline_and_styles_only_beside_charts() -> None:
    for path in ("/plot/CDC_occupancy", "/library", "/status", "/"):
        policy = (await ask(path=path)).headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert ("style-src 'self' 'unsafe-inline';" in policy) == (path != "/")


async def test_encrypted_pages_stay_encrypted() -> None:
    assert (await ask(web=Web(https=True))).headers["strict-transport-security"] == "max-age=31536000"


async def test_what_an_answer_says_of_itself_is_kept() -> None:
    async def kept(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"max-age=5")]})
        await send({"type": "http.response.body", "body": b""})

    assert (await ask(kept)).headers["cache-control"] == "max-age=5"


# ---- HEAD ----


async def test_head_is_get_without_its_body() -> None:
    methods = []

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        methods.append(scope["method"])
        await page(scope, receive, send)

    answer = await ask(noting, method="HEAD")
    assert (answer.status, answer.body, methods) == (200, b"", ["GET"])
    assert answer.headers["x-read"] == "0"
    assert [message["type"] for message in answer.messages] == ["http.response.start", "http.response.body"]
    assert not answer.messages[-1].get("more_body", False)


async def test_head_of_a_stream_that_never_ends_ends() -> None:
    async def stream(_: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

        async def pour() -> None:
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.sleep(0)

        pouring = asyncio.create_task(pour())
        while (await receive())["type"] != "http.disconnect":
            pass
        pouring.cancel()
        await asyncio.gather(pouring, return_exceptions=True)

    answer = await asyncio.wait_for(ask(stream, method="HEAD"), 5)
    assert (answer.status, answer.body) == (200, b"")


# ---- faults ----


async def broken(*_: Any) -> None:
    raise ValueError("the password of the data base is swordfish")


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
async def test_a_fault_is_told_by_its_number_and_logged_whole(accept: str) -> None:
    with capture_logs() as lines:
        answer = await ask(broken, path="/api/v1/x", accept=accept)
    [line] = [line for line in lines if line["event"] == "request_failed"]
    assert answer.status == 500
    assert line["number"] in answer.detail
    assert b"swordfish" not in answer.body
    assert b"Traceback" not in answer.body
    assert (line["method"], line["path"], line["log_level"]) == ("GET", "/api/v1/x", "error")
    assert "swordfish" in str(line["exc_info"])
    assert line["exc_info"].__traceback__ is not None
    assert answer.headers["x-frame-options"] == "DENY"


async def test_half_an_answer_is_broken_off() -> None:
    async def half(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("in the middle")

    with capture_logs() as lines, pytest.raises(ValueError, match="in the middle"):
        await ask(half)
    assert [line["event"] for line in lines] == ["request_failed"]


async def test_a_client_that_goes_away_is_no_fault() -> None:
    async def left(*_: Any) -> None:
        raise ClientDisconnect

    with capture_logs() as lines:
        answer = await ask(left)
    assert not answer.messages
    assert not lines


async def test_what_is_not_http_passes() -> None:
    seen = []

    async def noting(scope: Scope, _: Receive, __: Send) -> None:
        seen.append(scope["type"])

    async def nothing() -> Message:
        return {}

    async def nowhere(_: Message) -> None:
        pass

    await Shield(noting, Web())({"type": "lifespan"}, nothing, nowhere)
    assert seen == ["lifespan"]
