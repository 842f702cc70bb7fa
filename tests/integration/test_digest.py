"""The digest: each day's log goes to each reader once, however often processes die and mail servers fail."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import pairwise
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from log_world import Streak, judged, person, streak
from store_world import until
from web_world import World, world

from hydrad.domain import Status
from hydrad.errors import ConfigurationError, TryAgain
from hydrad.store.history import episodes
from hydrad.verbs.processes import free_port
from hydrad.web.log import digest as digest_module
from hydrad.web.log.digest import Digest, due
from hydrad.web.log.digest_words import letter

NEW_YORK = ZoneInfo("America/New_York")
SEVEN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # 07:00 in New York
NOW = SEVEN + timedelta(minutes=1)


@dataclass
class Post:
    """A mail server's inbox; ``refuses`` are recipients it will not have."""

    letters: list[EmailMessage] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    answer: str = "250 OK"

    async def handle_RCPT(  # noqa: N802  the library's word
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _o: object
    ) -> str:
        if address in self.refuses:
            return "550 nobody here of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  likewise
        if self.answer.startswith("250"):
            self.letters.append(message_from_bytes(envelope.content, policy=policy.default))
            self.to += envelope.rcpt_tos
        return self.answer


class Office:
    """The mail server itself, on a port of its own; it may close and open again. A context manager."""

    def __init__(self, **words: object) -> None:
        self.post = Post()
        self.port = free_port()
        self._words = words
        self._server: Controller | None = None

    def open(self) -> None:
        self._server = Controller(self.post, hostname="127.0.0.1", port=self.port, **self._words)
        self._server.start()

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def office() -> Iterator[Office]:
    with Office() as opened:
        yield opened


def hall(home: Path, port: int, more: str = "") -> World:
    mail = f'[mail]\nhost = "127.0.0.1"\nport = {port}\nsender = "Hydra <hydrad@counting.example>"\n'
    return world(home, more=f'{mail}address = "https://hydra.example"\n{more}')


@pytest.fixture
def here(tmp_path: Path, office: Office) -> Iterator[World]:
    made = hall(tmp_path, office.port)
    with made.store:
        yield made


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def digest(here: World, now: datetime | Clock = NOW, **words: float) -> Digest:
    return Digest(here.config, here.store, now=now if isinstance(now, Clock) else Clock(now), **words)


def texts(message: EmailMessage) -> tuple[str, str]:
    return tuple(message.get_body([kind]).get_content() for kind in ("plain", "html"))


# ---- when ----


@pytest.mark.parametrize(
    ("now", "day"),
    [
        ("2026-11-23T06:59:59-05:00", None),
        ("2026-11-23T07:00:00-05:00", "2026-11-23"),
        ("2026-11-23T12:00:00Z", "2026-11-23"),
        ("2026-11-23T18:59:59-05:00", "2026-11-23"),
        ("2026-11-23T19:00:00-05:00", None),
        ("2026-11-24T02:00:00-05:00", None),
        ("2026-11-24T07:00:01-05:00", "2026-11-24"),
        ("2026-11-01T07:00:00-05:00", "2026-11-01"),  # the clocks went back this night
        ("2026-11-01T06:59:59-05:00", None),
    ],
)
def test_a_days_digest_is_due_from_its_hour_on_for_twelve_hours(now, day):
    found = due(datetime.fromisoformat(now), "07:00", NEW_YORK)
    assert (None if found is None else found.isoformat()) == day


def test_one_that_is_due_late_in_the_evening_may_go_out_next_morning():
    assert due(datetime.fromisoformat("2026-11-24T02:00:00-05:00"), "23:00", NEW_YORK) == date(2026, 11, 23)
    assert due(datetime.fromisoformat("2026-11-24T11:00:00-05:00"), "23:00", NEW_YORK) is None


# ---- what ----


