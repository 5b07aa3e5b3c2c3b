"""Creating memories: what is stored, what is the same, what is refused."""

import hashlib
import json
import math
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

FIELDS = {
    "id", "content", "content_hash", "tier", "status", "importance_score", "access_count", "last_accessed_at",
    "metadata", "parent_id", "created_at", "updated_at", "expires_at",
}  # fmt: skip


def test_a_create_answers_with_the_whole_memory(service):
    memory = service.create("Ada prefers tea", importance_score=0.7, metadata={"who": "Ada", "n": [1, 2.5, None]})
    assert set(memory) == FIELDS | {"deduplicated"}
    assert memory["content_hash"] == hashlib.sha256(b"Ada prefers tea").hexdigest()
    assert (memory["tier"], memory["status"], memory["importance_score"]) == ("Working", "active", 0.7)
    assert (memory["access_count"], memory["last_accessed_at"]) == (0, None)
    assert memory["metadata"] == {"who": "Ada", "n": [1, 2.5, None]}
    assert memory["deduplicated"] is False
    read = service.get(f"/api/v1/memories/{memory['id']}").json
    assert set(read) == FIELDS
    volatile = {"access_count", "last_accessed_at"}
    assert {k: read[k] for k in FIELDS - volatile} == {k: memory[k] for k in FIELDS - volatile}


def test_defaults(service):
    memory = service.create("bare")
    assert (memory["tier"], memory["importance_score"], memory["metadata"]) == ("Working", 0.5, {})
    assert memory["parent_id"] is None
    assert memory["expires_at"] is None


@pytest.mark.parametrize(("given", "out"), [("Working", "Working"), ("WARM", "Warm"), ("cold", "Cold")])
def test_a_tier_is_taken_in_any_case(service, given, out):
    assert service.create(f"tier {given}", tier=given)["tier"] == out


def test_the_same_content_in_a_tier_is_the_same_memory(service):
    first = service.create("said twice", metadata={"a": 1})
    second = service.create("said twice", metadata={"b": 2})
    other = service.create("said twice", tier="cold")
    assert second["id"] == first["id"]
    assert second["deduplicated"] is True
    assert second["metadata"] == {"a": 1}
    assert other["id"] != first["id"]
    assert other["deduplicated"] is False


def test_concurrent_twins_become_one_memory(service):
    def create(number):
        connection = service.connect()
        try:
            body = {"content": f"twin {number % 5}"}
            reply = service.call("POST", "/api/v1/memories", body, connection=connection)
            assert reply.status == 200, reply.body
            return reply.json
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(create, range(100)))
    assert len({memory["id"] for memory in made}) == 5
    assert sum(not memory["deduplicated"] for memory in made) == 5


def test_a_batch_answers_each_item_in_order_and_a_bad_one_loses_no_other(service):
    parent = str(uuid.uuid4())
    items = [
        {"content": "batch 0"},
        {"content": ""},
        {"content": "batch 2", "parent_id": parent},
        {"content": "batch 3", "tier": "lukewarm"},
        {"content": "batch 0"},
        {"content": "batch 5", "tier": "Cold"},
    ]
    outcomes = service.post("/api/v1/memories/batch", {"memories": items}).json["results"]
    assert [outcome["status"] for outcome in outcomes] == [200, 400, 400, 400, 200, 200]
    assert outcomes[0]["memory"]["content"] == "batch 0"
    assert outcomes[0]["memory"]["deduplicated"] is False
    assert outcomes[1]["error"]["details"]["field"] == "memories[1].content"
    assert outcomes[2]["error"]["details"]["field"] == "parent_id"
    assert outcomes[3]["error"]["details"]["field"] == "memories[3].tier"
    assert outcomes[4]["memory"]["id"] == outcomes[0]["memory"]["id"]
    assert outcomes[4]["memory"]["deduplicated"] is True
    assert outcomes[5]["memory"]["tier"] == "Cold"


def test_a_minimal_batch_answers_ids(service):
    body = {"memories": [{"content": "slim 0"}, {"content": "slim 0"}, {"content": 7}]}
    first, second, third = service.post("/api/v1/memories/batch?return=minimal", body).json["results"]
    assert first == {"status": 200, "id": first["id"], "deduplicated": False}
    assert second == {"status": 200, "id": first["id"], "deduplicated": True}
    assert third["status"] == 400
    assert service.get(f"/api/v1/memories/{first['id']}").json["content"] == "slim 0"


def test_a_full_batch_and_one_too_many(service):
    many = [{"content": f"full {n}"} for n in range(1_001)]
    assert service.post("/api/v1/memories/batch", {"memories": many}).status == 400
    outcomes = service.post("/api/v1/memories/batch?return=minimal", {"memories": many[:1_000]}).json["results"]
    assert len({outcome["id"] for outcome in outcomes}) == 1_000


