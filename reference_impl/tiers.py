"""Tiers of memories: reviewed in the background and on demand, by one process at a time; analysed for whoever asks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
import structlog

from reference_impl.embedding import Embedder
from reference_impl.errors import ApiError, review_running
from reference_impl.models import Tier
from reference_impl.packing import Packer
from reference_impl.storage.database import Database
from reference_impl.storage.tier_statistics import TierStatistics, last_analysis, moves_since
from reference_impl.tier_models import Compression, MigrationStats, TierAnalysis, TierReport, TierSettings
from reference_impl.tier_review import Moved, TierReview

_LOG = structlog.get_logger()
# Any constants will do, so long as every version of the service takes the same locks.
_REVIEW_LOCK: Final = 0x74696572
_ANALYSIS_LOCK: Final = 0x74696573

_FRESH: Final = timedelta(seconds=60)
# An analysis walks through everything: it may take this part of the time, so it gets rarer as the store grows.
_SHARE: Final = 20
_PATIENCE_SECONDS: Final = 1.0


def _ignore_moved(_source: Tier, _target: Tier, _memories: int) -> None:
    pass


class TierManager:
    """Reviews and analyses tiers.

    Args:
        database: where they are. A review holds one connection of the pool from beginning to end.
        embedder: for texts that come back from the cold tier.
        packer: of cold content.
        settings: the rules.
        origin: name of this process, see `storage.changes`.
        changed: told the ids of memories that have changed, once that is committed.
        moved: told how many memories went from one tier to another.
    """

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        packer: Packer,
        settings: TierSettings,
        origin: str,
        changed: Callable[[Sequence[UUID]], None],
        moved: Moved = _ignore_moved,
    ) -> None:
        self.settings = settings
        self._database = database
        self._embedder = embedder
        self._packer = packer
        self._origin = origin
        self._changed = changed
        self._moved = moved
        self._known: list[TierAnalysis] = []
        self._task: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._not_before = float("-inf")

    def start(self) -> None:
        """Starts the background reviews, unless the interval is 0."""
        if self.settings.interval_seconds > 0:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends; a review under way is cut off between two transactions or undoes the one in hand."""
        for task in (self._task, self._refreshing):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    async def run_cycle(self, now: datetime | None = None) -> MigrationStats:
        """Reviews all tiers once, and analyses them.

        Args:
            now: the time that ages are counted to; None for this moment.

        Raises:
            ApiError: 409 if a review is running anywhere, 503 if the database is away.
            asyncpg.PostgresError: if it fails; what has been committed by then stays, and the next review goes on.
        """
        started = time.perf_counter()
        moment = now or datetime.now(UTC)
        async with self._locked(_REVIEW_LOCK) as connection:
            if connection is None:
                raise review_running()
            review = TierReview(
                connection,
                self._embedder,
                self._packer,
                self.settings,
                self._origin,
                self._changed,
                self._moved,
                moment,
            )
            stats = await review.run()
        if time.monotonic() >= self._not_before:
            await self._analyse(moment)
        stats.duration_ms = round((time.perf_counter() - started) * 1e3, 3)
        return stats

    async def report(self) -> TierReport:
        """The analysis of all tiers, the moves of the last day, and the rules.

        An analysis older than a minute is made anew if that is cheap enough; after a second the caller gets the last
        one, and the next caller the new one.

        Raises:
            ApiError: 503 if the database is away.
        """
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self.refresh())
            # It may fail when nobody waits any more.
            self._refreshing.add_done_callback(lambda task: task.cancelled() or task.exception())
        done, _ = await asyncio.wait({self._refreshing}, timeout=_PATIENCE_SECONDS)
        for task in done:
            task.result()
        tiers = await last_analysis(self._database)
        moves = await moves_since(self._database, datetime.now(UTC) - timedelta(days=1))
        return TierReport(
            tiers=tiers, cold_compression=compression(tiers), moves_last_day=moves, settings=self.settings
        )

    def ratios(self) -> dict[str, float]:
        """Compression of the cold tier by part ("text", "vector", "row"), as this process last heard; what is known."""
        found = msgspec.structs.asdict(compression(self._known))
        return {part: ratio for part, ratio in found.items() if ratio is not None}

    async def refresh(self) -> None:
        """Analyses the tiers, unless that was done within a minute or would take too large a part of the time.

        Raises:
            ApiError: 503 if the database is away.
        """
        now = datetime.now(UTC)
        known = await last_analysis(self._database)
        if known and (now - min(tier.analysed_at for tier in known) < _FRESH or time.monotonic() < self._not_before):
            self._known = known
            return
        await self._analyse(now)

    async def _analyse(self, now: datetime) -> None:
        async with self._locked(_ANALYSIS_LOCK) as connection:
            if connection is None:
                return
            started = time.monotonic()
            statistics = TierStatistics(connection, self.settings.batch, self._embedder.dimension)
            self._known = await statistics.analyse(now)
        self._not_before = time.monotonic() + _SHARE * (time.monotonic() - started)

    async def _run(self) -> None:
        await self._quietly(self.refresh)
        while True:
            await asyncio.sleep(self.settings.interval_seconds)
            await self._quietly(self._packer.refresh)
            if not await self._quietly(self._review):
                await self._quietly(self.refresh)

    async def _review(self) -> None:
        _LOG.info("tiers_reviewed", **msgspec.structs.asdict(await self.run_cycle()))

    async def _quietly(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Whether a step got through; there is a next time."""
        try:
            await step()
        except ApiError as error:  # another process is at it, or the database is away
            _LOG.info("tiers_not_reviewed", code=error.code)
            return False
        except Exception:
            _LOG.exception("tier_review_failed")
            return False
        return True

    @contextlib.asynccontextmanager
    async def _locked(self, key: int) -> AsyncIterator[asyncpg.Connection | None]:
        """A connection that holds a lock of which there is one in the database, or None if another has it.

        All work goes over that connection: if it is lost, so is the lock, and nobody works on without it.
        """
        async with self._database.connection() as connection:
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", key):
                yield None
                return
            try:
                yield connection
            finally:
                try:
                    await connection.fetchval("SELECT pg_advisory_unlock($1)", key)
                except BaseException:
                    connection.terminate()  # else the pool would keep the lock
                    raise


def compression(tiers: Sequence[TierAnalysis]) -> Compression:
    """Bytes as the guide would store the cold tier, over bytes stored; None without cold memories."""
    cold = next((tier for tier in tiers if tier.tier is Tier.COLD and tier.memories), None)
    if cold is None:
        return Compression(text=None, vector=None, row=None)
    return Compression(
        text=cold.text_bytes / cold.stored_text_bytes,
        vector=cold.vector_bytes / cold.stored_vector_bytes,
        row=cold.row_bytes / cold.stored_row_bytes,
    )
