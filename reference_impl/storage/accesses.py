"""Reads of memories, counted in a table of their own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from reference_impl.storage.database import Database

# Who deserves a promotion has just been read: so the review of tiers need not look for them.
_COUNT: Final = """
WITH counted AS (
    INSERT INTO memory_access AS a (id, access_count, last_accessed_at)
    -- What was merged while its reads were on their way here passes them on.
    SELECT coalesce(m.merged_into, m.id), sum(u.reads)::bigint, max(u.at)
    FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) AS u (id, reads, at) JOIN memories m ON m.id = u.id
    GROUP BY 1 ORDER BY 1
    ON CONFLICT (id) DO UPDATE SET access_count = a.access_count + excluded.access_count,
        last_accessed_at = greatest(a.last_accessed_at, excluded.last_accessed_at)
    RETURNING id, access_count
)
INSERT INTO tier_candidates (id)
SELECT m.id FROM counted c JOIN memories m ON m.id = c.id
WHERE m.status = 'active' AND m.tier <> 'working'
  AND (c.access_count - m.tier_accesses >= $4 OR m.importance_score > $5)
ON CONFLICT DO NOTHING"""


class Accesses:
    """The counters of reads.

    Args:
        database: where they are.
        enough: reads in a tier after which a memory may deserve the next one.
        important: importance above which one read is enough.
    """

    def __init__(self, database: Database, enough: int, important: float) -> None:
        self._database = database
        self._enough = enough
        self._important = important

    async def count(self, accesses: Iterable[tuple[UUID, int, datetime]]) -> None:
        """Adds (id, reads, time of the last) to the counters, all or none.

        Raises:
            ApiError: 503 if the database is away.
        """
        # In order of id, so that two processes cannot lock each other's rows crosswise.
        ids, reads, times = zip(*sorted(accesses), strict=True)
        await self._database.fetch(_COUNT, ids, reads, times, self._enough, self._important)
