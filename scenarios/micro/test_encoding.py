"""Between objects and bytes: requests in, memories out, vectors to and from PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import numpy as np
import pytest
from pgvector import HalfVector
from pgvector import Vector as PgVector

from reference_impl.api.validation import Creates, decode, unit_vector
from reference_impl.embedding import Vector
from reference_impl.encoding import counters, head
from reference_impl.errors import ApiError
from reference_impl.models import SearchRequest
from reference_impl.storage.database import from_halfvec, to_halfvec
from reference_impl.storage.records import NewMemory, StoredMemory
from scenarios.micro import material
from scenarios.micro.material import DIMENSION
from scenarios.micro.rounds import Rounds

pytestmark = pytest.mark.benchmark(group="encoding")


_LAST: Final = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def stored(records: Sequence[NewMemory]) -> StoredMemory:
    """A memory as it comes from the database."""
    new = records[0]
    shared = {field: getattr(new, field) for field in StoredMemory._fields if hasattr(new, field)}
    return StoredMemory(**{**shared, "tier": new.tier.column, "access_count": 3, "last_accessed_at": _LAST})


@pytest.fixture(scope="module")
def vector(records: Sequence[NewMemory]) -> Vector:
    """One embedding."""
    assert records[0].embedding is not None
    return records[0].embedding


def _whole(memory: StoredMemory) -> bytes:
    return head(memory) + counters(memory.access_count, memory.last_accessed_at) + b"}"


def _by_json(memory: StoredMemory) -> bytes:
    """As a service does it that knows only the standard library."""
    fields = memory._asdict()
    for name in ("created_at", "updated_at", "expires_at", "last_accessed_at"):
        moment = fields[name]
        fields[name] = None if moment is None else moment.isoformat()
    fields["id"] = str(memory.id)
    fields["parent_id"] = None if memory.parent_id is None else str(memory.parent_id)
    fields["content_hash"] = memory.content_hash.hex()
    fields["metadata"] = json.loads(memory.metadata or "{}")
    return json.dumps(fields).encode()


def test_memory_msgspec(timed: Rounds, stored: StoredMemory) -> None:
    """A memory to JSON, as the service does it."""
    found = json.loads(timed.fixed(_whole, stored, iterations=10))
    assert found["content"] == stored.content
    assert found["metadata"] == json.loads(stored.metadata or "")


def test_memory_json(timed: Rounds, stored: StoredMemory) -> None:
    """A memory to JSON with the standard library."""
    found = json.loads(timed.fixed(_by_json, stored, iterations=10))
    expected = json.loads(_whole(stored))
    assert {name: found[name] for name in ("id", "content", "content_hash", "metadata", "access_count")} == {
        name: expected[name] for name in ("id", "content", "content_hash", "metadata", "access_count")
    }


def test_memory_cached(timed: Rounds, stored: StoredMemory) -> None:
    """A memory to JSON when all but its counters is in the cache."""
    cached = head(stored)
    found = timed.fixed(lambda: cached + counters(3, _LAST) + b"}", iterations=10)
    assert found == _whole(stored)


@pytest.mark.parametrize(
    "codec", [msgspec.json.encode, lambda values: json.dumps(values).encode()], ids=["msgspec", "json"]
)
def test_embedding_to_json(timed: Rounds, vector: Vector, codec: Callable[[list[float]], bytes]) -> None:
    """An embedding as a client asks for it, and as `SELECT *` sends it unasked."""
    encoded = timed.fixed(codec, vector.tolist())
    assert np.allclose(json.loads(encoded), vector)


@pytest.mark.parametrize(
    ("to_wire", "from_wire"),
    [
        (lambda vector: PgVector(vector).to_text(), lambda wire: PgVector.from_text(wire).to_numpy()),
        (lambda vector: PgVector(vector).to_binary(), lambda wire: PgVector.from_binary(wire).to_numpy()),
        (lambda vector: HalfVector(vector).to_binary(), lambda wire: HalfVector.from_binary(wire).to_numpy()),
        (lambda vector: to_halfvec(vector[np.newaxis])[0], from_halfvec),
    ],
    ids=["text", "pgvector", "pgvector_halfvec", "service_halfvec"],
)
class TestVector:
    """A vector to what goes over the wire to PostgreSQL, and back."""

    def test_to_wire(
        self,
        timed: Rounds,
        vector: Vector,
        to_wire: Callable[[Vector], Any],
        from_wire: Callable[[Any], Any],
    ) -> None:
        """One parameter."""
        wire = timed.fixed(to_wire, vector)
        assert np.allclose(from_wire(wire), vector, atol=1e-3)

    def test_from_wire(
        self,
        timed: Rounds,
        vector: Vector,
        to_wire: Callable[[Vector], Any],
        from_wire: Callable[[Any], Any],
    ) -> None:
        """One column of a row."""
        found = timed.fixed(from_wire, to_wire(vector))
        assert np.allclose(found, vector, atol=1e-3)


def test_group_to_wire(timed: Rounds, records: Sequence[NewMemory]) -> None:
    """The 64 vectors of a group commit, converted at once."""
    vectors = np.stack([record.embedding for record in records[:64] if record.embedding is not None])
    wires = timed.fixed(to_halfvec, vectors)
    assert len(wires) == 64
    assert np.allclose(from_halfvec(wires[-1]), vectors[-1], atol=1e-3)


def test_create_request(timed: Rounds) -> None:
    """The body of a create to a checked record."""
    body = material.bodies(1)[0]
    record = timed.fixed(Creates(DIMENSION).record, body, iterations=10)
    assert record.content == json.loads(body)["content"]


def test_create_request_with_embedding(timed: Rounds, vector: Vector) -> None:
    """The same with an embedding in it, which is nearly all of it."""
    body = msgspec.json.encode({**json.loads(material.bodies(1)[0]), "embedding": vector.tolist()})
    record = timed.fixed(Creates(DIMENSION).record, body)
    assert np.allclose(np.asarray(record.embedding), vector, atol=1e-6)


def test_create_request_refused(timed: Rounds) -> None:
    """A body that fails, to the error that names the field."""
    creates, body = Creates(DIMENSION), b'{"content": "a text", "importance_score": 2}'

    def refused() -> str:
        try:
            creates.record(body)
        except ApiError as error:
            return str(error.details["field"])
        return ""

    assert timed.fixed(refused, iterations=10) == "importance_score"


def test_search_request(timed: Rounds, searches: Sequence[material.Search]) -> None:
    """The body of a search."""
    text, _, filters = searches[0]
    body = msgspec.json.encode({"query_text": text, "limit": 20, "metadata_filters": filters})
    decoder = msgspec.json.Decoder(SearchRequest)
    asked = timed.fixed(decode, body, decoder, iterations=10)
    assert (asked.query_text, asked.metadata_filters) == (text, filters)


def test_search_request_with_embedding(timed: Rounds, vector: Vector) -> None:
    """The body of a search that brings its vector, which is checked and made a unit vector."""
    body = msgspec.json.encode({"query_embedding": vector.tolist()})
    decoder = msgspec.json.Decoder(SearchRequest)

    def checked() -> Vector:
        return unit_vector(decode(body, decoder).query_embedding or [], DIMENSION, "query_embedding")

    assert np.allclose(timed.fixed(checked), vector, atol=1e-6)
