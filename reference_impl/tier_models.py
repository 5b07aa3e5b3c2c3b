"""Tiers as the API shows them: their analysis, the moves between them, the rules."""

from __future__ import annotations

from datetime import datetime

import msgspec

from reference_impl.models import Tier


class TierSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When memories change their tier. Days and seconds may be fractions.

    A memory moves down a tier when it has been idle for `working_to_warm_days` or `warm_to_cold_days`: created, moved
    and last read that long ago. It moves up a tier when it has been read `min_accesses` times since it came to
    its tier, or once if its importance is above `importance`; the last time within `working_to_warm_days`. Whatever
    moved stays for `dwell_days`. A transaction holds `batch` memories at most. Tiers are reviewed every
    `interval_seconds`; 0 leaves it to whoever asks. Moves are remembered for `history_days`, deleted memories
    kept for `deleted_days`.
    """

    working_to_warm_days: float = 7.0
    warm_to_cold_days: float = 30.0
    min_accesses: int = 5
    importance: float = 0.8
    batch: int = 1_000
    dwell_days: float = 1.0
    interval_seconds: float = 300.0
    history_days: float = 90.0
    deleted_days: float = 30.0


class MigrationStats(msgspec.Struct, kw_only=True):
    """What one review of the tiers did.

    `promoted`, `demoted` (working to warm) and `archived` (warm to cold) count memories that changed their tier,
    `merged` those that met a memory with the same content there and became one with it, `repacked` those that were
    compressed again, `batches` the transactions of all this.
    """

    promoted: int = 0
    demoted: int = 0
    archived: int = 0
    merged: int = 0
    expired: int = 0
    purged: int = 0
    repacked: int = 0
    batches: int = 0
    duration_ms: float = 0.0


class TierAnalysis(msgspec.Struct, kw_only=True):
    """One tier as it was last analysed; sums over its active memories.

    `access_frequency` is the mean of reads per day of age (at least one), `importance` a mean; `stale` counts
    memories that nobody has read or created for 30 days.

    Bytes: `text_bytes` is UTF-8, `stored_text_bytes` what is stored of it, compression dictionaries included.
    `vector_bytes` is what single precision would take, `stored_vector_bytes` the half-precision vectors (working
    and warm) and sign bits (all) that there are. `row_bytes` is the guide's table: one row with text, single-precision
    vector, counters and the other columns. `stored_row_bytes` are this service's rows in all their tables, with the
    weights of the words, which the guide's table has no column for. Rows include their headers; indexes and free room
    in pages are left out of both.
    """

    tier: Tier
    memories: int
    accesses: int
    access_frequency: float
    importance: float
    stale: int
    text_bytes: int
    stored_text_bytes: int
    vector_bytes: int
    stored_vector_bytes: int
    row_bytes: int
    stored_row_bytes: int
    analysed_at: datetime


class TierMoves(msgspec.Struct, kw_only=True, rename={"source": "from", "target": "to"}):
    """Moves of one kind: "read", "important", "idle" or "request"; `merged` of the memories met a twin."""

    source: Tier
    target: Tier
    reason: str
    memories: int
    merged: int


class Compression(msgspec.Struct, kw_only=True):
    """Bytes as the guide would store them, over bytes stored; null for an empty tier."""

    text: float | None
    vector: float | None
    row: float | None


class TierReport(msgspec.Struct, kw_only=True):
    """Access analysis of all tiers, `cold_compression`, moves of the last 24 hours, and the rules."""

    tiers: list[TierAnalysis]
    cold_compression: Compression
    moves_last_day: list[TierMoves]
    settings: TierSettings
