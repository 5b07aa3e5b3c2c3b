"""The connection pool: warmed at start, counted, and honest about a database that is away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final, cast

import asyncpg
import numpy as np

from reference_impl.embedding import Vector
from reference_impl.errors import database_unavailable
from reference_impl.models import PoolState
from reference_impl.settings import Settings

# Sent as the connection is made, so that no statement needs a SET of its own and nothing can leak.
_SESSION: Final = {
    "application_name": "reference_impl",
    "jit": "off",  # compiling costs more than any statement here saves
    # Every statement is prepared once and its plan kept: planning a search anew takes as long as searching. What a
    # plan has to know, such as a limit or a tier, stands in its text.
    "plan_cache_mode": "force_generic_plan",
    # For the same reason: a plan that must do for every value could take a rare one for frequent.
    "enable_seqscan": "off",
    "max_parallel_workers_per_gather": "0",  # starting helpers takes longer than a search
    "synchronous_commit": "on",  # an acknowledged create survives kill -9 of the server
    "hnsw.ef_search": "50",  # candidates per step of a walk, which goes on until there are as many as asked for
    # ... or until comparing all that pass the filters would have been cheaper; the last page is not as far.
    "hnsw.max_scan_tuples": "2500",
    "hnsw.iterative_scan": "relaxed_order",  # filters and large limits go on where ef_search ends
    "hnsw.scan_mem_multiplier": "8",
}

AWAY: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a server's last words were read, and its end was not yet
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncio.TimeoutError,
)


def to_halfvec(vectors: Vector) -> list[bytes]:
    """Rows of a float32 matrix as pgvector's binary halfvec: two 16-bit counts, then big-endian halves."""
    header = vectors.shape[1].to_bytes(2, "big") + b"\0\0"
    halves = vectors.astype(">f2")
    return [header + row.tobytes() for row in halves]


def from_halfvec(data: bytes) -> list[float]:
    """The reverse of `to_halfvec`, for one value."""
    return cast("list[float]", np.frombuffer(data, dtype=">f2", offset=4).astype(np.float32).tolist())


async def _keep_session(_connection: asyncpg.Connection) -> None:
    """Leaves a released connection as it is, and saves the round trip of asyncpg's own reset.

    Safe as long as no code of this package changes the state of a session: every setting is in `_SESSION` or
    local to a transaction, and pooled connections hold no advisory locks, listeners, cursors or temporary
    tables. asyncpg still rolls back an open transaction.
    """


async def _prepare(connection: asyncpg.Connection) -> None:
    schema = await connection.fetchval(
        "SELECT nspname FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace WHERE typname = 'halfvec'"
    )
    # Bytes in, bytes out: whole groups are converted at once, in numpy.
    for name in ("halfvec", "sparsevec"):
        await connection.set_type_codec(name, schema=schema, encoder=bytes, decoder=bytes, format="binary")


class Database:
    """A pool of connections, and the translation of its failures.

    Args:
        settings: URL, pool bounds and time-outs.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: asyncpg.Pool | None = None
        self._recycler: asyncio.Task[None] | None = None
        self._waiting = 0
        self._lent = self._most_lent = 0

    async def open(self) -> None:
        """Opens the pool with its minimum of connections.

        Raises:
            OSError: if the server cannot be reached.
            asyncpg.PostgresError: if it refuses.
        """
        settings = self._settings
        self._pool = await asyncpg.create_pool(
            settings.database,
            min_size=settings.pool_min,
            max_size=settings.pool_max,
            max_inactive_connection_lifetime=settings.pool_idle,
            max_queries=1 << 31,
            init=_prepare,
            reset=_keep_session,
            timeout=settings.acquire_timeout,
            command_timeout=settings.command_timeout,
            statement_cache_size=512,
            max_cached_statement_lifetime=0,
            server_settings=_SESSION,
        )
        self._recycler = asyncio.create_task(self._recycle())

    async def close(self) -> None:
        """Closes all connections, waiting at most five seconds for busy ones."""
        if self._recycler is not None:
            self._recycler.cancel()
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), 5)
            except (*AWAY, asyncpg.PostgresError):
                self._pool.terminate()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Lends a connection.

        Raises:
            ApiError: 503 if none is free in time, or the server is away or goes away meanwhile.
        """
        if self._pool is None:
            raise database_unavailable("the connection pool is not open")
        try:
            self._waiting += 1
            try:
                # A time-out costs a task of its own; none is needed where a connection is idle, as one must be when
                # more have been lent at once; and one that has to be opened anew has its own.
                idle = self._lent < self._most_lent
                connection = await self._pool.acquire(timeout=None if idle else self._settings.acquire_timeout)
                self._lent += 1
                self._most_lent = max(self._most_lent, self._lent)
            finally:
                self._waiting -= 1
        except TimeoutError:
            seconds = self._settings.acquire_timeout
            raise database_unavailable(f"no database connection was free within {seconds:g} s") from None
        except (*AWAY, asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError):
            raise database_unavailable("the database cannot be reached") from None
        try:
            yield connection
        except AWAY:
            raise database_unavailable("the database went away or did not answer in time") from None
        finally:
            self._lent -= 1
            with contextlib.suppress(*AWAY):
                await self._pool.release(connection)

    async def fetch(self, sql: str, *values: object) -> list[Any]:
        """Runs one statement and gives its rows; see `connection` for errors."""
        async with self.connection() as connection:
            return cast("list[Any]", await connection.fetch(sql, *values))

    def state(self) -> PoolState:
        """The pool at this moment."""
        pool = self._pool
        size = pool.get_size() if pool is not None else 0
        idle = pool.get_idle_size() if pool is not None else 0
        limit = self._settings.pool_max
        return PoolState(
            size=size,
            idle=idle,
            busy=size - idle,
            max=limit,
            min=self._settings.pool_min,
            # Callers on their way to an idle connection are not waiting for one.
            waiting=self._waiting if size - idle >= limit else 0,
            utilization=(size - idle) / limit,
        )

    async def _recycle(self) -> None:
        """Renews all connections once in a lifetime: backends grow, and fail-overs leave stale ones."""
        while True:
            await asyncio.sleep(self._settings.pool_lifetime)
            if self._pool is not None:
                with contextlib.suppress(*AWAY):
                    await self._pool.expire_connections()
