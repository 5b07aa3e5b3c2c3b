"""What the monitoring views say, on a real server: with pg_stat_statements, without, and when it comes later."""

import asyncio
import contextlib
import random
import uuid

import asyncpg
import pytest

from reference_impl.storage.migrations import migrate

DIMENSION = 256
VIEWS = (
    "performance_summary",
    "statistics_since",
    "index_usage_summary",
    "unused_indexes",
    "connection_summary",
    "blocking_queries",
    "table_summary",
    "cache_hits",
    "memory_bytes",
    "memory_index_bytes",
)
INSERT = f"""
INSERT INTO memories (id, content, packed, content_hash, tier, status, metadata, code, indexed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::bit({DIMENSION}), true)"""


@contextlib.asynccontextmanager
async def connected(url, count=1):
    connections = [await asyncpg.connect(url) for _ in range(count)]
    try:
        yield connections[0] if count == 1 else connections
    finally:
        for connection in connections:
            await connection.close()


@pytest.fixture(scope="module")
def url(database):
    """A database with the schema, without pg_stat_statements."""
    asyncio.run(migrate(database, DIMENSION))
    return database


def load_statement_statistics(server):
    async def alter():
        async with connected(server.url("postgres")) as connection:
            await connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")

    asyncio.run(alter())
    server.stop()
    server.start()


async def rows(connection, view, where="true"):
    await connection.execute("SELECT pg_stat_force_next_flush()")
    return [dict(row) for row in await connection.fetch(f"SELECT * FROM {view} WHERE {where}")]


async def until(check, seconds=10):
    for _ in range(seconds * 20):
        if found := await check():
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen")


