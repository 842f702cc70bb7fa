"""The daemon as a process: its data base is lost and restored from a backup, and every file is in the ledger once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from daemon import Daemon
from databases import Database
from sqlalchemy import func, select, text

from hydrad.domain import Cause
from hydrad.store.backup.restoring import _drop
from hydrad.store.engine import open_engine, writing
from hydrad.store.queries import Store
from hydrad.store.tables import verdicts

pytestmark = pytest.mark.system
GOOD = {"Good": 0.9, "Bad": 0.08, "NoData": 0.02}
EACH = 30  # images at a time


def land(hydrad: Daemon, first: int) -> list[Path]:
    return [hydrad.land(f"CDC_{n % 5}_{n:04}.png", n) for n in range(first, first + EACH)]


def paths_judged(database: Database) -> Counter[str]:
    with Store(database.url) as store, store.reading() as connection:
        return Counter(connection.scalars(select(verdicts.c.path).where(verdicts.c.cause == Cause.IMAGE)))


def destroy(database: Database) -> None:
    engine = open_engine(database.url)
    with writing(engine) as connection:
        connection.execute(text("SET foreign_key_checks = 0"))
        _drop(connection)
    engine.dispose()


@pytest.mark.mariadb
@pytest.mark.parametrize("database_kind", ["mariadb"], indirect=True)  # an embedded one is lost in the next test
def test_a_data_base_that_was_lost_comes_back_whole_from_last_nights_backup(
    database: Database, stored: dict[str, Any], tmp_path: Path
) -> None:
    home = tmp_path / "hall"
    home.mkdir()
    with Daemon(home, scores=GOOD, **stored) as hydrad:
        hydrad.start()
        landed = land(hydrad, 0)
        hydrad.until(lambda: len(paths_judged(database)) >= EACH // 2)
        (taken,) = hydrad.ask_json("db", "backup", str(tmp_path / "night.zip"))  # while it works
        assert taken["rows"]["verdicts"] >= EACH // 2
        landed += land(hydrad, EACH)
        hydrad.until(lambda: len(paths_judged(database)) == 2 * EACH)
        assert "stopped" in refusal(hydrad, tmp_path / "night.zip", "--replace")
        hydrad.kill()
        assert "already" in refusal(hydrad, tmp_path / "night.zip")
        destroy(database)
        landed += land(hydrad, 2 * EACH)
        (done,) = hydrad.ask_json("db", "restore", str(tmp_path / "night.zip"))
        assert done["restored"]
        assert done["rows"] == taken["rows"]
        hydrad.start()
        hydrad.until(lambda: len(paths_judged(database)) == 3 * EACH)
        assert hydrad.stop() == 0
        judged = paths_judged(database)
        assert judged == Counter(map(str, landed))  # each once: nothing lost, nothing double
        assert hydrad.counts()["judged"] + hydrad.counts()["superseded"] == 3 * EACH
        with Store(database.url) as store, store.reading() as connection:
            assert connection.scalar(select(func.count(verdicts.c.digest.distinct()))) >= 3 * EACH
        assert "data_base_went_back" in hydrad.log.read_text()


def refusal(hydrad: Daemon, backup: Path, *more: str) -> str:
    """Why a restore is refused."""
    answer = subprocess.run(
        [sys.executable, "-m", "hydrad", "db", "restore", str(backup), *more, "-c", str(hydrad.settings)],
        env={**os.environ, **hydrad.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert answer.returncode == 1, answer.stdout + answer.stderr
    return answer.stderr


def test_a_new_host_judges_nothing_a_second_time(tmp_path: Path) -> None:
    """The images that lie in the watched folder were all judged by the host that is gone, journal and all."""
    home = tmp_path / "hall"
    home.mkdir()
    with Daemon(home, scores=GOOD) as hydrad:
        hydrad.start()
        land(hydrad, 0)
        hydrad.until(lambda: hydrad.counts()["judged"] + hydrad.counts()["superseded"] == EACH)
        before = hydrad.counts()
        hydrad.stop()
        hydrad.ask("db", "backup", str(tmp_path / "night.zip"), "--images")
        for path in [*home.glob("hydra.db*"), *home.glob("journal.db*"), *(home / "images").glob("*/*.png")]:
            path.unlink()
        (done,) = hydrad.ask_json("db", "restore", str(tmp_path / "night.zip"))
        assert (done["files_remembered"], done["images_put"]) == (EACH, EACH)
        hydrad.start()
        hydrad.land("CDC_1_9999.png", 9999)
        hydrad.until(lambda: hydrad.counts()["judged"] == before["judged"] + 1)
        assert hydrad.counts() == {**before, "judged": before["judged"] + 1}
        assert hydrad.stop() == 0
        said = [json.loads(line)["event"] for line in hydrad.log.read_text().splitlines() if line.startswith("{")]
        assert said.count("image_judged") == EACH + 1
