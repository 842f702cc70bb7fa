"""What nobody is meant to ask of the pages is refused: by the real server, over the wire."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from browsing import Pages, until
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount
from web_world import World, usual, world

from hydrad.domain import Role
from hydrad.store.models.registry import Who
from hydrad.store.people import accounts, passes
from hydrad.web import pages
from hydrad.web.app import application, site_of
from hydrad.web.docs import role_of
from hydrad.web.doors import passwords
from hydrad.web.shield import BODY_BYTES

ROOT = Who("root", "counting-1", "cli")
PASSWORD = "correct horse battery"  # noqa: S105  of accounts that live as long as a test
JSON = {"Content-Type": "application/json"}
ROLES = {"vera": Role.VIEWER, "lena": Role.LABELER, "emil": Role.EXPERT, "ana": Role.ADMIN}

# What everybody may ask, known or not.
OPEN = {"/login", "/logout", "/healthz", "/metrics"}
# What everybody who is known may change, since it is their own.
OWN = {
    ("DELETE", "/api/v1/session"), ("PUT", "/api/v1/account/contact"), ("PUT", "/api/v1/account/password"),
    ("POST", "/api/v1/tokens"), ("DELETE", "/api/v1/tokens/{number}"),
}  # fmt: skip


@dataclass(frozen=True)
class House:
    """Pages with accounts, as a process, and what lies behind them."""

    world: World
    pages: Pages
    tokens: dict[str, str]  # by person

    @property
    def address(self) -> str:
        return self.pages.address

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def ask(self, method: str, path: str, **words: Any) -> httpx.Response:
        return httpx.request(method, f"{self.address}{path}", timeout=20, **words)

    def shown(self, person: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[person]}"}

    def log_in(self, name: str, password: str = PASSWORD, **words: Any) -> httpx.Response:
        return self.ask("POST", "/login", data={"name": name, "password": password}, **words)

    def cookie_of(self, name: str) -> dict[str, str]:
        answer = self.log_in(name)
        assert answer.status_code == 303, answer.text
        return dict(answer.cookies)

    def add(self, name: str, role: Role = Role.VIEWER) -> accounts.Person:
        return accounts.add(self.world.store, name, role, ROOT, hashed=passwords.hashed(PASSWORD))

    def raw(self, data: bytes, *more: bytes) -> bytes:
        """What the server answers to these very bytes, to the end of the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as wire:
            wire.sendall(data)
            answer = b""
            try:
                for part in more:
                    wire.sendall(part)
                while part := wire.recv(65536):
                    answer += part
            except (ConnectionResetError, BrokenPipeError):  # it has had enough
                pass
        return answer


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    here = world(tmp_path_factory.mktemp("guarded"), web='auth = "local"')
    with here.store:
        here.see(*usual(2))
        here.beat()
        tokens = {}
        for name, role in ROLES.items():
            person = accounts.add(here.store, name, role, ROOT, hashed=passwords.hashed(PASSWORD))
            tokens[name] = passes.make_token(here.store, person, ROOT)[0]
        with Pages(here.settings) as served:
            yield House(here, served, tokens)


@pytest.fixture
def house(running: House) -> House:
    return running


# ---- every route, with nobody's and everybody's rights ----


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    from contextlib import ExitStack  # noqa: PLC0415

    with ExitStack() as stack:
        here = world(tmp_path_factory.mktemp("routes"))
        yield application(site_of(here.config, stack))


def routes(app: FastAPI) -> list[Any]:
    found = [context for context in iter_route_contexts(app.routes) if not isinstance(context.original_route, Mount)]
    assert len(found) > 10
    return found


def unguarded(app: FastAPI) -> list[str]:
    """Operations that take less of whoever asks than they should."""
    wrong = []
    for context in routes(app):
        route = context.original_route
        if not isinstance(route, APIRoute):
            wrong.append(f"{route}: is no operation that could ask for a role")
            continue
        role = role_of(context.dependant)
        for method in context.methods or ():
            if context.path in OPEN:
                continue
            own = (method, context.path) in OWN
            wanted = Role.VIEWER if method == "GET" or own else Role.LABELER
            if role is None or role < wanted:
                wrong.append(f"{method} {context.path}: takes {role and role.name}, and should take {wanted.name}")
    return wrong


def test_every_operation_asks_for_a_role(app: FastAPI) -> None:
    assert not unguarded(app)
    mounts = [route for route in app.routes if isinstance(route, Mount)]
    assert all(route.path.startswith("/static/") or "bokeh" in route.path for route in mounts), mounts


