"""Text to vector, and what is done to vectors before they are stored."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
import pytest

from reference_impl import embedding
from reference_impl.embedding import BASE_DIMENSION, Embedder, Vector
from reference_impl.storage.records import NewMemory
from scenarios.micro.material import DIMENSION, Search
from scenarios.micro.rounds import ROUNDS, Rounds

pytestmark = pytest.mark.benchmark(group="embedding")

_BATCH: Final = 256


def _is_unit(vectors: Vector) -> bool:
    return bool(np.allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5))


@pytest.fixture(scope="module")
def pooled() -> Vector:
    """Unit vectors as the token vectors' average gives them, before the lift."""
    noise = np.random.default_rng(0).standard_normal((_BATCH, BASE_DIMENSION), dtype=np.float32)
    return np.asarray(noise / np.linalg.norm(noise, axis=1, keepdims=True), dtype=np.float32)


def test_one(timed: Rounds, embedder: Embedder, records: Sequence[NewMemory]) -> None:
    """One memory's text."""
    vector = timed.each(embedder.embed, itertools.cycle(([record.content],) for record in records))
    assert vector.shape == (1, DIMENSION)
    assert _is_unit(vector)


@pytest.mark.parametrize(("size", "rounds"), [(32, 100), (_BATCH, 20)], ids=["32", "256"])
def test_batch(timed: Rounds, embedder: Embedder, records: Sequence[NewMemory], size: int, rounds: int) -> None:
    """Many texts at once; the figure is for all of them."""
    texts = [record.content for record in records[:size]]
    vectors = timed.fixed(embedder.embed, texts, rounds=rounds)
    assert vectors.shape == (size, DIMENSION)
    assert _is_unit(vectors)


def test_query_cached(timed: Rounds, embedder: Embedder, searches: Sequence[Search]) -> None:
    """A query text embedded before."""
    text, vector, _ = searches[0]
    embedder.embed_query(text)
    hits = embedder.hits
    found = timed.fixed(embedder.embed_query, text, iterations=100)
    assert embedder.hits > hits
    assert np.allclose(found, vector, atol=1e-6)


@pytest.mark.parametrize(("size", "rounds"), [(1, ROUNDS), (_BATCH, 200)], ids=["1", "256"])
def test_lift(timed: Rounds, pooled: Vector, size: int, rounds: int) -> None:
    """From the 256 numbers of the token vectors to the service's dimension."""
    matrix = embedding._lift_matrix(DIMENSION)
    lifted = timed.fixed(np.matmul, pooled[:size], matrix, rounds=rounds)
    assert np.allclose(lifted @ lifted.T, pooled[:size] @ pooled[:size].T, atol=1e-5), "the lift keeps cosines"


@pytest.mark.parametrize("size", [1, _BATCH], ids=["1", "256"])
def test_binary_quantize(timed: Rounds, embedder: Embedder, size: int) -> None:
    """One bit for each number, in numpy; group sql has the same in the server."""
    vectors = embedder.embed(["a text"] * size)
    codes = timed.fixed(lambda: np.packbits(vectors > 0, axis=1), iterations=1 if size > 1 else 10)
    assert codes.shape == (size, DIMENSION // 8)
    assert np.array_equal(np.unpackbits(codes, axis=1).astype(bool), vectors > 0)
