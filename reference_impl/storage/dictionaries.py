"""Compression dictionaries: added, never changed, since what was packed with one can be read with no other."""

from __future__ import annotations

from typing import Final, cast

from reference_impl.storage.database import Database

_NEWEST: Final = "SELECT id, content FROM compression_dictionaries WHERE id > $1 ORDER BY id DESC LIMIT 1"
_CONTENT: Final = "SELECT content FROM compression_dictionaries WHERE id = $1"
_ADD: Final = "INSERT INTO compression_dictionaries (content, samples, memories) VALUES ($1, $2, $3) RETURNING id"


class Dictionaries:
    """The table of dictionaries.

    Args:
        database: where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newer_than(self, known: int) -> tuple[int, bytes] | None:
        """Id and content of the newest dictionary, if its id is above `known`."""
        rows = await self._database.fetch(_NEWEST, known)
        return (rows[0][0], rows[0][1]) if rows else None

    async def content(self, dictionary_id: int | None) -> bytes | None:
        """A dictionary's content, or None where there is no such dictionary."""
        rows = await self._database.fetch(_CONTENT, dictionary_id)
        return cast("bytes", rows[0][0]) if rows else None

    async def add(self, content: bytes, samples: int, memories: int) -> int:
        """Stores a dictionary; gives its id.

        Args:
            content: as trained.
            samples: number of texts that it was trained on.
            memories: number of cold memories that these stood for.
        """
        return cast("int", (await self._database.fetch(_ADD, content, samples, memories))[0][0])