async def insert(connection, tier="working", status="active", content="words", packed=None, metadata="{}"):
    key = uuid.uuid4()
    bits = asyncpg.BitString("01" * (DIMENSION // 2))
    await connection.execute(INSERT, key, content, packed, key.bytes, tier, status, metadata, bits)
    if tier != "cold":
        vector = "[" + ",".join(["0.5"] * DIMENSION) + "]"
        await connection.execute(f"INSERT INTO memory_vectors VALUES ($1, '{vector}')", key)
    return key


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_asked_and_says_what_it_is(url, view):
    async def check():
        async with connected(url) as connection:
            await rows(connection, view)
            assert await connection.fetchval("SELECT obj_description($1::regclass)", view)

    asyncio.run(check())


def test_without_statement_statistics_the_summary_is_empty_and_says_why(url):
    async def check():
        notices = []
        async with connected(url) as connection:
            connection.add_log_listener(lambda _, notice: notices.append(notice))
            assert await rows(connection, "performance_summary") == []
            await asyncio.sleep(0)
        assert "shared_preload_libraries" in notices[0].hint

    asyncio.run(check())


def test_statement_statistics_may_come_later_and_go_again(own_postgres):
    database, other = own_postgres.new_database(), own_postgres.new_database()
    asyncio.run(migrate(database, DIMENSION))
    load_statement_statistics(own_postgres)
    # As at the next start of the service, which is when the extension is made.
    asyncio.run(migrate(database, DIMENSION))

    async def check():
        async with connected(other) as elsewhere:
            await elsewhere.fetch("SELECT 'elsewhere'")
        async with connected(database) as connection:
            statement = "SELECT count(*) + $1::int FROM memories"
            for number in range(7):
                await connection.fetchval(statement, number)
            found = {row["query"]: row for row in await rows(connection, "performance_summary")}
            counted = found[statement]
            assert (counted["calls"], counted["rows"]) == (7, 7)
            assert counted["total_ms"] == pytest.approx(7 * counted["mean_ms"])
            assert counted["shared_blks_hit"] >= 0
            assert 0 < sum(row["time_share"] for row in found.values()) <= 1 + 1e-9
            assert len(found) <= 20
            assert not any("elsewhere" in query for query in found)
            await connection.execute("DROP EXTENSION pg_stat_statements")  # the view does not stand in its way
            assert await rows(connection, "performance_summary") == []

    asyncio.run(check())


def test_an_ordinary_role_that_owns_its_database_can_migrate(own_postgres):
    load_statement_statistics(own_postgres)

    async def prepare():
        async with connected(own_postgres.url("postgres")) as connection:
            await connection.execute("CREATE ROLE plain LOGIN")
            await connection.execute("CREATE DATABASE plain OWNER plain")
        async with connected(own_postgres.url("plain")) as connection:
            await connection.execute("CREATE EXTENSION vector")

    asyncio.run(prepare())
    plain = own_postgres.url("plain").replace("postgres:", "plain:", 1)
    asyncio.run(migrate(plain, DIMENSION))

    async def check():
        async with connected(plain) as connection:
            assert await connection.fetchval("SELECT current_user") == "plain"
            for view in VIEWS:
                await rows(connection, view)

    asyncio.run(check())


def test_a_role_that_may_only_monitor_sees_everything_but_memories(own_postgres):
    load_statement_statistics(own_postgres)
    database = own_postgres.new_database()
    asyncio.run(migrate(database, DIMENSION))

    async def check():
        async with connected(database, 2) as (owner, holder):
            key = await insert(owner)
            await owner.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
            await owner.execute(f"GRANT SELECT ON {', '.join(VIEWS)} TO watcher")
            await holder.execute("BEGIN")
            await holder.execute("UPDATE memories SET importance_score = 0.1 WHERE id = $1", key)
            waiting = asyncio.create_task(owner.execute("DELETE FROM memories WHERE id = $1", key))
            async with connected(database.replace("postgres:", "watcher:", 1)) as watcher:
                found = await until(lambda: rows(watcher, "blocking_queries"))
                assert "DELETE FROM memories" in found[0]["waiting_query"]
                assert any("INSERT INTO memories" in row["query"] for row in await rows(watcher, "performance_summary"))
                [counts] = await rows(watcher, "memory_bytes")
                assert counts["memories"] == 1
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await watcher.fetch("SELECT content FROM memories")
            await holder.execute("ROLLBACK")
            await waiting

    asyncio.run(check())


def test_the_guides_connection_view_gives_way(own_postgres):
    database = own_postgres.new_database()

    async def prepare():
        async with connected(database) as connection:
            await connection.execute(
                "CREATE VIEW connection_summary AS SELECT count(*) AS total_connections, 1::bigint AS active,"
                " 1::bigint AS idle, 1::bigint AS idle_in_transaction FROM pg_stat_activity"
            )

    asyncio.run(prepare())
    asyncio.run(migrate(database, DIMENSION))


def test_statistics_begin_anew_with_a_crash(own_postgres):
    database = own_postgres.new_database()
    asyncio.run(migrate(database, DIMENSION))

    async def since():
        async with connected(database) as connection:
            [row] = await rows(connection, "statistics_since")
            started = await connection.fetchval("SELECT pg_postmaster_start_time()")
            usage = await rows(connection, "index_usage_summary")
            assert {index["since"] for index in usage} == {row["since"]}
            return row["since"], started

    before, _ = asyncio.run(since())
    own_postgres.crash()
    own_postgres.start()
    after, started = asyncio.run(since())
    assert before < started <= after


def test_indexes_used_and_not(url):
    async def check():
        async with connected(url) as connection:
            await connection.execute("CREATE INDEX idle_one ON memories (importance_score, id)")
            await connection.execute("CREATE UNIQUE INDEX idle_unique ON memories (id, tier)")
            key = await insert(connection)
            unused = {row["index_name"] for row in await rows(connection, "unused_indexes")}
            assert "idle_one" in unused
            assert not unused & {"idle_unique", "memories_pkey", "memories_content_hash_tier", "schema_migrations_pkey"}
            usage = {row["index_name"]: row for row in await rows(connection, "index_usage_summary")}
            assert unused < usage.keys()
            before = usage["memories_pkey"]
            size = await connection.fetchval("SELECT pg_relation_size('memories_pkey')")
            assert (before["table_name"], before["bytes"]) == ("memories", size)
            await connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
            for _ in range(3):
                await connection.fetch("SELECT metadata FROM memories WHERE id = $1", key)
            await connection.fetch("SELECT 1 FROM memories WHERE importance_score > 0.1 ORDER BY importance_score, id")
            usage = {row["index_name"]: row for row in await rows(connection, "index_usage_summary")}
            scans = usage["memories_pkey"]["idx_scan"] + usage["idle_unique"]["idx_scan"]
            assert scans >= before["idx_scan"] + 3
            assert "idle_one" not in {row["index_name"] for row in await rows(connection, "unused_indexes")}
            await connection.execute("DROP INDEX idle_one, idle_unique")

    asyncio.run(check())


def test_connections_by_state(url):
    async def check():
        async with connected(url, 4) as (asking, idle, open_one, failed):
            await idle.fetch("SELECT 1")
            await open_one.execute("BEGIN; SELECT 1")
            await failed.execute("BEGIN")
            with pytest.raises(asyncpg.DivisionByZeroError):
                await failed.execute("SELECT 1/0")
            await asyncio.sleep(0.2)
            [row] = await rows(asking, "connection_summary")
            assert row["longest_transaction_seconds"] >= 0.2
            del row["longest_transaction_seconds"]
            assert row == {
                "total_connections": 4,
                "active": 1,
                "idle": 1,
                "idle_in_transaction": 1,
                "idle_in_failed_transaction": 1,
                "waiting_for_locks": 0,
                "max_connections": int(await asking.fetchval("SHOW max_connections")),
            }

    asyncio.run(check())


def test_who_blocks_whom(url):
    async def check():
        async with connected(url, 4) as (asking, holder, first, second):
            key = await insert(asking)
            await holder.execute("BEGIN")
            await holder.execute("UPDATE memories SET importance_score = 0.1 WHERE id = $1", key)
            await holder.execute("SELECT 'thinking'")
            delete = f"DELETE FROM memories WHERE id = '{key}'"
            waiting = []
            for connection, expected in ((first, 1), (second, 2)):
                waiting.append(asyncio.create_task(connection.execute(delete)))

                async def seen(expected=expected):
                    found = await rows(asking, "blocking_queries")
                    return found if len({row["waiting_pid"] for row in found}) == expected else None

                found = await until(seen)
            pids = {connection: connection.get_server_pid() for connection in (holder, first, second)}
            pairs = {(row["waiting_pid"], row["blocking_pid"]) for row in found}
            assert (pids[first], pids[holder]) in pairs
            # Second in the queue: it waits for the first in it, too.
            assert (pids[second], pids[first]) in pairs
            row = next(row for row in found if row["blocking_pid"] == pids[holder])
            assert row["waiting_query"] == delete
            assert row["blocking_query"] == "SELECT 'thinking'"
            assert row["blocking_state"] == "idle in transaction"
            assert 0 <= row["waiting_seconds"] <= row["blocking_transaction_seconds"] < 60
            [summary] = await rows(asking, "connection_summary")
            assert summary["waiting_for_locks"] == 2
            await holder.execute("ROLLBACK")
            await asyncio.gather(*waiting)
            assert await rows(asking, "blocking_queries") == []

    asyncio.run(check())


def test_tables_their_rows_and_scans(url):
    async def check():
        async with connected(url) as connection:
            await connection.execute("CREATE TABLE probe (id int) WITH (autovacuum_enabled = off)")
            await connection.execute("INSERT INTO probe SELECT generate_series(1, 1000)")
            for _ in range(4):
                await connection.fetchval("SELECT sum(id) FROM probe")
            await connection.execute("DELETE FROM probe WHERE id <= 200")
            [row] = await rows(connection, "table_summary", "table_name = 'probe'")
            assert (row["live_rows"], row["dead_rows"], row["dead_share"]) == (800, 200, 0.2)
            # The DELETE read the table as well.
            assert (row["sequential_scans"], row["rows_per_scan"], row["index_scans"]) == (5, 1000, None)
            assert (row["inserts"], row["deletes"], row["last_vacuum"]) == (1000, 200, None)
            await connection.execute("VACUUM ANALYZE probe")
            [row] = await rows(connection, "table_summary", "table_name = 'probe'")
            assert (row["live_rows"], row["dead_rows"]) == (800, 0)
            assert row["last_vacuum"] >= row["since"]
            assert row["last_analyze"] >= row["since"]
            assert row["bytes"] == await connection.fetchval("SELECT pg_table_size('probe')")

    asyncio.run(check())


def test_buffer_hits_by_table_and_index(url):
    async def check():
        async with connected(url) as connection:
            key = await insert(connection, content=random.Random(1).randbytes(30_000).hex())

            async def read():
                await connection.fetchval("SELECT content FROM memories WHERE id = $1", key)
                return {(row["kind"], row["name"]): row for row in await rows(connection, "cache_hits")}

            await connection.execute("SET enable_seqscan = off")
            before, after = await read(), await read()
            for name in (("table", "memories"), ("index", "memories_pkey"), ("toast", "memories")):
                assert after[name]["hits"] > before[name]["hits"], name
                assert after[name]["reads"] == before[name]["reads"]
            for row in after.values():
                total = row["hits"] + row["reads"]
                assert row["hit_ratio"] == (pytest.approx(row["hits"] / total) if total else None)

    asyncio.run(check())


def test_where_the_bytes_are(postgres):
    database = postgres.new_database()
    asyncio.run(migrate(database, DIMENSION))

    async def check():
        async with connected(database) as connection:
            async with connection.transaction():
                for _ in range(300):
                    await insert(connection, content="a hundred characters " * 5, metadata='{"user": 17}')
                for _ in range(100):
                    await insert(connection, "cold", content=None, packed=b"\1" * 40)
                await insert(connection, "warm", "deleted")
            found = {(row["tier"], row["status"]): row for row in await rows(connection, "memory_bytes")}
            working, cold = found["working", "active"], found["cold", "active"]
            assert (working["memories"], cold["memories"], found["warm", "deleted"]["memories"]) == (300, 100, 1)
            code = await connection.fetchval("SELECT max(pg_column_size(code)) FROM memories")
            vectors = await connection.fetchval(
                "SELECT sum(pg_column_size(v.embedding)) FROM memory_vectors v JOIN memories m USING (id)"
                " WHERE m.tier = 'working'"
            )
            assert working["vector_bytes"] == vectors + 300 * code
            assert cold["vector_bytes"] == 100 * code
            assert 300 * 105 <= working["text_bytes"] <= 300 * 110
            assert 100 * 40 <= cold["text_bytes"] <= 100 * 45
            stored = await connection.fetchval(
                "SELECT pg_relation_size('memories') + pg_relation_size('memory_vectors')"
            )
            # Alignment and the ends of pages make the rest.
            assert 0.8 * stored < sum(row["row_bytes"] for row in found.values()) <= stored
            indexes = {row["index_name"]: row for row in await rows(connection, "memory_index_bytes")}
            total = await connection.fetchval("SELECT pg_indexes_size('memories') + pg_indexes_size('memory_vectors')")
            assert {"memories_code_hnsw", "memories_pkey", "memory_vectors_pkey"} <= indexes.keys()
            # pg_indexes_size counts free space maps, too.
            assert 0 < sum(row["bytes"] for row in indexes.values()) <= total
            row = indexes["memories_code_hnsw"]
            assert row["working_bytes_estimate"] == 3 * row["cold_bytes_estimate"] == 0.75 * row["bytes"]
            assert row["warm_bytes_estimate"] == 0
            assert indexes["memory_vectors_pkey"]["cold_bytes_estimate"] == 0

    asyncio.run(check())
