"""A move of memories from one tier to another: one transaction that holds beside creates, updates and deletes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from reference_impl.models import Tier
from reference_impl.packing import Packed
from reference_impl.storage.changes import NOTIFY, payloads
from reference_impl.storage.tier_merges import Merge, merge

# Who waits for a lock that a create holds, while that create waits for ours, has to give in first: PostgreSQL would
# end either of the two, after deadlock_timeout (1 s).
_GIVE_IN: Final = "SET LOCAL lock_timeout = '300ms'"
_ATTEMPTS: Final = 3
_CONFLICTS: Final = (asyncpg.UniqueViolationError, asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)

_CONTENTS: Final = """
SELECT id, content_hash, content, packed, dictionary_id, own_embedding FROM memories
WHERE id = ANY($1::uuid[]) AND tier = $2::memory_tier AND status = 'active'"""

# What was read and prepared beforehand must still be so. Rows in use are left for the next time. Not FOR UPDATE: that
# would keep out creates that name the memory as their parent.
_LOCK: Final = """
SELECT m.id FROM unnest($1::uuid[], $2::bytea[]) AS u (id, content_hash) JOIN memories m ON m.id = u.id
WHERE m.content_hash = u.content_hash AND m.tier = $3::memory_tier AND m.status = 'active'
  AND (m.expires_at IS NULL OR m.expires_at > $4)
ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED"""

# A memory must not become one with a twin that has expired: both would be gone.
_RETIRE_TWINS: Final = """
UPDATE memories SET status = 'deleted', updated_at = $3
WHERE content_hash = ANY($1::bytea[]) AND tier = $2::memory_tier AND status = 'active' AND expires_at <= $3
RETURNING id"""

_LOCK_TWINS: Final = """
SELECT content_hash, id FROM memories
WHERE content_hash = ANY($1::bytea[]) AND tier = $2::memory_tier AND status = 'active'
ORDER BY content_hash FOR NO KEY UPDATE"""

# A move is nobody's edit: updated_at stays.
_TIER: Final = "tier = $2::memory_tier, tier_since = $3, tier_accesses = coalesce(a.access_count, 0)"
_RELABEL: Final = f"""
UPDATE memories m SET {_TIER} FROM unnest($1::uuid[]) AS u (id) LEFT JOIN memory_access a ON a.id = u.id
WHERE m.id = u.id"""
_ARCHIVE: Final = f"""
WITH gone AS (DELETE FROM memory_vectors WHERE id = ANY($1::uuid[]))
UPDATE memories m SET {_TIER}, content = NULL, packed = u.packed, dictionary_id = u.dictionary_id
FROM unnest($1::uuid[], $4::bytea[], $5::integer[]) AS u (id, packed, dictionary_id)
LEFT JOIN memory_access a ON a.id = u.id
WHERE m.id = u.id"""
_RESTORE: Final = f"""
WITH back AS (
    INSERT INTO memory_vectors (id, embedding)
    SELECT u.id, u.embedding FROM unnest($1::uuid[], $5::halfvec[]) AS u (id, embedding) WHERE u.embedding IS NOT NULL
    ON CONFLICT (id) DO NOTHING
)
UPDATE memories m SET {_TIER}, content = u.content, packed = NULL, dictionary_id = NULL
FROM unnest($1::uuid[], $4::text[]) AS u (id, content) LEFT JOIN memory_access a ON a.id = u.id
WHERE m.id = u.id"""

_RECORD: Final = """
INSERT INTO tier_moves (memory_id, from_tier, to_tier, reason, merged_into, moved_at)
SELECT u.id, $2::memory_tier, $3::memory_tier, u.reason, u.survivor, $4
FROM unnest($1::uuid[], $5::text[], $6::uuid[]) AS u (id, reason, survivor)"""

_NO_CANDIDATES: Final = "DELETE FROM tier_candidates WHERE id = ANY($1::uuid[])"

# The index lists what is new before it sorts it in, and every search reads that list.
_TIDY: Final = "SELECT gin_clean_pending_list('memories_keys')"


class Content(NamedTuple):
    """What a memory says, in either form."""

    id: UUID
    content_hash: bytes
    content: str | None
    packed: bytes | None
    dictionary_id: int | None
    own_embedding: bool


class Move(NamedTuple):
    """One memory to move, as it was when the move was prepared.

    `packed` is needed on the way to the cold tier; `content` on the way back, with `embedding` as a binary halfvec
    unless the caller of the create had given one, which is lost.
    """

    id: UUID
    content_hash: bytes
    reason: str
    packed: Packed | None = None
    content: str | None = None
    embedding: bytes | None = None


class Outcome(NamedTuple):
    """How many memories changed their tier, and how many became one with a twin there."""

    moved: int
    merged: int

    def plus(self, other: Outcome) -> Outcome:
        """Both together."""
        return Outcome(self.moved + other.moved, self.merged + other.merged)


class TierMoves:
    """Moves memories, over one connection.

    Args:
        connection: not in a transaction.
        origin: name of this process.
        changed: told the ids of memories that have changed, once that is committed.
    """

    def __init__(self, connection: asyncpg.Connection, origin: str, changed: Callable[[Sequence[UUID]], None]) -> None:
        self._connection = connection
        self._origin = origin
        self._changed = changed

    async def contents(self, ids: Sequence[UUID], tier: Tier) -> list[Content]:
        """What those of the memories say that are in this tier."""
        return [Content(*row) for row in await self._connection.fetch(_CONTENTS, ids, tier.column)]

    async def apply(self, moves: Sequence[Move], source: Tier, target: Tier, now: datetime) -> Outcome:
        """Moves memories in one transaction; where that conflicts with others' work, in one for each memory.

        Left where they are: memories that have changed since the move was prepared or are being changed now, and
        those that three attempts could not move.

        Raises:
            asyncpg.PostgresError: if the database fails; then what this call had in hand is as it was.
        """
        try:
            return await self._attempt(moves, source, target, now)
        except _CONFLICTS:
            outcome = Outcome(0, 0)
            for move in moves:
                outcome = outcome.plus(await self._alone(move, source, target, now))
            return outcome

    async def tidy(self) -> None:
        """Sorts what has been moved into the search indexes."""
        await self._connection.execute(_TIDY)

    async def _alone(self, move: Move, source: Tier, target: Tier, now: datetime) -> Outcome:
        for _ in range(_ATTEMPTS):
            try:
                return await self._attempt([move], source, target, now)
            except _CONFLICTS:
                continue
        return Outcome(0, 0)

    async def _attempt(self, moves: Sequence[Move], source: Tier, target: Tier, now: datetime) -> Outcome:
        connection = self._connection
        async with connection.transaction():
            await connection.execute(_GIVE_IN)
            asked = [move.id for move in moves], [move.content_hash for move in moves]
            locked = {row[0] for row in await connection.fetch(_LOCK, *asked, source.column, now)}
            moves = [move for move in moves if move.id in locked]
            if not moves:
                return Outcome(0, 0)
            hashes = [move.content_hash for move in moves]
            changed = [row[0] for row in await connection.fetch(_RETIRE_TWINS, hashes, target.column, now)]
            twins = dict(await connection.fetch(_LOCK_TWINS, hashes, target.column))
            alone = [move for move in moves if move.content_hash not in twins]
            merges = [Merge(move.id, twins[move.content_hash]) for move in moves if move.content_hash in twins]
            if merges:
                changed += await merge(connection, merges, now)
            if alone:
                await self._move(alone, source, target, now)
            survivors = [twins.get(move.content_hash) for move in moves]
            ids, reasons = [move.id for move in moves], [move.reason for move in moves]
            await connection.execute(_RECORD, ids, source.column, target.column, now, reasons, survivors)
            await connection.execute(_NO_CANDIDATES, ids)
            changed += ids
            await connection.execute(NOTIFY, payloads(self._origin, changed))
        self._changed(changed)
        return Outcome(len(alone), len(merges))

    async def _move(self, moves: Sequence[Move], source: Tier, target: Tier, now: datetime) -> None:
        common = [move.id for move in moves], target.column, now
        if target is Tier.COLD:
            packed = [move.packed.data if move.packed else None for move in moves]
            dictionaries = [move.packed.dictionary_id if move.packed else None for move in moves]
            await self._connection.execute(_ARCHIVE, *common, packed, dictionaries)
        elif source is Tier.COLD:
            contents, embeddings = [move.content for move in moves], [move.embedding for move in moves]
            await self._connection.execute(_RESTORE, *common, contents, embeddings)
        else:
            await self._connection.execute(_RELABEL, *common)
