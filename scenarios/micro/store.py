"""A database of the suite's own: made, filled, lent over one connection, dropped."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

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
def temporary(server: str, rows: Sequence[NewMemory], loop: asyncio.AbstractEventLoop) -> Iterator[Store]:
    """A database that holds the rows twice, in the service's table and in the guide's.

    Not asynchronous itself: what interrupts the loop must find its way to the end of this, which drops the database.

    Args:
        server: PostgreSQL URL whose role may create databases.
        rows: to load.
        loop: to work on.
    """
    run = loop.run_until_complete
    name = f"membench_micro_{secrets.token_hex(4)}"
    url = urlsplit(server)._replace(path=f"/{name}").geturl()
    try:
        run(_administer(server, f"CREATE DATABASE {name}"))
        run(migrate(url, DIMENSION))
        database = Database(Settings(database=url, pool_min=1, pool_max=1, acquire_timeout=10))
        try:
            run(database.open())
            store = Store(database, loop)
            run(_fill(store, rows))
            yield store
        finally:
            run(database.close())
    finally:
        # By force: whatever went wrong may have left a session in it.
        run(_administer(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


async def _administer(server: str, sql: str) -> None:
    connection = await asyncpg.connect(server, timeout=10)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def _fill(store: Store, rows: Sequence[NewMemory]) -> None:
    async with store.database.connection() as connection:
        # pgvector's own registration would replace the service's codec of halfvec too.
        await connection.set_type_codec(
            "vector",
            encoder=lambda value: Vector(value).to_binary(),
            decoder=Vector.from_binary,
            format="binary",
        )
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
