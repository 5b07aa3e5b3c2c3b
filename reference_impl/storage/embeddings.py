"""Embeddings of stored memories: as they were kept, or as they can be had again."""

from __future__ import annotations

import asyncio
from typing import Final, cast
from uuid import UUID

import numpy as np

from reference_impl.embedding import Embedder, Vector
from reference_impl.packing import Packer
from reference_impl.storage.database import Database, from_halfvec

_KEPT: Final = "SELECT embedding FROM memory_vectors WHERE id = $1"
_SOURCE: Final = "SELECT own_embedding, code, content, packed, dictionary_id FROM memories WHERE id = $1"


class Embeddings:
    """Embeddings by memory.

    Args:
        database: where they are.
        embedder: for those that can be made again from the text.
        packer: of cold content.
    """

    def __init__(self, database: Database, embedder: Embedder, packer: Packer) -> None:
        self._database = database
        self._embedder = embedder
        self._packer = packer

    async def read(self, memory_id: UUID) -> list[float] | None:
        """The embedding of a memory; None if the memory has just gone.

        Kept at half precision. A cold memory's is made again from its text; what a caller gave for one is left as
        sign bits, so this is the vector of length 1 that they stand for.
        """
        kept = await self._database.fetch(_KEPT, memory_id)
        if kept:
            return from_halfvec(kept[0][0])
        found = await self._database.fetch(_SOURCE, memory_id)
        if not found:
            return None
        own, code, content, packed, dictionary_id = found[0]
        if own:
            return cast("list[float]", signs(code.bytes, self._embedder.dimension).tolist())
        if packed is not None:
            content = await self._packer.unpack(packed, dictionary_id)
        vectors = await asyncio.to_thread(self._embedder.embed, [content])
        return cast("list[float]", vectors[0].tolist())


def signs(code: bytes, dimension: int) -> Vector:
    """The unit vector with these signs: one bit per dimension, set where positive."""
    bits = np.unpackbits(np.frombuffer(code, dtype=np.uint8), count=dimension).astype(np.float32)
    return cast("Vector", (2 * bits - 1) / np.float32(np.sqrt(dimension)))
