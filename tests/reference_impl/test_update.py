"""Changing and deleting memories: what changes, what stays, what is refused, and many at once."""

import asyncio
import hashlib
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

FUTURE = (datetime.now(UTC) + timedelta(days=1)).isoformat()
VOLATILE = {"access_count", "last_accessed_at"}


def path(memory):
    return f"/api/v1/memories/{memory['id']}"


def steady(memory):
    return {name: value for name, value in memory.items() if name not in VOLATILE | {"deduplicated"}}


def sql(database, statement, *values):
    async def run():
        connection = await asyncpg.connect(database)
        try:
            return await connection.fetch(statement, *values)
        finally:
            await connection.close()

    return asyncio.run(run())


def embedding(service, memory):
    return service.get(path(memory) + "?include=embedding").json["embedding"]


def at_once(service, calls):
    """The replies to (method, path, body), sent all at once."""

    def call(arguments):
        connection = service.connect()
        try:
            return service.call(*arguments, connection=connection)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def test_a_put_replaces_everything_and_what_is_left_out_gets_its_default(service):
    parent = service.create("a parent")
    memory = service.create(
        "before", importance_score=0.9, metadata={"a": 1}, parent_id=parent["id"], expires_at=FUTURE, tier="warm"
    )
    reply = service.call("PUT", path(memory), {"content": "after"})
    assert reply.status == 200, reply.body
    now = reply.json
    assert now["id"] == memory["id"]
    assert now["content_hash"] == hashlib.sha256(b"after").hexdigest()
    assert (now["content"], now["tier"], now["importance_score"], now["metadata"]) == ("after", "Working", 0.5, {})
    assert (now["parent_id"], now["expires_at"], now["status"]) == (None, None, "active")
    assert now["created_at"] == memory["created_at"]
    assert now["updated_at"] > memory["updated_at"]
    assert set(now) == set(memory) - {"deduplicated"}
    assert steady(service.get(path(memory)).json) == steady(now)


def test_a_patch_changes_what_it_has_and_null_clears(service):
    parent = service.create("another parent")
    memory = service.create("patched", metadata={"a": 1, "b": 2}, parent_id=parent["id"], expires_at=FUTURE)
    steps = [
        {"importance_score": 0.7},
        {"metadata": {"c": 3}},
        {"parent_id": None},
        {"expires_at": None},
        {"tier": "WARM"},
        {"content": "patched anew"},
        {"expires_at": "2999-01-01T01:00:00+01:00"},
        {},
    ]
    expected = steady(memory)
    for step in steps:
        now = service.call("PATCH", path(memory), step).json
        expected |= step
        expected |= {"tier": now["tier"], "content_hash": now["content_hash"], "updated_at": now["updated_at"]}
        if step.get("expires_at"):
            expected["expires_at"] = "2999-01-01T00:00:00Z"
        assert steady(now) == expected
        assert steady(service.get(path(memory)).json) == expected
    assert now["tier"] == "Warm"
    assert now["content_hash"] == hashlib.sha256(b"patched anew").hexdigest()


def test_new_content_is_found_at_once_and_the_old_is_not(service):
    memory = service.create("the violin hangs in the attic")
    service.call("PATCH", path(memory), {"content": "submarines need periscopes"})
    for kind in ("Semantic", "FullText", "Hybrid"):
        found = service.search("submarines need periscopes", search_type=kind, limit=1)
        assert found[0]["memory"]["id"] == memory["id"], kind
        assert found[0]["memory"]["content"] == "submarines need periscopes"
    assert memory["id"] not in json.dumps(service.search("violin attic", search_type="FullText", limit=10))


