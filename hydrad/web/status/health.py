"""How each part of the house is: a level, a word and a sentence; and what the daemon's sign of life says, as types."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from hydrad import __version__
from hydrad.config import Config, FixedClassify
from hydrad.domain import Health
from hydrad.store.models.registry import Place
from hydrad.store.rows import Heartbeat
from hydrad.store.tables import ModelState
from hydrad.web.clocks import lives
from hydrad.web.documents import Words

BEGAN_AT: Final = datetime.now(UTC)  # this process
LITTLE_ROOM, NO_ROOM = 0.10, 0.03  # of a disk
BEHIND: Final = 1000  # records that wait for the data base

Level = Literal["well", "still", "watch", "unknown", "bad"]
ORDER: Final[Sequence[Level]] = ("bad", "unknown", "watch", "still", "well")  # the worst first
Count = Annotated[int, Field(ge=0)]
B = TypeVar("B", bound=BaseModel)


class Told(BaseModel):
    """A part of the daemon's sign of life; what an older or a newer daemon says besides is passed over."""

    model_config = ConfigDict(extra="ignore")


class BeamTold(Told):
    """The beam as the daemon sees it."""

    state: Literal["OFF", "ON", "UNKNOWN"]
    current: FiniteFloat | None = None
    units: Words = ""
    reason: Words = ""
    read_at: str | None = None
    on_above: FiniteFloat | None = None


class RunTold(Told):
    """The run as the daemon sees it."""

    state: Literal["IDLE", "RUNNING", "UNKNOWN"]
    number: int | None = None
    type: Words = ""
    masked: bool = False
    reason: Words = ""


class CanaryTold(Told):
    """What has come of the known-bad images."""

    status: Words
    says: Words = ""
    trouble: Words = ""
    blind: bool = False
    age_s: FiniteFloat | None = None
    latency_s: FiniteFloat | None = None


class StageTold(Told):
    """How long images were in one stage, in the last minute."""

    p50_ms: FiniteFloat
    p99_ms: FiniteFloat


class ServerTold(Told):
    """Where PVs are served, and to how many."""

    prefix: Words
    port: int
    clients: Count


class DiskTold(Told):
    """The disk of a folder that the daemon fills."""

    path: Words
    free_bytes: Count
    total_bytes: Count


class ProcessTold(Told):
    """What the daemon holds of its host."""

    memory_bytes: Count
    open_files: Count
    threads: Count
    tasks: Count


class Part(BaseModel):
    """How one part is."""

    name: str
    level: Level
    word: str
    sentence: Words


@dataclass(frozen=True, slots=True)
class Sign:
    """The daemon's sign of life, read; what it did not say, or said in another form, is None or empty."""

    beat: Heartbeat | None
    alive: bool
    beam: BeamTold | None
    run: RunTold | None
    canary: CanaryTold | None
    stages: Mapping[str, StageTold]
    server: ServerTold | None
    disks: Mapping[str, DiskTold]
    process: ProcessTold | None
    images_per_s: float | None
    latency_s: float | None
    outbox: int | None
    database_ok: bool | None
    model_ok: bool | None


def read(beat: Heartbeat | None, now: datetime) -> Sign:
    """The newest sign of life; it is a living daemon's for ten seconds."""
    said: Mapping[str, Any] = {} if beat is None or beat.details is None else beat.details
    stages = {str(name): stage for name, one in _table(said.get("stages")) if (stage := _told(StageTold, one))}
    disks = {str(name): disk for name, one in _table(said.get("disk")) if (disk := _told(DiskTold, one))}
    return Sign(
        beat=beat,
        alive=lives(beat, now),
        beam=_told(BeamTold, said.get("beam")),
        run=_told(RunTold, said.get("run")),
        canary=_told(CanaryTold, said.get("canary")),
        stages=stages,
        server=_told(ServerTold, said.get("pv_server")),
        disks=disks,
        process=_told(ProcessTold, said.get("process")),
        images_per_s=_number(said.get("images_per_s")),
        latency_s=_number(said.get("latency_s")),
        outbox=value if isinstance(value := said.get("outbox"), int) and value >= 0 else None,
        database_ok=value if isinstance(value := said.get("database_ok"), bool) else None,
        model_ok=value if isinstance(value := said.get("model_ok"), bool) else None,
    )


