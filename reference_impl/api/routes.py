"""Every operation of the service, in one place."""

from __future__ import annotations

from reference_impl.api.description import Description
from reference_impl.api.memories import MemoryHandlers
from reference_impl.api.operations import OperationHandlers
from reference_impl.api.router import Route, Router
from reference_impl.api.search import SearchHandlers
from reference_impl.metrics import CONTENT_TYPE
from reference_impl.models import (
    BatchAnswer,
    CreateBatch,
    CreatedMemory,
    CreateMemory,
    Health,
    Memory,
    Noop,
    PoolState,
    SearchAnswer,
    SearchRequest,
)
from reference_impl.service import Service


def router(service: Service) -> Router:
    """The routes of a service."""
    memories, search, operations = (
        MemoryHandlers(service),
        SearchHandlers(service),
        OperationHandlers(service),
    )
    description = Description()
    found = [
        Route(
            "POST", "/api/v1/memories", "create", memories.create,
            "Store a memory, once per content and tier",
            CreateMemory, CreatedMemory, (), (400, 413, 429, 503),
        ),
        Route(
            "POST", "/api/v1/memories/batch", "create_batch", memories.create_batch,
            "Store up to 1,000 memories; an outcome for each, in order",
            CreateBatch, BatchAnswer, (("return", ("full", "minimal")),), (400, 413, 429, 503),
        ),
        Route(
            "GET", "/api/v1/memories/{id}", "get", memories.read, "Read a memory, which counts as an access",
            None, Memory, (("include", ("embedding",)),), (400, 404, 503),
        ),
        *(
            Route(
                "POST", path, "search", search.semantic, "Find the memories nearest in meaning",
                SearchRequest, SearchAnswer, (("exact", ("true", "1", "false", "0")),), (400, 413, 503),
            )
            for path in ("/api/v1/search", "/api/v1/search/semantic")
        ),
        Route("GET", "/api/v1/noop", "noop", operations.noop, "Do nothing: the floor", None, Noop),
        Route("GET", "/api/v1/health", "health", operations.health, "State of the service", None, Health),
        *(
            Route("GET", path, "metrics", operations.metrics, "Metrics for Prometheus", None, CONTENT_TYPE)
            for path in ("/metrics", "/api/v1/metrics")
        ),
        *(
            Route("GET", path, "pool", operations.pool, "The connection pool now", None, PoolState)
            for path in ("/debug/pool-stats", "/debug/pool-status")
        ),
        Route("GET", "/openapi.json", "openapi", description.openapi, "This", None, "application/json"),
        Route("GET", "/docs", "docs", description.page, "A page for it", None, "text/html"),
    ]  # fmt: skip
    description.describe(found)
    return Router(found)
