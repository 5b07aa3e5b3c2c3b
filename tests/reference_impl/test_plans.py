"""The plans of all statements: at 20,000 memories none reads a table through, and each takes the index meant for it.

A table of this size is more tempting to read through than a larger one; MEMBENCH_PLAN_ROWS=100000 shows the larger.

The service runs in this process, so that every statement it sends can be seen. Each is then explained as it was sent,
its parameters left open: so do the service's own connections plan.
"""

import asyncio
import itertools
import json
import os
import re
import time
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import numpy as np
import pytest

from reference_impl.api.changes import Changes
from reference_impl.api.queries import Queries
from reference_impl.api.validation import Creates
from reference_impl.candidates import index as candidate_index
from reference_impl.embedding import Embedder
from reference_impl.models import SearchRequest, Tier
from reference_impl.service import Service
from reference_impl.settings import Settings
from reference_impl.storage import database as storage
from reference_impl.storage import search_sql
from reference_impl.storage.migrations import migrate
from reference_impl.words import terms_of

pytestmark = pytest.mark.slow

DIMENSION = 1536
ROWS = int(os.environ.get("MEMBENCH_PLAN_ROWS", "20000"))
GROUP = 1_000
LARGE = {"memories", "memory_vectors", "memory_access"}
WORDS = [f"word{number}" for number in range(20_000)]
# Shapes of searches, with the indexes that must be among those used.
HNSW, KEYS = "memories_code_hnsw", "memories_keys"
GIVEN = "candidates AS MATERIALIZED (SELECT unnest("
SEARCHES = [
    ({"query_text": "word1 word15000"}, {HNSW, KEYS}),
    ({"query_text": "word1 word15000", "search_type": "Semantic"}, {HNSW}),
    ({"query_text": "word1 word15000", "search_type": "FullText"}, {KEYS}),
    ({"query_text": "word1", "search_type": "Temporal"}, {HNSW, KEYS}),
    ({"search_type": "Temporal"}, {"memories_created_at"}),
    ({"search_type": "Temporal", "tier": "Warm"}, {"memories_tier_created_at"}),
    ({"query_text": "word1", "tier": "Cold"}, {HNSW, KEYS}),
    ({"query_text": "word1", "metadata_filters": {"topic": 3}}, {HNSW, KEYS}),
    ({"query_text": "word1", "metadata_filters": {"user": 7}}, {KEYS}),
    ({"query_text": "word1", "tags": ["t1"]}, {KEYS}),
    ({"query_text": "word1", "importance_range": {"min": 0.99}}, {"memories_importance"}),
    ({"query_text": "word1", "date_range": {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}}, set()),
    ({"query_text": "word1", "similarity_threshold": 0.5, "limit": 100}, {HNSW, KEYS}),
    ({"query_text": "word1", "limit": 1_000, "include_facets": True}, {HNSW, KEYS}),
    ({"query_text": "word1", "offset": 1_000, "limit": 1_000, "explain_score": True}, {HNSW, KEYS}),
    ({"query_text": "word1", "metadata_filters": {"topic": 4}, "tier": "Warm", "limit": 500}, {KEYS}),
]
# Of those, the ones whose candidates the process' own index finds: few enough pass, and there is something to go by.
FILTERS = {"tier", "metadata_filters", "tags", "importance_range", "date_range"}
INDEXED = [number for number, (body, _) in enumerate(SEARCHES) if FILTERS & body.keys() and "query_text" in body]


class Seen:
    """Statements in their order."""

    def __init__(self):
        self.order = []

    def __call__(self, query):
        self.order.append(query.query.strip())


@pytest.fixture(scope="module")
def plans(postgres):
    """Every statement that the service sends, and those of each search: without an index of its own, and with it."""
    with pytest.MonkeyPatch.context() as patch:
        scale(patch)
        return asyncio.run(exercise(postgres.new_database()))


