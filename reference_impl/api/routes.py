"""Every operation of the service, in one place."""

from __future__ import annotations

from typing import Final

from reference_impl.api.description import Description
from reference_impl.api.memories import INCLUDE, ON_DUPLICATE, RETURN, MemoryHandlers
from reference_impl.api.operations import OperationHandlers
from reference_impl.api.router import Parameter, Route, Router
from reference_impl.api.search import SearchHandlers
from reference_impl.api.tiers import TierHandlers
from reference_impl.metrics import CONTENT_TYPE
from reference_impl.models import (
    BatchAnswer,
    CreateBatch,
    CreatedMemory,
    CreateMemory,
    Health,
    Memory,
    Noop,
    PatchMemory,
    PoolState,
    ReplaceMemory,
    SearchAnswer,
    SearchRequest,
    SemanticRequest,
)
from reference_impl.service import Service
from reference_impl.tier_models import MigrationStats, TierReport

_ON_DUPLICATE: Final = Parameter(
    "on_duplicate", ON_DUPLICATE, "What a memory whose content this tier has already is: the one there, or a 409"
)
_RETURN: Final = Parameter("return", RETURN, "Whole memories, or their ids alone")
_INCLUDE: Final = Parameter("include", INCLUDE, "The embedding, too")
_EXACT: Final = Parameter("exact", ("true", "1", "false", "0"), "Compare every memory, to measure recall against")


def router(service: Service, locked: bool = False) -> Router:
    """The routes of a service.

    Args:
        service: what they work on.
        locked: whether callers need keys.
    """
    memories, search, tiers, operations = (
        MemoryHandlers(service),
        SearchHandlers(service),
        TierHandlers(service.tiers),
        OperationHandlers(service),
    )
    description = Description(service.settings.dimension, locked)
    found = [
        Route(
            "POST", "/api/v1/memories", "create", memories.create,
            "Store a memory, once per content and tier",
            CreateMemory, CreatedMemory, (_ON_DUPLICATE,), (400, 409, 413, 429, 503),
        ),
        Route(
            "POST", "/api/v1/memories/batch", "create_batch", memories.create_batch,
            "Store up to 1,000 memories; an outcome for each, in order",
            CreateBatch, BatchAnswer, (_RETURN, _ON_DUPLICATE), (400, 413, 429, 503),
        ),
        Route(
            "GET", "/api/v1/memories/{id}", "get", memories.read, "Read a memory, which counts as an access",
            None, Memory, (_INCLUDE,), (400, 404, 429, 503),
        ),
        Route(
            "PUT", "/api/v1/memories/{id}", "replace", memories.replace,
            "Replace a memory; what is left out gets its default",
            ReplaceMemory, Memory, (), (400, 404, 409, 413, 429, 503),
        ),
        Route(
            "PATCH", "/api/v1/memories/{id}", "patch", memories.patch, "Change what is given of a memory",
            PatchMemory, Memory, (), (400, 404, 409, 413, 429, 503),
        ),
        Route(
            "DELETE", "/api/v1/memories/{id}", "delete", memories.delete, "Delete a memory",
            None, None, (), (400, 404, 429, 503), (204,),
        ),
        *(
            Route(
                "POST", path, "search", handler, summary,
                body, SearchAnswer, (_EXACT,), (400, 413, 429, 503),
            )
            for path, handler, body, summary in (
                ("/api/v1/search", search.search, SearchRequest, "Find memories by meaning and by words"),
                ("/api/v1/search/advanced", search.search, SearchRequest, "The same, by its other name"),
                ("/api/v1/search/semantic", search.semantic, SemanticRequest, "Find the memories nearest in meaning"),
            )
        ),
        Route(
            "GET", "/api/v1/tiers", "tiers", tiers.report, "Analysis of the tiers: access, importance, bytes, moves",
            None, TierReport, (), (503,),
        ),
        Route(
            "POST", "/api/v1/tiers/migrate", "migrate", tiers.migrate,
            "Review the tiers once: promote, demote, archive",
            None, MigrationStats, (), (409, 503),
        ),
        Route("GET", "/api/v1/noop", "noop", operations.noop, "Do nothing: the floor", None, Noop),
        Route(
            "GET", "/api/v1/health", "health", operations.health, "State of the service",
            None, Health, (), (), (200, 503),
        ),
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
