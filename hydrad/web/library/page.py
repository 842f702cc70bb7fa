"""The library: models side by side, trainings as they go, promotion and rollback."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import FileResponse, HTMLResponse
from starlette.responses import Response

from hydrad.domain import Role, zulu
from hydrad.store.labels import labelling
from hydrad.store.models import registry
from hydrad.store.tables import ModelState
from hydrad.web import pages
from hydrad.web.doors.visitors import Looks, Visitor
from hydrad.web.library import decisions, drawings, figures, trainings
from hydrad.web.library.decisions import Name, known
from hydrad.web.library.shelf import Book, Shelf, is_followed, look, revision_of
from hydrad.web.site import Here, Site

router = APIRouter()
router.include_router(decisions.router)
router.include_router(trainings.router)

REPORTS: Final = frozenset({"report.html", "report-emulated.html"})
# A report needs nothing but itself: it holds pictures and styles, and no script.
REPORT_POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
SHADES: Final = 8


@router.get("/library", response_class=HTMLResponse, include_in_schema=False)
def library(
    request: Request,
    site: Here,
    visitor: Looks,
    *,
    plot: Annotated[str | None, Query(max_length=300)] = None,
    detector: Annotated[str | None, Query(max_length=300)] = None,
    retired: bool = False,
) -> Response:
    """Models of a plot, of a detector, or all of them, side by side."""
    shelf = look(site.config, site.store)
    chosen = _chosen(shelf, plot, detector)
    books = shelf.books if chosen is None else shelf.of(chosen)
    hidden = [] if retired else [book for book in books if book.state is ModelState.RETIRED]
    choices = trainings.choices(site.config, labelling.tallies(site.store), shelf.plots)
    return pages.draw(
        request,
        "library.html",
        **_drawn(site, visitor),
        books=[book for book in books if book not in hidden],
        hidden=len(hidden),
        retired=retired,
        shelf=shelf,
        plot=plot or "",
        detector=detector or "",
        detectors=sorted({name for name in shelf.detectors.values() if name}),
        choices=choices,
        train=site.config.train,
        parents=[book for book in shelf.books if book.patterns],
        island={
            "revision": revision_of(registry.places(site.store)),
            "expert": visitor.may(Role.EXPERT),
            **choices,
        },
    )


@router.get("/library/{name}", response_class=HTMLResponse, include_in_schema=False)
def model(request: Request, site: Here, visitor: Looks, name: Name) -> Response:
    """One model whole."""
    shelf = look(site.config, site.store)
    book = known(shelf, name)
    folder = site.config.store.models / book.id
    return pages.draw(
        request,
        "model.html",
        **_drawn(site, visitor),
        book=book,
        reports=[one for one in sorted(REPORTS, reverse=True) if (folder / one).is_file()],
        island={"revision": revision_of(registry.places(site.store)), "expert": visitor.may(Role.EXPERT)},
    )


@router.get("/library/{name}/{report}", include_in_schema=False)
def report(site: Here, visitor: Looks, name: Name, report: str) -> FileResponse:  # noqa: ARG001  that there is one
    """What the model's training wrote for its expert."""
    path = site.config.store.models / name / report
    if report not in REPORTS or path.is_symlink() or not path.is_file():
        raise HTTPException(404, f"the model {name!r} has no such report")
    return FileResponse(path, media_type="text/html", headers={"Content-Security-Policy": REPORT_POLICY})


def _chosen(shelf: Shelf, plot: str | None, detector: str | None) -> list[str] | None:
    """The plots that are asked for; None: all."""
    if plot:
        return [one for one in shelf.plots if fnmatchcase(one, plot)] or [plot]
    if detector:
        return [one for one, its in shelf.detectors.items() if its == detector]
    return None


def _drawn(site: Site, visitor: Visitor) -> Mapping[str, Any]:
    """What templates of models draw with."""
    return {
        "percent": figures.percent,
        "between": figures.between,
        "bars": drawings.bars,
        "loss": _loss,
        "accuracy": _accuracy,
        "shade": _shade,
        "iso": zulu,
        "may_decide": visitor.may(Role.EXPERT),
        "daemon": is_followed(site.config, site.clocks),
        "ModelState": ModelState,
        "chart": drawings,
    }


def _loss(book: Book) -> drawings.Chart | None:
    curve = book.figures.curve or {}
    return drawings.course("Loss", {"training": curve.get("loss", []), "validation": curve.get("validation_loss", [])})


def _accuracy(book: Book) -> drawings.Chart | None:
    curve = book.figures.curve or {}
    return drawings.course("Balanced accuracy", {"validation": curve.get("balanced_accuracy", [])}, shares=True)


def _shade(images: int, row: list[int]) -> int:
    """How dark a cell of the confusion matrix is drawn, 0 to 8, by its share of its row."""
    if not images:
        return 0
    return max(1, round(SHADES * images / max(1, sum(row))))