def test_an_operation_that_asks_for_none_would_be_noticed(app: FastAPI) -> None:
    before = list(app.router.routes)
    try:
        app.add_api_route("/api/v1/hole", lambda: None, methods=["GET"])
        app.add_api_route("/api/v1/other", lambda: None, methods=["DELETE"])
        assert [line.partition(":")[0] for line in unguarded(app)] == ["GET /api/v1/hole", "DELETE /api/v1/other"]
    finally:
        app.router.routes[:] = before


def operations(house: House) -> list[tuple[str, str, Role]]:
    """Every operation of the API, with something in the place of its parameters, and the role it takes."""
    document = house.ask("GET", "/api/openapi.json", headers=house.shown("ana")).json()
    found = []
    for path, item in document["paths"].items():
        for method, words in item.items():
            if path in OPEN or path == "/api/v1/events":
                continue
            found.append((method.upper(), re.sub(r"\{[^}]+\}", "1", path), Role[words["x-role"].upper()]))
    return found


def test_whoever_is_unknown_gets_nothing(house: House) -> None:
    with httpx.Client(base_url=house.address, timeout=20) as client:
        for method, path, _ in operations(house):
            answer = client.request(method, path, headers=JSON, content=b"" if method == "GET" else b"{}")
            assert answer.status_code == 401, (method, path, answer.text)
            assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get("/api/v1/events").status_code == 401
        for path in ("/", "/log", "/labeler", "/library", "/status", "/account", "/people", "/api/docs"):
            answer = client.get(path, headers={"Accept": "text/html"})
            if not path.startswith("/api"):
                assert (answer.status_code, answer.headers.get("location")) in {
                    (303, f"/login?next={path}"),
                    (404, None),
                }
            assert answer.status_code in {303, 401, 404}


def test_whoever_may_too_little_changes_nothing(house: House) -> None:
    asked = 0
    with httpx.Client(base_url=house.address, timeout=20) as client:
        for method, path, role in operations(house):
            for name, has in ROLES.items():
                if has >= role:
                    continue
                content = b"" if method == "GET" else b"{}"
                answer = client.request(method, path, headers=JSON | house.shown(name), content=content)
                assert answer.status_code == 403, (name, method, path, answer.text)
                asked += 1
    assert asked > 10


def test_a_token_governs_nobody_and_makes_no_tokens(house: House) -> None:
    ana = house.shown("ana") | JSON
    otto = accounts.find(house.world.store, "vera")
    assert otto is not None
    for method, path, body in (
        ("POST", "/api/v1/tokens", {}),
        ("POST", "/api/v1/people", {"name": "eve", "role": "admin"}),
        ("PUT", f"/api/v1/people/{otto.id}/role", {"role": "admin"}),
        ("PUT", f"/api/v1/people/{otto.id}/password", {"password": "something long enough"}),
        ("POST", f"/api/v1/people/{otto.id}/tokens", {}),
        ("DELETE", "/api/v1/tokens/1", None),
        ("PUT", "/api/v1/account/password", {"current": PASSWORD, "new": "something long enough"}),
        ("PUT", "/api/v1/account/contact", {"email": "eve@evil.example"}),
    ):
        answer = house.ask(method, path, headers=ana, content=b"" if body is None else json.dumps(body).encode())
        assert (answer.status_code, "a person does this" in answer.text) == (403, True), (path, answer.text)
    assert house.ask("GET", "/api/v1/people", headers=ana).status_code == 200


# ---- forged things ----


def test_forged_cookies_and_tokens_open_nothing(house: House) -> None:
    [(cookie, secret)] = house.cookie_of("vera").items()
    with httpx.Client(base_url=house.address, timeout=20) as client:
        good = {"Cookie": f"{cookie}={secret}"}
        assert client.get("/api/v1/session", headers=good).json()["name"] == "vera"
        for forged in ("", "x", secret[:-1], secret + "x", secret.swapcase(), "%00", "\xff" * 40, "a" * 6000):
            answer = client.get("/api/v1/session", headers={"Cookie": f"{cookie}={forged}".encode("latin-1")})
            assert answer.status_code == 401, forged
        for name in (f"__Host-{cookie}", "session", "hydrad", cookie.upper()):
            assert client.get("/api/v1/session", headers={"Cookie": f"{name}={secret}"}).status_code == 401
        token = house.tokens["vera"]
        for forged in ("", "x", token[:-1], token + "x", token.upper(), "hydrad_", "null", "\xff" * 40):
            header = f"Bearer {forged}".strip().encode("latin-1")
            answer = client.get("/api/v1/session", headers={"Authorization": header} | good)
            assert answer.status_code == 401, forged
        for header in ("X-Remote-User", "X-Forwarded-User", "Remote-User", "X-Hydrad-User"):  # nobody asked for those
            assert client.get("/api/v1/session", headers={header: "ana"}).status_code == 401