FUTURE = (datetime.now(UTC) + timedelta(days=1)).isoformat()
PAST = "2020-01-01T00:00:00Z"
BAD = [
    ({}, "content"),
    ({"content": ""}, "content"),
    ({"content": 5}, "content"),
    ({"content": "x" * 1_048_577}, "content"),
    ({"content": "a\x00b"}, "content"),
    ({"content": "x", "tier": "hot"}, "tier"),
    ({"content": "x", "importance_score": 1.01}, "importance_score"),
    ({"content": "x", "importance_score": "high"}, "importance_score"),
    ({"content": "x", "metadata": []}, "metadata"),
    ({"content": "x", "metadata": {"k": "a\x00"}}, "metadata"),
    ({"content": "x", "metadata": {"deep": [{"\x00": 1}]}}, "metadata"),
    ({"content": "x", "parent_id": "nobody"}, "parent_id"),
    ({"content": "x", "parent_id": str(uuid.uuid4())}, "parent_id"),
    ({"content": "x", "expires_at": PAST}, "expires_at"),
    ({"content": "x", "expires_at": "2999-01-01T00:00:00"}, "expires_at"),
    ({"content": "x", "created_at": FUTURE}, "created_at"),
    ({"content": "x", "created_at": "0001-01-01T00:00:00+14:00"}, "created_at"),
    ({"content": "x", "embedding": [0.1] * 1_535}, "embedding"),
    ({"content": "x", "embedding": [0.0] * 1_536}, "embedding"),
    ({"content": "x", "embedding": [0.1] * 1_535 + ["a"]}, "embedding"),
    ({"content": "x", "colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("body", "field"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_what_cannot_be_stored_is_refused_by_name(service, body, field):
    reply = service.post("/api/v1/memories", body)
    assert reply.status == 400, reply.body
    error = reply.json["error"]
    assert error["code"] == "INVALID_REQUEST"
    assert error["details"]["field"].split("[")[0] == field
    assert field in error["message"]
    assert error["request_id"] == reply.headers["x-request-id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b'{"content": "\xff"}', "body"),
        (b'{"content": "half a \\ud800 pair"}', "body"),
        (b'{"content": "x", "importance_score": NaN}', "body"),
        (b'{"content": "x", "importance_score": 1e999}', "importance_score"),
        (b'{"content": "x", "embedding": [1e400]}', "embedding"),
        (b'{"content": "x", "metadata": {"n": 1e999}}', "metadata"),
        (b'{"content": "x", "metadata": {"n": ' + b"9" * 9_000 + b"}}", "metadata"),
        (b'{"content": "x", "metadata": {"n": ' + b"[" * 9_000 + b"]" * 9_000 + b"}}", "body"),
    ],
    ids=str,
)
def test_what_is_no_json_or_no_number_is_refused(service, body, field):
    reply = service.post("/api/v1/memories", body)
    assert reply.status == 400, reply.body
    assert reply.json["error"]["details"]["field"].split("[")[0].split(".")[0] == field


def test_what_looks_odd_and_is_fine_is_kept(service):
    metadata = {"big": 10**40, "backslash": "\\u0000", "": "empty key", "emoji": "🐘", "deep": [[[{}]]]}
    for content in ("\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "\t", "￾", "x" * 1_048_576):
        memory = service.create(content, metadata=metadata)
        read = service.get(f"/api/v1/memories/{memory['id']}?include=embedding").json
        assert read["content"] == content
        assert read["metadata"] == metadata
        assert math.hypot(*read["embedding"]) == pytest.approx(1, abs=0.01)


def test_an_import_keeps_its_date(service):
    memory = service.create("long ago", created_at="2021-05-04T05:06:07+02:00")
    assert memory["created_at"] == "2021-05-04T03:06:07Z"


def test_an_embedding_is_kept_by_direction(service):
    given = [1e200 if n == 3 else 0.0 for n in range(1_536)]
    memory = service.create("pointed", embedding=given)
    kept = service.get(f"/api/v1/memories/{memory['id']}?include=embedding").json["embedding"]
    assert [n for n, value in enumerate(kept) if value] == [3]
    assert kept[3] == 1.0


def test_an_expired_memory_is_gone_and_its_content_can_return(service):
    soon = (datetime.now(UTC) + timedelta(seconds=0.7)).isoformat()
    memory = service.create("milk in the fridge", expires_at=soon)
    path = f"/api/v1/memories/{memory['id']}"
    while service.get(path).status == 200:
        pass
    assert service.get(path).json["error"]["code"] == "MEMORY_NOT_FOUND"
    assert memory["id"] not in json.dumps(service.search("milk in the fridge"))
    again = service.create("milk in the fridge")
    assert again["id"] != memory["id"]
    assert again["deduplicated"] is False


def test_a_body_that_is_too_large_is_413(service):
    connection = service.connect()
    connection.putrequest("POST", "/api/v1/memories")
    connection.putheader("Content-Length", str(17 << 20))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert json.loads(response.read())["error"]["code"] == "PAYLOAD_TOO_LARGE"
    connection.close()
