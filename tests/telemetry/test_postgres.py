"""Readings of a real PostgreSQL: locks, checkpoints, and what a role may not see."""

import asyncio
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from harness.telemetry.postgres import APPLICATION, PERIOD, PostgresSource


@pytest.fixture
def source(postgres_url: str) -> Iterator[PostgresSource]:
    source = PostgresSource(postgres_url)
    source.open()
    source.begin()
    yield source
    source.close()


def look(source: PostgresSource, seconds: float) -> None:
    """Read as the watch does."""
    for _ in range(round(seconds / PERIOD)):
        source.read()
        time.sleep(PERIOD)


async def locked(url: str, source: PostgresSource) -> None:
    holder = await asyncpg.connect(url, server_settings={"application_name": "the holder"})
    # Which of the two comes first is theirs to settle.
    waiter, other = [await asyncpg.connect(url, server_settings={"application_name": "the waiter"}) for _ in range(2)]
    await holder.execute("CREATE TABLE IF NOT EXISTS shelf (id int)")
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("LOCK TABLE shelf IN ACCESS EXCLUSIVE MODE")
    waiting = [asyncio.ensure_future(one.execute("UPDATE shelf SET id = 1")) for one in (waiter, other)]
    await asyncio.sleep(0.1)
    await asyncio.to_thread(look, source, 1.0)
    # The sizes are read under the very lock, and must not wait for it.
    await asyncio.wait_for(asyncio.to_thread(source.close), 5)
    await transaction.rollback()
    await asyncio.gather(*waiting)
    await holder.execute("DROP TABLE shelf")
    for connection in (holder, waiter, other):
        await connection.close()


def test_a_lock_names_who_waits_and_who_holds(postgres_url: str) -> None:
    source = PostgresSource(postgres_url)
    source.open()
    source.begin()
    origin = source.notes.now()
    asyncio.run(locked(postgres_url, source))
    (event,) = [one for one in source.notes.events(origin) if one.kind == "lock"]
    assert event.text.startswith("UPDATE shelf SET id = 1 (the waiter, pid ")
    assert "for RowExclusiveLock on shelf held by the holder, pid " in event.text
    assert event.text.endswith(
        "idle in its transaction: LOCK TABLE shelf IN ACCESS EXCLUSIVE MODE (and 1 more with it)"
    )
    assert event.seconds > 0.5
    assert any("the size of shelf" in sentence for sentence in source.notes.missing)


def test_a_checkpoint_is_seen(postgres_url: str, source: PostgresSource) -> None:
    source.read()

    async def write() -> None:
        connection = await asyncpg.connect(postgres_url)
        await connection.execute("CREATE TABLE IF NOT EXISTS leaf AS SELECT generate_series(1, 20000) AS id")
        await connection.execute("CHECKPOINT")
        await connection.execute("DROP TABLE leaf")
        await connection.close()

    asyncio.run(write())
    look(source, 2.0)
    assert "checkpoint" in [one.kind for one in source.notes.events(0.0)]
    assert max(sample.value for sample in source.notes.samples("WAL written", 0.0)) > 0
    assert max(sample.value for sample in source.notes.samples("commits", 0.0)) > 0


def test_statements_need_their_extension_and_relations_are_read_without(postgres_url: str) -> None:
    source = PostgresSource(postgres_url)
    source.open()
    source.begin()
    asyncio.run(_make(postgres_url))
    source.close()
    (table,) = [one for one in source.relations if one.name == "twig"]
    (index,) = [one for one in source.relations if one.name == "twig_pkey"]
    assert index.table == "twig"
    assert table.mib > 0
    assert any("CREATE EXTENSION pg_stat_statements" in sentence for sentence in source.notes.missing)
    assert source.statements == []


async def _make(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("DROP TABLE IF EXISTS twig; CREATE TABLE twig (id int PRIMARY KEY)")
    await connection.execute("INSERT INTO twig SELECT generate_series(1, 1000)")
    await connection.close()


def test_a_role_without_rights_and_no_server_are_said(postgres_url: str) -> None:
    async def role() -> None:
        connection = await asyncpg.connect(postgres_url)
        await connection.execute("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'guest'")
        await connection.close()

    asyncio.run(role())
    guest = PostgresSource(postgres_url.replace(urlsplit(postgres_url).netloc.rpartition("@")[0], "guest:guest"))
    nobody = PostgresSource("postgresql://nobody:x@127.0.0.1:1/none")
    for source in (guest, nobody):
        source.open()
        source.begin()
        source.read()
        source.close()
    assert any("GRANT pg_read_all_stats TO guest" in sentence for sentence in guest.notes.missing)
    assert guest.notes.samples("active backends", 0.0)
    assert any("did not answer" in sentence for sentence in nobody.notes.missing)


def test_its_connection_cannot_write_and_has_a_name(postgres_url: str, source: PostgresSource) -> None:
    async def named() -> int:
        connection = await asyncpg.connect(postgres_url)
        try:
            return int(
                await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", APPLICATION
                )
            )
        finally:
            await connection.close()

    assert asyncio.run(named()) == 1
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        source._runner.run(source._connection.execute("CREATE TABLE no (id int)"))
