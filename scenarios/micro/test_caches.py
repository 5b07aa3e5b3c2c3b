"""The caches, full as they are in service. A round is fifty calls, so percentiles are of means over fifty."""

from __future__ import annotations

import itertools
import math
import uuid
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import pytest

from reference_impl.cache import MemoryCache
from reference_impl.search_cache import SearchCache
from reference_impl.settings import Settings
from scenarios.micro.rounds import ROUNDS, Rounds

pytestmark = pytest.mark.benchmark(group="caches")


_ITERATIONS: Final = 50
_CALLS: Final = (ROUNDS + 10) * _ITERATIONS + 1  # the warm-up's too, and one for the result
_SIZE: Final = 10_000
_HEAD: Final = b"{" + b" " * 600
_SEARCHES: Final = 1_000
_FOUND: Final = 10
_ANSWER: Final = b"{" + b" " * 700 * _FOUND


def _ids(count: int) -> list[UUID]:
    return [uuid.uuid4() for _ in range(count)]


def _filled(ids: Sequence[UUID]) -> MemoryCache:
    defaults = Settings(database="")
    cache = MemoryCache(len(ids), defaults.cache_mib << 20, defaults.cache_ttl)
    cache.valid_until = math.inf
    for memory_id in ids:
        cache.put(memory_id, _HEAD, 0, cache.token())
    assert len(cache) == len(ids)
    return cache


def _keys(count: int) -> list[bytes]:
    return [f"search for something or other, number {number}".encode() for number in range(count)]


def _asked(keys: Sequence[bytes], ids: Sequence[UUID]) -> SearchCache:
    cache = SearchCache(len(keys), Settings(database="").search_cache_mib << 20)
    cache.valid_until = math.inf
    for number, key in enumerate(keys):
        cache.put(key, _ANSWER, _found(ids, number), cache.token(), None)
    assert len(cache) == len(keys)
    return cache


def _found(ids: Sequence[UUID], number: int) -> Sequence[UUID]:
    start = number * _FOUND % len(ids)
    return ids[start : start + _FOUND]


def test_hit(timed: Rounds) -> None:
    """Finding a memory, and making it the most recent."""
    ids = _ids(_SIZE)
    cache, supply = _filled(ids), itertools.cycle(map(str, ids))
    entry = timed.fixed(lambda: cache.get(next(supply)), iterations=_ITERATIONS)
    assert entry is not None
    assert entry.head == _HEAD
    assert cache.misses == 0


def test_miss(timed: Rounds) -> None:
    """Finding that a memory is not there."""
    cache, supply = _filled(_ids(_SIZE)), itertools.cycle(map(str, _ids(_SIZE)))
    assert timed.fixed(lambda: cache.get(next(supply)), iterations=_ITERATIONS) is None
    assert cache.hits == 0


def test_put_evicting(timed: Rounds) -> None:
    """Keeping a memory at the price of the oldest."""
    cache, supply = _filled(_ids(_SIZE)), itertools.cycle(_ids(2 * _SIZE))
    occupied = cache.occupied
    timed.fixed(lambda: cache.put(next(supply), _HEAD, 0, cache.token()), iterations=_ITERATIONS)
    assert len(cache) == _SIZE
    assert cache.occupied == occupied


def test_invalidate(timed: Rounds) -> None:
    """Forgetting a memory that is there."""
    ids = _ids(_CALLS)
    cache, supply = _filled(ids), iter(ids)
    timed.fixed(lambda: cache.invalidate(next(supply)), iterations=_ITERATIONS)
    assert ids[0] not in cache
    assert len(cache) == len(list(supply))


def test_search_hit(timed: Rounds) -> None:
    """Finding the answer to a search."""
    keys = _keys(_SEARCHES)
    cache, supply = _asked(keys, _ids(_SEARCHES * _FOUND)), itertools.cycle(keys)
    assert timed.fixed(lambda: cache.get(next(supply)), iterations=_ITERATIONS) == _ANSWER
    assert cache.misses == 0


def test_search_put_evicting(timed: Rounds) -> None:
    """Keeping an answer with ten memories in it at the price of the oldest."""
    ids, keys = _ids(_SEARCHES * _FOUND), _keys(2 * _SEARCHES)
    cache = _asked(keys[:_SEARCHES], ids)
    found = [_found(ids, number) for number in range(len(keys))]
    supply = itertools.cycle(zip(keys, found, strict=True))

    def put() -> None:
        key, there = next(supply)
        cache.put(key, _ANSWER, there, cache.token(), None)

    timed.fixed(put, iterations=_ITERATIONS)
    assert len(cache) == _SEARCHES


def test_search_changed_elsewhere(timed: Rounds) -> None:
    """Hearing of a change to a memory that no answer has: what most changes are."""
    keys, others = _keys(_SEARCHES), _ids(_SIZE)
    cache, supply = _asked(keys, _ids(_SEARCHES * _FOUND)), itertools.cycle(others)
    timed.fixed(lambda: cache.changed((next(supply),)), iterations=_ITERATIONS)
    assert len(cache) == _SEARCHES
