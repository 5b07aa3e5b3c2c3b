"""Counting reads: in memory at once, in the database about every second."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog

Flush = Callable[[Iterable[tuple[UUID, int, datetime]]], Awaitable[None]]

_LOG = structlog.get_logger()
FLUSH_SECONDS: Final = 1.0
# A read of a memory whose counts are on their way waits for them: small chunks are short waits.
_CHUNK: Final = 250


@dataclass(slots=True)
class Access:
    """Reads of one memory, and when the last one was."""

    reads: int
    last: datetime


class AccessCounter:
    """Counts reads of memories.

    A crash loses the counts of about the last second, never more. While the database is away they pile up
    here, one entry for each memory read.

    Args:
        flush: adds counts to the database, all or none of them.
    """

    def __init__(self, flush: Flush) -> None:
        self._flush = flush
        self._pending: dict[UUID, Access] = {}
        self._flushing: dict[UUID, Access] = {}
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._flushes = 0

    def start(self) -> None:
        """Starts flushing."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Flushes what is left, and ends."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.flush()

    def record(self, memory_id: UUID) -> datetime:
        """Counts one read, now; gives back the time it noted."""
        now = datetime.now(UTC)
        known = self._pending.get(memory_id)
        if known is None:
            self._pending[memory_id] = Access(1, now)
        else:
            known.reads += 1
            known.last = now
        return now

    def unflushed(self, memory_id: UUID) -> Access | None:
        """What this process has counted and the database may not have yet."""
        pending, flushing = self._pending.get(memory_id), self._flushing.get(memory_id)
        if pending is None or flushing is None:
            return pending or flushing
        return Access(pending.reads + flushing.reads, pending.last)

    async def flushed(self, memory_id: UUID) -> int:
        """Waits until no flush concerns this memory; gives the number of flushes begun so far.

        A read of the database with the same number before and after it saw the memory's flushed count whole.
        """
        while memory_id in self._flushing:
            async with self._lock:
                pass
        return self._flushes

    def flushes(self) -> int:
        """Number of flushes begun so far."""
        return self._flushes

    async def flush(self) -> None:
        """Writes all pending counts; on failure they stay pending."""
        async with self._lock:
            if not self._pending:
                return
            self._flushes += 1
            self._flushing, self._pending = self._pending, {}
            items = list(self._flushing.items())
            try:
                for start in range(0, len(items), _CHUNK):
                    chunk = items[start : start + _CHUNK]
                    await self._flush((key, access.reads, access.last) for key, access in chunk)
                    for key, _ in chunk:
                        del self._flushing[key]
            except Exception as error:
                _LOG.warning("access_flush_failed", memories=len(self._flushing), error=str(error))
                for key, access in self._flushing.items():
                    newer = self._pending.get(key)
                    self._pending[key] = access if newer is None else Access(access.reads + newer.reads, newer.last)
            finally:
                self._flushing = {}

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            # Shielded: a stop in the middle must not leave unknown what was written.
            await asyncio.shield(self.flush())
