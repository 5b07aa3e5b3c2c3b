"""Hearing of changes: from a real server, over a connection that is cut, a server that is away, a loop that hangs."""

import asyncio
import contextlib
import math
import os
import signal
import threading
import time
import uuid

import asyncpg
import pytest

from reference_impl import feed as module
from reference_impl.cache import MemoryCache
from reference_impl.caches import Caches
from reference_impl.candidates.keeper import IndexKeeper
from reference_impl.feed import APPLICATION, TRUSTED_SECONDS, ChangeFeed
from reference_impl.search_cache import SearchCache
from reference_impl.storage.changes import NOTIFY, payloads

A, B = uuid.UUID(int=1), uuid.UUID(int=2)


async def eventually(check, seconds=15):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.005)


def no_index():
    return IndexKeeper(None, 1_536, 0, lambda: False)


def run(database, test):
    """Runs `test(caches, feed, connection)`; the connection is another process's, so to say."""

    async def body():
        caches = Caches(MemoryCache(1_000, 10_000_000, 300.0), SearchCache(1_000, 10_000_000, lag=0.0), no_index())
        feed = ChangeFeed(database, caches, "us")
        connection = await asyncpg.connect(database)
        try:
            await feed.start()
            await test(caches, feed, connection)
        finally:
            await feed.stop()
            with contextlib.suppress(asyncpg.InterfaceError, OSError):
                await connection.close(timeout=5)
        assert not feed.trusted
        assert caches.memories.valid_until == -math.inf
        assert len(caches.memories) == len(caches.searches) == 0

    asyncio.run(body())


def fill(caches):
    for memory_id in (A, B):
        caches.memories.put(memory_id, b"{", 0, caches.memories.token())
        caches.searches.put(memory_id.bytes, b"{}", [memory_id], caches.searches.token(), None)
    assert holds(caches, A)
    assert holds(caches, B)


def holds(caches, memory_id):
    return caches.memories.get(str(memory_id)) is not None and caches.searches.get(memory_id.bytes) is not None


async def listener(connection):
    sql = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()"
    return await connection.fetchval(sql, APPLICATION)


def test_changes_of_others_are_heard_once_committed(database):
    async def test(caches, feed, connection):
        assert feed.trusted
        fill(caches)
        transaction = connection.transaction()
        await transaction.start()
        await connection.fetch(NOTIFY, payloads("them", [A]))
        sent = time.monotonic()
        await eventually(lambda: feed.heard_at > sent)
        assert A in caches.memories
        await transaction.commit()
        await eventually(lambda: A not in caches.memories)
        assert B in caches.memories
        # The lag is zero here: no answer outlives a change, though it may well be without that memory.
        assert not holds(caches, B)

    run(database, test)


def test_new_memories_concern_searches_alone(database):
    async def test(caches, feed, connection):
        fill(caches)
        await connection.fetch(NOTIFY, payloads("them", [A], created=True))
        await eventually(lambda: caches.searches.get(A.bytes) is None)
        assert {A in caches.memories, B in caches.memories} == {True}

    run(database, test)


def test_many_at_once_and_words_that_nobody_knows(database):
    async def test(caches, feed, connection):
        ids = [uuid.uuid4() for _ in range(900)]
        fill(caches)
        for memory_id in ids:
            caches.memories.put(memory_id, b"{", 0, caches.memories.token())
        await connection.fetch(NOTIFY, payloads("them", ids))
        await eventually(lambda: len(caches.memories) == 2)
        await connection.fetch(NOTIFY, ["them ~7"])
        await eventually(lambda: len(caches.memories) == 0)

    run(database, test)


def test_an_answered_heartbeat_proves_that_all_before_it_was_heard(database, monkeypatch):
    monkeypatch.setattr(module, "_HEARTBEAT_SECONDS", 0.0)

    async def test(caches, feed, connection):
        for _ in range(500):
            caches.memories.put(A, b"{", 0, caches.memories.token())
            assert A in caches.memories
            await connection.fetch(NOTIFY, payloads("them", [A]))
            acknowledged = time.monotonic()
            while feed.heard_at < acknowledged:
                await asyncio.sleep(0)
            assert A not in caches.memories

    run(database, test)


def test_a_connection_that_is_cut(database):
    async def test(caches, feed, connection):
        fill(caches)
        await connection.fetchval("SELECT pg_terminate_backend($1)", await listener(connection))
        # Nobody hears this one.
        await connection.fetch(NOTIFY, payloads("them", [A]))
        await eventually(lambda: A not in caches.memories)
        await eventually(lambda: feed.trusted)
        assert len(caches.memories) == 0
        fill(caches)
        await connection.fetch(NOTIFY, payloads("them", [A]))
        await eventually(lambda: A not in caches.memories)

    run(database, test)


def test_what_is_read_while_nothing_is_heard_is_not_kept(database):
    async def test(caches, feed, connection):
        token = caches.memories.token()
        await connection.fetchval("SELECT pg_terminate_backend($1)", await listener(connection))
        await eventually(lambda: not feed.trusted)
        later = caches.memories.token()
        await eventually(lambda: feed.trusted)
        caches.memories.put(A, b"{", 0, token)
        caches.memories.put(B, b"{", 0, later)
        assert len(caches.memories) == 0

    run(database, test)


def test_a_server_that_goes_away_and_comes_back(own_postgres):
    async def test(caches, feed, _connection):
        fill(caches)
        await asyncio.to_thread(own_postgres.stop)
        await eventually(lambda: len(caches.memories) == len(caches.searches) == 0)
        assert not feed.trusted
        caches.memories.put(A, b"{", 0, caches.memories.token())
        assert len(caches.memories) == 0
        await asyncio.to_thread(own_postgres.start)
        await eventually(lambda: feed.trusted)
        fill(caches)

    run(own_postgres.new_database(), test)


def test_a_start_without_a_server(own_postgres):
    database = own_postgres.new_database()
    own_postgres.stop()

    async def test():
        caches = Caches(MemoryCache(10, 1_000_000, 300.0), SearchCache(10, 1_000_000), no_index())
        feed = ChangeFeed(database, caches, "us")
        await feed.start()
        assert not feed.trusted
        await asyncio.to_thread(own_postgres.start)
        await eventually(lambda: feed.trusted)
        await feed.stop()
        await ChangeFeed(database, caches, "us").stop()

    asyncio.run(test())


def test_a_server_that_hangs(database):
    async def test(caches, feed, connection):
        fill(caches)
        pid = await listener(connection)
        os.kill(pid, signal.SIGSTOP)
        try:
            await eventually(lambda: not feed.trusted)
            assert not holds(caches, A)
            # The listener is given up for another.
            await eventually(lambda: feed.trusted)
            assert len(caches.memories) == 0
        finally:
            os.kill(pid, signal.SIGCONT)

    run(database, test)


@pytest.mark.parametrize("seconds", [TRUSTED_SECONDS, 2 * module._TIMEOUT_SECONDS])
def test_a_loop_that_hangs_serves_nothing_until_it_has_caught_up(database, seconds):
    def change():
        async def body():
            connection = await asyncpg.connect(database)
            await connection.fetch(NOTIFY, payloads("them", [A]))
            await connection.close()

        asyncio.run(body())

    async def test(caches, feed, _connection):
        fill(caches)
        other = threading.Thread(target=change)
        other.start()
        other.join()
        time.sleep(seconds)
        assert not feed.trusted
        assert not holds(caches, B)
        await eventually(lambda: feed.trusted)
        assert A not in caches.memories

    run(database, test)
