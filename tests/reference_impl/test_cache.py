"""Caches of memories and of searches: bounds, lifetimes, and no way to keep what is no longer true."""

import math
import uuid

import pytest

from reference_impl.cache import MemoryCache
from reference_impl.invalidations import Invalidations
from reference_impl.models import Tier
from reference_impl.search_cache import SearchCache
from reference_impl.storage.changes import PAYLOAD_BYTES, Change, parse, payloads

A, B, C = (uuid.UUID(int=number) for number in range(3))


class Clock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(clock):
    def build(size=10, capacity=1_000_000, ttl=300.0):
        cache = MemoryCache(size, capacity, ttl, clock)
        cache.valid_until = math.inf
        return cache

    return build


@pytest.fixture
def find(clock):
    def build(size=10, capacity=1_000_000, lag=1.0):
        cache = SearchCache(size, capacity, lag, clock)
        cache.valid_until = math.inf
        return cache

    return build


def keep(cache, memory_id, head=b"{", **more):
    cache.put(memory_id, head, 0, cache.token(), **more)


def answer(cache, key, ids=(A,), tier=None, **more):
    cache.put(key, b"answer to " + key, ids, cache.token(), tier, **more)


class TestMemories:
    def test_gives_back_what_it_was_given(self, make):
        cache = make()
        cache.put(A, b"{a", 7, cache.token())
        entry = cache.get(str(A))
        assert (entry.head, entry.access_count) == (b"{a", 7)
        assert cache.get(str(B)) is None
        assert (cache.hits, cache.misses) == (1, 1)

    def test_the_least_recently_used_goes_first(self, make):
        cache = make(size=2)
        keep(cache, A)
        keep(cache, B)
        cache.get(str(A))
        assert cache.full
        keep(cache, C)
        assert (A in cache, B in cache, C in cache) == (True, False, True)

    def test_bytes_are_bounded_and_accounted_for(self, make):
        cache = make(size=1_000, capacity=100_000)
        ids = [uuid.uuid4() for _ in range(300)]
        for memory_id in ids:
            keep(cache, memory_id, b"x" * 400)
            assert cache.occupied <= 100_000
        assert len(cache) > 50
        assert ids[-1] in cache
        for memory_id in ids:
            cache.invalidate(memory_id)
        assert (len(cache), cache.occupied) == (0, 0)

    def test_one_memory_takes_no_large_part_of_the_room(self, make):
        cache = make(capacity=100_000)
        keep(cache, A, b"x" * 1_000)
        assert A not in cache

    def test_size_0_is_off(self, make):
        cache = make(size=0)
        keep(cache, A)
        assert cache.get(str(A)) is None

    def test_entries_end_with_their_lifetime_or_that_of_the_memory(self, make, clock):
        cache = make(ttl=10)
        keep(cache, A)
        keep(cache, B, expires_in=4.0)
        clock.now += 3.9
        assert cache.get(str(A))
        assert cache.get(str(B))
        clock.now += 0.2
        assert cache.get(str(B)) is None
        clock.now += 6
        assert cache.get(str(A)) is None
        assert len(cache) == 0

    def test_nothing_is_served_or_taken_without_word_from_the_feed(self, clock):
        cache = MemoryCache(10, 1_000_000, 300.0, clock)
        keep(cache, A)
        assert len(cache) == 0
        cache.valid_until = clock.now + 1
        keep(cache, A)
        keep(cache, B)
        clock.now += 1
        assert cache.get(str(A)) is None
        keep(cache, C)
        cache.valid_until = clock.now + 1
        # The read that A's miss led to was counted elsewhere.
        assert (A in cache, B in cache, C in cache) == (False, True, False)
        assert cache.get(str(B))

    def test_a_row_read_before_a_change_is_not_kept_after_it(self, make):
        cache = make()
        token = cache.token()
        cache.invalidate(A)
        cache.put(A, b"{old", 0, token)
        cache.put(B, b"{b", 0, token)
        assert (A in cache, B in cache) == (False, True)
        keep(cache, A)
        assert A in cache
        token = cache.token()
        cache.clear()
        cache.put(B, b"{old", 0, token)
        assert len(cache) == 0


class TestInvalidations:
    def test_what_was_forgotten_makes_it_overcautious_never_wrong(self):
        invalidations = Invalidations(remembered=2)
        start = invalidations.number
        invalidations.note(A)
        after_a = invalidations.number
        invalidations.note(B)
        invalidations.note(B)
        assert invalidations.since(start, A)
        assert not invalidations.since(start, C)
        assert not invalidations.since(after_a, A)
        invalidations.note(C)
        assert invalidations.since(start, A)
        assert invalidations.since(start, uuid.uuid4())
        assert not invalidations.since(after_a, A)
        assert invalidations.since(after_a, B)

    def test_all(self):
        invalidations = Invalidations()
        before = invalidations.number
        invalidations.note_all()
        assert invalidations.since(before, A)
        assert not invalidations.since(invalidations.number, A)


