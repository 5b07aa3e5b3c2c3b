"""Search: what it finds, that filters cost no recall, that limits are kept; with the process' index and without."""

import math
import random
import re
import time
import uuid

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.reference_impl.conftest import Running

WORDS = re.findall(
    r"\w+",
    """
    tea coffee bread garden mountain river piano guitar python rust database index vector memory cache train boat
    island winter summer doctor school painting novel camera market kitchen bicycle football astronomy telescope
    harbour lantern orchard violin compiler scheduler kernel network router festival museum cathedral desert
    """,
)


def sentence(number):
    picked = random.Random(number).sample(WORDS, 6)
    return f"{number}: {' '.join(picked)}"


def measured(service):
    """The service's metrics, by name and, where there are any, values of labels."""
    families = text_string_to_metric_families(service.get("/metrics").body.decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def eventually(check, seconds=15):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.fixture(scope="module", params=["indexed", "unindexed"])
def source(request):
    """Who finds the candidates of searches."""
    return request.param


@pytest.fixture(scope="module")
def service(postgres, source):
    running = Running(postgres.new_database(), *(["--candidates-max", "0"] if source == "unindexed" else []))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def loaded(service, source):
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
    ids = service.load(memories)

    def ready():
        # Until all are fed, PostgreSQL has not counted all of their words, and what is best still changes.
        now = measured(service)
        fed = now["memory_time_to_indexed_seconds_count",] >= len(ids) and now["memory_arrivals",] == 0
        return fed and now["memory_candidates_usable",] == (source == "indexed")

    eventually(ready)
    return ids


def recall(service, **fields):
    """Found among truly best, over 20 queries."""
    found = truth = 0
    for query in map(sentence, range(50_000, 50_020)):
        exact = {r["memory"]["id"] for r in service.search(query, exact=True, **fields)}
        found += len(exact & {r["memory"]["id"] for r in service.search(query, **fields)})
        truth += len(exact)
    assert truth
    return found / truth


def test_candidates_come_from_where_they_are_meant_to(service, loaded, source):
    other = {"indexed": "unindexed", "unindexed": "indexed"}[source]
    before = measured(service)
    # Nobody has asked this before, so it is no answer from the cache.
    for kind in ("Hybrid", "Semantic", "FullText"):
        assert service.search(f"tea {kind}", search_type=kind, metadata_filters={"colour": "green"})
    after = measured(service)
    assert after["memory_searches_total", source] == before["memory_searches_total", source] + 3
    assert after["memory_searches_total", other] == before["memory_searches_total", other]
    assert after["memory_candidates",] == (len(loaded) if source == "indexed" else 0)


def test_a_text_finds_itself_in_every_tier(service, loaded):
    for kind in ("Semantic", "FullText", "Hybrid"):
        for number in range(6):
            (best,) = service.search(sentence(number), limit=1, search_type=kind)
            assert best["memory"]["id"] == loaded[number]
    assert {r["memory"]["tier"] for r in service.search("tea", limit=100)} == {"Working", "Warm", "Cold"}


@pytest.mark.parametrize("tier", ["Working", "warm", "COLD"])
def test_a_tier_is_kept_to(service, loaded, tier):
    found = service.search("tea coffee", tier=tier, limit=50)
    assert {r["memory"]["tier"] for r in found} == {tier.capitalize()}
    assert len(found) == 50


@pytest.mark.parametrize("kind", ["Semantic", "FullText", "Hybrid", "Temporal"])
def test_the_best_come_first(service, loaded, kind):
    scores = [r["score"] for r in service.search("winter island boat", limit=100, search_type=kind)]
    assert scores == sorted(scores, reverse=True)


def test_a_semantic_score_is_the_cosine(service, loaded):
    found = service.search("winter island boat", limit=100, search_type="semantic")
    assert [r["score"] for r in found] == pytest.approx([1 - r["distance"] for r in found], abs=2e-6)
    assert (
        found[0]["memory"]["id"]
        == service.search("winter island boat", limit=1, search_type="SEMANTIC")[0]["memory"]["id"]
    )


@pytest.mark.parametrize("kind", ["Semantic", "Hybrid", "Temporal"])
@pytest.mark.parametrize("limit", [1, 10, 100, 1_000])
def test_as_many_as_asked_for_where_they_exist(service, loaded, limit, kind):
    found = service.search("memory cache", limit=limit, search_type=kind)
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


@pytest.mark.parametrize("kind", ["Semantic", "FullText", "Hybrid"])
def test_recall_without_filters(service, loaded, kind):
    assert recall(service, search_type=kind) >= 0.95


@pytest.mark.parametrize("kind", ["Semantic", "Hybrid"])
def test_a_threshold_cuts_by_similarity_and_an_unreachable_one_leaves_nothing(service, loaded, kind):
    everything = service.search("piano violin", limit=500, search_type=kind, exact=True)
    edge = sorted(r["distance"] for r in everything)[9]
    kept = service.search("piano violin", limit=50, search_type=kind, similarity_threshold=1 - edge - 1e-6)
    assert len(kept) == 10
    assert {r["memory"]["id"] for r in kept} == {r["memory"]["id"] for r in everything if r["distance"] <= edge}
    assert service.search("piano violin", search_type=kind, similarity_threshold=1.0) == []


def test_words_alone_find_only_memories_with_them(service, loaded):
    found = service.search("telescope", search_type="FullText", limit=1_000)
    assert found
    assert all("telescope" in r["memory"]["content"] for r in found)
    assert all(r["distance"] is None for r in found)
    assert all("**telescope**" in r["highlights"][0] for r in found)
    held = sum("telescope" in sentence(n) for n in range(3_000))
    assert len(found) == held
    exact = service.search("telescope", search_type="FullText", limit=1_000, exact=True)
    assert [r["score"] for r in exact] == [r["score"] for r in found]
    assert service.search("the of and", search_type="FullText") == []


def test_words_are_found_in_other_forms(service, loaded):
    memory = service.create("She was running through cathedrals")
    (best,) = service.search("run in a cathedral", search_type="FullText", limit=1)
    assert best["memory"]["id"] == memory["id"]
    assert best["highlights"] == ["She was **running** through **cathedrals**"]


def test_rare_words_weigh_more(service, loaded):
    rare = service.create("tea with a xylophonist")
    found = service.search("tea xylophonist", search_type="FullText", limit=5)
    assert found[0]["memory"]["id"] == rare["id"]
    assert found[0]["score"] > 1.5 * found[1]["score"]


def test_weights_decide(service, loaded):
    def first(**weights):
        return service.search("harbour boat", limit=1, exact=True, hybrid_weights=weights)[0]

    assert first(importance=1)["memory"]["importance_score"] >= 0.99
    assert first(text=1)["score"] == pytest.approx(1)
    assert first(semantic=3)["score"] == pytest.approx(1 - first(semantic=3)["distance"], abs=1e-5)
    newest = first(temporal=1)["memory"]["created_at"]
    assert newest == max(r["memory"]["created_at"] for r in service.search("x", limit=1_000, search_type="Temporal"))
    read = service.create("harbour boat that is often read")
    for _ in range(3):
        service.get(f"/api/v1/memories/{read['id']}")
    deadline = time.monotonic() + 10
    while first(access_frequency=1)["memory"]["id"] != read["id"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_an_explanation_adds_up(service, loaded):
    for kind in ("Hybrid", "Semantic", "FullText", "Temporal"):
        for result in service.search("river desert", explain_score=True, search_type=kind):
            parts = result["explanation"].values()
            assert sum(part["contribution"] for part in parts) == pytest.approx(result["score"], abs=2e-6)
            assert sum(part["weight"] for part in parts) == pytest.approx(1)
    assert "explanation" not in service.search("river desert")[0]


def test_without_a_query_the_newest_come(service, loaded):
    found = service.search(query_embedding=None, search_type="Temporal", limit=50, importance_range={"min": 0.5})
    moments = [r["memory"]["created_at"] for r in found]
    assert moments == sorted(moments, reverse=True)
    assert len(found) == 50


def test_all_tags_must_be_there(service, loaded):
    both = service.create("tagged with both", metadata={"tags": ["left", "right"]})
    service.create("tagged with one", metadata={"tags": ["left"]})
    assert {r["memory"]["id"] for r in service.search("tagged", tags=["right", "left"])} == {both["id"]}
    assert len(service.search("tagged", tags=["left"])) == 2


def test_facets_count_what_was_ranked(service, loaded):
    reply = service.post("/api/v1/search", {"query_text": "market", "include_facets": True, "limit": 5}).json
    facets = reply["facets"]
    assert sum(facets["tier"].values()) == reply["total_count"] >= 400
    assert set(facets["metadata"]["colour"]) <= {"red", "green"}
    assert service.post("/api/v1/search", {"query_text": "market"}).json["facets"] is None


@pytest.mark.parametrize("kind", ["Semantic", "Hybrid", "FullText", "Temporal"])
def test_pages_by_cursor_are_the_whole_in_order(service, loaded, kind):
    request = {"query_text": "painting novel", "search_type": kind, "limit": 20}
    whole = [r["memory"]["id"] for r in service.post("/api/v1/search", {**request, "limit": 60}).json["results"]]
    pages, cursor = [], None
    for _ in range(3):
        reply = service.post("/api/v1/search", {**request, **({"cursor": cursor} if cursor else {})}).json
        pages += [r["memory"]["id"] for r in reply["results"]]
        cursor = reply["next_cursor"]
        assert cursor
    assert len(set(pages)) == 60
    assert len(set(pages) & set(whole)) >= 57  # the candidates of a longer list are more
    by_offset = service.post("/api/v1/search", {**request, "offset": 20}).json["results"]
    assert [r["memory"]["id"] for r in by_offset] == pages[20:40]


@pytest.mark.parametrize("kind", ["Semantic", "Hybrid", "FullText", "Temporal"])
def test_the_deepest_page_that_can_be_asked_for(service, loaded, kind):
    found = service.search("river", search_type=kind, offset=1_000, limit=1_000)
    assert len(found) == (0 if kind == "FullText" else 1_000)
    assert len(service.search("river", search_type=kind, offset=1_000, limit=1_000, exact=True)) == len(found)
    assert len(service.search("river", search_type=kind, offset=100, limit=200)) == 200


def test_the_last_page_says_so(service, loaded):
    request = {"query_text": "river", "metadata_filters": {"rare": True}, "limit": 15}
    first = service.post("/api/v1/search", request).json
    last = service.post("/api/v1/search", {**request, "cursor": first["next_cursor"]}).json
    assert (len(first["results"]), len(last["results"]), last["next_cursor"]) == (15, 5, None)


def test_a_cursor_is_good_for_its_own_request_only(service, loaded):
    cursor = service.post("/api/v1/search", {"query_text": "river"}).json["next_cursor"]
    for body in (
        {"query_text": "desert", "cursor": cursor},
        {"query_text": "river", "cursor": cursor[:-4]},
        {"query_text": "river", "cursor": cursor, "offset": 10},
    ):
        reply = service.post("/api/v1/search", body)
        assert reply.status == 400
        assert reply.json["error"]["details"]["field"] == "cursor"


def test_what_is_not_indexed_yet_is_found_at_once(service, loaded):
    for number in range(20):
        text = f"brand new {uuid.uuid4()} number {number}"
        memory = service.create(text, metadata={"fresh": number})
        for fields in (
            {},
            {"search_type": "Semantic"},
            {"search_type": "FullText"},
            {"metadata_filters": {"fresh": number}},
        ):
            assert service.search(text, limit=1, **fields)[0]["memory"]["id"] == memory["id"]


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
        assert set(reply.json) == {"results", "total_count", "facets", "next_cursor", "query_time_ms"}


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
        ({"query_text": "x", "search_type": "Exact"}, "search_type"),
        ({"search_type": "FullText"}, "query_text"),
        ({"query_text": "x", "hybrid_weights": {"text": -1}}, "hybrid_weights.text"),
        ({"query_text": "x", "hybrid_weights": {}}, "hybrid_weights"),
        ({"query_text": "x", "tags": [""]}, "tags[0]"),
        ({"query_text": "x", "tags": ["a"], "metadata_filters": {"tags": "a"}}, "metadata_filters.tags"),
        ({"query_text": "x", "offset": 1_001}, "offset"),
        ({"query_text": "x", "similarity_threshold": 2}, "similarity_threshold"),
        ({"query_text": "x", "metadata_filters": {"a": "\x00"}}, "metadata_filters"),
        ({"query_text": "x", "importance_range": {"min": -1}}, "importance_range.min"),
        ({"query_text": "x", "importance_range": {"least": 0}}, "importance_range.least"),
        ({"query_text": "x", "date_range": {"from": "yesterday"}}, "date_range.from"),
        ({"query_embedding": [1.0]}, "query_embedding"),
        ({"query_text": "x", "include_everything": True}, "include_everything"),
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


def test_numbers_too_small_to_multiply_do_no_harm(service, loaded):
    service.create("ancient and unimportant", created_at="0001-01-02T00:00:00Z", importance_score=5e-324)
    weights = {"semantic": 1, "temporal": 5e-324, "importance": 1e-300}
    for fields in ({}, {"search_type": "Temporal"}, {"hybrid_weights": weights}):
        assert service.search("ancient and unimportant", limit=5, **fields)


def test_metadata_as_deep_as_is_taken_does_no_harm_to_itself_or_its_neighbours(service, loaded):
    taken = 0
    for depth in range(1_000, 950, -1):
        neighbour = service.create(f"a neighbour of nested{depth}")
        body = b'{"content": "nested%d", "metadata": {"a": %s1%s}}' % (depth, b"[" * depth, b"]" * depth)
        reply = service.call("POST", "/api/v1/memories", body)
        if reply.status == 400:
            continue
        # Too deep for the decoder here.
        nested = re.search(rb'"id":"(.*?)"', reply.body)[1].decode()
        found = service.search(f"nested{depth}", search_type="FullText", include_metadata=False)
        assert {r["memory"]["id"] for r in found} == {neighbour["id"], nested}
        taken += 1
    assert taken
