"""What changes do to the index of candidates: it finds what is there now and nothing else."""

import json
import random
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reference_impl.candidates.index import CandidateIndex
from reference_impl.models import Tier
from reference_impl.search_models import Query, Shares
from reference_impl.words import terms_in, terms_of
from tests.reference_impl.candidate_store import (
    DIMENSION,
    NOW,
    TIERS,
    WORDS,
    by_words,
    entry,
    everything,
    filled,
    found,
    some_entries,
    some_query,
    unit,
)


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
