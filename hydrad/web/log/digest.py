"""The digest: once a day everybody who asks for it is sent the last day's log."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from email.message import EmailMessage
from typing import Final, NoReturn
from zoneinfo import ZoneInfo

from hydrad import log, password
from hydrad.config import Config, Mail
from hydrad.errors import ConfigurationError, HydradError, TryAgain
from hydrad.store.people import digests
from hydrad.store.people.digests import Reader
from hydrad.store.queries import Store
from hydrad.web.log.digest_words import Letter, letter

LATE: Final = timedelta(hours=12)  # a day's digest that is later than this is news of yesterday
LOOK_EVERY_S: Final = 20.0
FIRST_WAIT_S: Final = 60.0
LONGEST_WAIT_S: Final = 1800.0
ANSWERS_WITHIN_S: Final = 30.0

_log = log.get("digest")


class _Unwelcome(HydradError):
    """The mail server is there, and does not take this letter."""


class Digest:
    """Sends the digests; :meth:`run` is a root task.

    Any number of processes may run one over the same data base: each letter is claimed before it is sent.

    Args:
        config: with a section ``mail``.
        store: who wants it, and what the log says.
        now: the clock.
        look_every_s: how often it is asked whether it is time.
        first_wait_s: before the first new attempt after one that failed; doubled with each.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        look_every_s: float = LOOK_EVERY_S,
        first_wait_s: float = FIRST_WAIT_S,
    ) -> None:
        if config.mail is None:
            raise ConfigurationError("mail: is missing")
        self._config = config
        self._mail = config.mail
        self._store = store
        self._now = now
        self._look_every_s = look_every_s
        self._first_wait_s = first_wait_s
        self._unwelcome: dict[int, tuple[float, datetime]] = {}  # by person: the last wait, and when it ends
        self._away = False

    async def run(self) -> NoReturn:
        """Send, for ever."""
        wait_s = self._first_wait_s
        while True:
            try:
                await asyncio.to_thread(self.look)
            except (TryAgain, ConfigurationError) as fault:  # a password file may be mended while this runs
                if not self._away:
                    _log.warning("digest_waits", why=str(fault))
                self._away = True
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            else:
                if self._away:
                    _log.info("digest_goes_on")
                self._away = False
                wait_s = self._first_wait_s
                await asyncio.sleep(self._look_every_s)

    def look(self) -> int:
        """Send what is due and not sent yet; returns how many letters went. Blocks.

        Raises:
            TryAgain: the data base or the mail server is away; nothing is lost.
            ConfigurationError: the mail server does not let us in.
        """
        now = self._now()
        day = due(now, self._mail.at, self._config.hall.zone)
        if day is None:
            return 0
        waiting = [one for one in digests.readers(self._store, day.isoformat()) if self._may(one, now)]
        told: Letter | None = None
        went = 0
        for reader in waiting:
            if not digests.claim(self._store, reader, day.isoformat(), now):
                continue
            try:
                told = told or letter(self._config, self._store, moment_of(day, self._mail.at, self._config.hall.zone))
                self._send(reader, day, told)
            except _Unwelcome as fault:
                digests.give_up(self._store, reader, day.isoformat())
                self._put_off(reader, now)
                _log.warning("digest_not_taken", person=reader.name, why=str(fault))
            except BaseException:
                digests.give_up(self._store, reader, day.isoformat())
                raise
            else:
                digests.sent(self._store, reader, day.isoformat())
                self._unwelcome.pop(reader.id, None)
                _log.info("digest_sent", person=reader.name, day=day.isoformat())
                went += 1
        return went

    def _may(self, reader: Reader, now: datetime) -> bool:
        return reader.id not in self._unwelcome or now >= self._unwelcome[reader.id][1]

    def _put_off(self, reader: Reader, now: datetime) -> None:
        last_s = self._unwelcome.get(reader.id, (self._first_wait_s / 2, now))[0]
        wait_s = min(2 * last_s, LONGEST_WAIT_S)
        self._unwelcome[reader.id] = wait_s, now + timedelta(seconds=wait_s)

    def _send(self, reader: Reader, day: date, told: Letter) -> None:
        mail = self._mail
        try:
            message = _message(mail, reader, day, told, self._config.hall.name)
        except ValueError as fault:  # an address that is none
            raise _Unwelcome(f"{reader.email!r} is no address: {fault}") from fault
        try:
            with smtplib.SMTP(mail.host, mail.port, timeout=ANSWERS_WITHIN_S) as server:
                if mail.starttls:
                    server.starttls(context=ssl.create_default_context())
                if mail.user is not None:
                    server.login(mail.user, _secret(mail))
                server.send_message(message)
        except smtplib.SMTPAuthenticationError as fault:
            raise ConfigurationError(f"mail.user: {mail.host} does not let {mail.user} in: {_said(fault)}") from fault
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPSenderRefused) as fault:
            raise _Unwelcome(f"{mail.host} does not take it: {fault}") from fault
        except smtplib.SMTPNotSupportedError as fault:
            raise ConfigurationError(f"mail: {mail.host} cannot do what is asked of it: {fault}") from fault
        except (smtplib.SMTPException, OSError) as fault:
            raise TryAgain(f"the mail server {mail.host}, port {mail.port}, fails: {fault}") from fault


def moment_of(day: date, at: str, zone: ZoneInfo) -> datetime:
    """When a day's digest is due: aware.

    Args:
        at: "07:00", in the hall's time zone.
    """
    return datetime.combine(day, time.fromisoformat(at), zone)


def due(now: datetime, at: str, zone: ZoneInfo) -> date | None:
    """The day whose digest is to go out at this time; None where it is too early for one and too late for the other."""
    today = now.astimezone(zone).date()
    for day in (today, today - timedelta(days=1)):
        # Instants are compared: on the day the clocks change, hours on the wall are not hours that pass.
        late = now.astimezone(UTC) - moment_of(day, at, zone).astimezone(UTC)
        if timedelta(0) <= late < LATE:
            return day
    return None


def _message(mail: Mail, reader: Reader, day: date, told: Letter, hall: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = mail.sender
    message["To"] = reader.email
    message["Subject"] = told.subject
    message["Date"] = datetime.now(UTC)
    # The same for the same letter: should it go out twice after all, mail programs show it once.
    house = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in hall)
    domain = mail.sender.rpartition("@")[2].rstrip("> ")
    message["Message-ID"] = f"<hydrad.digest.{house}.{day.isoformat()}.{reader.id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(told.text)
    message.add_alternative(told.html, subtype="html")
    return message


def _secret(mail: Mail) -> str:
    secret = password.find(mail.password_file, of="mail", name="mail")
    if secret is None:
        raise ConfigurationError(
            "mail.password_file: the mail server's user needs a password: give this key, or systemd's credential "
            f"hydrad-mail-password, or ${password.variable('mail')}"
        )
    return secret


def _said(fault: smtplib.SMTPResponseException) -> str:
    words = fault.smtp_error
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
