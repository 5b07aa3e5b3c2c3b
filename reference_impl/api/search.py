"""Handlers of searches."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from reference_impl.api.exchange import Request, Response
from reference_impl.api.queries import Queries, Search, next_cursor
from reference_impl.api.validation import decode
from reference_impl.encoding import counters, head
from reference_impl.models import SearchRequest, SearchType
from reference_impl.search_models import Found, Hit, Shares
from reference_impl.service import Service
from reference_impl.words import highlights

_BODY_MAX: Final = 16 << 20
_YES: Final = ("true", "1")
_NO: Final = ("false", "0")
_HIT: Final = ", cache;desc=hit"
_MISS: Final = ", cache;desc=miss"
_ENCODE: Final = msgspec.json.Encoder().encode


class SearchHandlers:
    """Operations under /api/v1/search.

    Args:
        service: what they work on.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._decoder = msgspec.json.Decoder(SearchRequest)
        self._queries = Queries(service.settings.dimension)

    async def search(self, request: Request) -> Response:
        """Finds what a request describes, by its own type of search."""
        return await self._answer(request, None)

    async def semantic(self, request: Request) -> Response:
        """Finds the memories nearest in meaning."""
        return await self._answer(request, SearchType.SEMANTIC)

    async def _answer(self, request: Request, kind: SearchType | None) -> Response:
        started = time.perf_counter()
        asked = decode(await request.body(_BODY_MAX), self._decoder)
        if request.parameter("exact", _YES + _NO) in _YES:
            asked.exact = True
        search = self._queries.search(asked, kind)
        # Exact searches are there to measure the others by: they see the database as it is.
        key = None if asked.exact else search.key
        body, cached = await self._service.search(key, search.tier, search.query, lambda f: self._body(search, f))
        elapsed = (time.perf_counter() - started) * 1e3
        return Response(b"%s%.3f}" % (body, elapsed), timing=_HIT if cached else _MISS)

    def _body(self, search: Search, found: Found) -> bytes:
        """The answer up to the time it took."""
        results = b",".join(self._result(search, hit) for hit in found.hits)
        cursor = next_cursor(search, len(found.hits), found.total)
        return b'{"results":[%s],"total_count":%d,"facets":%s,"next_cursor":%s,"query_time_ms":' % (
            results,
            found.total,
            (found.facets or "null").encode(),
            _ENCODE(cursor),
        )

    def _result(self, search: Search, hit: Hit) -> bytes:
        memory = hit.memory
        count, last = self._service.seen(memory.id, memory.access_count, memory.last_accessed_at)
        return b'{"memory":%s%s},"score":%.6f,"distance":%s,"highlights":%s%s}' % (
            head(memory),
            counters(count, last),
            hit.score,
            b"null" if hit.distance is None else b"%.6f" % hit.distance,
            _ENCODE(highlights(memory.content, search.stems)) if search.stems else b"[]",
            b',"explanation":' + _explanation(hit.parts, search.shares) if hit.parts is not None else b"",
        )


def _explanation(parts: Shares, shares: Shares) -> bytes:
    return _ENCODE(
        {
            name: {"value": value, "weight": weight, "contribution": value * weight}
            for name, value, weight in zip(Shares._fields, parts, shares, strict=True)
        }
    )
