"""The RSGI application: what happens to every request, whichever it is."""

from __future__ import annotations

import asyncio
import os
import re
import time
from typing import Final

import structlog
from granian.rsgi import Scope

from reference_impl.api.exchange import HTTPProtocol, Request, Response, of_error
from reference_impl.api.router import Router
from reference_impl.errors import ApiError, internal
from reference_impl.keys import Keys
from reference_impl.metrics import Metrics

_LOG = structlog.get_logger()
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
# Who only watches whether the service lives needs no key.
_OPEN_TO_ALL: Final = "/api/v1/health"
_CLOSE: Final = ("connection", "close")


class Application:
    """Routes requests, times and counts them, and turns every failure into an answer.

    Args:
        router: the routes.
        metrics: of the process.
        keys: of the callers.
        log_requests: whether each request is worth a line in the log.
    """

    def __init__(self, router: Router, metrics: Metrics, keys: Keys, log_requests: bool = False) -> None:
        self._router = router
        self._metrics = metrics
        self._keys = keys if keys else None
        self._leaving = False
        self._log_requests = log_requests
        # Unique among processes and starts, cheaper than a UUID each.
        self._prefix = os.urandom(6).hex()
        self._number = 0
        self._in_flight = 0
        metrics.gauge("memory_requests_in_flight", "Requests being answered", lambda: self._in_flight)

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answers one request."""
        started = time.perf_counter()
        self._in_flight += 1
        operation = "unknown"
        request_id = self._request_id(scope)
        request = Request(scope, protocol, request_id)
        try:
            if self._keys is not None and scope.path != _OPEN_TO_ALL:
                self._keys.require(scope.headers.get("authorization"))
            route, request.path_values = self._router.match(scope.method, scope.path)
            operation = route.operation
            response = await route.handler(request)
        except ApiError as error:
            response = of_error(error, request_id)
            if request.unread:
                # The connection ends with this answer, as what is left of the body would be in the way of the next.
                response.headers += (_CLOSE,)
        except Exception:
            _LOG.exception("request_failed", operation=operation, request_id=request_id)
            response = of_error(internal(), request_id)
        finally:
            self._in_flight -= 1
        self._answer(protocol, response, operation, request_id, started)

    def leave(self) -> None:
        """From now on every answer asks its client to close the connection."""
        self._leaving = True

    async def drain(self, seconds: float) -> None:
        """Waits until no request is being answered, or so many seconds have passed."""
        deadline = time.monotonic() + seconds
        while self._in_flight and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    def _answer(
        self, protocol: HTTPProtocol, response: Response, operation: str, request_id: str, started: float
    ) -> None:
        elapsed = time.perf_counter() - started
        headers = [
            *response.headers,
            ("server-timing", f"total;dur={elapsed * 1e3:.3f}{response.timing}"),
            ("x-request-id", request_id),
        ]
        if self._leaving:
            headers.append(_CLOSE)
        if response.body:
            protocol.response_bytes(response.status, headers, response.body)
        else:
            protocol.response_empty(response.status, headers)
        self._metrics.observe(operation, response.status, elapsed)
        if self._log_requests:
            _LOG.info(
                "request",
                operation=operation,
                status=response.status,
                duration_ms=round(elapsed * 1e3, 3),
                request_id=request_id,
            )

    def _request_id(self, scope: Scope) -> str:
        given = scope.headers.get("x-request-id")
        if given is not None and _SANE_ID.fullmatch(given):
            return str(given)
        self._number += 1
        return f"{self._prefix}-{self._number:x}"
