-- Full-text search, an index that is fed behind the creates, tiers that move, cold content that is compressed.
-- An existing database keeps its memories: they stay searchable by vector, and their words are filled in behind.

-- Vectors leave the row: what searches walk through gets five times as dense, a move between tiers or a new score
-- rewrites 0.6 kB instead of 3.6, and a cold memory goes without.
CREATE TABLE memory_vectors (
    id uuid PRIMARY KEY,
    embedding halfvec({dimension}) NOT NULL
) WITH (toast_tuple_target = 8160, autovacuum_vacuum_insert_scale_factor = 0.05);
-- Reranking a hundred candidates reads a hundred embeddings. Inline that is a hundred tuples; in TOAST it is two
-- index descents and two chunks more for each, which halved the rate of searches (see README.md).
ALTER TABLE memory_vectors ALTER COLUMN embedding SET STORAGE PLAIN;
INSERT INTO memory_vectors SELECT id, embedding FROM memories
    WHERE embedding IS NOT NULL AND status = 'active' AND tier <> 'cold';

DROP INDEX memories_code_hnsw, memories_metadata, memories_tier_created_at;

ALTER TABLE memories
    DROP COLUMN embedding,
    -- NULL where `packed` has it.
    ALTER COLUMN content DROP NOT NULL,
    -- Rewrites the table, and so gives back the room that the embeddings had.
    ALTER COLUMN importance_score TYPE double precision USING importance_score + 0,
    -- Weights of the words, as BM25 has them; the dimension is the word's hash. NULL: not filled in yet.
    ADD COLUMN terms sparsevec,
    -- Whether the search indexes hold this row. Those that they do not hold yet are few, and searched one by one.
    ADD COLUMN indexed boolean NOT NULL DEFAULT true,
    -- Content of a cold memory: zstd, with a dictionary where there was one.
    ADD COLUMN packed bytea,
    ADD COLUMN dictionary_id integer,
    -- Given by the caller, so it cannot be made again from the text. Of what is there already nobody knows.
    ADD COLUMN own_embedding boolean NOT NULL DEFAULT true,
    -- Since when it is in its tier, and how often it had been read by then.
    ADD COLUMN tier_since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN tier_accesses bigint NOT NULL DEFAULT 0,
    -- A move met its twin in the other tier; that one stands for both.
    ADD COLUMN merged_into uuid,
    ADD CONSTRAINT memories_content_once CHECK ((content IS NULL) <> (packed IS NULL)),
    -- Deleting a parent for good must not delete, or wait for, its children.
    DROP CONSTRAINT memories_parent_id_fkey,
    ADD CONSTRAINT memories_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES memories (id) ON DELETE SET NULL;
ALTER TABLE memories ALTER COLUMN indexed SET DEFAULT false, ALTER COLUMN own_embedding SET DEFAULT false;
-- Already zstd; and what is tried and fails costs time with every write.
ALTER TABLE memories ALTER COLUMN packed SET STORAGE EXTERNAL;
ALTER TABLE memories SET (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_insert_scale_factor = 0.1);

