"""The memory cache, full as it is in service. A round is fifty calls, so percentiles are of means over fifty."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import pytest

from reference_impl.cache import MemoryCache
from reference_impl.settings import Settings
from scenarios.micro.rounds import ROUNDS, Rounds

pytestmark = pytest.mark.benchmark(group="caches")


_ITERATIONS: Final = 50
_CALLS: Final = (ROUNDS + 10) * _ITERATIONS + 1  # the warm-up's too, and one for the result
_SIZE: Final = 10_000
_HEAD: Final = b"{" + b" " * 600


def _ids(count: int) -> list[UUID]:
    return [uuid.uuid4() for _ in range(count)]


def _filled(ids: Sequence[UUID]) -> MemoryCache:
    defaults = Settings(database="")
    cache = MemoryCache(len(ids), defaults.cache_mib << 20, defaults.cache_ttl)
    for memory_id in ids:
        cache.put(memory_id, _HEAD, 0)
    assert len(cache) == len(ids)
    return cache


def test_hit(timed: Rounds) -> None:
    """Finding a memory, and making it the most recent."""
    ids = _ids(_SIZE)
    cache, supply = _filled(ids), itertools.cycle(ids)
    entry = timed.fixed(lambda: cache.get(next(supply)), iterations=_ITERATIONS)
    assert entry is not None
    assert entry.head == _HEAD
    assert cache.misses == 0


def test_miss(timed: Rounds) -> None:
    """Finding that a memory is not there."""
    cache, supply = _filled(_ids(_SIZE)), itertools.cycle(_ids(_SIZE))
    assert timed.fixed(lambda: cache.get(next(supply)), iterations=_ITERATIONS) is None
    assert cache.hits == 0


def test_put_evicting(timed: Rounds) -> None:
    """Keeping a memory at the price of the oldest."""
    cache, supply = _filled(_ids(_SIZE)), itertools.cycle(_ids(2 * _SIZE))
    occupied = cache.occupied
    timed.fixed(lambda: cache.put(next(supply), _HEAD, 0), iterations=_ITERATIONS)
    assert len(cache) == _SIZE
    assert cache.occupied == occupied


def test_invalidate(timed: Rounds) -> None:
    """Forgetting a memory that is there."""
    ids = _ids(_CALLS)
    cache, supply = _filled(ids), iter(ids)
    timed.fixed(lambda: cache.invalidate(next(supply)), iterations=_ITERATIONS)
    assert ids[0] not in cache
    assert len(cache) == len(list(supply))
