from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

import msgspec
import pytest

from harness.core.tape import Request
from harness.corpus import (
    CorpusError,
    Dataset,
    DatasetBuilder,
    FilterValue,
    GeneratedCorpus,
    Question,
    RequestParams,
    requests,
)


def plan(kind: str, dataset: Dataset, count: int = 2_000, seed: int = 5, **params: object) -> list[Request]:
    return list(requests(kind, dataset=dataset, count=count, seed=seed, params=RequestParams(**params)))


def bodies(planned: list[Request]) -> list[dict]:
    return [json.loads(bytes(request.body)) for request in planned]


@pytest.fixture
def asked() -> Dataset:
    """Two questions: 2 x 3 singles and 2 pairs with limits 5 to 7, then generated texts."""
    return Dataset(
        source="small",
        fingerprint="",
        count=2,
        seed=0,
        ids={"Working": ["a", "b"]},
        questions=[
            Question(text="Who sang?", conversation="c1"),
            Question(text="who  SANG?"),
            Question(text="Why?"),
        ],
        filters={"conversation": [FilterValue("c1", 2)], "session": [FilterValue(3, 2)]},
    )


def test_get_reads_known_ids_by_popularity(dataset: Dataset):
    paths = Counter(request.path for request in plan("get", dataset, 20_000))
    known = {f"/api/v1/memories/{memory_id}" for ids in dataset.ids.values() for memory_id in ids}
    assert set(paths) <= known
    ranks = [count for _, count in paths.most_common()]
    assert ranks[0] > 20 * ranks[len(ranks) // 2]


def test_get_of_one_tier(dataset: Dataset):
    paths = {request.path.rpartition("/")[2] for request in plan("get", dataset, tier="Cold")}
    assert paths <= set(dataset.ids["Cold"])


def test_phases_share_their_favourites(dataset: Dataset):
    first, second = (Counter(r.path for r in plan("get", dataset, 20_000, seed)) for seed in (1, 2))
    assert first != second
    assert first.most_common(1)[0][0] == second.most_common(1)[0][0]


def test_create_bodies_are_new_and_in_the_corpus_shares(dataset: Dataset):
    made = bodies(plan("create", dataset, 6_000))
    assert len({body["content"] for body in made}) == 6_000
    assert set(made[0]) == {"content", "tier", "importance_score", "metadata"}
    counts = Counter(body["tier"] for body in made)
    for tier, share in zip(("Working", "Warm", "Cold"), dataset.tier_shares, strict=True):
        assert counts[tier] / 6_000 == pytest.approx(share, abs=0.03)
    assert {body["tier"] for body in bodies(plan("create", dataset, tier="Warm"))} == {"Warm"}


@pytest.mark.parametrize("kind", ["get", "create", "search"])
def test_first_goes_on_where_an_earlier_tape_stopped(dataset: Dataset, kind: str):
    def flat(planned: list[Request]) -> list[tuple[str, bytes]]:
        return [(request.path, bytes(request.body)) for request in planned]

    assert flat(plan(kind, dataset, 900))[400:] == flat(plan(kind, dataset, 500, first=400))


@pytest.mark.parametrize("filters", [False, True])
def test_searches_are_all_different(dataset: Dataset, asked: Dataset, filters: bool):
    for data in (dataset, asked):
        planned = plan("search", data, 20_000, filters=filters)
        keys = {(b["query_text"].casefold(), b["limit"], str(b.get("metadata_filters"))) for b in bodies(planned)}
        assert len(keys) == 20_000
        assert {5, 20} <= {body["limit"] for body in bodies(planned)} <= set(range(5, 21))


def test_searches_use_questions_first_then_pairs_then_generated(asked: Dataset):
    made = bodies(plan("search", asked, 20, limit=(5, 7)))
    questions = {"who  SANG?", "Why?"}
    assert {body["query_text"] for body in made[:6]} == questions
    assert {body["query_text"] for body in made[6:8]} == {"who  SANG? Why?", "Why? who  SANG?"}
    assert not questions & {body["query_text"] for body in made[8:]}


def test_filters_match_loaded_memories(dataset: Dataset):
    for body in bodies(plan("search", dataset, filters=True)):
        ((key, value),) = body["metadata_filters"].items()
        assert value in [entry.value for entry in dataset.filters[key]]


def test_search_parameters(dataset: Dataset):
    body = bodies(plan("search", dataset, 1, tier="Warm", limit=(100, 100), similarity_threshold=0.6))[0]
    assert (body["tier"], body["limit"], body["similarity_threshold"]) == ("Warm", 100, 0.6)
    plain = bodies(plan("search", dataset, 1))[0]
    assert set(plain) == {"query_text", "limit"}


def test_repeated_searches(dataset: Dataset):
    counts = Counter(bytes(request.body) for request in plan("search", dataset, 20_000, distinct=50))
    assert len(counts) == 50
    assert counts.most_common(1)[0][1] > 5 * counts.most_common()[-1][1]
    again = {bytes(request.body) for request in plan("search", dataset, 20_000, seed=6, distinct=50)}
    assert again == set(counts)


def test_noop(dataset: Dataset):
    assert plan("noop", dataset, 3) == [Request("GET", "/api/v1/noop")] * 3


def test_equal_arguments_give_equal_requests(dataset: Dataset):
    for kind in ("get", "create", "search"):
        one, two = plan(kind, dataset, 200, filters=True), plan(kind, dataset, 200, filters=True)
        assert [(r.path, bytes(r.body)) for r in one] == [(r.path, bytes(r.body)) for r in two]


def test_dataset_survives_json(dataset: Dataset):
    assert msgspec.json.decode(msgspec.json.encode(dataset), type=Dataset) == dataset


def test_dataset_counts_deduplicated_ids_once():
    corpus = GeneratedCorpus(4, seed=1, now=datetime(2026, 1, 1, tzinfo=UTC))
    builder = DatasetBuilder(corpus)
    (batch,) = corpus.batches(10)
    builder.add(batch, ["a", "b", "c", "d"])
    builder.add(batch[:1], ["a"])
    dataset = builder.build()
    assert dataset.count == 5
    assert sorted(memory_id for ids in dataset.ids.values() for memory_id in ids) == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="shorter"):
        builder.add(batch, ["a"])


@pytest.mark.parametrize(
    ("kind", "params", "message", "hint"),
    [
        ("get", {"tier": "Cold"}, "small has no memories in the Cold tier", "load more memories"),
        ("get", {"tier": "cold"}, "no tier 'cold'", "Working, Warm, Cold"),
        ("put", {}, "no requests of kind 'put'", "get, create, search, noop"),
        ("search", {"limit": (20, 5)}, "limits from 20 to 5", "1 to 1,000"),
        ("search", {"distinct": 0}, "0 distinct queries", "at least 1"),
        ("get", {"zipf": -1.0}, "exponent of -1.0", "0 or more"),
        ("get", {"first": -1}, "-1 requests", "0 or more"),
    ],
)
def test_what_cannot_be_planned_is_explained(asked: Dataset, kind: str, params: dict, message: str, hint: str):
    with pytest.raises(CorpusError, match=message) as caught:
        requests(kind, dataset=asked, count=1, seed=0, params=RequestParams(**params))
    assert hint in caught.value.hint


def test_an_unloaded_dataset_is_explained(asked: Dataset):
    asked.ids = {}
    with pytest.raises(CorpusError, match="small has no memories") as caught:
        plan("get", asked)
    assert caught.value.hint == "load a corpus first"
