"""What every test may rely on, and what none may leave behind: no thread, no task, no child process."""

from __future__ import annotations

import asyncio
import inspect
import multiprocessing.resource_tracker
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog
from hypothesis import settings

TESTS = Path(__file__).parent
if str(TESTS) not in sys.path:  # pytest's default import mode puts it there, its other modes do not
    sys.path.insert(0, str(TESTS))

# Plugins of the tests, each loaded where it lies: servers and data bases that several folders use.
pytest_plugins = [name for name in ("databases", "epics_env", "browsing") if (TESTS / f"{name}.py").exists()]

# How long an example takes is the machine's affair.
settings.register_profile("hydrad", deadline=None)
settings.load_profile("hydrad")

GRACE_S = 5.0  # what was told to stop may need this long to be gone


def stays(thread: threading.Thread) -> bool:
    """True for a thread that Python cannot stop."""
    # A thread of libca that has called back into Python: it belongs to the library and lives until the process ends.
    return isinstance(thread, threading._DummyThread)


def outlives(process: psutil.Process) -> bool:
    """True for a process that is not the test's to stop."""
    if process.pid == multiprocessing.resource_tracker._resource_tracker._pid:
        return True  # Python's own, one for the life of this process
    try:
        # libca starts the one repeater of a host and leaves it to whoever comes next; a browser that a module's tests
        # share starts and ends helpers of its own as it likes, and is closed with the module.
        return process.name() == "caRepeater" or process.name().startswith("chrom")
    except psutil.NoSuchProcess:
        return True


def threads() -> set[threading.Thread]:
    """The threads that live now."""
    return set(threading.enumerate())


def children() -> set[psutil.Process]:
    """The processes that descend from this one, with those that ended and were never waited for."""
    return set(psutil.Process().children(recursive=True))


def left_of(now: Callable[[], Iterable[Any]], before: Iterable[Any], allowed: Callable[[Any], bool]) -> list[Any]:
    """What is still there that was not there before, after it had time to go."""
    deadline = time.monotonic() + GRACE_S
    while left := [one for one in now() if one not in before and not allowed(one)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    return left


@pytest.fixture(autouse=True)
def nothing_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread or a child process; set up before, torn down after all its other fixtures."""

    def shared(thread: threading.Thread) -> bool:
        # The loop that speaks with a module's browser lives as long as the browser does, and so do its workers.
        return stays(thread) or ("chromium" in request.fixturenames and thread.name.startswith("asyncio_"))

    threads_before, children_before = threads(), children()
    yield
    if left := left_of(threads, threads_before, shared):
        pytest.fail(f"left threads behind: {', '.join(thread.name for thread in left)}")
    if left := left_of(children, children_before, outlives):
        pytest.fail(f"left processes behind: {', '.join(map(str, left))}")


@pytest.fixture(autouse=True)
def the_log_is_as_it_was() -> Iterator[None]:
    """A verb sets the log up for its process; the tests after it share the process, not the verb."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def no_task_is_left_behind(
    nothing_is_left_behind: None,  # noqa: ARG001  the loop and its executor close before threads are counted
    request: pytest.FixtureRequest,
) -> None:
    """Fail an asynchronous test that leaves a task in its loop."""
    inner = getattr(getattr(request.function, "hypothesis", None), "inner_test", request.function)
    if inspect.iscoroutinefunction(inner):
        request.getfixturevalue("_tasks_of_the_loop")


@pytest.fixture
async def _tasks_of_the_loop() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    deadline = time.monotonic() + GRACE_S
    mine = asyncio.current_task()
    while left := asyncio.all_tasks() - before - {mine}:
        if time.monotonic() > deadline:
            pytest.fail(f"left tasks behind: {', '.join(map(repr, left))}")
        await asyncio.sleep(0.01)
