"""Databases of a run: empty, cloned, dropped."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from harness.core.errors import StackError
from harness.stack import databases
from harness.stack.databases import Databases
from harness.stack.stack import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server("embedded", services=2, autovacuum=False) as running:
        yield running


def execute(url: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def test_a_clone_has_what_its_template_has_and_goes_its_own_way(server: Server) -> None:
    made = Databases(server.admin_url, server.ledger)
    template = made.make()
    assert databases.is_empty(template)
    assert databases.schema(template) == ""
    execute(template, "CREATE TABLE schema_migrations (version int); INSERT INTO schema_migrations VALUES (1), (2)")
    databases.vacuum(template)
    one, other = made.make(template), made.make(template)
    assert not databases.is_empty(one)
    assert databases.schema(one) == databases.schema(other) != ""
    execute(one, "INSERT INTO schema_migrations VALUES (10)")
    assert "up to 10" in databases.schema(one) != databases.schema(other)
    made.drop(one)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        execute(one, "SELECT 1")


def test_two_services_find_connections_for_both_their_pools(server: Server) -> None:
    settings = {setting.name: setting.value for setting in server.postgres.settings}
    assert int(settings["max_connections"]) >= 2 * 50


def test_a_server_that_lets_us_make_none_says_what_is_missing(server: Server, tmp_path: Path) -> None:
    execute(server.admin_url, "CREATE ROLE poor LOGIN PASSWORD 'poor'")
    address = server.admin_url.partition("@")[2]
    with pytest.raises(StackError, match="cannot make a database") as told:
        Databases(f"postgresql://poor:poor@{address}", server.ledger).make()
    assert "CREATEDB" in told.value.hint


def test_a_server_for_services_in_turns_does_not_vacuum_by_itself(server: Server) -> None:
    async def told() -> str:
        connection = await asyncpg.connect(server.admin_url)
        try:
            return str(await connection.fetchval("SHOW autovacuum"))
        finally:
            await connection.close()

    assert asyncio.run(told()) == "off"
    assert [setting.value for setting in server.postgres.settings if setting.name == "autovacuum"] == ["off"]
