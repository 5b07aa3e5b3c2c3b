"""OpenAPI 3.1 from the models and routes themselves, and a page that shows it without outside help."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from reference_impl import __version__
from reference_impl.api.exchange import Request, Response
from reference_impl.api.router import Parameter, Route
from reference_impl.api.schemas import schemas
from reference_impl.models import ErrorAnswer

_STRING: Final = {"type": "string"}
_HEADERS: Final = {
    "X-Request-Id": ("Of the request, where it had a sane one; it is in the logs", True, _STRING),
    "Server-Timing": ("Time in the service, ms, and whether a cache answered", True, _STRING),
    "Retry-After": ("Seconds after which trying again is reasonable", True, {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("What kind of key is wanted", True, _STRING),
}
_ALWAYS: Final = ("X-Request-Id", "Server-Timing")
# By status: name of the component, description, headers besides those of every answer.
_ERRORS: Final = {
    400: ("InvalidRequest", "INVALID_REQUEST; `details.field` names the field", ()),
    401: ("Unauthorized", "UNAUTHORIZED: no key, or an unknown one", ("WWW-Authenticate",)),
    404: ("NotFound", "MEMORY_NOT_FOUND: unknown, deleted or expired", ()),
    409: (
        "Conflict",
        "DUPLICATE_CONTENT, and `details.id` has it; or TIER_REVIEW_RUNNING, where that is asked for",
        (),
    ),
    413: ("TooLarge", "PAYLOAD_TOO_LARGE; `details.limit_bytes` is allowed", ()),
    429: ("TooMany", "TOO_MANY_REQUESTS: a queue is full", ("Retry-After",)),
    503: ("Unavailable", "DATABASE_UNAVAILABLE or MEMORY_CONTENDED, for now", ("Retry-After",)),
}
_MEANINGS: Final = {200: "Done", 204: "Done; there is nothing to say", 503: "The database is away"}
_KEYLESS: Final = "health"
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "summary{cursor:pointer;padding:.3rem 0}code,pre{font:13px ui-monospace,monospace}"
    "pre{background:#8881;padding:.8rem;overflow:auto}b{display:inline-block;width:4rem}"
)


class Description:
    """Serves the description of the API.

    Args:
        dimension: of the service's embeddings.
        locked: whether callers need keys.
    """

    def __init__(self, dimension: int, locked: bool) -> None:
        self._dimension = dimension
        self._locked = locked
        self._openapi = b""
        self._page = b""

    def describe(self, routes: Sequence[Route]) -> None:
        """Takes in the routes, once all are known."""
        document = _document(routes, self._dimension, self._locked)
        self._openapi = msgspec.json.encode(document)
        self._page = _page(document).encode()

    async def openapi(self, _request: Request) -> Response:
        """The OpenAPI document."""
        return Response(self._openapi)

    async def page(self, _request: Request) -> Response:
        """The page."""
        return Response(self._page, content=("content-type", "text/html; charset=utf-8"))


def _document(routes: Sequence[Route], dimension: int, locked: bool) -> dict[str, Any]:
    requests = {route.request for route in routes if route.request is not None}
    answers = {route.answer for route in routes if isinstance(route.answer, type)} | {ErrorAnswer}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Memory service",
            "version": __version__,
            "description": "Memories, found by meaning and by words. Bodies are JSON, whatever their type says.",
        },
        # Without keys a request may still carry one.
        "security": [{"key": []}] if locked else [{}, {"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas(requests, answers, dimension),
            "responses": {
                name: {"description": meaning, "headers": _headers(headers), "content": _json(ErrorAnswer)}
                for name, meaning, headers in _ERRORS.values()
            },
            "headers": {
                name: {"description": meaning, "required": required, "schema": schema}
                for name, (meaning, required, schema) in _HEADERS.items()
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    parameters = [_query(parameter) for parameter in route.parameters]
    if "{id}" in route.path:
        schema = {"type": "string", "format": "uuid"}
        parameters.append({"name": "id", "in": "path", "required": True, "schema": schema})
    errors = route.errors if route.operation == _KEYLESS else (*route.errors, 401)
    operation: dict[str, Any] = {
        "operationId": route.operation + route.path.translate(str.maketrans("/.{}-", "_____")),
        "summary": route.summary,
        "parameters": parameters,
        "responses": {str(status): _answer(route, status) for status in route.answered}
        | {str(status): {"$ref": f"#/components/responses/{_ERRORS[status][0]}"} for status in sorted(errors)},
    }
    if route.operation == _KEYLESS:
        operation["security"] = []
    if route.request is not None:
        operation["requestBody"] = {"required": True, "content": _json(route.request)}
    return operation


def _query(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.meaning,
        "required": False,
        "schema": {"type": "string", "enum": list(parameter.allowed)},
    }


def _answer(route: Route, status: int) -> dict[str, Any]:
    headers = _headers(("Retry-After",) if status == 503 else ())
    answer: dict[str, Any] = {"description": _MEANINGS[status], "headers": headers}
    if isinstance(route.answer, str):
        answer["content"] = {route.answer.partition(";")[0]: {}}
    elif route.answer is not None:
        answer["content"] = _json(route.answer)
    return answer


def _headers(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*_ALWAYS, *names)}


def _json(model: type) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}


def _page(document: dict[str, Any]) -> str:
    parts = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            detail = msgspec.json.format(msgspec.json.encode(operation), indent=2).decode()
            parts.append(
                f"<details><summary><b>{method.upper()}</b><code>{html.escape(path)}</code> "
                f"{html.escape(operation['summary'])}</summary><pre>{html.escape(detail)}</pre></details>"
            )
    for name, schema in document["components"]["schemas"].items():
        detail = msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()
        parts.append(
            f'<details id="{name}"><summary><code>{name}</code></summary><pre>{html.escape(detail)}</pre></details>'
        )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Memory service</title>'
        f"<style>{_STYLE}</style>"
        f'<h1>Memory service {__version__}</h1><p>As a document: <a href="/openapi.json">openapi.json</a></p>'
        + "".join(parts)
    )
