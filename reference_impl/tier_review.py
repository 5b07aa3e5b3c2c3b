"""One review of the tiers: who moves up, who moves down, what is cleared away, what is packed anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from reference_impl.embedding import Embedder
from reference_impl.models import Tier
from reference_impl.packing import Packer
from reference_impl.storage.clearing import Clearing
from reference_impl.storage.packed import PackedContents
from reference_impl.storage.tier_moves import Outcome, TierMoves
from reference_impl.storage.tiers import BEGINNING, TierPages
from reference_impl.tier_models import MigrationStats, TierSettings
from reference_impl.tier_mover import TierMover

Moved = Callable[[Tier, Tier, int], None]

_ABOVE: Final = {Tier.COLD: Tier.WARM, Tier.WARM: Tier.WORKING}

# A dictionary for fewer would hardly be worth its own bytes; a tier that has grown this much deserves another.
_DICTIONARY_MEMORIES: Final = 500
_DICTIONARY_GROWTH: Final = 8
_SAMPLES: Final = 5_000
# Packing a large tier anew takes long; between the pages of one review and the next, others have their turn.
_REPACKED_PAGES: Final = 20


class TierReview:
    """A review, over one connection.

    Args:
        connection: not in a transaction.
        embedder: for texts that come back from the cold tier.
        packer: of cold content.
        settings: the rules.
        origin: name of this process.
        changed: told the ids of memories that have changed, once that is committed.
        moved: told how many memories went from one tier to another, those that met a twin included.
        now: the time that ages are counted to.
    """

    def __init__(
        self,
        connection: asyncpg.Connection,
        embedder: Embedder,
        packer: Packer,
        settings: TierSettings,
        origin: str,
        changed: Callable[[Sequence[UUID]], None],
        moved: Moved,
        now: datetime,
    ) -> None:
        self._packer = packer
        self._settings = settings
        self._moved = moved
        self._now = now
        self._pages = TierPages(connection, settings.batch)
        self._contents = PackedContents(connection, settings.batch)
        self._clearing = Clearing(connection, settings.batch, origin, changed)
        moves = TierMoves(connection, origin, changed)
        self._mover = TierMover(moves, self._contents, embedder, packer, settings.batch)
        self._stats = MigrationStats()
        self._settled = now - timedelta(days=settings.dwell_days)

    async def run(self) -> MigrationStats:
        """Reviews all tiers.

        Raises:
            ApiError: 503 if the database is away.
            asyncpg.PostgresError: if it fails; what has been committed by then stays, and the next review goes on.
        """
        stats, settings, now = self._stats, self._settings, self._now
        # First: what nobody can see any more need not be moved.
        stats.expired = await self._clear(self._clearing.expire, now)
        await self._promote()
        stats.demoted = await self._lower(Tier.WORKING, Tier.WARM, settings.working_to_warm_days)
        stats.archived = await self._lower(Tier.WARM, Tier.COLD, settings.warm_to_cold_days)
        stats.purged = await self._clear(self._clearing.purge, now - timedelta(days=settings.deleted_days))
        await self._clear(self._clearing.forget_moves, now - timedelta(days=settings.history_days))
        stats.repacked = await self._repack()
        stats.batches += self._mover.batches
        return stats

    async def _promote(self) -> None:
        settings = self._settings
        read_since = self._now - timedelta(days=settings.working_to_warm_days)
        # Whoever has not been read is no candidate, whatever the settings.
        wanted = read_since, self._settled, max(settings.min_accesses, 1), settings.importance
        after = BEGINNING[1]
        while (page := await self._pages.candidates(after, self._now, *wanted)) is not None:
            after = page.last
            await self._pages.dismiss(page.unworthy)
            for source, due in page.due.items():
                outcome = await self._mover.move(due, source, _ABOVE[source], self._now)
                self._stats.promoted += self._count(outcome, source, _ABOVE[source])

    async def _lower(self, source: Tier, target: Tier, idle_days: float) -> int:
        unread_since = self._now - timedelta(days=idle_days)
        lowered = 0
        after = BEGINNING
        while (page := await self._pages.idle(source, after, self._now, unread_since, self._settled)) is not None:
            after = page.last
            lowered += self._count(await self._mover.move(page.due, source, target, self._now), source, target)
        return lowered

    def _count(self, outcome: Outcome, source: Tier, target: Tier) -> int:
        self._stats.merged += outcome.merged
        if outcome.moved or outcome.merged:
            self._moved(source, target, outcome.moved + outcome.merged)
        return outcome.moved

    async def _clear(self, step: Callable[[datetime], Awaitable[int]], moment: datetime) -> int:
        cleared = 0
        while (count := await step(moment)) > 0:
            cleared += count
            self._stats.batches += 1
        return cleared

    async def _repack(self) -> int:
        await self._packer.refresh()
        memories = await self._contents.count()
        trained_on = await self._contents.trained_on()
        due = _DICTIONARY_MEMORIES if trained_on is None else _DICTIONARY_GROWTH * trained_on
        # What was in vain just now will be for a while.
        if memories >= max(due, 2 * self._packer.tried):
            packed = await self._contents.samples(_SAMPLES)
            samples = [await self._packer.unpack(*sample) for sample in packed]
            await self._packer.train(samples, memories)
        newest = self._packer.newest
        return 0 if newest is None else await self._repack_with(newest)

    async def _repack_with(self, newest: int) -> int:
        repacked = pages = 0
        for dictionary_id in await self._contents.dictionaries_before(newest):
            after = BEGINNING[1]
            while due := await self._contents.outdated(dictionary_id, after):
                after = due[-1].id
                repacked += await self._mover.repack(due)
                pages += 1
                if pages == _REPACKED_PAGES:
                    return repacked
        return repacked
