-- Statistics that no plan uses, and that are dear to make. Every statement has a generic plan (see `database.py`), which
-- cannot look up a parameter in them: they tell it no more than how frequent a tier is, or a NULL. To analyse the index
-- of words and labels evaluated its function for 30,000 rows, and that of vectors read as many pages: four seconds of a
-- core every ten seconds while a thousand memories a second arrive.
ALTER INDEX memories_keys ALTER COLUMN 1 SET STATISTICS 0;
ALTER TABLE memories
    ALTER COLUMN content SET STATISTICS 0,
    ALTER COLUMN metadata SET STATISTICS 0,
    ALTER COLUMN code SET STATISTICS 0,
    ALTER COLUMN terms SET STATISTICS 0,
    ALTER COLUMN packed SET STATISTICS 0,
    -- The largest of these says how many rows are read: 300 for each.
    ALTER COLUMN id SET STATISTICS 10,
    ALTER COLUMN content_hash SET STATISTICS 10,
    ALTER COLUMN tier SET STATISTICS 10,
    ALTER COLUMN status SET STATISTICS 10,
    ALTER COLUMN importance_score SET STATISTICS 10,
    ALTER COLUMN parent_id SET STATISTICS 10,
    ALTER COLUMN created_at SET STATISTICS 10,
    ALTER COLUMN updated_at SET STATISTICS 10,
    ALTER COLUMN expires_at SET STATISTICS 10,
    ALTER COLUMN indexed SET STATISTICS 10,
    ALTER COLUMN dictionary_id SET STATISTICS 10,
    ALTER COLUMN own_embedding SET STATISTICS 10,
    ALTER COLUMN tier_since SET STATISTICS 10,
    ALTER COLUMN tier_accesses SET STATISTICS 10,
    ALTER COLUMN merged_into SET STATISTICS 10;
ALTER TABLE memory_vectors
    ALTER COLUMN id SET STATISTICS 0,
    ALTER COLUMN embedding SET STATISTICS 0;
ANALYZE memories, memory_vectors;
