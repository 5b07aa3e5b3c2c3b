"""The errors a caller can see, all in one shape: `{"error": {code, message, details, request_id}}`."""

from __future__ import annotations

from typing import Any

import msgspec


class ApiError(Exception):
    """A request that cannot be answered as asked.

    Args:
        status: HTTP status.
        code: stable upper-case name that programs may branch on.
        message: one sentence for people.
        details: machine-readable context, such as `{"field": "tier"}`.
        headers: extra response headers, such as `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: dict[str, Any] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details or {}
        self.headers = headers

    def fields(self) -> dict[str, Any]:
        """The error without its envelope, as an item of a batch carries it."""
        return {"code": self.code, "message": self.message, "details": self.details}

    def body(self, request_id: str) -> bytes:
        """The whole response body, JSON."""
        return msgspec.json.encode({"error": {**self.fields(), "request_id": request_id}})


def invalid(field: str, message: str) -> ApiError:
    """400 for one field; `field` is a JSON path such as `metadata` or `memories[3].tier`."""
    return ApiError(400, "INVALID_REQUEST", f"{field}: {message}", {"field": field})


def memory_not_found(memory_id: object) -> ApiError:
    """404 for an id that is unknown, deleted or expired."""
    return ApiError(404, "MEMORY_NOT_FOUND", f"no memory has the id {memory_id}", {"id": str(memory_id)})


def duplicate_content(memory_id: object) -> ApiError:
    """409: a live memory has this content in this tier; `details.id` says which."""
    message = f"the memory {memory_id} has this content in this tier already"
    return ApiError(409, "DUPLICATE_CONTENT", message, {"id": str(memory_id)})


def review_running() -> ApiError:
    """409: the tiers are being reviewed already, by this process or another."""
    return ApiError(409, "TIER_REVIEW_RUNNING", "the tiers are being reviewed already; once at a time is enough")


def too_large(limit: int) -> ApiError:
    """413; `limit` in bytes."""
    return ApiError(413, "PAYLOAD_TOO_LARGE", f"the body is larger than {limit} bytes", {"limit_bytes": limit})


def overloaded(what: str) -> ApiError:
    """429: the queue of `what` is full; trying again in a second is reasonable."""
    return ApiError(429, "TOO_MANY_REQUESTS", f"the queue of {what} is full", headers=(("retry-after", "1"),))


def contended(memory_id: object) -> ApiError:
    """503: others keep changing the same memory; trying again in a second is reasonable."""
    return ApiError(
        503, "MEMORY_CONTENDED", f"others keep changing the memory {memory_id}", headers=(("retry-after", "1"),)
    )


def database_unavailable(reason: str) -> ApiError:
    """503: PostgreSQL does not answer, or has no connection to spare, for now."""
    return ApiError(503, "DATABASE_UNAVAILABLE", reason, headers=(("retry-after", "1"),))


def internal() -> ApiError:
    """500: a fault of the service; the cause is in its log under the same request id."""
    return ApiError(500, "INTERNAL", "the service failed; its log says why under this request id")
