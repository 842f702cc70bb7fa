"""The real pages as a process, and a real browser that looks at them with the network cut off."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from hydrad.verbs.processes import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
START_WITHIN_S = 40.0
CAREFUL = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # the network is cut off
]


class Pages:
    """``hydrad web`` as a process; a context manager that ends it.

    Args:
        port: where one that was killed had listened; a free one unless said.
    """

    def __init__(self, settings: Path, *, environment: dict[str, str] | None = None, port: int | None = None) -> None:
        self._settings = settings
        self._environment = environment or {}
        self._port = port or free_port()
        self.address = f"http://127.0.0.1:{self._port}"
        self.log = settings.parent / f"web-{self._port}.log"

    def __enter__(self) -> Self:
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hydrad", "web", "-c", str(self._settings), "--port", str(self._port)],
                env={**os.environ, **self._environment},
                stdout=out,
                stderr=out,
                process_group=0,
            )
        until(self._answers, START_WITHIN_S, self.log.read_text)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            httpx.get(f"{self.address}/healthz", timeout=2.0)  # 503 while no daemon is there
        except httpx.TransportError:
            return False
        return True


def until(fact: Callable[[], object], within_s: float = 20.0, why: Callable[[], str] = lambda: "") -> None:
    """Return when something has become true."""
    deadline = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline, f"it never became so {why()}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for the tests of a module; it is gone before the next module's tests run their own loops."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("CI is set, and no Chromium is installed (Debian: chromium)")
        pytest.skip("no Chromium is installed (Debian: chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CAREFUL)
        yield browser
        browser.close()


@contextmanager
def looking(browser: Browser, address: str, **options: Any) -> Iterator[Page]:
    """A fresh page of a browser that reaches this address and nothing else.

    It fails where the page asked for anything elsewhere, raised an error, or broke its content security policy.

    Args:
        options: as Playwright's ``new_context`` takes them (viewport, color_scheme, …).
    """
    context: BrowserContext = browser.new_context(base_url=address, **options)
    context.set_default_timeout(15_000)
    astray: list[str] = []
    faults: list[str] = []

    def watch(request: Request) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            astray.append(request.url)

    # Watched, not intercepted: an interception is answered only while the test calls the browser.
    context.on("request", watch)
    page = context.new_page()
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    page.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
    try:
        yield page
    finally:
        context.close()
    assert not astray, f"asked for what is elsewhere: {astray}"
    assert not faults, f"went wrong in the page: {faults}"
