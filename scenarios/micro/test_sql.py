"""Statements over one prepared connection: the service's, and the guide's beside each with its correction.

Both tables hold the same 2,000 rows, all in the working tier. Each figure includes a run of the event loop, stated by
`test_floor_coroutine`; all but that one include a round trip too, `test_floor_round_trip`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import numpy as np
import pytest

from reference_impl.search_models import Found, Query, Shares
from reference_impl.storage.database import to_halfvec
from reference_impl.storage.records import NewMemory
from reference_impl.words import terms_in, to_sparsevec
from scenarios.micro import guide
from scenarios.micro.material import DIMENSION, Search
from scenarios.micro.rounds import Rounds
from scenarios.micro.store import Store

pytestmark = pytest.mark.benchmark(group="sql")

LIMIT: Final = 10
_BIT_INDEX: Final = "memories_code_hnsw"
_KEY_INDEX: Final = "memories_keys"
_SHARES: Final = {"semantic": Shares(semantic=1), "text": Shares(text=1), "hybrid": Shares(semantic=0.3, text=0.7)}
_MET, _UNMET = 0.0, 0.999
"""Similarities that most rows have, and that none has."""


@pytest.fixture
def ids(store: Store) -> Iterator[tuple[UUID]]:
    """Ids of stored memories, in no order that a page cache could like."""
    stored = store.ids()
    return itertools.cycle([(stored[place],) for place in np.random.default_rng(0).permutation(len(stored))])


def _ranked(found: Found) -> bool:
    scores = [hit.score for hit in found.hits]
    return all(map(math.isfinite, scores)) and scores == sorted(scores, reverse=True)


def test_floor_coroutine(timed: Rounds) -> None:
    """A coroutine that does nothing: what the event loop adds to each figure of this group."""

    async def nothing() -> int:
        return 1

    assert timed.awaited(nothing, itertools.repeat(())) == 1


def test_floor_round_trip(timed: Rounds, store: Store) -> None:
    """A statement that does nothing."""
    assert timed.awaited(store.row, itertools.repeat(("SELECT 1",)))[0] == 1


def test_get(timed: Rounds, store: Store, ids: Iterator[tuple[UUID]]) -> None:
    """A memory by its id, with its access counters."""
    found = timed.awaited(store.memories.read, ids)
    assert found is not None
    assert found.content


@pytest.mark.parametrize("sql", [guide.GET, guide.GET_NAMED], ids=["select_star", "named_columns"])
def test_get_guide(timed: Rounds, store: Store, ids: Iterator[tuple[UUID]], sql: str) -> None:
    """A memory by its id; `SELECT *` brings the embedding out of TOAST, over the wire and into Python."""
    row = timed.awaited(store.row, ((sql, *key) for key in ids))
    assert row["content"]
    assert ("embedding" in row.keys()) == (sql == guide.GET)  # noqa: SIM118  (a Record is no mapping)


@pytest.mark.parametrize("filtered", [False, True], ids=["plain", "filtered"])
@pytest.mark.parametrize("kind", list(_SHARES))
def test_search(timed: Rounds, store: Store, searches: Sequence[Search], kind: str, filtered: bool) -> None:
    """The ten best memories, whole: candidates from the indexes, or few by filter, in order of their true scores."""
    queries = [_query(search, kind, filtered) for search in searches]
    index = _KEY_INDEX if filtered or kind == "text" else _BIT_INDEX
    with store.using(index):
        found = timed.awaited(store.searches.find, itertools.cycle(zip(queries)), rounds=100)
    # Of those that a filter leaves, fewer may have words of the search; which search is the last depends on the rounds.
    assert found.hits
    assert len(found.hits) == LIMIT or filtered
    assert _ranked(found)


def test_search_exact(timed: Rounds, store: Store, searches: Sequence[Search]) -> None:
    """The ten best memories by ranking every one."""
    queries = [msgspec.structs.replace(_query(search, "hybrid", False), exact=True) for search in searches]
    found = timed.awaited(store.searches.find, itertools.cycle(zip(queries)), rounds=20)
    assert len(found.hits) == LIMIT
    assert _ranked(found)


def _query(search: Search, kind: str, filtered: bool) -> Query:
    return Query(
        shares=_SHARES[kind],
        limit=LIMIT,
        vector=None if kind == "text" else search.vector,
        terms=() if kind == "semantic" else tuple(terms_in(search.text)),
        metadata=json.dumps(search.filters) if filtered else None,
    )


@pytest.mark.parametrize("threshold", [_MET, _UNMET], ids=["met", "unmet"])
@pytest.mark.parametrize(
    ("sql", "forced"),
    [(guide.SEARCH, False), (guide.SEARCH, True), (guide.SEARCH_THRESHOLD_OUTSIDE, True)],
    ids=["as_planned", "by_index", "threshold_outside"],
)
def test_search_guide(
    timed: Rounds, store: Store, searches: Sequence[Search], sql: str, forced: bool, threshold: float
) -> None:
    """The ten nearest above a similarity; in WHERE, one that no row has lets an index walk go on to its end.

    The planner, which sees neither that nor what it costs to fetch vectors from TOAST, may take a scan for cheaper on a
    table of this size: "as_planned" leaves it the choice.
    """
    arguments = ((sql, search.vector, threshold, LIMIT) for search in itertools.cycle(searches))
    forcing = store.ordered_by_index() if forced else contextlib.nullcontext()
    with forcing, store.using(guide.VECTOR_INDEX if forced else None):
        row = timed.awaited(store.row, arguments, rounds=16)
    assert (row is None) == (threshold == _UNMET)
    assert row is None or row["similarity"] > threshold


def test_search_guide_prefiltered(timed: Rounds, store: Store, searches: Sequence[Search]) -> None:
    """The ten nearest among the most important only, without content: quick, and another answer."""
    arguments = ((guide.SEARCH_PREFILTERED, search.vector, _MET, LIMIT) for search in itertools.cycle(searches))
    row = timed.awaited(store.row, arguments, rounds=60)
    assert row["importance_score"] > 0.7


@pytest.mark.parametrize(
    ("sql", "index", "count"),
    [
        (guide.NEAREST_BITS, _BIT_INDEX, 300),
        (guide.NEAREST_IDS, guide.VECTOR_INDEX, 100),
        (guide.SCAN_IDS, None, 30),
    ],
    ids=["hnsw_bit", "hnsw_vector", "scan_vector"],
)
def test_ids(timed: Rounds, store: Store, searches: Sequence[Search], sql: str, index: str | None, count: int) -> None:
    """Nothing but the ids of the ten nearest: the index alone, without reranking and without rows."""
    vectors: list[Any] = [search.vector for search in searches]
    if index == _BIT_INDEX:
        vectors = list(to_halfvec(np.stack(vectors)))
    # With the service's ef_search the planner takes the walk for dearer than the scan of so small a table.
    forcing = store.ordered_by_index() if index == guide.VECTOR_INDEX else contextlib.nullcontext()
    with forcing, store.using(index):
        row = timed.awaited(store.row, ((sql, vector, LIMIT) for vector in itertools.cycle(vectors)), rounds=count)
    assert isinstance(row["id"], UUID)


def test_words(timed: Rounds, store: Store, searches: Sequence[Search]) -> None:
    """Nothing but the ids of the hundred best by words: BM25 as an inner product."""
    queries = [sorted({*terms_in(search.text)}) for search in searches]
    arguments = (
        (guide.BEST_WORDS, to_sparsevec(dict.fromkeys(terms, 1.0)), terms) for terms in itertools.cycle(queries)
    )
    with store.using(_KEY_INDEX):
        row = timed.awaited(store.row, arguments, rounds=100)
    assert isinstance(row["id"], UUID)


def test_binary_quantize(timed: Rounds, store: Store, searches: Sequence[Search]) -> None:
    """The bits of a vector, in the server; group embedding has the same in numpy."""
    vector = searches[0].vector[np.newaxis]
    sql = f"SELECT binary_quantize($1::halfvec)::bit({DIMENSION})"
    row = timed.awaited(store.row, itertools.repeat((sql, *to_halfvec(vector))))
    assert row[0].bytes == np.packbits(vector > 0).tobytes()


def test_count_access(timed: Rounds, store: Store, ids: Iterator[tuple[UUID]]) -> None:
    """Counting one read, in the table beside; the service sends thousands in one statement."""
    last = datetime.now(UTC)
    timed.awaited(store.accesses.count, (([(key, 1, last)],) for (key,) in ids))


def test_count_access_guide(timed: Rounds, store: Store, ids: Iterator[tuple[UUID]]) -> None:
    """Counting one read in the memory's own row, which every index then holds anew."""
    row = timed.awaited(store.row, ((guide.COUNT_ACCESS, *key) for key in ids), rounds=60)
    assert row["access_count"] >= 1


def test_insert(timed: Rounds, store: Store, fresh: Iterator[NewMemory]) -> None:
    """A create on its own."""
    ((stored, existed),) = timed.awaited(store.memories.insert, (([new],) for new in fresh), rounds=300)
    assert stored.content
    assert not existed


def test_insert_group(timed: Rounds, store: Store, fresh: Iterator[NewMemory]) -> None:
    """A group commit of 64; the figure is for all of them."""
    groups = (([*itertools.islice(fresh, 64)],) for _ in itertools.count())
    outcomes = timed.awaited(store.memories.insert, groups, rounds=8)
    assert len(outcomes) == 64
    assert not any(existed for _, existed in outcomes)


def test_insert_guide(timed: Rounds, store: Store, fresh: Iterator[NewMemory]) -> None:
    """A create into the guide's table, with one of its three HNSW indexes over these rows."""
    arguments = (
        (guide.INSERT, new.id, new.content, new.content_hash, new.importance_score, new.metadata)
        + (new.created_at, new.updated_at, new.embedding)
        for new in fresh
    )
    assert timed.awaited(store.row, arguments, rounds=60) is not None
