"""For schemathesis: what no schema can say of a valid request, since it takes the clock or the database to know."""

from __future__ import annotations

import contextlib
import os
import uuid
from datetime import UTC, datetime
from typing import Any

import schemathesis

# Ids of memories that there are, comma separated.
KNOWN = "MEMBENCH_SCHEMA_KNOWN"


def _moment(value: Any) -> datetime | None:
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        moment = datetime.fromisoformat(value.upper())
        return moment if moment.tzinfo else None
    return None


def _is_uuid(value: Any) -> bool:
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        return str(uuid.UUID(value)) == value.lower()
    return False


def _known(value: str) -> str:
    """One of the known ids, always the same for a value."""
    known = os.environ[KNOWN].split(",")
    return known[uuid.UUID(value).int % len(known)]


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Lets ids lead somewhere, and in bodies that are meant to be right makes right what is so in form alone."""
    path = case.path_parameters
    if _is_uuid(path.get("id")):
        path["id"] = _known(path["id"])
    body = case.body
    # Mended, what is meant to be wrong might be right.
    if case.meta.generation.mode is not schemathesis.GenerationMode.POSITIVE or not isinstance(body, dict):
        return
    now = datetime.now(UTC)
    expiry, creation = _moment(body.get("expires_at")), _moment(body.get("created_at"))
    if expiry and expiry <= now:
        body["expires_at"] = "2999-12-31T23:59:59Z"
    if creation and creation > now:
        body["created_at"] = "2000-02-29T00:00:00Z"
    if _is_uuid(body.get("parent_id")):
        parent = _known(body["parent_id"])
        body["parent_id"] = None if parent == path.get("id") else parent
    for name in ("limit", "offset"):
        if isinstance(body.get(name), float) and body[name].is_integer():
            # JSON Schema takes 5.0 for an integer; the service does not, and says so.
            body[name] = int(body[name])
    weights = body.get("hybrid_weights")
    if (
        isinstance(weights, dict)
        and type(weights.get("importance", 0)) in (int, float)
        and not weights.get("importance")
    ):
        # One of them has to be of use; whether that of words is, the words decide.
        weights["importance"] = 1
    cursor = body.get("cursor")
    if isinstance(cursor, str) and 1 <= len(cursor) <= 200:
        # Only a search gives a valid one; tests/reference_impl/test_search.py follows them.
        body["cursor"] = None
