"""The statements that read PostgreSQL. None takes a lock on a table of the system under test but the last."""

from typing import Final

COMMENT: Final = "/* membench */"
"""Marks our own, so that pg_stat_statements' account of them can be left out.

It forgets what stands before a statement's first word.
"""

RIGHTS: Final = f"""SELECT {COMMENT}
       current_user::text AS role, pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS all_stats,
       to_regclass('pg_catalog.pg_stat_checkpointer') IS NOT NULL AS checkpointer"""

DATABASE: Final = f"""SELECT {COMMENT}
       xact_commit, xact_rollback, blks_hit, blks_read, temp_bytes, deadlocks
  FROM pg_stat_database WHERE datname = current_database()"""

WAL: Final = f"SELECT {COMMENT} wal_bytes::float8 AS bytes FROM pg_stat_wal"

CHECKPOINTER: Final = f"""SELECT {COMMENT}
       num_timed AS timed, num_requested AS requested, buffers_written AS buffers FROM pg_stat_checkpointer"""

BGWRITER: Final = f"""SELECT {COMMENT}
       checkpoints_timed AS timed, checkpoints_req AS requested, buffers_checkpoint AS buffers FROM pg_stat_bgwriter"""

ACTIVITY: Final = f"""SELECT {COMMENT}
       pid, backend_type, wait_event_type, wait_event, left(query, 200) AS query FROM pg_stat_activity
 WHERE pid <> pg_backend_pid() AND (backend_type = 'checkpointer' OR datname = current_database()
   AND (state = 'active' OR backend_type = 'autovacuum worker'))"""

WAITING: Final = f"""SELECT {COMMENT}
       a.pid, a.application_name, a.backend_type, a.state, left(a.query, 400) AS query, l.mode, l.locktype,
       l.relation::regclass::text AS relation,
       extract(epoch FROM clock_timestamp() - l.waitstart)::float8 AS waited, pg_blocking_pids(a.pid) AS blockers
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE NOT l.granted AND a.pid <> pg_backend_pid() AND a.datname = current_database()
 ORDER BY l.waitstart"""

BLOCKERS: Final = f"""SELECT {COMMENT}
       pid, application_name, backend_type, state, left(query, 400) AS query
  FROM pg_stat_activity WHERE pid = ANY($1::int[])"""

STATEMENTS_HOME: Final = f"""SELECT {COMMENT}
       quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_stat_statements'"""


def statements(home: str, *, text: bool) -> str:
    """The account of statements, without their texts where those are not wanted: they stand in a file."""
    return f"""SELECT {COMMENT}
       userid, queryid, toplevel, query, calls, total_exec_time AS ms, rows, shared_blks_hit AS hit,
       shared_blks_read AS read, wal_bytes::float8 AS wal
  FROM {home}.pg_stat_statements({str(text).lower()})
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND queryid IS NOT NULL"""


SCANS: Final = f"""SELECT {COMMENT}
       relid::int8 AS id, relname AS name, '' AS "table", seq_scan AS scans,
       n_live_tup AS live, n_dead_tup AS dead
  FROM pg_stat_user_tables
 UNION ALL
SELECT indexrelid::int8, indexrelname, relname, idx_scan, 0, 0 FROM pg_stat_user_indexes"""

SIZE: Final = f"SELECT {COMMENT} pg_table_size($1::int8::oid::regclass)::float8"
"""Takes AccessShareLock on the relation: at the ends only, one by one, and within the connection's lock_timeout."""
