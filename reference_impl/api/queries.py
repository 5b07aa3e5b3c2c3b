"""From the body of a search to what the service looks for, and the key under which it may know the answer."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from reference_impl.api.validation import in_utc, storable_json, storable_text, tier_named, unit_vector
from reference_impl.embedding import Vector
from reference_impl.errors import invalid
from reference_impl.models import OFFSET_MAX, HybridWeights, SearchRequest, SearchType, Tier
from reference_impl.search_models import Query, Shares
from reference_impl.words import stems_in, terms_in

# Found on conversations with known evidence: words tell more than meaning, and both together more than either. The
# others break ties.
_DEFAULTS: Final = {
    SearchType.HYBRID: HybridWeights(0.28, 0.66, 0.02, 0.02, 0.02),
    SearchType.SEMANTIC: HybridWeights(semantic=1),
    SearchType.FULL_TEXT: HybridWeights(text=1),
    SearchType.TEMPORAL: HybridWeights(semantic=0.15, text=0.15, temporal=0.7),
}
_TYPES: Final = {kind.value.lower(): kind for kind in SearchType}
_DIGEST: Final = 12
# A query is a sentence, or a few. Of a longer one the rest still counts for its meaning.
_WORDS_MAX: Final = 1_000
_HIGHLIGHTED_MAX: Final = 64


class Search(NamedTuple):
    """A checked request.

    `key` is equal for equal requests only; `query` needs the embedder, and so is made only where the answer is not
    known; `digest` tells the pages of one request from those of another.
    """

    key: bytes
    digest: bytes
    tier: Tier | None
    stems: tuple[str, ...]
    shares: Shares
    limit: int
    offset: int
    query: Callable[[Callable[[str], Vector]], Query]


class Queries:
    """Checks requests.

    Args:
        dimension: numbers in an embedding.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension

    def search(self, asked: SearchRequest, kind: SearchType | None = None) -> Search:
        """Checks a request.

        Args:
            asked: the request.
            kind: of search, whatever the request says.

        Raises:
            ApiError: 400 naming the field.
        """
        kind = kind or _type_named(asked.search_type)
        text = None if asked.query_text is None else storable_text(asked.query_text, "query_text")
        vector = None
        if asked.query_embedding is not None:
            vector = unit_vector(asked.query_embedding, self._dimension, "query_embedding")
        meant = kind is not SearchType.FULL_TEXT and (text is not None or vector is not None)
        worded = text is not None and kind is not SearchType.SEMANTIC
        terms = tuple(dict.fromkeys(terms_in(text or "")))[:_WORDS_MAX] if worded else ()
        if kind is SearchType.FULL_TEXT and text is None:
            raise invalid("query_text", "missing; a search by words needs it")
        if not meant and kind in {SearchType.HYBRID, SearchType.SEMANTIC}:
            raise invalid("query_text", "missing; give it or query_embedding")
        importance, dates = asked.importance_range, asked.date_range
        fields: dict[str, Any] = {
            "shares": _shares(kind, asked.hybrid_weights or _DEFAULTS[kind], meant, bool(terms)),
            "terms": terms,
            "limit": asked.limit,
            "threshold": asked.similarity_threshold,
            "tier": None if asked.tier is None else tier_named(asked.tier),
            "metadata": _contained(asked),
            "importance_from": importance.min if importance else None,
            "importance_to": importance.max if importance else None,
            "created_from": _moment(dates.start if dates else None, "date_range.from"),
            "created_to": _moment(dates.end if dates else None, "date_range.to"),
            "with_metadata": asked.include_metadata,
            "facets": asked.include_facets,
            "explained": asked.explain_score,
            "exact": asked.exact,
        }
        meaning = vector.tobytes() if vector is not None else meant
        common = msgspec.msgpack.encode((fields, text, meaning), order="sorted")
        digest = hashlib.blake2b(common, digest_size=_DIGEST).digest()
        offset = asked.offset if asked.cursor is None else _offset(asked, digest)

        def query(embed: Callable[[str], Vector]) -> Query:
            found = vector
            if found is None and meant and text is not None:
                found = embed(text)
            return Query(vector=found, offset=offset, **fields)

        return Search(
            key=common + offset.to_bytes(2, "big"),
            digest=digest,
            tier=fields["tier"],
            stems=stems_in(text or "")[:_HIGHLIGHTED_MAX] if terms else (),
            shares=fields["shares"],
            limit=asked.limit,
            offset=offset,
            query=query,
        )


def next_cursor(search: Search, found: int, ranked: int) -> str | None:
    """What asks for the page after one of `found` results; None after the last."""
    offset = search.offset + found
    if found < search.limit or offset >= ranked or offset > OFFSET_MAX:
        return None
    return base64.urlsafe_b64encode(search.digest + offset.to_bytes(2, "big")).decode()


def _offset(asked: SearchRequest, digest: bytes) -> int:
    if asked.offset:
        raise invalid("cursor", "stands for an offset; give one of them")
    try:
        decoded = base64.b64decode(asked.cursor or "", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    offset = int.from_bytes(decoded[_DIGEST:], "big")
    if len(decoded) != _DIGEST + 2 or offset > OFFSET_MAX:
        raise invalid("cursor", "is not one that a search has given")
    if decoded[:_DIGEST] != digest:
        raise invalid("cursor", "belongs to another request; only the cursor may differ from page to page")
    return offset


def _type_named(text: str) -> SearchType:
    kind = _TYPES.get(text.lower())
    if kind is None:
        raise invalid("search_type", f"{text[:80]!r} is not one of {', '.join(SearchType)}")
    return kind


def _shares(kind: SearchType, weights: HybridWeights, meant: bool, worded: bool) -> Shares:
    """The weights, scaled to add up to 1; what a query lacks cannot count."""
    shares = Shares(
        weights.semantic if meant else 0.0,
        weights.text if worded else 0.0,
        weights.temporal,
        weights.importance,
        weights.access_frequency,
    )
    total = sum(shares)
    if total > 0:
        return Shares(*(round(share / total, 9) for share in shares))
    if kind is SearchType.FULL_TEXT:
        return Shares(text=1.0)
    raise invalid("hybrid_weights", "one that this search can use must be above 0")


def _contained(asked: SearchRequest) -> str | None:
    filters = dict(asked.metadata_filters or {})
    if asked.tags:
        given = filters.get("tags", [])
        if not isinstance(given, list):
            raise invalid("metadata_filters.tags", "is no list; tags are asked for beside it")
        filters["tags"] = [*given, *(storable_text(tag, "tags") for tag in asked.tags)]
    return storable_json(filters, "metadata_filters") if filters else None


def _moment(moment: datetime | None, field: str) -> datetime | None:
    return None if moment is None else in_utc(moment, field)
