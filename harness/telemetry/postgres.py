"""What PostgreSQL did each second, and four times a second who waits for whom."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import asyncpg

from harness.core.readings import Relation, Statement
from harness.telemetry import sql
from harness.telemetry.locks import LockWaits, shortened
from harness.telemetry.notes import Notes

APPLICATION: Final = "membench-telemetry"
PERIOD: Final = 0.25
"""Seconds between two looks at who waits for whom."""
TIMEOUT: Final = 1.0
"""Seconds that any statement may take."""
_TURNS: Final = round(1 / PERIOD)
_STATEMENTS: Final = 20
_MIB: Final = 1024 * 1024
_LOST: Final = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError)


class PostgresSource:
    """PostgreSQL over a read-only connection of its own, `APPLICATION` in pg_stat_activity.

    Counters are the database's, so this connection's own few transactions are among them.

    Args:
        url: of the database.

    Attributes:
        statements: after `close`, those that took the most time over the measure phase.
        relations: after `close`, its tables and indexes.
    """

    name = "PostgreSQL"
    period = PERIOD

    def __init__(self, url: str) -> None:
        self.notes = Notes("postgres")
        self.statements: list[Statement] = []
        self.relations: list[Relation] = []
        self._url = url
        self._locks = LockWaits(self.notes)
        self._connection: Any = None
        self._off: set[str] = set()
        self._turn = 0
        self._checkpoints: tuple[int, int] | None = None
        self._home: str | None = None
        self._new_checkpointer = False
        self._before: dict[Any, Any] | None = None
        self._scans: dict[int, int] | None = None
        self._hits: tuple[int, int] | None = None

    def open(self) -> None:
        """Connect, and say what this role may not read."""
        self._runner = asyncio.Runner()
        self._do("a connection", self._connect)

    def begin(self) -> None:
        """The measure phase begins."""
        self._do("statements", self._first_statements)
        self._do("use of tables and indexes", self._first_scans)

    def read(self) -> None:
        """One look at the waits; at every fourth, the counters."""
        if self._connection is None and self._turn % _TURNS == 0:
            self._do("a connection", self._connect)
        self._do("waits", self._read_activity)
        if self._turn % _TURNS == 0:
            self._do("counters", self._read_database)
            self._do("WAL", self._read_wal)
            self._do("checkpoints", self._read_checkpoints)
        self._turn += 1

    def close(self) -> None:
        """The measure phase is over."""
        self._do("statements", self._last_statements)
        self._do("use of tables and indexes", self._last_scans)
        if self._connection is not None:
            self._connection.terminate()
        self._runner.close()

    def _do(self, what: str, read: Callable[[], Awaitable[None]]) -> None:
        """One reading: what the server refuses is not asked for again, and a lost connection is made anew."""
        if what in self._off or (self._connection is None and read != self._connect):
            return
        try:
            self._runner.run(_within(read()))
        except _LOST as error:
            self.notes.lacks(f"some readings of PostgreSQL: it did not answer ({type(error).__name__})")
            if self._connection is not None:
                self._connection.terminate()
                self._connection = None
        except asyncpg.QueryCanceledError:
            self.notes.lacks(f"some readings of PostgreSQL: its {what} took over {TIMEOUT:g} s")
        except asyncpg.LockNotAvailableError:
            self.notes.lacks(f"some readings of PostgreSQL: its {what} were locked")
        except asyncpg.PostgresError as error:
            self._off.add(what)
            self.notes.lacks(f"PostgreSQL's {what}: {error}")

    async def _connect(self) -> None:
        self._connection = await asyncpg.connect(
            self._url,
            timeout=TIMEOUT,
            server_settings={
                "application_name": APPLICATION,
                "default_transaction_read_only": "on",
                # It must never wait behind the very lock that it reports.
                "lock_timeout": "200ms",
                "statement_timeout": f"{TIMEOUT:g}s",
            },
        )
        row = await self._connection.fetchrow(sql.RIGHTS)
        self._new_checkpointer = row["checkpointer"]
        self._home = await self._connection.fetchval(sql.STATEMENTS_HOME)
        if not row["all_stats"]:
            role = row["role"]
            self.notes.lacks(
                f"statements and waits of PostgreSQL's other users: {role} may not see them "
                f"(GRANT pg_read_all_stats TO {role})"
            )

    async def _read_activity(self) -> None:
        rows = await self._connection.fetch(sql.ACTIVITY)
        clients = [row for row in rows if row["backend_type"] == "client backend"]
        waiting = [row for row in clients if row["wait_event_type"] == "Lock"]
        vacuums = {("vacuum", row["pid"]): row["query"] or "autovacuum" for row in rows if _is_vacuum(row)}
        for key, query in vacuums.items():
            self.notes.see(key, "autovacuum", partial(_ran, shortened(query, 120)))
        self.notes.keep(vacuums, "autovacuum")
        working = any(row["backend_type"] == "checkpointer" and row["wait_event"] != "CheckpointerMain" for row in rows)
        if working and self.notes.is_open("checkpoint"):
            self.notes.see("checkpoint", "checkpoint", partial(_ran, "a checkpoint"))
        elif not working:
            self.notes.keep((), "checkpoint")
        if self._turn % _TURNS == 0:
            self.notes.gauge("active backends", "", len(clients))
            self.notes.gauge("backends waiting for a lock", "", len(waiting))
            for kind in ("IO", "LWLock"):
                count = sum(row["wait_event_type"] == kind for row in clients)
                self.notes.gauge(f"backends waiting for {kind}", "", count)
        # Who blocks whom is asked only where somebody waits: it takes PostgreSQL's own locks on its lock table.
        await self._locks.read(self._connection, bool(waiting) or any(row["wait_event_type"] == "Lock" for row in rows))

    async def _read_database(self) -> None:
        row, notes = await self._connection.fetchrow(sql.DATABASE), self.notes
        notes.counter("commits", "1/s", row["xact_commit"])
        notes.counter("rollbacks", "1/s", row["xact_rollback"])
        notes.counter("blocks read", "1/s", row["blks_read"])
        notes.counter("temporary files", "MiB/s", row["temp_bytes"], scale=1 / _MIB)
        notes.counter("deadlocks", "1/s", row["deadlocks"])
        hit, read = self._hits or (row["blks_hit"], row["blks_read"])
        hits, asked = row["blks_hit"] - hit, row["blks_hit"] - hit + row["blks_read"] - read
        if asked > 0:
            notes.gauge("blocks found in shared buffers", "%", 100 * hits / asked)
        self._hits = row["blks_hit"], row["blks_read"]

    async def _read_wal(self) -> None:
        self.notes.counter("WAL written", "MiB/s", await self._connection.fetchval(sql.WAL), scale=1 / _MIB)

    async def _read_checkpoints(self) -> None:
        row = await self._connection.fetchrow(sql.CHECKPOINTER if self._new_checkpointer else sql.BGWRITER)
        begun = row["timed"], row["requested"]
        self.notes.counter("buffers written by checkpoints", "1/s", row["buffers"])
        if self._checkpoints is not None and begun != self._checkpoints:
            self.notes.see("checkpoint", "checkpoint", partial(_ran, "a checkpoint"))
        self._checkpoints = begun

    async def _first_statements(self) -> None:
        if self._home is None:
            self.notes.lacks(
                "what each statement cost: PostgreSQL has no pg_stat_statements here (add it to "
                "shared_preload_libraries, restart, CREATE EXTENSION pg_stat_statements)"
            )
            return
        rows = await self._connection.fetch(sql.statements(self._home, text=False))
        self._before = {(row["userid"], row["queryid"], row["toplevel"]): row for row in rows}

    async def _last_statements(self) -> None:
        if self._home is None or self._before is None:
            return
        found = []
        for row in await self._connection.fetch(sql.statements(self._home, text=True)):
            before = self._before.get((row["userid"], row["queryid"], row["toplevel"]))
            if before is not None and before["calls"] > row["calls"]:
                before = None  # it was reset, or forgotten and met again
            text = " ".join((row["query"] or "").split())
            names = ("calls", "ms", "rows", "hit", "read", "wal")
            calls, ms, *rest = (row[name] - (before[name] if before else 0) for name in names)
            if calls > 0 and sql.COMMENT not in text:
                rows, hit, read, wal = map(int, rest)
                found.append(Statement(shortened(text, 300), calls, round(ms, 3), rows, hit, read, wal))
        self.statements = sorted(found, key=lambda one: -one.total_ms)[:_STATEMENTS]

    async def _first_scans(self) -> None:
        self._scans = {row["id"]: row["scans"] or 0 for row in await self._connection.fetch(sql.SCANS)}

    async def _last_scans(self) -> None:
        before = self._scans
        if before is None:
            return
        for row in await self._connection.fetch(sql.SCANS):
            name, scans = row["name"], (row["scans"] or 0) - before.get(row["id"], 0)
            try:
                size = await self._connection.fetchval(sql.SIZE, row["id"]) or 0.0
            except (asyncpg.LockNotAvailableError, asyncpg.UndefinedTableError):
                self.notes.lacks(f"the size of {name} in PostgreSQL: it was locked, or dropped")
                size = 0.0
            self.relations.append(
                Relation(name, row["table"], round(size / _MIB, 3), max(scans, 0), row["live"] or 0, row["dead"] or 0)
            )


async def _within(reading: Awaitable[None]) -> None:
    """`reading`, given up when neither it nor the server's own timeout ends it."""
    await asyncio.wait_for(reading, 1.5 * TIMEOUT)


def _is_vacuum(row: Any) -> bool:
    return bool(row["backend_type"] == "autovacuum worker")


def _ran(what: str, seconds: float) -> str:
    return f"{what} ran for {seconds:.1f} s" if seconds >= PERIOD else f"{what} ran"
