"""Builds a data base as large as two weeks of a hall: 400 plots, ten million verdicts, in a MariaDB server of its own.

    python benchmarks/big_base.py --keep /data/big --rows 10000000

With ``--keep`` the server's folder stays, and the next use takes it up; the time that has passed since is filled with
images at the same rate, so that the last day is always full. The pages' benchmark (``pages.py``) stands on it.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import fortnight
import numpy as np
from bulk import Bulk, side_by_side
from fortnight import CELLS, DAYS, MAPS, MODEL, PLOTS, RUNS_A_DAY
from PIL import Image
from sqlalchemy import URL

from hydrad import config, log
from hydrad.domain import Change, Role
from hydrad.shipped import folder as shipped_bundle
from hydrad.sim import hall
from hydrad.sim.faults import Fault
from hydrad.store import schema
from hydrad.store.columns import digest
from hydrad.store.images import ImageFolder
from hydrad.store.models import registry, trainings
from hydrad.store.models.registry import Who
from hydrad.store.packing import Parcel
from hydrad.store.people import accounts
from hydrad.store.private_server import MariaDB
from hydrad.store.queries import Store
from hydrad.store.tables import ModelState, TrainingState

NAME = "hydra_big"
ROWS = 10_000_000
SPARSE = 1_000_000  # fewer rows than this: less time, not fewer images an hour
AT_ONCE = 100_000  # rows in one statement
LARGEST_GAP = timedelta(days=3)  # a kept base that is older is built anew
PICTURES = 48  # different images that the newest of each plot show
EPISODES_A_MILLION = 400
LASTING = 8
LABELLINGS_A_MILLION = 2000
CHANGES = 2000
HEAVY = ("verdicts", "images", "files")
SECOND = "second"  # a model in shadow
TOML = """\
[hall]
name = "BENCH"
timezone = "America/New_York"

[store]
url = "{url}"
password_file = "password"

[beam]
kind = "fixed"

{detectors}
"""
DETECTOR = """\
[[detector]]
name = "{name}"
expert = "{name}-expert@example.org"
guidance = "Check the HV of the boards named on the heatmap, then call the expert."
"""
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)  # when runs began to be counted
WHO = Who("otto", "counting-1", "cli")


@dataclass(frozen=True, slots=True)
class Base:
    """A built data base, its server running."""

    settings: Path  # hydra.toml
    url: URL
    socket: Path
    rows: int
    built_s: float  # 0.0 when it was there

    @property
    def config(self) -> config.Config:
        """As the verbs read it."""
        return config.load(self.settings)


def options() -> tuple[str, ...]:
    """A server that may use a quarter of this host's memory, and may lose what it wrote when the power fails."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    pool = min(5 * 2**30, memory // 4) // 2**20
    return (
        f"--innodb-buffer-pool-size={pool}M",
        "--innodb-log-file-size=2G",
        "--innodb-flush-log-at-trx-commit=0",
        "--skip-innodb-doublewrite",
        "--innodb-sort-buffer-size=64M",
        "--innodb-max-dirty-pages-pct=30",
        "--innodb-io-capacity=2000",
        "--max-heap-table-size=1G",
        "--innodb-stats-persistent-sample-pages=64",
    )


@contextmanager
def big_base(rows: int, keep: Path | None = None) -> Iterator[Base]:
    """A data base of so many verdicts behind a running server; built where ``keep`` does not hold it already."""
    with ExitStack() as stack:
        home = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hydrad-big-")))
        home = home.resolve()
        note = home / "base.json"
        there = json.loads(note.read_text()) if note.exists() else {}
        wanted = {"rows": rows, "schema": _fingerprint()}
        since = datetime.fromisoformat(there["until"]) if wanted.items() <= there.items() else None
        if since is None or datetime.now(UTC) - since > LARGEST_GAP:
            if there:
                print("what is kept there is old, of other tables or of another size: built anew", file=sys.stderr)
            there, since = {}, None
            for part in ("data", "images", "models", "cache"):
                shutil.rmtree(home / part, ignore_errors=True)
        home.mkdir(parents=True, exist_ok=True)
        server = stack.enter_context(MariaDB(data=home / "data", options=options()))
        settings = _configure(home, server)
        began = time.monotonic()
        builder = _Builder(server, config.load(settings), rows)
        note.unlink(missing_ok=True)  # what is left half-done is built anew
        until = builder.build() if since is None else builder.catch_up(since, there["pictures"])
        note.write_text(json.dumps({**wanted, "until": until.isoformat(), "pictures": builder.pictures}) + "\n")
        took_s = time.monotonic() - began if since is None else 0.0
        yield Base(settings, server.url(NAME), server.socket, rows, took_s)


