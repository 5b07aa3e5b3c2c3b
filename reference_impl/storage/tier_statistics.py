"""The analysis of tiers: walks through each, page by page, and keeps what it adds up to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from reference_impl.models import TIERS, Tier
from reference_impl.packing import unpacked_bytes
from reference_impl.storage.database import Database
from reference_impl.storage.tiers import ACCESS, BEGINNING
from reference_impl.tier_models import TierAnalysis, TierMoves

STALE: Final = timedelta(days=30)
# Enough of a packed text to tell how long it is.
_HEAD_BYTES: Final = 14
# A line pointer of 4 and a header of 23 with its map of NULLs, aligned to 8.
_ROW: Final = 4 + 32
# id, tier, status, three moments, counter, and a score in single precision. Varying columns are added to it.
_GUIDE_ROW: Final = _ROW + 16 + 4 + 4 + 3 * 8 + 4 + 4
# id, tier, status, score, three moments, tier_accesses, two flags.
_OUR_ROW: Final = _ROW + 16 + 4 + 4 + 8 + 3 * 8 + 8 + 2
_VECTOR_ROW: Final = 4 + 24 + 16
_ACCESS_ROW: Final = 4 + 24 + 16 + 8 + 8

_SHARED: Final = (
    "pg_column_size(m.content_hash) + pg_column_size(m.metadata) + coalesce(pg_column_size(m.parent_id), 0)"
    " + coalesce(pg_column_size(m.expires_at), 0)"
)
_OURS: Final = (
    "coalesce(pg_column_size(m.content), pg_column_size(m.packed)) + pg_column_size(m.code)"
    " + coalesce(pg_column_size(m.terms), 0) + coalesce(pg_column_size(m.dictionary_id), 0)"
)

_SAVE: Final = """
INSERT INTO tier_statistics AS s VALUES ($1::text::memory_tier, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (tier) DO UPDATE SET (memories, accesses, access_frequency, importance, stale, text_bytes,
    stored_text_bytes, vector_bytes, stored_vector_bytes, row_bytes, stored_row_bytes, analysed_at) =
    (excluded.memories, excluded.accesses, excluded.access_frequency, excluded.importance, excluded.stale,
     excluded.text_bytes, excluded.stored_text_bytes, excluded.vector_bytes, excluded.stored_vector_bytes,
     excluded.row_bytes, excluded.stored_row_bytes, excluded.analysed_at)"""
_READ: Final = """
SELECT tier::text, memories, accesses, access_frequency, importance, stale, text_bytes, stored_text_bytes, vector_bytes,
       stored_vector_bytes, row_bytes, stored_row_bytes, analysed_at
FROM tier_statistics s ORDER BY s.tier"""
_MOVES: Final = """
SELECT from_tier::text, to_tier::text, reason, count(*), count(merged_into) FROM tier_moves m WHERE moved_at > $1
GROUP BY m.from_tier, m.to_tier, m.reason ORDER BY m.from_tier, m.to_tier, m.reason"""
_DICTIONARIES: Final = "SELECT coalesce(sum(octet_length(content)), 0)::bigint FROM compression_dictionaries"


def _page(tier: Tier, batch: int, dimension: int) -> str:
    """$1 and $2: created_at and id to go on after; $3 now; $4 stale before."""
    # Every embedding is of one size; reading one to learn it would push what searches need out of memory.
    vector = 8 + 2 * dimension
    return f"""
WITH page AS MATERIALIZED (
    SELECT m.id, m.created_at, m.importance_score, coalesce(a.access_count, 0) AS accesses,
           coalesce(a.access_count, 0)
               / greatest(extract(epoch FROM $3 - m.created_at)::double precision / 86400, 1) AS frequency,
           greatest(a.last_accessed_at, m.created_at) < $4 AS stale,
           octet_length(m.content) AS text, substring(m.packed, 1, {_HEAD_BYTES}) AS head,
           coalesce(pg_column_size(m.content), pg_column_size(m.packed)) AS stored_text,
           pg_column_size(m.code) + CASE WHEN v.id IS NULL THEN 0 ELSE {vector} END AS stored_vector,
           {_SHARED} AS shared,
           {_OURS} + CASE WHEN v.id IS NULL THEN 0 ELSE {_VECTOR_ROW + vector} END
               + CASE WHEN a.id IS NULL THEN 0 ELSE {_ACCESS_ROW} END AS ours
    FROM (SELECT * FROM memories
          WHERE tier = '{tier.column}' AND status = 'active' AND (created_at, id) > ($1, $2)
          ORDER BY created_at, id LIMIT {batch}) AS m
    {ACCESS}
    LEFT JOIN LATERAL (SELECT id FROM memory_vectors v WHERE v.id = m.id LIMIT 1) AS v ON true
)
SELECT count(*) AS memories, sum(accesses)::bigint AS accesses, sum(frequency) AS frequency,
       sum(importance_score) AS importance, count(*) FILTER (WHERE stale) AS stale, sum(text) AS text,
       array_agg(head) FILTER (WHERE head IS NOT NULL) AS heads, sum(stored_text) AS stored_text,
       sum(stored_vector) AS stored_vector, sum(shared) AS shared, sum(ours) AS ours,
       (array_agg(created_at ORDER BY created_at DESC, id DESC))[1] AS last_created_at,
       (array_agg(id ORDER BY created_at DESC, id DESC))[1] AS last_id
FROM page"""


class TierStatistics:
    """Analyses tiers, over one connection.

    Args:
        connection: not in a transaction.
        batch: rows of a page.
        dimension: length of the embeddings.
    """

    def __init__(self, connection: asyncpg.Connection, batch: int, dimension: int) -> None:
        self._connection = connection
        self._pages = {tier: _page(tier, batch, dimension) for tier in Tier}
        self._vector = 8 + 4 * dimension

    async def analyse(self, now: datetime) -> list[TierAnalysis]:
        """Walks through all tiers and keeps the result; what moves meanwhile is counted twice or not at all."""
        found = [await self._walk(tier, now) for tier in Tier]
        await self._connection.executemany(_SAVE, [_columns(analysis) for analysis in found])
        return found

    async def _walk(self, tier: Tier, now: datetime) -> TierAnalysis:
        analysis = TierAnalysis(
            tier=tier, memories=0, accesses=0, access_frequency=0.0, importance=0.0, stale=0,
            text_bytes=0, stored_text_bytes=0, vector_bytes=0, stored_vector_bytes=0,
            row_bytes=0, stored_row_bytes=0, analysed_at=now,
        )  # fmt: skip
        after = BEGINNING
        while True:
            page = await self._connection.fetchrow(self._pages[tier], *after, now, now - STALE)
            if not page["memories"]:
                break
            self._add(analysis, page)
            after = page["last_created_at"], page["last_id"]
        if analysis.memories:
            analysis.access_frequency /= analysis.memories
            analysis.importance /= analysis.memories
        if tier is Tier.COLD:
            dictionaries = await self._connection.fetchval(_DICTIONARIES)
            analysis.stored_text_bytes += dictionaries
            analysis.stored_row_bytes += dictionaries
        return analysis

    def _add(self, analysis: TierAnalysis, page: asyncpg.Record) -> None:
        """Adds a page; means are sums until the walk ends."""
        memories = page["memories"]
        text = (page["text"] or 0) + sum(map(unpacked_bytes, page["heads"] or ()))
        analysis.memories += memories
        analysis.accesses += page["accesses"]
        analysis.access_frequency += page["frequency"]
        analysis.importance += page["importance"]
        analysis.stale += page["stale"]
        analysis.text_bytes += text
        analysis.stored_text_bytes += page["stored_text"]
        analysis.vector_bytes += memories * self._vector
        analysis.stored_vector_bytes += page["stored_vector"]
        analysis.row_bytes += memories * (_GUIDE_ROW + self._vector) + page["shared"] + text
        analysis.stored_row_bytes += memories * _OUR_ROW + page["shared"] + page["ours"]


async def last_analysis(database: Database) -> list[TierAnalysis]:
    """The analysis of each tier, whoever made it; empty if nobody has."""
    fields = TierAnalysis.__struct_fields__
    rows = await database.fetch(_READ)
    return [
        TierAnalysis(**dict(zip(fields, (TIERS[row[0]], *row[1:]), strict=True)))  # in the order of the columns
        for row in rows
    ]


async def moves_since(database: Database, moment: datetime) -> list[TierMoves]:
    """Moves since a moment, counted by kind."""
    return [
        TierMoves(source=TIERS[row[0]], target=TIERS[row[1]], reason=row[2], memories=row[3], merged=row[4])
        for row in await database.fetch(_MOVES, moment)
    ]


def _columns(analysis: TierAnalysis) -> tuple[object, ...]:
    tier, *rest = msgspec.structs.astuple(analysis)
    return (tier.column, *rest)
