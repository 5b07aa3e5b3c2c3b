"""The index of candidates, against looking at every memory: what passes, which are the best, what changes do."""

import asyncio
import json
import math
import random
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reference_impl.api.validation import storable_json
from reference_impl.candidates import index as module
from reference_impl.candidates.entries import Entry, entries_of, signs
from reference_impl.candidates.index import CandidateIndex
from reference_impl.candidates.postings import Labels, labels_of
from reference_impl.models import Tier
from reference_impl.search_models import Query, Shares
from reference_impl.storage.database import _prepare, to_halfvec
from reference_impl.storage.records import NewMemory
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


@pytest.mark.parametrize("seed", range(4))
def test_all_that_pass_are_there(seed):
    chance = random.Random(seed)
    entries = some_entries(chance, 400)
    index = filled(entries)
    answered = 0
    for _ in range(150):
        query = some_query(chance)
        candidates = found(index, query)
        asked = json.loads(query.metadata or "{}")
        passing = [one for one in entries if passes(query, one)]
        if query.vector is None:
            weights = index.weights(query.terms)
            passing = [one for one in passing if by_words(weights, one) > 0]
        truth = {one.id for one in passing if contains(json.loads(one.metadata), asked)}
        assert candidates.complete
        assert truth <= {*candidates.ids} <= {one.id for one in passing}
        if asked not in NESTED:
            assert truth == {*candidates.ids}, asked
        answered += bool(truth)
    assert answered > 50


@pytest.mark.parametrize("seed", range(4))
def test_of_many_that_pass_the_best_are_there(seed):
    chance = random.Random(seed)
    entries = {one.id: one for one in some_entries(chance, 400)}
    index = filled(entries.values())
    cut = 0
    for _ in range(150):
        query, wanted = some_query(chance), chance.choice([1, 7, 50])
        weights = index.weights(query.terms)
        passing = [entries[memory_id] for memory_id in dict.fromkeys(found(index, query).ids)]
        scores = resemblance(query, weights, passing)
        ids, complete = found(index, query, wanted)
        assert complete == (len(passing) <= wanted)
        size = min(wanted, len(passing))
        best, more = ids[:size], ids[size:]
        assert len({*best}) == len(best) == size
        others = scores.keys() - {*best}
        # Ages are of single precision.
        assert not others or min(scores[one] for one in best) >= max(scores[one] for one in others) - 1e-6
        cut += bool(others)
        if query.terms and passing and others:
            (most,) = more
            assert by_words(weights, entries[most]) == pytest.approx(max(by_words(weights, one) for one in passing))
    assert cut > 50


@pytest.mark.parametrize(("held", "asked"), [(1, 1.0), (1.0, 1), (100, 1e2), (0, -0.0), (2**60, float(2**60))])
def test_numbers_are_the_same_however_they_are_written(held, asked):
    index = filled([entry(metadata=json.dumps({"a": held, "b": [held]}))])
    for wanted in ({"a": asked}, {"b": [asked]}, {"a": asked, "b": [asked]}):
        assert len(everything(index, metadata=json.dumps(wanted))) == 1


def test_a_number_a_text_a_truth_and_a_list_are_different_things():
    values = [1, "1", True, "true", None, "null", [1]]
    entries = [entry(number, metadata=json.dumps({"a": value})) for number, value in enumerate(values)]
    index = filled(entries)
    for value, one in zip(values, entries, strict=True):
        assert everything(index, metadata=json.dumps({"a": value})) == [one.id]


@pytest.mark.parametrize("digits", [400, 5_000])
def test_numbers_beyond_floats_are_found(digits):
    large = entry(1, metadata=f'{{"a": 1{"0" * digits}, "b": 1}}')
    index = filled([large, entry(2, metadata='{"a": 1}'), entry(3, metadata='{"b": 1}')])
    for asked in (large.metadata, f'{{"a": 1{"0" * digits}}}', f'{{"a": 1e{digits}}}', '{"b": 1}'):
        assert large.id in everything(index, metadata=asked)
    assert UUID(int=2 << 64) in everything(index, metadata='{"a": 1}')
    index.drop([large.id])
    assert everything(index, metadata='{"b": 1}') == [UUID(int=3 << 64)]


