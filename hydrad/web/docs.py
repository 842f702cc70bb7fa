"""The API described: as an OpenAPI document for programs, as a page for people."""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from hydrad.domain import Role
from hydrad.web import faults, pages
from hydrad.web.doors.visitors import AtLeast, Looks

router = APIRouter()

_REFUSAL: Final = {"$ref": f"#/components/schemas/{faults.Refusal.__name__}"}

METHODS: Final = ("get", "post", "put", "patch", "delete")
LIMITS: Final = {
    "minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<", "minLength": "letters ≥",
    "maxLength": "letters ≤", "minItems": "entries ≥", "maxItems": "entries ≤", "pattern": "matches",
}  # fmt: skip
ABOUT: Final = (
    "What the pages know and do, for programs. Where accounts are in use, a program shows a token: "
    "Authorization: Bearer hydrad_…, made under /account. Times are ISO 8601 in UTC, ending in Z."
)


@router.get("/api/openapi.json", include_in_schema=False)
def document(request: Request, visitor: Looks) -> JSONResponse:  # noqa: ARG001  it takes a visitor
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())


@router.get("/api/docs", include_in_schema=False)
def page(request: Request, visitor: Looks) -> HTMLResponse:  # noqa: ARG001  it takes a visitor
    """The same, to be read."""
    whole = request.app.openapi()
    address = f"{request.url.scheme}://{request.headers['host']}"
    by_tag: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations(whole, address):
        by_tag[operation.tag].append(operation)
    models = [
        Model(name, schema.get("description", ""), tuple(_fields(schema)))
        for name, schema in sorted(whole.get("components", {}).get("schemas", {}).items())
    ]
    refusals = [(status, words["description"]) for status, words in faults.REFUSALS.items()]
    return pages.draw(
        request, "docs.html", tags=dict(sorted(by_tag.items())), models=models, about=ABOUT, refusals=refusals
    )


def describe(app: FastAPI) -> None:
    """Have an application describe itself, with the role that each operation takes."""
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(get_openapi(title=app.title, version=app.version, description=ABOUT, routes=app.routes))
            made.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            for route in iter_route_contexts(app.routes):
                if isinstance(route.original_route, APIRoute) and route.include_in_schema:
                    _say_role(made["paths"][route.path_format], route)
        return made

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way of changing it


def role_of(dependant: Dependant) -> Role | None:
    """The role that an operation takes; None where it asks nobody who they are."""
    roles = [dependant.call.role] if isinstance(dependant.call, AtLeast) else []
    roles += [role for part in dependant.dependencies if (role := role_of(part)) is not None]
    return max(roles, default=None)


def _say_role(path: Mapping[str, Any], route: RouteContext) -> None:
    role = role_of(route.dependant)
    for method in route.methods or ():
        operation = path.get(method.lower())
        if operation is not None and role is not None:
            operation["x-role"] = role.name.lower()
            operation["security"] = [{"token": []}]


