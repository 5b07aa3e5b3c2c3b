"""Content that changes its form with the tier: packed on the way to cold, unpacked and embedded on the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from reference_impl.embedding import Embedder
from reference_impl.models import Tier
from reference_impl.packing import Packer, UnpackError
from reference_impl.storage.database import to_halfvec
from reference_impl.storage.packed import PackedContents
from reference_impl.storage.tier_moves import Content, Move, Outcome, TierMoves
from reference_impl.storage.tiers import Due

_LOG = structlog.get_logger()
# Rows are locked while all indexes are written: for some tenths of a second at most. Texts are held in memory.
_ROWS: Final = 200
_BYTES: Final = 8 << 20


class TierMover:
    """Moves memories that are due, in transactions of bounded size.

    Args:
        moves: the transactions of moves.
        contents: the transactions of packing anew.
        embedder: for texts that come back from the cold tier.
        packer: of cold content.
        batch: memories in a transaction at most.
    """

    def __init__(
        self, moves: TierMoves, contents: PackedContents, embedder: Embedder, packer: Packer, batch: int
    ) -> None:
        self._moves = moves
        self._contents = contents
        self._embedder = embedder
        self._packer = packer
        self._rows = min(batch, _ROWS)
        self.batches = 0

    async def move(self, due: Sequence[Due], source: Tier, target: Tier, now: datetime) -> Outcome:
        """Moves memories; those that have changed meanwhile or are in use stay.

        Args:
            due: memories of the source tier.
            source: where they are.
            target: where they go.
            now: the time to note.

        Raises:
            ApiError: 503 if a dictionary has to be fetched and the database is away.
            asyncpg.PostgresError: if the database fails; what has been committed by then stays.
        """
        outcome = Outcome(0, 0)
        for chunk in self._chunks(due):
            prepared = await self._prepared(chunk, source, target)
            if prepared:
                outcome = outcome.plus(await self._moves.apply(prepared, source, target, now))
                self.batches += 1
        if due:
            await self._moves.tidy()
        return outcome

    async def repack(self, due: Sequence[Due]) -> int:
        """Packs cold contents with the newest dictionary; gives the number of memories. Errors as for `move`."""
        count = 0
        for chunk in self._chunks(due):
            texts = await self._texts(await self._moves.contents([item.id for item in chunk], Tier.COLD))
            if texts:
                count += await self._contents.replace(await self._packed(texts, {}))
                self.batches += 1
        return count

    def _chunks(self, due: Iterable[Due]) -> Iterator[list[Due]]:
        chunk: list[Due] = []
        size = 0
        for item in due:
            if chunk and (len(chunk) == self._rows or size + item.size > _BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append(item)
            size += item.size
        if chunk:
            yield chunk

    async def _prepared(self, chunk: Sequence[Due], source: Tier, target: Tier) -> list[Move]:
        if Tier.COLD not in {source, target}:
            return [Move(item.id, item.content_hash, item.reason) for item in chunk]
        reasons = {item.id: item.reason for item in chunk}
        texts = await self._texts(await self._moves.contents([item.id for item in chunk], source))
        if target is Tier.COLD:
            return await self._packed(texts, reasons)
        # What a caller had given cannot be made again: searches make do with its sign bits.
        to_embed = [text for row, text in texts if not row.own_embedding]
        embedded = iter(to_halfvec(await asyncio.to_thread(self._embedder.embed, to_embed)) if to_embed else ())
        return [
            Move(
                row.id,
                row.content_hash,
                reasons[row.id],
                content=text,
                embedding=None if row.own_embedding else next(embedded),
            )
            for row, text in texts
        ]

    async def _packed(self, texts: Sequence[tuple[Content, str]], reasons: dict[UUID, str]) -> list[Move]:
        packed = await asyncio.to_thread(self._packer.pack_many, [text for _, text in texts])
        return [
            Move(row.id, row.content_hash, reasons.get(row.id, ""), packed=new)
            for (row, _), new in zip(texts, packed, strict=True)
        ]

    async def _texts(self, rows: Iterable[Content]) -> list[tuple[Content, str]]:
        """The texts of contents, but for those that cannot be read: they must not hold up the others."""
        found = []
        for row in rows:
            try:
                text = row.content if row.packed is None else await self._packer.unpack(row.packed, row.dictionary_id)
            except UnpackError as error:
                _LOG.error("content_damaged", id=str(row.id), error=str(error))
                continue
            found.append((row, text or ""))
        return found
