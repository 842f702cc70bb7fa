"""A password is given, used, wrong or refused, and stands in no output, log, page or process list."""

from __future__ import annotations

import json
import os
import secrets
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import mariadb
import psutil
import pytest
from browsing import Pages
from daemon import FIXED_BEAM, Daemon

from hydrad import cli, password
from hydrad.config import load
from hydrad.domain import Role
from hydrad.errors import StoreAway
from hydrad.store import schema
from hydrad.store.models.registry import Who
from hydrad.store.people import accounts, passes
from hydrad.store.queries import Store
from hydrad.web.doors import passwords

pytestmark = [pytest.mark.system, pytest.mark.mariadb]

VERBS = (("db", "upgrade"), ("check", "--json"), ("status",), ("db", "status", "--json"), ("people", "list"))


@dataclass
class Secret:
    """An account of a server, with a password that is found wherever it turns up."""

    server: mariadb.MariaDB
    url: str  # without the password
    database: str
    user: str
    word: str

    def change(self) -> None:
        """From now on it is another."""
        self.server.execute(f"ALTER USER {self.user}@localhost IDENTIFIED BY '{secrets.token_hex(8)}'")
        self.server.execute(f"KILL USER {self.user}@localhost")


@pytest.fixture
def secret(mariadb_server: mariadb.MariaDB) -> Iterator[Secret]:
    made = mariadb_server.create()
    user, word = f"u{secrets.token_hex(4)}", f"xyzzy-{secrets.token_hex(8)}"
    mariadb_server.execute(f"CREATE USER {user}@localhost IDENTIFIED BY '{word}'")
    mariadb_server.execute(f"GRANT ALL ON {made.database}.* TO {user}@localhost")
    url = f"mysql+mysqldb://{user}@localhost/{made.database}?unix_socket={mariadb_server.socket}"
    yield Secret(mariadb_server, url, str(made.database), user, word)
    mariadb_server.execute(f"DROP USER {user}@localhost")
    mariadb_server.drop(made)


def configured(home: Path, url: str, way: str, word: str, patch: pytest.MonkeyPatch) -> Path:
    """A configuration whose password comes this way."""
    for name in ("HYDRA_DB_PASSWORD", "CREDENTIALS_DIRECTORY", "HYDRA_DB_USER"):
        patch.delenv(name, raising=False)
    more = ""
    match way:
        case "file":
            (home / "password").write_text(f"{word}\n")
            (home / "password").chmod(0o600)
            more = 'password_file = "password"\n'
        case "credential":
            (home / "hydrad-db-password").write_text(word)
            patch.setenv("CREDENTIALS_DIRECTORY", str(home))
        case _:
            patch.setenv("HYDRA_DB_PASSWORD", word)
    file = home / "hydra.toml"
    file.write_text(f'[store]\nurl = "{url}"\n{more}[ioc]\nport = 59\n{FIXED_BEAM}[classify]\nkind = "fixed"\n')
    return file


