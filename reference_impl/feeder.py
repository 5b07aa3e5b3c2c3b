"""Feeds the search indexes behind the creates, which so need not wait for them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog

from reference_impl.metrics import Metrics
from reference_impl.packing import Packer
from reference_impl.storage.arrivals import Arrivals
from reference_impl.words import terms_of

_LOG = structlog.get_logger()
_BATCH: Final = 200  # rows locked at a time, for about as many milliseconds
_COURTEOUS_BATCH: Final = 40
_FEW: Final = 20  # creates since the last batch that need no courtesy
# Times as long as a batch took the next one waits: at most, and where searches need these indexes now.
_COURTESY_SPARED: Final = 40.0
_COURTESY: Final = 4.0
_LONGEST_PAUSE: Final = 2.0  # however long the batch took: the host may have stood still meanwhile
_IDLE_SECONDS: Final = 0.25
_ELSEWHERE_SECONDS: Final = 1.0
_FAILED_SECONDS: Final = 1.0


class Feeder:
    """Moves arrivals into the search indexes, in the background.

    Until then a search compares them one by one. So creates wait once there are too many of them.

    Args:
        arrivals: what is to be moved.
        packer: of cold content.
        metrics: of the process.
        backlog_max: arrivals beyond which creates wait.
        created: how many single creates there have been; as long as there is room, they go first.
        spared: whether searches can do without these indexes for now, since the process has one of its own.
    """

    def __init__(
        self,
        arrivals: Arrivals,
        packer: Packer,
        metrics: Metrics,
        backlog_max: int,
        created: Callable[[], int],
        spared: Callable[[], bool],
    ) -> None:
        self._created = created
        self._spared = spared
        self._created_before = 0
        self._arrivals = arrivals
        self._packer = packer
        self._metrics = metrics
        self._backlog_max = backlog_max
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        # What was written before lay in a database that nobody fed.
        self._since = datetime.now(UTC)
        self._wordless = True  # until none is found: new memories come with their words
        self.backlog = 0

    def start(self) -> None:
        """Starts feeding."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends after the batch in hand; what is left stays for the next start."""
        self._stopping.set()
        self._room.set()
        if self._task is not None:
            await self._task
            self._room.set()  # the last step may have closed it

    async def room(self) -> None:
        """Waits while there are too many arrivals."""
        await self._room.wait()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                pause = await self._step()
            except Exception as error:
                # The database away, or a lock that was not to be had: the next step tries again.
                _LOG.warning("feeding_failed", error=str(error))
                self._room.set()  # who writes now learns for himself what is the matter
                pause = _FAILED_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _step(self) -> float:
        """Feeds one batch; gives the seconds to wait before the next."""
        courtesy = self._courtesy()
        started = time.perf_counter()
        fed = await self._arrivals.feed(_COURTEOUS_BATCH if courtesy else _BATCH)
        if fed:
            now = datetime.now(UTC)
            ages = [(now - written).total_seconds() for written in fed if written > self._since]
            self._metrics.fed(ages, time.perf_counter() - started)
        self.backlog = await self._arrivals.backlog(2 * self._backlog_max)
        if self.backlog > self._backlog_max:
            self._room.clear()
        else:
            self._room.set()
        if fed is None:
            return _ELSEWHERE_SECONDS
        if len(fed) < _COURTEOUS_BATCH and self._wordless and await self._fill_terms():
            return 0.0
        if self.backlog < _BATCH:
            return _IDLE_SECONDS
        return min(courtesy * (time.perf_counter() - started), _LONGEST_PAUSE)

    def _courtesy(self) -> float:
        """How many times the last batch's time to leave the processor to creates: they are waited for, and this is not.

        The more arrivals there are, the less; for each of them slows down searches by these indexes.
        """
        created, before = self._created(), self._created_before
        self._created_before = created
        if created - before < _FEW:
            return 0.0
        most = _COURTESY_SPARED if self._spared() else _COURTESY
        return max(most * (1 - self.backlog / self._backlog_max), 0.0)

    async def _fill_terms(self) -> bool:
        """Words for memories of a version that had none; whether there were any."""
        rows = await self._arrivals.without_terms(_BATCH)
        if rows:
            texts = [
                content if packed is None else await self._packer.unpack(packed, dictionary_id)
                for _, content, packed, dictionary_id in rows
            ]
            terms = await asyncio.to_thread(lambda: [terms_of(text) for text in texts])
            await self._arrivals.fill_terms([row[0] for row in rows], terms)
        self._wordless = bool(rows)
        return self._wordless
