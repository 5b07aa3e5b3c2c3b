"""Reads are counted, from the cache too, across flushes and restarts, and by many at once."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest


def path(memory):
    return f"/api/v1/memories/{memory['id']}"


def test_every_read_counts_cached_or_not(service):
    memory = service.create("counted")
    for number in range(1, 6):
        reply = service.get(path(memory))
        assert reply.json["access_count"] == number
        assert reply.json["last_accessed_at"] is not None
        assert "cache;desc=hit" in reply.headers["server-timing"]


def test_counts_stay_true_across_flushes(service):
    memory = service.create("flushed")
    end = time.monotonic() + 2.5
    number = 0
    while time.monotonic() < end:
        number += 1
        assert service.get(path(memory)).json["access_count"] == number
        time.sleep(0.005)


@pytest.mark.parametrize("options", [(), ("--cache-size", "0")], ids=["cache", "no cache"])
def test_concurrent_reads_and_restarts_lose_none(postgres, launch, options):
    database = postgres.new_database()
    running = launch(database, *options)

    def read(_):
        connection = running.connect()
        try:
            return [running.call("GET", path(memory), connection=connection).json["access_count"] for _ in range(50)]
        finally:
            connection.close()

    try:
        memory = running.create("popular")
        with ThreadPoolExecutor(8) as pool:
            seen = [count for counts in pool.map(read, range(8)) for count in counts]
        assert sorted(seen) == list(range(1, 401))
    finally:
        assert running.stop() == 0
    running = launch(database, *options)
    try:
        reply = running.get(path(memory))
        assert reply.json["access_count"] == 401
        assert "cache;desc=miss" in reply.headers["server-timing"]
    finally:
        assert running.stop() == 0


def test_unknown_and_malformed_ids(service):
    reply = service.get(f"/api/v1/memories/{uuid.uuid4()}")
    assert (reply.status, reply.json["error"]["code"]) == (404, "MEMORY_NOT_FOUND")
    reply = service.get("/api/v1/memories/42")
    assert (reply.status, reply.json["error"]["code"]) == (400, "INVALID_REQUEST")
    assert reply.json["error"]["details"]["field"] == "id"
    assert service.get(f"/api/v1/memories/{uuid.uuid4()}?include=everything").status == 400


def test_a_batch_of_working_memories_is_cached_but_drives_nothing_out(postgres, launch):
    running = launch(postgres.new_database(), "--cache-size", "3")
    try:
        first = running.create("being read")
        batch = [{"content": f"imported {n}", "tier": "Cold" if n == 0 else "Working"} for n in range(6)]
        stored = running.post("/api/v1/memories/batch", {"memories": batch}).json["results"]
        cold, working, *_, last = [outcome["memory"] for outcome in stored]
        timings = [running.get(path(memory)).headers["server-timing"] for memory in (first, working, last, cold)]
        assert [timing.partition("cache;desc=")[2][:4] for timing in timings] == ["hit", "hit", "miss", "miss"]
    finally:
        assert running.stop() == 0
