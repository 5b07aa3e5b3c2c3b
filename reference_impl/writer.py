"""Group commit: creates that arrive while a commit is under way share the next one."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import asyncpg
import msgspec
import structlog

from reference_impl.embedding import Embedder
from reference_impl.errors import ApiError, internal, invalid, overloaded
from reference_impl.metrics import Metrics
from reference_impl.models import Tier
from reference_impl.packing import Packer
from reference_impl.settings import Settings
from reference_impl.storage.memories import Memories
from reference_impl.storage.records import NewMemory, StoredMemory
from reference_impl.words import terms_of

_LOG = structlog.get_logger()
# Preparing this many characters takes about a millisecond, which reads can wait; more goes to a thread.
_INLINE_CHARACTERS: Final = 4_000
# While creates come this fast a group is given a moment to gather more: a commit costs as much as several creates.
_BUSY: Final = 4
_WORTHWHILE: Final = 16
_GATHER_SECONDS: Final = 0.004
_BULK_GROUP: Final = 250
_BULK_WAITING: Final = 16


class Created(NamedTuple):
    """What became of one create."""

    memory: StoredMemory
    deduplicated: bool


Outcome = Created | ApiError


class Writer:
    """Stores new memories in groups.

    Args:
        memories: the table.
        embedder: for memories that come without an embedding.
        packer: of cold content.
        metrics: of the process.
        settings: writers in flight, size of groups and queue.
        room: waits while the search indexes are too far behind.
        stored: told what was committed, before who sent it is answered.

    Attributes:
        taken: single creates that were taken into groups so far.
    """

    def __init__(
        self,
        memories: Memories,
        embedder: Embedder,
        packer: Packer,
        metrics: Metrics,
        settings: Settings,
        room: Callable[[], Awaitable[None]],
        stored: Callable[[Sequence[NewMemory]], None],
    ) -> None:
        self._room = room
        self._stored = stored
        self._memories = memories
        self._embedder = embedder
        self._packer = packer
        self._metrics = metrics
        self._settings = settings
        self._queue: deque[tuple[NewMemory, asyncio.Future[Created], float]] = deque()
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        # One thread keeps a core busy; more would leave none to answer requests.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embed")
        self._bulk = asyncio.Semaphore(2)
        self._bulk_waiting = 0
        self._stopping = False
        self.taken = 0

    def start(self) -> None:
        """Starts the writers."""
        self._tasks = [asyncio.create_task(self._run()) for _ in range(self._settings.writers)]

    async def stop(self) -> None:
        """Stores what is queued, and ends."""
        self._stopping = True
        self._arrived.set()
        await asyncio.gather(*self._tasks)
        self._thread.shutdown()

    @property
    def queued(self) -> int:
        """Creates waiting for a group."""
        return len(self._queue)

    async def create(self, new: NewMemory) -> Created:
        """Stores one memory; returns once it is committed.

        Raises:
            ApiError: 429 if the queue is full, 503 if the database is away, 400 if the row is refused.
        """
        if len(self._queue) >= self._settings.queue_max:
            raise overloaded("creates")
        future: asyncio.Future[Created] = asyncio.get_running_loop().create_future()
        self._queue.append((new, future, time.perf_counter()))
        self._arrived.set()
        return await future

    async def create_many(self, news: Sequence[NewMemory]) -> list[Outcome]:
        """Stores a batch in groups of its own, so that single creates do not queue behind it.

        Raises:
            ApiError: 429 if too many batches wait.
        """
        if self._bulk_waiting >= _BULK_WAITING:
            raise overloaded("batches")
        self._bulk_waiting += 1
        arrived = time.perf_counter()
        try:
            outcomes: list[Outcome] = []
            async with self._bulk:
                await self._room()
                for start in range(0, len(news), _BULK_GROUP):
                    group = news[start : start + _BULK_GROUP]
                    outcomes += await self._store(group, [arrived] * len(group))
            return outcomes
        finally:
            self._bulk_waiting -= 1

    async def _run(self) -> None:
        size = 0
        while True:
            while not self._queue:
                if self._stopping:
                    return
                self._arrived.clear()
                await self._arrived.wait()
            await self._room()
            if size >= _BUSY and len(self._queue) < _WORTHWHILE and not self._stopping:
                await asyncio.sleep(_GATHER_SECONDS)
            # Another writer may have waited for the same.
            if not self._queue:
                continue
            taken = [self._queue.popleft() for _ in range(min(len(self._queue), self._settings.group_max))]
            size = len(taken)
            self.taken += size
            outcomes = await self._store([new for new, _, _ in taken], [arrived for _, _, arrived in taken])
            for (_, future, _), outcome in zip(taken, outcomes, strict=True):
                if future.done():
                    continue
                if isinstance(outcome, ApiError):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    async def _store(self, group: Sequence[NewMemory], arrived: Sequence[float]) -> list[Outcome]:
        """Prepares and inserts a group; never raises, so that no caller is left without an answer."""
        try:
            outcomes = await self._insert(await self._prepared(group))
        except Exception:
            _LOG.exception("group_failed", size=len(group))
            return [internal()] * len(group)
        # A search finds what is committed, whether an index holds it yet or not.
        now = time.perf_counter()
        self._metrics.searchable(
            now - then
            for then, outcome in zip(arrived, outcomes, strict=True)
            if isinstance(outcome, Created) and not outcome.deduplicated
        )
        return outcomes

    async def _prepared(self, group: Sequence[NewMemory]) -> list[NewMemory]:
        """The group with the embeddings that it lacks, and its words."""
        started = time.perf_counter()
        if sum(len(new.content) for new in group) <= _INLINE_CHARACTERS:
            prepared = self._prepare(group)
        else:
            prepared = await asyncio.get_running_loop().run_in_executor(self._thread, self._prepare, group)
        self._metrics.embedding_seconds.observe(time.perf_counter() - started)
        return prepared

    def _prepare(self, group: Sequence[NewMemory]) -> list[NewMemory]:
        texts = [new.content for new in group if new.embedding is None]
        made = iter(self._embedder.embed(texts)) if texts else iter(())
        return [
            msgspec.structs.replace(
                new,
                embedding=next(made) if new.embedding is None else new.embedding,
                own_embedding=new.embedding is not None,
                terms=terms_of(new.content),
                packed=self._packer.pack(new.content) if new.tier is Tier.COLD else None,
            )
            for new in group
        ]

    async def _insert(self, group: Sequence[NewMemory]) -> list[Outcome]:
        started = time.perf_counter()
        try:
            stored = await self._memories.insert(group)
        except ApiError as error:
            return [error] * len(group)
        except asyncpg.PostgresError as error:
            if len(group) == 1:
                return [_refused(group[0], error)]
            # Some row is at fault; halving finds it without failing its neighbours.
            middle = len(group) // 2
            return await self._insert(group[:middle]) + await self._insert(group[middle:])
        self._metrics.group_size.observe(len(group))
        self._metrics.group_seconds.observe(time.perf_counter() - started)
        # The same content twice in a group is one memory, the first.
        self._stored([new for new, (memory, _) in zip(group, stored, strict=True) if memory.id == new.id])
        return [Created(memory, deduplicated) for memory, deduplicated in stored]


def _refused(new: NewMemory, error: asyncpg.PostgresError) -> ApiError:
    if isinstance(error, asyncpg.ForeignKeyViolationError):
        return invalid("parent_id", f"no memory has the id {new.parent_id}")
    if isinstance(error, asyncpg.DataError | asyncpg.ProgramLimitExceededError):
        return invalid("body", f"the database cannot hold it: {error}")
    _LOG.error("insert_failed", error=str(error), sqlstate=error.sqlstate)
    return internal()
