"""With an account for each service, as the how-to makes them, each writes its own files and nobody else's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs/how-to/counting-house-host.md").read_text(encoding="utf-8")
FOLDERS = re.findall(r"install -d -o ([\w-]+) -g (\w+) -m (\d+) /var/lib/hydrad/(\w+)", PAGE)
GROUP, STRANGERS = 61000, 61009
USERS = {"root": 0, "hydrad": 61000, "hydrad-web": 61001, "hydrad-train": 61002}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """/var/lib/hydrad, as systemd and the how-to make it."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)  # pytest's own are closed to others
    state = tmp_path / "hydrad"
    state.mkdir()
    os.chown(state, USERS["hydrad"], GROUP)
    state.chmod(0o750)
    assert {name for *_, name in FOLDERS} == {"images", "models", "cache"}
    for user, group, mode, name in FOLDERS:
        assert group == "hydrad"
        (state / name).mkdir()
        os.chown(state / name, USERS[user], GROUP)
        (state / name).chmod(int(mode, 8))
    return state


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become somebody else")
def test_each_account_writes_what_is_its_own_and_nothing_else(state: Path) -> None:
    everybody = [f"{USERS[name]}:{GROUP}" for name in ("hydrad-train", "hydrad", "hydrad-web", "hydrad-train")]
    said = subprocess.run(
        [sys.executable, CHECKOUT / "tests/integration/touching.py", state, *everybody, f"{STRANGERS}:{STRANGERS}"],
        check=True, capture_output=True, text=True, timeout=100, cwd=CHECKOUT,
    )  # fmt: skip
    trainer, daemon, pages, trainer_again, stranger = (set(json.loads(line)) for line in said.stdout.splitlines())
    reads = {"reads an image", "reads a model"}
    assert trainer == {"writes a model", "reads a model"}  # there is no image yet
    assert daemon == {*reads, "opens the journal", "keeps an image", "writes a model"}
    assert pages == {*reads, "writes a model", "caches a picture"}
    assert trainer_again == reads  # its model is there already, and nothing overwrites one
    assert stranger == set()
