"""What people leave in the data base reaches the daemon, whatever goes away in the middle."""

from __future__ import annotations

import asyncio
import getpass
import socket
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy import URL
from store_world import leave

from hydrad.domain import Change
from hydrad.errors import StoreAway, TryAgain
from hydrad.mailbox import Mailbox
from hydrad.store.models import registry
from hydrad.store.outbox.journal import Journal
from hydrad.store.queries import Store
from hydrad.watchers.replay import ReplayWatcher


class FaintStore(Store):
    """Goes away once, in the middle of what it is asked first."""

    faints = True

    @contextmanager
    def reading(self):
        with super().reading() as connection:
            yield connection
            if self.faints:
                self.faints = False
                raise StoreAway("gone in the middle")


class FullJournal(Journal):
    """Its disk is full when changes are to be remembered, twice."""

    refusals = 2

    async def adopt(self, changes):
        if changes and self.refusals:
            self.refusals -= 1
            raise TryAgain("the disk is full")
        await super().adopt(changes)


class Ear:
    """Hears of changes."""

    def __init__(self):
        self.heard = []

    async def adopt(self, change):
        self.heard.append(change)


def change():
    return Change("on_delay", 3, getpass.getuser(), socket.gethostname(), datetime.now(UTC), "cli", plot="CDC_adc")


class Shelf:
    """Is told what the data base wants of models."""

    def __init__(self):
        self.seen = []

    def look(self, places):
        self.seen.append(places)


@asynccontextmanager
async def at_work(tmp_path, library, *, stores=Store, journals=Journal):
    """A mailbox that runs between a real store and a real journal."""
    url = URL.create("sqlite", database=str(tmp_path / "hydra.db"))
    desk, tray = Ear(), ReplayWatcher()
    with stores(url) as store, journals(tmp_path / "journal.db", tmp_path / "images") as journal:
        store.submit([str(tmp_path / "CDC_adc.png")], by="ana")
        leave(store, change())
        with Mailbox(store, journal, desk, tray, library) as mailbox:
            task = asyncio.create_task(mailbox.run())
            yield store, journal, desk, tray, task
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.fixture
def library():
    return Shelf()


async def test_a_file_handed_in_survives_a_data_base_that_goes_in_the_middle(tmp_path, library):
    async with at_work(tmp_path, library, stores=FaintStore) as (store, _, desk, tray, _task):
        await until(lambda: tray.pending == 1 and desk.heard)
        assert not store.faints
        assert len(desk.heard) == 1


async def test_a_full_disk_does_not_end_it_and_delays_no_file(tmp_path, library):
    async with at_work(tmp_path, library, journals=FullJournal) as (_, journal, desk, tray, task):
        await until(lambda: journal.cursor > 0)
        assert journal.refusals == 0
        assert tray.pending == 1
        assert {heard.key for heard in desk.heard} == {"on_delay"}
        assert not task.done()


async def test_the_library_hears_of_what_was_decided(tmp_path, library):
    async with at_work(tmp_path, library) as (store, *_):
        await until(lambda: library.seen)
        assert library.seen[-1] == []
        registry.register(store, "cdc-7", {}, {}, registry.Who("ana", "counting-3", "cli"))
        await until(lambda: library.seen[-1])
        assert [place.id for place in library.seen[-1]] == ["cdc-7"]
