"""The how-to's accounts in the data base: each process has enough with its own, and nothing that it has no use for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import mariadb
import MySQLdb
import numpy as np
import pytest
from browsing import Pages
from daemon import FIXED_BEAM, Daemon
from databases import started
from PIL import Image
from sqlalchemy import URL
from store_world import entry_of, later, verdict_of

from hydrad.domain import Role, Status
from hydrad.errors import StoreAway
from hydrad.store import grants, purging, schema
from hydrad.store.forgetting import Forgetting
from hydrad.store.grants import Part
from hydrad.store.labels import labelling
from hydrad.store.models import registry, trainings
from hydrad.store.models.registry import Who
from hydrad.store.packing import ImageFacts, Parcel
from hydrad.store.people import accounts
from hydrad.store.queries import Store
from hydrad.store.tables import ModelState, TrainingState
from hydrad.web.doors import passwords

pytestmark = [pytest.mark.system, pytest.mark.mariadb]

PAGE = Path(__file__).parents[2] / "docs/how-to/counting-house-host.md"
SQL = re.search(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
PASSWORDS = {**dict(re.findall(r"USER (\w+)@localhost IDENTIFIED BY '([^']+)'", SQL)), "looker": "password-of-a-reader"}
ROOT = Who("root", "counting-1", "cli")
SECTIONS = '[web]\nauth = "local"\ntrains = false\n[train]\nwidth = 32\nheight = 32\nepochs = 1\nthreads = 1\nfew = 2\n'
SPOKEN = "a password that people know"


def account(name: str) -> dict[str, str]:
    return {"HYDRA_DB_USER": name, "HYDRA_DB_PASSWORD": PASSWORDS[name]}


@dataclass
class Hall:
    """A hall on a server whose accounts were made as the how-to says, once with a daemon and once with pages."""

    server: mariadb.MariaDB
    hydrad: Daemon

    def verb(self, who: str, *words: str) -> str:
        answer = subprocess.run(
            [sys.executable, "-m", "hydrad", *words, "-c", str(self.hydrad.settings)],
            env={**os.environ, **account(who)}, capture_output=True, text=True, check=False, timeout=110,
        )  # fmt: skip
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    def store(self, who: str) -> Store:
        """The data base as this account sees it."""
        return Store(self.url(who))

    def url(self, who: str) -> URL:
        place = {"unix_socket": str(self.server.socket)}
        return URL.create("mysql+mysqldb", who, PASSWORDS[who], "localhost", database="hydra", query=place)

    def sql(self, who: str, *statements: str) -> Any:
        place = {"unix_socket": str(self.server.socket), "database": "hydra"}
        connection = MySQLdb.connect(**place, user=who, password=PASSWORDS[who])
        try:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    home = tmp_path_factory.mktemp("accounts")
    with started() as server:
        for statement in filter(str.strip, SQL.split(";")):
            server.execute(statement)
        server.execute("CREATE USER looker@localhost IDENTIFIED BY 'password-of-a-reader'")
        server.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON hydra.* TO hydrad_web@localhost")  # of former times
        url = f"mysql+mysqldb://hydrad@localhost/hydra?unix_socket={server.socket}"
        scores = {"Good": 0.05, "Bad": 0.9, "NoData": 0.05}
        with Daemon(home, url=url, beam=FIXED_BEAM + SECTIONS, scores=scores) as hydrad:
            here = Hall(server, hydrad)
            schema.upgrade(here.url("hydrad_admin"))
            with here.store("hydrad") as store, pytest.raises(StoreAway, match="`hydrad db grants` prints what its"):
                store.standings()
            for statement in here.verb("hydrad", "db", "grants", "--reader", "looker").splitlines():
                server.execute(statement)
            yield here


def test_daemon_pages_and_trainings_do_all_they_must_with_accounts_of_their_own(hall: Hall) -> None:
    hydrad = hall.hydrad
    hydrad.environment = {"HYDRA_DB_PASSWORD": PASSWORDS["hydrad"]}  # as the URL says
    hydrad.start()
    for n in (1, 2):
        hydrad.land("CDC_occupancy.png", n)
        hydrad.until(lambda n=n: hall.sql("hydrad", "SELECT COUNT(*) FROM standings, verdicts")[0][0] >= n)
    hydrad.pv("CDC:OCCUPANCY:ONDELAY").put(3, wait=True)

    with hall.store("hydrad_web") as store:
        accounts.add(store, "otto", Role.ADMIN, ROOT, hashed=passwords.hashed(SPOKEN))
    with Pages(hydrad.settings, environment=account("hydrad_web")) as pages:
        _ask_everything(pages.address, hydrad)
        web = pages.log.read_text()
    _learn(hall)
    assert hydrad.stop() == 0
    for log in (web, hydrad.log.read_text()):
        assert "denied" not in log
        assert "does not answer" not in log


def _ask_everything(address: str, hydrad: Daemon) -> None:
    """Whatever people change on the pages, once."""
    with httpx.Client(base_url=address, timeout=20) as client:

        def ask(method: str, path: str, body: Mapping[str, Any] | None = None, status: int = 200) -> Any:
            answer = client.request(method, path, json=body)
            assert answer.status_code == status, (method, path, answer.text)
            return answer.json() if answer.content else None

        assert client.post("/login", data={"name": "otto", "password": "wrong password"}).status_code == 401
        assert client.post("/login", data={"name": "otto", "password": SPOKEN}).status_code == 303
        [tile, *_] = ask("GET", "/api/v1/labeler/sheet?plot=CDC_occupancy&mode=new")["tiles"]
        image = tile["sha256"]
        at = "/api/v1/plots/CDC_occupancy"
        ask("POST", f"{at}/labels", {"name": "Hot", "meaning": "bad", "colour": "#c0392b"})
        ask("POST", f"{at}/labels", {"name": "Hot", "colour": "#00392b"})
        for label in ("Hot", None):
            mark = {"id": "1", "plot": "CDC_occupancy", "sha256": image, "label": label, "at": "2026-11-23T07:01:02Z"}
            effects = ask("POST", "/api/v1/labellings", {"marks": [mark]})
            assert effects["marks"][0]["effect"] in {"given", "taken_back", "left"}, effects
        ask("PUT", f"{at}/thresholds/Bad", {"value": 0.7, "reason": "too many"})
        ask("PUT", f"{at}/settings/on_delay", {"value": 2, "reason": ""})
        hydrad.until(lambda: hydrad.pv("CDC:OCCUPANCY:THRESH:BAD").get() == 0.7)
        ask("PUT", "/api/v1/news", {"text": "access at noon"})
        ask("DELETE", "/api/v1/news", status=204)
        [episode] = ask("GET", "/api/v1/episodes")["episodes"]
        ask("POST", f"/api/v1/episodes/{episode['id']}/acknowledge", {"comment": "called"})
        ask("POST", "/api/v1/people", {"name": "vera", "role": "viewer", "password": SPOKEN}, 201)
        token = ask("POST", "/api/v1/tokens", {"purpose": "a program"}, 201)
        known = {"Authorization": f"Bearer {token['token']}"}
        assert httpx.get(f"{address}/api/v1/session", headers=known).json()["name"] == "otto"
        ask("DELETE", f"/api/v1/tokens/{token['id']}", status=204)
        ask("PUT", "/api/v1/account/password", {"current": SPOKEN, "new": SPOKEN[::-1]}, 204)
        for page in ("/", "/log", "/labeler", "/library", "/status", "/people", "/account", "/plot/CDC_occupancy"):
            assert client.get(page).status_code == 200, page
        assert client.get("/healthz").status_code == 200
        client.post("/logout")


def _learn(hall: Hall) -> None:
    """Import, train, decide: each by whoever does it."""
    rng = np.random.default_rng(1)
    for label, shade in (("Good", 200), ("Bad", 40)):
        folder = hall.hydrad.home / "labelled" / label
        folder.mkdir(parents=True)
        for n in range(12):
            pixels = (rng.integers(0, 40, (32, 32, 3)) + shade).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{n}.png")
    hall.verb("hydrad_web", "label", "import", str(hall.hydrad.home / "labelled"), "--plot", "TOF_map")
    if os.environ.get("HYDRA_SOAK") == "long":
        hall.verb("hydrad_train", "train", "TOF_map", "--id", "first")
    else:  # what a training asks of the data base, without the learning
        with hall.store("hydrad_train") as store:
            assert len(labelling.labelled(store, ["TOF_map"])) == 24
            number = trainings.begin(store, {"plots": ["TOF_map"]}, "otto", host="counting-1", pid=os.getpid())
            trainings.tell(store, number, {"epoch": 1})
            for metrics in ({}, {"balanced_accuracy": 0.9}):
                registry.introduce(store, "first", {"plots": ["TOF_map"]}, metrics, ROOT)
            trainings.end(store, number, TrainingState.DONE, model="first")
    with hall.store("hydrad_web") as store:
        assert [(one.id, one.state) for one in registry.places(store)] == [("first", ModelState.CANDIDATE)]
        registry.move(store, "first", ModelState.SHADOW, ROOT)


NOT_THEIRS = {
    "hydrad": (
        "DROP TABLE verdicts", "ALTER TABLE verdicts ADD x INT", "CREATE TABLE mine (x INT)", "DELETE FROM verdicts",
        "UPDATE verdicts SET status = 1", "UPDATE labellings SET person = 'otto'", "UPDATE settings SET value = 0",
        "SELECT * FROM people", "SELECT * FROM sessions", "SELECT * FROM tokens",
        "INSERT INTO people_changes (name) VALUES ('x')", "INSERT INTO labellings (image_id) VALUES (1)",
        "UPDATE alembic_version SET version_num = 'r9999'", "TRUNCATE files", "SELECT * FROM mysql.global_priv",
    ),
    "hydrad_web": (
        "DROP TABLE verdicts", "UPDATE verdicts SET status = 1", "DELETE FROM verdicts",
        "UPDATE standings SET status = 1", "INSERT INTO standings (plot_id) VALUES (1)",
        "INSERT INTO verdicts (digest) VALUES ('x')",
        "UPDATE images SET sha256 = 'x'", "UPDATE images SET path = 'x'", "UPDATE files SET outcome = 1",
        "UPDATE tallies SET files = 0", "DELETE FROM labellings", "UPDATE labellings SET person = 'otto'",
        "UPDATE episodes SET status = 1", "UPDATE settings SET value = 0", "UPDATE moves SET person = 'otto'",
        "UPDATE people_changes SET person = 'otto'", "DELETE FROM people", "UPDATE heartbeats SET health = 1",
        "UPDATE alembic_version SET version_num = 'r9999'", "CREATE TABLE mine (x INT)",
    ),
    "hydrad_train": (
        "DROP TABLE models", "SELECT * FROM people", "INSERT INTO people (name) VALUES ('eve')",
        "UPDATE people SET role = 4", "UPDATE models SET state = 'in_service'", "DELETE FROM models",
        "UPDATE images SET label_id = NULL", "INSERT INTO labellings (image_id) VALUES (1)",
        "INSERT INTO settings (value) VALUES (0)", "UPDATE verdicts SET status = 1", "DELETE FROM trainings",
    ),
    "looker": (
        "INSERT INTO news (text) VALUES ('x')", "UPDATE standings SET status = 1", "DELETE FROM files",
        "SELECT * FROM people", "SELECT * FROM tokens", "DROP TABLE hours",
    ),
    "hydrad_admin": (
        "SELECT * FROM mysql.global_priv", "CREATE USER eve@localhost", "GRANT SELECT ON hydra.* TO looker@localhost",
    ),
}  # fmt: skip


@pytest.mark.parametrize("who", NOT_THEIRS)
def test_no_account_may_do_what_is_not_its_own(hall: Hall, who: str) -> None:
    for statement in NOT_THEIRS[who]:
        with pytest.raises(MySQLdb.OperationalError, match=r"(?i)denied|not allowed"):
            hall.sql(who, statement)


def test_a_reader_reads_what_the_reports_need(hall: Hall) -> None:
    with hall.store("looker") as store:
        for ask in (store.standings, store.log, store.ledger_counts, store.newest_settings, store.heartbeat):
            ask()
        assert not registry.undecided(registry.places(store))
        purging.holding(store)


def test_where_old_verdicts_are_let_go_the_daemons_account_may_do_that_and_no_other(hall: Hall) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for statement in grants.statements("hydra", {Part.DAEMON: "hydrad@localhost"}, forgetting=True):
        hall.server.execute(statement)
    try:
        with hall.store("hydrad") as store:
            for second in range(3):
                verdict = verdict_of("CDC_adc", later(second), status=Status.GOOD, path=f"/gone/{second}.png")
                entry = entry_of(verdict, seen_at=later(second), done_at=later(second))
                store.put([Parcel(entry, verdict, ImageFacts(100, "png", 8, 6, sampled=False))])
            hall.sql("hydrad", "UPDATE images SET kept = 0", "COMMIT")  # as the purge of images leaves them
            before = len(store.log())
            list(Forgetting(store, lambda _: False).round(tomorrow, whole=True))
            assert len(store.log()) == before - 2  # the newest stays
    finally:
        for statement in grants.statements("hydra", {Part.DAEMON: "hydrad@localhost"}):
            hall.server.execute(statement)
    test_no_account_may_do_what_is_not_its_own(hall, "hydrad")
