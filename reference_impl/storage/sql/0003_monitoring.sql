-- Views for whoever runs the database. Guide, "Index Maintenance" and "Database Performance Monitoring".

-- pg_stat_statements is looked up when it is asked: it may come, be upgraded or go at any time, and a view over it would
-- stand in the way of each.
CREATE OR REPLACE FUNCTION statement_statistics() RETURNS TABLE (
    queryid bigint, query text, calls bigint, total_ms double precision, mean_ms double precision, rows bigint,
    shared_blks_hit bigint, shared_blks_read bigint, time_share double precision
) LANGUAGE plpgsql AS $$
DECLARE
    home text := (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                  WHERE e.extname = 'pg_stat_statements');
BEGIN
    -- A name with a prefix is listed only where its library is loaded.
    IF home IS NULL OR NOT EXISTS (SELECT FROM pg_settings WHERE name = 'pg_stat_statements.max') THEN
        RAISE NOTICE 'there are no statistics of statements: pg_stat_statements is not loaded, or not created here'
            USING HINT = 'Add it to shared_preload_libraries, restart PostgreSQL, then CREATE EXTENSION pg_stat_statements.';
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT s.queryid, s.query, s.calls, s.total_exec_time, s.mean_exec_time, s.rows,
                s.shared_blks_hit, s.shared_blks_read, s.total_exec_time / nullif(sum(s.total_exec_time) OVER (), 0)
         FROM %I.pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
         WHERE d.datname = current_database()', home);
END $$;

CREATE OR REPLACE VIEW performance_summary AS
SELECT * FROM statement_statistics() ORDER BY total_ms DESC LIMIT 20;
COMMENT ON VIEW performance_summary IS
    'The 20 statements of this database that took the most time; time_share 0..1 of all its statements. Empty without'
    ' pg_stat_statements.';

-- When counters began: the last reset, or the last crash, which loses them.
CREATE OR REPLACE VIEW statistics_since AS
SELECT greatest(d.stats_reset, a.stats_reset) AS since
FROM pg_stat_database d, pg_stat_archiver a
WHERE d.datname = current_database();
COMMENT ON VIEW statistics_since IS 'Since when this server has counted scans, reads and vacuums of this database.';

CREATE OR REPLACE VIEW index_usage_summary AS
SELECT i.schemaname, i.relname AS table_name, i.indexrelname AS index_name, i.idx_scan, i.idx_tup_read, i.idx_tup_fetch,
       i.last_idx_scan, pg_relation_size(i.indexrelid) AS bytes, pg_size_pretty(pg_relation_size(i.indexrelid)) AS size,
       s.since
FROM pg_stat_user_indexes i, statistics_since s
ORDER BY i.idx_scan DESC, bytes DESC;
COMMENT ON VIEW index_usage_summary IS 'Every index: its scans since `since`, and its size.';

CREATE OR REPLACE VIEW unused_indexes AS
SELECT i.schemaname, i.relname AS table_name, i.indexrelname AS index_name, pg_relation_size(i.indexrelid) AS bytes,
       pg_size_pretty(pg_relation_size(i.indexrelid)) AS size, s.since
FROM pg_stat_user_indexes i JOIN pg_index x USING (indexrelid), statistics_since s
WHERE i.idx_scan = 0
  -- These serve by refusing rows, whether or not anybody reads through them.
  AND NOT x.indisunique AND NOT x.indisprimary AND NOT x.indisexclusion
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
ORDER BY bytes DESC;
COMMENT ON VIEW unused_indexes IS
    'Indexes that no statement has used since `since` on this server, and that no constraint needs. A standby counts its'
    ' own.';

-- The guide's columns come first, so that this can replace a view made by its text.
CREATE OR REPLACE VIEW connection_summary AS
SELECT count(*) AS total_connections,
       count(*) FILTER (WHERE state = 'active') AS active,
       count(*) FILTER (WHERE state = 'idle') AS idle,
       count(*) FILTER (WHERE state = 'idle in transaction') AS idle_in_transaction,
       count(*) FILTER (WHERE state = 'idle in transaction (aborted)') AS idle_in_failed_transaction,
       count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting_for_locks,
       current_setting('max_connections')::integer AS max_connections,
       extract(epoch FROM max(clock_timestamp() - xact_start))::double precision AS longest_transaction_seconds
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend';
COMMENT ON VIEW connection_summary IS
    'Connections to this database by state; max_connections is of all databases. Who asks is counted, too.';

CREATE OR REPLACE VIEW blocking_queries AS
SELECT w.pid AS waiting_pid, w.usename AS waiting_user, w.query AS waiting_query,
       extract(epoch FROM clock_timestamp() - coalesce(l.since, w.query_start))::double precision AS waiting_seconds,
       b.pid AS blocking_pid, a.usename AS blocking_user, a.query AS blocking_query, a.state AS blocking_state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::double precision AS blocking_transaction_seconds
FROM pg_stat_activity w
CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS b (pid)
LEFT JOIN pg_stat_activity a ON a.pid = b.pid
LEFT JOIN LATERAL (SELECT min(waitstart) AS since FROM pg_locks WHERE pid = w.pid AND NOT granted) l ON true
-- Looking for blockers stops the lock manager for a moment: only for those who wait.
WHERE w.wait_event_type = 'Lock' AND w.datname = current_database()
ORDER BY waiting_seconds DESC;
COMMENT ON VIEW blocking_queries IS
    'Who waits for a lock and who has it or waits for it before; one row for each pair. blocking_query is the last one of'
    ' the blocker, which may be over while its transaction is not. Pid 0 is a prepared transaction.';

