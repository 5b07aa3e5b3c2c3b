"""Prometheus metrics. Children are looked up once: a labelled look-up costs more than the observation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from reference_impl.models import PoolState

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# From 50 us to 60 s: targets here are below a millisecond, and a stalled database takes tens of seconds.
BUCKETS: Final = (
    0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015,
    0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0,
)  # fmt: skip
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000)
# There from the start, as a rate needs a first value: steps between tiers, and what a pool may be short of.
_STEPS: Final = (("working", "warm"), ("warm", "cold"), ("warm", "working"), ("cold", "warm"))
_PRESSURE: Final = (("utilization", "warning"), ("utilization", "error"), ("waiting", "warning"))

Read = Callable[[], float]
ReadMany = Callable[[], Mapping[str, float]]
Family = type[GaugeMetricFamily] | type[CounterMetricFamily]


class _Readings(Collector):
    """One metric, read where its values arise when it is scraped: those paths are too hot for another lock."""

    def __init__(self, family: Family, name: str, help_text: str) -> None:
        self._family, self._name, self._help = family, name, help_text
        self._labels: list[str] = []
        self._reads: list[tuple[list[str], Read]] = []
        self._many: list[ReadMany] = []

    def add(self, read: Read, labels: Mapping[str, str]) -> None:
        """Adds one value."""
        self._labels = list(labels)
        self._reads.append((list(labels.values()), read))

    def add_many(self, read: ReadMany, label: str) -> None:
        """Adds a value for each key of what `read` gives, the key being the label's value."""
        self._labels = [label]
        self._many.append(read)

    def collect(self) -> Iterator[Metric]:
        """The values now."""
        family = self._family(self._name, self._help, labels=self._labels)
        for labels, read in self._reads:
            family.add_metric(labels, read())
        for many in self._many:
            for key, value in many().items():
                family.add_metric([key], value)
        yield family


