"""The service without HTTP: its parts, put together, started and stopped in order."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from reference_impl.access import AccessCounter
from reference_impl.admission import Admission
from reference_impl.cache import MemoryCache, seconds_until
from reference_impl.caches import Caches
from reference_impl.candidates.keeper import IndexKeeper
from reference_impl.candidates.rows import CandidateRows
from reference_impl.embedding import Embedder, Vector
from reference_impl.encoding import counters, head
from reference_impl.errors import ApiError, memory_not_found
from reference_impl.feed import ChangeFeed
from reference_impl.feeder import Feeder
from reference_impl.metrics import Metrics
from reference_impl.models import DatabaseState, Tier
from reference_impl.packing import Packer
from reference_impl.pressure import PoolPressure
from reference_impl.search_cache import SearchCache
from reference_impl.search_models import Found, Query
from reference_impl.searcher import Searcher
from reference_impl.settings import Settings
from reference_impl.siblings import Siblings
from reference_impl.storage.accesses import Accesses
from reference_impl.storage.arrivals import Arrivals
from reference_impl.storage.database import Database
from reference_impl.storage.embeddings import Embeddings
from reference_impl.storage.memories import Memories
from reference_impl.storage.records import NewMemory, StoredMemory
from reference_impl.storage.searches import Searches
from reference_impl.storage.tier_merges import survivor
from reference_impl.tier_models import TierSettings
from reference_impl.tiers import TierManager
from reference_impl.updates import Change, Updates
from reference_impl.writer import Created, Outcome, Writer

_TIERS_SECONDS = 15.0
_PING_SECONDS = 1.0
_INLINE_BYTES = 8_000
_VERSIONS = "SELECT current_setting('server_version'), (SELECT extversion FROM pg_extension WHERE extname = 'vector')"


class Service:
    """Creates, reads and searches memories.

    Args:
        settings: of the process.
        embedder: texts to vectors.
    """

    def __init__(self, settings: Settings, embedder: Embedder) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.siblings = Siblings.of_environment(self.metrics.exposition)
        self.database = Database(settings)
        self.embedder = embedder
        origin = secrets.token_hex(8)
        self.caches = Caches(
            MemoryCache(settings.cache_size, settings.cache_mib << 20, settings.cache_ttl),
            SearchCache(settings.search_cache_size, settings.search_cache_mib << 20, settings.search_cache_lag),
            IndexKeeper(
                CandidateRows(self.database), settings.dimension, settings.candidates_max, lambda: self.feed.trusted
            ),
        )
        self.packer = Packer(self.database)
        self.memories = Memories(self.database, settings.dimension, self.packer, origin)
        self.embeddings = Embeddings(self.database, embedder, self.packer)
        self.feeder = Feeder(
            Arrivals(self.database),
            self.packer,
            self.metrics,
            settings.arrivals_max,
            lambda: self.writer.taken,
            lambda: self.caches.candidates.usable,
        )
        self.writer = Writer(
            self.memories, embedder, self.packer, self.metrics, settings, self.feeder.room, self.caches.stored
        )
        accesses = Accesses(self.database, settings.tier_min_accesses, settings.tier_importance)
        self.access = AccessCounter(accesses.count)
        self.reading = Admission("reads", settings.read_concurrency, settings.read_queue)
        self.searching = Admission("searches", settings.search_concurrency, settings.search_queue)
        self.feed = ChangeFeed(settings.database, self.caches, origin)
        self.tiers = TierManager(
            self.database,
            embedder,
            self.packer,
            _tier_settings(settings),
            origin,
            self.caches.changed,
            self.metrics.moved,
        )
        self._updates = Updates(self.database, embedder, self.packer, origin, self.caches.changed)
        self._pressure = PoolPressure(self.database.state, self.metrics.pool_warned)
        self.searcher = Searcher(Searches(self.database, settings.dimension, self.packer), self.caches.candidates)
        self._started = time.monotonic()
        self.tiers_seen: dict[str, int] = {}
        self._tiers_at = float("-inf")
        self._state = DatabaseState(connected=False, version=None, pgvector=None)
        self._state_at = float("-inf")

    async def start(self) -> None:
        """Opens the pool and starts the background work; see `Database.open` for errors."""
        await self.database.open()
        await self.packer.refresh()
        await self.feed.start()
        await self.siblings.start()
        for part in (self.caches.candidates, self.writer, self.access, self.feeder, self.tiers, self._pressure):
            part.start()

    async def stop(self) -> None:
        """Stores what is queued, writes pending counts, closes the pool."""
        # The feeder before the writer: what is stored after it stays an arrival, and nobody waits for room.
        parts = (self.siblings, self._pressure, self.tiers, self.feeder, self.writer, self.access)
        for part in (*parts, self.feed, self.caches.candidates):
            await part.stop()
        await self.database.close()

    async def create(self, new: NewMemory) -> tuple[Created, bytes]:
        """Stores a memory; gives it back with its JSON, whole.

        Raises:
            ApiError: 429, 503, or 400 for a row that the database refuses.
        """
        token = self.caches.memories.token()
        created = await self.writer.create(new)
        encoded = head(created.memory)
        self._remember(created, encoded, token)
        return created, self.whole(created, encoded)

    async def create_many(self, news: Sequence[NewMemory]) -> list[Outcome]:
        """Stores many memories, each with an outcome of its own, in order.

        Raises:
            ApiError: 429 if too many batches wait.
        """
        token = self.caches.memories.token()
        outcomes = await self.writer.create_many(news)
        for outcome in outcomes:
            # Working memories are about to be read. But an import must not drive out what is being read now.
            if self.caches.memories.full:
                break
            if isinstance(outcome, Created) and outcome.memory.tier == Tier.WORKING.column:
                self._remember(outcome, head(outcome.memory), token)
        return outcomes

    def _remember(self, created: Created, encoded: bytes, token: int) -> None:
        """Cache a memory: what was just written is what is read next."""
        memory, cache = created.memory, self.caches.memories
        # A twin of this create may have read it already.
        if not created.deduplicated and memory.id not in cache:
            cache.put(memory.id, encoded, 0, token, seconds_until(memory.expires_at, datetime.now(UTC)))

    def whole(self, created: Created, encoded: bytes | None = None) -> bytes:
        """JSON of a created memory, with its access counters and `deduplicated`."""
        memory = created.memory
        count, last = self.seen(memory.id, memory.access_count, memory.last_accessed_at)
        flag = b',"deduplicated":true}' if created.deduplicated else b',"deduplicated":false}'
        return (encoded or head(memory)) + counters(count, last) + flag

    def seen(self, memory_id: UUID, count: int, last: datetime | None) -> tuple[int, datetime | None]:
        """Flushed counters with those that this process has not flushed yet."""
        more = self.access.unflushed(memory_id)
        return (count, last) if more is None else (count + more.reads, more.last)

    def kept(self, text: str) -> bytes | None:
        """Reads a memory from the cache, which counts as an access.

        Args:
            text: its id, in canonical form.

        Returns:
            Its JSON without the closing brace; None if it is not there.
        """
        entry = self.caches.memories.get(text)
        if entry is None:
            return None
        entry.access_count += 1
        return entry.head + counters(entry.access_count, self.access.record(entry.memory_id))

    async def read(self, memory_id: UUID) -> bytes:
        """Reads a memory from the database, which counts as an access.

        Returns:
            Its JSON without the closing brace.

        Raises:
            ApiError: 404, 429, or 503 if the database is away.
        """
        async with self.reading:
            return await self._read(memory_id)

    async def _read(self, memory_id: UUID) -> bytes:
        cache = self.caches.memories
        while True:
            token, flushes = cache.token(), await self.access.flushed(memory_id)
            memory = await self.memories.read(memory_id) or await self._survivor(memory_id)
            # A flush that began meanwhile may or may not be in what was read: read again.
            if flushes == self.access.flushes():
                break
        last = self.access.record(memory.id)
        count, _ = self.seen(memory.id, memory.access_count, None)
        encoded = head(memory)
        # Under another id it would not be heard of when it changes.
        if memory.id == memory_id:
            cache.put(memory_id, encoded, count, token, seconds_until(memory.expires_at, last))
        return encoded + counters(count, last)

    async def embedding(self, memory_id: UUID) -> list[float] | None:
        """The embedding of a memory, or of the one that it was merged into; None if it has just gone.

        Raises:
            ApiError: 429, or 503 if the database is away.
        """
        async with self.reading:
            return await self.embeddings.read(await survivor(self.database, memory_id) or memory_id)

    async def _survivor(self, memory_id: UUID) -> StoredMemory:
        """The memory that this one was merged into."""
        found = await survivor(self.database, memory_id)
        memory = None if found is None else await self.memories.read(found)
        if memory is None:
            raise memory_not_found(memory_id)
        return memory

    async def update(self, memory_id: UUID, change: Change) -> bytes:
        """Changes a memory; gives its JSON as it is now, whole.

        Raises:
            ApiError: 404, 409, 429, 400 for a parent that does not exist, 503 if the database is away.
        """
        async with self.reading:
            memory = await self._updates.update(memory_id, change)
        count, last = self.seen(memory.id, memory.access_count, memory.last_accessed_at)
        return head(memory) + counters(count, last) + b"}"

    async def delete(self, memory_id: UUID) -> None:
        """Deletes a memory.

        Raises:
            ApiError: 404, 429, or 503 if the database is away.
        """
        async with self.reading:
            await self._updates.delete(memory_id)

    async def search(
        self,
        key: bytes | None,
        tier: Tier | None,
        query: Callable[[Callable[[str], Vector]], Query],
        encode: Callable[[Found], bytes],
    ) -> tuple[bytes, bool]:
        """Answers a search, from the cache where the same was asked before.

        Args:
            key: equal for equal searches only; None for one that is to see the database as it is.
            tier: that it asks for.
            query: makes the query, given what embeds its text.
            encode: makes the answer of what was found.

        Returns:
            The answer, and whether it came from the cache.

        Raises:
            ApiError: 429, or 503 if the database is away.
        """
        cache = self.caches.searches
        if key is not None and (known := cache.get(key)) is not None:
            return known, True
        async with self.searching:
            token = cache.token()
            found = await self.searcher.find(await self._made(query, key))
        answer = encode(found)
        if key is None:
            return answer, False
        memories = [hit.memory for hit in found.hits]
        expiries = [memory.expires_at for memory in memories if memory.expires_at is not None]
        left = seconds_until(min(expiries), datetime.now(UTC)) if expiries else None
        cache.put(key, answer, [memory.id for memory in memories], token, tier, left)
        return answer, False

    async def _made(self, query: Callable[[Callable[[str], Vector]], Query], key: bytes | None) -> Query:
        """The query. To embed a long one takes a while, and so is left to a thread."""
        if key is not None and len(key) < _INLINE_BYTES:
            return query(self.embed_query)
        return await asyncio.to_thread(query, lambda text: self.embedder.embed([text])[0])

    def embed_query(self, text: str) -> Vector:
        """The vector of a query text."""
        started = time.perf_counter()
        vector = self.embedder.embed_query(text)
        self.metrics.embedding_seconds.observe(time.perf_counter() - started)
        return vector

    def uptime(self) -> float:
        """Seconds since the process put the service together."""
        return time.monotonic() - self._started

    async def database_state(self) -> DatabaseState:
        """Whether the database answers; asked at most once a second, so that health checks cost nothing."""
        if time.monotonic() - self._state_at > _PING_SECONDS:
            try:
                row = (await asyncio.wait_for(self.database.fetch(_VERSIONS), 2))[0]
                state = DatabaseState(connected=True, version=row[0], pgvector=row[1])
            except (ApiError, TimeoutError):
                state = DatabaseState(connected=False, version=self._state.version, pgvector=self._state.pgvector)
            self._state, self._state_at = state, time.monotonic()
        return self._state

    async def tier_counts(self) -> dict[str, int]:
        """Memories by tier; counted every 15 seconds at most, as last known while the database is away."""
        if time.monotonic() - self._tiers_at > _TIERS_SECONDS:
            self._tiers_at = time.monotonic()
            try:
                self.tiers_seen = await self.memories.tier_counts()
            except ApiError:
                self._tiers_at = float("-inf")
        return self.tiers_seen


def _tier_settings(settings: Settings) -> TierSettings:
    return TierSettings(
        working_to_warm_days=settings.working_to_warm_days,
        warm_to_cold_days=settings.warm_to_cold_days,
        min_accesses=settings.tier_min_accesses,
        importance=settings.tier_importance,
        batch=settings.tier_batch,
        dwell_days=settings.tier_dwell_days,
        interval_seconds=settings.tier_interval,
    )
