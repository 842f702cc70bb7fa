"""Who asks, from where, and how often a password may be tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from web_world import World, world

from hydrad.config import Web
from hydrad.domain import Role
from hydrad.errors import ChangeRefused, ConfigurationError
from hydrad.store.models.registry import Who
from hydrad.store.people import accounts, passes
from hydrad.store.people.accounts import Person
from hydrad.web.doors import gates, passwords, patience
from hydrad.web.doors.gates import LocalGate, ProxyGate, WrongPassword
from hydrad.web.doors.patience import Patience, TooOften
from hydrad.web.doors.peers import Peers
from hydrad.web.doors.visitors import NotAllowed, OpenGate, Unknown, Visitor
from hydrad.web.people.account import local

ROOT = Who("root", "counting-1", "cli")
PASSWORD = "correct horse battery"  # noqa: S105  of accounts that live as long as a test


def request(peer: str = "127.0.0.1", **headers: str | list[str]) -> Request:
    raw = [
        (key.replace("_", "-").lower().encode(), one.encode("utf-8"))
        for key, value in headers.items()
        for one in ([value] if isinstance(value, str) else value)
    ]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw, "client": (peer, 5)})


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    made = world(tmp_path)
    with made.store:
        yield made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> PasswordHasher:
    """Passwords are kept with little effort, so that tests are quick."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", hasher)
    passwords._nobodys.cache_clear()
    return hasher


def add(here: World, name: str, role: Role = Role.VIEWER, password: str | None = PASSWORD) -> Person:
    hashed = None if password is None else passwords.hashed(password)
    return accounts.add(here.store, name, role, ROOT, hashed=hashed)


def cookie(gate: LocalGate, secret: str) -> dict[str, str]:
    return {"cookie": f"{gate.cookie}={secret}"}


# ---- where from ----


@pytest.mark.parametrize(
    ("web", "peer", "said", "host"),
    [
        ({"auth": "proxy"}, "127.0.0.1", "10.1.2.3", "10.1.2.3"),
        ({"auth": "proxy"}, "::ffff:127.0.0.1", "10.1.2.3", "10.1.2.3"),
        ({"auth": "proxy"}, "127.0.0.1", "10.9.9.9, 10.1.2.3", "10.1.2.3"),  # what the browser made up stands left
        ({"auth": "proxy"}, "127.0.0.1", ["6.6.6.6", "10.1.2.3"], "10.1.2.3"),
        ({"auth": "proxy"}, "127.0.0.1", "10.1.2.3, 127.0.0.1", "10.1.2.3"),  # two proxies
        ({"auth": "proxy"}, "127.0.0.1", "2001:db8::7", "2001:db8::7"),
        ({"auth": "proxy"}, "127.0.0.1", "nonsense", "127.0.0.1"),
        ({"auth": "proxy"}, "127.0.0.1", "10.1.2.3, nonsense", "127.0.0.1"),
        ({"auth": "proxy"}, "127.0.0.1", [], "127.0.0.1"),
        ({"auth": "proxy"}, "10.1.2.3", "127.0.0.1", "10.1.2.3"),  # a stranger says it is the proxy
        ({"auth": "proxy", "proxy_from": ("10.1.0.0/16",)}, "10.1.2.3", "6.6.6.6", "6.6.6.6"),
        ({"auth": "proxy", "proxy_from": ("10.1.0.0/16",)}, "127.0.0.1", "6.6.6.6", "127.0.0.1"),
        ({"auth": "local", "https": True}, "127.0.0.1", "10.1.2.3", "10.1.2.3"),
        ({"auth": "local"}, "127.0.0.1", "10.1.2.3", "127.0.0.1"),  # there is no proxy: anybody may say so
    ],
)
def test_a_proxy_says_whom_it_heard_and_nobody_else_does(
    web: dict[str, Any], peer: str, said: str | list[str], host: str
) -> None:
    assert Peers(Web(**web)).host_of(request(peer, x_forwarded_for=said)) == host


def test_a_proxy_that_is_no_address_is_told_by_its_key() -> None:
    with pytest.raises(ConfigurationError, match=r"web\.proxy_from: '\*' is neither"):
        Peers(Web(proxy_from=("127.0.0.1", "*", "10.0.0.0/99")))


# ---- patience ----


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def wrong(one: Patience, name: str, host: str, times: int = 1) -> None:
    for _ in range(times):
        one.spend(name, host)


