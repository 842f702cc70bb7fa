"""Every page on a server's data base, as people see it on a wall display, a laptop and a phone, by day and by night."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Pages, looking
from mariadb import MariaDB
from playwright.sync_api import Browser, Page
from sqlalchemy import insert, select, update
from store_world import leave
from web_world import PLOTS, Seen, World, usual, world

from hydrad.domain import Cause, Change, Role, Status
from hydrad.sim import hall
from hydrad.store import news, tables
from hydrad.store.models import trainings
from hydrad.store.models.registry import Who
from hydrad.store.people import accounts
from hydrad.store.tables import TrainingState
from hydrad.train.progress import Progress
from hydrad.web.doors import passwords

pytestmark = [pytest.mark.browser, pytest.mark.mariadb]

SHOTS = Path(__file__).parents[2] / "artifacts" / "screenshots"
SIZES = {"wall": (3840, 2160), "laptop": (1366, 768), "phone": (390, 844)}
BAD = PLOTS[0]
PAGES = {
    "wall": "/",
    "log": "/log",
    "plot": f"/plot/{BAD}",
    "labeler": f"/labeler?plot={BAD}",
    "library": "/library",
    "thresholds": f"/library/thresholds?plot={BAD}",
    "status": "/status",
    "login": "/login",
    "account": "/account",
    "people": "/people",
    "docs": "/api/docs",
}
DUMPS = 6
EVERY_S = 240.0  # a dump
NARROWER = {"wall", "log", "labeler", "thresholds"}  # pages that are other pages on a phone
PASSWORD = "a wall of plots that turns red"  # noqa: S105  of an account that lives as long as this test
# What a page draws of its own once it has asked for it; Playwright finds it inside shadow roots too.
DRAWN = {"wall": "article img", "plot": "canvas", "labeler": "[data-sha256] img", "thresholds": "svg"}
SETTLED = """() => {
    const seen = (image) => {
        const box = image.getBoundingClientRect();
        return box.width > 0 && box.bottom > 0 && box.top < innerHeight;
    };
    return document.readyState === "complete" && [...document.images].filter(seen).every((image) => image.complete);
}"""
TOO_WIDE = "() => document.documentElement.scrollWidth - innerWidth"
CULPRITS = """() => [...document.body.querySelectorAll("*")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
    .map((one) => one.tagName.toLowerCase() + (one.className ? "." + one.getAttribute("class") : ""))
    .slice(0, 8)"""
BROKEN = """() => [...document.querySelectorAll("img[src]")]
    .filter((one) => one.checkVisibility() && one.complete && !one.naturalWidth)
    .map((one) => one.src)"""


@dataclass(frozen=True)
class Hall:
    """The served pages, and what a browser needs to be let in."""

    address: str
    cookies: Mapping[str, Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, mariadb_server: MariaDB) -> Iterator[Hall]:
    """A hall in which something of everything has happened, with accounts."""
    url = mariadb_server.create()
    text = url._replace(password=None).render_as_string(hide_password=False)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HYDRA_DB_PASSWORD", str(url.password))
        here = world(
            tmp_path_factory.mktemp("hall"),
            url=text,
            web='auth = "local"\ntrains = false',
            more="[defaults]\nstale_s = 1800",
        )
        with here.store:
            furnish(here)
            with Pages(here.settings) as pages:
                form = {"name": "alice", "password": PASSWORD}
                session = httpx.post(f"{pages.address}/login", data=form).cookies
                cookies = [
                    {"name": name, "value": value, "domain": urlsplit(pages.address).hostname, "path": "/"}
                    for name, value in session.items()
                ]
                assert cookies, "nobody was let in"
                yield Hall(pages.address, {"cookies": cookies, "origins": []})


def furnish(here: World) -> None:
    """Twenty plots of which some are not well, labels, a model, a training, changed thresholds, people and news."""
    here.began = datetime.now(UTC) - timedelta(seconds=(DUMPS - 1) * EVERY_S + 20)
    others = [plot for plot in hall.PLOTS if plot not in PLOTS][:14]
    last = (DUMPS - 1) * EVERY_S
    here.see(*usual(dumps=DUMPS, every_s=EVERY_S))
    here.see(*(Seen(plot, Status.GOOD, last + n / 10, confidence=0.93 + n / 300) for n, plot in enumerate(others)))
    here.see(
        Seen(others[0], Status.STALE, last + 5, cause=Cause.CLOCK, reason="no image for 1814 s, beam 201 nA"),
        Seen(others[1], Status.DISABLED, last + 6, cause=Cause.CHANGE, reason="shelved by bob: board is replaced"),
        Seen(others[2], Status.NOBEAM, last + 7, "NoData", 0.99, "empty"),
    )
    model = here.serve()
    by = Who("alice", "counting-1", "cli")
    hashed = passwords.hashed(PASSWORD)
    for name, role in (("alice", Role.ADMIN), ("bob", Role.EXPERT), ("carol", Role.LABELER), ("dave", Role.VIEWER)):
        accounts.add(here.store, name, role, by, hashed=hashed, email=f"{name}@example.org")
    now = datetime.now(UTC)
    news.say(here.store, "The CDC's gas is changed at 16:00", person="bob", host="counting-1", now=now)
    for n, value in enumerate((0.7, 0.8, 0.65)):
        at = now - timedelta(hours=3 - n)
        leave(
            here.store,
            Change("threshold.Bad", value, "bob", "counting-1", at, "page", plot=BAD, old=0.65, reason="too many"),
        )
    wish = {"plots": [BAD], "architecture": "plain"}
    under_way = trainings.begin(here.store, wish, "bob", host=socket.gethostname(), pid=os.getpid())
    trainings.tell(here.store, under_way, asdict(Progress("learning", 0.4, 5, 12, 0.21, 0.97, left_s=340.0)))
    done = trainings.begin(here.store, wish, "bob", host="counting-1", pid=1)
    trainings.end(here.store, done, TrainingState.DONE, model=model)
    label(here, now)
    here.beat()


def label(here: World, now: datetime) -> None:
    """Somebody called some images what the model calls them."""
    images, labels, verdicts = tables.images, tables.labels, tables.verdicts
    named = (labels.c.plot_id == images.c.plot_id) & (labels.c.name == verdicts.c.label)
    query = (
        select(images.c.id, labels.c.id.label("label_id"))
        .join(verdicts, verdicts.c.image_id == images.c.id)
        .join(labels, named)
        .order_by(images.c.id)
        .limit(24)
    )
    with here.store.writing() as connection:
        for n, row in enumerate(connection.execute(query).all()):
            who = {"person": ("carol", "bob")[n % 3 == 0], "host": "counting-1", "via": "page"}
            at = now - timedelta(minutes=24 - n)
            connection.execute(
                insert(tables.labellings).values(image_id=row.id, label_id=row.label_id, labelled_at=at, **who)
            )
            connection.execute(update(images).where(images.c.id == row.id).values(label_id=row.label_id))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_screen_and_everybody_can_read_it(
    chromium: Browser, served: Hall, name: str, size: str, theme: str
) -> None:
    width, height = SIZES[size]
    allowed: dict[str, Any] = {} if name == "login" else {"storage_state": served.cookies}
    screen = {"width": width, "height": height}
    with looking(chromium, served.address, viewport=screen, color_scheme=theme, **allowed) as page:
        answer = page.goto(PAGES[name])
        assert answer is not None
        assert answer.status == 200
        assert urlsplit(page.url).path == urlsplit(PAGES[name]).path
        settle(page, name)
        shoot(page, f"{name}-{width}x{height}-{theme}")
        assert page.evaluate(BROKEN) == []
        assert page.evaluate(TOO_WIDE) <= 1, f"wider than its screen: {page.evaluate(CULPRITS)}"
        if size == "laptop" or (theme == "light" and name in NARROWER and size == "phone"):
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()


def settle(page: Page, name: str) -> None:
    """Return when everything in sight is drawn."""
    if name in DRAWN:
        page.locator(DRAWN[name]).first.wait_for()
    page.wait_for_function(SETTLED)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def shoot(page: Page, name: str) -> None:
    """Keep what the screen shows, for people to look at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")