def test_forged_hosts_and_origins_are_refused(house: House) -> None:
    [(cookie, secret)] = house.cookie_of("ana").items()
    known = {"Cookie": f"{cookie}={secret}"} | JSON
    assert house.ask("GET", "/account", headers=known | {"Host": "evil.example"}).status_code == 421
    for name in ("localhost", "LOCALHOST.", f"127.0.0.1:{house.port}"):
        assert house.ask("GET", "/account", headers=known | {"Host": name}).status_code == 200
    body = json.dumps({"purpose": "mine"}).encode()
    for site in (
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": f"http://localhost:{house.port}"},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    ):  # fmt: skip
        answer = house.ask("POST", "/api/v1/tokens", headers=known | site, content=body)
        assert answer.status_code == 403, site
        assert house.log_in("ana", headers=site).status_code == 403  # nobody is logged in by another site either
    good = {"Origin": house.address, "Sec-Fetch-Site": "same-origin"}
    assert house.ask("POST", "/api/v1/tokens", headers=known | good, content=body).status_code == 201
    twice = house.raw(b"GET /account HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert twice.startswith(b"HTTP/1.1 400")
    none = house.raw(b"GET /account HTTP/1.0\r\n\r\n")
    assert none.startswith(b"HTTP/1.1 400")


def test_a_request_that_cannot_be_read_is_no_server_error(house: House) -> None:
    for data in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET /%ff%00%c0%ae HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"BREW /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\nhello",
    ):
        answer = house.raw(data)
        assert re.match(rb"HTTP/1\.1 [34]\d\d ", answer), (data[:60], answer[:200])
        assert b"Traceback" not in answer
    assert house.ask("GET", "/login").status_code == 200


# ---- large things ----


def test_a_body_that_says_it_is_too_large_is_refused_unread(house: House) -> None:
    head = "POST /api/v1/tokens HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    assert house.raw(f"{head}Content-Length: {10**12}\r\n\r\n".encode()).startswith(b"HTTP/1.1 413")


def test_a_body_that_never_ends_is_refused_when_it_is_too_large(house: House) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
    part = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    for path, kind in ((b"/api/v1/tokens", b"application/json"), (b"/login", b"application/x-www-form-urlencoded")):
        many = [part] * (BODY_BYTES // 0x10000 + 4)
        with socket.create_connection(("127.0.0.1", house.port), timeout=20) as wire:
            wire.sendall(head % (path, kind))
            try:
                for one in many:
                    wire.sendall(one)
                answer = wire.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                answer = b"HTTP/1.1 413"  # it said so, and left before all was sent
        assert answer.startswith(b"HTTP/1.1 413"), answer[:300]
    assert house.ask("GET", "/login").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"purpose": ' + b"9" * 100_000 + b"}",
        b'{"days": 1e999999}',
        b'{"days": NaN}',
        b'{"purpose": "\\ud800"}',
        b'{"purpose": "\\u0000"}',
        b'{"\\ud800": 1}',
        b"\xff\xfe\x00",
        b"\x00",
        b"nul",
        b'{"purpose": "' + b"x" * (BODY_BYTES - 100) + b'"}',
    ],
    ids=range(12),
)
def test_a_bomb_of_json_is_refused(house: House, body: bytes) -> None:
    [(cookie, secret)] = house.cookie_of("emil").items()
    began = time.monotonic()
    answer = house.ask("POST", "/api/v1/tokens", headers=JSON | {"Cookie": f"{cookie}={secret}"}, content=body)
    assert answer.status_code in {400, 422}, answer.text[:200]
    assert time.monotonic() - began < 5
    assert len(answer.content) < 2000  # what was sent is not sent back


# ---- files ----


