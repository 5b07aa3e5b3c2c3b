"""Method and path to handler: exact paths by dictionary, paths with one variable at their end by prefix."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from reference_impl.api.exchange import Request, Response
from reference_impl.errors import ApiError

Handler = Callable[[Request], Awaitable[Response]]


class Parameter(NamedTuple):
    """A query parameter, and the values that it takes."""

    name: str
    allowed: tuple[str, ...]
    meaning: str


class Route(NamedTuple):
    """One operation.

    `operation` labels it in metrics. The rest describes it in the OpenAPI document: the models of its body and
    answer, where `answer` may be a content type, for what is not JSON, or None for nothing; its query
    parameters; the statuses of its errors; the statuses that come with the answer.
    """

    method: str
    path: str
    operation: str
    handler: Handler
    summary: str
    request: Any = None
    answer: Any = None
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[int, ...] = ()
    answered: tuple[int, ...] = (200,)


_NOTHING: dict[str, str] = {}


class Router:
    """Finds the route of a request.

    Args:
        routes: their paths may end in one variable, such as `/memories/{id}`.
    """

    def __init__(self, routes: list[Route]) -> None:
        self.routes = routes
        self._exact: dict[str, dict[str, Route]] = {}
        self._prefixed: dict[str, tuple[str, dict[str, Route]]] = {}
        for route in routes:
            prefix, brace, name = route.path.partition("{")
            if brace:
                self._prefixed.setdefault(prefix, (name.rstrip("}"), {}))[1][route.method] = route
            else:
                self._exact.setdefault(route.path, {})[route.method] = route

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route and the values in its path.

        Raises:
            ApiError: 404 for an unknown path, 405 with `Allow` for a known one with another method.
        """
        methods, values = self._exact.get(path), _NOTHING
        if methods is None:
            cut = path.rfind("/") + 1
            found = self._prefixed.get(path[:cut])
            if found is None or cut == len(path):
                raise ApiError(404, "NOT_FOUND", f"nothing is served at {path[:200]}")
            methods, values = found[1], {found[0]: path[cut:]}
        route = methods.get(method)
        if route is None:
            allowed = ", ".join(sorted(methods))
            raise ApiError(405, "METHOD_NOT_ALLOWED", f"{path[:200]} takes {allowed}", headers=(("allow", allowed),))
        return route, values