class TestSearches:
    def test_the_whole_key_counts(self, find):
        cache = find()
        answer(cache, b"one")
        assert cache.get(b"one") == b"answer to one"
        assert cache.get(b"on") is None
        assert (cache.hits, cache.misses) == (1, 1)

    def test_bounds(self, find):
        cache = find(size=3)
        for number in range(5):
            answer(cache, b"%d" % number)
            cache.get(b"0")
        assert len(cache) == 3
        assert [cache.get(b"%d" % number) is not None for number in range(5)] == [True, False, False, True, True]
        cache = find(size=1_000, capacity=100_000)
        for number in range(200):
            answer(cache, b"%d" % number, [uuid.uuid4() for _ in range(5)])
            assert 0 < cache.occupied <= 100_000
        assert cache.get(b"199")
        answer(cache, b"huge", [uuid.uuid4() for _ in range(50)])
        assert cache.get(b"huge") is None
        cache = find(size=0)
        answer(cache, b"one")
        assert len(cache) == 0

    @pytest.mark.parametrize(
        ("tier", "seconds"), [(Tier.WORKING, 60), (Tier.WARM, 300), (Tier.COLD, 1_800), (None, 180)]
    )
    def test_lifetimes(self, find, clock, tier, seconds):
        cache = find()
        answer(cache, b"one", tier=tier)
        clock.now += seconds - 0.1
        assert cache.get(b"one")
        clock.now += 0.2
        assert cache.get(b"one") is None
        answer(cache, b"two", tier=tier, expires_in=5.0)
        clock.now += 4.9
        assert cache.get(b"two")
        clock.now += 0.2
        assert cache.get(b"two") is None

    def test_a_change_takes_the_answers_with_that_memory_at_once(self, find):
        cache = find()
        answer(cache, b"ab", (A, B))
        answer(cache, b"bc", (B, C))
        answer(cache, b"c", (C,))
        cache.changed([A, B])
        assert [cache.get(key) is not None for key in (b"ab", b"bc", b"c")] == [False, False, True]
        cache.changed([C])
        assert cache.occupied == 0

    @pytest.mark.parametrize("happens", [SearchCache.created, lambda cache: cache.changed([B])])
    def test_after_any_change_an_answer_lives_only_until_it_is_as_old_as_the_lag(self, find, clock, happens):
        cache = find(lag=1.0)
        answer(cache, b"before")
        clock.now += 0.6
        happens(cache)
        answer(cache, b"after")
        clock.now += 0.39
        assert cache.get(b"before")
        clock.now += 0.02
        assert cache.get(b"before") is None
        clock.now += 100
        assert cache.get(b"after")
        happens(cache)
        assert cache.get(b"after") is None

    def test_an_answer_found_before_a_change_is_not_kept_after_it(self, find, clock):
        cache = find(lag=1.0)
        token = cache.token()
        cache.changed([A])
        cache.put(b"with", b"old", (A, B), token, None)
        cache.put(b"without", b"old", (B,), token, None)
        assert cache.get(b"with") is None
        assert cache.get(b"without")
        clock.now += 1
        assert cache.get(b"without") is None
        token = cache.token()
        cache.clear()
        cache.put(b"with", b"old", (A,), token, None)
        assert len(cache) == 0

    def test_nothing_is_served_or_taken_without_word_from_the_feed(self, clock):
        cache = SearchCache(10, 1_000_000, 1.0, clock)
        answer(cache, b"one")
        assert len(cache) == 0
        cache.valid_until = clock.now + 1
        answer(cache, b"one")
        assert cache.get(b"one")
        clock.now += 1
        assert cache.get(b"one") is None

    def test_the_same_key_again(self, find):
        cache = find()
        answer(cache, b"one", (A,))
        size = cache.occupied
        answer(cache, b"one", (B,))
        assert cache.occupied == size
        cache.changed([A])
        assert cache.get(b"one")
        cache.changed([B])
        assert cache.occupied == 0


class TestPayloads:
    @pytest.mark.parametrize("number", [0, 1, 241, 242, 243, 1_000])
    def test_as_many_as_it_takes(self, number):
        ids = [uuid.uuid4() for _ in range(number)]
        made = payloads("f00d" * 4, ids)
        assert all(len(payload) <= PAYLOAD_BYTES for payload in made)
        changes = [parse(payload) for payload in made]
        assert {change.origin for change in changes} <= {"f00d" * 4}
        assert [memory_id for change in changes for memory_id in change.ids] == ids
        assert len(made) == math.ceil(number / 241)

    def test_created(self):
        (payload,) = payloads("f00d", [A, B], created=True)
        assert parse(payload) == Change("f00d", (A, B), True)
        (payload,) = payloads("f00d", [A])
        assert parse(payload) == Change("f00d", (A,), False)

    @pytest.mark.parametrize("payload", ["", "f00d", "f00d ", "f00d ++", "f00d 12,", "f00d +,+"])
    def test_anything_else_is_an_error(self, payload):
        with pytest.raises(ValueError, match="hexadecimal"):
            parse(payload)
