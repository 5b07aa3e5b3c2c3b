"""What nobody can see any more is cleared away: expired, deleted long ago, history past its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from reference_impl.storage.changes import NOTIFY, payloads

_REPARENT: Final = """
UPDATE memories c SET parent_id = s.id FROM memories d LEFT JOIN memories s ON s.id = d.merged_into
WHERE d.id = ANY($1::uuid[]) AND c.parent_id = d.id AND NOT c.id = ANY($1::uuid[]) RETURNING c.id"""
_DELETE: Final = """
WITH vectors AS (DELETE FROM memory_vectors WHERE id = ANY($1::uuid[])),
     counts AS (DELETE FROM memory_access WHERE id = ANY($1::uuid[])),
     candidates AS (DELETE FROM tier_candidates WHERE id = ANY($1::uuid[]))
DELETE FROM memories WHERE id = ANY($1::uuid[])"""


# ARRAY: a join with as many rows as a batch has could make the planner read the whole table instead.
def _expire(batch: int) -> str:
    return f"""
UPDATE memories SET status = 'deleted', updated_at = $1
WHERE id = ANY(ARRAY(SELECT id FROM memories WHERE expires_at <= $1 AND status = 'active'
                     ORDER BY expires_at LIMIT {batch} FOR NO KEY UPDATE SKIP LOCKED))
RETURNING id"""


def _doomed(batch: int) -> str:
    return f"""
SELECT id FROM memories WHERE status = 'deleted' AND updated_at <= $1 ORDER BY updated_at
LIMIT {batch} FOR UPDATE SKIP LOCKED"""


def _forget(batch: int) -> str:
    return f"""
DELETE FROM tier_moves WHERE number = ANY(ARRAY(
    SELECT number FROM tier_moves WHERE moved_at <= $1 ORDER BY moved_at LIMIT {batch}))"""


class Clearing:
    """Clears away, over one connection; each call is one transaction of a batch of rows at most.

    Args:
        connection: not in a transaction.
        batch: rows.
        origin: name of this process.
        changed: told the ids of memories that have changed, once that is committed.
    """

    def __init__(
        self, connection: asyncpg.Connection, batch: int, origin: str, changed: Callable[[Sequence[UUID]], None]
    ) -> None:
        self._connection = connection
        self._expire, self._doomed, self._forget = _expire(batch), _doomed(batch), _forget(batch)
        self._origin = origin
        self._changed = changed

    async def expire(self, now: datetime) -> int:
        """Deletes, softly, what has expired by now; gives the number of memories."""
        async with self._connection.transaction():
            expired = [row[0] for row in await self._connection.fetch(self._expire, now)]
            await self._tell(expired)
        if expired:
            self._changed(expired)
        return len(expired)

    async def purge(self, deleted_by: datetime) -> int:
        """Deletes for good what was deleted by then, with all that hangs on it; gives the number of memories.

        Children that came to a memory after it was merged go to the one that it was merged into.
        """
        async with self._connection.transaction():
            doomed = [row[0] for row in await self._connection.fetch(self._doomed, deleted_by)]
            orphans = [row[0] for row in await self._connection.fetch(_REPARENT, doomed)]
            await self._connection.execute(_DELETE, doomed)
            await self._tell(orphans)
        if orphans:
            self._changed(orphans)
        return len(doomed)

    async def forget_moves(self, moved_by: datetime) -> int:
        """Deletes the history of moves up to then; gives the number of moves."""
        return int((await self._connection.execute(self._forget, moved_by)).split()[-1])

    async def _tell(self, ids: Sequence[UUID]) -> None:
        if ids:
            await self._connection.execute(NOTIFY, payloads(self._origin, ids))
