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
OFFSET_MAX = 1_000


def in_any_case(*names: str) -> str:
    """A pattern for these names: JSON Schema has no flag for it."""
    spelled = ("".join(f"[{letter.upper()}{letter.lower()}]" for letter in name) for name in names)
    return f"^({'|'.join(spelled)})$"


# What PostgreSQL can hold; checked apart from the decoding, with a better message, as are the names below.
_NO_NUL = {"pattern": "^[^\\u0000]*$"}

Unit = Annotated[float, Meta(ge=0, le=1)]
Moment = Annotated[datetime, Meta(tz=True)]
Expiry = Annotated[Moment, Meta(description="in the future")]
Content = Annotated[
    str, Meta(min_length=1, max_length=CONTENT_MAX, examples=["Ada prefers tea"], extra_json_schema=_NO_NUL)
]
TierName = Annotated[
    str,
    Meta(
        description="Working, Warm or Cold, in any case",
        examples=["Working"],
        extra_json_schema={"pattern": in_any_case("Working", "Warm", "Cold")},
    ),
]
SearchTypeName = Annotated[
    str,
    Meta(
        description="Hybrid, Semantic, FullText or Temporal, in any case",
        examples=["Hybrid"],
        extra_json_schema={"pattern": in_any_case("Hybrid", "Semantic", "FullText", "Temporal")},
    ),
]
# Objects of anything that JSON has, but without the character U+0000, in keys too.
Metadata = Annotated[
    dict[str, Any],
    Meta(
        examples=[{"who": "Ada"}],
        extra_json_schema={
            "type": "object",
            "propertyNames": _NO_NUL,
            "additionalProperties": {"$ref": "#/components/schemas/Json"},
        },
    ),
]

Weight = Annotated[float, Meta(ge=0, le=1_000)]
Tag = Annotated[str, Meta(min_length=1, max_length=200, extra_json_schema=_NO_NUL)]


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
    tier: TierName = Tier.WORKING.value
    importance_score: Unit = 0.5
    metadata: Metadata = {}
    parent_id: UUID | None = None
    expires_at: Expiry | None = None
    embedding: list[float] | None = None
    created_at: Annotated[Moment, Meta(description="not in the future; now, where it is left out")] | None = None


class ReplaceMemory(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a PUT. What is left out gets its default; without an `embedding` one is made from `content`."""

    content: Content
    tier: TierName = Tier.WORKING.value
    importance_score: Unit = 0.5
    metadata: Metadata = {}
    parent_id: UUID | None = None
    expires_at: Expiry | None = None
    embedding: list[float] | None = None


class PatchMemory(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a PATCH. What is left out stays; but new content without an `embedding` gets one made from it.

    `metadata` is replaced whole. Null clears `parent_id` and `expires_at`, and has the embedding made from the content.
    """

    content: Content | UnsetType = UNSET
    tier: TierName | UnsetType = UNSET
    importance_score: Unit | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    parent_id: UUID | UnsetType | None = UNSET
    expires_at: Expiry | UnsetType | None = UNSET
    embedding: list[float] | UnsetType | None = UNSET


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


class SearchType(enum.StrEnum):
    """What a search goes by, in the API's spelling; any case is taken."""

    HYBRID = "Hybrid"
    SEMANTIC = "Semantic"
    FULL_TEXT = "FullText"
    TEMPORAL = "Temporal"


class HybridWeights(msgspec.Struct, forbid_unknown_fields=True):
    """What each part of a score counts for; they are scaled to add up to 1, so only their ratios matter."""

    semantic: Weight = 0.0
    text: Weight = 0.0
    temporal: Weight = 0.0
    importance: Weight = 0.0
    access_frequency: Weight = 0.0


class SearchRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a search.

    Hybrid and Temporal searches go by meaning and by words, where there are any. A given `query_embedding` stands
    for the meaning of `query_text`. Without either, a Temporal search finds the newest. `metadata_filters` are
    contained in the memory's metadata, and all `tags` in its list of that name. `similarity_threshold` bounds
    the cosine similarity, or the score where there is none.
    """

    query_text: Content | None = None
    query_embedding: list[float] | None = None
    search_type: SearchTypeName = SearchType.HYBRID.value
    hybrid_weights: HybridWeights | None = None
    tier: TierName | None = None
    date_range: DateRange | None = None
    importance_range: Range | None = None
    metadata_filters: Metadata | None = None
    tags: Annotated[list[Tag], Meta(max_length=100)] | None = None
    similarity_threshold: Annotated[float, Meta(ge=-1, le=1)] | None = None
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX)] = 10
    offset: Annotated[int, Meta(ge=0, le=OFFSET_MAX)] = 0
    cursor: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    include_metadata: bool = True
    include_facets: bool = False
    explain_score: bool = False
    exact: bool = False


class SemanticRequest(SearchRequest):
    """Body of a search by meaning alone."""

    search_type: Annotated[str, Meta(description="not looked at")] = SearchType.SEMANTIC.value


class Part(msgspec.Struct):
    """One part of a score: `contribution` = `value` * `weight`."""

    value: float
    weight: float
    contribution: float


class Explanation(msgspec.Struct):
    """Where a score comes from; its contributions add up to it."""

    semantic: Part
    text: Part
    temporal: Part
    importance: Part
    access_frequency: Part


class SearchResult(msgspec.Struct):
    """One found memory.

    `distance` is the cosine distance 0..2, null in a search by words alone; for a cold memory it is estimated from
    the signs of the embedding. `highlights` are extracts around the words that were sought.
    """

    memory: Memory
    score: float
    distance: float | None
    highlights: list[str]
    explanation: Explanation | UnsetType = UNSET


class Facets(msgspec.Struct):
    """Counts over all that was ranked, at least 400 where so many exist: by tier, by key and value of metadata."""

    tier: dict[str, int]
    metadata: dict[str, dict[str, int]]


class SearchAnswer(msgspec.Struct):
    """Results, the best first.

    `total_count` is how many memories were ranked: at least those here, and a bound from below on what matches.
    `next_cursor` gets the next page with the same request. `query_time_ms` is the time it took inside.
    """

    results: list[SearchResult]
    total_count: int
    facets: Facets | None
    next_cursor: str | None
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
