"""Statements that change one memory: find it, lock it, write it, delete it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

import asyncpg

from reference_impl.packing import Packer
from reference_impl.storage.changes import NOTIFY
from reference_impl.storage.database import Database
from reference_impl.storage.records import StoredMemory
from reference_impl.storage.rows import ACCESS, FIELDS, LIVE, memories_from

# A memory that was merged into another is that one now.
_ID: Final = """(
    WITH RECURSIVE chain AS (
        SELECT id, merged_into FROM memories WHERE id = $1
        UNION ALL SELECT n.id, n.merged_into FROM chain c JOIN memories n ON n.id = c.merged_into
    ) SELECT id FROM chain WHERE merged_into IS NULL)"""

_READ: Final = f"SELECT {FIELDS}, m.own_embedding, m.code FROM memories m {ACCESS} WHERE m.id = {_ID} AND {LIVE}"
_FIND: Final = f"SELECT m.id FROM memories m WHERE m.id = {_ID} AND {LIVE}"

# Not FOR UPDATE: creates that name this memory as their parent need not wait.
_LOCK: Final = f"""
SELECT m.content_hash, m.tier::text, m.own_embedding, m.code FROM memories m WHERE m.id = $1 AND {LIVE}
FOR NO KEY UPDATE"""

_TWIN: Final = """
SELECT id, expires_at <= now() AS expired FROM memories
WHERE content_hash = $1 AND tier = $2::memory_tier AND status = 'active' AND id <> $3"""

# The clock and not now(): a transaction that waited for the lock began before the one that it waited for.
_DELETE: Final = f"UPDATE memories m SET status = 'deleted', updated_at = clock_timestamp() WHERE m.id = $1 AND {LIVE}"
_RETIRE: Final = """
UPDATE memories SET status = 'deleted', updated_at = clock_timestamp()
WHERE id = $1 AND status = 'active' AND expires_at <= now()"""

_KEEP_VECTOR: Final = """
INSERT INTO memory_vectors (id, embedding) VALUES ($1, $2)
ON CONFLICT (id) DO UPDATE SET embedding = excluded.embedding"""
_DROP_VECTOR: Final = "DELETE FROM memory_vectors WHERE id = $1"

_NOTE_MOVE: Final = """
INSERT INTO tier_moves (memory_id, from_tier, to_tier, reason)
VALUES ($1, $2::memory_tier, $3::memory_tier, 'request')"""

_COUNT_SO_FAR: Final = "coalesce((SELECT access_count FROM memory_access a WHERE a.id = m.id), 0)"
_RETURNED: Final = ("importance_score", "metadata", "parent_id", "created_at", "updated_at", "expires_at")


class Row(NamedTuple):
    """A live memory, with what only an update needs to know of it. `code`: its sign bits."""

    memory: StoredMemory
    own_embedding: bool
    code: asyncpg.BitString

    @property
    def decisive(self) -> tuple[object, ...]:
        """What an update is planned by, besides what it sets."""
        return self.memory.content_hash, self.memory.tier, self.own_embedding, self.code


class UpdateStatements:
    """Changes of single memories. What takes a connection is for within a transaction on it.

    Args:
        database: where they are.
        dimension: length of the embeddings.
        packer: of cold content.
    """

    def __init__(self, database: Database, dimension: int, packer: Packer) -> None:
        self._database = database
        self._packer = packer
        self._casts = {
            "metadata": "${}::jsonb",
            "tier": "${}::memory_tier",
            "code": f"binary_quantize(${{}}::halfvec)::bit({dimension})",
        }

    async def read(self, memory_id: UUID) -> Row | None:
        """The live memory with this id, or the one that it was merged into; None without."""
        rows = await self._database.fetch(_READ, memory_id)
        if not rows:
            return None
        (memory,) = await memories_from(rows, self._packer)
        return Row(memory, rows[0]["own_embedding"], rows[0]["code"])

    async def find(self, memory_id: UUID) -> UUID | None:
        """The id of what `read` would give."""
        rows = await self._database.fetch(_FIND, memory_id)
        return rows[0]["id"] if rows else None

    async def lock(self, connection: asyncpg.Connection, row: Row) -> bool:
        """Locks a memory; whether it is live and still what an update was planned by."""
        found = await connection.fetchrow(_LOCK, row.memory.id)
        return found is not None and tuple(found) == row.decisive

    async def twin(self, connection: asyncpg.Connection, memory_id: UUID, digest: bytes, tier: str) -> UUID | None:
        """Another live memory with this content in this tier; an expired one is retired on the way."""
        found = await connection.fetchrow(_TWIN, digest, tier, memory_id)
        if found is None:
            return None
        if found["expired"]:
            await connection.execute(_RETIRE, found["id"])
            return None
        return cast("UUID", found["id"])

    async def write(
        self, connection: asyncpg.Connection, memory_id: UUID, columns: Mapping[str, object]
    ) -> Mapping[str, Any]:
        """Sets columns; gives back the fields of `StoredMemory` that were read anew.

        Args:
            connection: where the memory is locked.
            memory_id: whose.
            columns: by name. `code` is given as the halfvec to take it from.

        Raises:
            asyncpg.UniqueViolationError: if there is a twin by now.
            asyncpg.ForeignKeyViolationError: if there is no such parent.
        """
        assignments = ["updated_at = clock_timestamp()"]
        for number, name in enumerate(columns, 2):
            assignments.append(f"{name} = {self._casts.get(name, '${}').format(number)}")
        if "tier" in columns:
            assignments += ["tier_since = clock_timestamp()", f"tier_accesses = {_COUNT_SO_FAR}"]
        sql = f"UPDATE memories m SET {', '.join(assignments)} WHERE id = $1 RETURNING {', '.join(_RETURNED)}"
        return dict(await connection.fetchrow(sql, memory_id, *columns.values()))

    async def keep_vector(self, connection: asyncpg.Connection, memory_id: UUID, vector: bytes | None) -> None:
        """Sets the vector of a memory, a halfvec, or drops it."""
        if vector is None:
            await connection.execute(_DROP_VECTOR, memory_id)
        else:
            await connection.execute(_KEEP_VECTOR, memory_id, vector)

    async def note_move(self, connection: asyncpg.Connection, memory_id: UUID, before: str, after: str) -> None:
        """Writes a move between tiers into their history."""
        await connection.execute(_NOTE_MOVE, memory_id, before, after)

    async def delete(self, connection: asyncpg.Connection, memory_id: UUID) -> bool:
        """Deletes a memory softly; whether it was live."""
        return str(await connection.execute(_DELETE, memory_id)) == "UPDATE 1"

    async def notify(self, connection: asyncpg.Connection, payloads: list[str]) -> None:
        """Tells other processes, once the transaction commits."""
        await connection.execute(NOTIFY, payloads)
