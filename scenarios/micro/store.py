"""A database of the suite's own: made, filled, lent over one connection, dropped."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
from pgvector import Vector

from reference_impl.packing import Packer
from reference_impl.settings import Settings
from reference_impl.storage.accesses import Accesses
from reference_impl.storage.arrivals import Arrivals
from reference_impl.storage.database import Database
from reference_impl.storage.memories import Memories
from reference_impl.storage.migrations import migrate
from reference_impl.storage.records import NewMemory
from reference_impl.storage.searches import Searches
from scenarios.micro import guide
from scenarios.micro.material import DIMENSION

_GROUP: Final = 250


class Store:
    """The service's storage, over a pool of a single connection, and the guide's table beside it.

    Attributes:
        database: runs any statement, prepared once as all of the service's are.
        memories: the service's table.
        arrivals: those of its rows that the search indexes do not hold yet.
        accesses: its counters.
        searches: searches over it.
    """

    def __init__(self, database: Database, loop: asyncio.AbstractEventLoop) -> None:
        self.database = database
        defaults, packer = Settings(database=""), Packer(database)
        self.memories = Memories(database, DIMENSION, packer, "micro")
        self.arrivals = Arrivals(database)
        self.accesses = Accesses(database, defaults.tier_min_accesses, defaults.tier_importance)
        self.searches = Searches(database, DIMENSION, packer)
        self._run = loop.run_until_complete

    async def row(self, sql: str, *values: object) -> Any:
        """The first row of a statement's result, or None."""
        rows = await self.database.fetch(sql, *values)
        return rows[0] if rows else None

    def ids(self) -> list[UUID]:
        """Of the memories that are stored."""
        rows = self._run(self.database.fetch("SELECT id FROM memories ORDER BY id"))
        return [row["id"] for row in rows]

    @contextlib.contextmanager
    def using(self, index: str | None) -> Iterator[None]:
        """Asserts that an index is used inside; what is named after it would time something else without."""
        before = self._run(self._scans_of(index))
        yield
        assert index is None or self._run(self._scans_of(index)) > before, f"the planner did not take {index}"

    @contextlib.contextmanager
    def ordered_by_index(self) -> Iterator[None]:
        """Plans without a sort inside, where there is one without: what is nearest then comes from the vector index."""
        # The plans of earlier executions would be used again.
        self._run(self.database.fetch("DISCARD PLANS"))
        self._run(self.database.fetch("SET enable_sort = off"))
        try:
            yield
        finally:
            self._run(self.database.fetch("RESET enable_sort"))

    async def _scans_of(self, index: str | None) -> int:
        await self.database.fetch("SELECT pg_stat_force_next_flush()")
        row = await self.row("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = $1", index)
        return int(row[0]) if row else 0


@contextlib.contextmanager
def temporary(
    server: str, rows: Callable[[], Sequence[NewMemory]], loop: asyncio.AbstractEventLoop, template: str | None = None
) -> Iterator[Store]:
    """A database that holds the rows twice, in the service's table and in the guide's.

    Not asynchronous itself: what interrupts the loop must find its way to the end of this, which drops the database.

    Args:
        server: PostgreSQL URL whose role may create databases.
        rows: makes what is to be loaded.
        loop: to work on.
        template: URL of a database on the server to clone, which is filled first if it is empty.
    """
    run = loop.run_until_complete
    name = f"membench_micro_{secrets.token_hex(4)}"
    url = urlsplit(server)._replace(path=f"/{name}").geturl()
    try:
        if template and not run(_tables(template)):
            _prepare(template, rows, loop)
        clone = f' TEMPLATE "{urlsplit(template).path[1:]}"' if template else ""
        run(_administer(server, f"CREATE DATABASE {name}{clone}"))
        if not template:
            _prepare(url, rows, loop)
        with _opened(url, loop) as store:
            yield store
    finally:
        # By force: whatever went wrong may have left a session in it.
        run(_administer(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


@contextlib.contextmanager
def _opened(url: str, loop: asyncio.AbstractEventLoop) -> Iterator[Store]:
    database = Database(Settings(database=url, pool_min=1, pool_max=1, acquire_timeout=10))
    try:
        loop.run_until_complete(database.open())
        loop.run_until_complete(_know_vectors(database))
        yield Store(database, loop)
    finally:
        loop.run_until_complete(database.close())


def _prepare(url: str, rows: Callable[[], Sequence[NewMemory]], loop: asyncio.AbstractEventLoop) -> None:
    """Tables, rows and indexes for an empty database."""
    loop.run_until_complete(migrate(url, DIMENSION))
    with _opened(url, loop) as store:
        loop.run_until_complete(_fill(store, rows()))


async def _administer(server: str, sql: str) -> None:
    connection = await asyncpg.connect(server, timeout=10)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def _tables(url: str) -> int:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
    finally:
        await connection.close()


async def _know_vectors(database: Database) -> None:
    async with database.connection() as connection:
        # pgvector's own registration would replace the service's codec of halfvec too.
        await connection.set_type_codec(
            "vector",
            encoder=lambda value: Vector(value).to_binary(),
            decoder=Vector.from_binary,
            format="binary",
        )


async def _fill(store: Store, rows: Sequence[NewMemory]) -> None:
    async with store.database.connection() as connection:
        # A vacuum in the middle would be in the figures of some runs and not of others.
        await connection.execute("ALTER TABLE memories SET (autovacuum_enabled = off)")
    for start in range(0, len(rows), _GROUP):
        await store.memories.insert(rows[start : start + _GROUP])
    while await store.arrivals.feed(_GROUP):
        pass
    async with store.database.connection() as connection:
        await connection.execute(guide.TABLE)
        await connection.execute(guide.FILL)
        await connection.execute(guide.INDEXES)
        await connection.execute("VACUUM ANALYZE memories")
        await connection.execute("VACUUM ANALYZE guide")
