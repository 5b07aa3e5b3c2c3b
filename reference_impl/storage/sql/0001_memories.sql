-- The table of memories, the indexes that its statements use, and the access counters beside it.
-- {dimension} is filled in by the migrator: the embedding's length is a setting of the service.

CREATE TYPE memory_tier AS ENUM ('working', 'warm', 'cold');
CREATE TYPE memory_status AS ENUM ('active', 'deleted');

CREATE TABLE memories (
    id uuid PRIMARY KEY,
    content text NOT NULL,
    content_hash bytea NOT NULL,
    tier memory_tier NOT NULL DEFAULT 'working',
    status memory_status NOT NULL DEFAULT 'active',
    -- Not real: a score of 0.7 has to come back as 0.7 and lie within a range that starts at 0.7.
    importance_score double precision NOT NULL DEFAULT 0.5 CHECK (importance_score BETWEEN 0 AND 1),
    metadata jsonb NOT NULL DEFAULT '{}',
    parent_id uuid REFERENCES memories (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    -- One sign bit per dimension: small enough to index at the rate memories arrive.
    code bit({dimension}) NOT NULL,
    -- Half precision, for the exact order among the candidates that `code` finds.
    embedding halfvec({dimension})
);

-- Reranking a hundred candidates reads a hundred embeddings. Inline that is a hundred tuples; in TOAST it is two
-- index descents and two chunks more for each, which halved the rate of searches (see README.md).
ALTER TABLE memories ALTER COLUMN embedding SET STORAGE PLAIN;

ALTER TABLE memories SET (
    -- Else every row, longer than 2 kB by its embedding alone, would have its content moved out.
    toast_tuple_target = 8160,
    -- Guide, "Autovacuum Tuning for High-Write Workloads": earlier than by default. The inserts need thresholds
    -- of their own (index-only scans and planner statistics age with them), and a cost limit to keep up.
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_cost_limit = 2000
);

-- Create: the same content within a tier is the same memory. Guide, "Content hash for deduplication".
CREATE UNIQUE INDEX memories_content_hash_tier ON memories (content_hash, tier) WHERE status = 'active';

-- Search, every tier and none: one index, since each insert pays for each. Guide, "Tier-Specific Index Strategy"
-- and "HNSW Index Tuning"; m and ef_construction as low as recall after reranking allows.
CREATE INDEX memories_code_hnsw ON memories USING hnsw (code bit_hamming_ops)
    WITH (m = 8, ef_construction = 32) WHERE status = 'active';

-- Search with metadata_filters, where few rows match. Guide, "Metadata search optimization". No pending list:
-- whoever reads it pays for all of it, and every search of this kind would.
CREATE INDEX memories_metadata ON memories USING gin (metadata jsonb_path_ops) WITH (fastupdate = off)
    WHERE status = 'active';

-- Search with date_range, and the counts per tier in /api/v1/health. Guide, "Temporal queries".
CREATE INDEX memories_tier_created_at ON memories (tier, created_at) WHERE status = 'active';

-- Reads are counted here and not in `memories`, whose indexes would all be written again for every count. Room on
-- each page and no index on a counter make each count a heap-only update.
CREATE TABLE memory_access (
    -- No foreign key: its check locks the memory's row, which would write the page that this table spares.
    id uuid PRIMARY KEY,
    access_count bigint NOT NULL,
    last_accessed_at timestamptz NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
