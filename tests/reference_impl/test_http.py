"""What every answer has in common, and the operations that touch no memory."""

import re

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
    for path in ("/", "/api/v1/memories/", "/api/v1/tiers", "/api/v1/search/advanced", "/api/v1/memories/a/b"):
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
    assert document["openapi"] == "3.1.0"
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = {} if method == "post" else None
            reply = service.call(method.upper(), path.replace("{id}", "x"), body)
            declared = set(operation["responses"])
            assert str(reply.status) in declared, (path, reply.status)
            for response in operation["responses"].values():
                for content in response["content"].values():
                    reference = content.get("schema", {}).get("$ref")
                    assert reference is None or reference.rpartition("/")[2] in schemas
    assert {"/api/v1/memories", "/api/v1/memories/batch", "/api/v1/memories/{id}"} <= set(document["paths"])
    memory = service.create("described")
    assert set(memory) == set(schemas["CreatedMemory"]["properties"]) - {"embedding"}


def test_the_page_needs_nothing_from_elsewhere(service):
    reply = service.get("/docs")
    assert reply.headers["content-type"].startswith("text/html")
    assert b"/api/v1/memories/{id}" in reply.body
    assert not re.search(rb"(src|href)=.https?:", reply.body)