def test_five_wrong_passwords_at_one_desk_are_enough() -> None:
    clock = Clock()
    one = Patience(clock)
    wrong(one, "otto", "10.0.0.1", 5)
    with pytest.raises(TooOften, match="try again in 15 minutes") as told:
        one.spend("otto", "10.0.0.1")
    assert told.value.wait_s == 900
    one.spend("otto", "10.0.0.2")  # from another desk he comes in
    one.spend("zoe", "10.0.0.1")  # and others from his
    clock.now += 899.5
    with pytest.raises(TooOften, match="1 seconds"):
        one.spend("otto", "10.0.0.1")
    clock.now += 1
    wrong(one, "otto", "10.0.0.1", 5)


def test_refused_tries_do_not_lengthen_the_wait() -> None:
    clock = Clock()
    one = Patience(clock)
    wrong(one, "otto", "10.0.0.1", 5)
    for _ in range(50):
        clock.now += 18
        if clock.now < 1900:
            with pytest.raises(TooOften):
                one.spend("otto", "10.0.0.1")
    one.spend("otto", "10.0.0.1")


def test_one_password_tried_on_many_names_is_noticed() -> None:
    one = Patience(Clock())
    for n in range(20):
        one.spend(f"person-{n}", "10.0.0.1")
    with pytest.raises(TooOften):
        one.spend("otto", "10.0.0.1")
    one.spend("otto", "10.0.0.2")


def test_many_addresses_at_one_name_keep_its_person_out_for_a_minute_at_most() -> None:
    clock = Clock()
    one = Patience(clock)
    for n in range(10):
        one.spend("otto", f"10.0.{n}.1")
    with pytest.raises(TooOften) as told:
        one.spend("otto", "10.1.0.1")
    assert told.value.wait_s <= 60
    clock.now += 60
    one.spend("otto", "10.1.0.1")


def test_a_right_password_clears_its_name_and_not_its_address() -> None:
    one = Patience(Clock())
    for _ in range(5):  # somebody with an account of their own does not buy tries on others' with it
        wrong(one, "otto", "10.0.0.1")
        one.spend("eve", "10.0.0.1")
        one.forgive("eve", "10.0.0.1")
    with pytest.raises(TooOften):
        one.spend("otto", "10.0.0.1")
    one.forgive("otto", "10.0.0.1")
    wrong(one, "otto", "10.0.0.1", 5)


def test_the_addresses_of_one_ipv6_site_count_as_one() -> None:
    one = Patience(Clock())
    for n in range(5):
        one.spend("otto", f"2001:db8::{n:x}")
    with pytest.raises(TooOften):
        one.spend("otto", "2001:db8::ffff")
    one.spend("otto", "2001:db8:0:1::1")
    wrong(one, "zoe", "10.0.0.1", 5)
    with pytest.raises(TooOften):
        one.spend("zoe", "::ffff:10.0.0.1")


def test_memory_stays_bounded() -> None:
    one = Patience(Clock())
    for n in range(3 * patience.COUNTS):
        one.spend(f"person-{n}", f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert len(one._wrong) <= patience.COUNTS


# ---- passwords ----


def test_a_password_fits_itself_and_nothing_else() -> None:
    kept = passwords.hashed(PASSWORD)
    assert kept.startswith("$argon2id$")
    assert passwords.fits(kept, PASSWORD)
    for other in ("", PASSWORD + " ", PASSWORD.upper(), "\x00", "\udcff" * 12):
        assert not passwords.fits(kept, other)
    assert not passwords.fits(None, PASSWORD)
    assert not passwords.fits("no hash", PASSWORD)
    assert not passwords.outdated(kept)
    assert passwords.outdated(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD))


@pytest.mark.parametrize("weak", ["", "short", "x" * 9, "aaaaaaaaaaaa", "abababababab", "otto-the-great", "x" * 1025])
def test_a_weak_password_is_refused_and_not_repeated(weak: str) -> None:
    with pytest.raises(ChangeRefused) as told:
        passwords.require_strong(weak, "Otto-The-Great")
    assert len(weak) < 5 or weak not in str(told.value)


# ---- logging in ----


def test_a_right_password_opens_a_session_and_a_wrong_one_says_nothing(here: World, quick: object) -> None:  # noqa: ARG001
    add(here, "otto", Role.LABELER)
    gate = LocalGate(Web(auth="local"), here.store)
    secret = gate.log_in(request("10.0.0.7"), "otto", PASSWORD)
    assert gate.whom(request("10.0.0.8", **cookie(gate, secret))) == Visitor(
        "otto", Role.LABELER, "10.0.0.8", "session"
    )
    assert gate.whom(request()) is None
    assert gate.whom(request(cookie=f"{gate.cookie}=forged")) is None
    add(here, "robot", password=None)
    gone = add(here, "gone")
    accounts.set_disabled(here.store, gone.id, ROOT, disabled=True)
    said = set()
    with capture_logs() as lines:
        for name, password in (("otto", "wrong"), ("nobody", PASSWORD), ("robot", PASSWORD), ("gone", PASSWORD)):
            with pytest.raises(WrongPassword) as told:
                gate.log_in(request(), name, password)
            said.add(str(told.value))
    assert len(said) == 1
    assert [line["why"] for line in lines] == ["wrong_password", "unknown_name", "wrong_password", "disabled"]
    assert lines[1]["person"] is None  # it may be a password in the wrong field
    assert PASSWORD not in repr(lines)