def test_a_digest_tells_counts_the_worst_what_stands_and_what_chatters(here):
    bad = streak(here.store, Streak("CDC_occupancy", ago_s=7200, images=240), now=SEVEN)
    streak(here.store, Streak("FCAL_map", Status.SUSPECT, ago_s=9000, lasted_s=60, confidence=0.55), now=SEVEN)
    streak(here.store, Streak("OLD_one", ago_s=90_000, lasted_s=100), now=SEVEN)
    streak(here.store, Streak("NEW_one", ago_s=-60), now=SEVEN)
    streak(here.store, Streak("<b>odd</b>", Status.NODATA, ago_s=9500, lasted_s=1800, label="NoData"), now=SEVEN)
    for n in range(4):
        streak(here.store, Streak("TOF_time", Status.SUSPECT, ago_s=20_000 - 900 * n, lasted_s=31 + n), now=SEVEN)
    episodes.acknowledge(here.store, [bad], comment="HV board 7 is off", person="otto", host="h")
    judged(here.store, "CDC_occupancy", SEVEN - timedelta(hours=3), 12_345)
    told = letter(here.config, here.store, SEVEN)
    assert told.subject == "hydrad TEST: 7 faults, 1 standing until 2026-11-23 07:00"
    for words in (
        "Hall TEST, 2026-11-22 07:00 to 2026-11-23 07:00 (America/New_York)",
        "BAD             1 in 1 plot",
        "NODATA          1 in 1 plot",
        "SUSPECT         5 in 2 plots",
        "12,345 images judged; 6 of 7 not acknowledged.",
        "* BAD CDC_occupancy: Bad at 0.97\n  2026-11-23 05:00, 2 h 00 min, and it lasts, 240 images, run 30408, beam ",
        f"201 nA\n  acknowledged by otto: HV board 7 is off\n  https://hydra.example/log/entry/{bad}\n",
        "* TOF_time: 4 times SUSPECT, never longer than 34 s https://hydra.example/plot/TOF_time",
        "The whole log: https://hydra.example/log",
    ):
        assert words in told.text
    assert told.text.index("STANDING") < told.text.index("THE WORST") < told.text.index("TO AND FRO")
    assert "OLD_one" not in told.text
    assert "NEW_one" not in told.text
    assert "&lt;b&gt;odd" in told.html
    assert "<b>odd" not in told.html
    assert f'<a href="https://hydra.example/log/entry/{bad}">CDC_occupancy</a>' in told.html
    assert "HV board 7 is off" in told.html


def test_a_day_without_faults_is_told_in_a_line(here):
    judged(here.store, "CDC_occupancy", SEVEN - timedelta(hours=3), 12_345)
    told = letter(here.config, here.store, SEVEN)
    assert told.subject == "hydrad TEST: all quiet until 2026-11-23 07:00"
    assert "All quiet: no faults, 12,345 images judged." in told.text
    assert "All quiet: no faults, 12,345 images judged." in told.html
    assert len(told.text) < 400


def test_a_day_without_images_is_not_called_quiet(here):
    told = letter(here.config, here.store, SEVEN)
    assert told.subject == "hydrad TEST: no images until 2026-11-23 07:00"
    assert "No image was judged." in told.text
    assert "quiet" not in told.text.lower()


# ---- to whom, and once ----


def test_each_reader_gets_one_letter_of_text_and_html(here, office):
    person(here.store, "otto", "otto@example.org")
    person(here.store, "anna", "anna@example.org")
    person(here.store, "none")
    streak(here.store, Streak(ago_s=600), now=SEVEN)
    sender = digest(here)
    assert sender.look() == 2
    assert sender.look() == 0
    assert digest(here).look() == 0  # the process was restarted
    assert sorted(office.post.to) == ["anna@example.org", "otto@example.org"]
    [first, second] = office.post.letters
    assert first["From"] == "Hydra <hydrad@counting.example>"
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["Message-ID"] != second["Message-ID"]
    assert first["Message-ID"].endswith("@counting.example>")
    text, html = texts(first)
    assert "CDC_occupancy" in text
    assert "CDC_occupancy" in html


def test_every_day_has_its_own(here, office):
    person(here.store, "otto", "otto@example.org")
    clock = Clock(SEVEN - timedelta(minutes=1))
    sender = digest(here, clock)
    went = []
    for _ in range(3 * 24 * 4):
        went.append(sender.look())
        clock.now += timedelta(minutes=15)
    assert sum(went) == 3
    assert len({one["Message-ID"] for one in office.post.letters}) == 3


def test_a_day_that_passed_while_nothing_ran_is_sent_if_it_is_not_too_late(here, office):
    person(here.store, "otto", "otto@example.org")
    assert digest(here, SEVEN + timedelta(hours=13)).look() == 0
    assert digest(here, SEVEN + timedelta(hours=11)).look() == 1
    assert "until 2026-11-23 07:00" in office.post.letters[0]["Subject"]


