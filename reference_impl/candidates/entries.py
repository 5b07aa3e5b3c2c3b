"""What the index holds of one memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt

from reference_impl.embedding import Vector
from reference_impl.storage.records import NewMemory

# What is not above it is rounded to 0 in half precision.
_HALF_OF_LEAST_HALF: Final = 2.0**-25


class Entry(NamedTuple):
    """One memory: `code` packs its sign bits as PostgreSQL does, `terms` is its sparsevec, `metadata` JSON text."""

    id: UUID
    code: bytes
    terms: bytes
    metadata: str
    tier: str
    importance: float
    created_at: datetime
    expires_at: datetime | None


def signs(vectors: Vector) -> npt.NDArray[np.uint8]:
    """The packed sign bits of vectors, along the last axis, as PostgreSQL has them: of halves."""
    return np.packbits(vectors > _HALF_OF_LEAST_HALF, axis=-1)


def entries_of(stored: Sequence[NewMemory]) -> list[Entry]:
    """What the index is to hold of memories that were just stored, with their embeddings and terms."""
    if not stored:
        return []
    codes = signs(np.stack([new.embedding for new in stored if new.embedding is not None]))
    return [
        Entry(
            new.id,
            code.tobytes(),
            new.terms,
            new.metadata,
            new.tier.column,
            new.importance_score,
            new.created_at,
            new.expires_at,
        )
        for new, code in zip(stored, codes, strict=True)
    ]