def scale(patch):
    """The counts at which a search takes another way: those of the service at 100,000 memories, in proportion."""
    for module, name in (
        (search_sql, "_NARROW"),
        (search_sql, "_NARROW_BY_MEANING"),
        (candidate_index, "COMPARED_MAX"),
    ):
        patch.setattr(module, name, getattr(module, name) * ROWS // 100_000)


async def fill(service, rng):
    """Memories, indexed all at once."""
    creates = Creates(DIMENSION)
    spread = rng.standard_normal((32, DIMENSION), dtype=np.float32)
    now = datetime.now(UTC)
    for start in range(0, ROWS, GROUP):
        vectors = rng.standard_normal((GROUP, 32), dtype=np.float32) @ spread
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        group = []
        for number, vector in zip(range(start, start + GROUP), vectors, strict=True):
            words = [WORDS[place] for place in rng.integers(0, len(WORDS), 6)]
            body = {
                "content": f"{number} {WORDS[number % 50]} {' '.join(words)}",
                "tier": ("Working", "Warm", "Cold")[number % 3],
                "importance_score": number % 1_000 / 1_000,
                "metadata": {"topic": number % 20, "user": number % 500, "tags": [f"t{number % 300}"]},
                "created_at": (now - timedelta(minutes=number)).isoformat(),
            }
            new = creates.record(json.dumps(body).encode())
            packed = service.packer.pack(new.content) if new.tier is Tier.COLD else None
            prepared = {"embedding": vector, "terms": terms_of(new.content), "packed": packed}
            group.append(msgspec.structs.replace(new, **prepared))
        await service.memories.insert(group)
    async with service.database.connection() as connection:
        await connection.execute(
            f"""
            DROP INDEX {HNSW};
            UPDATE memories SET indexed = true;
            INSERT INTO search_terms
                SELECT term, count(*) FROM memories, unnest(memory_term_ids(terms) || 0) AS term GROUP BY term;
            INSERT INTO memory_access SELECT id, 3, now() FROM memories;
            """
        )
        await connection.execute("SET maintenance_work_mem = '512MB'")
        await connection.execute(
            f"""CREATE INDEX {HNSW} ON memories USING hnsw (code bit_hamming_ops)
                WITH (m = 8, ef_construction = 32) WHERE indexed AND status = 'active'"""
        )
        await connection.execute("RESET maintenance_work_mem")
        for table in (*LARGE, "search_terms"):
            await vacuumed(connection, table)


async def vacuumed(connection, table, seconds=60):
    """Vacuum a table until all of it is visible to all, by which the planner tells what index-only scans cost.

    Whoever else still looks at rows as they were, such as autovacuum analyzing, keeps them from being so marked.
    """
    deadline = time.monotonic() + seconds
    while True:
        await connection.execute(f"VACUUM ANALYZE {table}")
        (hidden,) = await connection.fetchrow(
            "SELECT relpages - relallvisible FROM pg_class WHERE oid = $1::text::regclass", table
        )
        if not hidden:
            return
        assert time.monotonic() < deadline, f"{hidden} pages of {table} are not visible to all"
        await asyncio.sleep(0.2)


def settings(url, candidates_max):
    return Settings(
        database=url, pool_min=1, pool_max=12, tier_interval=0, command_timeout=120, candidates_max=candidates_max
    )


async def exercise(url):
    await migrate(url, DIMENSION)
    service = Service(settings(url, 0), Embedder(DIMENSION))
    await service.database.open()
    await fill(service, np.random.default_rng(1))
    await service.database.close()

    seen, prepare = Seen(), storage._prepare

    async def watched(connection):
        await prepare(connection)
        connection.add_query_logger(seen)

    storage._prepare = watched
    try:
        searches = []
        for do, candidates_max in ((use, 0), (use_index, 2 * ROWS)):
            service = Service(settings(url, candidates_max), Embedder(DIMENSION))
            await service.start()
            searches.append(await do(service, seen))
            await service.stop()
    finally:
        storage._prepare = prepare
    return await explain(url, dict.fromkeys(seen.order)), *searches


async def use(service, seen):
    """Does everything that the service can do."""
    creates = Creates(DIMENSION)
    created, _ = await service.create(creates.record(b'{"content": "word1 of one kind"}'))
    await service.create(creates.record(b'{"content": "word1 of one kind"}'))
    await service.create_many([creates.record(b'{"content": "of %d kind", "tier": "cold"}' % n) for n in range(5)])
    (cold,) = await service.database.fetch("SELECT id FROM memories WHERE tier = 'cold' ORDER BY id LIMIT 1")
    for memory_id in (created.memory.id, cold[0]):
        service.caches.clear()
        await service.read(memory_id)
        await service.embeddings.read(memory_id)
    searches = await search_all(service, seen)
    changes = Changes(DIMENSION)
    for body in (b'{"content": "word2 and others", "tier": "cold"}', b'{"tier": "warm", "importance_score": 0.1}'):
        await service.update(created.memory.id, changes.patch(body))
    await service.access.flush()
    await service.tiers.run_cycle()
    await service.tiers.report()
    await service.delete(created.memory.id)
    await service.database_state()
    await service.tier_counts()
    return searches


async def use_index(service, seen):
    """Does everything that the service does otherwise where it has an index of its own."""
    candidates = service.caches.candidates
    await eventually(lambda: candidates.usable and not candidates.doubted)
    searches = await search_all(service, seen)
    assert service.searcher.indexed == 2 * len(INDEXED)
    created, _ = await service.create(Creates(DIMENSION).record(b'{"content": "word1 of a kind that changes"}'))
    await service.update(created.memory.id, Changes(DIMENSION).patch(b'{"content": "word3 and others"}'))
    await eventually(lambda: not candidates.doubted)
    await service.delete(created.memory.id)
    return searches


async def eventually(check, seconds=120):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.05)


