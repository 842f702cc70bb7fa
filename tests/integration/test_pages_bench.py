"""The benchmark of the pages in short: its data base holds together, and every page answers before it."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from databases import started
from sqlalchemy import func, select

from hydrad.config import Web
from hydrad.store import tables
from hydrad.store.images import ImageFolder
from hydrad.store.queries import Store
from hydrad.web import serve

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import big_base  # noqa: E402  benchmarks are scripts that lie beside the package
import pages  # noqa: E402  likewise

pytestmark = pytest.mark.mariadb

ROWS = 12_000  # thirty images of each plot
LATER = 3  # dumps
REQUESTS = 2
# What must not be there, or must be equal, whatever the number of rows.
NOT_THERE = {
    "hours that count otherwise than their verdicts": """
        SELECT * FROM (SELECT SUM(images) AS counted FROM hours) AS told,
            (SELECT COUNT(*) AS there FROM verdicts) AS seen WHERE counted <> there
    """,
    "a plot and hour that is counted otherwise": """
        SELECT * FROM hours LEFT JOIN (
            SELECT plot_id, status, DATE_FORMAT(judged_at, '%Y-%m-%d %H:00:00') AS hour, COUNT(*) AS there
            FROM verdicts GROUP BY 1, 2, 3
        ) AS seen USING (plot_id, status, hour) WHERE images <> COALESCE(there, 0)
    """,
    "a plot that stands otherwise than its newest verdict": """
        SELECT * FROM plots LEFT JOIN standings ON standings.plot_id = plots.id
        LEFT JOIN verdicts ON verdicts.id = verdict_id
        WHERE verdicts.id IS NULL OR verdicts.plot_id <> plots.id OR verdicts.status <> standings.status
            OR verdicts.judged_at <> (SELECT MAX(judged_at) FROM verdicts WHERE plot_id = plots.id)
    """,
    "an episode that is not that of its verdicts": """
        SELECT * FROM episodes WHERE images <> (
            SELECT COUNT(*) FROM verdicts WHERE plot_id = episodes.plot_id AND severity <> 'NO_ALARM'
                AND id BETWEEN first_verdict_id AND last_verdict_id
        ) OR status <> (SELECT status FROM verdicts WHERE id = worst_verdict_id)
    """,
    "an alarm without an episode": """
        SELECT * FROM verdicts WHERE severity <> 'NO_ALARM' AND NOT EXISTS (
            SELECT * FROM episodes WHERE plot_id = verdicts.plot_id
                AND verdicts.id BETWEEN first_verdict_id AND last_verdict_id
        )
    """,
    "a file without its verdict": """
        SELECT * FROM files LEFT JOIN verdicts ON verdicts.id = verdict_id
        WHERE outcome = 'judged' AND (verdicts.id IS NULL OR verdicts.path <> files.path)
    """,
    "a tally that counts otherwise": """
        SELECT * FROM tallies WHERE files <> (SELECT COUNT(*) FROM files WHERE outcome = tallies.outcome)
    """,
    "a label of another plot, or that no one gave": """
        SELECT * FROM images JOIN labels ON labels.id = label_id WHERE labels.plot_id <> images.plot_id
            OR NOT EXISTS (SELECT * FROM labellings WHERE image_id = images.id AND label_id = images.label_id)
    """,
    "a table of the building site": "SELECT * FROM information_schema.tables WHERE table_name LIKE 'bench_%'",
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[big_base.Base]:
    """A base of a few thousand verdicts that was kept, and is taken up again three dumps later."""
    started()  # or this test is skipped
    home = tmp_path_factory.mktemp("base")
    with big_base.big_base(ROWS, home) as built:
        assert built.built_s > 0
    note = home / "base.json"
    kept = json.loads(note.read_text())
    span = timedelta(days=big_base.DAYS) * ROWS / big_base.SPARSE
    until = datetime.fromisoformat(kept["until"]) - LATER * span / (ROWS / 400)
    note.write_text(json.dumps({**kept, "until": until.isoformat()}))
    with big_base.big_base(ROWS, home) as again:
        assert again.built_s == 0
        yield again


@pytest.mark.parametrize("what", NOT_THERE)
def test_the_base_has_no(base: big_base.Base, what: str) -> None:
    with Store(base.url) as store, store.reading() as connection:
        assert connection.exec_driver_sql(NOT_THERE[what].replace("%", "%%")).all() == []


def test_the_base_holds_what_was_asked_for(base: big_base.Base) -> None:
    with Store(base.url) as store, store.reading() as connection:
        counted = {
            table.name: connection.scalar(select(func.count()).select_from(table))
            for table in tables.METADATA.sorted_tables
        }
    assert counted["plots"] == 400
    assert counted["detectors"] == 20
    assert counted["verdicts"] == counted["images"] == ROWS + LATER * 400
    assert counted["episodes"] >= big_base.LASTING
    assert counted["labellings"] > 10
    assert counted["shadows"] > 10


def test_the_newest_image_of_every_plot_can_be_shown(base: big_base.Base) -> None:
    folder = ImageFolder(base.config.store.images)
    with Store(base.url) as store:
        standing = store.standings()
        assert len(standing) == 400
        newest = [store.log(plot=one.plot, limit=1)[0].verdict for one in standing[::20]]
    assert all(folder.path(verdict.sha256 or "", "png").exists() for verdict in newest)


@pytest.mark.timeout(240)
def test_every_page_and_address_answers(base: big_base.Base) -> None:
    with pages.pages_of(base) as (address, pid):
        found = pages.measure_all(base, address, pid, REQUESTS)
    assert {one.name: one.status for one in found if one.status != 200} == {}
    assert len(found) > 40


def test_small_answers_are_not_held_back() -> None:
    with (
        serve._listening(Web(port=pages.free_port())) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
