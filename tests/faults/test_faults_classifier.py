"""A network that fails, hangs, crashes or answers nonsense, a decoder that crashes: no green, and nothing lost."""

from __future__ import annotations

import io
import itertools
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from accounts import Fate
from classify_world import brightness_bundle
from faulty import FAULTY
from listening_systemd import ListeningSystemd
from PIL import Image
from sqlalchemy import select
from trial import LONG, Trial

from hydrad import image_files
from hydrad.deaths import MOST_DEATHS
from hydrad.domain import Cause, Severity, Status
from hydrad.store.queries import Store
from hydrad.store.tables import verdicts

WATCHDOG_S = 4.0
COMPANY = 30 if LONG else 5  # pictures in hand beside the deadly one
STALLED = 2  # of WATCHDOG
PATIENCE_S = 120.0
_numbers = itertools.count(1)
Trials = Callable[..., Trial]
DEADLY_WAYS = pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("crashes", -signal.SIGSEGV),
        pytest.param("is_killed", -signal.SIGKILL, marks=pytest.mark.skipif(not LONG, reason="as is a crash")),
    ],
)


def deadly() -> bytes:
    """A picture of the colour at which the network of these trials stumbles; it would be BAD."""
    data = io.BytesIO()
    Image.new("RGB", (24, 16), (next(_numbers), 0, 99)).save(data, "png")
    return data.getvalue()


def bright() -> bytes:
    """A picture that is GOOD."""
    data = io.BytesIO()
    Image.new("RGB", (24, 16), (255 - next(_numbers), 255, 255)).save(data, "png")
    return data.getvalue()


def befall(hall: Trial, fault: str) -> None:
    """From now on the network does this; nothing special when it is empty."""
    aside = hall.daemon.home / "fault.aside"
    aside.write_text(fault)
    aside.rename(hall.daemon.home / "fault")


def told(hall: Trial) -> dict[str, tuple[Status, str]]:
    """Status and reason of the verdict on each file."""
    columns = (verdicts.c.path, verdicts.c.status, verdicts.c.reason)
    with Store(hall.url) as store, store.reading() as connection:
        rows = connection.execute(select(*columns).where(verdicts.c.cause == Cause.IMAGE))
        return {path: (status, reason) for path, status, reason in rows}


def expect(hall: Trial, paths: Iterable[Path], status: Status, reason: str = "") -> None:
    """Say what is wrong about the verdicts on these files."""
    hall.settled()
    found = told(hall)
    for path in paths:
        was, why = found[str(path)]
        if was is not status or reason not in why:
            hall.found.wrong.append(f"{path.name} was {was.name}, not {status.name}: {why}")


def images(hall: Trial, word: str, count: int) -> list[Path]:
    return [hall.write(f"CDC_{word}{n}.png") for n in range(count)]


def test_a_network_that_fails_takes_no_picture_with_it_that_it_could_have_answered(
    trial: Trials, tmp_path: Path
) -> None:
    brightness_bundle(tmp_path / "models")
    watch = ["CDC:RAISES0:STATUS", "WATCHDOG"]
    with trial(
        "classifier raises, runs out of memory, answers NaN or shapes that are wrong",
        program=FAULTY, scores=None, statuses=(Status.BAD, Status.UNKNOWN), watch=watch,
    ) as hall:  # fmt: skip
        hall.start()
        for fault, reason in {
            "raises": "the network stumbled",
            "lacks_memory": "there is not memory enough",
            "nan": "scores that are no numbers",
            "misshapes": "gave scores of shape",
        }.items():
            for round_ in range(5 if LONG else 1):
                hall.tries += 1
                befall(hall, f"{fault} all")
                expect(hall, images(hall, f"{fault}{round_ or ''}", COMPANY), Status.UNKNOWN, reason)
                befall(hall, fault)
                sound = images(hall, f"sound_{fault}{round_}", COMPANY)
                one = hall.write(f"CDC_one_{fault}{round_}.png", deadly())
                expect(hall, [one], Status.UNKNOWN, reason)
                expect(hall, sound, Status.BAD)
        befall(hall, "out_of_memory all")
        while not hall.said("no_room_for_batch"):
            hall.tries += 1
            expect(hall, images(hall, f"wide{hall.tries}_", COMPANY), Status.BAD)
        befall(hall, "")
        expect(hall, images(hall, "raises", COMPANY), Status.BAD)
        shown = [(event.value, event.severity) for event in hall.clients.events("CDC:RAISES0:STATUS")]
        assert shown[0] == (Status.UNKNOWN, Severity.INVALID)
        assert shown[-1] == (Status.BAD, Severity.MAJOR)


