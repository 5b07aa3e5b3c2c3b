"""A PostgreSQL server for one run: what every way of getting one has in common."""

from collections.abc import Callable
from dataclasses import dataclass, field

import asyncpg

from harness.core.errors import StackError
from harness.core.record import Setting

MINIMUM_PGVECTOR = (0, 8, 4)
"""Versions before it corrupt data in parallel index builds."""

Say = Callable[[str], None]
"""Told what is going on, for the user."""


@dataclass
class Postgres:
    """A running server with an empty database.

    Attributes:
        url: of the database.
        kind: container, embedded or external.
        settings: that were set, each with its reason.
        stop: takes down what was brought up. Safe to call twice.
        pid: of the postmaster, where this machine can see it.
    """

    url: str
    kind: str
    stop: Callable[[], None]
    settings: list[Setting] = field(default_factory=list)
    version: str = ""
    pgvector: str = ""
    pid: int | None = None


async def inspect(postgres: Postgres) -> None:
    """Fill in the versions.

    Raises:
        StackError: pgvector is missing or has the data-corruption bug, or the server cannot be reached.
    """
    try:
        connection = await asyncpg.connect(postgres.url, timeout=15)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise StackError(f"PostgreSQL does not let us in: {error}") from error
    try:
        postgres.version = (await connection.fetchval("SHOW server_version")).split(" ")[0]
        postgres.pgvector = (
            await connection.fetchval("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'") or ""
        )
        installed = await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        postgres.pgvector = installed or postgres.pgvector
    finally:
        await connection.close()
    if not postgres.pgvector:
        raise StackError("this PostgreSQL has no pgvector", hint="install pgvector 0.8.4 or later on the server")
    if tuple(int(part) for part in postgres.pgvector.split(".")[:3]) < MINIMUM_PGVECTOR:
        raise StackError(
            f"pgvector {postgres.pgvector} can corrupt data in parallel index builds",
            hint="update it to 0.8.4 or later",
        )
