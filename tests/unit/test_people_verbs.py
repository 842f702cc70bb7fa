"""`hydrad people`: accounts and tokens, from the command line."""

from __future__ import annotations

import getpass
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from hydrad import cli
from hydrad.domain import Role
from hydrad.store import schema
from hydrad.store.people import accounts, passes
from hydrad.store.queries import Store
from hydrad.web.doors import passwords

TOML = '[beam]\nkind = "fixed"\n[web]\nauth = "local"\n'
PASSWORD = "correct horse battery"  # noqa: S105  of accounts that live as long as a test

Said = tuple[int, str, str]
Run = Callable[..., Said]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    (tmp_path / "hydra.toml").write_text(TOML)
    monkeypatch.setenv("HYDRA_CONFIG", str(tmp_path / "hydra.toml"))
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    url = f"sqlite:///{tmp_path / 'hydra.db'}"
    schema.upgrade(url)
    with Store(url) as opened:
        yield opened


@pytest.fixture
def run(store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:  # noqa: ARG001
    """Run `hydrad people …`: its exit status, what it said, and its complaints."""

    def act(*words: object, stdin: str = "") -> Said:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        status = cli.main(["people", *map(str, words)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return act


class Terminal(io.StringIO):
    """Standard input that somebody sits at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch, run: Run, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:  # noqa: ARG001
    """The same at a terminal, where these passwords are typed one after the other."""

    def act(words: Sequence[str], *typed: str) -> Said:
        left = list(typed)
        monkeypatch.setattr("sys.stdin", Terminal(""))
        monkeypatch.setattr(getpass, "getpass", lambda _: left.pop(0))
        status = cli.main(["people", *words])
        assert not left
        said = capsys.readouterr()
        return status, said.out, said.err

    return act


def find(store: Store, name: str) -> accounts.Person:
    person = accounts.find(store, name)
    assert person is not None
    return person


def opens(store: Store, name: str, password: str) -> bool:
    lock = accounts.lock_of(store, name)
    return lock is not None and passwords.fits(lock.hashed, password)


def test_a_password_comes_from_the_first_line_of_standard_input(run: Run, store: Store) -> None:
    words = ("add", "ana", "--role", "admin", "--email", "ana@example.org")
    assert run(*words, stdin=f"{PASSWORD}\r\nmore\n") == (0, "", "")
    ana = find(store, "ana")
    assert (ana.role, ana.email) == (Role.ADMIN, "ana@example.org")
    assert opens(store, "ana", PASSWORD)
    [change] = accounts.changes(store)
    assert (change.what, change.by.person, change.by.via) == ("added as admin", getpass.getuser(), "cli")


def test_at_a_terminal_a_password_is_typed_twice(typing: Callable[..., Said], store: Store) -> None:
    assert typing(["add", "ana"], PASSWORD, PASSWORD) == (0, "", "")
    assert opens(store, "ana", PASSWORD)
    status, _, complaint = typing(["add", "otto"], PASSWORD, PASSWORD + "x")
    assert (status, complaint) == (2, "hydrad: the two are not the same\n")
    status, _, complaint = typing(["add", "otto"], "short")  # and is not asked for again
    assert status == 2
    assert "at least 10 letters" in complaint
    assert accounts.find(store, "otto") is None


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("add", "ana"), "ana has an account already"),
        (("add", "ANA"), "ana has an account already"),
        (("add", "a,b"), "a name has no comma"),
        (("add", "otto", "--email", "nowhere"), "an e-mail address has the form"),
        (("password", "otto"), "nobody is called otto"),
        (("password", "ana"), "a password has at least 10 letters"),
        (("role", "otto", "--role", "admin"), "nobody is called otto"),
        (("role", "ana", "--role", "viewer"), "ana is the last admin"),
        (("disable", "ana"), "ana is the last admin"),
        (("disable", "a\x07b"), "nobody is called a\\x07b"),
        (("enable", "otto"), "nobody is called otto"),
        (("token", "otto"), "nobody is called otto"),
        (("token", "ana", "--days", "1e9"), "a token ends within 3650 days"),
        (("revoke", "7"), "there is no token number 7"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(run: Run, store: Store, words: Sequence[str], complaint: str) -> None:
    run("add", "ana", "--role", "admin", "--no-password")
    known = len(accounts.changes(store))
    status, out, said = run(*words, stdin="short\n" if words[0] == "password" else f"{PASSWORD}\n")
    assert (status, out) == (2, "")
    assert complaint in said
    assert "Traceback" not in said
    assert len(accounts.changes(store)) == known


def test_role_password_disable_and_enable_do_what_they_say(run: Run, store: Store) -> None:
    run("add", "otto", stdin=PASSWORD)
    lock = accounts.lock_of(store, "otto")
    assert lock is not None
    assert run("role", "otto", "--role", "expert") == (0, "", "")
    assert find(store, "otto").role is Role.EXPERT
    assert run("password", "otto", stdin="another long word\n") == (0, "", "")
    assert opens(store, "otto", "another long word")
    assert not opens(store, "otto", PASSWORD)
    assert run("disable", "otto") == (0, "", "")
    assert find(store, "otto").disabled
    assert run("enable", "otto") == (0, "", "")
    assert not find(store, "otto").disabled
    assert len(accounts.changes(store)) == 5


def test_a_token_is_printed_once_alone_on_standard_output(run: Run, store: Store) -> None:
    run("add", "robot", "--role", "expert", "--no-password")
    status, out, note = run("token", "robot", "--role", "viewer", "--purpose", "grafana", "--days", "30")
    assert status == 0
    assert note == "token 1, viewer; it cannot be read again:\n"
    found = passes.token(store, out.removesuffix("\n"))
    assert found is not None
    assert (found.purpose, found.role, found.person.name) == ("grafana", Role.VIEWER, "robot")
    assert run("token", "robot", "--role", "admin")[0] == 2
    assert run("revoke", "1") == (0, "", "")
    assert passes.token(store, out.removesuffix("\n")) is None
    assert run("revoke", "1")[0] == 2


def test_list_tells_people_and_their_tokens(run: Run, store: Store) -> None:
    run("add", "ana", "--role", "admin", stdin=PASSWORD)
    run("add", "robot", "--no-password")
    run("add", "otto", "--role", "labeler", "--email", "otto@example.org", stdin=PASSWORD)
    run("disable", "otto")
    secret = run("token", "robot", "--purpose", "grafana")[1].strip()
    run("token", "ana")
    run("revoke", "2")
    status, out, _ = run("list")
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["name", "role", "state", "e-mail", "since"]
    assert lines[1][:3] == ["ana", "admin", "-"]
    assert lines[2][:4] == ["otto", "labeler", "disabled", "otto@example.org"]
    assert lines[3][:4] == ["robot", "viewer", "no", "password"]
    assert lines[6][:4] == ["1", "robot", "viewer", "valid"]
    assert lines[7][:4] == ["2", "ana", "admin", "revoked"]
    assert secret not in out
    rows = [json.loads(line) for line in run("list", "--json")[1].splitlines()]
    assert [row["name"] for row in rows] == ["ana", "otto", "robot"]
    robot: dict[str, Any] = rows[2]
    assert robot["tokens"] == [
        {"id": 1, "purpose": "grafana", "role": "viewer", "state": "valid", "expires_at": None, "used_at": None}
    ]
    assert robot["has_password"] is False
    assert "argon2" not in json.dumps(rows)
    assert accounts.everybody(store)
