"""Hearing of the changes that any process makes to memories."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from typing import Any, Final

import asyncpg
import structlog

from reference_impl.caches import Caches
from reference_impl.storage.changes import CHANNEL, parse

_LOG = structlog.get_logger()

APPLICATION: Final = "reference_impl changes"
TRUSTED_SECONDS: Final = 0.8
_HEARTBEAT_SECONDS: Final = 0.25
# Longer than caches are trusted: a process that was merely held up finds its caches as they were.
_TIMEOUT_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = (0.05, 1.0)


class ChangeFeed:
    """Keeps caches true to the database, over a connection of its own.

    PostgreSQL delivers what it has to say to a listener before it answers that listener's next statement. So a
    heartbeat that was answered proves that every change acknowledged before it was sent has been heard of, and the
    caches may serve for `TRUSTED_SECONDS` from then on: a process that was stopped, whose loop was blocked or whose
    network is gone serves nothing that is older. (The clock is the monotonic one; it stands still while the whole
    machine is suspended.) When the connection is lost the caches are cleared, and used again once there is a new one.

    What this process changes it hears of, too. Its own word to the caches is only sooner: where the answer to a COMMIT
    is lost, nobody but PostgreSQL knows whether, and when, it happened.

    Args:
        database: URL, of PostgreSQL itself: a pooler that lends connections by transaction loses notifications.
        caches: to be kept true.
        origin: name of this process.
        now: the monotonic clock, s.
    """

    def __init__(self, database: str, caches: Caches, origin: str, now: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._caches = caches
        self._origin = origin
        self._now = now
        self._heard_at = -math.inf
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()

    @property
    def heard_at(self) -> float:
        """All changes acknowledged up to this moment of the monotonic clock have been heard of, s."""
        return self._heard_at

    @property
    def trusted(self) -> bool:
        """Whether the caches are in use."""
        return self._now() - self._heard_at < TRUSTED_SECONDS

    async def start(self) -> None:
        """Starts listening; returns after the first attempt, whatever came of it."""
        self._task = asyncio.create_task(self._run())
        await self._tried.wait()

    async def stop(self) -> None:
        """Ends; the caches are empty then, and off."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        shortest, longest = _RETRY_SECONDS
        delay = shortest
        while True:
            try:
                await self._follow()
            except Exception as error:  # whatever it is, the service goes on without caches
                if self._heard_at > -math.inf or not self._tried.is_set():
                    _LOG.warning("changes_not_heard", error=str(error) or type(error).__name__)
                    delay = shortest
            finally:
                self._heard_at = -math.inf
                self._caches.extend(-math.inf)
                self._caches.clear()
                self._tried.set()
            await asyncio.sleep(delay)
            delay = min(2 * delay, longest)

    async def _follow(self) -> None:
        """Listens until that fails."""
        connection = await asyncpg.connect(
            self._database,
            timeout=_TIMEOUT_SECONDS,
            command_timeout=_TIMEOUT_SECONDS,
            server_settings={"application_name": APPLICATION},
        )
        try:
            await connection.add_listener(CHANNEL, self._hear)
            # Of changes before this moment nothing may have been heard.
            self._caches.clear()
            while True:
                sent = self._now()
                await connection.execute("SELECT 1")
                self._heard_at = sent
                self._caches.extend(sent + TRUSTED_SECONDS)
                self._tried.set()
                await asyncio.sleep(_HEARTBEAT_SECONDS)
        finally:
            connection.terminate()

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: Any) -> None:
        try:
            change = parse(payload)
        except ValueError:
            # Another version's, perhaps. What it says is unknown, so anything.
            self._caches.clear()
            return
        if change.created:
            self._caches.created(change.ids, here=change.origin == self._origin)
        else:
            self._caches.changed(change.ids)