@pytest.mark.parametrize(
    "path",
    [
        "{at}/../../../../../../etc/passwd",
        "{at}/..%2f..%2f..%2fapp.py",
        "{at}/%2e%2e/%2e%2e/app.py",
        "{at}/%2fetc/passwd",
        "{at}//etc/passwd",
        "{at}/css/%00",
        "{at}/css",
        "{at}/..\\..\\app.py",
        "/static/../web/app.py",
        "/images/../../hydra.toml",
        "/images/%2e%2e%2f%2e%2e%2fhydra.toml",
        "/images/..%5c..%5chydra.toml",
        "/api/v1/images/..%2f..%2fhydra.toml",
        "/plot/../../../etc/passwd",
        "/.env",
        "/hydra.toml",
    ],
)
def test_no_path_leads_out_of_the_house(house: House, path: str) -> None:
    raw = path.format(at=pages.AT)
    token = house.tokens["ana"]
    answer = house.raw(
        f"GET {raw} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode()
    )
    assert re.match(rb"HTTP/1\.1 (404|422) ", answer), answer[:200]
    assert b"root:" not in answer
    assert b"[hall]" not in answer


# ---- logging in ----


def test_a_login_sets_a_cookie_that_scripts_and_other_sites_cannot_use(house: House) -> None:
    answer = house.log_in("vera", cookies={f"hydrad-{house.port}": "a value that an attacker knows"})
    [said] = answer.headers.get_list("set-cookie")
    name, _, rest = said.partition("=")
    assert name == f"hydrad-{house.port}"
    assert "attacker" not in said
    assert {part.strip().lower() for part in rest.split(";")[1:]} == {"httponly", "path=/", "samesite=lax"}


def test_a_login_leads_nowhere_else(house: House) -> None:
    for there in ("//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example"):
        form = {"name": "vera", "password": PASSWORD, "next": there}
        assert house.ask("POST", "/login", data=form).headers["location"] == "/"
    led = house.ask("POST", "/login", data={"name": "vera", "password": PASSWORD, "next": "/log?run=5"})
    assert led.headers["location"] == "/log?run=5"
    [(cookie, secret)] = house.cookie_of("vera").items()
    known = {"Cookie": f"{cookie}={secret}"}
    assert house.ask("GET", "/login?next=//evil.example", headers=known).headers["location"] == "/"
    page = house.ask("GET", "/login?next=https://evil.example")
    assert "evil" not in page.text


def test_passwords_cannot_be_tried_for_ever_and_stand_in_no_log(house: House) -> None:
    house.add("fritz")
    wrong = "a wrong password of Fritz"
    answers = [house.log_in("fritz", wrong) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401] * 5
    assert all("name or password is wrong" in answer.text for answer in answers)
    for password in (wrong, PASSWORD):
        refused = house.log_in("fritz", password)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 900
        assert "too many wrong passwords: try again in 15 minutes" in refused.text
    assert house.log_in("vera").status_code == 303  # the desk is not shut to others
    log = house.pages.log.read_text()
    assert '"event": "login_refused"' in log
    assert '"person": "fritz"' in log
    assert wrong not in log
    assert PASSWORD not in log


def test_logging_out_ends_the_session_on_the_server(house: House) -> None:
    [(cookie, secret)] = house.cookie_of("lena").items()
    known = {"Cookie": f"{cookie}={secret}"}
    assert house.ask("GET", "/api/v1/session", headers=known).status_code == 200
    answer = house.ask("POST", "/logout", headers=known)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert house.ask("GET", "/api/v1/session", headers=known).status_code == 401


def test_a_changed_password_ends_every_other_session(house: House) -> None:
    house.add("paul")
    [(cookie, here)], there = house.cookie_of("paul").items(), house.cookie_of("paul")
    known = {"Cookie": f"{cookie}={here}"} | JSON
    new = {"current": PASSWORD, "new": "another long password"}
    assert house.ask("PUT", "/api/v1/account/password", headers=known, json=new | {"current": "x"}).status_code == 422
    assert house.ask("PUT", "/api/v1/account/password", headers=known, json=new | {"new": "short"}).status_code == 422
    answer = house.ask("PUT", "/api/v1/account/password", headers=known, json=new)
    assert answer.status_code == 204
    [(_, fresh)] = answer.cookies.items()
    assert house.ask("GET", "/api/v1/session", headers={"Cookie": f"{cookie}={fresh}"}).json()["name"] == "paul"
    assert house.ask("GET", "/api/v1/session", headers=known).status_code == 401
    assert house.ask("GET", "/api/v1/session", cookies=there).status_code == 401
    assert house.log_in("paul").status_code == 401
    assert house.log_in("paul", "another long password").status_code == 303


