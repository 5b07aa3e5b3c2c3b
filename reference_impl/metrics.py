"""Prometheus metrics. Children are looked up once: a labelled look-up costs more than the observation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from reference_impl.models import PoolState

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# From 50 us to 60 s: targets here are below a millisecond, and a stalled database takes tens of seconds.
BUCKETS: Final = (
    0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015,
    0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0,
)  # fmt: skip
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000)


class _CacheCounters(Collector):
    """Hits and misses by cache. They are counted in the caches, on paths too hot for another lock."""

    def __init__(self) -> None:
        self.reads: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {}

    def collect(self) -> Iterator[Metric]:
        """The values now."""
        for index, (name, help_text) in enumerate(
            (
                ("memory_cache_hits", "Look-ups that a cache answered"),
                ("memory_cache_misses", "Look-ups that it did not"),
            )
        ):
            family = CounterMetricFamily(name, help_text, labels=["cache"])
            for cache, read in self.reads.items():
                family.add_metric([cache], read[index]())
            yield family


class Metrics:
    """All metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._duration = Histogram(
            "memory_request_duration_seconds",
            "Time in the service, from the parsed head of a request to its answer",
            ["operation"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._requests = Counter(
            "memory_requests_total", "Answered requests", ["operation", "status"], registry=registry
        )
        self.in_flight = Gauge("memory_requests_in_flight", "Requests being answered", registry=registry)
        self.group_size = Histogram(
            "memory_group_commit_size", "Creates per group commit", buckets=_SIZES, registry=registry
        )
        self.group_seconds = Histogram(
            "memory_group_commit_seconds",
            "Time to insert and commit a group, embedding excluded",
            buckets=BUCKETS,
            registry=registry,
        )
        self.embedding_seconds = Histogram(
            "memory_embedding_seconds",
            "Time to embed the texts of one group or one query",
            buckets=BUCKETS,
            registry=registry,
        )
        self._caches = _CacheCounters()
        registry.register(self._caches)
        self._durations: dict[str, Callable[[float], None]] = {}
        self._counts: dict[tuple[str, int], Callable[[], None]] = {}

    def observe(self, operation: str, status: int, seconds: float) -> None:
        """Records one answered request."""
        duration = self._durations.get(operation)
        if duration is None:
            duration = self._durations[operation] = self._duration.labels(operation).observe
        duration(seconds)
        count = self._counts.get((operation, status))
        if count is None:
            count = self._counts[operation, status] = self._requests.labels(operation, str(status)).inc
        count()

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Adds a gauge that is read when it is scraped."""
        Gauge(name, help_text, registry=self.registry).set_function(read)

    def cache(self, name: str, hits: Callable[[], float], misses: Callable[[], float]) -> None:
        """Adds the counters of a cache, read when they are scraped."""
        self._caches.reads[name] = hits, misses

    def pool(self, state: Callable[[], PoolState]) -> None:
        """Adds the gauges of the connection pool."""
        self.gauge("memory_pool_size", "Open connections", lambda: state().size)
        self.gauge("memory_pool_busy", "Connections in use", lambda: state().busy)
        self.gauge("memory_pool_max", "Connections allowed", lambda: state().max)
        self.gauge("memory_pool_waiting", "Requests waiting for a connection", lambda: state().waiting)
        self.gauge("memory_pool_utilization", "Busy of allowed connections, 0..1", lambda: state().utilization)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)
