"""The service without HTTP: its parts, put together, started and stopped in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from reference_impl.access import AccessCounter
from reference_impl.cache import MemoryCache, seconds_until
from reference_impl.embedding import Embedder, Vector
from reference_impl.encoding import counters, head
from reference_impl.errors import ApiError, memory_not_found
from reference_impl.metrics import Metrics
from reference_impl.models import DatabaseState, Tier
from reference_impl.settings import Settings
from reference_impl.storage.database import Database
from reference_impl.storage.memories import Memories
from reference_impl.storage.records import NewMemory
from reference_impl.storage.searches import Hit, Query, Searches
from reference_impl.writer import Created, Outcome, Writer

_TIERS_SECONDS = 15.0
_PING_SECONDS = 1.0
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
        self.database = Database(settings)
        self.embedder = embedder
        self.memories = Memories(self.database, settings.dimension)
        self.writer = Writer(self.memories, embedder, self.metrics, settings)
        self.access = AccessCounter(self.memories.count_accesses)
        cached = settings.cache_size if settings.workers == 1 else 0
        self.cache = MemoryCache(cached, settings.cache_mib << 20, settings.cache_ttl)
        self._searches = Searches(self.database, settings.dimension)
        self._started = time.monotonic()
        self._tiers: dict[str, int] = {}
        self._tiers_at = float("-inf")
        self._state = DatabaseState(connected=False, version=None, pgvector=None)
        self._state_at = float("-inf")
        self._watch()

    async def start(self) -> None:
        """Opens the pool and starts the background work; see `Database.open` for errors."""
        await self.database.open()
        self.writer.start()
        self.access.start()

    async def stop(self) -> None:
        """Stores what is queued, writes pending counts, closes the pool."""
        await self.writer.stop()
        await self.access.stop()
        await self.database.close()

    async def create(self, new: NewMemory) -> tuple[Created, bytes]:
        """Stores a memory; gives it back with its JSON, whole.

        Raises:
            ApiError: 429, 503, or 400 for a row that the database refuses.
        """
        created = await self.writer.create(new)
        encoded = head(created.memory)
        self._remember(created, encoded)
        return created, self.whole(created, encoded)

    async def create_many(self, news: Sequence[NewMemory]) -> list[Outcome]:
        """Stores many memories, each with an outcome of its own, in order.

        Raises:
            ApiError: 429 if too many batches wait.
        """
        outcomes = await self.writer.create_many(news)
        for outcome in outcomes:
            # Working memories are about to be read. But an import must not drive out what is being read now.
            if self.cache.full:
                break
            if isinstance(outcome, Created) and outcome.memory.tier == Tier.WORKING.column:
                self._remember(outcome, head(outcome.memory))
        return outcomes

    def _remember(self, created: Created, encoded: bytes) -> None:
        """Cache a memory: what was just written is what is read next."""
        memory = created.memory
        # A twin of this create may have read it already.
        if not created.deduplicated and memory.id not in self.cache:
            self.cache.put(memory.id, encoded, 0, seconds_until(memory.expires_at, datetime.now(UTC)))

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

    async def read(self, memory_id: UUID) -> tuple[bytes, bool]:
        """Reads a memory, which counts as an access.

        Returns:
            Its JSON without the closing brace, and whether it came from the cache.

        Raises:
            ApiError: 404, or 503 if the database is away.
        """
        entry = self.cache.get(memory_id)
        if entry is not None:
            entry.access_count += 1
            return entry.head + counters(entry.access_count, self.access.record(memory_id)), True
        while True:
            flushes = await self.access.flushed(memory_id)
            memory = await self.memories.read(memory_id)
            if memory is None:
                raise memory_not_found(memory_id)
            # A flush that began meanwhile may or may not be in what was read: read again.
            if flushes == self.access.flushes():
                break
        last = self.access.record(memory_id)
        count, _ = self.seen(memory_id, memory.access_count, None)
        encoded = head(memory)
        self.cache.put(memory_id, encoded, count, seconds_until(memory.expires_at, last))
        return encoded + counters(count, last), False

    async def search(self, query: Query) -> list[Hit]:
        """The memories nearest to the query; see `Searches.nearest`."""
        return await self._searches.nearest(query)

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
                self._tiers = await self.memories.tier_counts()
            except ApiError:
                self._tiers_at = float("-inf")
        return self._tiers

    def _watch(self) -> None:
        metrics, cache, embedder = self.metrics, self.cache, self.embedder
        metrics.pool(self.database.state)
        metrics.gauge("memory_create_queue", "Creates waiting for a group commit", lambda: self.writer.queued)
        metrics.cache("memory", lambda: cache.hits, lambda: cache.misses)
        metrics.cache("embedding", lambda: embedder.hits, lambda: embedder.misses)
        metrics.gauge("memory_cache_entries", "Memories in the cache", lambda: len(cache))
        metrics.gauge("memory_cache_bytes", "What they occupy, roughly", lambda: cache.occupied)
