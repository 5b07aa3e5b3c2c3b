"""Admission control: so many at work, so many waiting, and an honest 429 for the rest."""

from __future__ import annotations

import asyncio
from collections import deque

from reference_impl.errors import overloaded


class Admission:
    """Lets a bounded number in at once, and the others in the order in which they came.

    Use as `async with admission:`. To enter raises ApiError 429 once `waiting_max` wait already.

    Args:
        name: of what is bounded, in the plural, as errors and metrics tell it.
        concurrent: at work at most, 1 or more.
        waiting_max: waiting at most.
    """

    __slots__ = ("_concurrent", "_queue", "_waiting_max", "name", "rejected", "running")

    def __init__(self, name: str, concurrent: int, waiting_max: int) -> None:
        self.name = name
        self.running = 0
        self.rejected = 0
        self._concurrent = concurrent
        self._waiting_max = waiting_max
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Number of those waiting."""
        return len(self._queue)

    async def __aenter__(self) -> None:
        if self.running < self._concurrent:
            self.running += 1
            return
        if len(self._queue) >= self._waiting_max:
            self.rejected += 1
            raise overloaded(self.name)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._queue.remove(turn)
            else:
                # Its turn came as it was cancelled.
                self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        """Hands the place on to who has waited longest; `running` drops only where nobody waits."""
        for turn in self._queue:
            if not turn.done():
                self._queue.remove(turn)
                turn.set_result(None)
                return
        self.running -= 1
