"""A checked search, and what answers it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec

from reference_impl.embedding import Vector
from reference_impl.models import Tier
from reference_impl.storage.records import StoredMemory
from reference_impl.storage.search_sql import FILTERS


class Shares(NamedTuple):
    """What each part counts for; they add up to 1."""

    semantic: float = 0.0
    text: float = 0.0
    temporal: float = 0.0
    importance: float = 0.0
    access_frequency: float = 0.0


class Query(msgspec.Struct, frozen=True, eq=False):
    """A checked search. `terms` are the query's words; `metadata` is JSON text to be contained; bounds are inclusive.

    Without a vector and without words what passes the filters is ranked by the other parts, the newest first.
    """

    shares: Shares
    limit: int
    vector: Vector | None = None
    terms: tuple[int, ...] = ()
    offset: int = 0
    threshold: float | None = None
    tier: Tier | None = None
    metadata: str | None = None
    importance_from: float | None = None
    importance_to: float | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    with_metadata: bool = True
    facets: bool = False
    explained: bool = False
    exact: bool = False

    def filters(self) -> tuple[object, ...]:
        """The tier and what `search_sql.FILTERS` compare with, in their order."""
        return (self.tier, *(getattr(self, name) for name in FILTERS))

    @property
    def filtered(self) -> bool:
        """Whether anything but its place in the ranking can keep a memory out."""
        return any(value is not None for value in self.filters())


class Hit(NamedTuple):
    """One found memory: its score, its cosine distance 0..2 where there is a vector, its parts if wanted."""

    memory: StoredMemory
    score: float
    distance: float | None
    parts: Shares | None


class Found(NamedTuple):
    """The answer to a query. `total` counts what was ranked; `facets` is JSON."""

    hits: list[Hit]
    total: int
    facets: str | None