def test_an_embedding_is_the_callers_or_made_from_the_content(service):
    axes = [[1.0 if n == axis else 0.0 for n in range(1_536)] for axis in (3, 7)]
    memory = service.create("where does it point", embedding=axes[0])
    service.call("PATCH", path(memory), {"embedding": axes[1]})
    assert embedding(service, memory)[7] == 1.0
    assert service.search(query_embedding=axes[1], search_type="Semantic", limit=1)[0]["memory"]["id"] == memory["id"]
    service.call("PATCH", path(memory), {"metadata": {"k": 1}, "content": "where does it point"})
    assert embedding(service, memory)[7] == 1.0  # the same content is no new content
    service.call("PATCH", path(memory), {"content": "where does it point now"})
    made = embedding(service, service.create("where does it point now", tier="warm"))
    assert embedding(service, memory) == made
    service.call("PATCH", path(memory), {"embedding": axes[0]})
    service.call("PATCH", path(memory), {"embedding": None})
    assert embedding(service, memory) == made
    service.call("PATCH", path(memory), {"embedding": axes[0]})
    service.call("PUT", path(memory), {"content": "where does it point now"})
    assert embedding(service, memory) == made


@pytest.mark.parametrize("content", ["short", "ünïcödé 🐘\n" * 9, "a long text, " * 4_000])
def test_through_cold_and_back_content_and_embedding_stay(service, database, content):
    memory = service.create(content)
    before = embedding(service, memory)
    for tier in ("cold", "warm", "cold", "working"):
        now = service.call("PATCH", path(memory), {"tier": tier}).json
        assert (now["tier"], now["content"]) == (tier.title(), content)
        row, vectors = sql(
            database,
            "SELECT content, packed FROM memories WHERE id = $1"
            " UNION ALL SELECT count(*)::text, NULL FROM memory_vectors WHERE id = $1",
            uuid.UUID(memory["id"]),
        )
        assert ((row["content"] is None), (row["packed"] is None)) == (
            (True, False) if tier == "cold" else (False, True)
        )
        assert vectors["content"] == ("0" if tier == "cold" else "1")
        assert service.get(path(memory)).json["content"] == content
    assert embedding(service, memory) == before
    moves = sql(
        database,
        "SELECT from_tier || '>' || to_tier, reason FROM tier_moves WHERE memory_id = $1 ORDER BY number",
        uuid.UUID(memory["id"]),
    )
    steps = ["working>cold", "cold>warm", "warm>cold", "cold>working"]
    assert [tuple(move) for move in moves] == [(step, "request") for step in steps]


def test_a_callers_embedding_keeps_its_signs_through_cold(service):
    given = [1.0 if n % 3 else -2.0 for n in range(1_536)]
    memory = service.create("pointed and cold", embedding=given)
    for tier in ("cold", "working"):
        assert service.call("PATCH", path(memory), {"tier": tier}).status == 200
        assert [value > 0 for value in embedding(service, memory)] == [value > 0 for value in given]


def test_a_cold_memory_can_be_rewritten(service):
    memory = service.create("cold and old", tier="cold")
    now = service.call("PATCH", path(memory), {"content": "cold and new", "metadata": {"k": 1}}).json
    assert (now["tier"], now["content"]) == ("Cold", "cold and new")
    assert service.get(path(memory)).json["content"] == "cold and new"
    found = service.search("cold and new", tier="cold", limit=1)
    assert found[0]["memory"]["id"] == memory["id"]


def test_a_move_keeps_its_accesses_apart(service, database):
    memory = service.create("read, then moved")
    for _ in range(3):
        service.get(path(memory))
    deadline = time.monotonic() + 10
    count = "SELECT access_count FROM memory_access WHERE id = $1"
    while not sql(database, count, uuid.UUID(memory["id"])) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert service.call("PATCH", path(memory), {"tier": "warm"}).json["access_count"] == 3
    (row,) = sql(database, "SELECT tier_accesses FROM memories WHERE id = $1", uuid.UUID(memory["id"]))
    assert row["tier_accesses"] == 3
    assert service.get(path(memory)).json["access_count"] == 4


