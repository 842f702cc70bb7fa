"""A daemon of the bench's own: the real one as a process, with a data base, a model and a Channel Access client."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from hydrad import config as configuration
from hydrad import password
from hydrad.domain import Outcome
from hydrad.errors import HydradError, StoreAway
from hydrad.footprint import Footprint, of
from hydrad.store.queries import Store
from hydrad.verbs.benches import drawings
from hydrad.verbs.benches.drawings import Drawings
from hydrad.verbs.processes import child, free_port, no_repeater, tail

WAIT_S = 300.0
LOOK_S = 0.05  # between two looks whether all is done

HALL = """\
[hall]
name = "BENCH"

[store]
url = "{url}"
models = '{models}'
{store}
[ioc]
prefix = "{prefix}"
port = {port}

[beam]
kind = "fixed"

[[watch]]
root = "dumps"
pattern = '{pattern}'
"""


@dataclass(frozen=True, slots=True)
class Site:
    """Where daemons of the bench run, one after the other."""

    folder: Path
    fresh: Callable[[], URL]  # makes a data base
    drawn: Drawings
    port: int  # of all their PVs, since libca reads its environment once
    numbers: Iterator[int]

    @classmethod
    @contextmanager
    def of(cls, folder: Path, fresh: Callable[[], URL], drawn: Drawings) -> Iterator[Site]:
        """One whose daemons are the only ones that this process's Channel Access knows."""
        with no_repeater() as repeater:
            port = free_port()
            os.environ |= {
                "EPICS_CA_ADDR_LIST": f"127.0.0.1:{port}",
                "EPICS_CA_AUTO_ADDR_LIST": "NO",
                "EPICS_CA_REPEATER_PORT": str(repeater),
            }
            yield cls(folder, fresh, drawn, port, itertools.count(1))


@dataclass(frozen=True, slots=True)
class Landed:
    """What it came to that images landed at once."""

    images: int
    seconds: float  # until the last one's row is in the data base and, where it was waited for, its PV at the client
    cpu_s: float  # of the daemon's threads

    def told(self) -> dict[str, float]:
        """For JSON: ``seconds``, ``per_s`` (images) and ``cpu_ms`` an image."""
        return {
            "seconds": self.seconds,
            "per_s": self.images / self.seconds,
            "cpu_ms": 1000 * self.cpu_s / self.images,
        }


class Daemon:
    """The running daemon, as seen from outside."""

    def __init__(
        self, site: Site, home: Path, pid: int, *, store: Store, listener: Any, alive: Callable[[], None]
    ) -> None:
        self._site = site
        self._root, self._aside = home / "dumps", home / "aside"
        self._pid = pid
        self._store = store
        self._listener = listener
        self._alive = alive
        self._run = 0
        self._landed: list[list[Path]] = []

    @property
    def cpu_s(self) -> float:
        """Seconds of processors that it has taken since it began."""
        fields = Path(f"/proc/{self._pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def holds(self) -> Footprint:
        """Memory, open files and threads now."""
        return of(self._pid)

    def listen(self, plots: Sequence[int]) -> None:
        """Let the client hear of the runs of these plots, and return when it has heard of all."""
        names = [drawings.pv(plot, "RUN") for plot in plots]
        for name in names:
            self._listener.listen(name)
        for name in names:
            self._listener.wait_for(name, WAIT_S, self._alive)

    def land(self, plots: Sequence[int], *, heard: bool = False) -> Landed:
        """Let an image of each plot land at once.

        Args:
            heard: wait for their PVs at the client too, which listens to them already.

        Raises:
            HydradError: one was not judged, or not within WAIT_S.
        """
        self._run += 1
        ready = [self._site.drawn.write(self._aside, plot, self._run) for plot in plots]
        wanted = self._judged() + len(ready)
        cpu_s, began = self.cpu_s, time.perf_counter()
        self._landed.append([path.rename(self._root / path.name) for path in ready])
        while self._judged() < wanted:
            self._alive()
            if time.perf_counter() - began > WAIT_S:
                raise HydradError(f"{wanted - self._judged()} of {len(ready)} images were not judged: {self._counts()}")
            time.sleep(LOOK_S)
        done = time.perf_counter()
        if heard:
            names = [drawings.pv(plot, "RUN") for plot in plots]
            done = max(done, *(self._listener.wait_until(name, self._run, WAIT_S) for name in names))
        return Landed(len(ready), done - began, self.cpu_s - cpu_s)

    def alone(self, plot: int) -> float:
        """The time in ms from an image's landing to the event at the client, which listens, that hears of its run."""
        self._run += 1
        path = self._site.drawn.write(self._aside, plot, self._run)
        began = time.perf_counter()
        path.rename(self._root / path.name)
        heard: float = self._listener.wait_until(drawings.pv(plot, "RUN"), self._run, WAIT_S)
        return 1000 * (heard - began)

    def share_of_a_core(self, seconds: float) -> float:
        """Which share of a processor it takes while nothing is asked of it."""
        cpu_s, began = self.cpu_s, time.perf_counter()
        time.sleep(seconds)
        self._alive()
        return (self.cpu_s - cpu_s) / (time.perf_counter() - began)

    def sweep(self, keep: int) -> None:
        """Remove the dumps of all but the last landings, as a producer's housekeeping does."""
        while len(self._landed) > keep:
            for path in self._landed.pop(0):
                path.unlink(missing_ok=True)

    def _judged(self) -> int:
        return self._counts().get(Outcome.JUDGED, 0)

    def _counts(self) -> dict[Outcome, int]:
        try:
            return dict(self._store.ledger_counts())
        except StoreAway:
            return {}


@contextmanager
def running(site: Site, model: Path, *, store: str = "") -> Iterator[Daemon]:
    """A daemon with this bundle, from when its PVs are heard; with a data base and a prefix of its own.

    Args:
        store: more lines of ``[store]``.

    Raises:
        HydradError: it ended by itself.
    """
    number = next(site.numbers)
    home, prefix, url = site.folder / f"daemon{number}", f"HYDRA:BENCH{number}:", site.fresh()
    for folder in ("dumps", "aside"):
        (home / folder).mkdir(parents=True)
    if url.password is not None:
        os.environ[password.variable()] = str(url.password)
    bare = url._replace(password=None).render_as_string(hide_password=False)
    settings, journal = home / "hydra.toml", home / "hydrad.log"
    settings.write_text(
        HALL.format(
            url=bare, models=model.parent, store=store, prefix=prefix, port=site.port, pattern=drawings.PATTERN
        ),
        encoding="utf-8",
    )
    with ExitStack() as stack:
        output = stack.enter_context(journal.open("wb"))
        process = stack.enter_context(child(["run", "-c", str(settings)], output=output))
        asked = stack.enter_context(Store(configuration.load(settings).store_url()))

        def alive() -> None:
            if process.poll() is not None:
                raise HydradError(f"the daemon ended by itself:\n{tail(journal)}")

        from hydrad.verbs.listening import Listener  # noqa: PLC0415  libca reads its environment when it is loaded

        listener = stack.enter_context(Listener(prefix))
        listener.wait_for("HEARTBEAT", WAIT_S, alive)
        yield Daemon(site, home, process.pid, store=asked, listener=listener, alive=alive)
