"""Which memories deserve another tier: pages over indexes, each statement bounded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from reference_impl.models import TIERS, Tier

# What a text takes when it is unpacked, roughly, without reading it.
SIZE: Final = "coalesce(octet_length(m.content), 8 * octet_length(m.packed))"
_UNEXPIRED: Final = "(m.expires_at IS NULL OR m.expires_at > $1)"
# By key, row for row: for a page, the planner could think reading the whole table as cheap.
ACCESS: Final = "LEFT JOIN LATERAL (SELECT * FROM memory_access a WHERE a.id = m.id LIMIT 1) AS a ON true"

_DISMISS: Final = "DELETE FROM tier_candidates WHERE id = ANY($1::uuid[])"


def _candidates(batch: int) -> str:
    """$1 now, $2 id to go on after, $3 read since then at least, $4 in its tier since then, $5 reads, $6 importance."""
    return f"""
SELECT c.id, m.content_hash, {SIZE} AS size, m.tier::text AS tier,
       CASE WHEN a.last_accessed_at < $3 THEN NULL
            WHEN a.access_count - m.tier_accesses >= $5 THEN 'read'
            WHEN a.access_count > m.tier_accesses AND m.importance_score > $6 THEN 'important' END AS reason,
       m.tier_since <= $4 AS settled
FROM (SELECT id FROM tier_candidates WHERE id > $2 ORDER BY id LIMIT {batch}) AS c
LEFT JOIN LATERAL (SELECT * FROM memories m WHERE m.id = c.id AND m.status = 'active' AND m.tier <> 'working'
                   AND {_UNEXPIRED} LIMIT 1) AS m ON true
{ACCESS}
ORDER BY c.id"""


def _idle(tier: Tier, batch: int) -> str:
    """$1 now, ($2, $3) created_at and id to go on after, $4 unread since then, $5 in its tier since then."""
    # Literal: behind a parameter, neither tier nor LIMIT could tell the planner which index it wants.
    return f"""
SELECT p.id, p.content_hash, p.size, p.created_at,
       greatest(a.last_accessed_at, p.created_at, p.tier_since) <= $4 AND p.tier_since <= $5 AND p.unexpired AS idle
FROM (SELECT m.id, m.content_hash, {SIZE} AS size, m.created_at, m.tier_since, {_UNEXPIRED} AS unexpired
      FROM memories m
      WHERE m.tier = '{tier.column}' AND m.status = 'active' AND (m.created_at, m.id) > ($2, $3) AND m.created_at <= $4
      ORDER BY m.created_at, m.id LIMIT {batch}) AS p
{ACCESS.replace("m.id", "p.id")}
ORDER BY p.created_at, p.id"""


class Due(NamedTuple):
    """A memory that is to change its tier; `size` is what its text takes, roughly, in bytes."""

    id: UUID
    content_hash: bytes
    size: int
    reason: str


class Candidates(NamedTuple):
    """A page of candidates for a promotion.

    `due` by the tier they are in; `unworthy` are not to be looked at again until they are read; whoever is in neither
    deserves it, but has not been where it is for long enough. `last` is where the next page begins.
    """

    due: dict[Tier, list[Due]]
    unworthy: list[UUID]
    last: UUID


class Idle(NamedTuple):
    """A page of a tier, oldest first: who of it is idle, and where the next page begins."""

    due: list[Due]
    last: tuple[datetime, UUID]


BEGINNING: Final = (datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))


class TierPages:
    """Looks for memories that deserve another tier.

    Args:
        connection: to look over.
        batch: rows of a page.
    """

    def __init__(self, connection: asyncpg.Connection, batch: int) -> None:
        self._connection = connection
        self._candidates = _candidates(batch)
        self._idle = {tier: _idle(tier, batch) for tier in (Tier.WORKING, Tier.WARM)}

    async def candidates(
        self, after: UUID, now: datetime, read_since: datetime, settled: datetime, reads: int, importance: float
    ) -> Candidates | None:
        """The next page of memories that have been read below the working tier, or None.

        Args:
            after: id to go on after.
            now: for what has expired.
            read_since: a read before that is too long ago.
            settled: a memory has to be in its tier since then.
            reads: in its tier, that make it deserve the next.
            importance: above it one read is enough.
        """
        rows = await self._connection.fetch(self._candidates, now, after, read_since, settled, reads, importance)
        if not rows:
            return None
        due: dict[Tier, list[Due]] = {}
        for row in rows:
            if row["reason"] is not None and row["settled"]:
                due.setdefault(TIERS[row["tier"]], []).append(_due(row, row["reason"]))
        return Candidates(due, [row["id"] for row in rows if row["reason"] is None], rows[-1]["id"])

    async def dismiss(self, ids: Sequence[UUID]) -> None:
        """Takes memories off the list of candidates."""
        await self._connection.execute(_DISMISS, ids)

    async def idle(
        self, tier: Tier, after: tuple[datetime, UUID], now: datetime, unread_since: datetime, settled: datetime
    ) -> Idle | None:
        """The next page of a tier, or None.

        Args:
            tier: working or warm.
            after: where the last page ended.
            now: for what has expired.
            unread_since: who was created, moved or read after that is not idle.
            settled: a memory has to be in its tier since then.
        """
        rows = await self._connection.fetch(self._idle[tier], now, *after, unread_since, settled)
        if not rows:
            return None
        due = [_due(row, "idle") for row in rows if row["idle"]]
        return Idle(due, (rows[-1]["created_at"], rows[-1]["id"]))


def _due(row: asyncpg.Record, reason: str) -> Due:
    return Due(row["id"], row["content_hash"], row["size"], reason)
