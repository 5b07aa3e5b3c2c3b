"""Databases of one run on one PostgreSQL server, made empty or cloned from each other."""

import asyncio
import hashlib
import os
import secrets
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from harness.core.errors import StackError
from harness.core.secrets import hide_password
from harness.stack import external
from harness.stack.ledger import Ledger

_MIGRATIONS: Final = {
    "schema_migrations": "SELECT version::text FROM schema_migrations ORDER BY 1",
    "alembic_version": "SELECT version_num FROM alembic_version ORDER BY 1",
}
"""Where services note which migrations a database has had."""


class Databases:
    """Makes and drops databases.

    Args:
        server: URL of a database on the server, of a role that may make others.
        ledger: of the run; what is made stands in it before it is there.
    """

    def __init__(self, server: str, ledger: Ledger) -> None:
        self._server, self._ledger = server, ledger

    def make(self, template: str | None = None) -> str:
        """A new database; its URL.

        Args:
            template: URL of one to copy, to which nobody may be connected; None for an empty one.

        Raises:
            StackError: the server does not let us.
        """
        name = f"{external.PREFIX}{os.getpid()}_{secrets.token_hex(4)}"
        self._ledger.database(self._server, name)
        clause = f' TEMPLATE "{_name(template)}"' if template else ""
        try:
            asyncio.run(_fetch(self._server, f'CREATE DATABASE "{name}"{clause}'))
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StackError(
                f"cannot make a database on {hide_password(self._server)}: {error}",
                hint="the role needs CREATEDB",
            ) from error
        return urlunsplit(urlsplit(self._server)._replace(path=f"/{name}"))

    def drop(self, url: str) -> None:
        """Drop one that `make` made."""
        external.drop(self._server, _name(url))


def schema(url: str) -> str:
    """Which migrations a database has had, in words; empty where it does not tell."""
    for table, query in _MIGRATIONS.items():
        try:
            rows = asyncio.run(_fetch(url, query))
        except (OSError, asyncpg.PostgresError):
            continue
        versions = [str(row[0]) for row in rows]
        digest = hashlib.sha256("\n".join(versions).encode()).hexdigest()[:8]
        return f"{table} up to {max(versions, key=lambda one: (len(one), one))} ({digest})" if versions else ""
    return ""


def is_empty(url: str) -> bool:
    """Whether a database has no table of anybody's."""
    query = "SELECT 1 FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') LIMIT 1"
    return not asyncio.run(_fetch(url, query))


def vacuum(url: str) -> None:
    """Clean a database up and count its rows, so that none of its clones begins with that."""
    asyncio.run(_fetch(url, "VACUUM (ANALYZE)"))


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


async def _fetch(url: str, statement: str) -> list[Any]:
    connection = await asyncpg.connect(url, timeout=15)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()
