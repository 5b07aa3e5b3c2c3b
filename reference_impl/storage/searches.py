"""Searches: a query in, ranked memories out."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import numpy as np

from reference_impl.packing import Packer
from reference_impl.search_models import Found, Hit, Query, Shares
from reference_impl.storage.database import Database, to_halfvec
from reference_impl.storage.records import StoredMemory
from reference_impl.storage.rows import memories_from
from reference_impl.storage.search_sql import FILTERS, SHARES, STEPS, Shape, statement
from reference_impl.storage.terms import Terms, TextQuery
from reference_impl.words import to_sparsevec

# That a filter lets many pass is remembered for a while: finding it out again would cost as much as the search.
_BROAD_SECONDS: Final = 60.0
_BROAD_MAX: Final = 1_000
# Facets should count more than what a page shows.
FACETED: Final = 400
_OPTIONAL: Final = 14  # columns of rows.FIELDS, before the scores


class Searches:
    """Searches over the table of memories.

    Args:
        database: where it is.
        dimension: length of the embeddings.
        packer: of cold content.
    """

    def __init__(self, database: Database, dimension: int, packer: Packer) -> None:
        self._database = database
        self._dimension = dimension
        self._packer = packer
        self._terms = Terms(database)
        self._broad: OrderedDict[int, float] = OrderedDict()

    async def rank(self, query: Query, weights: Mapping[int, float], ids: Sequence[UUID]) -> Found:
        """Those of given memories that pass the filters, the best first; at most `query.limit`.

        Args:
            query: with a vector, or words, or both.
            weights: of its words.
            ids: of the memories.

        Raises:
            ApiError: 503 if the database is away.
        """
        words = TextQuery(weights, to_sparsevec(weights), []) if weights else None
        return (await self._run(query, words, "given", ids))[0]

    async def find(self, query: Query) -> Found:
        """What answers a query best, the best first; at most `query.limit`.

        Raises:
            ApiError: 503 if the database is away.
        """
        words = await self._terms.query(query.terms, query.metadata is not None) if query.terms else None
        if query.exact:
            return (await self._run(query, words, "exact"))[0]
        method = "gated" if query.filtered and not self._known_broad(query) else "index"
        found, complete = await self._run(query, words, method)
        if method == "gated" and not complete and found.hits:
            self._remember_broad(query)
        if complete or query.threshold is not None or len(found.hits) == query.limit:
            return found
        if query.vector is not None:
            # The index walk gave up (hnsw.max_scan_tuples) before enough passed the filters, or there are no more.
            # Only comparing all that pass can tell; without a filter, only if they are few.
            method = "rows" if query.filtered else "gated"
        elif words is None or len(words.rare) == len(words.weights):
            return found
        else:
            words = words._replace(rare=sorted(words.weights))
        return (await self._run(query, words, method))[0]

    async def _run(
        self, query: Query, words: TextQuery | None, method: str, ids: Sequence[UUID] = ()
    ) -> tuple[Found, bool]:
        nearest, worded = (0, 0) if method == "given" else map(_step, _candidates(query))
        shape = Shape(
            self._dimension,
            query.tier.column if query.tier else None,
            tuple(name for name in FILTERS if getattr(query, name) is not None),
            query.with_metadata,
            nearest,
            worded,
            query.vector is not None,
            words is not None,
            query.threshold is not None,
            query.facets,
            query.explained,
            method,
        )
        sql, names = statement(shape)
        values = {
            "vector": None if query.vector is None else to_halfvec(np.expand_dims(query.vector, 0))[0],
            "weights": words and words.sparsevec,
            "rare": words and words.rare,
            "ids": ids,
            "now": datetime.now(UTC),
            **query.shares._asdict(),
        }
        arguments = (values[name] if name in values else getattr(query, name) for name in names)
        rows = await self._database.fetch(sql, *arguments)
        memories = await memories_from(rows, self._packer)
        hits = [_hit(memory, row, query.explained) for memory, row in zip(memories, rows, strict=True)]
        if not rows:
            # Nothing is left to tell whether that is all.
            return Found([], 0, None), method in {"rows", "exact"}
        first = rows[0]
        return Found(hits, first["total"], first["facets"] if query.facets else None), first["complete"]

    def _known_broad(self, query: Query) -> bool:
        return self._broad.get(_sieve(query), 0.0) > time.monotonic()

    def _remember_broad(self, query: Query) -> None:
        self._broad[_sieve(query)] = time.monotonic() + _BROAD_SECONDS
        if len(self._broad) > _BROAD_MAX:
            self._broad.popitem(last=False)


def _sieve(query: Query) -> int:
    """Stands for the filters of a query; by meaning alone, more that pass are few. A collision costs time only."""
    return hash((bool(query.terms), query.filters()))


def _candidates(query: Query) -> tuple[int, int]:
    """How many candidates to rank, by meaning and by words."""
    last = query.limit + query.offset
    least = FACETED if query.facets else 0
    by_words = 3 * last // 2 + 25
    # The order by signs is not the order by cosine. Where words count too, they settle most of that; and a walk that
    # passes over what the filters keep out has to be short.
    by_meaning = min(6 * last + 90, last + 500) if not query.terms else last + 10 if query.filtered else by_words
    return max(by_meaning, least), max(by_words, least)


def _step(count: int) -> int:
    return next(step for step in STEPS if step >= count)


def _hit(memory: StoredMemory, row: Any, explained: bool) -> Hit:
    score, distance = row[_OPTIONAL : _OPTIONAL + 2]
    return Hit(memory, score, distance, Shares(*row[-len(SHARES) :]) if explained else None)
