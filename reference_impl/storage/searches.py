"""Vector search: candidates by Hamming distance of sign bits, their order by cosine distance of halves."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from reference_impl.embedding import Vector
from reference_impl.models import Tier
from reference_impl.storage.database import Database, to_halfvec
from reference_impl.storage.memories import FIELDS, LIVE
from reference_impl.storage.records import StoredMemory

# Up to this many rows that match metadata_filters or date_range are compared one by one: faster than walking
# an index that mostly holds other rows, and without loss.
_NARROW: Final = 2_000
# That a filter matches more is remembered for a while: finding it out again would cost as much as the search.
_BROAD_SECONDS: Final = 60.0
_BROAD_MAX: Final = 1_000
# Candidates come in few sizes, as each is a statement of its own: a LIMIT that the planner cannot see would
# cost it the index.
_STEPS: Final = (100, 150, 250, 500, 1_000, 2_000, 4_100)

_CONDITIONS: Final = (
    "m.metadata @> ${}::jsonb",
    "m.importance_score >= ${}",
    "m.importance_score <= ${}",
    "m.created_at >= ${}",
    "m.created_at <= ${}",
)
# Which of them an index answers.
_INDEXED: Final = (True, False, False, True, True)


class Query(msgspec.Struct, frozen=True, eq=False):
    """A checked search. `metadata` is JSON text to be contained; all bounds are inclusive."""

    vector: Vector
    limit: int
    tier: Tier | None = None
    metadata: str | None = None
    importance_from: float | None = None
    importance_to: float | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    with_metadata: bool = True
    exact: bool = False

    def filters(self) -> tuple[str | float | datetime | None, ...]:
        """What `_CONDITIONS` compare with, in their order."""
        return self.metadata, self.importance_from, self.importance_to, self.created_from, self.created_to


class Hit(NamedTuple):
    """One found memory and its cosine distance, 0..2."""

    memory: StoredMemory
    distance: float


class _Shape(NamedTuple):
    """What of a query is part of the statement's text, as opposed to its parameters."""

    dimension: int
    tier: str | None
    filters: tuple[bool, ...]  # which of `_CONDITIONS` there are
    with_metadata: bool
    candidates: int
    method: str  # "index"; "gated": by rows if they are few; "scan": Hamming by rows; "exact": cosine by rows


class Searches:
    """Searches over the table of memories.

    Args:
        database: where it is.
        dimension: length of the embeddings.
    """

    def __init__(self, database: Database, dimension: int) -> None:
        self._database = database
        self._dimension = dimension
        self._broad: OrderedDict[object, float] = OrderedDict()

    async def nearest(self, query: Query) -> list[Hit]:
        """The memories nearest to the query's vector, nearest first; at most `query.limit`.

        Raises:
            ApiError: 503 if the database is away.
        """
        if query.exact:
            return (await self._run(query, "exact"))[0]
        gated = any(itertools.compress(query.filters(), _INDEXED)) and not self._known_broad(query)
        hits, complete = await self._run(query, "gated" if gated else "index")
        if gated and hits and not complete:
            self._remember_broad(query)
        if not complete and len(hits) < query.limit:
            # The index walk gave up (hnsw.max_scan_tuples) before enough passed the filters, or there are no
            # more. Only a scan can tell.
            hits, _ = await self._run(query, "scan")
        return hits

    async def _run(self, query: Query, method: str) -> tuple[list[Hit], bool]:
        values = query.filters()
        wanted = 4 * query.limit + 60
        shape = _Shape(
            self._dimension,
            query.tier.column if query.tier else None,
            tuple(value is not None for value in values),
            query.with_metadata,
            next(step for step in _STEPS if step >= wanted),
            method,
        )
        vector = to_halfvec(np.expand_dims(query.vector, 0))[0]
        given = [value for value in values if value is not None]
        rows = await self._database.fetch(_statement(shape), vector, query.limit, *given)
        return [_hit(row) for row in rows], bool(rows and rows[0]["complete"])

    def _known_broad(self, query: Query) -> bool:
        return self._broad.get((query.tier, query.filters()), 0.0) > time.monotonic()

    def _remember_broad(self, query: Query) -> None:
        self._broad[query.tier, query.filters()] = time.monotonic() + _BROAD_SECONDS
        if len(self._broad) > _BROAD_MAX:
            self._broad.popitem(last=False)


def _hit(row: Any) -> Hit:
    return Hit(StoredMemory(*row[:12]), row["distance"])


@lru_cache(maxsize=1_024)
def _statement(shape: _Shape) -> str:
    """The SQL for a shape: $1 is the vector, $2 the limit, then the filters in the order of the shape."""
    conditions = [LIVE]
    if shape.tier:
        # Literal: behind a parameter, a generic plan could not know how rare a tier is.
        conditions.append(f"m.tier = '{shape.tier}'")
    number = 2
    for present, condition in zip(shape.filters, _CONDITIONS, strict=True):
        if present:
            number += 1
            conditions.append(condition.format(number))
    where = " AND ".join(conditions)
    fields = FIELDS if shape.with_metadata else FIELDS.replace("m.metadata", "NULL::text AS metadata")
    code = f"binary_quantize($1::halfvec)::bit({shape.dimension})"
    complete = "false"
    narrow = ""
    if shape.method == "exact":
        candidates = (
            f"SELECT m.id, m.embedding <=> $1 AS distance FROM memories m"
            f" WHERE {where} AND m.embedding IS NOT NULL ORDER BY distance LIMIT $2"
        )
    elif shape.method == "scan":
        # Adding nothing keeps the planner from the index, which has just failed.
        candidates = f"""
        SELECT m.id, m.embedding <=> $1 AS distance FROM (
            SELECT m.id FROM memories m WHERE {where}
            ORDER BY (m.code <~> {code}) + 0 LIMIT {shape.candidates}
        ) AS c JOIN memories m ON m.id = c.id"""
    elif shape.method == "gated":
        complete = f"(SELECT count(*) FROM narrow) <= {_NARROW}"
        narrow = f"narrow AS MATERIALIZED (SELECT m.id, m.code FROM memories m WHERE {where} LIMIT {_NARROW + 1}),"
        candidates = f"""
        SELECT m.id, m.embedding <=> $1 AS distance FROM (
            (SELECT n.id FROM narrow n WHERE {complete} ORDER BY n.code <~> {code} LIMIT {shape.candidates})
            UNION ALL
            (SELECT m.id FROM memories m WHERE NOT {complete} AND {where}
             ORDER BY m.code <~> {code} LIMIT {shape.candidates})
        ) AS c JOIN memories m ON m.id = c.id"""
    else:
        candidates = (
            f"SELECT m.id, m.embedding <=> $1 AS distance FROM memories m"
            f" WHERE {where} ORDER BY m.code <~> {code} LIMIT {shape.candidates}"
        )
    return f"""
WITH {narrow}
candidates AS MATERIALIZED ({candidates}),
nearest AS MATERIALIZED (SELECT * FROM candidates ORDER BY distance LIMIT $2)
SELECT {fields}, coalesce(a.access_count, 0) AS access_count, a.last_accessed_at,
       n.distance, {complete} AS complete
FROM nearest n JOIN memories m ON m.id = n.id LEFT JOIN memory_access a ON a.id = n.id
ORDER BY n.distance, m.id"""
