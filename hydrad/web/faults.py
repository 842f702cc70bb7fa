"""What went wrong, in words: JSON for programs, a page for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from hydrad import log
from hydrad.errors import ChangeRefused, ConfigurationError, HydradError, StoreAway, TryAgain
from hydrad.store.engine import Unacceptable
from hydrad.web import pages
from hydrad.web.doors.patience import TooOften
from hydrad.web.doors.visitors import NotAllowed, Unknown

AGAIN_AFTER_S: Final = 5
STATUS_OF: Final[dict[type[HydradError], int]] = {
    Unknown: 401,
    NotAllowed: 403,
    ChangeRefused: 422,
    ConfigurationError: 422,
    Unacceptable: 422,
    TooOften: 429,
    TryAgain: 503,
}
AWAY: Final = "the data base does not answer at this moment"

_log = log.get("web")


class Flaw(BaseModel):
    """One thing that is wrong with what was asked."""

    loc: list[str | int]
    msg: str
    type: str


class Refusal(BaseModel):
    """Why something was not done, as a sentence, or as one flaw per parameter."""

    detail: str | list[Flaw]


REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Refusal, "description": "What was sent cannot be read"},
    401: {"model": Refusal, "description": "Nobody knows who asks"},
    403: {"model": Refusal, "description": "Not theirs to do"},
    404: {"model": Refusal, "description": "There is no such thing"},
    422: {"model": Refusal, "description": "That cannot be"},
    503: {"model": Refusal, "description": "The data base, or what else is needed, does not answer"},
}


def tell(app: FastAPI) -> None:
    """Have an application say what went wrong."""
    for kind in (HydradError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, told)


def told(request: Request, fault: Exception) -> Response:
    """A fault as a sentence: JSON for programs, a page for people."""
    status, detail, headers = _read(fault)
    if status >= 500:
        _log.warning("request_not_served", path=request.url.path, why=str(fault))
    if not for_people(request):
        return JSONResponse({"detail": detail}, status, headers)
    site = request.app.state.site
    if status == 401 and request.method == "GET" and site.config.web.auth == "local":
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(here, safe='/')}", 303)
    words = detail if isinstance(detail, str) else "; ".join(f"{_place(flaw)}: {flaw['msg']}" for flaw in detail)
    again = status == 503 and request.method == "GET"
    answer = pages.draw(request, "fault.html", status=status, words=words, again=again)
    answer.status_code = status
    answer.headers.update(headers)
    return answer


def for_people(request: Request) -> bool:
    """Whether the answer is looked at, not read by a program."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def _read(fault: Exception) -> tuple[int, str | Sequence[Mapping[str, Any]], Mapping[str, str]]:
    match fault:
        case RequestValidationError():
            return 422, [_flaw(error) for error in fault.errors()], {}
        case HTTPException():
            return fault.status_code, _sayable(str(fault.detail)), fault.headers or {}
    status = next((code for kind, code in STATUS_OF.items() if isinstance(fault, kind)), 500)
    words = AWAY if isinstance(fault, StoreAway) else _sayable(str(fault))
    match fault:
        case TooOften():
            return status, words, {"Retry-After": str(fault.wait_s)}
        case TryAgain():
            return status, words, {"Retry-After": str(AGAIN_AFTER_S)}
        case Unknown():
            return status, words, {"WWW-Authenticate": "Bearer"}
    return status, words, {}


def _flaw(error: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without what was sent: it may be a password, and may have no form that can be sent back."""
    loc = [part if isinstance(part, int) else _sayable(str(part)) for part in error["loc"]]
    return {"loc": loc, "msg": _sayable(error["msg"]), "type": error["type"]}


def _place(flaw: Mapping[str, Any]) -> str:
    return ".".join(map(str, flaw["loc"][1:] or flaw["loc"]))


def _sayable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
