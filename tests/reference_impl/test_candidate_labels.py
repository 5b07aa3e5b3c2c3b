"""What the index holds of a memory, against what the database says of it."""

import asyncio
import random
from datetime import timedelta
from uuid import UUID

import asyncpg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_impl.api.validation import storable_json
from reference_impl.candidates.entries import Entry, entries_of, signs
from reference_impl.candidates.postings import Labels, labels_of
from reference_impl.models import Tier
from reference_impl.storage.database import _prepare, to_halfvec
from reference_impl.storage.records import NewMemory
from reference_impl.words import terms_of
from tests.reference_impl.candidate_store import NOW, unit

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3) | st.sampled_from(["a", "b", "a[]"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.integers(-2, 2)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-4, 4).map(float)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
    | st.sampled_from(["1", "true", "{}", "[]", ""])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
METADATA = st.dictionaries(KEYS, VALUES, max_size=4)


def part_of(chance, value):
    """Contained in a value, as like as not, and perhaps written in another way."""
    if isinstance(value, dict):
        return {key: part_of(chance, inner) for key, inner in value.items() if chance.random() < 0.6}
    if isinstance(value, list):
        kept = [part_of(chance, inner) for inner in value if chance.random() < 0.7]
        return chance.sample(kept + kept, len(kept))
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    return value


@pytest.fixture(scope="module")
def ask(postgres):
    """Asks PostgreSQL: `ask(sql, *values)`."""
    database = postgres.new_database()

    async def connected():
        connection = await asyncpg.connect(database)
        await connection.execute("CREATE EXTENSION vector")
        await _prepare(connection)
        return connection

    with asyncio.Runner() as runner:
        connection = runner.run(connected())
        yield lambda sql, *values: runner.run(connection.fetch(sql, *values))
        runner.run(connection.close())


def slots_with(held, asked):
    labels = Labels()
    labels.add(0, labels_of(held))
    found = labels.having(asked)
    return None if found is None else found.tolist()


@given(held=METADATA, other=METADATA, seed=st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_whatever_contains_a_filter_has_all_of_its_labels(ask, held, other, seed):
    asked = [storable_json(part_of(random.Random(seed + n), held), "") for n in range(4)] + [storable_json(other, "")]
    written = storable_json(held, "")
    rows = ask("SELECT $1::jsonb::text, q, $1::jsonb @> q::jsonb FROM unnest($2::text[]) AS q", written, asked)
    for stored, query, contained in rows:
        # As this process has stored it, and as it comes from the database.
        for text in (written, stored):
            slots = slots_with(text, query)
            assert slots in (None, [0]) or not contained, (text, query)
        assert slots_with(written, query) == slots_with(stored, query)


def test_entries_of_new_memories_are_what_they_were_stored_with():
    assert entries_of([]) == []
    vectors = [unit(random.Random(seed)) for seed in (1, 2)]
    news = [
        NewMemory(
            id=UUID(int=number),
            content="word1",
            content_hash=b"",
            tier=Tier.COLD,
            importance_score=0.25,
            metadata='{"a":1}',
            parent_id=None,
            created_at=NOW,
            updated_at=NOW,
            expires_at=NOW + timedelta(days=1),
            embedding=vector,
            terms=terms_of("word1"),
        )
        for number, vector in enumerate(vectors)
    ]
    for number, (made, vector) in enumerate(zip(entries_of(news), vectors, strict=True)):
        code, terms = np.packbits(vector > 0).tobytes(), terms_of("word1")
        assert made == Entry(UUID(int=number), code, terms, '{"a":1}', "cold", 0.25, NOW, NOW + timedelta(days=1))


def test_signs_are_those_that_the_database_makes_of_halves(ask):
    edge = np.float32(2.0**-25)
    around = [np.nextafter(edge, np.float32(way)) for way in (0, 1)]
    chance = np.random.default_rng(1)
    values = np.concatenate(
        [
            [0.0, -0.0, edge, *around, 2.0**-24, 2.0**-26, 1.5 * edge, 65_504, 1.0, np.float32(1e-45)],
            np.arange(0, 64) * edge / 4,
            np.exp2(chance.uniform(-40, 15, 2_000)),
            chance.standard_normal(2_000),
            np.arange(2_000) * edge,
        ]
    ).astype(np.float32)
    values = np.concatenate([values, -values])
    (row,) = ask("SELECT binary_quantize($1::halfvec)", to_halfvec(values[np.newaxis])[0])
    assert signs(values).tobytes() == row[0].bytes
    assert len(row[0]) == len(values)
