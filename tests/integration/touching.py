"""Tries, as another account of this host, what each part of hydrad does with files: ``touching.py STATE UID:GID…``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from classify_world import brightness_bundle

from hydrad.classify import bundle
from hydrad.config import Saving
from hydrad.errors import HydradError
from hydrad.saving import Sampling
from hydrad.store.images import ImageFolder
from hydrad.store.outbox.journal import Journal

SHA = "a" * 64


def main(state: Path, *accounts: str) -> None:
    """Print, a line for each account in turn, what went well."""
    for account in accounts:
        uid, gid = map(int, account.split(":"))
        if (child := os.fork()) == 0:
            become(uid, gid)
            print(json.dumps(touch(state, uid)), flush=True)  # noqa: T201  it is a program
            os._exit(0)  # an open journal has threads
        assert os.waitpid(child, 0)[1] == 0


def become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    os.umask(0o027)


def touch(state: Path, uid: int) -> list[str]:
    images, models = ImageFolder(state / "images"), state / "models"
    journal = Journal(state / "journal.db", state / "images", Sampling(Saving()).draws)
    deeds: dict[str, Callable[[], object]] = {
        "opens the journal": journal.__enter__,
        "keeps an image": lambda: images.keep(b"x", SHA, "png"),
        "reads an image": lambda: images.path(SHA, "png").read_bytes(),
        "writes a model": lambda: brightness_bundle(models, f"by-{uid}"),
        "reads a model": lambda: bundle.read(next(iter(bundle.listed(models)))),
        "caches a picture": lambda: (state / "cache" / f"{uid}").write_bytes(b"x"),
    }
    done = []
    for name, deed in deeds.items():
        try:
            deed()
        except (OSError, HydradError, StopIteration):
            continue
        done.append(name)
    return done


main(Path(sys.argv[1]), *sys.argv[2:])
