"""Statements on single memories and groups of them: insert and read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import numpy as np

from reference_impl.models import TIERS
from reference_impl.packing import Packer
from reference_impl.storage.changes import CHANNEL, payloads
from reference_impl.storage.database import Database, to_halfvec
from reference_impl.storage.records import NewMemory, StoredMemory
from reference_impl.storage.rows import ACCESS, FIELDS, LIVE, memories_from

_READ: Final = f"SELECT {FIELDS} FROM memories m {ACCESS} WHERE m.id = $1 AND {LIVE}"

_READ_SAME: Final = f"""
SELECT {FIELDS} FROM unnest($1::bytea[], $2::text[]) AS k (content_hash, tier)
JOIN memories m ON m.content_hash = k.content_hash AND m.tier = k.tier::memory_tier {ACCESS}
WHERE {LIVE}"""

# An expired memory keeps its content's place in the unique index until that content comes back.
_RETIRE_EXPIRED: Final = """
UPDATE memories m SET status = 'deleted', updated_at = now()
FROM unnest($1::bytea[], $2::text[]) AS k (content_hash, tier)
WHERE m.content_hash = k.content_hash AND m.tier = k.tier::memory_tier
  AND m.status = 'active' AND m.expires_at <= now()"""

_TIER_COUNTS: Final = "SELECT tier::text, count(*) FROM memories WHERE status = 'active' GROUP BY tier"


def _insert(dimension: int) -> str:
    """One statement, one commit: rows, vectors and the word to other processes; gives the ids of what is new."""
    return f"""
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(
        $1::uuid[], $2::text[], $3::bytea[], $4::text[], $5::float8[], $6::jsonb[], $7::uuid[], $8::timestamptz[],
        $9::timestamptz[], $10::timestamptz[], $11::halfvec[], $12::sparsevec[], $13::bytea[], $14::integer[],
        $15::boolean[])
    AS u (id, content, content_hash, tier, importance_score, metadata, parent_id, created_at, updated_at, expires_at,
          embedding, terms, packed, dictionary_id, own_embedding)
), created AS (
    INSERT INTO memories (id, content, content_hash, tier, importance_score, metadata, parent_id, created_at,
                          updated_at, expires_at, code, terms, packed, dictionary_id, own_embedding, tier_since)
    SELECT id, content, content_hash, tier::memory_tier, importance_score, metadata, parent_id, created_at,
           updated_at, expires_at, binary_quantize(embedding)::bit({dimension}), terms, packed, dictionary_id,
           own_embedding, updated_at
    FROM given
    ON CONFLICT (content_hash, tier) WHERE status = 'active' DO NOTHING
    RETURNING id, tier
), vectors AS (
    INSERT INTO memory_vectors (id, embedding)
    SELECT id, given.embedding FROM given JOIN created USING (id) WHERE created.tier <> 'cold'
)
SELECT id, (SELECT count(pg_notify('{CHANNEL}', payload)) FROM unnest($16::text[]) AS payload) FROM created"""


class Memories:
    """The table of memories.

    Args:
        database: where it is.
        dimension: length of the embeddings.
        packer: of cold content.
        origin: name of this process, for others to know its changes by.
    """

    def __init__(self, database: Database, dimension: int, packer: Packer, origin: str) -> None:
        self._database = database
        self._insert = _insert(dimension)
        self._packer = packer
        self._origin = origin

    async def insert(self, group: Sequence[NewMemory]) -> list[tuple[StoredMemory, bool]]:
        """Stores a group in one statement, that is in one transaction.

        Args:
            group: memories with embeddings, terms and, if cold, packed; the same content may occur more than once.

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
            # All of them, as only the statement learns which are new.
            said = payloads(self._origin, (row.id for row in rows), created=True)
            created = {row["id"] for row in await self._database.fetch(self._insert, *self._columns(rows), said)}
            stored.update((new.key, _as_stored(new)) for new in rows if new.id in created)
            missing = {key: new for key, new in missing.items() if key not in stored}
            if missing:
                keys = [key[0] for key in missing], [key[1] for key in missing]
                for found in await memories_from(await self._database.fetch(_READ_SAME, *keys), self._packer):
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
        found = await memories_from(await self._database.fetch(_READ, memory_id), self._packer)
        return found[0] if found else None

    async def tier_counts(self) -> dict[str, int]:
        """Active memories by tier, in the API's spelling; expired ones count until they are retired."""
        counted = dict(await self._database.fetch(_TIER_COUNTS))
        return {tier.value: counted.get(column, 0) for column, tier in TIERS.items()}

    @staticmethod
    def _columns(rows: Sequence[NewMemory]) -> tuple[list[object], ...]:
        """The rows as the parallel arrays that `unnest` takes."""
        vectors = np.stack([row.embedding for row in rows if row.embedding is not None])
        packed = [row.packed for row in rows]
        return (
            [row.id for row in rows],
            [row.content if cold is None else None for row, cold in zip(rows, packed, strict=True)],
            [row.content_hash for row in rows],
            [row.tier.column for row in rows],
            [row.importance_score for row in rows],
            [row.metadata for row in rows],
            [row.parent_id for row in rows],
            [row.created_at for row in rows],
            [row.updated_at for row in rows],
            [row.expires_at for row in rows],
            list(to_halfvec(vectors)),
            [row.terms for row in rows],
            [cold and cold.data for cold in packed],
            [cold and cold.dictionary_id for cold in packed],
            [row.own_embedding for row in rows],
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