def test_bounds_are_inclusive():
    entries = [
        entry(number, importance=number / 10, created_at=NOW + timedelta(microseconds=number)) for number in range(10)
    ]
    index = filled(entries)
    for one in entries:
        assert everything(index, importance_from=one.importance, importance_to=one.importance) == [one.id]
        assert everything(index, created_from=one.created_at, created_to=one.created_at) == [one.id]
    assert everything(index, importance_from=0.3, created_to=entries[5].created_at) == [one.id for one in entries[3:6]]
    assert everything(index, importance_from=math.nextafter(0.9, 1)) == []


def test_what_expires_is_not_found_from_then_on(monkeypatch):
    soon = NOW + timedelta(hours=1)
    index = filled([entry(1), entry(2, expires_at=soon)])
    assert len(everything(index)) == 2
    monkeypatch.setattr(time, "time", soon.timestamp)
    assert everything(index) == [UUID(int=1 << 64)]
    assert len(index) == 2
    index.put([entry(2, expires_at=soon + timedelta(hours=1))])
    assert len(everything(index)) == 2
    index.put([entry(2)])
    assert len(everything(index)) == 2


def test_of_equals_the_lowest_ids_are_taken():
    numbers = random.Random(1).sample(range(1, 2**60), 300)
    same = signs(unit(random.Random(5))).tobytes()
    index = filled([entry(number, code=same) for number in numbers])
    lowest = [UUID(int=number << 64) for number in sorted(numbers)]
    query = some_query(random.Random(3), vector=True, worded=True, filtered=False)
    for wanted in (1, 2, 40, 299):
        ids, complete = found(index, query, wanted)
        assert {*ids[:wanted]} == {*lowest[:wanted]}
        assert not complete


def test_equals_do_not_take_the_place_of_better_ones():
    near = unit(random.Random(1))
    index = filled([entry(9, code=signs(near).tobytes()), *(entry(n, code=signs(-near).tobytes()) for n in range(8))])
    query = Query(shares=Shares(semantic=1.0), limit=10, vector=near)
    assert {*found(index, query, 3).ids} == {UUID(int=number << 64) for number in (0, 1, 9)}


def test_the_one_with_most_words_is_there_even_if_it_is_not_among_the_best():
    near = unit(random.Random(1))
    worded = entry(7, code=signs(-near).tobytes(), terms=terms_of("word5"))
    index = filled([*(entry(number, code=signs(near).tobytes(), terms=b"") for number in range(5)), worded])
    query = Query(shares=Shares(semantic=0.9, text=0.1), limit=1, vector=near, terms=tuple(terms_in("word5")))
    ids, complete = found(index, query, 2)
    assert ids[2:] == [worded.id]
    assert worded.id not in ids[:2]
    assert not complete


def test_by_words_alone_who_has_none_of_them_is_no_candidate():
    entries = [entry(number, terms=terms_of("word1 word2" if number < 3 else "word3")) for number in range(100)]
    index = filled(entries)
    query = Query(shares=Shares(text=1.0), limit=10, terms=tuple(terms_in("word2 word9")))
    for wanted, complete in ((2, False), (3, True), (50, True)):
        candidates = found(index, query, wanted)
        assert {*candidates.ids[:wanted]} == {one.id for one in entries[:wanted][:3]}
        assert candidates.complete == complete
    absent = Query(shares=Shares(text=1.0), limit=10, terms=tuple(terms_in("word9")))
    assert found(index, absent, 5) == ([], True)
    filtered = msgspec.structs.replace(query, importance_from=0.9)
    assert found(index, filtered, 5) == ([], True)


def test_rare_words_are_worth_more_and_unknown_ones_most():
    index = filled([entry(number, terms=terms_of("word1 word2" if number < 3 else "word1")) for number in range(50)])
    common, rare, unknown = (index.weights(terms_in(word)).popitem()[1] for word in ("word1", "word2", "word9"))
    assert 0 <= common < rare < unknown


