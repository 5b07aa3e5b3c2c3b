"""Memories that the search indexes do not hold yet, and how they get there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, cast
from uuid import UUID

import asyncpg

from reference_impl.storage.database import Database

# Any constant will do, so long as every version of the service takes the same lock.
_LOCK: Final = "SELECT pg_try_advisory_xact_lock(1835363687)"

# An update of the row puts it in every index whose condition it now meets.
_FEED: Final = """
WITH batch AS MATERIALIZED (
    SELECT id FROM memories WHERE NOT indexed AND status = 'active' ORDER BY id LIMIT $1
    FOR NO KEY UPDATE SKIP LOCKED
), fed AS (
    UPDATE memories m SET indexed = true FROM batch b WHERE m.id = b.id RETURNING m.terms, m.updated_at
), counted AS (
    INSERT INTO search_terms AS t (term, memories)
    SELECT u.term, count(*) FROM fed, unnest(memory_term_ids(fed.terms) || 0) AS u (term)
    GROUP BY u.term ORDER BY u.term
    ON CONFLICT (term) DO UPDATE SET memories = t.memories + excluded.memories
)
SELECT updated_at FROM fed"""

# The GIN index puts new entries in a list first; writing it out for a batch is cheaper than for each row, and a search
# that found the list long would have to read all of it.
_TIDY: Final = "SELECT gin_clean_pending_list('memories_keys')"

_BACKLOG: Final = """
SELECT count(*) FROM (SELECT FROM memories WHERE NOT indexed AND status = 'active' LIMIT $1) AS found"""

_WITHOUT_TERMS: Final = """
SELECT id, content, packed, dictionary_id FROM memories
WHERE terms IS NULL AND status = 'active' ORDER BY id LIMIT $1"""
_FILL_TERMS: Final = """
UPDATE memories m SET terms = u.terms, indexed = false
FROM unnest($1::uuid[], $2::sparsevec[]) AS u (id, terms) WHERE m.id = u.id AND m.terms IS NULL"""


class Arrivals:
    """The rows of `memories` that are not indexed.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def feed(self, limit: int) -> list[datetime] | None:
        """Puts the oldest into the search indexes.

        Args:
            limit: how many at most; their rows are locked meanwhile.

        Returns:
            When each was written; None if another process is feeding.

        Raises:
            ApiError: 503 if the database is away.
        """
        async with self._database.connection() as connection:
            async with connection.transaction():
                if not await connection.fetchval(_LOCK):
                    return None
                rows = await connection.fetch(_FEED, limit)
            await connection.fetch(_TIDY)  # updates add to the list, too
        return [row[0] for row in rows]

    async def backlog(self, limit: int) -> int:
        """How many there are, counted up to `limit`."""
        return cast("int", (await self._database.fetch(_BACKLOG, limit))[0][0])

    async def without_terms(self, limit: int) -> list[asyncpg.Record]:
        """Some memories from before there were words: id, content, packed, dictionary_id."""
        return await self._database.fetch(_WITHOUT_TERMS, limit)

    async def fill_terms(self, ids: Sequence[UUID], terms: Sequence[bytes]) -> None:
        """Gives memories their words, and leaves the rest to `feed`."""
        await self._database.fetch(_FILL_TERMS, ids, terms)
