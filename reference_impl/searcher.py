"""Answers a search: by candidates from the process' own index where that can, else by PostgreSQL alone."""

from __future__ import annotations

from reference_impl.candidates.keeper import IndexKeeper
from reference_impl.search_models import Found, Query
from reference_impl.storage.searches import FACETED, Searches


class Searcher:
    """Chooses who finds the candidates of a search. Their scores are PostgreSQL's either way.

    Args:
        searches: over the database.
        keeper: of the index.

    Attributes:
        indexed: searches whose candidates came from the index, so far.
        unindexed: those that PostgreSQL answered alone.
    """

    def __init__(self, searches: Searches, keeper: IndexKeeper) -> None:
        self._searches = searches
        self._keeper = keeper
        self.indexed = 0
        self.unindexed = 0

    async def find(self, query: Query) -> Found:
        """What answers a query best, the best first; at most `query.limit`.

        Raises:
            ApiError: 503 if the database is away.
        """
        if query.shares.text and not query.terms:
            return Found([], 0, None)  # by words alone, and they are all function words
        found = None if query.exact else await self._by_index(query)
        if found is not None:
            self.indexed += 1
            return found
        self.unindexed += 1
        return await self._searches.find(query)

    async def _by_index(self, query: Query) -> Found | None:
        """None if there is no index now, or it cannot tell."""
        index = self._keeper.index()
        if index is None or (query.vector is None and not query.terms):
            return None
        weights = index.weights(query.terms)
        candidates = index.find(query, weights, _wanted(query))
        if candidates is None:
            return None
        found = await self._searches.rank(query, weights, [*{*candidates.ids, *self._keeper.doubted}])
        # Some of them may not be what the index took them for; and then there may be others.
        enough = candidates.complete or query.threshold is not None or len(found.hits) == query.limit
        return found if enough else None


def _wanted(query: Query) -> int:
    """How many candidates to rank: the order by signs is not quite that by cosine, which words mostly settle."""
    last = query.limit + query.offset
    count = 3 * last // 2 + 20 if query.terms else min(6 * last + 90, last + 500)
    return max(count, FACETED) if query.facets else count
