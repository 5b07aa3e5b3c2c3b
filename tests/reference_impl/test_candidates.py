"""What the index of candidates finds, against looking at every memory: what passes, and which are the best."""

import json
import math
import random
import time
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from reference_impl.candidates import index as module
from reference_impl.candidates.entries import signs
from reference_impl.candidates.index import CandidateIndex
from reference_impl.models import Tier
from reference_impl.search_models import Query, Shares
from reference_impl.words import terms_in, terms_of
from tests.reference_impl.candidate_store import (
    DIMENSION,
    NESTED,
    NOW,
    TIERS,
    by_words,
    contains,
    entry,
    everything,
    filled,
    found,
    passes,
    resemblance,
    some_entries,
    some_query,
    unit,
)


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