class Metrics:
    """All metrics of one process, in a registry of its own.

    What is counted elsewhere is read at each scrape, by callables that neither wait nor raise; what happens here and
    there is told to the histograms and methods. Times are in seconds.
    """

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._readings: dict[str, _Readings] = {}
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
        self.group_size = self._histogram("memory_group_commit_size", "Creates per group commit", _SIZES)
        self.group_seconds = self._histogram(
            "memory_group_commit_seconds", "Time to insert and commit a group, embedding excluded"
        )
        self.embedding_seconds = self._histogram(
            "memory_embedding_seconds", "Time to embed the texts of one group or one query"
        )
        self._searchable = self._histogram(
            "memory_time_to_searchable_seconds", "From the arrival of a create until every search can find it"
        )
        self._indexed = self._histogram(
            "memory_time_to_indexed_seconds", "From the writing of a memory until the search indexes hold it"
        )
        self._feed_size = self._histogram("memory_feeder_batch_size", "Memories per batch put into the indexes", _SIZES)
        self._feed_seconds = self._histogram("memory_feeder_batch_seconds", "Time to put one batch into the indexes")
        self._moves = Counter(
            "memory_tier_moves_total", "Memories moved between tiers", ["from", "to"], registry=registry
        )
        for source, target in _STEPS:
            self._moves.labels(source, target)
        self._pool_warnings = Counter(
            "memory_pool_warnings_total",
            "Rises of the pressure on the pool to a level",
            ["condition", "level"],
            registry=registry,
        )
        for condition, level in _PRESSURE:
            self._pool_warnings.labels(condition, level)
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

    def searchable(self, seconds: Iterable[float]) -> None:
        """Records how long each create of a group took from its arrival until every search could find it."""
        for value in seconds:
            self._searchable.observe(value)

    def fed(self, ages: Sequence[float], took: float | None = None) -> None:
        """Records a batch that the search indexes hold from now on: the age of each memory, and the time it took."""
        self._feed_size.observe(len(ages))
        if took is not None:
            self._feed_seconds.observe(took)
        for age in ages:
            # Ages are between two clocks, the database's and this one.
            self._indexed.observe(max(age, 0.0))

    def gauge(self, name: str, help_text: str, read: Read, **labels: str) -> None:
        """Adds a value of a gauge. The values of one gauge have the same labels, and differ in one."""
        self._reading(GaugeMetricFamily, name, help_text).add(read, labels)

    def counter(self, name: str, help_text: str, read: Read, **labels: str) -> None:
        """Adds a value of a counter, as for `gauge`; `name` without `_total`."""
        self._reading(CounterMetricFamily, name, help_text).add(read, labels)

    def gauges(self, name: str, help_text: str, label: str, read: ReadMany) -> None:
        """Adds a gauge with a value for each key of what `read` gives."""
        self._reading(GaugeMetricFamily, name, help_text).add_many(read, label)

    def cache(self, name: str, hits: Read, misses: Read, invalidations: Read | None = None) -> None:
        """Adds the counters of a cache, and the ratio of hits since the start: NaN until it is first asked."""
        self.counter("memory_cache_hits", "Look-ups that a cache answered", hits, cache=name)
        self.counter("memory_cache_misses", "Look-ups that it did not", misses, cache=name)
        self.gauge(
            "memory_cache_hit_ratio",
            "Hits of all look-ups since the start, 0..1",
            lambda: hits() / total if (total := hits() + misses()) else float("nan"),
            cache=name,
        )
        if invalidations is not None:
            self.counter("memory_cache_invalidations", "Changes that the cache was told of", invalidations, cache=name)

    def pool(self, state: Callable[[], PoolState]) -> None:
        """Adds the gauges of the connection pool."""
        self.gauge("memory_pool_size", "Open connections", lambda: state().size)
        self.gauge("memory_pool_busy", "Connections in use", lambda: state().busy)
        self.gauge("memory_pool_max", "Connections allowed", lambda: state().max)
        self.gauge("memory_pool_waiting", "Requests waiting for a connection", lambda: state().waiting)
        self.gauge("memory_pool_utilization", "Busy of allowed connections, 0..1", lambda: state().utilization)

    def pool_warned(self, condition: str, level: str) -> None:
        """Counts one rise of the pressure on the pool; see `PoolPressure`."""
        self._pool_warnings.labels(condition, level).inc()

    def admission(self, queue: str, running: Read, waiting: Read, rejected: Read) -> None:
        """Adds a queue of requests: how many run and wait now, and how many were turned away with 429 so far."""
        self.gauge("memory_admission_running", "Requests admitted and at work", running, queue=queue)
        self.gauge("memory_admission_waiting", "Requests waiting for admission", waiting, queue=queue)
        self.counter("memory_admission_rejected", "Requests that found the queue full", rejected, queue=queue)

    def tiers(self, memories: ReadMany) -> None:
        """Adds live memories by tier; any case of its name."""
        self.gauges(
            "memory_tier_memories",
            "Live memories",
            "tier",
            lambda: {tier.lower(): count for tier, count in memories().items()},
        )

    def moved(self, source: str, target: str, memories: int) -> None:
        """Counts memories moved from one tier to another; any case of their names."""
        self._moves.labels(source.lower(), target.lower()).inc(memories)

    def compression(self, ratios: ReadMany) -> None:
        """Adds the ratio of plain to stored bytes of cold memories, by part: text, vector, row. Only what is known."""
        self.gauges("memory_compression_ratio", "Plain bytes by stored bytes of cold memories", "part", ratios)

    def arrivals(self, read: Read) -> None:
        """Adds the number of memories that the search indexes do not hold yet."""
        self.gauge("memory_arrivals", "Memories that the search indexes do not hold yet", read)

    def candidates(self, memories: Read, doubted: Read, usable: Callable[[], bool]) -> None:
        """Adds the process' own search index: its size, what it has yet to look up again, whether searches use it."""
        self.gauge("memory_candidates", "Memories in the process' own search index", memories)
        self.gauge("memory_candidates_doubted", "Memories changed since that index looked them up", doubted)
        self.gauge("memory_candidates_usable", "1 while searches use that index, else 0", usable)

    def searches(self, source: str, count: Read) -> None:
        """Adds the searches that one source, `indexed` or `unindexed`, found the candidates of."""
        self.counter("memory_searches", "Searches by who found the candidates", count, source=source)

    def change_feed(self, trusted: Callable[[], bool]) -> None:
        """Adds whether this process hears of every change that others make, so that its caches may answer."""
        self.gauge("memory_change_feed_trusted", "1 while changes of other processes are heard, else 0", trusted)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)

    def _histogram(self, name: str, help_text: str, buckets: tuple[float, ...] = BUCKETS) -> Histogram:
        return Histogram(name, help_text, buckets=buckets, registry=self.registry)

    def _reading(self, family: Family, name: str, help_text: str) -> _Readings:
        found = self._readings.get(name)
        if found is None:
            found = self._readings[name] = _Readings(family, name, help_text)
            self.registry.register(found)
        return found