def faults(sign: Sign, now: datetime) -> list[str]:
    """Why nobody may rely on the daemon, in sentences that anybody may read; none while it is at work."""
    beat = sign.beat
    if beat is None:
        return ["no daemon has ever been here"]
    if not sign.alive:
        return [f"no sign of life from the daemon for {in_words(now - beat.beat_at)}"]
    found = ["the daemon has stalled"] if beat.health is Health.STALLED else []
    if sign.canary is not None and sign.canary.blind:
        found.append("a model does not find its known-bad image bad")
    return found


def parts(config: Config, sign: Sign, places: Sequence[Place], answered_s: float, now: datetime) -> list[Part]:
    """All of them, in the order in which one asks.

    Args:
        answered_s: how long the data base took to answer.
    """
    return [
        _daemon(sign, now),
        _database(config, sign, answered_s),
        _models(config, sign, places),
        _canary(sign),
        _beam(sign),
        _run(sign),
        _server(sign),
        _outbox(sign),
        *_disks(sign),
        pages(),
    ]


def without_data_base(why: str) -> list[Part]:
    """What can be said while the data base does not answer."""
    unknown = "It tells of itself through the data base, which does not answer."
    return [
        Part(name="Data base", level="bad", word="AWAY", sentence=f"The pages cannot reach it: {why}."),
        *(
            Part(name=name, level="unknown", word="UNKNOWN", sentence=unknown)
            for name in ("Daemon", "Models", "Canary", "Beam", "Run", "PV server")
        ),
        pages(),
    ]


def pages() -> Part:
    """The process that answers."""
    since = in_words(datetime.now(UTC) - BEGAN_AT)
    return Part(
        name="Pages", level="well", word="SERVE", sentence=f"On {socket.gethostname()} for {since}, {__version__}."
    )


def headline(parts: Sequence[Part]) -> str:
    """All of it in one sentence."""
    wrong = [part for part in parts if part.level in {"bad", "unknown", "watch"}]
    if not wrong:
        return "Everything works."
    names = [part.name if n == 0 else part.name[0].lower() + part.name[1:] for n, part in enumerate(wrong)]
    names = [name.replace("pV", "PV") for name in names]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{listed} {'needs' if len(names) == 1 else 'need'} somebody."


def worst(parts: Sequence[Part]) -> Level:
    """The level that stands for all of them; a beam that is off, or a run that is over, is no fault."""
    return next((level for level in ORDER if level != "still" and any(part.level == level for part in parts)), "well")


def in_words(time: timedelta) -> str:
    """A stretch of time in one number and a unit."""
    s = max(0.0, time.total_seconds())
    for unit_s, least_s, unit in ((86400, 172800, "days"), (3600, 7200, "h"), (60, 120, "min")):
        if s >= least_s:
            return f"{s / unit_s:.0f} {unit}"
    return f"{s:.0f} s"