def test_content_that_another_has_is_refused_unless_that_one_is_gone(service):
    first, second = service.create("claimed"), service.create("claimant")
    soon = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
    fleeting = service.create("fleeting", expires_at=soon)
    elsewhere = service.create("claimed", tier="warm")
    for method, memory, body in (
        ("PUT", second, {"content": "claimed"}),
        ("PATCH", second, {"content": "claimed"}),
        ("PATCH", elsewhere, {"tier": "working"}),
    ):
        reply = service.call(method, path(memory), body)
        assert (reply.status, reply.json["error"]["code"]) == (409, "DUPLICATE_CONTENT")
        assert reply.json["error"]["details"]["id"] == first["id"]
    assert service.get(path(second)).json["content"] == "claimant"
    assert service.call("PATCH", path(second), {"content": "claimed", "tier": "cold"}).status == 200
    while service.get(path(fleeting)).status == 200:
        time.sleep(0.05)
    assert service.call("PATCH", path(fleeting), {"importance_score": 1}).status == 404
    assert service.call("PATCH", path(first), {"content": "fleeting"}).status == 200
    assert service.create("claimed")["deduplicated"] is False


def test_a_delete_is_for_good(service):
    memory = service.create("to be forgotten")
    reply = service.call("DELETE", path(memory))
    assert (reply.status, reply.body) == (204, b"")
    assert "content-type" not in reply.headers
    for method, body in (("DELETE", None), ("GET", None), ("PUT", {"content": "x"}), ("PATCH", {})):
        reply = service.call(method, path(memory), body)
        assert (reply.status, reply.json["error"]["code"]) == (404, "MEMORY_NOT_FOUND"), method
    assert memory["id"] not in json.dumps(service.search("to be forgotten", limit=100))
    again = service.create("to be forgotten")
    assert again["id"] != memory["id"]
    assert again["deduplicated"] is False


def test_who_was_merged_is_changed_and_deleted_as_the_one_that_stands_for_it(service, database):
    first, second, third = (service.create(f"to be merged {n}") for n in range(3))
    for gone, stays in ((first, second), (second, third)):
        sql(
            database,
            "UPDATE memories SET status = 'deleted', merged_into = $2 WHERE id = $1",
            *(uuid.UUID(memory["id"]) for memory in (gone, stays)),
        )
    changed = service.call("PATCH", path(first), {"importance_score": 0.25}).json
    assert (changed["id"], changed["importance_score"]) == (third["id"], 0.25)
    assert service.call("PATCH", path(first), {"parent_id": third["id"]}).status == 400
    assert service.call("DELETE", path(second)).status == 204
    assert service.call("DELETE", path(first)).status == 404
    assert service.get(path(third)).status == 404


def test_many_change_one_memory_and_each_is_done(service):
    memory = service.create("contended")
    calls = [("PATCH", path(memory), {"content": f"contended {n}", "metadata": {"n": n}}) for n in range(12)]
    calls += [("PATCH", path(memory), {"tier": tier}) for tier in ("warm", "cold", "working", "cold")]
    replies = at_once(service, calls)
    assert [reply.status for reply in replies] == [200] * len(calls)
    now = service.get(path(memory)).json
    last = max((reply.json for reply in replies), key=lambda each: each["updated_at"])
    assert steady(now) == steady(last)
    assert now["content"] == f"contended {now['metadata']['n']}"
    found = service.search(now["content"], limit=1, exact=True)
    assert found[0]["memory"]["id"] == memory["id"]


def test_many_want_one_content_and_one_gets_it(service):
    memories = [service.create(f"rival {n}") for n in range(10)]
    calls = [("PATCH", path(memory), {"content": "the prize"}) for memory in memories]
    calls += [("POST", "/api/v1/memories?on_duplicate=reject", {"content": "the prize"})]
    replies = at_once(service, calls)
    assert sorted(reply.status for reply in replies) == [200] + [409] * 10
    (winner,) = [reply.json["id"] for reply in replies if reply.status == 200]
    assert {reply.json["error"]["details"]["id"] for reply in replies if reply.status == 409} == {winner}


