"""Handler of searches."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from reference_impl.api.exchange import Request, Response
from reference_impl.api.validation import (
    decode,
    in_utc,
    storable_json,
    storable_text,
    tier_named,
    unit_vector,
)
from reference_impl.embedding import Vector
from reference_impl.encoding import counters, head
from reference_impl.errors import invalid
from reference_impl.models import SearchRequest
from reference_impl.service import Service
from reference_impl.storage.searches import Hit, Query

_BODY_MAX: Final = 16 << 20
_YES: Final = ("true", "1")
_NO: Final = ("false", "0")


class SearchHandlers:
    """Operations under /api/v1/search.

    Args:
        service: what they work on.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._decoder = msgspec.json.Decoder(SearchRequest)

    async def semantic(self, request: Request) -> Response:
        """Finds the memories nearest in meaning."""
        started = time.perf_counter()
        asked = decode(await request.body(_BODY_MAX), self._decoder)
        exact = asked.exact or request.parameter("exact", _YES + _NO) in _YES
        hits = await self._service.search(self._query(asked, exact))
        if asked.similarity_threshold is not None:
            # Not in the SQL: with a condition that nothing meets, the index walk would go on to its end.
            reach = 1.0 - asked.similarity_threshold
            hits = [hit for hit in hits if hit.distance <= reach]
        results = b",".join(map(self._result, hits))
        elapsed = (time.perf_counter() - started) * 1e3
        return Response(b'{"results":[%s],"total_count":%d,"query_time_ms":%.3f}' % (results, len(hits), elapsed))

    def _query(self, asked: SearchRequest, exact: bool) -> Query:
        if asked.search_type.lower() != "semantic":
            raise invalid("search_type", f"{asked.search_type!r} is not supported; Semantic is")
        importance, dates = asked.importance_range, asked.date_range
        return Query(
            vector=self._vector(asked),
            limit=asked.limit,
            tier=None if asked.tier is None else tier_named(asked.tier),
            metadata=storable_json(asked.metadata_filters, "metadata_filters") if asked.metadata_filters else None,
            importance_from=importance.min if importance else None,
            importance_to=importance.max if importance else None,
            created_from=in_utc(dates.start, "date_range.from") if dates and dates.start else None,
            created_to=in_utc(dates.end, "date_range.to") if dates and dates.end else None,
            with_metadata=asked.include_metadata,
            exact=exact,
        )

    def _vector(self, asked: SearchRequest) -> Vector:
        if asked.query_embedding is not None:
            return unit_vector(asked.query_embedding, self._service.settings.dimension, "query_embedding")
        if asked.query_text is None:
            raise invalid("query_text", "missing; give it or query_embedding")
        return self._service.embed_query(storable_text(asked.query_text, "query_text"))

    def _result(self, hit: Hit) -> bytes:
        memory = hit.memory
        count, last = self._service.seen(memory.id, memory.access_count, memory.last_accessed_at)
        return b'{"memory":%s%s},"score":%.6f,"distance":%.6f}' % (
            head(memory),
            counters(count, last),
            1.0 - hit.distance,
            hit.distance,
        )
