"""kill -9 under load, of the service and of PostgreSQL: nothing that was acknowledged is lost, and both come back.

MEMBENCH_KILLS says how often each is killed.
"""

import asyncio
import contextlib
import http.client
import json
import os
import random
import threading
import time

import asyncpg
import pytest

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("MEMBENCH_KILLS", "2"))
LOAD_SECONDS = 1.0
CONNECTIONS = 8
PATIENCE = 30
WORDS = [
    "amber", "anchor", "basil", "bridge", "cedar", "chalk", "copper", "coral", "crane", "delta", "ember",
    "falcon", "fern", "flint", "garnet", "glacier", "harbour", "hazel", "island", "ivory", "jasper", "juniper",
    "kettle", "lagoon", "lantern", "linen", "maple", "marble", "meadow", "nectar", "oasis",
]  # fmt: skip


class Load:
    """Creates over several connections until it is told to stop, or, where it may, until the service is gone."""

    def __init__(self, running, name):
        self.acknowledged = {}
        self.refused = []
        self.wrong = []
        self.broken = 0
        self._running = running
        self._halt = threading.Event()
        self._threads = [
            threading.Thread(target=self._create, args=(f"{name} connection {number}",))
            for number in range(CONNECTIONS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._halt.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a create was never answered"

    def _create(self, name):
        rng = random.Random(name)
        connection = self._running.connect()
        for number in range(1_000_000):
            if self._halt.is_set():
                break
            content = f"{name} number {number}: {' '.join(rng.sample(WORDS, 6))}"
            try:
                reply = self._running.call("POST", "/api/v1/memories", {"content": content}, connection=connection)
            except (OSError, http.client.HTTPException):
                self.broken += 1
                break
            if reply.status == 200:
                self.acknowledged[reply.json["id"]] = content
            elif reply.status == 503 and int(reply.headers["retry-after"]) >= 1:
                self.refused.append(content)
                time.sleep(0.02)
            else:
                self.wrong.append((reply.status, reply.body))
        connection.close()


@contextlib.contextmanager
def load(running, name):
    """Load that has been running for a while when the block begins, and goes on until it ends."""
    load = Load(running, name)
    try:
        eventually(lambda: len(load.acknowledged) >= 100)
        time.sleep(LOAD_SECONDS)
        yield load
    finally:
        load.stop()


def eventually(check):
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def stored(url, ids):
    """Content by id, as the database has it: no cache can stand in for what was lost."""

    async def read():
        connection = await asyncpg.connect(url)
        try:
            found = await connection.fetch(
                "SELECT id, content FROM memories WHERE id = ANY ($1::uuid[]) AND status = 'active'", list(ids)
            )
            return {str(row["id"]): row["content"] for row in found}
        finally:
            await connection.close()

    return asyncio.run(read())


def unindexed(url):
    """How many memories the search indexes do not hold yet."""

    async def read():
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval("SELECT count(*) FROM memories WHERE NOT indexed AND status = 'active'")
        finally:
            await connection.close()

    return asyncio.run(read())


def served(running, ids):
    """Content by id, as the service answers."""
    found = {}
    for key in ids:
        reply = running.get(f"/api/v1/memories/{key}")
        assert reply.status == 200, (key, reply.body)
        found[key] = reply.json["content"]
    return found


def finds(running, acknowledged):
    """Whether a search finds one of those acknowledged last."""
    key, content = list(acknowledged.items())[-1]
    return key in [result["memory"]["id"] for result in running.search(content, limit=10)]


def test_nothing_acknowledged_is_lost_when_the_service_is_killed(own_postgres, launch):
    database = own_postgres.new_database()
    running, everything = launch(database), {}
    for kill in range(KILLS):
        with load(running, f"kill {kill}") as creates:
            running.process.kill()
            running.process.communicate()
        assert creates.broken == CONNECTIONS
        assert creates.wrong == creates.refused == []
        acknowledged = dict(creates.acknowledged)
        everything |= acknowledged
        assert stored(database, acknowledged) == acknowledged
        running = launch(database)
        # At once: what it says on stdout is a promise.
        assert running.get("/api/v1/health").status == 200
        assert running.create(f"after kill {kill}")["deduplicated"] is False
        assert finds(running, acknowledged)
        assert served(running, acknowledged) == acknowledged
    assert stored(database, everything) == everything
    # What was on its way into the indexes when it happened gets there.
    eventually(lambda: unindexed(database) == 0)
    assert running.stop() == 0
    for line in running.log():
        assert json.loads(line)["event"] not in ("group_failed", "request_failed"), line


def test_nothing_acknowledged_is_lost_when_postgresql_is_killed(own_postgres, launch):
    database = own_postgres.new_database()
    running, everything = launch(database), {}
    process = running.process.pid
    for kill in range(KILLS):
        with load(running, f"kill {kill}") as creates:
            own_postgres.crash()
            # Away for a while: every connection meets that, and none is left hanging.
            eventually(lambda: len(creates.refused) >= 2 * CONNECTIONS)
            assert running.get("/api/v1/noop").status == 200
            eventually(lambda: running.get("/api/v1/health").status == 503)
            reply = running.post("/api/v1/search", {"query_text": f"kill {kill} while it is away"})
            assert reply.status == 503, reply.body
            assert int(reply.headers["retry-after"]) >= 1
            goal = len(creates.acknowledged) + 100
            own_postgres.start()
            # By itself, on the same connections.
            eventually(lambda goal=goal: len(creates.acknowledged) >= goal)
        assert creates.wrong == [], running.log()[-3:]
        assert creates.broken == 0
        acknowledged = dict(creates.acknowledged)
        everything |= acknowledged
        assert stored(database, acknowledged) == acknowledged
        eventually(lambda: running.get("/api/v1/health").status == 200)
        assert finds(running, acknowledged)
        assert served(running, acknowledged) == acknowledged
        # Some of these are stored, and only the answer was lost: whoever asks again gets that one.
        again = {running.create(content)["id"]: content for content in creates.refused}
        assert stored(database, again) == again
        assert not again.keys() & acknowledged.keys()
        assert (running.process.poll(), running.process.pid) == (None, process)
    assert stored(database, everything) == everything
    # What was on its way into the indexes when it happened gets there.
    eventually(lambda: unindexed(database) == 0)
    assert running.stop() == 0
    for line in running.log():
        assert json.loads(line)["event"] not in ("group_failed", "request_failed"), line
