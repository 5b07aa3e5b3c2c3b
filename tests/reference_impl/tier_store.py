"""A database of memories whose age, tier and reads a test chooses, and what reviews its tiers."""

import asyncio
import contextlib
import hashlib
import json
from datetime import UTC, datetime, timedelta

import numpy as np

from reference_impl.embedding import Embedder
from reference_impl.ids import new_id
from reference_impl.packing import Packer
from reference_impl.settings import Settings
from reference_impl.storage.accesses import Accesses
from reference_impl.storage.database import Database, to_halfvec
from reference_impl.storage.migrations import migrate
from reference_impl.tier_models import TierSettings
from reference_impl.tiers import TierManager
from reference_impl.words import terms_of

DIMENSION = 256
NOW = datetime(2030, 1, 1, tzinfo=UTC)
EMBEDDER = Embedder(DIMENSION)


def ago(days):
    return NOW - timedelta(days=days)


class Store:
    def __init__(self, database):
        self.database = database
        self.packer = Packer(database)
        self.changed = []
        self.moves = []
        self._accesses = Accesses(database, 5, 0.8)

    def manager(self, changed=None, embedder=EMBEDDER, **settings):
        return TierManager(
            self.database,
            embedder,
            self.packer,
            TierSettings(**{"interval_seconds": 0.0, **settings}),
            "0123456789abcdef",
            changed or (lambda ids: self.changed.append(list(ids))),
            moved=lambda *move: self.moves.append(move),
        )

    async def cycle(self, now=NOW, **settings):
        return await self.manager(**settings).run_cycle(now)

    async def add(self, content, tier="working", days=0.0, **columns):
        return (await self.add_many([content], tier, days, **columns))[0]

    async def add_many(self, contents, tier="working", days=0.0, **columns):
        """Memories created `days` ago that have been in their tier since then, unless `columns` say otherwise."""
        ids = [new_id() for _ in contents]
        vectors = to_halfvec(await asyncio.to_thread(EMBEDDER.embed, contents))
        packed = self.packer.pack_many(contents) if tier == "cold" else [None] * len(contents)
        given = {"created_at": ago(days), "updated_at": ago(days), "tier_since": ago(days), "indexed": True} | columns
        names = ", ".join(given)
        values = ", ".join(f"${number}" for number in range(9, 9 + len(given)))
        await self.database.fetch(
            f"""
            WITH vectors AS (
                INSERT INTO memory_vectors SELECT id, v FROM unnest($1::uuid[], $6::halfvec[]) u (id, v)
                WHERE $3::text <> 'cold'
            )
            INSERT INTO memories (id, content_hash, tier, content, packed, dictionary_id, code, terms, {names})
            SELECT u.id, u.hash, $3::text::memory_tier, u.content, u.packed, u.dictionary,
                   binary_quantize(u.vector)::bit({DIMENSION}), u.terms, {values}
            FROM unnest($1::uuid[], $2::text[], $4::bytea[], $5::integer[], $6::halfvec[], $7::sparsevec[], $8::bytea[])
                 AS u (id, content, packed, dictionary, vector, terms, hash)""",
            ids,
            [content if tier != "cold" else None for content in contents],
            tier,
            [item and item.data for item in packed],
            [item and item.dictionary_id for item in packed],
            vectors,
            [terms_of(content) for content in contents],
            [hashlib.sha256(content.encode()).digest() for content in contents],
            *given.values(),
        )
        return ids

    async def read(self, memory_id, times=1, at=NOW):
        """Counts reads just as the service does."""
        await self._accesses.count([(memory_id, times, at)])

    async def row(self, memory_id):
        rows = await self.database.fetch(
            """SELECT m.*, m.tier::text AS tier, m.status::text AS status, v.embedding,
                      coalesce(a.access_count, 0) AS access_count, a.last_accessed_at
               FROM memories m LEFT JOIN memory_vectors v USING (id) LEFT JOIN memory_access a USING (id)
               WHERE m.id = $1""",
            memory_id,
        )
        return rows[0] if rows else None

    async def tier(self, memory_id):
        row = await self.row(memory_id)
        return row["tier"] if row["status"] == "active" else row["status"]

    async def text(self, memory_id):
        row = await self.row(memory_id)
        return (
            row["content"] if row["packed"] is None else await self.packer.unpack(row["packed"], row["dictionary_id"])
        )

    async def metadata(self, memory_id):
        return json.loads((await self.row(memory_id))["metadata"])

    async def value(self, sql, *values):
        return (await self.database.fetch(sql, *values))[0][0]

    async def history(self, memory_id):
        return [
            tuple(row)
            for row in await self.database.fetch(
                "SELECT from_tier::text, to_tier::text, reason, merged_into FROM tier_moves WHERE memory_id = $1"
                " ORDER BY number",
                memory_id,
            )
        ]

    async def require_sound(self):
        """What must hold for every memory, whatever happened."""
        unsound = await self.database.fetch(
            """SELECT m.id, m.tier, m.status FROM memories m LEFT JOIN memory_vectors v USING (id)
               WHERE (m.status = 'active' AND (m.tier = 'cold') <> (m.packed IS NOT NULL))
                  OR (m.status = 'active' AND (m.tier = 'cold') = (v.id IS NOT NULL) AND NOT m.own_embedding)
                  OR (m.merged_into IS NOT NULL AND m.status = 'active')"""
        )
        assert not unsound
        rows = await self.database.fetch("SELECT content, packed, dictionary_id, content_hash FROM memories")
        for content, packed, dictionary_id, digest in rows:
            text = content if packed is None else await self.packer.unpack(packed, dictionary_id)
            assert hashlib.sha256(text.encode()).digest() == digest


@contextlib.asynccontextmanager
async def opened(url, **settings):
    database = Database(Settings(database=url, dimension=DIMENSION, pool_min=1, pool_max=12, **settings))
    await database.open()
    try:
        yield Store(database)
    finally:
        await database.close()


def play(postgres, scenario):
    """Runs a scenario on a new, migrated database."""
    url = postgres.new_database()

    async def main():
        await migrate(url, DIMENSION)
        async with opened(url) as store:
            await scenario(store)

    asyncio.run(main())


def cosine(halfvec, vector):
    stored = np.frombuffer(halfvec, dtype=">f2", offset=4).astype(np.float32)
    return float(stored @ vector / np.linalg.norm(stored))