@pytest.mark.parametrize("way", ["file", "credential", "environment"])
def test_no_verb_tells_a_password_whether_it_is_right_or_wrong_or_nobody_answers(
    way: str, secret: Secret, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong, absent = f"{secret.word}-wrong", secret.url.rpartition("=")[0] + "=/nonexistent/socket"
    answered = set()
    for url, word in ((secret.url, secret.word), (secret.url, wrong), (absent, secret.word)):
        file = configured(tmp_path, url, way, word, monkeypatch)
        for verb in VERBS:
            answered.add(cli.main([*verb, "-c", str(file)]))
    with Store(load(file).store_url()) as store, pytest.raises(StoreAway) as away:
        store.standings()
    traced = "".join(traceback.format_exception(away.value))
    told = "".join(capfd.readouterr())
    assert answered == {0, 1}
    assert "Access denied" in told
    assert "/nonexistent/socket" in told
    assert secret.word not in told + traced


@pytest.mark.parametrize(
    "url",
    ["mysql+mysqldb://u:{}@localhost/h", "mysql+mysqldb://u@localhost/h?password={}", "mysql://u:{}@[/h", "u:{}@h"],
)
def test_a_password_that_somebody_wrote_into_the_url_is_not_repeated(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = configured(tmp_path, url.format("xyzzy-in-url"), "environment", "x", monkeypatch)
    for verb in (*VERBS, ("run",), ("web",)):
        assert cli.main([*verb, "-c", str(file)]) == 2
    told = "".join(capfd.readouterr())
    assert "store.url" in told
    assert "xyzzy" not in told


def test_daemon_and_pages_keep_every_secret_to_themselves(
    secret: Secret, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"HYDRA_DB_PASSWORD": secret.word}
    with Daemon(tmp_path, url=secret.url, scores={"Good": 0.9, "Bad": 0.1}, environment=own) as hydrad:
        monkeypatch.setenv("HYDRA_DB_PASSWORD", secret.word)
        url = load(hydrad.settings).store_url()
        schema.upgrade(url)
        spoken, me = f"spoken-{secrets.token_hex(8)}", Who("root", "here", "cli")
        with Store(url) as store:
            person = accounts.add(store, "otto", Role.ADMIN, me, hashed=passwords.hashed(spoken))
            token = passes.make_token(store, person, me)[0]
        monkeypatch.delenv("HYDRA_DB_PASSWORD")
        credentials = tmp_path / "credentials"
        credentials.mkdir()
        (credentials / "hydrad-db-password").write_text(secret.word)
        hydrad.settings.write_text(hydrad.settings.read_text() + '\n[web]\nauth = "local"\n')
        hydrad.start()
        with Pages(hydrad.settings, environment={"CREDENTIALS_DIRECTORY": str(credentials)}) as pages:
            client = httpx.Client(base_url=pages.address, timeout=30)
            with client:
                assert client.post("/login", data={"name": "otto", "password": spoken}).status_code == 303
                [cookie] = client.cookies.values()
                words = {secret.word, spoken, token, cookie}
                bearer = {"Authorization": f"Bearer {token}"}
                before = _asked(client, bearer)
                lines = _command_lines(hydrad.pid, pages.process.pid)
                secret.change()
                after = _asked(client, bearer)
            assert "does not answer" in after
            hydrad.until(lambda: "Access denied" in hydrad.log.read_text(), 60)
            logs = pages.log.read_text() + hydrad.log.read_text()
        for where, text in {"pages": before + after, "process list": lines, "logs": logs}.items():
            for word in words:
                assert word not in text, where


def test_a_child_is_handed_the_passwords_it_needs_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("db", "logbook", "mail"):
        monkeypatch.setenv(password.variable(name), "xyzzy")
    assert {key for key, value in password.environment("db").items() if value == "xyzzy"} == {"HYDRA_DB_PASSWORD"}
    assert "xyzzy" not in json.dumps(password.environment())
    assert set(os.environ) - set(password.environment("db")) == {"HYDRA_LOGBOOK_PASSWORD", "HYDRA_MAIL_PASSWORD"}


def _asked(client: httpx.Client, bearer: dict[str, str]) -> str:
    """All that is answered, pages and API, to one who is known and to one who is not."""
    paths = ("/", "/log", "/status", "/library", "/people", "/api/v1/plots", "/api/v1/people", "/healthz", "/metrics")
    answers = [client.get(path, headers={"Accept": "text/html"}) for path in (*paths, "/api/openapi.json", "/absent")]
    answers += [httpx.get(f"{client.base_url}{path}", headers=bearer, timeout=30) for path in paths]
    return "\n".join(f"{answer.headers}{answer.text}" for answer in answers)


def _command_lines(*parents: int) -> str:
    found = [psutil.Process(pid) for pid in parents]
    everybody = found + [child for one in found for child in one.children(recursive=True)]
    return "\n".join(" ".join(one.cmdline()) for one in everybody)
