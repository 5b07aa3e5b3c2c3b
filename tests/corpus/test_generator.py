from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from harness.corpus import SIZES, TIER_SHARES, TIERS, CorpusError, GeneratedCorpus, new_contents, queries
from harness.corpus.lexicon import ADJECTIVES, FIRST_NAMES, KINDS, LAST_NAMES, QUERIES
from harness.corpus.topics import THINGS_PER_TOPIC, TOPICS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def memories(count: int, *, seed: int = 1, sizes: str = "chat") -> list:
    corpus = GeneratedCorpus(count, seed=seed, sizes=sizes, now=NOW)
    return [memory for batch in corpus.batches(700) for memory in batch]


def test_words_that_make_texts_unique_are_distinct():
    things = [thing for topic in TOPICS for thing in topic.things]
    stances = [stance for kind in KINDS.values() for stance in kind]
    for words in (things, stances, FIRST_NAMES, LAST_NAMES, ADJECTIVES, QUERIES, [t.name for t in TOPICS]):
        assert len(set(words)) == len(words)
    assert {len(topic.things) for topic in TOPICS} == {THINGS_PER_TOPIC}
    assert not [word for word in (*FIRST_NAMES, *LAST_NAMES, *ADJECTIVES) if " " in word]
    assert not [word for word in (*things, *stances) if "." in word]


def test_same_data_in_another_process_with_another_hash_seed():
    program = (
        "from datetime import UTC, datetime; from harness.corpus import GeneratedCorpus;"
        "print(GeneratedCorpus(5_000, seed=3, now=datetime(2026, 1, 1, tzinfo=UTC)).fingerprint)"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    assert prints == {GeneratedCorpus(5_000, seed=3, now=NOW).fingerprint}


def test_fingerprint_is_of_the_data_and_not_of_the_batches():
    whole, parts = (GeneratedCorpus(1_000, seed=3, now=NOW) for _ in range(2))
    assert [len(batch) for batch in whole.batches(1_000)] == [1_000]
    assert [len(batch) for batch in parts.batches(300)] == [300, 300, 300, 100]
    assert whole.fingerprint == parts.fingerprint
    assert whole.fingerprint != GeneratedCorpus(1_000, seed=4, now=NOW).fingerprint
    assert whole.fingerprint != GeneratedCorpus(999, seed=3, now=NOW).fingerprint


def test_larger_count_begins_with_the_smaller_one():
    assert memories(9_000)[:4_321] == memories(4_321)


def test_contents_are_all_different_and_creates_repeat_none():
    loaded = {memory.content for memory in memories(60_000)}
    created = [memory.content for memory in itertools.islice(new_contents(8, corpus_seed=1), 60_000)]
    assert len(loaded) == 60_000
    assert len(set(created)) == 60_000
    assert loaded.isdisjoint(created)


def test_creates_go_on_where_an_earlier_stream_stopped():
    whole = list(itertools.islice(new_contents(8, corpus_seed=1), 9_000))
    assert list(itertools.islice(new_contents(8, corpus_seed=1, first=4_500), 4_500)) == whole[4_500:]
    assert {memory.created_at for memory in whole} == {None}


def test_creates_of_other_seeds_differ():
    one, two = ({m.content for m in itertools.islice(new_contents(s, corpus_seed=1), 20_000)} for s in (8, 9))
    assert one.isdisjoint(two)


@pytest.mark.parametrize("name", SIZES)
def test_sizes_have_the_median_and_spread_they_are_named_for(name: str):
    lengths = np.array([len(memory.content) for memory in memories(8_000, sizes=name)])
    sizes = SIZES[name]
    assert np.median(lengths) == pytest.approx(sizes.median, rel=0.05)
    assert np.std(np.log(lengths)) == pytest.approx(sizes.sigma, rel=0.08)
    assert lengths.max() <= sizes.longest + 100


def test_tiers_have_the_stated_shares():
    counts = Counter(memory.tier for memory in memories(20_000))
    assert [counts[tier] / 20_000 for tier in TIERS] == pytest.approx(TIER_SHARES, abs=0.004)


@pytest.mark.parametrize("seed", range(20))
def test_first_three_memories_are_one_of_each_tier(seed: int):
    assert {memory.tier for memory in memories(3, seed=seed)} == set(TIERS)
    counts = Counter(memory.tier for memory in memories(100, seed=seed))
    assert min(counts[tier] for tier in TIERS) >= 10


def test_tier_follows_age_and_importance():
    for memory in memories(5_000):
        age = NOW - datetime.fromisoformat(memory.created_at)
        assert timedelta(0) < age <= timedelta(days=365)
        # Dates are whole seconds: those on a limit may be on either side of it.
        if memory.tier == "Working":
            assert age <= timedelta(days=7, seconds=1) or memory.importance_score > 0.8
        else:
            assert age >= timedelta(days=7 if memory.tier == "Warm" else 30, seconds=-1)
            assert memory.tier == "Warm" or age >= timedelta(days=30, seconds=-1)
        assert 0 <= memory.importance_score <= 1


def test_metadata_is_complete_and_repeats():
    some = memories(2_000)
    for memory in some:
        assert set(memory.metadata) == {
            "user_id", "conversation", "session", "speaker", "topic", "kind", "tags", "source",
        }  # fmt: skip
        assert memory.metadata["conversation"].startswith(memory.metadata["user_id"])
    speakers = {(memory.metadata["user_id"], memory.metadata["speaker"]) for memory in some}
    assert len(speakers) == len({user for user, _ in speakers})
    assert {memory.metadata["topic"] for memory in some} == {topic.name for topic in TOPICS}


def test_queries_are_different_and_filter_by_a_topic_that_exists():
    some = list(itertools.islice(queries(2), 50_000))
    assert len({query.text for query in some}) == 50_000
    assert {query.filters["topic"] for query in some} == {topic.name for topic in TOPICS}
    assert some[:10] == list(itertools.islice(queries(2), 10))
    assert some[0] != next(queries(3))


def test_two_of_a_day_are_the_same_and_lie_in_the_past():
    early, late = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC), datetime(2026, 1, 1, 23, 59, tzinfo=UTC)
    corpora = [GeneratedCorpus.of_day(100, seed=3, moment=moment) for moment in (early, late)]
    assert corpora[0].fingerprint == corpora[1].fingerprint
    assert all(corpus.now < early for corpus in corpora)
    assert GeneratedCorpus.of_day(100, seed=3, moment=late + timedelta(hours=1)).fingerprint != corpora[0].fingerprint


@pytest.mark.parametrize(
    ("count", "sizes", "now", "message", "hint"),
    [
        (0, "chat", NOW, "cannot have count 0", "at least 1"),
        (10, "novels", NOW, "no sizes named 'novels'", "chat, notes, documents"),
        (10, "chat", NOW.replace(tzinfo=None), "has no time zone", "such as UTC"),
        (20_000_000, "chat", NOW, "cannot all be different", "18,432,000 at most"),
    ],
)
def test_arguments_out_of_range_are_explained(count: int, sizes: str, now: datetime, message: str, hint: str):
    with pytest.raises(CorpusError, match=message) as caught:
        GeneratedCorpus(count, seed=1, sizes=sizes, now=now)
    assert hint in caught.value.hint


def test_a_batch_holds_at_least_one_memory():
    with pytest.raises(ValueError, match="at least one"):
        GeneratedCorpus(3, seed=1, now=NOW).batches(0)
