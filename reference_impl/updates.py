"""Changing and deleting memories, one at a time and each in one transaction."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from reference_impl.embedding import Embedder, Vector
from reference_impl.errors import contended, duplicate_content, invalid, memory_not_found
from reference_impl.models import Tier
from reference_impl.packing import Packer
from reference_impl.storage.changes import payloads
from reference_impl.storage.database import Database, to_halfvec
from reference_impl.storage.embeddings import signs
from reference_impl.storage.records import StoredMemory
from reference_impl.storage.updates import Row, UpdateStatements
from reference_impl.words import terms_of

# As many as may change one memory at the same time in one process; each round, one of them gets through.
_ATTEMPTS: Final = 30
# Embedding this many characters takes about a millisecond, which others can wait; more goes to a thread.
_INLINE_CHARACTERS: Final = 4_000
_COLD: Final = Tier.COLD.column
_PLAIN: Final = ("importance_score", "metadata", "parent_id", "expires_at")


class Change(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A checked change; what is UNSET stays. `metadata` is JSON text.

    Without an `embedding`, or where it stays but the content does not, one is made from the content.
    """

    content: str | UnsetType = UNSET
    tier: Tier | UnsetType = UNSET
    importance_score: float | UnsetType = UNSET
    metadata: str | UnsetType = UNSET
    parent_id: UUID | UnsetType | None = UNSET
    expires_at: datetime | UnsetType | None = UNSET
    embedding: Vector | UnsetType | None = UNSET


class _Plan(NamedTuple):
    """What an update writes: columns, and the vector if that changes (None in it: dropped)."""

    content: str
    content_hash: bytes
    tier: str
    columns: dict[str, object]
    vector: tuple[bytes | None, ...]


class Updates:
    """Changes and deletes memories.

    Args:
        database: where they are.
        embedder: for contents that come without an embedding.
        packer: of cold content.
        origin: name of this process, see `storage.changes`.
        changed: is told the ids of what has changed, after each commit.
    """

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        packer: Packer,
        origin: str,
        changed: Callable[[Iterable[UUID]], None],
    ) -> None:
        self._database = database
        self._statements = UpdateStatements(database, embedder.dimension, packer)
        self._embedder = embedder
        self._packer = packer
        self._origin = origin
        self._changed = changed

    async def update(self, memory_id: UUID, change: Change) -> StoredMemory:
        """Changes a memory, or the one that it was merged into; gives it back as it is now.

        Raises:
            ApiError: 404 if there is none, 409 if another has this content in this tier, 400 for a parent that
                does not exist, 503 if the database is away.
        """
        for _ in range(_ATTEMPTS):
            row = await self._statements.read(memory_id)
            if row is None:
                raise memory_not_found(memory_id)
            # Planned outside of the transaction: embedding and packing take their time, and locks should not.
            plan = await self._planned(row, change)
            try:
                stored = await self._store(row, plan, {memory_id, row.memory.id})
            except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
                continue
            except asyncpg.ForeignKeyViolationError:
                raise invalid("parent_id", f"no memory has the id {change.parent_id}") from None
            except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as error:
                raise invalid("body", f"the database cannot hold it: {error}") from None
            if stored is not None:
                self._changed({memory_id, stored.id})
                return stored
        raise contended(memory_id)

    async def delete(self, memory_id: UUID) -> None:
        """Deletes a memory, or the one that it was merged into.

        Raises:
            ApiError: 404 if there is none, 503 if the database is away.
        """
        # One that is merged at this very moment is gone, and found again as another.
        while (found := await self._statements.find(memory_id)) is not None:
            async with self._database.connection() as connection, connection.transaction():
                deleted = await self._statements.delete(connection, found)
                if deleted:
                    await self._statements.notify(connection, payloads(self._origin, {memory_id, found}))
            if deleted:
                self._changed({memory_id, found})
                return
        raise memory_not_found(memory_id)

    async def _planned(self, row: Row, change: Change) -> _Plan:
        if change.parent_id == row.memory.id:
            raise invalid("parent_id", "a memory cannot be its own parent")
        content = row.memory.content if change.content is UNSET else change.content
        if len(content) > _INLINE_CHARACTERS:
            return await asyncio.to_thread(self._plan, row, change, content)
        return self._plan(row, change, content)

    def _plan(self, row: Row, change: Change, content: str) -> _Plan:
        memory = row.memory
        digest = memory.content_hash if change.content is UNSET else hashlib.sha256(content.encode()).digest()
        tier = memory.tier if change.tier is UNSET else change.tier.column
        rewritten, moved = digest != memory.content_hash, tier != memory.tier
        vector = self._new_vector(row, change, content, rewritten)
        columns: dict[str, object] = {name: value for name in _PLAIN if (value := getattr(change, name)) is not UNSET}
        if rewritten:
            columns |= {"content_hash": digest, "terms": terms_of(content)}
        if rewritten or (moved and _COLD in {tier, memory.tier}):
            packed = self._packer.pack(content) if tier == _COLD else None
            columns |= {
                "content": content if packed is None else None,
                "packed": packed and packed.data,
                "dictionary_id": packed and packed.dictionary_id,
            }
        if vector is not None:
            columns |= {"code": vector, "own_embedding": isinstance(change.embedding, np.ndarray)}
        if rewritten or vector is not None:
            # The search indexes do not hold this yet; searches see to it until they do.
            columns["indexed"] = False
        if moved:
            columns["tier"] = tier
        return _Plan(content, digest, tier, columns, self._kept(row, tier, vector, content))

    def _new_vector(self, row: Row, change: Change, content: str, rewritten: bool) -> bytes | None:
        """The new embedding as a halfvec; None where the old one stays."""
        if isinstance(change.embedding, np.ndarray):
            return _halfvec(change.embedding)
        if rewritten or (change.embedding is None and row.own_embedding):
            return _halfvec(self._embedder.embed([content])[0])
        return None

    def _kept(self, row: Row, tier: str, vector: bytes | None, content: str) -> tuple[bytes | None, ...]:
        """What happens to the vector beside the row: nothing where empty."""
        was_cold = row.memory.tier == _COLD
        if tier == _COLD:
            return () if was_cold and vector is None else (None,)
        if vector is not None or not was_cold:
            return () if vector is None else (vector,)
        if row.own_embedding:
            # What the caller gave is lost but for its signs.
            return (_halfvec(signs(row.code.bytes, self._embedder.dimension)),)
        return (_halfvec(self._embedder.embed([content])[0]),)

    async def _store(self, row: Row, plan: _Plan, ids: set[UUID]) -> StoredMemory | None:
        """Writes a plan in one transaction; None if the memory is not what it was planned for any more."""
        statements, memory = self._statements, row.memory
        async with self._database.connection() as connection, connection.transaction():
            if not await statements.lock(connection, row):
                return None
            key = plan.content_hash, plan.tier
            if key != (memory.content_hash, memory.tier):
                twin = await statements.twin(connection, memory.id, *key)
                if twin is not None:
                    raise duplicate_content(twin)
            fields = await statements.write(connection, memory.id, plan.columns)
            for vector in plan.vector:
                await statements.keep_vector(connection, memory.id, vector)
            if plan.tier != memory.tier:
                await statements.note_move(connection, memory.id, memory.tier, plan.tier)
            await statements.notify(connection, payloads(self._origin, ids))
        return memory._replace(content=plan.content, content_hash=plan.content_hash, tier=plan.tier, **fields)


def _halfvec(vector: Vector) -> bytes:
    return to_halfvec(np.expand_dims(vector, 0))[0]