def bytes_in_words(count: float) -> str:
    """Bytes in a unit that leaves few digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _daemon(sign: Sign, now: datetime) -> Part:
    beat = sign.beat
    if beat is None:
        return Part(
            name="Daemon", level="bad", word="NEVER SEEN", sentence="No daemon has ever been here: `hydrad run` is one."
        )
    if not sign.alive:
        return Part(
            name="Daemon",
            level="bad",
            word="SILENT",
            sentence=f"No sign of life from {beat.host} for {in_words(now - beat.beat_at)}: the wall shows how things "
            "stood then.",
        )
    runs = f"On {beat.host}, process {beat.pid}, for {in_words(now - beat.started_at)}, {beat.version}."
    if beat.health is Health.STALLED:
        return Part(name="Daemon", level="bad", word="STALLED", sentence=f"{_capital(beat.why)}. {runs}")
    if beat.health is Health.DEGRADED:
        return Part(name="Daemon", level="watch", word="DEGRADED", sentence=f"{_capital(beat.why)}. {runs}")
    if beat.version != __version__:
        return Part(
            name="Daemon",
            level="watch",
            word="OTHER VERSION",
            sentence=f"{runs} The pages are {__version__}: restart what is older.",
        )
    return Part(name="Daemon", level="well", word="WORKS", sentence=runs)


def _database(config: Config, sign: Sign, answered_s: float) -> Part:
    kind = "SQLite, embedded" if config.store.url.startswith("sqlite") else "A server"
    answered = f"{kind}; answered in {1000 * answered_s:.0f} ms."
    if sign.alive and sign.database_ok is False:
        return Part(
            name="Data base",
            level="watch",
            word="NOT DELIVERED TO",
            sentence=f"The daemon cannot deliver to it, though the pages reach it. {answered}",
        )
    return Part(name="Data base", level="well", word="ANSWERS", sentence=answered)


def _models(config: Config, sign: Sign, places: Sequence[Place]) -> Part:
    serving = sum(place.state is ModelState.IN_SERVICE and not place.fault for place in places)
    models = f"{serving} model{'s' * (serving != 1)} in service."
    refused = [place for place in places if place.state is ModelState.IN_SERVICE and place.fault]
    if refused:
        why = f"{refused[0].id} could not be loaded: {refused[0].fault}."
        return Part(name="Models", level="bad", word="REFUSED", sentence=f"{why} {models}")
    if sign.alive and sign.canary is not None and sign.canary.blind:
        return Part(
            name="Models",
            level="bad",
            word="BLIND",
            sentence=f"{_capital(sign.canary.trouble)}. Roll it back in the library, and look at its plots yourselves.",
        )
    if sign.alive and sign.model_ok is False:
        return Part(
            name="Models", level="bad", word="REFUSED", sentence=f"The daemon refused one; see the library. {models}"
        )
    if isinstance(config.classify, FixedClassify):
        return Part(name="Models", level="watch", word="FIXED", sentence="Every image gets the same answer: a test.")
    if not serving:
        return Part(
            name="Models",
            level="watch",
            word="NONE",
            sentence="No model is in service, so images are shown and not judged: train one in the library.",
        )
    return Part(name="Models", level="well", word="SERVE", sentence=models)


def _canary(sign: Sign) -> Part:
    canary = sign.canary
    if not sign.alive or canary is None:
        return _untold("Canary", sign)
    if canary.trouble:
        return Part(
            name="Canary", level="bad" if canary.blind else "watch", word=canary.status, sentence=_sentence(canary.says)
        )
    ago = "" if canary.age_s is None else f" {_capital(in_words(timedelta(seconds=canary.age_s)))} ago"
    took = "" if canary.latency_s is None else f", {canary.latency_s:.1f} s from file to data base"
    known = canary.status == "BAD"
    when = f"{ago}{took}." if ago else ""
    level: Level = "well" if known else "still"
    return Part(name="Canary", level=level, word=canary.status, sentence=f"{_sentence(canary.says)}{when}")


def _beam(sign: Sign) -> Part:
    beam = sign.beam
    if not sign.alive or beam is None:
        return _untold("Beam", sign)
    current = "" if beam.current is None else f"{beam.current:.4g} {beam.units}"
    limit = "" if beam.on_above is None else f"on above {beam.on_above:g} {beam.units}"
    facts = ", ".join(word for word in (current, limit) if word)
    match beam.state:
        case "ON":
            return Part(name="Beam", level="well", word="ON", sentence=f"{facts}.")
        case "OFF":
            return Part(name="Beam", level="still", word="OFF", sentence=f"{_capital(beam.reason or facts)}.")
        case _:
            why = _capital(beam.reason or "nothing can be read")
            return Part(
                name="Beam", level="watch", word="UNKNOWN", sentence=f"{why}: an empty plot is SUSPECT, not NODATA."
            )


def _run(sign: Sign) -> Part:
    run = sign.run
    if not sign.alive or run is None:
        return _untold("Run", sign)
    which = "The run" if run.number is None else f"Run {run.number}"
    if run.masked:
        sentence = f"{which} is of type {run.type}: nothing alarms in it."
        return Part(name="Run", level="still", word="MASKED", sentence=f"{sentence} {_sentence(run.reason)}".strip())
    if run.reason:
        so = "" if run.state != "UNKNOWN" else " A run is assumed to be going."
        return Part(name="Run", level="watch", word=run.state, sentence=f"{_sentence(run.reason)}{so}")
    match run.state:
        case "RUNNING":
            kind = f", of type {run.type}" if run.type else ""
            return Part(name="Run", level="well", word="RUNNING", sentence=f"{which} is going{kind}.")
        case "IDLE":
            return Part(name="Run", level="still", word="IDLE", sentence="No run is going: old images are not STALE.")
        case _:
            newest = "" if run.number is None else f"{which} is the newest. "
            sentence = f"{newest}No PV tells of the state of runs, so one is assumed to be going."
            return Part(name="Run", level="well", word="ASSUMED", sentence=sentence)


def _sentence(words: str) -> str:
    return f"{_capital(words)}." if words else ""


def _server(sign: Sign) -> Part:
    server = sign.server
    if not sign.alive or server is None:
        return _untold("PV server", sign)
    clients = {0: "no client is connected", 1: "1 client is connected"}.get(
        server.clients, f"{server.clients} clients are connected"
    )
    return Part(
        name="PV server", level="well", word="SERVES", sentence=f"{server.prefix}… at port {server.port}; {clients}."
    )


def _outbox(sign: Sign) -> Part:
    waiting = sign.outbox
    if not sign.alive or waiting is None:
        return _untold("Outbox", sign)
    sentence = f"{waiting} record{'s' * (waiting != 1)} of the journal wait for the data base."
    if waiting > BEHIND:
        return Part(name="Outbox", level="watch", word="BEHIND", sentence=sentence)
    return Part(name="Outbox", level="well", word="EMPTY" if waiting == 0 else "FLOWS", sentence=sentence)


def _disks(sign: Sign) -> Iterator[Part]:
    if not sign.alive or not sign.disks:
        yield _untold("Disk", sign)
        return
    for name, disk in sign.disks.items():
        share = disk.free_bytes / disk.total_bytes if disk.total_bytes else 0.0
        level: Level = "bad" if share < NO_ROOM else "watch" if share < LITTLE_ROOM else "well"
        room = f"{bytes_in_words(disk.free_bytes)} of {bytes_in_words(disk.total_bytes)} are free at {disk.path}."
        word = {"bad": "FULL", "watch": "NEARLY FULL"}.get(level, f"{100 * share:.0f} % FREE")
        yield Part(name=f"Disk of the {name}", level=level, word=word, sentence=room)


def _untold(name: str, sign: Sign) -> Part:
    why = "The daemon says nothing of it." if sign.alive else "No daemon is there to tell."
    return Part(name=name, level="unknown", word="UNKNOWN", sentence=why)


def _told(kind: type[B], said: object) -> B | None:
    try:
        return kind.model_validate(said)
    except ValidationError:
        return None


def _table(said: object) -> Sequence[tuple[object, object]]:
    return list(said.items()) if isinstance(said, Mapping) else []


def _number(said: object) -> float | None:
    return float(said) if isinstance(said, int | float) and not isinstance(said, bool) else None


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
