"""Search: what it finds, that filters cost no recall, that limits are kept."""

import math
import random
import uuid

import pytest

WORDS = [
    "tea",
    "coffee",
    "bread",
    "garden",
    "mountain",
    "river",
    "piano",
    "guitar",
    "python",
    "rust",
    "database",
    "index",
    "vector",
    "memory",
    "cache",
    "train",
    "boat",
    "island",
    "winter",
    "summer",
    "doctor",
    "school",
    "painting",
    "novel",
    "camera",
    "market",
    "kitchen",
    "bicycle",
    "football",
    "astronomy",
    "telescope",
    "harbour",
    "lantern",
    "orchard",
    "violin",
    "compiler",
    "scheduler",
    "kernel",
    "network",
    "router",
    "festival",
    "museum",
    "cathedral",
    "desert",
]


def sentence(number):
    picked = random.Random(number).sample(WORDS, 6)
    return f"{number}: {' '.join(picked)}"


@pytest.fixture(scope="module")
def loaded(service):
    """3,000 memories in three tiers; every 150th is rare, every third green."""
    memories = [
        {
            "content": sentence(n),
            "tier": ("Working", "Warm", "Cold")[n % 3],
            "importance_score": (n % 100) / 100,
            "metadata": {"colour": "green" if n % 3 == 0 else "red", "rare": n % 150 == 0, "n": n},
            "created_at": f"20{10 + n % 10}-06-01T00:00:00Z",
        }
        for n in range(3_000)
    ]
    return service.load(memories)


def recall(service, **fields):
    """Found among truly nearest, over 20 queries."""
    found = truth = 0
    for query in map(sentence, range(50_000, 50_020)):
        exact = {r["memory"]["id"] for r in service.search(query, exact=True, **fields)}
        found += len(exact & {r["memory"]["id"] for r in service.search(query, **fields)})
        truth += len(exact)
    assert truth
    return found / truth


def test_a_text_finds_itself_in_every_tier(service, loaded):
    for number in range(6):
        (best,) = service.search(sentence(number), limit=1)
        assert best["memory"]["id"] == loaded[number]
        assert best["score"] == pytest.approx(1, abs=0.01)
        assert best["score"] + best["distance"] == pytest.approx(1, abs=1e-5)
    assert {r["memory"]["tier"] for r in service.search("tea", limit=100)} == {"Working", "Warm", "Cold"}


@pytest.mark.parametrize("tier", ["Working", "warm", "COLD"])
def test_a_tier_is_kept_to(service, loaded, tier):
    found = service.search("tea coffee", tier=tier, limit=50)
    assert {r["memory"]["tier"] for r in found} == {tier.capitalize()}
    assert len(found) == 50


def test_results_come_nearest_first(service, loaded):
    distances = [r["distance"] for r in service.search("winter island boat", limit=100)]
    assert distances == sorted(distances)


@pytest.mark.parametrize("limit", [1, 10, 100, 1_000])
def test_as_many_as_asked_for_where_they_exist(service, loaded, limit):
    found = service.search("memory cache", limit=limit)
    assert len(found) == limit
    assert len({r["memory"]["id"] for r in found}) == limit


@pytest.mark.parametrize(
    ("filters", "holds"),
    [
        ({"metadata_filters": {"rare": True}}, lambda m: m["metadata"]["rare"]),
        ({"metadata_filters": {"colour": "green"}}, lambda m: m["metadata"]["colour"] == "green"),
        ({"importance_range": {"min": 0.95}}, lambda m: m["importance_score"] >= 0.95),
        ({"importance_range": {"min": 0.07, "max": 0.07}}, lambda m: m["importance_score"] == 0.07),
        (
            {"date_range": {"from": "2012-01-01T00:00:00Z", "to": "2012-12-31T00:00:00Z"}},
            lambda m: m["created_at"].startswith("2012"),
        ),
        (
            {"tier": "Cold", "metadata_filters": {"colour": "red"}, "importance_range": {"max": 0.5}},
            lambda m: m["tier"] == "Cold" and m["importance_score"] <= 0.5,
        ),
    ],
    ids=["rare", "common", "importance", "one importance", "dates", "together"],
)
def test_filters_hold_and_keep_recall(service, loaded, filters, holds):
    assert all(holds(r["memory"]) for r in service.search("river", limit=20, **filters))
    assert recall(service, **filters) >= 0.9
    # Twice, for a filter known to match many takes another way.
    assert recall(service, **filters) >= 0.9


