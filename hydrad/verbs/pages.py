"""`hydrad web`: the pages."""

from __future__ import annotations

import argparse

from hydrad import config, log


def web(options: argparse.Namespace) -> None:
    """Serve the pages, until told to stop."""
    log.configure(level=options.log_level)
    path = config.find(options.config).absolute()
    said = {key: value for key in ("host", "port") if (value := getattr(options, key)) is not None}

    def read() -> config.Config:
        settings = config.load(path)
        return settings.model_copy(update={"web": settings.web.model_copy(update=said)})

    settings = read()
    from hydrad.web import serve  # noqa: PLC0415  a wrong configuration is told at once, without loading everything first

    serve.run(settings, path, read)
