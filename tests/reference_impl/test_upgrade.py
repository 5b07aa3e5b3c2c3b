"""A database of the first schema, with memories in it, under this service."""

import asyncio
import hashlib
import time
import uuid

import asyncpg
import pytest

from reference_impl.embedding import Embedder
from reference_impl.storage.migrations import migrations

DIMENSION = 1536
TEXTS = [f"The {animal} sleeps near the {place}" for animal in ("fox", "owl", "hare") for place in ("river", "barn")]
TIERS = ("working", "warm", "cold")


async def fill(url):
    connection = await asyncpg.connect(url)
    _, name, sql = migrations()[0]
    await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    await connection.execute("CREATE TABLE schema_migrations (version int PRIMARY KEY, name text NOT NULL,"
                             " applied_at timestamptz NOT NULL DEFAULT now())")  # fmt: skip
    await connection.execute(sql.replace("{dimension}", str(DIMENSION)))
    await connection.execute("INSERT INTO schema_migrations (version, name) VALUES (1, $1)", name)
    ids = []
    for number, (text, vector) in enumerate(zip(TEXTS, Embedder(DIMENSION).embed(TEXTS), strict=True)):
        ids.append(uuid.uuid4())
        await connection.execute(
            "INSERT INTO memories (id, content, content_hash, tier, metadata, code, embedding) VALUES ($1, $2, $3,"
            f" $4::text::memory_tier, $5, binary_quantize($6::text::halfvec)::bit({DIMENSION}), $6::text::halfvec)",
            ids[-1], text, hashlib.sha256(text.encode()).digest(), TIERS[number % 3], '{"old": true}',
            "[" + ",".join(map(str, vector.tolist())) + "]",
        )  # fmt: skip
    await connection.close()
    return ids


@pytest.fixture(scope="module")
def old(postgres):
    url = postgres.new_database()
    return url, asyncio.run(fill(url))


def test_old_memories_are_read_searched_and_changed(old, launch):
    url, ids = old
    running = launch(url)
    for memory_id, text in zip(ids, TEXTS, strict=True):
        assert running.get(f"/api/v1/memories/{memory_id}").json["content"] == text
        best = running.search(text, limit=1, search_type="Semantic", exact=True)[0]
        assert best["memory"]["id"] == str(memory_id)
    assert len(running.search("fox", metadata_filters={"old": True}, limit=20)) == len(TEXTS)
    # Their words come behind, also while others are created.
    deadline = time.monotonic() + 20
    while len(running.search("foxes", search_type="FullText", exact=True)) < 2:
        running.create(f"something else {uuid.uuid4()}")
        assert time.monotonic() < deadline
    for number, memory_id in enumerate(ids):
        changed = running.call("PATCH", f"/api/v1/memories/{memory_id}", {"content": f"A submarine, number {number}"})
        assert changed.status == 200, changed.body
        best = running.search(f"A submarine, number {number}", limit=1, search_type="Semantic", exact=True)[0]
        assert best["memory"]["id"] == str(memory_id)
        assert best["distance"] < 0.1
    assert running.stop() == 0


def test_another_dimension_is_refused(old, launch):
    with pytest.raises(AssertionError, match="holds embeddings of 1536 dimensions, not 256"):
        launch(old[0], "--dimension", "256")
