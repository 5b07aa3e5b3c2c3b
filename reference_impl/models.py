"""What travels over the API: requests, answers and their limits. Times are UTC, scores run from 0 to 1."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

CONTENT_MAX = 1_048_576
BATCH_MAX = 1_000
LIMIT_MAX = 1_000

Unit = Annotated[float, Meta(ge=0, le=1)]
Moment = Annotated[datetime, Meta(tz=True)]
Content = Annotated[str, Meta(min_length=1, max_length=CONTENT_MAX)]


class Tier(enum.StrEnum):
    """Where a memory lives, in the API's spelling; `column` is the database's."""

    WORKING = "Working"
    WARM = "Warm"
    COLD = "Cold"

    @property
    def column(self) -> str:
        """The label of the enum `memory_tier`."""
        return self.value.lower()


TIERS = {tier.column: tier for tier in Tier}


class CreateMemory(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a create. Without an `embedding` one is made from `content`."""

    content: Content
    tier: str = Tier.WORKING.value
    importance_score: Unit = 0.5
    metadata: dict[str, Any] = {}
    parent_id: UUID | None = None
    expires_at: Moment | None = None
    embedding: list[float] | None = None
    created_at: Moment | None = None


class CreateBatch(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a batch; items stay undecoded so that a bad one does not lose the others."""

    memories: Annotated[list[Raw], Meta(min_length=1, max_length=BATCH_MAX)]


class MemoryFields(msgspec.Struct, kw_only=True):
    """A memory without its access counters: the part that can be encoded once and served often."""

    id: UUID
    content: str
    content_hash: str
    tier: Tier
    status: str
    importance_score: float
    metadata: Raw | UnsetType = UNSET
    parent_id: UUID | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    embedding: list[float] | UnsetType | None = UNSET


class Memory(MemoryFields, kw_only=True):
    """A whole memory. `access_count` is the number of reads by id, this one included."""

    access_count: int
    last_accessed_at: datetime | None


class CreatedMemory(Memory, kw_only=True):
    """Answer to a create; `deduplicated` says that the content was there already in this tier."""

    deduplicated: bool


class Range(msgspec.Struct, forbid_unknown_fields=True):
    """Bounds on importance, both inclusive."""

    min: Unit | None = None
    max: Unit | None = None


class DateRange(msgspec.Struct, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}):
    """Bounds on `created_at`, both inclusive."""

    start: Moment | None = None
    end: Moment | None = None


class SearchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a search. A given `query_embedding` wins over `query_text`."""

    query_text: Content | None = None
    query_embedding: list[float] | None = None
    search_type: str = "Semantic"
    tier: str | None = None
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX)] = 10
    similarity_threshold: Annotated[float, Meta(ge=-1, le=1)] | None = None
    metadata_filters: dict[str, Any] | None = None
    importance_range: Range | None = None
    date_range: DateRange | None = None
    include_metadata: bool = True
    exact: bool = False


class SearchResult(msgspec.Struct):
    """One found memory; `distance` is the cosine distance 0..2 and `score` is 1 - distance."""

    memory: Memory
    score: float
    distance: float


class SearchAnswer(msgspec.Struct):
    """Results, nearest first. `total_count` is how many are here, `query_time_ms` the time it took inside."""

    results: list[SearchResult]
    total_count: int
    query_time_ms: float


class ErrorFields(msgspec.Struct):
    """What went wrong; `details.field` names the offending field of a 400."""

    code: str
    message: str
    details: dict[str, Any]
    request_id: str | UnsetType = UNSET


class ErrorAnswer(msgspec.Struct):
    """Every error answer."""

    error: ErrorFields


class BatchOutcome(msgspec.Struct):
    """One item of a batch: `memory` (or, minimal, `id` and `deduplicated`) with 200, `error` otherwise."""

    status: int
    memory: CreatedMemory | UnsetType = UNSET
    id: UUID | UnsetType = UNSET
    deduplicated: bool | UnsetType = UNSET
    error: ErrorFields | UnsetType = UNSET


class BatchAnswer(msgspec.Struct):
    """One outcome per item, in the order of the request."""

    results: list[BatchOutcome]


class PoolState(msgspec.Struct):
    """The connection pool now. `utilization` = busy / max, 0..1; `waiting`: requests without a connection."""

    size: int
    idle: int
    busy: int
    max: int
    min: int
    waiting: int
    utilization: float


class DatabaseState(msgspec.Struct):
    """Whether PostgreSQL answers, and the versions seen last."""

    connected: bool
    version: str | None
    pgvector: str | None


class Health(msgspec.Struct):
    """State of the service; `tiers` counts live memories, at most some seconds old."""

    status: str
    version: str
    uptime_seconds: float
    database: DatabaseState
    pool: PoolState
    tiers: dict[str, int]


class Noop(msgspec.Struct):
    """Nothing, on the same path as everything else."""

    ok: bool = True
