"""A trial of the real daemon: files are written and remembered, faults befall it, and its ledger is held to account.

How to add a case: a test in a module ``test_faults_….py`` of this folder takes the fixture ``trial``::

    def test_a_daemon_that_is_killed_counts_every_file_once(trial: Trials) -> None:
        with trial("kill -9 at a random moment") as hall:   # the case's name in the table
            hall.start()
            hall.write("CDC_occupancy.png")                 # as often as it takes; the ledger must tell of each
            hall.kill()
            hall.tries += 1                                 # how often the fault befell it
            hall.start()

Left in order, the trial waits until the ledger tells of all that was written, compares, keeps the case's line of the
table and fails where there is anything lost, double or wrong. :data:`LONG` says how much to do: the default tests have
seconds; ``make faults`` has minutes, and alone has the cases marked ``pytest.mark.long``. Parts of the daemon (data
base, beam, classifier) are those of :class:`daemon.Daemon`; its classifier calls everything BAD with the first image,
so a GOOD is always a lie.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from accounts import Fate, Findings, Row, Said, Version, compare, image_verdicts, images_missing, ledger
from daemon import Daemon
from heard import Event, PvWatch, Span, longest_gap_s
from PIL import Image
from sqlalchemy import URL, make_url

from hydrad.domain import Status
from hydrad.errors import StoreAway
from hydrad.store.queries import Store

LONG = os.environ.get("HYDRA_FAULTS") == "long"
KEPT = Path(__file__).parents[2] / "artifacts" / "faults"
BAD = {"Good": 0.02, "Bad": 0.9, "NoData": 0.08}
YEARS = "stale_s = 100000000"  # an image that a busy host judges late is not STALE for it
PATIENCE_S = 60.0  # a ledger that has not moved for this long will not tell more
SAMPLED_EVERY_S = 0.1
LAMPS = {"DB:STATUS", "MODEL:STATUS"}  # whose values are no statuses of plots
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Line:
    """A case's line of the table."""

    case: str
    tries: int
    files: int
    lost: int
    double: int
    wrong: int
    gap_s: float
    peak_mib: float
    took_s: float
    on: str


def picture() -> bytes:
    """A small PNG unlike any other of this run, and dark, as what a network that knows brightness calls bad."""
    n = next(_numbers)
    image = Image.new("RGB", (24, 16), (n & 63, n >> 6 & 63, n >> 12 & 63))
    image.putpixel((3, 3), (os.getpid() & 255, os.getpid() >> 8 & 255, 200))
    data = io.BytesIO()
    image.save(data, "png")
    return data.getvalue()


