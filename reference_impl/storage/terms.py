"""How many memories contain a word: counted by the feeder in `search_terms`, remembered here for a while."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from reference_impl.storage.database import Database
from reference_impl.words import inverse_frequency, to_sparsevec

_FREQUENCIES: Final = "SELECT term, memories FROM search_terms WHERE term = ANY($1::integer[])"
# What is looked up with a search costs it a round trip, and the logarithm of a share moves slowly: counts are kept
# until they are a minute old or the store has grown by a tenth.
_SECONDS: Final = 60.0
_GROWTH: Final = 1.1
_TOTAL_SECONDS: Final = 1.0
_REMEMBERED: Final = 50_000
_TOTAL: Final = 0
# Rows read for their words at most, as far as the rarest word alone does not need more. Of those that must also have
# certain labels the index reads few.
_BUDGET: Final = 2_000
_LABELLED_BUDGET: Final = 2_000


class TextQuery(NamedTuple):
    """A query's words.

    `weights` of all of them, as a mapping and as a binary sparsevec; `rare` are those to find candidates by, the rarest
    first: whoever contains only the others is hardly among the best.
    """

    weights: Mapping[int, float]
    sparsevec: bytes
    rare: list[int]


def weigh(counts: Mapping[int, int], memories: int) -> dict[int, float]:
    """What each term of a query is worth, of how many memories have it and how many there are."""
    return {term: inverse_frequency(count, memories) for term, count in counts.items()}


class _Count(NamedTuple):
    """Memories with a term, of how many, and until when (monotonic, s) that is good enough."""

    memories: int
    total: int
    until: float


class Terms:
    """Document frequencies.

    Args:
        database: where they are counted.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[int, _Count] = OrderedDict()
        self._total = _Count(0, 0, float("-inf"))

    async def query(self, terms: Iterable[int], labelled: bool = False) -> TextQuery:
        """Weighs the words of a query.

        Args:
            terms: as `words.terms_in` gives them; repeated ones count once.
            labelled: whether the query also asks for metadata.

        Raises:
            ApiError: 503 if the database is away.
        """
        counts = await self._counts({*terms})
        weights = weigh(counts, self._total.memories)
        rare: list[int] = []
        budget = _LABELLED_BUDGET if labelled else _BUDGET
        rows = 0
        for term in sorted(counts, key=lambda term: (counts[term], term)):
            rows += counts[term]
            if rare and rows > budget:
                break
            rare.append(term)
        return TextQuery(weights, to_sparsevec(weights), rare)

    async def _counts(self, terms: set[int]) -> dict[int, int]:
        now, total = time.monotonic(), self._total
        stale = total.until <= now
        found = {
            term: known.memories
            for term in terms
            if (known := self._known.get(term)) is not None
            and known.until > now
            and total.memories <= known.total * _GROWTH
        }
        missing = sorted(terms - found.keys())
        if missing or stale:
            counted = dict.fromkeys([_TOTAL, *missing], 0)
            counted.update(await self._database.fetch(_FREQUENCIES, list(counted)))
            size = counted.pop(_TOTAL)
            self._total = _Count(size, size, now + _TOTAL_SECONDS)
            for term, count in counted.items():
                self._known.pop(term, None)
                self._known[term] = _Count(count, size, now + _SECONDS)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            found |= counted
        return found
