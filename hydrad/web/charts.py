"""BokehJS as the installed package has it, served like our own scripts: its two files for charts, nothing else."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Final

from bokeh.settings import settings
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

NAMES: Final = ("bokeh.min.js", "bokeh-api.min.js")
FOR_EVER: Final = "public, max-age=31536000, immutable"  # their address changes with the program's


class Scripts:
    """The files, read and packed once: an application to be mounted."""

    def __init__(self) -> None:
        folder = Path(settings.bokehjs_path()) / "js"
        self._plain = {name: (folder / name).read_bytes() for name in NAMES}
        self._packed = {name: gzip.compress(data, 6) for name, data in self._plain.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the file, packed for whoever can unpack it."""
        name = scope["path"].rpartition("/")[2]
        if name not in self._plain or scope["path"].removeprefix(scope.get("root_path", "")) != f"/{name}":
            raise HTTPException(404)
        headers = {"Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
        packs = "gzip" in Headers(scope=scope).get("accept-encoding", "")
        if packs:
            headers["Content-Encoding"] = "gzip"
        data = (self._packed if packs else self._plain)[name]
        await Response(data, media_type="text/javascript", headers=headers)(scope, receive, send)
