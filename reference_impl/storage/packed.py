"""Packed content as such: samples of it, and what a newer dictionary would pack better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast
from uuid import UUID

import asyncpg

from reference_impl.packing import Packed
from reference_impl.storage.tier_moves import Move
from reference_impl.storage.tiers import SIZE, Due

_COUNT: Final = "SELECT count(*) FROM memories WHERE tier = 'cold' AND status = 'active'"
_TRAINED_ON: Final = "SELECT memories FROM compression_dictionaries ORDER BY id DESC LIMIT 1"

# Texts beyond this length would hardly gain by a dictionary, and do not have to be read for one.
_SAMPLE_BYTES: Final = 8_192


def _samples(count: int) -> str:
    # Hashes are as good as random: the first of them are a fair sample.
    return f"""
SELECT packed, dictionary_id FROM memories
WHERE tier = 'cold' AND status = 'active' AND octet_length(packed) <= {_SAMPLE_BYTES}
ORDER BY content_hash LIMIT {count}"""


def _outdated(batch: int, condition: str) -> str:
    """$1: id to go on after; $2: dictionary, in the condition."""
    return f"""
SELECT m.id, m.content_hash, {SIZE} FROM memories m
WHERE m.packed IS NOT NULL AND m.status = 'active' AND {condition} AND m.id > $1 ORDER BY m.id LIMIT {batch}"""


_DICTIONARIES_BEFORE: Final = "SELECT id FROM compression_dictionaries WHERE id < $1 ORDER BY id"

_REPLACE: Final = """
WITH given AS MATERIALIZED (
    SELECT m.id, u.packed, u.dictionary_id
    FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::integer[]) AS u (id, content_hash, packed, dictionary_id)
    JOIN memories m ON m.id = u.id
    WHERE m.content_hash = u.content_hash AND m.packed IS NOT NULL AND m.status = 'active'
    ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED
), replaced AS (
    UPDATE memories m SET packed = g.packed, dictionary_id = g.dictionary_id FROM given g WHERE m.id = g.id RETURNING 1
)
SELECT count(*) FROM replaced"""


class PackedContents:
    """Packed contents, over one connection.

    Args:
        connection: not in a transaction.
        batch: rows of a page.
    """

    def __init__(self, connection: asyncpg.Connection, batch: int) -> None:
        self._connection = connection
        self._without = _outdated(batch, "m.dictionary_id IS NULL")
        self._with = _outdated(batch, "m.dictionary_id = $2")

    async def count(self) -> int:
        """Number of cold memories."""
        return cast("int", await self._connection.fetchval(_COUNT))

    async def trained_on(self) -> int | None:
        """Number of cold memories when the newest dictionary was trained; None if there is none."""
        return cast("int | None", await self._connection.fetchval(_TRAINED_ON))

    async def samples(self, count: int) -> list[Packed]:
        """A fair sample of cold contents that are not long."""
        return [Packed(*row) for row in await self._connection.fetch(_samples(count))]

    async def dictionaries_before(self, newest: int) -> list[int | None]:
        """What contents may be packed with instead of the newest dictionary; None stands for none."""
        return [None, *(row[0] for row in await self._connection.fetch(_DICTIONARIES_BEFORE, newest))]

    async def outdated(self, dictionary_id: int | None, after: UUID) -> list[Due]:
        """The next page of what is packed with this dictionary, or without one; by id."""
        values = () if dictionary_id is None else (dictionary_id,)
        statement = self._without if dictionary_id is None else self._with
        rows = await self._connection.fetch(statement, after, *values)
        return [Due(row[0], row[1], row[2], "") for row in rows]

    async def replace(self, moves: Sequence[Move]) -> int:
        """Stores the same texts packed anew, but for rows that have changed or are in use; gives the number stored."""
        packed = [move.packed for move in moves if move.packed is not None]
        return cast(
            "int",
            await self._connection.fetchval(
                _REPLACE,
                [move.id for move in moves],
                [move.content_hash for move in moves],
                [new.data for new in packed],
                [new.dictionary_id for new in packed],
            ),
        )
