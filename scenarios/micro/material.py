"""What the benchmarks work on: generated memories as the service holds them, and searches for them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from harness.corpus import GeneratedCorpus, queries
from reference_impl.api.validation import Creates
from reference_impl.embedding import Embedder, Vector
from reference_impl.models import Tier
from reference_impl.storage.records import NewMemory
from reference_impl.words import terms_of

DIMENSION: Final = 1536
"""Length of embeddings, the guide's."""

_SEED: Final = 1
_BATCH: Final = 256


class Search(NamedTuple):
    """A search text, its vector, and metadata that results may be asked to have."""

    text: str
    vector: Vector
    filters: dict[str, str]


def bodies(count: int) -> list[bytes]:
    """Bodies of create requests, JSON, without embeddings; all contents differ."""
    corpus = GeneratedCorpus(count, seed=_SEED, now=datetime.now(UTC))
    return [msgspec.json.encode(memory) for batch in corpus.batches(_BATCH) for memory in batch]


def records(embedder: Embedder, count: int, *, start: int = 0) -> list[NewMemory]:
    """Memories with embeddings, ready to store; those of another `start` are others.

    All are in the working tier: the guide's index covers no other, and each index is to hold the same rows.
    """
    creates = Creates(embedder.dimension)
    plain = [creates.record(body) for body in bodies(start + count)[start:]]
    vectors = (
        vector
        for first in range(0, count, _BATCH)
        for vector in embedder.embed([record.content for record in plain[first : first + _BATCH]])
    )
    return [
        msgspec.structs.replace(record, tier=Tier.WORKING, embedding=vector, terms=terms_of(record.content))
        for record, vector in zip(plain, vectors, strict=True)
    ]


def searches(embedder: Embedder, count: int) -> list[Search]:
    """Searches about the same people and things, no text twice."""
    found = list(itertools.islice(queries(_SEED), count))
    vectors = embedder.embed([query.text for query in found])
    return [Search(query.text, vector, query.filters) for query, vector in zip(found, vectors, strict=True)]
