"""Somebody's own PostgreSQL: a database of our own on it, and nothing else of theirs touched."""

import asyncio
import contextlib
import os
import secrets
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from harness.core.errors import StackError
from harness.core.secrets import hide_password
from harness.stack.ledger import Ledger
from harness.stack.postgres import Postgres, Say

PREFIX = "membench_"


def start(url: str, ledger: Ledger, say: Say) -> Postgres:
    """Make a database on the server behind `url`; dropped again at the end. The server's settings stay.

    Raises:
        StackError: the server cannot be reached or does not let us make a database.
    """
    name = f"{PREFIX}{os.getpid()}_{secrets.token_hex(4)}"
    say(f"making the database {name} on your server")
    ledger.database(url, name)
    try:
        asyncio.run(_execute(url, f'CREATE DATABASE "{name}"'))
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StackError(
            f"cannot make a database on {hide_password(url)}: {error}",
            hint="--postgres takes postgresql://user:password@host:port/database of a role with CREATEDB",
        ) from error
    own = urlsplit(url)._replace(path=f"/{name}")

    def stop() -> None:
        drop(url, name)

    return Postgres(urlunsplit(own), "external", stop)


def drop(url: str, name: str) -> None:
    """Drop a database of ours; only ever one that `start` named."""
    if name.startswith(PREFIX):
        with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            asyncio.run(_execute(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=15)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
