"""Screens and PVs for a browser: Diamond's web runtime, the screens' files, and PVs as PVWS hands them out.

Run with a Python of its own, which has aioca. Usage: ``screen_server.py PORT SCREENS PAGE``, the last two folders. The
runtime draws most of CS-Studio's widgets and no multi-state LED, so it is given a text field in its place.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from pathlib import Path
from typing import Any

from aioca import FORMAT_CTRL, FORMAT_TIME, caget, camonitor, caput
from aiohttp import web

SEVERITIES = ("NONE", "MINOR", "MAJOR", "INVALID")
PAGE = """<!doctype html><meta charset="utf-8"><title>Screens</title><link rel="icon" href="data:,">
<style>
body { margin: 0 }
:root { --alarm: #f00; --warning: #f80; --changing: #00f; --invalid: #f0f; --undefined: #f0f; --disconnected: #f0f }
</style>
<body><script src="/page/page.js"></script>"""


class Pvs:
    """One client's PVs: each is read once for labels and units, then heard."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._heard: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Until the client goes."""
        try:
            async for message in self._socket:
                await self._do(json.loads(message.data))
        finally:
            for task in self._heard.values():
                task.cancel()

    async def _do(self, asked: dict[str, Any]) -> None:
        match asked["type"]:
            case "subscribe":
                for pv in asked["pvs"]:
                    self._heard[pv] = asyncio.create_task(self._hear(pv))
            case "clear":
                for pv in asked["pvs"]:
                    self._heard.pop(pv).cancel()
            case "write":
                await caput(plain(asked["pv"]), asked["value"])

    async def _hear(self, pv: str) -> None:
        about = await caget(plain(pv), format=FORMAT_CTRL, timeout=None)
        labels = list(getattr(about, "enums", ()))
        known = {"readonly": False, **({"labels": labels} if labels else {})}
        known |= {"precision": 0} if isinstance(about, int) else {}
        known |= {name: getattr(about, name) for name in ("units", "precision") if hasattr(about, name)}

        async def tell(value: Any) -> None:
            told = said(value, labels) if value.ok else {"severity": "UNDEFINED"}
            await self._socket.send_json({"type": "update", "pv": pv, **known, **told})

        subscription = camonitor(plain(pv), tell, format=FORMAT_TIME, notify_disconnect=True)
        try:
            await asyncio.Event().wait()
        finally:
            subscription.close()


def plain(pv: str) -> str:
    """A name without the protocol."""
    return pv.removeprefix("ca://")


def said(value: Any, labels: list[str]) -> dict[str, Any]:
    """A value of a PV: a text, a number, or of an enum both."""
    told: dict[str, Any] = {"severity": SEVERITIES[value.severity], "seconds": value.raw_stamp[0]}
    if isinstance(value, str):
        return told | {"text": str(value)}
    if hasattr(value, "shape"):
        return told | {"text": bytes(value).split(b"\0")[0].decode()}
    if labels:
        return told | {"value": int(value), "text": labels[int(value)]}
    return told | {"value": None if math.isnan(value) else float(value)}


async def pvs(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await Pvs(socket).serve()
    return socket


def main(port: int, screens: Path, page: Path) -> None:
    async def screen(request: web.Request) -> web.Response:
        text = (screens / request.match_info["name"]).read_text()
        return web.Response(text=text.replace('"multi_state_led"', '"textupdate"'), content_type="text/xml")

    async def front(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", front), web.get("/pvws/pv", pvs), web.get("/screens/{name}", screen)])
    app.router.add_static("/page", page)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