def test_without_any_words_in_the_store_words_are_no_harm():
    index = filled([entry(number, terms=b"") for number in range(5)])
    query = Query(
        shares=Shares(semantic=0.5, text=0.5), limit=5, vector=unit(random.Random(1)), terms=tuple(terms_in("word1"))
    )
    assert {*found(index, query).ids} == {UUID(int=number << 64) for number in range(5)}
    assert found(index, msgspec.structs.replace(query, vector=None)) == ([], True)


def test_an_empty_index_finds_nothing_and_that_is_all():
    for number in range(20):
        query = some_query(random.Random(number))
        assert found(CandidateIndex(DIMENSION), query) == ([], True)


@pytest.mark.parametrize(
    "change",
    [{"terms": terms_of("word2")}, {"metadata": '{"b": 2}'}, {"code": bytes(33)}],
    ids=["words", "metadata", "vector"],
)
def test_new_content_takes_a_new_slot_and_the_old_is_never_found(change):
    before = entry(1, metadata='{"a": 1}')
    index = filled([before, entry(2)])
    after = before._replace(**change)
    index.put([after])
    assert (len(index), index.dead) == (2, 1)
    assert everything(index) == [UUID(int=1 << 64), UUID(int=2 << 64)]
    for one in (before, after):
        there = {*everything(index, metadata=one.metadata)} if one.metadata != "{}" else {one.id}
        assert (one.id in there) == (one is after or "metadata" not in change)
    query = Query(shares=Shares(text=1.0), limit=9, terms=tuple(terms_in("word1")))
    assert (before.id in found(index, query).ids) == ("terms" not in change)
    nearest = Query(shares=Shares(semantic=1.0), limit=9, vector=unit(random.Random(1)))
    assert (found(index, nearest, 1).ids == [before.id]) == ("code" not in change)


def test_what_filters_alone_ask_for_is_changed_in_place():
    before = entry(1, metadata='{"a": 1}')
    index = filled([before, entry(2)])
    moment = NOW - timedelta(days=3)
    index.put([before._replace(tier="cold", importance=0.75, created_at=moment)])
    index.put([before._replace(tier="cold", importance=0.75, created_at=moment)])
    assert (len(index), index.dead) == (2, 0)
    assert everything(index, tier=Tier.COLD) == [before.id]
    assert before.id not in everything(index, tier=Tier.WARM)
    assert everything(index, importance_from=0.75) == [before.id]
    assert everything(index, created_to=moment) == [before.id]


def test_metadata_written_in_another_way_is_the_same_content():
    index = filled([entry(1, metadata='{"a":1,"b":[2,true]}')])
    index.put([entry(1, metadata='{"b": [true, 2.0], "a": 1.0}')])
    assert (len(index), index.dead) == (1, 0)
    index.put([entry(1, metadata='{"b": [true, "2"], "a": 1}')])
    assert (len(index), index.dead) == (1, 1)


def test_what_is_dropped_is_gone_and_may_come_back():
    index = filled([entry(number, metadata='{"a": 1}') for number in range(4)])
    first, second = UUID(int=0), UUID(int=1 << 64)
    index.drop([first, second, UUID(int=77)])
    index.drop([first])
    assert (len(index), index.dead) == (2, 2)
    assert first not in index
    assert UUID(int=2 << 64) in index
    for fields in ({}, {"metadata": '{"a": 1}'}, {"tier": Tier.WARM}):
        assert everything(index, **fields) == [UUID(int=2 << 64), UUID(int=3 << 64)]
    index.put([entry(0, metadata='{"a": 1}')])
    assert everything(index, metadata='{"a": 1}') == [first, UUID(int=2 << 64), UUID(int=3 << 64)]
    assert (len(index), index.dead) == (3, 2)


