"""What is told to the metrics and what is read by them, as Prometheus would see it."""

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reference_impl.metrics import BUCKETS, Metrics
from reference_impl.models import PoolState


def scrape(metrics):
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {(s.name, *sorted(s.labels.items())): s.value for f in families for s in f.samples}


def test_a_request_is_counted_and_timed():
    metrics = Metrics()
    metrics.observe("get", 200, 0.00007)
    metrics.observe("get", 404, 0.3)
    metrics.observe("create", 200, 100.0)
    found = scrape(metrics)
    assert found["memory_requests_total", ("operation", "get"), ("status", "200")] == 1
    assert found["memory_requests_total", ("operation", "get"), ("status", "404")] == 1
    name, get = "memory_request_duration_seconds", ("operation", "get")
    assert found[f"{name}_count", get] == 2
    assert found[f"{name}_sum", get] == pytest.approx(0.30007)
    assert found[f"{name}_bucket", ("le", "5e-05"), get] == 0
    assert found[f"{name}_bucket", ("le", "0.0001"), get] == 1
    # Slower than the last bound.
    assert found[f"{name}_bucket", ("le", "60.0"), ("operation", "create")] == 0
    assert found[f"{name}_bucket", ("le", "+Inf"), ("operation", "create")] == 1


def test_buckets_reach_from_50_microseconds_to_a_minute():
    assert (BUCKETS[0], BUCKETS[-1]) == (0.00005, 60)
    assert list(BUCKETS) == sorted(set(BUCKETS))


def test_readings_are_of_the_moment_of_the_scrape():
    metrics, now = Metrics(), {"queued": 1, "rejected": 0}
    metrics.gauge("memory_create_queue", "Creates waiting", lambda: now["queued"])
    metrics.admission("reads", lambda: 3, lambda: now["queued"], lambda: now["rejected"])
    metrics.admission("searches", lambda: 4, lambda: 0, lambda: 7)
    assert scrape(metrics)["memory_create_queue",] == 1
    now |= {"queued": 5, "rejected": 2}
    found = scrape(metrics)
    assert found["memory_create_queue",] == 5
    for queue, values in (("reads", (3, 5, 2)), ("searches", (4, 0, 7))):
        names = ("memory_admission_running", "memory_admission_waiting", "memory_admission_rejected_total")
        assert tuple(found[name, ("queue", queue)] for name in names) == values


def test_each_cache_has_its_counters_and_its_ratio():
    metrics, hits = Metrics(), [0]
    metrics.cache("memory", lambda: hits[0], lambda: 1, lambda: 9)
    metrics.cache("search", lambda: 0, lambda: 0)
    found = scrape(metrics)
    assert found["memory_cache_hit_ratio", ("cache", "memory")] == 0
    # Nobody has asked it: neither good nor bad.
    assert math.isnan(found["memory_cache_hit_ratio", ("cache", "search")])
    hits[0] = 3
    found = scrape(metrics)
    assert found["memory_cache_hits_total", ("cache", "memory")] == 3
    assert found["memory_cache_misses_total", ("cache", "memory")] == 1
    assert found["memory_cache_hit_ratio", ("cache", "memory")] == 0.75
    assert found["memory_cache_invalidations_total", ("cache", "memory")] == 9


def test_tiers_moves_and_compression():
    metrics = Metrics()
    known = {}
    metrics.tiers(lambda: {"Working": 3, "Cold": 1})
    metrics.compression(lambda: known)
    assert not [key for key in scrape(metrics) if key[0] == "memory_compression_ratio"]
    known |= {"text": 2.5, "row": 12.0}
    metrics.moved("Working", "Warm", 40)
    metrics.moved("working", "warm", 2)
    found = scrape(metrics)
    assert found["memory_tier_memories", ("tier", "working")] == 3
    assert found["memory_compression_ratio", ("part", "row")] == 12
    assert found["memory_tier_moves_total", ("from", "working"), ("to", "warm")] == 42
    # Known from the start, so that the first move is a step and not the beginning.
    assert found["memory_tier_moves_total", ("from", "warm"), ("to", "cold")] == 0


def test_from_create_to_searchable_to_indexed():
    metrics = Metrics()
    metrics.arrivals(lambda: 17)
    metrics.change_feed(lambda: True)
    metrics.searchable(value for value in (0.004, 0.006))
    # The database's clock is ahead of this process.
    metrics.fed([-0.001, 0.5], 0.2)
    found = scrape(metrics)
    assert found["memory_arrivals",] == 17
    assert found["memory_change_feed_trusted",] == 1
    assert found["memory_time_to_searchable_seconds_count",] == 2
    assert found["memory_time_to_searchable_seconds_sum",] == pytest.approx(0.01)
    assert found["memory_time_to_indexed_seconds_sum",] == 0.5
    assert found["memory_feeder_batch_size_sum",] == 2
    assert found["memory_feeder_batch_seconds_sum",] == 0.2


def test_the_pool_and_its_warnings():
    metrics = Metrics()
    metrics.pool(lambda: PoolState(size=8, idle=2, busy=6, max=10, min=2, waiting=1, utilization=0.6))
    metrics.pool_warned("utilization", "error")
    found = scrape(metrics)
    values = {"size": 8, "busy": 6, "max": 10, "waiting": 1, "utilization": 0.6}
    assert {name: found[f"memory_pool_{name}",] for name in values} == values
    assert found["memory_pool_warnings_total", ("condition", "utilization"), ("level", "error")] == 1