def died(hall: Trial) -> int:
    """Wait until it has ended by itself; the exit status."""
    status = hall.daemon.wait()
    hall.kill()  # it is away from now on
    return status


@DEADLY_WAYS
def test_a_picture_that_kills_the_daemon_does_so_twice_and_no_more(
    trial: Trials, tmp_path: Path, fault: str, status: int
) -> None:
    brightness_bundle(tmp_path / "models")
    with trial(
        f"a picture at which the classifier {fault.replace('_', ' ')}",
        program=FAULTY, scores=None, statuses=(Status.BAD, Status.UNKNOWN),
    ) as hall:  # fmt: skip
        befall(hall, fault)
        hall.start()
        for round_ in range(3 if LONG else 1):
            poison = hall.write(f"CDC_poison{round_}.png", deadly())
            company = images(hall, f"company{round_}_", COMPANY)
            for _ in range(MOST_DEATHS):
                assert died(hall) == status
                hall.tries += 1
                hall.launch()
            hall.daemon.until_ready()
            expect(hall, company, Status.BAD)
            expect(hall, [poison], Status.UNKNOWN, f"the daemon ended {MOST_DEATHS} times while model")
        if LONG:
            hall.stop()
            hall.start()  # it is neither forgotten nor tried once more
        again = hall.write("CDC_again.png", poison.read_bytes())
        expect(hall, [again], Status.UNKNOWN, f"the daemon ended {MOST_DEATHS} times while model")


@DEADLY_WAYS
def test_a_picture_at_which_the_decoder_kills_the_daemon_is_refused_in_the_end(
    trial: Trials, tmp_path: Path, fault: str, status: int
) -> None:
    brightness_bundle(tmp_path / "models")
    with trial(f"a picture at which the decoder {fault.replace('_', ' ')}", program=FAULTY, scores=None) as hall:
        befall(hall, f"decoder_{fault}")
        hall.start()
        for round_ in range(3 if LONG else 1):
            poison = deadly()
            hall.write(f"CDC_poison{round_}.png", poison, fate=Fate.REJECTED)
            company = images(hall, f"company{round_}_", COMPANY)
            for _ in range(image_files.MOST_DEATHS):
                assert died(hall) == status
                hall.tries += 1
                hall.launch()
            hall.daemon.until_ready()
            expect(hall, company, Status.BAD)
        hall.stop()
        hall.start()  # it is neither forgotten nor tried once more
        again = hall.write("CDC_again.png", poison, fate=Fate.REJECTED)
        hall.settled()
        with Store(hall.url) as store:
            [entry] = store.ledger_files(path=str(again))
        assert entry.reason == f"the daemon ended {image_files.MOST_DEATHS} times while it was decoded"


