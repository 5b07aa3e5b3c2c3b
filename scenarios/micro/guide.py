"""The guide's table and statements, and each corrected in the one respect its name says."""

from __future__ import annotations

from typing import Final

from scenarios.micro.material import DIMENSION

TABLE: Final = f"""
CREATE TABLE guide (
    id uuid PRIMARY KEY,
    content text NOT NULL,
    content_hash bytea NOT NULL,
    tier memory_tier NOT NULL,
    status memory_status NOT NULL DEFAULT 'active',
    importance_score double precision NOT NULL,
    access_count bigint NOT NULL DEFAULT 0,
    last_accessed_at timestamptz,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    embedding vector({DIMENSION}) NOT NULL
) WITH (autovacuum_enabled = off)"""

FILL: Final = """
INSERT INTO guide (id, content, content_hash, tier, importance_score, metadata, created_at, updated_at, embedding)
SELECT id, content, content_hash, tier, importance_score, metadata, created_at, updated_at, embedding::vector
FROM memories JOIN memory_vectors USING (id)"""

VECTOR_INDEX: Final = "idx_memories_working_embedding"

# Guide, "Tier-Specific Index Strategy" and "Search-Optimized Indexes": of those over working rows one of each kind.
INDEXES: Final = f"""
CREATE INDEX {VECTOR_INDEX} ON guide USING hnsw (embedding vector_cosine_ops)
    WHERE tier = 'working' AND status = 'active';
CREATE INDEX idx_memories_working_importance ON guide (importance_score DESC, last_accessed_at DESC NULLS LAST)
    WHERE tier = 'working' AND status = 'active';
CREATE INDEX idx_memories_working_access ON guide (access_count DESC, updated_at DESC)
    WHERE tier = 'working' AND status = 'active';
CREATE UNIQUE INDEX idx_memories_content_hash_tier ON guide (content_hash, tier) WHERE status = 'active'"""

_FIELDS: Final = "id, content, tier, importance_score, access_count, last_accessed_at, metadata, created_at, updated_at"

# Guide, "Tier-Specific Performance Optimizations".
GET: Final = "SELECT * FROM guide WHERE id = $1 AND tier = 'working' AND status = 'active'"
GET_NAMED: Final = GET.replace("*", _FIELDS)

# Guide, "Hybrid Search Optimization".
SEARCH: Final = """
SELECT *, 1 - (embedding <=> $1) AS similarity FROM guide
WHERE tier = 'working' AND status = 'active' AND 1 - (embedding <=> $1) > $2
ORDER BY embedding <=> $1 LIMIT $3"""
SEARCH_THRESHOLD_OUTSIDE: Final = f"""
WITH nearest AS MATERIALIZED (
    SELECT {_FIELDS}, 1 - (embedding <=> $1) AS similarity FROM guide
    WHERE tier = 'working' AND status = 'active' ORDER BY embedding <=> $1 LIMIT $3
)
SELECT * FROM nearest WHERE similarity > $2 ORDER BY similarity DESC"""

# Guide, "Optimized Search Queries". Looks among the thousand most important memories only, whatever else is near.
SEARCH_PREFILTERED: Final = """
WITH filtered_memories AS (
    SELECT id, embedding, importance_score FROM guide
    WHERE tier = 'working' AND status = 'active' AND importance_score > 0.7
    ORDER BY importance_score DESC LIMIT 1000
)
SELECT m.*, 1 - (m.embedding <=> $1) AS similarity FROM filtered_memories m
WHERE 1 - (m.embedding <=> $1) > $2 ORDER BY m.embedding <=> $1 LIMIT $3"""

NEAREST_IDS: Final = """
SELECT id FROM guide WHERE tier = 'working' AND status = 'active' ORDER BY embedding <=> $1 LIMIT $2"""

# The same of the service's table.
NEAREST_BITS: Final = f"""
SELECT id FROM memories WHERE indexed AND status = 'active'
ORDER BY code <~> binary_quantize($1::halfvec)::bit({DIMENSION}) LIMIT $2"""

# The hundred best by words. A query's weights are a sparse vector like those of the memories.
BEST_WORDS: Final = """
SELECT id FROM memories WHERE indexed AND status = 'active' AND memory_keys(terms, metadata) && $2::integer[]
ORDER BY terms <#> $1::sparsevec LIMIT 100"""

# Adding nothing keeps the planner from the index.
SCAN_IDS: Final = NEAREST_IDS.replace("embedding <=> $1", "(embedding <=> $1) + 0")

INSERT: Final = """
INSERT INTO guide (id, content, content_hash, tier, importance_score, metadata, created_at, updated_at, embedding)
VALUES ($1, $2, $3, 'working', $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id"""

# Counting in the row: a new version of it in every index, since one of them is over the counter.
COUNT_ACCESS: Final = """
UPDATE guide SET access_count = access_count + 1, last_accessed_at = now() WHERE id = $1 RETURNING access_count"""
