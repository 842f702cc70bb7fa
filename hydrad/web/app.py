"""The pages as one application."""

from __future__ import annotations

from contextlib import ExitStack

from fastapi import FastAPI
from fastapi.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from hydrad import __version__
from hydrad.config import Config
from hydrad.store.images import ImageFolder
from hydrad.store.queries import Store
from hydrad.web import charts, docs, faults, pages, verdicts, wall
from hydrad.web.clocks import Clocks
from hydrad.web.doors import gates
from hydrad.web.feed import Feed
from hydrad.web.labeler import page as labeler
from hydrad.web.library import page as library
from hydrad.web.log import page as log
from hydrad.web.people import account
from hydrad.web.people import accounts as people
from hydrad.web.pictures import Pictures
from hydrad.web.plot import page as plot
from hydrad.web.plot import thresholds
from hydrad.web.remembered import Remembered
from hydrad.web.shield import Shield
from hydrad.web.site import Site
from hydrad.web.status import page as status

# The verdicts come last: their /api/v1/plots/{plot} fits every address below it, since a plot's name may hold slashes.
PARTS = (wall, log, plot, thresholds, labeler, library, status, account, people, docs, verdicts)


def site_of(config: Config, stack: ExitStack) -> Site:
    """What the pages stand on; what it opens is closed with the stack."""
    store = stack.enter_context(Store(config.store_url()))
    images = ImageFolder(config.store.images)
    clocks = Clocks(store)
    return Site(
        config,
        store,
        clocks,
        images,
        gates.gate(config.web, store),
        Feed(store, clocks),
        Pictures(images, config.web.cache),
        Remembered(store),
    )


def application(site: Site) -> FastAPI:
    """All pages, the API and what guards them."""
    app = FastAPI(
        title="hydrad", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, responses=faults.REFUSALS
    )
    app.state.site = site
    app.mount(f"{pages.AT}/bokeh", charts.Scripts(), name="charts")
    app.mount(pages.AT, _Kept(directory=pages.STATIC), name="static")
    for part in PARTS:
        app.include_router(part.router)
    docs.describe(app)
    faults.tell(app)
    app.add_middleware(Shield, web=site.config.web)
    return app


class _Kept(StaticFiles):
    """Files whose address changes with their content: browsers need not ask for them again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer
