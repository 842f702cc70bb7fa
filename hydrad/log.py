"""One line per unit of work: an event in snake_case, facts as keys."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, MutableMapping
from typing import Any, Self, TextIO

import structlog


def configure(*, json: bool | None = None, level: str = "info") -> None:
    """Send hydrad's log to stderr: for people on a terminal, as JSON elsewhere (journald, a file)."""
    as_json = not sys.stderr.isatty() if json is None else json
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(pad_event_to=24)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=Printer(sys.stderr, lambda lost: str(renderer(None, "error", lost))),
        cache_logger_on_first_use=False,
    )


class Printer:
    """Prints lines, whole and at once, and goes on where they cannot be printed: a full disk must not end the daemon.

    Args:
        file: where to.
        render: makes a line of what is said, once lines can be printed again, of those that were lost meanwhile.
    """

    def __init__(self, file: TextIO, render: Callable[[MutableMapping[str, Any]], str]) -> None:
        self._file = file
        self._render = render
        self._lock = threading.Lock()
        self._lost = 0

    def __call__(self, *_: object) -> Self:
        """The logger that structlog asks for: there is one."""
        return self

    def msg(self, line: str) -> None:
        """Print a line, or count it as lost."""
        with self._lock:
            try:
                if self._lost:  # the last line may have been cut in its middle
                    self._print("\n" + self._render({"part": "log", "event": "lines_lost", "lines": self._lost}))
                    self._lost = 0
                self._print(line)
            except OSError:  # the disk is full, or nobody reads any more
                self._lost += 1

    log = debug = info = warn = warning = err = error = fatal = failure = critical = exception = msg

    def _print(self, line: str) -> None:
        self._file.write(f"{line}\n")
        self._file.flush()


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry the part of the house they come from."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=name)
    return logger
