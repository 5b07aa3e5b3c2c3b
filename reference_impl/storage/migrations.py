"""Brings a database to the schema of this version: numbered SQL files, each applied once and in order."""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

import asyncpg

MINIMUM_PGVECTOR: Final = (0, 8, 4)
# Any constant will do, so long as every version of the service takes the same lock.
_LOCK: Final = 0x6D656D62


class MigrationError(Exception):
    """The database cannot serve; the message says why and what to do, in one line."""


def migrations() -> list[tuple[int, str, str]]:
    """The packaged migrations as (version, name, SQL), in order of version."""
    return sorted(
        (int(match[1]), match[2], entry.read_text(encoding="utf-8"))
        for entry in resources.files("reference_impl.storage").joinpath("sql").iterdir()
        if (match := re.fullmatch(r"(\d{4})_(\w+)\.sql", entry.name))
    )


async def migrate(url: str, dimension: int) -> None:
    """Applies what is missing; several processes may call this at once.

    Args:
        url: PostgreSQL URL.
        dimension: length of the embeddings.

    Raises:
        MigrationError: if pgvector is missing or too old, or the schema is newer or of another dimension.
        OSError: if the server cannot be reached.
        asyncpg.PostgresError: if it refuses the connection or a statement.
    """
    connection = await asyncpg.connect(url, timeout=10, server_settings={"application_name": "reference_impl"})
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await _require_pgvector(connection)
        await _offer_statement_statistics(connection)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (version int PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = {row[0] for row in await connection.fetch("SELECT version FROM schema_migrations")}
        known = migrations()
        if newer := done - {version for version, _, _ in known}:
            raise MigrationError(f"the database has migration {max(newer)}, which this version does not know")
        await _require_dimension(connection, dimension)
        for version, name, sql in known:
            if version in done:
                continue
            async with connection.transaction():
                await connection.execute(sql.replace("{dimension}", str(dimension)))
                await connection.execute("INSERT INTO schema_migrations (version, name) VALUES ($1, $2)", version, name)
    finally:
        await connection.close()  # which gives the lock back, too


async def _require_pgvector(connection: asyncpg.Connection) -> None:
    wanted = ".".join(map(str, MINIMUM_PGVECTOR))
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except (asyncpg.FeatureNotSupportedError, asyncpg.UndefinedFileError):
        raise MigrationError(f"pgvector is not installed on this server; install {wanted} or later") from None
    except asyncpg.InsufficientPrivilegeError:
        raise MigrationError("this role may not create the extension vector; let an owner create it") from None
    version = await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    if tuple(int(part) for part in re.findall(r"\d+", version)[:3]) < MINIMUM_PGVECTOR:
        raise MigrationError(
            f"pgvector {version} is too old, {wanted} or later is required (others can corrupt indexes):"
            " install it, then ALTER EXTENSION vector UPDATE"
        )


async def _offer_statement_statistics(connection: asyncpg.Connection) -> None:
    """Creates pg_stat_statements where the server has it loaded; nothing here depends on it."""
    # Not shared_preload_libraries, which an ordinary role may not read.
    loaded = await connection.fetchval("SELECT count(*) FROM pg_settings WHERE name = 'pg_stat_statements.max'")
    if loaded:
        try:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        except asyncpg.PostgresError:
            return


async def _require_dimension(connection: asyncpg.Connection, dimension: int) -> None:
    """Before the migrations: they would make what is missing with another dimension than what is there."""
    actual = await connection.fetchval(
        "SELECT atttypmod FROM pg_attribute WHERE attrelid = to_regclass('memories') AND attname = 'code'"
    )
    if actual not in {None, dimension}:
        raise MigrationError(f"the database holds embeddings of {actual} dimensions, not {dimension}")
