"""Searches: a query in, ranked memories out."""

from __future__ import annotations

import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from reference_impl.embedding import Vector
from reference_impl.models import Tier
from reference_impl.packing import Packer
from reference_impl.storage.database import Database, to_halfvec
from reference_impl.storage.records import StoredMemory
from reference_impl.storage.rows import memories_from
from reference_impl.storage.search_sql import FILTERS, SHARES, STEPS, Shape, statement
from reference_impl.storage.terms import Terms, TextQuery

# That a filter lets many pass is remembered for a while: finding it out again would cost as much as the search.
_BROAD_SECONDS: Final = 60.0
_BROAD_MAX: Final = 1_000
# Facets should count more than what a page shows.
_FACETED: Final = 400
_OPTIONAL: Final = 14  # columns of rows.FIELDS, before the scores


class Shares(NamedTuple):
    """What each part counts for; they add up to 1."""

    semantic: float = 0.0
    text: float = 0.0
    temporal: float = 0.0
    importance: float = 0.0
    access_frequency: float = 0.0


class Query(msgspec.Struct, frozen=True, eq=False):
    """A checked search. `terms` are the query's words; `metadata` is JSON text to be contained; bounds are inclusive.

    Without a vector and without words what passes the filters is ranked by the other parts, the newest first.
    """

    shares: Shares
    limit: int
    vector: Vector | None = None
    terms: tuple[int, ...] = ()
    offset: int = 0
    threshold: float | None = None
    tier: Tier | None = None
    metadata: str | None = None
    importance_from: float | None = None
    importance_to: float | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    with_metadata: bool = True
    facets: bool = False
    explained: bool = False
    exact: bool = False

    def filters(self) -> tuple[object, ...]:
        """The tier and what `search_sql.FILTERS` compare with, in their order."""
        return (self.tier, *(getattr(self, name) for name in FILTERS))

    @property
    def filtered(self) -> bool:
        """Whether anything but its place in the ranking can keep a memory out."""
        return any(value is not None for value in self.filters())


class Hit(NamedTuple):
    """One found memory: its score, its cosine distance 0..2 where there is a vector, its parts if wanted."""

    memory: StoredMemory
    score: float
    distance: float | None
    parts: Shares | None


class Found(NamedTuple):
    """The answer to a query. `total` counts what was ranked; `facets` is JSON."""

    hits: list[Hit]
    total: int
    facets: str | None


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

    async def find(self, query: Query) -> Found:
        """What answers a query best, the best first; at most `query.limit`.

        Raises:
            ApiError: 503 if the database is away.
        """
        if query.shares.text and not query.terms:
            return Found([], 0, None)  # by words alone, and they are all function words
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
        elif words is None or len(words.rare) == len(words.terms):
            return found
        else:
            words = words._replace(rare=sorted(words.terms))
        return (await self._run(query, words, method))[0]

    async def _run(self, query: Query, words: TextQuery | None, method: str) -> tuple[Found, bool]:
        nearest, worded = _candidates(query, words is not None)
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
            "weights": words and words.weights,
            "rare": words and words.rare,
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


def _candidates(query: Query, worded: bool) -> tuple[int, int]:
    """How many candidates to rank, by meaning and by words."""
    last = query.limit + query.offset
    least = _FACETED if query.facets else 0
    by_words = 3 * last // 2 + 25
    # The order by signs is not the order by cosine. Where words count too, they settle most of that; and a walk that
    # passes over what the filters keep out has to be short.
    by_meaning = min(6 * last + 90, last + 500) if not worded else last + 10 if query.filtered else by_words
    return _step(max(by_meaning, least)), _step(max(by_words, least))


def _step(count: int) -> int:
    return next(step for step in STEPS if step >= count)


def _hit(memory: StoredMemory, row: Any, explained: bool) -> Hit:
    score, distance = row[_OPTIONAL : _OPTIONAL + 2]
    return Hit(memory, score, distance, Shares(*row[-len(SHARES) :]) if explained else None)
