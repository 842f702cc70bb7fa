"""What every page stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from hydrad.config import Config
from hydrad.store.images import ImageFolder
from hydrad.store.queries import Store
from hydrad.web.clocks import Clocks
from hydrad.web.doors.visitors import Gate
from hydrad.web.feed import Feed
from hydrad.web.pictures import Pictures
from hydrad.web.remembered import Remembered


@dataclass(slots=True, eq=False, weakref_slot=True)
class Site:
    """The configuration, which may be replaced by another, the data base, and what is made once for all pages."""

    config: Config
    store: Store
    clocks: Clocks
    images: ImageFolder
    gate: Gate
    feed: Feed
    pictures: Pictures
    remembered: Remembered


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


Here = Annotated[Site, Depends(_site)]  # `site: Here` as a parameter