CREATE OR REPLACE VIEW table_summary AS
SELECT t.schemaname, t.relname AS table_name, t.n_live_tup AS live_rows, t.n_dead_tup AS dead_rows,
       t.n_dead_tup::double precision / nullif(t.n_live_tup + t.n_dead_tup, 0) AS dead_share,
       greatest(t.last_vacuum, t.last_autovacuum) AS last_vacuum,
       greatest(t.last_analyze, t.last_autoanalyze) AS last_analyze,
       t.seq_scan AS sequential_scans, t.seq_tup_read AS rows_read_by_scans,
       t.seq_tup_read::double precision / nullif(t.seq_scan, 0) AS rows_per_scan, t.idx_scan AS index_scans,
       t.n_tup_ins AS inserts, t.n_tup_upd AS updates, t.n_tup_hot_upd AS heap_only_updates, t.n_tup_del AS deletes,
       pg_table_size(t.relid) AS bytes, pg_indexes_size(t.relid) AS index_bytes, s.since
FROM pg_stat_user_tables t, statistics_since s
ORDER BY bytes DESC;
COMMENT ON VIEW table_summary IS
    'Rows, vacuums and scans. Many sequential scans of a small table are as they should be; many rows_per_scan of a large'
    ' one may want an index. Live and dead rows are estimates.';

CREATE OR REPLACE VIEW cache_hits AS
SELECT 'table' AS kind, schemaname, relname AS table_name, relname AS name, heap_blks_hit AS hits, heap_blks_read AS reads,
       heap_blks_hit::double precision / nullif(heap_blks_hit + heap_blks_read, 0) AS hit_ratio
FROM pg_statio_user_tables
UNION ALL
SELECT 'toast', schemaname, relname, relname, toast_blks_hit, toast_blks_read,
       toast_blks_hit::double precision / nullif(toast_blks_hit + toast_blks_read, 0)
FROM pg_statio_user_tables WHERE toast_blks_hit IS NOT NULL
UNION ALL
SELECT 'index', schemaname, relname, indexrelname, idx_blks_hit, idx_blks_read,
       idx_blks_hit::double precision / nullif(idx_blks_hit + idx_blks_read, 0)
FROM pg_statio_user_indexes
ORDER BY reads DESC;
COMMENT ON VIEW cache_hits IS
    'How often shared_buffers had a page, 0..1. What it had not may have come from the cache of the operating system.';

-- Where memories lie. It reads the whole table, but no vector, all of which are of one size.
CREATE OR REPLACE VIEW memory_bytes AS
SELECT m.tier, m.status, count(*) AS memories,
       sum(coalesce(pg_column_size(m.content), pg_column_size(m.packed)))::bigint AS text_bytes,
       sum(pg_column_size(m.code) + CASE WHEN v.id IS NULL THEN 0 ELSE 8 + 2 * {dimension} END)::bigint AS vector_bytes,
       -- For each row a pointer of 4, a header of 24, a map of NULLs of 8 where there are any; and what its columns
       -- hold, wherever that is stored.
       sum(36 + 16 + 4 + 4 + 8 + 8 + 8 + 1 + 1 + 8 + 8
           + coalesce(pg_column_size(m.content), pg_column_size(m.packed)) + pg_column_size(m.content_hash)
           + pg_column_size(m.metadata) + pg_column_size(m.code) + coalesce(pg_column_size(m.terms), 0)
           + coalesce(pg_column_size(m.parent_id), 0) + coalesce(pg_column_size(m.expires_at), 0)
           + coalesce(pg_column_size(m.dictionary_id), 0) + coalesce(pg_column_size(m.merged_into), 0)
           + CASE WHEN v.id IS NULL THEN 0 ELSE 28 + 16 + 8 + 2 * {dimension} END)::bigint AS row_bytes
FROM memories m LEFT JOIN memory_vectors v ON v.id = m.id
GROUP BY m.tier, m.status
ORDER BY m.tier, m.status;
COMMENT ON VIEW memory_bytes IS
    'Bytes stored for text, for vectors, and for whole rows of memories and memory_vectors; without the free room of'
    ' pages. See memory_index_bytes for indexes.';

CREATE OR REPLACE VIEW memory_index_bytes AS
WITH counts AS (
    SELECT count(*) FILTER (WHERE tier = 'working')::double precision AS working,
           count(*) FILTER (WHERE tier = 'warm')::double precision AS warm,
           count(*) FILTER (WHERE tier = 'cold')::double precision AS cold
    FROM memories WHERE status = 'active'
), shares (relid, working, warm, cold, memories) AS (
    SELECT 'memories'::regclass, working, warm, cold, nullif(working + warm + cold, 0) FROM counts
    UNION ALL
    SELECT 'memory_vectors'::regclass, working, warm, 0, nullif(working + warm, 0) FROM counts
)
SELECT i.relname AS table_name, i.indexrelname AS index_name, pg_relation_size(i.indexrelid) AS bytes,
       (pg_relation_size(i.indexrelid) * s.working / s.memories)::bigint AS working_bytes_estimate,
       (pg_relation_size(i.indexrelid) * s.warm / s.memories)::bigint AS warm_bytes_estimate,
       (pg_relation_size(i.indexrelid) * s.cold / s.memories)::bigint AS cold_bytes_estimate
FROM pg_stat_user_indexes i JOIN shares s USING (relid)
ORDER BY bytes DESC;
COMMENT ON VIEW memory_index_bytes IS
    'Size of each index of memories and memory_vectors. Nothing tells which tier a page of an index belongs to: the'
    ' estimates share it out by the number of memories that the table has of each tier.';
