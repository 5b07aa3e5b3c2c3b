"""Entries, queries and an index of candidates made up, and what looking at every memory would say."""

import json
import math
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np

from reference_impl.candidates.entries import Entry, signs
from reference_impl.candidates.index import CandidateIndex
from reference_impl.models import Tier
from reference_impl.search_models import Query, Shares
from reference_impl.words import terms_in, terms_of

DIMENSION = 259  # not a whole number of bytes
NOW = datetime.now(UTC)
WORDS = [f"word{number}" for number in range(30)]
TIERS = ("working", "warm", "cold")
SCALARS = (0, 1, 1.0, 2.5, True, False, None, "1", "1.0", "true", 1e300, 2**53 + 1)
# Nothing that is nested, and no values that share a hash: of this the labels tell all.
FLAT = (
    {},
    *({"a": value} for value in SCALARS),
    {"a": {}},
    {"a": []},
    *({"a": [value]} for value in SCALARS),
    {"tags": ["x"]},
    {"tags": ["x", "y"]},
    {"tags": ["x"], "a": 1},
    {"absent": 1},
)
NESTED = ({"a": {"b": 1}}, {"a": {"b": {"c": "1"}}}, {"a": [[1]]}, {"a": [{"b": 1}]}, {"a": {"b": 1}, "tags": ["x"]})


def contains(held, wanted):
    """As jsonb's @> has it."""
    if isinstance(wanted, dict):
        return isinstance(held, dict) and all(key in held and contains(held[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return isinstance(held, list) and all(any(contains(item, one) for item in held) for one in wanted)
    return isinstance(held, bool) == isinstance(wanted, bool) and type(held) not in (dict, list) and held == wanted


def unit(chance):
    vector = np.array([chance.gauss(0, 1) for _ in range(DIMENSION)], dtype=np.float32)
    return vector / np.linalg.norm(vector)


def entry(number=1, **fields):
    """Its id sorts by `number`."""
    code = signs(unit(random.Random(number))).tobytes()
    return Entry(UUID(int=number << 64), code, terms_of("word1"), "{}", "warm", 0.5, NOW, None)._replace(**fields)


def some_metadata(chance):
    metadata = {}
    if chance.random() < 0.8:
        value = chance.choice(SCALARS)
        metadata["a"] = chance.choice([value, value, [value, chance.choice(SCALARS)], {"b": value}, {"b": {"c": "1"}}])
    if chance.random() < 0.1:
        metadata["a"] = chance.choice([[[1, 2]], [{"b": 1, "c": 2}], {}, []])
    if chance.random() < 0.5:
        metadata["tags"] = chance.sample("xyz", chance.randint(0, 3))
    return metadata


def some_entries(chance, count):
    numbers = chance.sample(range(1, 10 * count), count)
    return [
        entry(
            number,
            code=signs(unit(chance)).tobytes(),
            terms=chance.choice([terms_of(" ".join(chance.choices(WORDS, k=chance.randint(0, 12)))), b""]),
            metadata=json.dumps(some_metadata(chance)),
            tier=chance.choice(TIERS),
            importance=chance.choice([0, 0.25, 0.5, 0.75, 1.0, chance.random()]),
            created_at=NOW - timedelta(days=chance.randint(0, 40)),
            expires_at=chance.choice([None, None, NOW - timedelta(hours=1), NOW + timedelta(hours=1)]),
        )
        for number in numbers
    ]


def some_query(chance, vector=None, worded=None, filtered=True):
    vector = chance.random() < 0.7 if vector is None else vector
    worded = (not vector or chance.random() < 0.7) if worded is None else worded
    shares = Shares(*(chance.choice([0.0, chance.random()]) for _ in range(4)))
    fields = {}
    if filtered:
        importances = sorted(chance.choices([0, 0.25, 0.5, 0.75, 1], k=2))
        moments = sorted(NOW - timedelta(days=days) for days in chance.choices(range(40), k=2))
        possible = {
            "tier": chance.choice(list(Tier)),
            "metadata": json.dumps(chance.choice(FLAT + NESTED)),
            "importance_from": importances[0],
            "importance_to": importances[1],
            "created_from": moments[0],
            "created_to": moments[1],
        }
        fields = {name: possible[name] for name in possible if chance.random() < 0.3}
    return Query(
        shares=shares,
        limit=10,
        vector=unit(chance) if vector else None,
        terms=tuple(terms_in(" ".join(chance.sample(WORDS, 3)))) if worded else (),
        **fields,
    )


def passes(query, one):
    """But for metadata, of which the index holds less than the whole."""
    return (
        (one.expires_at is None or one.expires_at > datetime.now(UTC))
        and (query.tier is None or one.tier == query.tier.column)
        and (query.importance_from is None or one.importance >= query.importance_from)
        and (query.importance_to is None or one.importance <= query.importance_to)
        and (query.created_from is None or one.created_at >= query.created_from)
        and (query.created_to is None or one.created_at <= query.created_to)
    )


def words_of(one):
    """See `words.to_sparsevec`."""
    count = (len(one.terms) - 12) // 8 if one.terms else 0
    if not count:
        return {}
    places = np.frombuffer(one.terms, ">i4", count, 12)
    return dict(zip(places + 1, np.frombuffer(one.terms, ">f4", count, 12 + 4 * count), strict=True))


def by_words(weights, one):
    held = words_of(one)
    return sum(weight * float(held.get(term, 0)) for term, weight in weights.items())


def resemblance(query, weights, passing):
    """The approximate scores, by id."""
    words = {one.id: by_words(weights, one) for one in passing}
    most = max([*words.values(), 1e-9])
    scores = {}
    for one in passing:
        score = query.shares.text * words[one.id] / most + query.shares.importance * one.importance
        days = (datetime.now(UTC) - one.created_at).total_seconds() / 86_400
        score += query.shares.temporal * 0.5 ** (days / 30)
        if query.vector is not None:
            differing = (np.frombuffer(one.code, np.uint8) ^ signs(query.vector)).tolist()
            score += query.shares.semantic * math.cos(math.pi * sum(map(int.bit_count, differing)) / DIMENSION)
        scores[one.id] = score
    return scores


def found(index, query, wanted=10_000):
    return index.find(query, index.weights(query.terms), wanted)


def everything(index, **fields):
    """The ids of all that pass, in order."""
    query = Query(shares=Shares(semantic=1.0), limit=10, vector=unit(random.Random(0)), **fields)
    candidates = found(index, query)
    assert candidates.complete
    assert len({*candidates.ids}) == len(candidates.ids)
    return sorted(candidates.ids)


def filled(entries, room=1_024):
    index = CandidateIndex(DIMENSION, room)
    index.put(entries)
    return index