def test_whoever_is_shut_out_is_out_within_seconds(house: House) -> None:
    person = house.add("gerd", Role.LABELER)
    token, _ = passes.make_token(house.world.store, person, ROOT)
    ways = [{"Cookie": "=".join(*house.cookie_of("gerd").items())}, {"Authorization": f"Bearer {token}"}]
    for way in ways:
        assert house.ask("GET", "/api/v1/session", headers=way).status_code == 200
    accounts.set_disabled(house.world.store, person.id, ROOT, disabled=True)  # by another process, as the verb does
    until(lambda: all(house.ask("GET", "/api/v1/session", headers=way).status_code == 401 for way in ways), 5)
    assert house.log_in("gerd").status_code == 401


# ---- what every answer says ----


def test_every_answer_of_the_server_carries_the_policy_and_no_name(house: House) -> None:
    known = house.shown("ana")
    static = f"{pages.AT}/css/house.css"
    for method, path, headers in (
        ("GET", "/login", {}), ("GET", "/", {}), ("GET", "/nothing", known), ("GET", static, {}), ("HEAD", static, {}),
        ("GET", f"{pages.AT}/nothing", {}), ("GET", "/", {"Host": "evil.example"}),
        ("POST", "/login", {"Origin": "null"}),
        ("GET", "/api/v1/session", known), ("DELETE", "/login", {}), ("GET", "/api/openapi.json", known),
        ("OPTIONS", "/login", {}), ("TRACE", "/login", {}), ("GET", "/account", known),
    ):  # fmt: skip
        answer = house.ask(method, path, headers=headers)
        assert answer.status_code < 500
        assert answer.headers["x-frame-options"] == "DENY", path
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], path
        assert "'unsafe-inline'" not in answer.headers["content-security-policy"].partition("style-src")[0]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "permissions-policy" in answer.headers
        assert "server" not in answer.headers
        assert not [key for key in answer.headers if key.startswith("access-control")]
    assert "immutable" in house.ask("GET", static).headers["cache-control"]


def test_head_is_get_without_a_body_and_other_methods_are_named(house: House) -> None:
    known = house.shown("ana")
    got, head = (house.ask(method, "/account", headers=known) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(got.content))
    for method in ("PUT", "OPTIONS", "TRACE", "PATCH"):
        answer = house.ask(method, "/account", headers=known)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET"), method


def test_a_page_of_a_fault_is_for_people_and_json_for_programs(house: House) -> None:
    page = house.ask("GET", "/nothing", headers=house.shown("ana") | {"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no such page" in page.text
    for path in ("/nothing", "/api/v1/nothing"):
        answer = house.ask("GET", path, headers=house.shown("ana"))
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


# ---- the single sign-on ----


def test_the_proxys_header_is_believed_over_the_wire_from_the_proxy_only(tmp_path: Path) -> None:
    believed = world(tmp_path / "believed", web='auth = "proxy"\ndefault_role = "labeler"')
    strange = world(tmp_path / "strange", web='auth = "proxy"\nproxy_from = ["10.99.0.1"]')
    with believed.store, strange.store:
        accounts.add(believed.store, "otto", Role.EXPERT, ROOT)
        with Pages(believed.settings) as near, Pages(strange.settings) as far:

            def asks(address: str, *headers: tuple[str, str]) -> tuple[int, Any]:
                answer = httpx.get(f"{address}/api/v1/session", headers=list(headers), timeout=20)
                return answer.status_code, answer.json()

            otto, heard = ("X-Remote-User", "otto"), ("X-Forwarded-For", "10.1.2.3")
            status, said = asks(near.address, otto, heard)
            assert (status, said["name"], said["role"], said["host"]) == (200, "otto", "expert", "10.1.2.3")
            status, said = asks(near.address, ("x-remote-user", "nova"))
            assert (status, said["name"], said["role"], said["way"]) == (200, "nova", "labeler", "proxy")
            assert asks(near.address)[0] == 401
            assert asks(near.address, otto, otto)[0] == 401
            assert asks(near.address, otto, ("X-Remote-User", "admin"))[0] == 401
            # Whoever is not the proxy does not become it by saying so.
            for forged in ("10.99.0.1", "127.0.0.1", "10.99.0.1, 10.99.0.1"):
                assert asks(far.address, otto, ("X-Forwarded-For", forged))[0] == 401
            assert asks(far.address)[0] == 401
            assert '"event": "header_refused"' in far.log.read_text()
            assert "hydrad people add NAME --role admin" in near.log.read_text()
