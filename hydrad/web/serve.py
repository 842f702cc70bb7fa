"""`hydrad web` as a process: the server and what works behind the pages are its root tasks."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NoReturn

import uvicorn

from hydrad import footprint, log, root_tasks
from hydrad.config import Config, Web
from hydrad.errors import ConfigurationError
from hydrad.reload import PAGES, Rereading
from hydrad.root_tasks import Work
from hydrad.systemd import Systemd
from hydrad.web.app import application, site_of
from hydrad.web.library.trainer import Trainer
from hydrad.web.log.digest import Digest

KEEP_S = 5  # what is being answered may take this long when it is told to stop

_log = log.get("web")


def run(config: Config, settings: Path, read: Callable[[], Config]) -> None:
    """Serve the pages until SIGTERM or SIGINT.

    Args:
        config: what ``settings``, its file, says, and the command line instead of it.
        read: makes the same of the file as it is then.

    Raises:
        ConfigurationError: before anything has begun.
        HydradError: a root task ended.
    """
    _require_safe(config.web)
    root_tasks.live(partial(live, config, settings, read, Systemd.found()))


async def live(config: Config, settings: Path, read: Callable[[], Config], systemd: Systemd) -> None:
    """Build the pages, serve them, and leave in order when told."""
    with ExitStack() as stack:
        listening = stack.enter_context(_listening(config.web))
        site = site_of(config, stack)
        app = application(site)
        web = config.web
        at = f"pages on {web.host}, port {web.port}"
        server = _Server(
            uvicorn.Config(
                app,
                ssl_certfile=web.certificate,
                ssl_keyfile=web.key,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=KEEP_S,
                http="h11",  # bounds what a request's head may hold
                proxy_headers=False,  # it would hide who is at the other end, by which a proxy is known: see peers
            )
        )
        tasks: dict[str, Work] = {
            "server": partial(server.work, listening),
            "feed": site.feed.run,
            "footprint": footprint.stay_small,
        }
        if config.mail is not None:
            tasks["digest"] = Digest(config, site.store).run
        if systemd.feed_every_s is not None:
            tasks["pulse"] = partial(_show_life, systemd, systemd.feed_every_s)
        if web.trains:
            tasks["trainer"] = Trainer(config, site.store, settings).run

        async def farewell() -> None:
            site.feed.close()  # streams have no end of their own, and would be waited for
            await server.leave()

        async def take(new: Config) -> None:
            site.config = new

        async def ready() -> None:
            await server.ready()
            systemd.status(at)

        await root_tasks.until_told(
            tasks,
            ready=ready,
            farewell=farewell,
            reread=Rereading(
                config, read, PAGES, take, lambda remark: systemd.status("; ".join(filter(None, (at, remark))))
            ),
            systemd=systemd,
        )


class _Server(uvicorn.Server):
    """uvicorn's server as one root task among others: signals are not its affair."""

    def capture_signals(self) -> ExitStack:  # type: ignore[override]  # uvicorn's is a generator with a decorator
        return ExitStack()

    async def work(self, listening: socket.socket) -> None:
        """Serve what comes in there."""
        self._left = asyncio.Event()
        await self.serve([listening])
        if self.should_exit:
            self._left.set()
            await asyncio.Event().wait()  # the farewell goes on, and cancels this

    async def ready(self) -> None:
        """Return when it listens."""
        await _until(lambda: self.started)

    async def leave(self) -> None:
        """Finish what is being answered, and listen no more."""
        self.should_exit = True
        await self._left.wait()


async def _show_life(systemd: Systemd, every_s: float) -> NoReturn:
    """Feed the watchdog as long as the event loop turns.

    No more is asked of it: pages that wait for a data base that is away would not be helped by starting anew.
    """
    while True:
        systemd.gets_on()
        await asyncio.sleep(every_s)


def _listening(web: Web) -> socket.socket:
    try:
        family = socket.getaddrinfo(web.host, web.port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((web.host, web.port), family=family, backlog=2048)
        # asyncio does it by itself only for sockets it made: without, each small answer waits 40 ms for the kernel.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as fault:
        raise ConfigurationError(
            f"web.port: cannot listen on {web.host}, port {web.port}: {fault.strerror or fault}"
        ) from fault
    return listening


async def _until(fact: Callable[[], bool]) -> None:
    while not fact():  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.02)


def _require_safe(web: Web) -> None:
    """Nobody serves pages without accounts, or passwords in the clear, to a network by mistake."""
    if _loopback(web.host):
        return
    if web.auth == "none":
        raise ConfigurationError(
            f'web.auth: "none" lets everybody do everything, so it goes with loopback only, not with host {web.host}'
        )
    if web.auth == "local" and not (web.encrypted or web.plain_http):
        raise ConfigurationError(
            "web.certificate: passwords would cross the network in the clear: give certificate and key, or say "
            "https = true where a proxy encrypts, or plain_http = true"
        )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