def test_what_a_mail_server_does_not_take_keeps_nobody_else_waiting_and_is_tried_again(here, office):
    person(here.store, "gone", "gone@example.org")
    person(here.store, "odd", "odd\r\nBcc: all@example.org")
    person(here.store, "otto", "otto@example.org")
    office.post.refuses.add("gone@example.org")
    clock = Clock()
    sender = digest(here, clock, first_wait_s=60)
    assert sender.look() == 1
    office.post.refuses.clear()
    assert sender.look() == 0  # put off
    clock.now += timedelta(seconds=61)
    assert sender.look() == 1
    assert office.post.to == ["otto@example.org", "gone@example.org"]


def test_a_letter_is_tried_less_and_less_often(here, office):
    person(here.store, "otto", "otto@example.org")
    office.post.refuses.add("otto@example.org")
    clock = Clock(SEVEN)
    sender = digest(here, clock, first_wait_s=60)
    tries = []
    claim = digest_module.digests.claim

    def counted(*words: object) -> bool:
        tries.append(clock.now)
        return claim(*words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digest_module.digests, "claim", counted)
        for _ in range(4 * 60):
            sender.look()
            clock.now += timedelta(minutes=1)
    gaps = [(later - sooner).total_seconds() / 60 for sooner, later in pairwise(tries)]
    assert gaps[:5] == [1, 2, 4, 8, 16]
    assert set(gaps[5:]) == {30}


def test_a_mail_server_that_is_away_loses_nothing(here, office):
    person(here.store, "otto", "otto@example.org")
    sender = digest(here)
    office.post.answer = "451 try again later"
    assert sender.look() == 0
    office.close()
    with pytest.raises(TryAgain, match=rf"the mail server 127\.0\.0\.1, port {office.port}, fails: .*refused"):
        digest(here).look()
    office.post.answer = "250 OK"
    office.open()
    assert digest(here).look() == 1
    assert office.post.to == ["otto@example.org"]


async def test_of_two_processes_one_sends_and_both_go_on(here, office):
    person(here.store, "otto", "otto@example.org")
    person(here.store, "anna", "anna@example.org")
    office.close()
    clock = Clock()
    senders = [digest(here, clock, look_every_s=0.05, first_wait_s=0.05) for _ in range(3)]
    tasks = [asyncio.create_task(one.run()) for one in senders]
    await until(lambda: all(one._away for one in senders))
    office.open()
    await until(lambda: len(office.post.letters) == 2)
    await until(lambda: not any(one._away for one in senders))
    clock.now += timedelta(days=1)
    await until(lambda: len(office.post.letters) == 4)
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)
    assert sorted(office.post.to) == sorted(["anna@example.org", "otto@example.org"] * 2)
    assert len({one["Message-ID"] for one in office.post.letters}) == 4


# ---- encrypted, with a login ----


def test_it_logs_in_over_an_encrypted_line(tmp_path, monkeypatch):
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert made.returncode == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    def knows(_server: SMTP, session: Session, _e: Envelope, _mechanism: str, told: LoginPassword) -> AuthResult:
        right = session.ssl is not None and (told.login, told.password) == (b"hydra", b"s3cret")
        return AuthResult(success=right, handled=False)

    secret = tmp_path / "mail.password"
    secret.write_text("s3cret\n", encoding="utf-8")
    secret.chmod(0o600)
    section = f'starttls = true\nuser = "hydra"\npassword_file = "{secret}"\n'
    locked = Office(tls_context=context, require_starttls=True, auth_required=True, authenticator=knows)
    here = hall(tmp_path / "hall", locked.port, section)
    with locked, here.store:
        person(here.store, "otto", "otto@example.org")
        with pytest.raises(TryAgain, match="CERTIFICATE_VERIFY_FAILED"):
            digest(here).look()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        secret.write_text("wrong\n", encoding="utf-8")
        with pytest.raises(ConfigurationError, match=r"mail\.user: 127\.0\.0\.1 does not let hydra in"):
            digest(here).look()
        secret.write_text("s3cret\n", encoding="utf-8")
        assert digest(here).look() == 1
    assert locked.post.to == ["otto@example.org"]