def _fingerprint() -> str:
    """Of the tables: a base of other ones is built anew."""
    seen = hashlib.sha256()
    for path in sorted((schema.MIGRATIONS / "versions").glob("*.py")):
        seen.update(path.read_bytes())
    return seen.hexdigest()


def _configure(home: Path, server: MariaDB) -> Path:
    url = server.url(NAME)
    password = home / "password"
    password.touch(mode=0o600)
    password.write_text(str(url.password))
    detectors = "\n".join(DETECTOR.format(name=name) for name in fortnight.DETECTORS)
    plain = f"mysql+mysqldb://hydra@localhost/{NAME}?unix_socket={server.socket}"
    settings = home / "hydra.toml"
    settings.write_text(TOML.format(url=plain, detectors=detectors))
    return settings


class _Builder:
    """Fills the data base."""

    def __init__(self, server: MariaDB, settings: config.Config, rows: int) -> None:
        self._server = server
        self._config = settings
        span_s = DAYS * 86400 * min(1.0, rows / SPARSE)
        self._rows = rows
        self._dumps = rows // len(PLOTS)
        self._dump_us = round(span_s * 1e6 / self._dumps)
        self._began = time.monotonic()
        self.pictures = 0  # which pictures were drawn last

    def build(self) -> datetime:
        """All of it; returns the time up to which it goes."""
        self._server.execute(f"CREATE DATABASE {NAME} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        schema.upgrade(self._server.url(NAME))
        self._tell("tables made")
        with Store(self._server.url(NAME)) as store:
            self._stock(store)
        until = datetime.now(UTC)
        first = until - timedelta(microseconds=self._dumps * self._dump_us)
        with self._bulk() as bulk:
            self._fill(bulk, first, self._dumps, {table: bulk.undress(table) for table in HEAVY})
        return until

    def catch_up(self, since: datetime, pictures: int) -> datetime:
        """The images that would have come since; returns the time up to which it goes now."""
        self.pictures = pictures
        dumps = int((datetime.now(UTC) - since) / timedelta(microseconds=self._dump_us))
        if dumps < 1:
            return since
        with self._bulk() as bulk:
            self._fill(bulk, since, dumps, {})
        return since + timedelta(microseconds=dumps * self._dump_us)

    # ---- what there is before the first image ----

    def _stock(self, store: Store) -> None:
        with self._bulk() as bulk:
            for table, names in (("detectors", fortnight.DETECTORS), ("plots", [plot for _, plot in PLOTS])):
                lines = [(digest(name), name) for name in names]
                bulk.add(f"INSERT INTO {table} (digest, name) VALUES (%s, %s)", lines)  # noqa: S608  our own words
            bulk.run(fortnight.HUNG)
            meanings = fortnight.MEANINGS.items()
            bulk.add(fortnight.NAMED, [(digest(name), name, meaning.value) for name, meaning in meanings])
        self._library(store)
        self._changes(store)
        self._people(store)
        self._tell("library and settings written")

    def _library(self, store: Store) -> None:
        bundle = shipped_bundle()
        shutil.copytree(bundle, self._config.store.models / bundle.name)
        card = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
        metrics = card.pop("metrics")
        card["plots"] = [plot for _, plot in PLOTS]
        for name, state in ((MODEL, ModelState.IN_SERVICE), (SECOND, ModelState.SHADOW)):
            registry.register(store, name, {**card, "id": name}, metrics, WHO, state=state, fault="")
            asked = {"plots": [PLOTS[0][1]], "architecture": "plain", "name": name}
            number = trainings.begin(store, asked, "otto", host="counting-1", pid=os.getpid())
            trainings.end(store, number, TrainingState.DONE, model=name)

    def _people(self, store: Store) -> None:
        for name, role in (("otto", Role.ADMIN), ("emmy", Role.EXPERT), ("lise", Role.LABELER), ("max", Role.VIEWER)):
            accounts.add(store, name, role, WHO)

    def _changes(self, store: Store) -> None:
        rng = random.Random(7)  # noqa: S311  histories, not secrets
        parcels = []
        for n in range(CHANGES):
            at = datetime.now(UTC) - timedelta(days=DAYS) * (1 - n / CHANGES)
            _, plot = rng.choice(PLOTS)
            label, old, new = rng.choice(list(fortnight.MEANINGS)), rng.uniform(0.4, 0.9), rng.uniform(0.4, 0.9)
            change = Change(
                f"threshold.{label}", round(new, 2), "otto", "counting-1", at, "page", plot=plot, old=round(old, 2)
            )
            parcels.append(Parcel(change=change, ticket=uuid.uuid4().hex))
        for start in range(0, CHANGES, 500):
            store.put(parcels[start : start + 500])

    # ---- images and verdicts ----

    def _fill(self, bulk: Bulk, since: datetime, dumps: int, keys: Mapping[str, Sequence[str]]) -> None:
        after = bulk.rows("SELECT COALESCE(MAX(id), 0) FROM verdicts")[0][0]
        rng = random.Random(after)  # noqa: S311  likewise
        share = dumps / self._dumps
        episodes = max(LASTING, round(EPISODES_A_MILLION * self._rows / 1e6 * share))
        found = fortnight.faults(rng, dumps, self._dump_us, episodes, LASTING)
        self._aids(bulk, rng, found, after)
        facts = {
            "after": after, "since": _plain(since), "since_s": int((since - EPOCH).total_seconds()),
            "epoch_s": int(EPOCH.timestamp()), "dumps": dumps, "plots": len(PLOTS), "dump_us": self._dump_us,
            "plot_us": self._dump_us * 9 // 10 // len(PLOTS), "run_s": 86400 // RUNS_A_DAY,
            "dark_h": fortnight.HOUR_WITHOUT_BEAM, "dark": fortnight.WITHOUT_BEAM, "pictures": PICTURES,
            "maps": MAPS, "second": SECOND, "map_rows": CELLS[0], "map_columns": CELLS[1], "model": MODEL,
            "meanings": json.dumps(fortnight.MEANINGS, separators=(",", ":")),
        }  # fmt: skip
        total = dumps * len(PLOTS)
        side_by_side(
            lambda: self._chunks((fortnight.VERDICTS,), facts, total, "verdicts"),
            lambda: self._chunks((fortnight.IMAGES, fortnight.FILES, fortnight.OTHER_FILES), facts, total, "images"),
        )
        for statement in fortnight.STRUCK:
            bulk.run(statement, facts)
        self._label(bulk, rng, found, dumps, after)
        side_by_side(*(partial(self._dress, table, written) for table, written in keys.items()))
        for statement in (fortnight.ENDED, fortnight.EPISODES, *fortnight.FOLLOWS, fortnight.SHADOWED):
            bulk.run(statement, facts)
        self._tell("what follows from them written")
        tables = [row[0] for row in bulk.rows("SHOW TABLES LIKE 'bench\\_%'")]
        bulk.run(f"DROP TABLE {', '.join(tables)}")
        if keys:
            bulk.run(f"ANALYZE TABLE {', '.join([*HEAVY, 'hours', 'episodes', 'labellings'])}")
        self._tell("done")

    def _aids(self, bulk: Bulk, rng: random.Random, found: Sequence[fortnight.Fault], after: int) -> None:
        for statement in fortnight.AIDS.split(";"):
            bulk.run(statement)
        ids = {name: (plot, detector) for plot, detector, name in bulk.rows(
            "SELECT id, detector_id, name FROM plots")}  # fmt: skip
        bulk.insert("bench_plots", [(n, *ids[name], name) for n, (_, name) in enumerate(PLOTS)])
        bulk.insert("bench_sayings", list(fortnight.sayings(rng)))
        bulk.insert("bench_maps", [(n, _cells(n)) for n in range(MAPS)])
        bulk.insert("bench_pictures", list(self._draw()))
        bulk.insert("bench_faults", [line for fault in found for line in fortnight.struck(fault, after, rng)])
        bulk.insert("bench_episodes", [fortnight.episode(fault, after, rng) for fault in found])
        self._tell(f"{len(found)} stretches of trouble drawn up")

    def _draw(self) -> Iterator[fortnight.Line]:
        """Rows of bench_pictures; their files lie in the images folder."""
        folder = ImageFolder(self._config.store.images)
        kinds = list(hall.PLOTS)
        for n in range(PICTURES):
            self.pictures += 1
            plot = kinds[self.pictures % len(kinds)]
            struck = (Fault("dead_board", at=plot),) if n % 6 == 0 else ()
            pixels = hall.render(plot, seed=self.pictures, faults=struck, run=30000 + self.pictures)
            out = io.BytesIO()
            Image.fromarray(pixels).save(out, "PNG", compress_level=6)
            data = out.getvalue()
            sha256 = hashlib.sha256(data)
            folder.keep(data, sha256.hexdigest(), "png")
            yield n, sha256.digest(), len(data), pixels.shape[1], pixels.shape[0]

    def _chunks(self, statements: Sequence[str], facts: Mapping[str, Any], total: int, what: str) -> None:
        with self._bulk() as bulk:
            for first in range(0, total, AT_ONCE):
                last = min(total, first + AT_ONCE) - 1
                for statement in statements:
                    bulk.run(statement, {**facts, "first": first, "last": last})
                if first // AT_ONCE % 10 == 9:
                    self._tell(f"{last + 1:,} {what}")
        self._tell(f"all {total:,} {what}")

    def _label(self, bulk: Bulk, rng: random.Random, found: Sequence[fortnight.Fault], dumps: int, after: int) -> None:
        count = round(LABELLINGS_A_MILLION * dumps * len(PLOTS) / 1e6)
        bulk.insert("bench_labelled", fortnight.labelled(rng, found, dumps, after, count))
        for statement in fortnight.LABELLED:
            bulk.run(statement)
        self._tell("labels given")

    def _dress(self, table: str, keys: Sequence[str]) -> None:
        with self._bulk() as bulk:
            bulk.dress(table, keys)
        self._tell(f"indices of {table} built")

    def _bulk(self) -> Bulk:
        return Bulk(self._server.socket, NAME)

    def _tell(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:7.1f} s  {what}", file=sys.stderr, flush=True)


def _cells(number: int) -> bytes:
    """A heatmap with one warm place in it."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[: CELLS[0], : CELLS[1]]
    row, column = rng.integers(CELLS[0]), rng.integers(CELLS[1])
    warm = 230 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 6)
    cells: bytes = (warm + rng.uniform(0, 25, CELLS)).astype(np.uint8).tobytes()
    return cells


def _plain(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ")


def main() -> int:
    """Build it, and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help="verdicts (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", required=True, help="where it is to stay")
    arguments = parser.parse_args()
    log.configure()
    with big_base(arguments.rows, arguments.keep) as base:
        size = sum(path.stat().st_blocks * 512 for path in arguments.keep.rglob("*") if path.is_file())
        print(f"{base.rows:,} verdicts, built in {base.built_s:.0f} s, {size / 2**30:.1f} GiB in {arguments.keep}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