def test_no_read_after_an_update_is_older_than_it(service):
    memory = service.create("always fresh", importance_score=0)
    replies = at_once(
        service,
        [("PATCH", path(memory), {"importance_score": n / 20}) for n in range(8)] + [("GET", path(memory), None)] * 8,
    )
    assert {reply.status for reply in replies} == {200}
    for step in range(1, 21):
        service.call("PATCH", path(memory), {"importance_score": step / 20})
        assert {reply.json["importance_score"] for reply in at_once(service, [("GET", path(memory), None)] * 4)} == {
            step / 20
        }
    assert service.call("DELETE", path(memory)).status == 204
    assert {reply.status for reply in at_once(service, [("GET", path(memory), None)] * 4)} == {404}


def test_a_duplicate_is_rejected_only_where_the_caller_asks(service):
    first = service.create("once only")
    assert service.create("once only")["deduplicated"] is True
    reply = service.post("/api/v1/memories?on_duplicate=reject", {"content": "once only"})
    assert (reply.status, reply.json["error"]["code"]) == (409, "DUPLICATE_CONTENT")
    assert reply.json["error"]["details"]["id"] == first["id"]
    assert service.post("/api/v1/memories?on_duplicate=reject", {"content": "once more"}).status == 200
    assert service.post("/api/v1/memories?on_duplicate=maybe", {"content": "once more"}).status == 400
    items = {"memories": [{"content": "once only"}, {"content": "new here"}, {"content": "new here"}]}
    for form in ("full", "minimal"):
        reply = service.post(f"/api/v1/memories/batch?on_duplicate=reject&return={form}", items)
        assert [item["status"] for item in reply.json["results"]] == ([409, 200, 409] if form == "full" else [409] * 3)
        assert reply.json["results"][0]["error"]["details"]["id"] == first["id"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content": ""}, "content"),
        ({"content": None}, "content"),
        ({"content": "a\x00b"}, "content"),
        ({"content": "x", "tier": "hot"}, "tier"),
        ({"content": "x", "importance_score": 2}, "importance_score"),
        ({"content": "x", "metadata": None}, "metadata"),
        ({"content": "x", "metadata": {"k": "\x00"}}, "metadata"),
        ({"content": "x", "parent_id": "nobody"}, "parent_id"),
        ({"content": "x", "parent_id": str(uuid.uuid4())}, "parent_id"),
        ({"content": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"content": "x", "expires_at": "2999-01-01T00:00:00"}, "expires_at"),
        ({"content": "x", "embedding": [1.0]}, "embedding"),
        ({"content": "x", "embedding": [0.0] * 1_536}, "embedding"),
        ({"content": "x", "created_at": "2020-01-01T00:00:00Z"}, "created_at"),
        ({"content": "x", "colour": "red"}, "colour"),
        ([], "body"),
    ],
    ids=str,
)
def test_what_cannot_be_stored_is_refused_by_name_and_changes_nothing(service, method, body, field):
    memory = service.create("unmoved", tier="warm")
    reply = service.call(method, path(memory), body)
    assert reply.status == 400, reply.body
    assert reply.json["error"]["details"]["field"].split("[")[0] == field
    assert service.get(path(memory)).json["updated_at"] == memory["updated_at"]


def test_odd_requests(service):
    memory = service.create("not its own parent")
    for method in ("PUT", "PATCH"):
        reply = service.call(method, path(memory), {"content": "not its own parent", "parent_id": memory["id"]})
        assert (reply.status, reply.json["error"]["details"]["field"]) == (400, "parent_id")
        assert service.call(method, f"/api/v1/memories/{uuid.uuid4()}", {"content": "x"}).status == 404
        assert service.call(method, "/api/v1/memories/42", {"content": "x"}).status == 400
    assert service.call("PUT", path(memory), {}).json["error"]["details"]["field"] == "content"
    assert service.call("DELETE", "/api/v1/memories/42").status == 400
    assert service.call("POST", path(memory), {}).headers["allow"] == "DELETE, GET, PATCH, PUT"
