"""How a daemon is started whose network does what a test says; see faulty_daemon.py."""

from __future__ import annotations

from pathlib import Path

FAULTY = (str(Path(__file__).with_name("faulty_daemon.py")),)
