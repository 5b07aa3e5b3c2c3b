"""Watching the connection pool: a word in the log when it gets short, and one when that is over."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

import structlog

from reference_impl.models import PoolState

_LOG = structlog.get_logger()

LOOK_SECONDS: Final = 1.0
HIGH: Final = 0.8
CRITICAL: Final = 0.9
WAITING: Final = 10
# A pool under load is busier in one second and less so in the next: only a calm that lasts is an end.
CALM_LOOKS: Final = 5

Warned = Callable[[str, str], None]

_LEVELS: Final = ("none", "warning", "error")


class _Condition:
    """One thing to be watched, and the level that it has reached."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.level = 0
        self.since = 0.0
        self._calm = 0

    def reach(self, level: int, now: float) -> int:
        """Takes in a look; gives the level before it. Levels rise at once and fall after `CALM_LOOKS`."""
        before = self.level
        self._calm = self._calm + 1 if level < before else 0
        if level > before or self._calm == CALM_LOOKS:
            if before == 0:
                self.since = now
            self.level, self._calm = level, 0
        return before


class PoolPressure:
    """Looks at the pool each second. Guide, "Monitor and alert on pool pressure".

    More than 80 % of the connections busy is a warning, more than 90 % an error, more than 10 requests waiting for
    one a warning. Each is logged once as it is entered and once as it is left.

    Args:
        state: the pool at this moment.
        warned: told the condition ("utilization" or "waiting") and the level ("warning" or "error") at each rise.
        now: the monotonic clock, s.
    """

    def __init__(
        self, state: Callable[[], PoolState], warned: Warned, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._state = state
        self._warned = warned
        self._now = now
        self._utilization = _Condition("utilization")
        self._waiting = _Condition("waiting")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts looking."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def look(self) -> None:
        """Looks once."""
        state = self._state()
        self._take(self._utilization, (state.utilization > HIGH) + (state.utilization > CRITICAL), state)
        self._take(self._waiting, int(state.waiting > WAITING), state)

    def _take(self, condition: _Condition, level: int, state: PoolState) -> None:
        before = condition.reach(level, self._now())
        if condition.level == before:
            return
        name = _LEVELS[condition.level]
        facts = {"busy": state.busy, "max": state.max, "waiting": state.waiting}
        if condition.level == 0:
            seconds = round(self._now() - condition.since, 1)
            _LOG.warning("pool_pressure_over", condition=condition.name, lasted_seconds=seconds, **facts)
            return
        log = _LOG.error if name == "error" else _LOG.warning
        log("pool_pressure", condition=condition.name, utilization=round(state.utilization, 3), **facts)
        if condition.level > before:
            self._warned(condition.name, name)

    async def _run(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)
