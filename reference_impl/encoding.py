"""Memories to JSON. The access counters come last, so that all before them can be encoded once and kept."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from reference_impl.models import TIERS, MemoryFields
from reference_impl.storage.records import StoredMemory

_ENCODER: Final = msgspec.json.Encoder()


def head(memory: StoredMemory) -> bytes:
    """JSON of a memory up to its counters, without the closing brace; no metadata where it was not read."""
    return _ENCODER.encode(
        MemoryFields(
            id=memory.id,
            content=memory.content,
            content_hash=memory.content_hash.hex(),
            tier=TIERS[memory.tier],
            status="active",
            importance_score=memory.importance_score,
            metadata=msgspec.UNSET if memory.metadata is None else msgspec.Raw(memory.metadata.encode()),
            parent_id=memory.parent_id,
            created_at=memory.created_at,
            updated_at=memory.updated_at,
            expires_at=memory.expires_at,
        )
    )[:-1]


def counters(count: int, last: datetime | None) -> bytes:
    """The counters as they follow a `head`, without the closing brace."""
    moment = b"null" if last is None else _ENCODER.encode(last)
    return b',"access_count":%d,"last_accessed_at":%s' % (count, moment)
