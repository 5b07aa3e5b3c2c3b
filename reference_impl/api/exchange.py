"""One request and one response, as handlers see them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol
from urllib.parse import parse_qs

from granian.rsgi import ProtocolClosed, Scope  # type: ignore[attr-defined]

from reference_impl.errors import ApiError, invalid, too_large

JSON = ("content-type", "application/json")


class HTTPProtocol(Protocol):
    """What Granian gives beside the scope, as far as it is used here."""

    async def __call__(self) -> bytes:
        """The whole body."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body in pieces."""

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Answers without a body."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answers."""


class Request:
    """A request whose body is read when it is asked for."""

    __slots__ = ("_protocol", "_query", "_read_body", "path_values", "request_id", "scope")

    def __init__(self, scope: Scope, protocol: HTTPProtocol, request_id: str) -> None:
        self.scope = scope
        self.path_values: dict[str, str] = {}
        self.request_id = request_id
        self._protocol = protocol
        self._query: dict[str, list[str]] | None = None
        self._read_body = False

    @property
    def unread(self) -> bool:
        """Whether there is a body that nobody has asked for."""
        headers = self.scope.headers
        return not self._read_body and (headers.get("content-length", "0") != "0" or "transfer-encoding" in headers)

    async def body(self, limit: int) -> bytes:
        """The whole body.

        Args:
            limit: bytes at most.

        Raises:
            ApiError: 413 if it is longer, told before it is read where the client says how long it is; 400 if it
                ends before its end, which only a client that has half closed its connection hears.
        """
        try:
            return await self._read(limit)
        except ProtocolClosed:
            raise invalid("body", "ends before its end") from None

    async def _read(self, limit: int) -> bytes:
        declared = self.scope.headers.get("content-length")
        if declared is not None and declared.isdigit():
            if int(declared) > limit:
                raise too_large(limit)
            self._read_body = True
            return await self._protocol()
        chunks: list[bytes] = []
        size = 0
        async for chunk in self._protocol:
            size += len(chunk)
            if size > limit:
                raise too_large(limit)
            chunks.append(chunk)
        self._read_body = True
        return b"".join(chunks)

    def parameter(self, name: str, allowed: tuple[str, ...]) -> str | None:
        """A query parameter, or None without it.

        Raises:
            ApiError: 400 if its value is not among the allowed ones.
        """
        if not self.scope.query_string:
            return None
        if self._query is None:
            try:
                self._query = parse_qs(self.scope.query_string, keep_blank_values=True, max_num_fields=50)
            except ValueError as error:
                raise invalid("query", str(error)) from None
        values = self._query.get(name)
        if values is None:
            return None
        if values[-1] not in allowed:
            raise invalid(name, f"{values[-1][:80]!r} is not one of {', '.join(allowed)}")
        return values[-1]


class Response:
    """An answer: body, status, headers, and entries for `Server-Timing`."""

    __slots__ = ("body", "headers", "status", "timing")

    def __init__(
        self,
        body: bytes,
        status: int = 200,
        content: tuple[str, str] | None = JSON,
        headers: tuple[tuple[str, str], ...] = (),
        timing: str = "",
    ) -> None:
        self.body = body
        self.status = status
        self.headers: tuple[tuple[str, str], ...] = headers if content is None else (content, *headers)
        self.timing = timing


def of_error(error: ApiError, request_id: str) -> Response:
    """The response to an error."""
    return Response(error.body(request_id), error.status, headers=error.headers)
