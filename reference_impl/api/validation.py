"""From bytes to checked records: what comes out of here can be stored; else the field at fault is named."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import numpy as np

from reference_impl.embedding import Vector
from reference_impl.errors import invalid
from reference_impl.ids import new_id
from reference_impl.models import TIERS, CreateMemory, Tier
from reference_impl.storage.records import NewMemory

T = TypeVar("T")

# Imports carry the clocks of other hosts.
CLOCK_SKEW = timedelta(seconds=5)

_PATH = re.compile(r" - at `(?:key in )?\$\.?(.*?)`$")
_NAMED = re.compile(r"(?:unknown|missing required) field `([^`]*)`")
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(body: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], prefix: str = "") -> T:
    """Decodes JSON into the decoder's type.

    Args:
        body: UTF-8 JSON.
        decoder: of a `msgspec.Struct`.
        prefix: JSON path of `body` itself, for an item of a batch.

    Raises:
        ApiError: 400 naming the field, or `body` where the JSON itself is at fault.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        text = str(error)
        path = match[1] if (match := _PATH.search(text)) else ""
        named = match[1] if (match := _NAMED.search(text)) else ""
        field = ".".join(part for part in (prefix, path, named) if part) or "body"
        raise invalid(field, _PATH.sub("", text)) from None
    except RecursionError:
        raise invalid(prefix or "body", "nested too deeply") from None
    except ValueError as error:
        raise invalid(prefix or "body", f"not valid JSON: {error}") from None


def tier_named(text: str, field: str = "tier") -> Tier:
    """The tier of that name, in any case.

    Raises:
        ApiError: 400 for any other name.
    """
    tier = TIERS.get(text.lower())
    if tier is None:
        raise invalid(field, f"{text!r} is not a tier; one of Working, Warm, Cold")
    return tier


def memory_id(text: str) -> UUID:
    """The UUID in a path.

    Raises:
        ApiError: 400 for anything else.
    """
    try:
        return UUID(text)
    except ValueError:
        raise invalid("id", f"{text[:80]!r} is not a UUID") from None


def storable_text(text: str, field: str) -> str:
    """The text itself, if PostgreSQL can hold it.

    Raises:
        ApiError: 400 for a NUL character or a lone surrogate.
    """
    if "\x00" in text:
        raise invalid(field, "contains the character U+0000, which PostgreSQL text cannot hold")
    if not text.isascii() and _SURROGATE.search(text):
        raise invalid(field, "contains half a surrogate pair")
    return text


def storable_json(value: dict[str, Any], field: str) -> str:
    """JSON text that jsonb accepts.

    Raises:
        ApiError: 400 for NUL characters or numbers that JSON cannot carry.
    """
    try:
        text = msgspec.json.encode(value).decode()
    except (OverflowError, ValueError, RecursionError) as error:
        raise invalid(field, str(error)) from None
    # Cheap test first: no NUL without this escape; but an escaped backslash may stand before `u0000`.
    if "\\u0000" in text and _holds_nul(value):
        raise invalid(field, "contains the character U+0000, which jsonb cannot hold")
    return text


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in key or _holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))


def in_utc(moment: datetime, field: str) -> datetime:
    """The same moment in UTC.

    Raises:
        ApiError: 400 where UTC has no such year.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise invalid(field, "outside the years 1 to 9999") from None


def in_future(moment: datetime, now: datetime, field: str) -> datetime:
    """The same moment in UTC.

    Raises:
        ApiError: 400 where it has passed.
    """
    moment = in_utc(moment, field)
    if moment <= now:
        raise invalid(field, "has passed already")
    return moment


def unit_vector(values: list[float], dimension: int, field: str) -> Vector:
    """A vector of length 1 in the same direction: cosines know no length, but half precision has a range.

    Args:
        values: as many finite numbers as `dimension`, not all zero.
        dimension: of the service.
        field: to name in errors.

    Raises:
        ApiError: 400 for a wrong number of values, a zero vector, or values that are not finite.
    """
    if len(values) != dimension:
        raise invalid(field, f"has {len(values)} numbers; this service takes {dimension}")
    vector = np.array(values, dtype=np.float64)
    peak = float(np.abs(vector).max())
    if not np.isfinite(peak):
        raise invalid(field, "contains a number that is not finite")
    if peak == 0.0:
        raise invalid(field, "is all zeros, which has no direction")
    vector /= peak  # squares of huge or tiny numbers would leave the range of a double
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class Creates:
    """Turns create bodies into records ready to store.

    Args:
        dimension: numbers in an embedding.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._decoder = msgspec.json.Decoder(CreateMemory)

    def record(self, body: bytes | msgspec.Raw, prefix: str = "") -> NewMemory:
        """Decodes and checks one create.

        Args:
            body: JSON of a `CreateMemory`.
            prefix: JSON path of an item within a batch.

        Raises:
            ApiError: 400 naming the field.
        """
        item = decode(body, self._decoder, prefix)
        at = f"{prefix}." if prefix else ""
        now = datetime.now(UTC)
        created = now if item.created_at is None else in_utc(item.created_at, f"{at}created_at")
        if created > now + CLOCK_SKEW:
            raise invalid(f"{at}created_at", "lies in the future")
        expires = None if item.expires_at is None else in_future(item.expires_at, now, f"{at}expires_at")
        content = storable_text(item.content, f"{at}content")
        return NewMemory(
            id=new_id(),
            content=content,
            content_hash=hashlib.sha256(content.encode()).digest(),
            tier=tier_named(item.tier, f"{at}tier"),
            importance_score=item.importance_score,
            metadata=storable_json(item.metadata, f"{at}metadata") if item.metadata else "{}",
            parent_id=item.parent_id,
            created_at=created,
            updated_at=now,
            expires_at=expires,
            embedding=(
                None if item.embedding is None else unit_vector(item.embedding, self._dimension, f"{at}embedding")
            ),
        )