@pytest.mark.skipif(not LONG, reason="systemd's watchdog takes its time")
@pytest.mark.parametrize(
    ("part", "fault", "deaths"),
    [("classifier", "hangs", MOST_DEATHS), ("decoder", "decoder_hangs", image_files.MOST_DEATHS)],
    ids=["classifier", "decoder"],
)
def test_a_picture_at_which_a_part_hangs_is_stalled_restarted_and_then_left_out(
    trial: Trials, tmp_path: Path, part: str, fault: str, deaths: int
) -> None:
    brightness_bundle(tmp_path / "models")
    watch = ["WATCHDOG", "GRN:GREEN:STATUS"]
    with (
        ListeningSystemd(WATCHDOG_S) as systemd,
        trial(
            f"a picture at which the {part} hangs",
            program=FAULTY, scores=None, environment=systemd.environment, watch=watch,
            defaults='stale_s = 600\n[[detector]]\nname = "GRN"\nplots = ["GRN_*"]\nstale_s = 6',
            statuses=(Status.GOOD, Status.BAD, Status.UNKNOWN), never=(),
        ) as hall,
    ):  # fmt: skip
        hall.start()
        green = hall.write("GRN_green.png", bright())
        expect(hall, [green], Status.GOOD)
        befall(hall, fault)
        refused = part == "decoder"
        poison = hall.write("CDC_poison.png", deadly(), fate=Fate.REJECTED if refused else Fate.JUDGED)
        company = images(hall, "company", COMPANY)
        for death in range(deaths):
            hall.until(lambda n=death: _times_stalled(hall) > n, PATIENCE_S)
            systemd.until(lambda: systemd.silent_s("WATCHDOG=1") > WATCHDOG_S, PATIENCE_S)
            assert systemd.status().endswith(f"stalled: no sign of life from the {part}")
            hall.until(lambda: _statuses(hall)[-1] == (Status.STALE, Severity.INVALID), PATIENCE_S)
            hall.daemon.signal(signal.SIGABRT)  # as systemd would
            assert died(hall) == -signal.SIGABRT
            hall.tries += 1
            hall.launch()
        expect(hall, company, Status.BAD)
        if not refused:
            expect(hall, [poison], Status.UNKNOWN, f"the daemon ended {deaths} times while model")
        hall.until(lambda: _health(hall)[-1] != STALLED)
        shown = [value for value, _ in _statuses(hall)]
        assert Status.GOOD not in shown[shown.index(Status.STALE) :]
        expect(hall, [hall.write("GRN_green.png", bright())], Status.GOOD)


def _health(hall: Trial) -> list[int | float | str | None]:
    return [event.value for event in hall.clients.events("WATCHDOG")]


def _times_stalled(hall: Trial) -> int:
    return sum(value == STALLED and before != STALLED for before, value in itertools.pairwise(_health(hall)))


def _statuses(hall: Trial) -> list[tuple[int | float | str | None, int]]:
    return [(event.value, event.severity) for event in hall.clients.events("GRN:GREEN:STATUS")]


@pytest.mark.skipif(not LONG, reason="one of many")
def test_a_model_that_takes_its_time_to_load_and_one_damaged_in_service_lose_nothing(
    trial: Trials, tmp_path: Path
) -> None:
    bundle = brightness_bundle(tmp_path / "models")
    with trial(
        "model loads slowly; its file is damaged while it serves",
        program=FAULTY, scores=None, statuses=(Status.BAD, Status.NOMODEL), watch=["MODEL:STATUS"], never=(),
    ) as hall:  # fmt: skip
        (tmp_path / "loading").touch()
        hall.launch()
        early = images(hall, "early", COMPANY)
        hall.until((tmp_path / "loads").exists)
        assert not hall.said("ready")
        (tmp_path / "loading").unlink()
        hall.daemon.until_ready()
        expect(hall, early, Status.BAD)
        hall.tries += 1
        sound = bundle.model.read_bytes()
        os.truncate(bundle.model, 3)
        expect(hall, images(hall, "while_damaged", COMPANY), Status.BAD)
        hall.stop()
        hall.start()
        hall.tries += 1
        expect(hall, images(hall, "after", COMPANY), Status.NOMODEL)
        faulty = [event for event in hall.clients.events("MODEL:STATUS") if event.value == 1]
        assert faulty
        assert faulty[-1].severity == Severity.MAJOR
        hall.stop()
        bundle.model.write_bytes(sound)
        hall.start()
        expect(hall, images(hall, "mended", COMPANY), Status.BAD)


@pytest.mark.skipif(not LONG, reason="a minute")
def test_a_daemon_that_stood_still_goes_on_where_it_was(trial: Trials, tmp_path: Path) -> None:
    brightness_bundle(tmp_path / "models")
    with trial("event loop blocked for 20 s", program=FAULTY, scores=None) as hall:
        hall.start()
        for n in range(3):
            (tmp_path / "blocking.aside").write_text("20")
            (tmp_path / "blocking.aside").rename(tmp_path / "blocking")
            hall.until(lambda: not (tmp_path / "blocking").exists())
            expect(hall, images(hall, f"blocked{n}_", COMPANY), Status.BAD)
            hall.tries += 1
        hall.until(lambda: hall.clients.events("HEARTBEAT"))