-- The dimensions of a sparse vector: the hashes of a memory's words.
CREATE FUNCTION memory_term_ids(terms sparsevec) RETURNS integer[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 100
    RETURN split_part(regexp_replace(terms::text, ':[^,}]+', '', 'g'), '/', 1)::integer[];

-- Hashes, all negative, of what metadata holds at its top level: whatever contains a filter has all of the filter's.
CREATE FUNCTION memory_labels(metadata jsonb) RETURNS integer[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 10
    BEGIN ATOMIC
        SELECT coalesce(array_agg((-1 - abs(hashtextextended(l.key, jsonb_hash(l.value)) % 2147483647))::integer), '{}')
        FROM jsonb_each(metadata) AS e, LATERAL (
            SELECT e.key, CASE jsonb_typeof(e.value) WHEN 'object' THEN '{}' WHEN 'array' THEN '[]' ELSE e.value END
            UNION ALL
            SELECT e.key || '[]', x
            FROM jsonb_array_elements(CASE jsonb_typeof(e.value) WHEN 'array' THEN e.value ELSE '[]' END) AS x
            WHERE jsonb_typeof(x) NOT IN ('object', 'array')
        ) AS l (key, value);
    END;

-- What the index of words and labels holds of a memory.
CREATE FUNCTION memory_keys(terms sparsevec, metadata jsonb) RETURNS integer[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 100
    RETURN coalesce(memory_term_ids(terms), '{}') || memory_labels(metadata);

-- Search by meaning, every tier and none: one index, since each insert pays for each. On sign bits, as it takes three
-- times as many inserts as one on halves. m and ef_construction are low for the same reason; hnsw.ef_search makes up
-- for it. Guide, "Tier-Specific Index Strategy" and "HNSW Index Tuning".
CREATE INDEX memories_code_hnsw ON memories USING hnsw (code bit_hamming_ops)
    WITH (m = 8, ef_construction = 32) WHERE indexed AND status = 'active';

-- Search by words, and with metadata_filters or tags. Guide, "Hybrid Search Optimization" (there in a library beside
-- the database) and "Metadata search optimization". One index for both: it intersects words and labels itself, so only
-- rows that have a word and may pass the filter are read. Its pending list is written out by whoever feeds it, so that
-- no search finds it long.
CREATE INDEX memories_keys ON memories USING gin (memory_keys(terms, metadata)) WHERE indexed AND status = 'active';

-- Search with a tier, the walk through a tier's oldest when tiers are reviewed, counts per tier. Guide,
-- "idx_memories_warm_temporal".
CREATE INDEX memories_tier_created_at ON memories (tier, created_at, id) WHERE status = 'active';

-- Search with date_range or by recency alone. Guide, "Temporal queries".
CREATE INDEX memories_created_at ON memories (created_at, id) WHERE status = 'active';

-- Search with importance_range. Guide, "idx_memories_working_importance", without its counters.
CREATE INDEX memories_importance ON memories (importance_score) WHERE indexed AND status = 'active';

-- What the search indexes do not hold yet, in order of arrival.
CREATE INDEX memories_arrivals ON memories (id) WHERE NOT indexed AND status = 'active';

-- What came before there were words.
CREATE INDEX memories_without_terms ON memories (id) WHERE terms IS NULL AND status = 'active';

-- What is to be cleared away: expired, deleted long ago.
CREATE INDEX memories_expires_at ON memories (expires_at) WHERE expires_at IS NOT NULL AND status = 'active';
CREATE INDEX memories_deleted_at ON memories (updated_at) WHERE status = 'deleted';

-- Else each memory cleared away would have the whole table searched for its children.
CREATE INDEX memories_parent ON memories (parent_id) WHERE parent_id IS NOT NULL;

-- Cold memories to pack again, with a better dictionary.
CREATE INDEX memories_packed ON memories (dictionary_id, id) WHERE packed IS NOT NULL AND status = 'active';

-- How often the indexes took in a memory with a word; term 0 counts all. A memory whose content changes counts again.
-- Room for updates in place.
CREATE TABLE search_terms (
    term integer PRIMARY KEY,
    memories bigint NOT NULL
) WITH (fillfactor = 50);

-- zstd dictionaries; never changed, since what was packed with one needs that one.
CREATE TABLE compression_dictionaries (
    id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    content bytea NOT NULL,
    samples integer NOT NULL,
    -- How many cold memories they were drawn from: a tier many times as large deserves a new one.
    memories bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Each move between tiers. Guide, "Automated Tier Migration".
CREATE TABLE tier_moves (
    number bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    memory_id uuid NOT NULL,
    from_tier memory_tier NOT NULL,
    to_tier memory_tier NOT NULL,
    reason text NOT NULL,
    merged_into uuid,
    moved_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tier_moves_memory ON tier_moves (memory_id);
CREATE INDEX tier_moves_moved_at ON tier_moves (moved_at);

-- Memories below the working tier that have just been read: only they can deserve a promotion.
CREATE TABLE tier_candidates (id uuid PRIMARY KEY);

-- The last analysis of each tier. Guide, "Access Pattern Analysis".
CREATE TABLE tier_statistics (
    tier memory_tier PRIMARY KEY,
    memories bigint NOT NULL,
    accesses bigint NOT NULL,
    access_frequency double precision NOT NULL,
    importance double precision NOT NULL,
    stale bigint NOT NULL,
    text_bytes bigint NOT NULL,
    stored_text_bytes bigint NOT NULL,
    vector_bytes bigint NOT NULL,
    stored_vector_bytes bigint NOT NULL,
    row_bytes bigint NOT NULL,
    stored_row_bytes bigint NOT NULL,
    analysed_at timestamptz NOT NULL DEFAULT now()
);

-- Plans are made once for a connection; they should not be made blind.
ANALYZE memories, memory_vectors;
