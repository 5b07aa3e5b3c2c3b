"""What every answer has in common, and the operations that touch no memory."""

import contextlib
import re
import socket

import pytest
from prometheus_client.parser import text_string_to_metric_families

TIMING = re.compile(r"total;dur=\d+\.\d{3}(, cache;desc=(hit|miss))?")


def test_every_answer_is_timed_and_named(service):
    memory = service.create("timed")
    for method, path, body in (
        ("GET", "/api/v1/noop", None),
        ("GET", "/api/v1/health", None),
        ("GET", f"/api/v1/memories/{memory['id']}", None),
        ("POST", "/api/v1/search", {"query_text": "x"}),
        ("POST", "/api/v1/memories", {}),
        ("GET", "/nowhere", None),
        ("DELETE", "/api/v1/search", None),
    ):
        reply = service.call(method, path, body)
        assert TIMING.fullmatch(reply.headers["server-timing"])
        assert reply.headers["x-request-id"]


def test_a_sane_request_id_is_echoed_and_another_is_not(service):
    assert service.get("/api/v1/noop", **{"X-Request-Id": "abc-123"}).headers["x-request-id"] == "abc-123"
    for odd in ("a b", "x" * 200, "<script>"):
        assert service.get("/api/v1/noop", **{"X-Request-Id": odd}).headers["x-request-id"] != odd
    first, second = (service.get("/api/v1/noop").headers["x-request-id"] for _ in range(2))
    assert first != second


def test_unknown_paths_and_methods(service):
    for path in ("/", "/api/v1/memories/", "/api/v1", "/api/v1/search/", "/api/v1/memories/a/b", "/API/v1/noop"):
        reply = service.get(path)
        assert (reply.status, reply.json["error"]["code"]) == (404, "NOT_FOUND"), path
    reply = service.call("DELETE", "/api/v1/memories")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert reply.json["error"]["code"] == "METHOD_NOT_ALLOWED"


def test_health(service):
    service.create("healthy", tier="warm")
    health = service.get("/api/v1/health").json
    assert health["status"] == "ok"
    assert health["database"]["connected"] is True
    assert tuple(map(int, health["database"]["pgvector"].split("."))) >= (0, 8, 4)
    assert health["uptime_seconds"] > 0
    assert set(health["tiers"]) == {"Working", "Warm", "Cold"}


@pytest.mark.parametrize("path", ["/debug/pool-stats", "/debug/pool-status"])
def test_pool(service, path):
    pool = service.get(path).json
    assert set(pool) == {"size", "idle", "busy", "max", "min", "waiting", "utilization"}
    assert pool["size"] == pool["idle"] + pool["busy"]
    assert pool["utilization"] == pool["busy"] / pool["max"]


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/metrics"])
def test_metrics(service, path):
    def scrape():
        families = text_string_to_metric_families(service.get(path).body.decode())
        return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}

    before = scrape()
    service.get("/api/v1/noop")
    service.post("/api/v1/memories", {"content": ""})
    after = scrape()

    def grown(name, **labels):
        key = (name, tuple(sorted(labels.items())))
        return after[key] - before.get(key, 0)

    assert grown("memory_requests_total", operation="noop", status="200") == 1
    assert grown("memory_requests_total", operation="create", status="400") == 1
    assert grown("memory_request_duration_seconds_count", operation="noop") == 1
    bounds = [
        float(dict(labels)["le"])
        for name, labels in after
        if name == "memory_request_duration_seconds_bucket" and dict(labels)["operation"] == "noop"
    ]
    assert min(bounds) == 0.00005
    assert sorted(bounds)[-2:] == [60, float("inf")]
    assert after["memory_requests_in_flight", ()] == 1
    for name in ("memory_pool_size", "memory_pool_busy", "memory_pool_max", "memory_pool_waiting"):
        assert (name, ()) in after
    for name in ("memory_group_commit_size_count", "process_resident_memory_bytes"):
        assert (name, ()) in after
    for cache in ("memory", "embedding"):
        assert ("memory_cache_hits_total", (("cache", cache),)) in after
        assert ("memory_cache_misses_total", (("cache", cache),)) in after


def test_the_description_is_of_the_routes_that_there_are(service):
    document = service.get("/openapi.json").json
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        reply = service.call("BREW", path.replace("{id}", "x"))
        assert (reply.status, reply.headers["allow"]) == (405, ", ".join(sorted(map(str.upper, operations)))), path
    assert {"get", "put", "patch", "delete"} == set(document["paths"]["/api/v1/memories/{id}"])
    memory = service.create("described")
    assert set(memory) == set(schemas["CreatedMemory"]["properties"]) - {"embedding"}