# ---- the page ----


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a field of a model: ``models`` are those its type names."""

    name: str
    type: str
    models: tuple[str, ...]
    required: bool
    about: str
    where: str = ""  # path, query, header
    limits: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What may be answered."""

    status: str
    about: str
    type: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of an address."""

    tag: str
    anchor: str
    method: str
    path: str
    summary: str
    about: str
    role: str
    parameters: tuple[Field, ...]
    body: Field | None
    replies: tuple[Reply, ...]
    example: str  # for a shell


@dataclass(frozen=True, slots=True)
class Model:
    """A document that is sent or answered."""

    name: str
    about: str
    fields: tuple[Field, ...]


def operations(whole: Mapping[str, Any], address: str) -> Iterator[Operation]:
    """Every operation of an OpenAPI document, in its order.

    Args:
        address: where the examples find the pages.
    """
    for path, item in whole["paths"].items():
        for method in METHODS:
            if method in item:
                yield _operation(path, method, item[method], address)


def _operation(path: str, method: str, words: Mapping[str, Any], address: str) -> Operation:
    parameters = tuple(_parameter(one) for one in words.get("parameters", ()))
    sent = _content(words.get("requestBody", {}))
    body = None if sent is None else _field("body", sent, required=words["requestBody"].get("required", False))
    return Operation(
        tag=next(iter(words.get("tags", ())), "other"),
        anchor=words["operationId"],
        method=method.upper(),
        path=path,
        summary=words.get("summary", ""),
        about=words.get("description", ""),
        role=words.get("x-role", ""),
        parameters=parameters,
        body=body,
        replies=tuple(
            _reply(status, one)
            for status, one in sorted(words.get("responses", {}).items())
            if _content(one) != _REFUSAL  # they stand on the page once
        ),
        example=_example(path, method, address, body, anonymous="x-role" not in words),
    )


def _parameter(words: Mapping[str, Any]) -> Field:
    return _field(
        words["name"], words.get("schema", {}), required=words.get("required", False), where=words["in"],
        about=words.get("description", ""),
    )  # fmt: skip


def _reply(status: str, words: Mapping[str, Any]) -> Reply:
    schema = _content(words)
    text, models = ("", ()) if schema is None else _type(schema)
    if schema is None and words.get("content"):
        text = ", ".join(words["content"])
    return Reply(status, words.get("description", ""), text, models)


def _content(words: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for kind in ("application/json", "application/x-www-form-urlencoded"):
        schema: Mapping[str, Any] | None = words.get("content", {}).get(kind, {}).get("schema")
        if schema:
            return schema
    return None


def _fields(schema: Mapping[str, Any]) -> Iterable[Field]:
    required = set(schema.get("required", ()))
    if "enum" in schema:
        yield _field("value", schema, required=True)
    for name, words in schema.get("properties", {}).items():
        yield _field(name, words, required=name in required)


def _field(name: str, schema: Mapping[str, Any], *, required: bool, where: str = "", about: str = "") -> Field:
    text, models = _type(schema)
    limits = [f"{word} {schema[key]}" for key, word in LIMITS.items() if key in schema]
    limits += [f"{word} {one[key]}" for one in schema.get("anyOf", ()) for key, word in LIMITS.items() if key in one]
    if schema.get("default") is not None:
        limits.append(f"{json.dumps(schema['default'], ensure_ascii=False)} unless said")
    return Field(name, text, models, required, about or schema.get("description", ""), where, ", ".join(limits))


def _type(schema: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """A type in words, and the models it names."""
    text: str = "anything"
    models: tuple[str, ...] = ()
    match schema:
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            text, models = name, (name,)
        case {"anyOf": parts} | {"oneOf": parts} | {"allOf": parts}:
            read = [_type(one) for one in parts]
            text, models = " or ".join(word for word, _ in read), tuple(name for _, names in read for name in names)
        case {"enum": values}:
            text = " | ".join(json.dumps(one, ensure_ascii=False) for one in values)
        case {"const": value}:
            text = json.dumps(value, ensure_ascii=False)
        case {"type": "array", "items": items}:
            text, models = _type(items)
            text = f"list of {text}"
        case {"type": "object", "additionalProperties": dict() as held}:
            text, models = _type(held)
            text = f"map of {text}"
        case {"type": str(kind), "format": str(form)}:
            text = f"{kind} ({form})"
        case {"type": str(kind)}:
            text = kind
    return text, models


def _example(path: str, method: str, address: str, body: Field | None, *, anonymous: bool) -> str:
    words = ["curl"]
    if not anonymous:
        words += ["-H", '"Authorization: Bearer $TOKEN"']
    if method != "get":
        words += ["-X", method.upper()]
    if body is not None:
        words += ["-H", shlex.quote("Content-Type: application/json"), "-d", "'{…}'"]
    return " ".join([*words, shlex.quote(f"{address}{path}")])
