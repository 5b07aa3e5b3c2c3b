"""OpenAPI 3.1 from the models and routes themselves, and a page that shows it without outside help."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from reference_impl import __version__
from reference_impl.api.exchange import Request, Response
from reference_impl.api.router import Route
from reference_impl.models import ErrorAnswer

_MEANING: Final = {
    400: "INVALID_REQUEST; details.field names the field",
    404: "MEMORY_NOT_FOUND",
    413: "PAYLOAD_TOO_LARGE",
    429: "TOO_MANY_REQUESTS; see Retry-After",
    503: "DATABASE_UNAVAILABLE; see Retry-After",
}
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "summary{cursor:pointer;padding:.3rem 0}code,pre{font:13px ui-monospace,monospace}"
    "pre{background:#8881;padding:.8rem;overflow:auto}b{display:inline-block;width:4rem}"
)


class Description:
    """Serves the description of the API."""

    def __init__(self) -> None:
        self._openapi = b""
        self._page = b""

    def describe(self, routes: Sequence[Route]) -> None:
        """Takes in the routes, once all are known."""
        document = _document(routes)
        self._openapi = msgspec.json.encode(document)
        self._page = _page(document).encode()

    async def openapi(self, _request: Request) -> Response:
        """The OpenAPI document."""
        return Response(self._openapi)

    async def page(self, _request: Request) -> Response:
        """The page."""
        return Response(self._page, content=("content-type", "text/html; charset=utf-8"))


def _document(routes: Sequence[Route]) -> dict[str, Any]:
    models = {route.request for route in routes} | {route.answer for route in routes} | {ErrorAnswer}
    ordered = sorted((model for model in models if isinstance(model, type)), key=lambda model: model.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    for schema in components.values():
        # What is stored as JSON text is an object to the caller.
        for name, field in schema.get("properties", {}).items():
            if name == "metadata" and not field:
                field["type"] = "object"
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Memory service", "version": __version__},
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(route: Route) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "query", "required": False, "schema": {"type": "string", "enum": list(allowed)}}
        for name, allowed in route.parameters
    ]
    if "{id}" in route.path:
        schema = {"type": "string", "format": "uuid"}
        parameters.append({"name": "id", "in": "path", "required": True, "schema": schema})
    plain = isinstance(route.answer, str)
    answer = {route.answer.partition(";")[0]: {}} if plain else _json(route.answer)
    operation: dict[str, Any] = {
        "operationId": route.operation + route.path.translate(str.maketrans("/.{}-", "_____")),
        "summary": route.summary,
        "parameters": parameters,
        "responses": {"200": {"description": "Done", "content": answer}}
        | {str(status): {"description": _MEANING[status], "content": _json(ErrorAnswer)} for status in route.errors},
    }
    if route.operation == "health":
        operation["responses"]["503"] = {"description": "The database is away", "content": answer}
    if route.request is not None:
        operation["requestBody"] = {"required": True, "content": _json(route.request)}
    return operation


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
