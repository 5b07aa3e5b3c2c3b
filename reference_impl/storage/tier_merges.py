"""Two memories with the same content that meet in one tier become one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from reference_impl.storage.database import Database
from reference_impl.storage.rows import LIVE

_PAIRS: Final = "unnest($1::uuid[], $2::uuid[]) AS u (loser, survivor)"

# Reads in the tier are access_count - tier_accesses: added up on both sides, they stay what they were together.
_SURVIVE: Final = f"""
UPDATE memories s SET
    importance_score = greatest(s.importance_score, l.importance_score),
    metadata = l.metadata || s.metadata,
    parent_id = CASE WHEN s.parent_id = l.id THEN nullif(l.parent_id, s.id) ELSE s.parent_id END,
    created_at = least(s.created_at, l.created_at),
    updated_at = greatest(s.updated_at, l.updated_at),
    -- greatest() leaves NULL out, but never is later than any day.
    expires_at = CASE WHEN s.expires_at IS NOT NULL AND l.expires_at IS NOT NULL
                      THEN greatest(s.expires_at, l.expires_at) END,
    tier_accesses = s.tier_accesses + l.tier_accesses
FROM {_PAIRS} JOIN memories l ON l.id = u.loser
WHERE s.id = u.survivor"""

_ADD_READS: Final = f"""
WITH gone AS (
    DELETE FROM memory_access a USING {_PAIRS} WHERE a.id = u.loser
    RETURNING u.survivor, a.access_count, a.last_accessed_at
)
INSERT INTO memory_access AS a (id, access_count, last_accessed_at) SELECT * FROM gone ORDER BY survivor
ON CONFLICT (id) DO UPDATE SET access_count = a.access_count + excluded.access_count,
    last_accessed_at = greatest(a.last_accessed_at, excluded.last_accessed_at)"""

_ADOPT: Final = f"""
UPDATE memories c SET parent_id = u.survivor FROM {_PAIRS}
WHERE c.parent_id = u.loser AND c.id <> u.survivor RETURNING c.id"""

_YIELD: Final = f"""
WITH gone AS (DELETE FROM memory_vectors WHERE id = ANY($1::uuid[]))
UPDATE memories m SET status = 'deleted', merged_into = u.survivor, updated_at = $3
FROM {_PAIRS} WHERE m.id = u.loser"""

_SURVIVOR: Final = f"""
WITH RECURSIVE chain AS (
    SELECT merged_into AS id, 1 AS hops FROM memories WHERE id = $1
    UNION ALL
    SELECT m.merged_into, c.hops + 1 FROM chain c JOIN memories m ON m.id = c.id
    WHERE m.merged_into IS NOT NULL AND c.hops < 16
)
SELECT m.id FROM chain c JOIN memories m ON m.id = c.id WHERE {LIVE} LIMIT 1"""


class Merge(NamedTuple):
    """A memory, and its twin in the tier that it was to move to; that one stays."""

    loser: UUID
    survivor: UUID


async def merge(connection: asyncpg.Connection, merges: Sequence[Merge], now: datetime) -> list[UUID]:
    """Lets survivors stand for both: the higher importance, the older creation, both metadata, all reads and children.

    Args:
        connection: in a transaction that has locked all of them.
        merges: each memory occurs once.
        now: when the losers end.

    Returns:
        Ids of the survivors and of the children that have another parent now.
    """
    pairs = [pair.loser for pair in merges], [pair.survivor for pair in merges]
    await connection.execute(_SURVIVE, *pairs)
    await connection.execute(_ADD_READS, *pairs)
    children = [row[0] for row in await connection.fetch(_ADOPT, *pairs)]
    await connection.execute(_YIELD, *pairs, now)
    return pairs[1] + children


async def survivor(database: Database, memory_id: UUID) -> UUID | None:
    """The live memory that this one has been merged into, over up to 16 merges; else None.

    Raises:
        ApiError: 503 if the database is away.
    """
    rows = await database.fetch(_SURVIVOR, memory_id)
    return rows[0][0] if rows else None
