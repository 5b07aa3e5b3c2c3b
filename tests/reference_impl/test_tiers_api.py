"""Tiers over HTTP: reviewed on demand, seen at once by every process, analysed."""

import time

import pytest

AT_ONCE = ("--working-to-warm-days", "0", "--warm-to-cold-days", "0", "--tier-dwell-days", "0", "--tier-interval", "0")


@pytest.fixture
def pair(postgres, launch):
    """Two services of one database, where whatever is not being read is idle."""
    url = postgres.new_database()
    running = [launch(url, *AT_ONCE), launch(url, *AT_ONCE)]
    yield running
    assert [each.stop() for each in running] == [0, 0]


def path(memory):
    return f"/api/v1/memories/{memory['id']}"


def until(check):
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_a_memory_goes_down_and_comes_back_up_for_all_to_see(pair):
    first, second = pair
    text = "Ada prefers tea \U0001f375 over coffee"
    memory = first.create(text, metadata={"who": "Ada"})
    assert second.get(path(memory)).json["tier"] == "Working"  # both have it in their caches
    stats = first.post("/api/v1/tiers/migrate", {})
    assert stats.status == 200, stats.body
    # Down both steps in one review, since nothing has to stay anywhere.
    assert (stats.json["demoted"], stats.json["archived"], stats.json["promoted"]) == (1, 1, 0)
    assert stats.json["batches"] == 2
    assert first.get(path(memory)).json["tier"] == "Cold"
    until(lambda: second.get(path(memory)).json["tier"] == "Cold")
    for running in pair:
        found = running.get(path(memory)).json
        assert (found["content"], found["updated_at"]) == (text, memory["updated_at"])
        assert [hit["memory"]["content"] for hit in running.search("tea or coffee?", limit=1)] == [text]

    report = second.get("/api/v1/tiers").json
    assert [tier["tier"] for tier in report["tiers"]] == ["Working", "Warm", "Cold"]
    assert {move["reason"] for move in report["moves_last_day"]} == {"idle"}
    assert report["settings"]["working_to_warm_days"] == 0
    assert report["cold_compression"]["vector"] > 20


def test_reads_bring_a_memory_back_up(postgres, launch):
    url = postgres.new_database()
    running = launch(url, "--tier-dwell-days", "0", "--tier-interval", "0")
    try:
        memory = running.create("read again and again", tier="Cold")
        for _ in range(5):
            running.get(path(memory))
        promoted = 0

        def climbs():
            # Reads are counted in the database about once a second.
            nonlocal promoted
            promoted += running.post("/api/v1/tiers/migrate", {}).json["promoted"]
            return promoted == 1

        until(climbs)
        found = running.get(path(memory) + "?include=embedding").json
        assert (found["tier"], found["content"]) == ("Warm", "read again and again")
        assert len(found["embedding"]) == 1_536
        assert running.search("read again", limit=1)[0]["memory"]["tier"] == "Warm"
    finally:
        assert running.stop() == 0


def test_the_id_of_a_merged_memory_still_leads_to_it(pair):
    first, second = pair
    cold = first.create("the same content", tier="Cold")
    working = first.create("the same content", metadata={"from": "working"})
    assert first.post("/api/v1/tiers/migrate", {}).json["merged"] == 1
    for running in pair:
        until(lambda running=running: running.get(path(working)).json.get("id") == cold["id"])
        assert running.get(path(cold)).json["metadata"] == {"from": "working"}
    assert first.call("PATCH", path(working), {"importance_score": 0.9}).json["id"] == cold["id"]
    assert second.call("DELETE", path(working)).status == 204
    until(lambda: first.get(path(cold)).status == 404)