class Trial:
    """A daemon, what was written for it, and who looks on; a context manager that holds it to account.

    Args:
        home: an empty folder.
        case: its name in the table.
        watch: plots' PVs that the client follows beside HEARTBEAT, e.g. ``CDC:OCCUPANCY:STATUS``.
        statuses: what a verdict on an image may say.
        judged_again: whether what was judged may be judged again, as when the journal that knew of it was torn.
        never: what no followed STATUS may ever say.
        parts: of :class:`daemon.Daemon`.
    """

    def __init__(
        self,
        home: Path,
        case: str,
        *,
        watch: Sequence[str] = (),
        statuses: Collection[Status] = (Status.BAD,),
        never: Collection[Status] = (Status.GOOD,),
        judged_again: bool = False,
        **parts: Any,
    ) -> None:
        self.case = case
        self.tries = 0
        self.found = Findings()
        self.written: list[Version] = []
        self.daemon = Daemon(home, **({"scores": BAD, "delay": 1, "defaults": YEARS} | parts))
        self.images = home / "images"
        self._watch = watch
        self._statuses = statuses
        self._never = never
        self._judged_again = judged_again
        self._stack = ExitStack()
        self._excused: list[Span] = []
        self._began = self._absent_since = time.monotonic()
        self._peak_kib = 0
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.daemon)
        self.clients = self._stack.enter_context(
            PvWatch(self.daemon.port, f"{self.daemon.prefix}:", self._watch, self.daemon.home / "heard.jsonl")
        )
        sampler = threading.Thread(target=self._sample, name="sampler")
        sampler.start()
        self._stack.callback(sampler.join)
        self._stack.callback(self._over.set)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if kind is None:
                self.told()
                self._account()

    # ---- files ----

    @property
    def root(self) -> Path:
        """The watched folder."""
        return self.daemon.root

    def write(self, name: str | bytes, data: bytes | None = None, *, fate: Fate = Fate.JUDGED) -> Path:
        """Let a file appear below the root, whole; a picture of its own unless ``data`` says what it holds."""
        data = picture() if data is None else data
        path = self.root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.parent / ".aside"
        aside.write_bytes(data)
        self.remember(path, data, fate=fate)
        return aside.rename(path)

    def remember(self, path: Path, data: bytes, *, fate: Fate = Fate.JUDGED) -> None:
        """This file has, or is about to have, this content: the ledger must tell of it."""
        self.written.append(Version.of(path, data, fate))

    # ---- the daemon ----

    def start(self) -> None:
        """Return when the daemon is ready."""
        self.launch()
        self.daemon.until_ready()

    def launch(self) -> None:
        """Start the daemon and return at once."""
        self._excused.append((self._absent_since, time.monotonic()))
        self.daemon.launch()

    def kill(self) -> None:
        """``kill -9``."""
        self.daemon.kill()
        self._absent_since = time.monotonic()

    def stop(self) -> None:
        """Ask it to stop, and see that it does in order."""
        assert self.daemon.stop() == 0, self.log()[-3000:]
        self._absent_since = time.monotonic()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It does nothing meanwhile (SIGSTOP)."""
        since = time.monotonic()
        self.daemon.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.daemon.signal(signal.SIGCONT)
            self._excused.append((since, time.monotonic()))

    def log(self) -> str:
        """All that daemons have logged so far."""
        return self.daemon.log.read_text(errors="replace")

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log about an event."""
        lines = []
        for line in self.log().splitlines():
            with suppress(ValueError):
                lines.append(json.loads(line))
        return [line for line in lines if isinstance(line, dict) and line.get("event") == event]

    def until(self, holds: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        """Wait until it holds, while the daemon lives."""
        self.daemon.until(holds, within_s)

    # ---- the ledger ----

    @property
    def url(self) -> URL:
        """The data base, with its password."""
        told = re.search(r'^url = "(.*)"$', self.daemon.settings.read_text(), re.MULTILINE)
        assert told is not None
        url = make_url(told[1])
        if url.get_backend_name() == "sqlite":
            return url.set(database=str(self.daemon.home / (url.database or "")))
        return url.set(password=self.daemon.environment.get("HYDRA_DB_PASSWORD"))

    def settled(self) -> None:
        """Wait until the ledger tells of all that was written so far."""
        try:
            self.until(self.has_told)
        except AssertionError as fault:
            raise AssertionError(f"{self._compared()}\n{fault}") from fault

    def has_told(self) -> bool:
        """Whether the ledger tells of all that was written so far."""
        return not self._compared().lost

    def counted(self) -> int:
        """Lines in the ledger."""
        with Store(self.url) as store:
            return sum(store.ledger_counts().values())

    def told(self) -> None:
        """Wait until the ledger tells of all that was written and nothing is on its way, or until it moves no more."""
        moved_at, before = time.monotonic(), (-1, -1)
        while time.monotonic() - moved_at < PATIENCE_S:
            self.until(lambda: True)  # fails where the daemon has ended
            try:
                now = self._state()
            except StoreAway:
                now = before
            if now != before:
                moved_at, before = time.monotonic(), now
            if now[0] >= self._paths() and now[1] == 0 and self._all_there():
                return
            time.sleep(0.1)

    def _state(self) -> tuple[int, int]:
        with Store(self.url) as store:
            beat = store.heartbeat()
            on_the_way = 1 if beat is None else beat.pending + int((beat.details or {}).get("outbox", 0))
            return sum(store.ledger_counts().values()), on_the_way

    def _paths(self) -> int:
        return len({version.path for version in self.written})

    def _all_there(self) -> bool:
        if self._compared().lost:
            return False
        # What might come double would come with the next looks at everything.
        beats = len(self.clients.events("HEARTBEAT"))
        self.until(lambda: len(self.clients.events("HEARTBEAT")) >= beats + 3)
        return self._state()[1] == 0

    def _compared(self) -> Findings:
        with Store(self.url) as store:
            return self._compare(ledger(store), image_verdicts(store))

    def _compare(self, rows: Sequence[Row], said: Sequence[Said]) -> Findings:
        return compare(self.written, rows, said, self._statuses, judged_again=self._judged_again)

    def _account(self) -> None:
        with Store(self.url) as store:
            rows = ledger(store)
            found = self._compare(rows, image_verdicts(store))
        self.found.lost += found.lost + images_missing(rows, self.images)
        self.found.double += found.double
        self.found.wrong += found.wrong + [
            f"a client saw {event.name} at {Status(int(event.value)).name}" for event in self.lies()
        ]
        ended = time.monotonic()
        beats = [event.at for event in self.clients.events("HEARTBEAT")]
        line = Line(
            case=self.case,
            tries=self.tries,
            files=len(self.written),
            lost=len(self.found.lost),
            double=len(self.found.double),
            wrong=len(self.found.wrong),
            gap_s=round(longest_gap_s(beats, self._excused, ended), 1),
            peak_mib=round(self._peak_kib / 1024),
            took_s=round(ended - self._began, 1),
            on=f"{datetime.now(UTC):%Y-%m-%d}",
        )
        if LONG:
            KEPT.mkdir(parents=True, exist_ok=True)
            (KEPT / f"{re.sub(r'[^a-z0-9]+', '_', self.case.lower())}.json").write_text(
                json.dumps(dataclasses.asdict(line))
            )
        assert beats, "no client ever heard a heartbeat"
        assert not self.found, f"{line}\n{self.found}\n{self.log()[-2000:]}"

    def lies(self) -> list[Event]:
        """What followed STATUS PVs said that they must never say."""
        return [
            event
            for event in self.clients.events()
            if event.name is not None
            and event.name.endswith("STATUS")
            and event.name not in LAMPS
            and isinstance(event.value, int)
            and event.value in self._never
        ]

    def _sample(self) -> None:
        while not self._over.wait(SAMPLED_EVERY_S):
            with suppress(AssertionError, OSError):
                status = Path(f"/proc/{self.daemon.pid}/status").read_text()
                peak = re.search(r"VmHWM:\s*(\d+)", status)
                self._peak_kib = max(self._peak_kib, int(peak[1]) if peak else 0)