def test_a_filter_that_few_match_gives_all_of_them(service, loaded):
    assert len(service.search("river", limit=100, metadata_filters={"rare": True})) == 20
    assert service.search("river", metadata_filters={"rare": "never"}) == []


def test_recall_without_filters(service, loaded):
    assert recall(service) >= 0.9


def test_a_threshold_cuts_and_an_unreachable_one_leaves_nothing(service, loaded):
    everything = service.search("piano violin", limit=50)
    edge = everything[9]["score"] - 1e-6
    kept = service.search("piano violin", limit=50, similarity_threshold=edge)
    assert [r["memory"]["id"] for r in kept] == [r["memory"]["id"] for r in everything if r["score"] >= edge]
    assert service.search("piano violin", similarity_threshold=1.0) == []


def test_a_query_embedding_is_taken(service, loaded):
    target = [math.sin(n) for n in range(1_536)]
    memory = service.create("found by its vector alone", embedding=target)
    best = service.search(query_embedding=[3 * value for value in target], limit=1)[0]
    assert best["memory"]["id"] == memory["id"]
    assert best["distance"] == pytest.approx(0, abs=0.001)


def test_metadata_can_be_left_out(service, loaded):
    assert "metadata" in service.search("tea", limit=1)[0]["memory"]
    assert "metadata" not in service.search("tea", limit=1, include_metadata=False)[0]["memory"]


def test_text_without_any_known_word_still_has_an_answer(service, loaded):
    assert service.search(" ", limit=3)
    assert service.search("\u2400\u2401", limit=3)


def test_the_guides_scripts_are_understood(service, loaded):
    body = {"query_text": "machine learning", "limit": 17, "similarity_threshold": 0.75}
    for path in ("/api/v1/search", "/api/v1/search/semantic"):
        reply = service.post(path, body)
        assert reply.status == 200
        assert set(reply.json) == {"results", "total_count", "query_time_ms"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "query_text"),
        ({"query_text": ""}, "query_text"),
        ({"query_text": "a\x00"}, "query_text"),
        ({"query_text": "x", "limit": 0}, "limit"),
        ({"query_text": "x", "limit": 1_001}, "limit"),
        ({"query_text": "x", "limit": "ten"}, "limit"),
        ({"query_text": "x", "tier": "hot"}, "tier"),
        ({"query_text": "x", "search_type": "Hybrid"}, "search_type"),
        ({"query_text": "x", "similarity_threshold": 2}, "similarity_threshold"),
        ({"query_text": "x", "metadata_filters": {"a": "\x00"}}, "metadata_filters"),
        ({"query_text": "x", "importance_range": {"min": -1}}, "importance_range.min"),
        ({"query_text": "x", "importance_range": {"least": 0}}, "importance_range.least"),
        ({"query_text": "x", "date_range": {"from": "yesterday"}}, "date_range.from"),
        ({"query_embedding": [1.0]}, "query_embedding"),
        ({"query_text": "x", "include_facets": True}, "include_facets"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_search_that_cannot_be_run_names_the_field(service, body, field):
    reply = service.post("/api/v1/search", body)
    assert reply.status == 400, reply.body
    assert reply.json["error"]["details"]["field"] == field


def test_access_counts_are_shown_and_not_raised_by_search(service, loaded):
    memory = service.create(f"counted {uuid.uuid4()}")
    service.get(f"/api/v1/memories/{memory['id']}")
    for _ in range(2):
        assert service.search(memory["content"], limit=1)[0]["memory"]["access_count"] == 1
