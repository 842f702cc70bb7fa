"""The canary of the real daemon: it comes out BAD, nobody sees it, and what goes wrong with it is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from classify_world import brightness_bundle
from daemon import FIXED_BEAM, Daemon
from databases import started
from sqlalchemy import select

from hydrad import config
from hydrad.domain import Health, Outcome, Severity, Status
from hydrad.store import schema, tables
from hydrad.store.queries import Store
from hydrad.web.status import health

pytestmark = pytest.mark.system

PROGRAM = (str(Path(__file__).parent / "hesitant_daemon.py"),)
OFTEN = "\n[canary]\nevery_s = 2\nwithin_s = 1\n"
SEEN = "the known-bad image of brightness came out BAD"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """A daemon whose model knows bright from dark; ``[canary]`` is often unless said."""

    def made(*, canary: str = OFTEN, bundle: bool = True, **parts: Any) -> Daemon:
        if bundle:
            brightness_bundle(tmp_path / "models")
        return stack.enter_context(Daemon(tmp_path, beam=f"{FIXED_BEAM}{canary}", program=PROGRAM, **parts))

    with ExitStack() as stack:
        yield made


def status(hydrad: Daemon) -> Status:
    return Status(int(hydrad.pv("CANARY:STATUS").get()))


def watchdog(hydrad: Daemon) -> Health:
    return Health(int(hydrad.pv("WATCHDOG").get()))


def says(hydrad: Daemon) -> str:
    return str(hydrad.pv("CANARY:MSG").get(as_string=True))


def times_judged(hydrad: Daemon) -> int:
    return hydrad.log.read_text().count('"canary_judged"')


def last_told(hydrad: Daemon) -> tuple[str, str]:
    """The last change of health in the log."""
    told = [json.loads(line) for line in hydrad.log.read_text().splitlines() if '"health_changed"' in line]
    return told[-1]["health"], told[-1]["why"]


def test_it_comes_out_bad_again_and_again_and_nothing_that_people_look_at_has_it(daemon: Callable[..., Daemon]) -> None:
    hydrad = daemon().start()
    hydrad.land("CDC_occupancy.png", 250)
    hydrad.until(lambda: hydrad.pv("CDC:OCCUPANCY:STATUS").get() is not None)
    hydrad.until(lambda: times_judged(hydrad) >= 2)
    hydrad.until(lambda: (hydrad.pv("CANARY:LATENCY").get() or 0) > 0)
    assert (status(hydrad), watchdog(hydrad), says(hydrad)) == (Status.BAD, Health.OK, SEEN)
    assert hydrad.pv("CANARY:STATUS").severity == Severity.NO_ALARM
    hydrad.until(lambda: 0 <= hydrad.pv("CANARY:AGE").get() <= 3)
    assert [hydrad.pv(name).get() for name in ("NBAD", "NSTALE", "MODEL:STATUS")] == [0, 0, 0]
    assert len([path for path in (hydrad.home / "images").rglob("*") if path.is_file()]) == 1

    with Store(config.load(hydrad.settings).store_url()) as store:
        hydrad.until(lambda: store.ledger_counts()[Outcome.JUDGED] == 1)
        assert sum(store.ledger_counts().values()) == len(list(store.ledger_files())) == len(store.log()) == 1
        with store.reading() as connection:
            assert list(connection.scalars(select(tables.plots.c.name))) == ["CDC_occupancy"]
            assert list(connection.scalars(select(tables.detectors.c.name))) == ["CDC"]
            assert list(connection.scalars(select(tables.canaries.c.model))) == ["brightness"]
            assert len(connection.execute(select(tables.images.c.id)).all()) == 1
    hydrad.stop()

    (hydrad.home / ".journal.db.canary" / "brightness_0001.png").write_bytes(b"left by a daemon that was killed")
    hydrad.start()
    hydrad.until(lambda: status(hydrad) is Status.BAD)
    hydrad.until(lambda: not any((hydrad.home / ".journal.db.canary").iterdir()))
    assert hydrad.counts() == {outcome.value: 0 for outcome in Outcome} | {"judged": 1}
    assert [one["plot"] for one in hydrad.ask_json("status")] == ["CDC_occupancy"]


def test_a_model_that_finds_everything_good_or_hangs_is_said_until_it_sees_again(daemon: Callable[..., Daemon]) -> None:
    hydrad = daemon().start()
    hydrad.until(lambda: status(hydrad) is Status.BAD)
    (hydrad.home / "blind").touch()
    hydrad.until(lambda: watchdog(hydrad) is Health.DEGRADED)
    words = "the known-bad image of brightness came out GOOD: Good at 0.98"
    assert (status(hydrad), says(hydrad)) == (Status.GOOD, words)
    hydrad.until(lambda: hydrad.pv("MODEL:STATUS").severity == Severity.MAJOR)
    assert last_told(hydrad) == ("DEGRADED", words)
    with Store(config.load(hydrad.settings).store_url()) as store:

        def sign() -> health.Sign:
            return health.read(store.heartbeat(), datetime.now(UTC))

        hydrad.until(
            lambda: "a model does not find its known-bad image bad" in health.faults(sign(), datetime.now(UTC))
        )
        parts = health.parts(config.load(hydrad.settings), sign(), [], 0.0, datetime.now(UTC))
    told = {part.name: (part.level, part.sentence) for part in parts}
    assert [told[name][0] for name in ("Models", "Canary", "Daemon")] == ["bad", "bad", "watch"]
    assert all(
        "known-bad image of brightness came out GOOD" in told[name][1] for name in ("Models", "Canary", "Daemon")
    )

    (hydrad.home / "blind").unlink()
    hydrad.until(lambda: watchdog(hydrad) is Health.OK)
    assert (status(hydrad), hydrad.pv("MODEL:STATUS").get()) == (Status.BAD, 0)
    assert last_told(hydrad) == ("OK", "")

    (hydrad.home / "computing").touch()
    hydrad.until(lambda: "the known-bad image of brightness has not come out for" in says(hydrad))
    assert (status(hydrad), watchdog(hydrad)) == (Status.UNKNOWN, Health.DEGRADED)
    assert hydrad.pv("CANARY:STATUS").severity == Severity.INVALID
    assert hydrad.pv("MODEL:STATUS").get() == 0
    (hydrad.home / "computing").unlink()
    hydrad.until(lambda: watchdog(hydrad) is Health.OK)
    assert status(hydrad) is Status.BAD


@pytest.mark.mariadb
def test_while_the_data_base_is_away_that_is_said_and_no_canary_is_missed(daemon: Callable[..., Daemon]) -> None:
    with started() as server:
        url = server.create()
        schema.upgrade(url)
        hydrad = daemon(
            url=url._replace(password=None).render_as_string(hide_password=False),
            environment={"HYDRA_DB_PASSWORD": str(url.password)},
        ).start()
        hydrad.until(lambda: (hydrad.pv("CANARY:LATENCY").get() or 0) > 0)
        server.stop()
        hydrad.until(lambda: watchdog(hydrad) is Health.DEGRADED)
        before = times_judged(hydrad)
        hydrad.until(lambda: times_judged(hydrad) >= before + 2)
        assert (status(hydrad), says(hydrad)) == (Status.BAD, SEEN)
        assert last_told(hydrad) == ("DEGRADED", "the data base does not answer")
        server.start()
        hydrad.until(lambda: watchdog(hydrad) is Health.OK, 60)
        hydrad.stop()


@pytest.mark.parametrize(
    ("parts", "wanted", "words"),
    [
        ({"scores": {"Good": 0.98, "Bad": 0.02}}, Status.GOOD, "no canary of fixed: every image gets the same answer"),
        ({}, Status.NOMODEL, "no canary of no-model: no model serves"),
        ({"canary": "\n[canary]\nevery_s = 0\n"}, Status.DISABLED, "no canary: canary.every_s is 0"),
    ],
    ids=["fixed", "no model", "off"],
)
def test_where_there_is_no_known_bad_image_the_way_is_tested_and_that_is_said(
    daemon: Callable[..., Daemon], parts: dict[str, Any], wanted: Status, words: str
) -> None:
    hydrad = daemon(bundle=False, **parts).start()
    hydrad.until(lambda: status(hydrad) is wanted)
    hydrad.until(lambda: words in says(hydrad))
    assert watchdog(hydrad) is Health.OK
    assert (times_judged(hydrad) == 0) is (wanted is Status.DISABLED)