def test_a_login_never_takes_up_a_session_that_was_there(here: World, quick: object) -> None:  # noqa: ARG001
    add(here, "otto")
    gate = LocalGate(Web(auth="local"), here.store)
    planted = "a value that an attacker knows"
    secret = gate.log_in(request(**cookie(gate, planted)), "otto", PASSWORD)
    assert secret != planted
    assert gate.whom(request(**cookie(gate, planted))) is None
    second = gate.log_in(request(**cookie(gate, secret)), "otto", PASSWORD)
    assert gate.whom(request(**cookie(gate, secret))) is None
    assert gate.whom(request(**cookie(gate, second))) is not None


def test_an_old_hash_is_renewed_by_the_next_login(
    here: World, quick: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(here, "otto")
    old = accounts.lock_of(here.store, "otto")
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    gate = LocalGate(Web(auth="local"), here.store)
    gate.log_in(request(), "otto", PASSWORD)
    new = accounts.lock_of(here.store, "otto")
    assert old is not None
    assert new is not None
    assert new.hashed != old.hashed
    assert quick.check_needs_rehash(new.hashed or "")
    gate.log_in(request(), "otto", PASSWORD)
    assert accounts.lock_of(here.store, "otto") == new


def test_the_sixth_try_is_not_made(here: World, quick: object) -> None:  # noqa: ARG001
    add(here, "otto")
    gate = LocalGate(Web(auth="local"), here.store)
    for _ in range(5):
        with pytest.raises(WrongPassword):
            gate.log_in(request("10.0.0.7"), "otto", "wrong")
    with pytest.raises(TooOften):
        gate.log_in(request("10.0.0.7"), "otto", PASSWORD)
    assert gate.log_in(request("10.0.0.8"), "otto", PASSWORD)


def test_encrypted_pages_have_a_cookie_that_no_other_host_can_set(here: World) -> None:
    assert LocalGate(Web(auth="local", https=True), here.store).cookie == "__Host-hydrad-8000"
    assert LocalGate(Web(auth="local", port=9000), here.store).cookie == "hydrad-9000"


def test_what_was_seen_a_moment_ago_is_not_asked_again_and_is_forgotten_when_told(here: World, quick: object) -> None:  # noqa: ARG001
    otto = add(here, "otto")
    gate = LocalGate(Web(auth="local"), here.store)
    asked = request(**cookie(gate, gate.log_in(request(), "otto", PASSWORD)))
    assert gate.whom(asked) is not None
    accounts.set_disabled(here.store, otto.id, ROOT, disabled=True)
    gate.forget()
    assert gate.whom(asked) is None


def test_only_so_many_are_remembered(here: World) -> None:  # noqa: ARG001
    recent = gates._Recent()
    for n in range(2 * gates.REMEMBERED):
        recent.ask(n, lambda: ("otto", Role.VIEWER))
    assert len(recent._known) == gates.REMEMBERED


# ---- tokens ----


@pytest.mark.parametrize("auth", ["local", "proxy"])
def test_a_token_stands_for_its_person_and_a_bad_one_for_nobody(here: World, auth: str) -> None:
    otto = add(here, "otto", Role.EXPERT, None)
    secret, token = passes.make_token(here.store, otto, ROOT, role=Role.LABELER)
    gate = (LocalGate if auth == "local" else ProxyGate)(Web(auth=auth), here.store)  # type: ignore[arg-type]
    for scheme in ("Bearer", "bearer", "BEARER"):
        known = gate.whom(request("10.0.0.7", authorization=f"{scheme} {secret}"))
        assert known == Visitor("otto", Role.LABELER, "10.0.0.7", "token")
    accounts.set_role(here.store, otto.id, Role.VIEWER, ROOT)
    gate.forget()
    known = gate.whom(request(authorization=f"Bearer {secret}"))
    assert known is not None
    assert known.role is Role.VIEWER
    for bad in ("Bearer", "Bearer ", "Bearer x", f"Bearer {secret}x", f"Bearer {secret} {secret}"):
        with pytest.raises(Unknown):
            gate.whom(request(authorization=bad))
    with pytest.raises(Unknown, match="twice"):
        gate.whom(request(authorization=[f"Bearer {secret}", f"Bearer {secret}"]))
    assert gate.whom(request(authorization="Basic b3R0bzp4")) is None
    passes.revoke(here.store, token.id, ROOT)
    gate.forget()
    with pytest.raises(Unknown):
        gate.whom(request(authorization=f"Bearer {secret}"))


def test_a_bad_token_hides_a_good_session(here: World, quick: object) -> None:  # noqa: ARG001
    add(here, "otto")
    gate = LocalGate(Web(auth="local"), here.store)
    good = cookie(gate, gate.log_in(request(), "otto", PASSWORD))
    assert gate.whom(request(**good)) is not None
    with pytest.raises(Unknown):
        gate.whom(request(**good, authorization="Bearer hydrad_forged"))


# ---- the single sign-on ----


def test_the_proxys_header_is_believed_from_the_proxy_only(here: World) -> None:
    add(here, "otto", Role.ADMIN, None)
    gate = ProxyGate(Web(auth="proxy", default_role="labeler"), here.store)
    said = {"x_remote_user": "otto", "x_forwarded_for": "10.0.0.7"}
    assert gate.whom(request("127.0.0.1", **said)) == Visitor("otto", Role.ADMIN, "10.0.0.7", "proxy")
    for stranger in ("10.0.0.7", "::2", "", "127.0.0.2"):
        with pytest.raises(Unknown, match="from the proxy only"):
            gate.whom(request(stranger, **said))
        with pytest.raises(Unknown, match="from the proxy only"):
            gate.whom(request(stranger, x_remote_user="otto", x_forwarded_for="127.0.0.1"))
    unknown = gate.whom(request(x_remote_user="zoë"))
    assert unknown == Visitor("zoë", Role.LABELER, "127.0.0.1", "proxy")
    assert gate.whom(request()) is None


def test_a_header_that_names_two_or_nobody_is_refused(here: World) -> None:
    gate = ProxyGate(Web(auth="proxy"), here.store)
    for said in (["otto", "otto"], ["otto", "admin"], "", "otto, admin", "x" * 65, "a\x00b", " otto"):
        with pytest.raises(Unknown):
            gate.whom(request(x_remote_user=said))
    raw = Request({"type": "http", "headers": [(b"x-remote-user", b"\xff\xfe")], "client": ("127.0.0.1", 5)})
    with pytest.raises(Unknown):
        gate.whom(raw)


def test_whom_the_proxy_names_may_be_shut_out(here: World) -> None:
    otto = add(here, "otto", Role.EXPERT, None)
    accounts.set_disabled(here.store, otto.id, ROOT, disabled=True)
    with pytest.raises(NotAllowed, match="the account of otto is disabled"):
        ProxyGate(Web(auth="proxy"), here.store).whom(request(x_remote_user="otto"))


# ---- the choice ----


def test_the_configuration_chooses_the_gate_and_an_empty_house_is_told(here: World, quick: object) -> None:  # noqa: ARG001
    assert isinstance(gates.gate(Web(), here.store), OpenGate)
    with capture_logs() as lines:
        assert isinstance(gates.gate(Web(auth="local"), here.store), LocalGate)
        assert isinstance(gates.gate(Web(auth="proxy"), here.store), ProxyGate)
    assert [line["mend"] for line in lines] == [
        "hydrad people add NAME --role admin",
        "hydrad people add NAME --role admin --no-password",
    ]
    add(here, "robot", Role.ADMIN, None)
    add(here, "otto", Role.EXPERT)
    with capture_logs() as lines:
        gates.gate(Web(auth="proxy"), here.store)
        gates.gate(Web(auth="local"), here.store)
    assert [line["event"] for line in lines] == ["nobody_governs"]  # an admin without a password cannot log in
    add(here, "ana", Role.ADMIN)
    with capture_logs() as lines:
        gates.gate(Web(auth="local"), here.store)
    assert not lines


# ---- where a login leads ----


@pytest.mark.parametrize(
    "there", ["/", "/log?run=5&plot=a%20b", "/plot/CDC_occupancy", "/plot/Faraday%20Cup", "/a//b", "/x?u=http://a"]
)
def test_a_login_leads_on(there: str) -> None:
    assert local(there) == there


@pytest.mark.parametrize(
    "there",
    [
        "", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "http://evil.example",
        "https:evil.example", "javascript:alert(1)", "evil.example", "/\t/evil.example", "/\n/evil.example", "\t//evil",
        " //evil", "/ /evil", "//[", "/login", "/login?next=/login", "/\x00", "data:text/html,x",
    ],
)  # fmt: skip
def test_a_login_leads_nowhere_else(there: str) -> None:
    assert local(there) == "/"


@given(st.text(max_size=60))
def test_a_login_leads_to_a_path_of_this_site_whatever_is_asked(there: str) -> None:
    led = local(there)
    assert led.startswith("/")
    assert not led.startswith(("//", "/\\"))
    assert not set(led) & set("\\\t\r\n")