@pytest.mark.parametrize("room", [1, 2, 3, 100])
def test_it_grows_beyond_its_room(room):
    entries = some_entries(random.Random(1), 300)
    grown, ample = filled(entries, room), filled(entries)
    for number in range(60):
        query = some_query(random.Random(number))
        for wanted in (5, 1_000):
            one, other = found(grown, query, wanted), found(ample, query, wanted)
            assert (sorted(one.ids), one.complete) == (sorted(other.ids), other.complete)


def test_one_that_expires_does_not_expire_those_that_came_before_it():
    index = filled([entry(number) for number in range(5)], room=2)
    index.put([entry(5, expires_at=NOW + timedelta(hours=1))])
    assert len(everything(index)) == 6


def test_more_than_are_worth_comparing_are_left_to_the_database(monkeypatch):
    monkeypatch.setattr(module, "COMPARED_MAX", 10)
    query = Query(shares=Shares(semantic=1.0), limit=10, vector=unit(random.Random(1)))
    index = filled([entry(number, metadata=f'{{"a": {number % 2}}}', tier=TIERS[number % 2]) for number in range(10)])
    assert len(found(index, query, 3).ids) == 3
    index.put([entry(number, metadata='{"a": 1}', tier="warm") for number in range(10, 16)])
    assert found(index, query, 3) is None
    for filters in ({"metadata": '{"a": 1}'}, {"tier": Tier.WARM}, {"importance_from": 0.5}, {"metadata": "{}"}):
        assert found(index, msgspec.structs.replace(query, **filters), 3) is None
    for filters in ({"metadata": '{"a": 0}'}, {"tier": Tier.WORKING}):
        assert len(found(index, msgspec.structs.replace(query, **filters)).ids) == 5


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


class Changing(RuleBasedStateMachine):
    """Whatever happens to it, the index finds what is there now and nothing else."""

    def __init__(self):
        super().__init__()
        self.index = CandidateIndex(DIMENSION, room=1)
        self.model = {}

    @rule(
        number=st.integers(0, 12),
        word=st.sampled_from(WORDS[:3]),
        value=st.sampled_from([1, True, "1", [1]]),
        tier=st.sampled_from(TIERS),
        importance=st.sampled_from([0.0, 0.5, 1.0]),
        expiry=st.sampled_from([None, None, NOW - timedelta(hours=1), NOW + timedelta(hours=9)]),
    )
    def put(self, number, word, value, tier, importance, expiry):
        one = entry(
            number,
            terms=terms_of(word),
            metadata=json.dumps({"a": value}),
            tier=tier,
            importance=importance,
            expires_at=expiry,
        )
        self.index.put([one])
        self.model[one.id] = one

    @rule(count=st.integers(1, 6))
    def put_many(self, count):
        fresh = [entry(100 + len(self.model) + number) for number in range(count)]
        self.index.put(fresh)
        self.model |= {one.id: one for one in fresh}

    @precondition(lambda self: self.model)
    @rule(chosen=st.integers(0, 100))
    def drop(self, chosen):
        memory_id = [*self.model][chosen % len(self.model)]
        self.index.drop([memory_id])
        del self.model[memory_id]

    @invariant()
    def finds_what_is_there(self):
        assert len(self.index) == len(self.model)
        alive = {one.id: one for one in self.model.values() if one.expires_at is None or one.expires_at > NOW}
        assert everything(self.index) == sorted(alive)
        for value in (1, True, "1", [1]):
            metadata = json.dumps({"a": value})
            held = [one.id for one in alive.values() if one.metadata == metadata]
            assert everything(self.index, metadata=metadata) == sorted(held)
        for word in WORDS[:3]:
            query = Query(shares=Shares(text=1.0), limit=9, terms=tuple(terms_in(word)), tier=Tier.WARM)
            weights = self.index.weights(query.terms)
            with_it = [one.id for one in alive.values() if one.tier == "warm" and by_words(weights, one) > 0]
            # The best by words is given twice.
            assert {*found(self.index, query).ids} == {*with_it}


Changing.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestChanging = Changing.TestCase


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
