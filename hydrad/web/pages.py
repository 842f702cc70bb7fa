"""Templates: how a page is drawn around what it shows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from hydrad import __version__
from hydrad.domain import Role, Status
from hydrad.web.site import Site

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"


def _fingerprint() -> str:
    """Equal for equal scripts and styles: it stands in their address, so browsers may keep them for ever."""
    seen = hashlib.blake2b(f"{__version__} {metadata.version('bokeh')}".encode(), digest_size=6)
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            seen.update(path.name.encode() + path.read_bytes())
    return seen.hexdigest()


AT: Final = f"/static/{_fingerprint()}"  # where scripts and styles are served

# What one says at the top of every page, and the role it takes to see it there.
TABS: Final = (
    ("/", "Wall", Role.VIEWER),
    ("/log", "Log", Role.VIEWER),
    ("/labeler", "Labeler", Role.LABELER),
    ("/library", "Library", Role.VIEWER),
    ("/status", "Status", Role.VIEWER),
)

_templates = Environment(
    loader=PackageLoader("hydrad.web"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals |= {"at": AT, "Role": Role, "Status": Status, "tabs": TABS, "version": __version__}


def _share(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _plain(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


_templates.filters |= {"share": _share, "zulu": _plain}


def draw(request: Request, template: str, **facts: Any) -> HTMLResponse:
    """A page; who looks at it, and the hall, stand in it by themselves.

    Args:
        template: a file of ``templates/``.
        facts: what it shows.
    """
    site: Site = request.app.state.site
    zone = site.config.hall.zone
    text = _templates.get_template(template).render(
        hall=site.config.hall.name,
        local=lambda moment, form="%Y-%m-%d %H:%M:%S": "" if moment is None else f"{moment.astimezone(zone):{form}}",
        zone=str(zone),
        visitor=getattr(request.state, "visitor", None),
        address=request.url.path,
        **facts,
    )
    return HTMLResponse(text)


def drawn(template: str, facts: Mapping[str, Any]) -> str:
    """A template that is no page: a text for a logbook or an e-mail."""
    return _templates.get_template(template).render(**facts)
