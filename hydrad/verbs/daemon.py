"""`hydrad run`: the daemon."""

from __future__ import annotations

import argparse

from hydrad import config, log


def run(options: argparse.Namespace) -> None:
    """Follow, judge, publish and keep, until told to stop."""
    log.configure(level=options.log_level)
    path = config.find(options.config).absolute()
    settings = config.load(path, folders=True)
    from hydrad import app  # noqa: PLC0415  a wrong configuration is told at once, without loading everything first

    app.run(settings, path)
