"""What of a service its metrics show: read at each scrape from the parts themselves."""

from __future__ import annotations

from functools import partial

from reference_impl.service import Service


def watch(service: Service) -> None:
    """Adds the parts of a service to its metrics."""
    metrics, caches, embedder = service.metrics, service.caches, service.embedder
    metrics.pool(service.database.state)
    metrics.gauge("memory_create_queue", "Creates waiting for a group commit", lambda: service.writer.queued)
    metrics.cache("memory", lambda: caches.memories.hits, lambda: caches.memories.misses, caches.memories.token)
    metrics.cache(
        "search",
        lambda: caches.searches.hits,
        lambda: caches.searches.misses,
        lambda: caches.searches.token().number,
    )
    metrics.cache("embedding", lambda: embedder.hits, lambda: embedder.misses)
    for name, cache in (("memory", caches.memories), ("search", caches.searches)):
        metrics.gauge("memory_cache_entries", "Entries in a cache", cache.__len__, cache=name)
        metrics.gauge(
            "memory_cache_bytes", "What they occupy, roughly", partial(getattr, cache, "occupied"), cache=name
        )
    for queue in (service.reading, service.searching):
        metrics.admission(queue.name, *(partial(getattr, queue, name) for name in ("running", "waiting", "rejected")))
    metrics.arrivals(lambda: service.feeder.backlog)
    searcher, candidates = service.searcher, caches.candidates
    metrics.candidates(lambda: candidates.size, lambda: len(candidates.doubted), lambda: candidates.usable)
    for source in ("indexed", "unindexed"):
        metrics.searches(source, partial(getattr, searcher, source))
    metrics.change_feed(lambda: service.feed.trusted)
    metrics.tiers(lambda: service.tiers_seen)
    metrics.compression(service.tiers.ratios)
