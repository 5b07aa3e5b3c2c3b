"""Rows of the table `memories`, on their way in and out."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from reference_impl.embedding import Vector
from reference_impl.models import Tier
from reference_impl.packing import Packed


class NewMemory(msgspec.Struct, frozen=True, eq=False):
    """A checked memory to insert. `metadata` is JSON text; without an `embedding` the writer makes one.

    The writer also fills in `terms`, see `words.terms_of`, and `packed` of a cold one.
    """

    id: UUID
    content: str
    content_hash: bytes
    tier: Tier
    importance_score: float
    metadata: str
    parent_id: UUID | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    embedding: Vector | None
    own_embedding: bool = False
    terms: bytes = b""
    packed: Packed | None = None

    @property
    def key(self) -> tuple[bytes, str]:
        """What makes a memory the same: its content within a tier."""
        return self.content_hash, self.tier.column


class StoredMemory(NamedTuple):
    """A memory as the database holds it, with the access counts flushed so far."""

    id: UUID
    content: str
    content_hash: bytes
    tier: str
    importance_score: float
    metadata: str | None
    parent_id: UUID | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    access_count: int
    last_accessed_at: datetime | None
