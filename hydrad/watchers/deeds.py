"""What can be done to a path, in the words of those who watch it."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class Deed(Enum):
    """What was done to a path."""

    CREATED = auto()  # by opening it, or as a link
    WRITTEN = auto()
    CLOSED = auto()  # by somebody, after it was written to
    RELEASED = auto()  # closed by somebody who could have written to it; nothing was heard of that
    MOVED_IN = auto()
    RENAMED = auto()  # and lives on below the root under another name
    REMOVED = auto()
    FOLDER_CAME = auto()
    LOST = auto()  # more happened below this path than was told: look everywhere


class Event(NamedTuple):
    """One thing that happened."""

    path: str
    deed: Deed
