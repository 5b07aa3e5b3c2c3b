"""From rows of SQL to memories: what to select, and how cold content gets its text back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from reference_impl.packing import Packer
from reference_impl.storage.records import StoredMemory

LIVE: Final = "m.status = 'active' AND (m.expires_at IS NULL OR m.expires_at > now())"
# In the order of StoredMemory, then what `content` may have to be unpacked from.
FIELDS: Final = (
    "m.id, m.content, m.content_hash, m.tier::text, m.importance_score, m.metadata, m.parent_id, m.created_at,"
    " m.updated_at, m.expires_at, coalesce(a.access_count, 0) AS access_count, a.last_accessed_at,"
    " m.packed, m.dictionary_id"
)
ACCESS: Final = "LEFT JOIN memory_access a ON a.id = m.id"
_SIZE: Final = len(StoredMemory._fields)


async def memories_from(rows: Iterable[Any], packer: Packer) -> list[StoredMemory]:
    """Memories from rows that begin with `FIELDS`.

    Raises:
        ApiError: 503 if a dictionary has to be fetched and the database is away.
    """
    found = []
    for row in rows:
        memory = StoredMemory(*row[:_SIZE])
        packed = row[_SIZE]
        if packed is not None:
            memory = memory._replace(content=await packer.unpack(packed, row[_SIZE + 1]))
        found.append(memory)
    return found
