"""Statements on single memories and groups of them: insert, read, count accesses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import numpy as np

from reference_impl.models import TIERS
from reference_impl.storage.database import Database, from_halfvec, to_halfvec
from reference_impl.storage.records import NewMemory, StoredMemory

LIVE: Final = "m.status = 'active' AND (m.expires_at IS NULL OR m.expires_at > now())"
FIELDS: Final = (
    "m.id, m.content, m.content_hash, m.tier::text, m.importance_score, m.metadata, m.parent_id,"
    " m.created_at, m.updated_at, m.expires_at"
)
_COUNTS: Final = "coalesce(a.access_count, 0) AS access_count, a.last_accessed_at"

_READ: Final = f"""
SELECT {FIELDS}, {_COUNTS} FROM memories m LEFT JOIN memory_access a ON a.id = m.id
WHERE m.id = $1 AND {LIVE}"""

_READ_SAME: Final = f"""
SELECT {FIELDS}, {_COUNTS} FROM unnest($1::bytea[], $2::text[]) AS k (content_hash, tier)
JOIN memories m ON m.content_hash = k.content_hash AND m.tier = k.tier::memory_tier
LEFT JOIN memory_access a ON a.id = m.id
WHERE {LIVE}"""

# An expired memory keeps its content's place in the unique index until that content comes back.
_RETIRE_EXPIRED: Final = """
UPDATE memories m SET status = 'deleted', updated_at = now()
FROM unnest($1::bytea[], $2::text[]) AS k (content_hash, tier)
WHERE m.content_hash = k.content_hash AND m.tier = k.tier::memory_tier
  AND m.status = 'active' AND m.expires_at <= now()"""

_EMBEDDING: Final = "SELECT embedding FROM memories WHERE id = $1"

_COUNT_ACCESSES: Final = """
INSERT INTO memory_access AS a (id, access_count, last_accessed_at)
SELECT u.id, u.hits, u.at FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) AS u (id, hits, at)
WHERE EXISTS (SELECT FROM memories m WHERE m.id = u.id)
ON CONFLICT (id) DO UPDATE SET access_count = a.access_count + excluded.access_count,
    last_accessed_at = greatest(a.last_accessed_at, excluded.last_accessed_at)"""

_TIER_COUNTS: Final = "SELECT tier::text, count(*) FROM memories WHERE status = 'active' GROUP BY tier"


def _insert(dimension: int) -> str:
    return f"""
INSERT INTO memories (id, content, content_hash, tier, importance_score, metadata, parent_id, created_at,
                      updated_at, expires_at, embedding, code)
SELECT u.id, u.content, u.content_hash, u.tier::memory_tier, u.importance_score, u.metadata, u.parent_id,
       u.created_at, u.updated_at, u.expires_at, u.embedding, binary_quantize(u.embedding)::bit({dimension})
FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::float8[], $6::jsonb[], $7::uuid[],
            $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::halfvec[])
     AS u (id, content, content_hash, tier, importance_score, metadata, parent_id, created_at, updated_at,
           expires_at, embedding)
ON CONFLICT (content_hash, tier) WHERE status = 'active' DO NOTHING
RETURNING id"""


class Memories:
    """The table of memories.

    Args:
        database: where it is.
        dimension: length of the embeddings.
    """

    def __init__(self, database: Database, dimension: int) -> None:
        self._database = database
        self._insert = _insert(dimension)

    async def insert(self, group: Sequence[NewMemory]) -> list[tuple[StoredMemory, bool]]:
        """Stores a group in one statement, that is in one transaction.

        Args:
            group: memories with embeddings; the same content may occur more than once.

        Returns:
            For each, in order: the memory that now stands for its content, and whether it was there before.

        Raises:
            ApiError: 503 if the database is away.
            asyncpg.PostgresError: if any row is refused; none is stored then.
        """
        first: dict[tuple[bytes, str], NewMemory] = {}
        for new in group:
            first.setdefault(new.key, new)
        stored: dict[tuple[bytes, str], StoredMemory] = {}
        missing = first
        # Twice is enough but for contents that expire or are deleted at this very moment.
        for _ in range(5):
            # In order of key: two groups that share contents then wait for each other in one direction only.
            rows = [missing[key] for key in sorted(missing)]
            created = {row["id"] for row in await self._database.fetch(self._insert, *_columns(rows))}
            stored.update((new.key, _as_stored(new)) for new in rows if new.id in created)
            missing = {key: new for key, new in missing.items() if key not in stored}
            if missing:
                keys = [key[0] for key in missing], [key[1] for key in missing]
                for row in await self._database.fetch(_READ_SAME, *keys):
                    found = StoredMemory(*row)
                    stored[(found.content_hash, found.tier)] = found
                missing = {key: new for key, new in missing.items() if key not in stored}
            if not missing:
                break
            await self._database.fetch(_RETIRE_EXPIRED, *keys)
        else:
            raise RuntimeError("a content appeared and vanished five times while it was being stored")
        return [(stored[new.key], stored[new.key].id != new.id) for new in group]

    async def read(self, memory_id: UUID) -> StoredMemory | None:
        """The live memory with this id, or None."""
        rows = await self._database.fetch(_READ, memory_id)
        return StoredMemory(*rows[0]) if rows else None

    async def embedding(self, memory_id: UUID) -> list[float] | None:
        """The embedding at its stored (half) precision, or None where none is kept."""
        rows = await self._database.fetch(_EMBEDDING, memory_id)
        return from_halfvec(rows[0][0]) if rows and rows[0][0] is not None else None

    async def count_accesses(self, accesses: Iterable[tuple[UUID, int, datetime]]) -> None:
        """Adds (id, reads, time of the last) to the counters."""
        # In order of id, so that two processes cannot lock each other's rows crosswise.
        ids, hits, times = zip(*sorted(accesses), strict=True)
        await self._database.fetch(_COUNT_ACCESSES, ids, hits, times)

    async def tier_counts(self) -> dict[str, int]:
        """Active memories by tier, in the API's spelling; expired ones count until they are retired."""
        counted = dict(await self._database.fetch(_TIER_COUNTS))
        return {tier.value: counted.get(column, 0) for column, tier in TIERS.items()}


def _columns(rows: Sequence[NewMemory]) -> tuple[list[object], ...]:
    """The rows as the parallel arrays that `unnest` takes."""
    vectors = np.stack([row.embedding for row in rows if row.embedding is not None])
    return (
        [row.id for row in rows],
        [row.content for row in rows],
        [row.content_hash for row in rows],
        [row.tier.column for row in rows],
        [row.importance_score for row in rows],
        [row.metadata for row in rows],
        [row.parent_id for row in rows],
        [row.created_at for row in rows],
        [row.updated_at for row in rows],
        [row.expires_at for row in rows],
        list(to_halfvec(vectors)),
    )


def _as_stored(new: NewMemory) -> StoredMemory:
    return StoredMemory(
        id=new.id,
        content=new.content,
        content_hash=new.content_hash,
        tier=new.tier.column,
        importance_score=new.importance_score,
        metadata=new.metadata,
        parent_id=new.parent_id,
        created_at=new.created_at,
        updated_at=new.updated_at,
        expires_at=new.expires_at,
        access_count=0,
        last_accessed_at=None,
    )