async def search_all(service, seen):
    """The statements of each search."""
    queries, searches = Queries(DIMENSION), []
    for body, _ in SEARCHES:
        before = len(seen.order)
        for _ in range(2):  # a filter known to let many pass takes another way
            search = queries.search(msgspec.convert(body, SearchRequest))
            await service.search(None, search.tier, search.query, lambda found: b"%d" % len(found.hits))
        searches.append(seen.order[before:])
    return searches


async def explain(url, statements):
    """The plans by statement, None for what has none."""
    connection = await asyncpg.connect(url, server_settings=storage._SESSION)
    await storage._prepare(connection)
    plans = {}
    for number, sql in enumerate(statements):
        if not re.match(r"(?i)(with|select|insert|update|delete)\b", sql):
            continue
        name = f"statement_{number}"
        await connection.execute(f"PREPARE {name} AS {sql}")
        parameters = max((int(digits) for digits in re.findall(r"\$(\d+)", sql)), default=0)
        nulls = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
        rows = await connection.fetch(f"EXPLAIN (FORMAT JSON) EXECUTE {name}{nulls}")
        plans[sql] = json.loads(rows[0][0])[0]["Plan"]
    await connection.close()
    return plans


def nodes(plan):
    return itertools.chain([plan], *(nodes(child) for child in plan.get("Plans", ())))


def indexes(plan):
    return {node["Index Name"] for node in nodes(plan) if "Index Name" in node}


def test_no_statement_reads_a_large_table_through(plans):
    explained, _, _ = plans
    assert len(explained) > 30
    guilty = [
        (node["Relation Name"], sql)
        for sql, plan in explained.items()
        for node in nodes(plan)
        if "Seq Scan" in node["Node Type"] and node.get("Relation Name") in LARGE
    ]
    assert not guilty, guilty[0]


@pytest.mark.parametrize("number", range(len(SEARCHES)), ids=lambda number: str(SEARCHES[number][0])[:60])
def test_a_search_takes_the_indexes_meant_for_it(plans, number):
    explained, searches, _ = plans
    body, meant = SEARCHES[number]
    used = set().union(*(indexes(explained[sql]) for sql in searches[number] if sql in explained))
    assert meant <= used, (body, used)


@pytest.mark.parametrize("number", range(len(SEARCHES)), ids=lambda number: str(SEARCHES[number][0])[:60])
def test_a_search_by_given_candidates_reads_nothing_but_them(plans, number):
    explained, unindexed, indexed = plans
    given = [sql for sql in indexed[number] if GIVEN in sql]
    assert not [sql for sql in unindexed[number] if GIVEN in sql]
    if number not in INDEXED:
        assert not given
        return
    assert len({*given}) == 1
    used = indexes(explained[given[0]])
    assert {"memories_pkey", "memory_vectors_pkey", "memory_access_pkey"} == used


@pytest.mark.parametrize(
    ("marker", "meant"),
    [
        ("WHERE m.id = $1", {"memories_pkey", "memory_access_pkey"}),
        ("JOIN memories m ON m.content_hash = k.content_hash", {"memories_content_hash_tier"}),
        ("WHERE NOT indexed", {"memories_arrivals"}),
        ("FROM search_terms", {"search_terms_pkey"}),
        ("SELECT tier::text, count(*)", {"memories_tier_created_at"}),
        ("status = 'active' AND id > $1 ORDER BY id", {"memories_pkey"}),
        ("status = 'active' AND id = ANY($1::uuid[])", {"memories_pkey"}),
    ],
)
def test_the_index_meant_is_the_index_used(plans, marker, meant):
    explained, _, _ = plans
    found = [plan for sql, plan in explained.items() if marker in sql]
    assert found
    assert all(meant & indexes(plan) for plan in found)