RAW = [
    b"", b"\x00", b"\xff\xfe{}", b'\xef\xbb\xbf{"content": "x"}', b"{", b"[]", b"null", b"1", b'"content"', b"NaN",
    b"{}{}",
    b'{"content": "\xc3"}', b'{"content": "\xed\xa0\x80"}', b'{"content": "\\udc00"}', b'{"content": "\\u0000"}',
    b'{"content": "x", "content": 1}', b'{"content": "x", "importance_score": 1e400}',
    b'{"content": "x", "importance_score": ' + b"9" * 5_000 + b"}", b"[" * 100_000, b'{"a":' * 100_000,
    b'{"content": "x", "metadata": {"k": ' + b"9" * 5_000 + b"}}", b'{"content": "x", "metadata": {"k": 1e-400}}',
    b'{"content": "x", "metadata": {"k": -0.0, "": null, "\\u0000": 1}}',
    b'{"content": "x", "expires_at": "9999-12-31T23:59:59-14:00"}',
    b'{"content": "x", "created_at": "0001-01-01T00:00:00+14:00"}',
    b'{"query_text": "\\ud800"}', b'{"query_text": "x", "limit": 1e30}', b'{"query_text": "x", "offset": -1}',
    b'{"query_text": "x", "metadata_filters": {"k": 1e999}}', b'{"query_text": "x", "tags": ["\\u0000"]}',
    b'{"query_text": "x", "date_range": {"from": "0001-01-01T00:00:00+14:00"}}', b'{"memories": [{}]}',
    b'{"memories": [NaN]}',
    b'{"memories": [' + b"[" * 50_000 + b"]}",
]  # fmt: skip


def test_no_body_makes_the_service_fail(service):
    path = f"/api/v1/memories/{service.create('met with odd bodies')['id']}"
    paths = service.get("/openapi.json").json["paths"]
    posts = [("POST", each) for each, operations in paths.items() if "requestBody" in operations.get("post", {})]
    for method, target in (*posts, ("PUT", path), ("PATCH", path)):
        for body in RAW:
            reply = service.call(method, target, body)
            assert reply.status < 500, (method, target, body[:80], reply.body)
            if reply.status != 200:
                code = reply.json["error"]["code"]
                assert code in {"INVALID_REQUEST", "DUPLICATE_CONTENT"}, (method, target, body[:80], reply.body)


def test_who_is_refused_with_a_large_body_can_go_on(service):
    large = b"x" * 2_000_000
    answered = 0
    for method, path, status in (
        ("POST", "/nowhere", 404),
        ("PUT", "/api/v1/memories", 405),
        ("PUT", "/api/v1/memories/42", 400),
        ("POST", "/api/v1/memories?on_duplicate=perhaps", 400),
    ):
        # Who still sends when the connection closes may not get to read the answer.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            reply = service.call(method, path, large)
            answered += 1
            assert (reply.status, reply.headers["connection"]) == (status, "close"), (method, path)
        assert service.get("/api/v1/noop").status == 200
    assert answered
    assert "connection" not in service.get("/nowhere").headers


def test_no_path_query_or_header_makes_the_service_fail(service):
    path = f"/api/v1/memories/{service.create('met in odd ways')['id']}"
    odd = (
        "%00",
        "%ff",
        "%ED%A0%80",
        "%2e%2e",
        "..",
        "%F0%9F%90%98",
        "x" * 5_000,
        "%",
        "a=b=c",
        "&&",
        "a%00=%ff",
        "\\",
        "'",
        "[",
    )
    for value in odd:
        for target in (
            f"/{value}",
            f"/api/v1/memories/{value}",
            f"{path}{value}",
            f"{path}?include={value}",
            f"{path}?{value}",
        ):
            assert service.get(target).status in {200, 400, 404}, target
    assert service.get(f"{path}?{'&'.join('a' * 60)}").status == 400
    assert service.get(f"{path}?include=embedding&include=nothing").status == 400
    assert service.get(f"{path}?include=").status == 400
    for name in ("X-Request-Id", "Authorization", "Content-Type", "Accept", "Cookie", "Expect"):
        for value in (b"\xff\xfe", b"", b"x" * 5_000, b"\t\xe9"):
            reply = service.call("GET", "/api/v1/noop", headers={name: value})
            assert reply.status == 200, (name, value)


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "text/plain", "odd", None])
def test_a_body_is_json_whatever_its_type_says(service, kind):
    reply = service.call("POST", "/api/v1/memories", b'{"content": "typed"}', {"Content-Type": kind} if kind else {})
    assert reply.status == 200


@pytest.mark.parametrize(
    "unfinished",
    [
        b"Content-Length: 50\r\n\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_a_body_that_breaks_off_is_not_the_services_fault(service, unfinished):
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(b"POST /api/v1/memories HTTP/1.1\r\nHost: x\r\n" + unfinished)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65_536)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400"), answer
    assert not any("request_failed" in line for line in service.log())


def test_the_page_needs_nothing_from_elsewhere(service):
    reply = service.get("/docs")
    assert reply.headers["content-type"].startswith("text/html")
    assert b"/api/v1/memories/{id}" in reply.body
    assert not re.search(rb"(src|href)=.https?:", reply.body)
