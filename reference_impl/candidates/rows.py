"""Reading what the index of candidates holds of memories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from reference_impl.candidates.entries import Entry
from reference_impl.storage.database import Database

_FIELDS: Final = "id, code, terms, metadata, tier::text, importance_score, created_at, expires_at"
_PAGE: Final = f"SELECT {_FIELDS} FROM memories WHERE status = 'active' AND id > $1 ORDER BY id LIMIT $2"
_SOME: Final = f"SELECT {_FIELDS} FROM memories WHERE status = 'active' AND id = ANY($1::uuid[])"


class CandidateRows:
    """The table of memories, as the index of candidates needs it. Methods raise ApiError, 503 without the database.

    Args:
        database: where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, after: UUID, limit: int) -> list[Entry]:
        """The next memories in order of their ids."""
        return _entries(await self._database.fetch(_PAGE, after, limit))

    async def some(self, ids: Sequence[UUID]) -> list[Entry]:
        """Those of these memories that are there."""
        return _entries(await self._database.fetch(_SOME, ids))


def _entries(rows: list[Any]) -> list[Entry]:
    return [Entry(row[0], row[1].bytes, row[2] or b"", *row[3:]) for row in rows]
