"""The analysis of tiers says what is there, and cold memories are as small as it says."""

import asyncio
import contextlib
import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from reference_impl.models import Tier
from reference_impl.storage.tier_statistics import last_analysis
from reference_impl.tier_models import TierReport
from reference_impl.tiers import compression
from tests.reference_impl.tier_store import DIMENSION, NOW, play

PEOPLE = ["Ada", "Grace", "Linus", "Barbara", "Ken", "Frances", "Edsger", "Radia", "Tim", "Adele"]
FACTS = [
    "prefers {drink} over anything else in the morning, and has said so in the meeting about {project}",
    "asked whether {project} could be finished before the trip to {place}; nobody was sure",
    "has moved from {place} to {other} and works on {project} from there",
    "wants answers about {project} to be short, with the figures first",
    "is allergic to {food}; keep that in mind when ordering for the team in {place}",
    "found the bug in {project} that made the nightly build fail, and fixed it together with {person}",
    "met {person} in {place} and they talked about {project} over {drink}",
    "would rather not have meetings after four, since the children come home then",
]
WORDS = {
    "drink": ["green tea", "black coffee", "hot chocolate", "lemonade"],
    "project": ["the search service", "the migration to PostgreSQL", "the quarterly report", "the billing rewrite"],
    "place": ["Lisbon", "Kyoto", "Toronto", "Nairobi", "Oslo"],
    "other": ["Lima", "Hanoi", "Prague"],
    "food": ["peanuts", "shellfish", "strawberries"],
    "person": PEOPLE,
}


def texts(count, seed=1):
    """Distinct short texts such as an assistant remembers, 60 to 160 characters long."""
    draw = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        fact = draw.choice(FACTS).format(**{name: draw.choice(words) for name, words in WORDS.items()})
        day = draw.randrange(1, 29)
        found[f"{draw.choice(PEOPLE)} {fact} (2029-{draw.randrange(1, 13):02}-{day:02})."] = None
    return list(found)


async def analysis(store, tier):
    return next(found for found in await last_analysis(store.database) if found.tier is tier)


def test_sums_are_what_is_there(postgres):
    async def scenario(store):
        first = await store.add("naïve café", "working", 10, importance_score=0.2, metadata='{"k": "v"}')
        second = await store.add("x" * 20_000, "working", 0.5, importance_score=0.6)
        third = await store.add("unread", "working", 40)
        await store.add("deleted", "working", 10, status="deleted")
        await store.read(first, 20)
        await store.read(second, 3)
        await store.cycle(working_to_warm_days=100.0, warm_to_cold_days=100.0, batch=2)
        found = await analysis(store, Tier.WORKING)
        assert (found.memories, found.accesses, found.stale, found.analysed_at) == (3, 23, 1, NOW)
        assert found.access_frequency == pytest.approx((20 / 10 + 3 / 1 + 0) / 3)
        assert found.importance == pytest.approx((0.2 + 0.6 + 0.5) / 3)
        assert found.text_bytes == len("naïve café".encode()) + 20_000 + 6
        assert found.stored_text_bytes < 1_000 + 12 + 7  # PostgreSQL shrinks what is long and uniform
        assert found.vector_bytes == 3 * (4 * DIMENSION + 8)
        assert found.stored_vector_bytes == 3 * (2 * DIMENSION + 8 + DIMENSION // 8 + 5)

        # Rows: as PostgreSQL counts them, up to padding. The long one is stored elsewhere, so it is left out.
        await store.database.fetch("UPDATE memories SET status = 'deleted', updated_at = $2 WHERE id = $1", second, NOW)
        await store.cycle(working_to_warm_days=100.0, warm_to_cold_days=100.0)
        found = await analysis(store, Tier.WORKING)
        pointers = 4
        rows = await store.value(
            f"""SELECT sum(pg_column_size(m.*) + pg_column_size(v.*) + coalesce(pg_column_size(a.*), 0)
                       + 2 * {pointers} + CASE WHEN a.id IS NULL THEN 0 ELSE {pointers} END)
                FROM memories m JOIN memory_vectors v USING (id) LEFT JOIN memory_access a USING (id)
                WHERE m.id = ANY($1)""",
            [first, third],
        )
        assert abs(found.stored_row_bytes - rows) <= 2 * 24
        assert found.row_bytes > found.text_bytes + found.vector_bytes

    play(postgres, scenario)


def test_empty_tiers_are_zero(postgres):
    async def scenario(store):
        await store.cycle()
        found = await last_analysis(store.database)
        assert [tier.tier for tier in found] == list(Tier)
        assert all(tier.memories == tier.row_bytes == tier.access_frequency == 0 for tier in found)
        assert compression(found).row is None

    play(postgres, scenario)


def test_a_dictionary_is_trained_and_everything_is_packed_again(postgres):
    contents = texts(1_200)

    async def scenario(store):
        ids = await store.add_many(contents[:400], "warm", 40)
        stats = await store.cycle(batch=100)
        assert (stats.archived, stats.repacked) == (400, 0)  # too few for a dictionary
        without = compression(await last_analysis(store.database))

        ids += await store.add_many(contents[400:600], "warm", 40)
        stats = await store.cycle(batch=100)
        assert (stats.archived, stats.repacked) == (200, 600)
        dictionaries = await store.database.fetch("SELECT id, samples, memories FROM compression_dictionaries")
        assert [tuple(row)[1:] for row in dictionaries] == [(600, 600)]
        assert await store.value("SELECT count(*) FROM memories WHERE dictionary_id = $1", dictionaries[0]["id"]) == 600
        assert [await store.text(memory) for memory in ids] == contents[:600]
        with_it = await analysis(store, Tier.COLD)
        assert with_it.text_bytes == sum(len(text.encode()) for text in contents[:600])
        packed = await store.value("SELECT sum(octet_length(packed)) FROM memories")
        dictionary = await store.value("SELECT octet_length(content) FROM compression_dictionaries")
        # What else is counted: a byte of length for each.
        assert with_it.stored_text_bytes == packed + dictionary + 600
        assert with_it.text_bytes / packed > 1.8 * without.text

        # Once is enough, until the tier is eight times as large.
        assert (await store.cycle()).repacked == 0
        await store.add_many(contents[600:], "cold", 40)
        assert (await store.cycle()).repacked == 0
        await store.database.fetch("UPDATE compression_dictionaries SET memories = 150")
        stats = await store.cycle()
        # Trained anew, and kept only if it is better.
        count = await store.value("SELECT count(*) FROM compression_dictionaries")
        assert (count, stats.repacked) in {(1, 0), (2, 1_200)}
        assert await store.value("SELECT count(DISTINCT dictionary_id) FROM memories") == 1
        await store.require_sound()

    play(postgres, scenario)


def test_the_cold_tier_is_a_tenth_of_the_guides_rows(postgres):
    """At the guide's dimension it would be more: its vectors are six times as long, sign bits a thirty-second."""

    async def scenario(store):
        await store.add_many(texts(2_000), "warm", 40)
        await store.cycle()
        found = compression(await last_analysis(store.database))
        assert found.text > 2.5
        assert found.vector == pytest.approx((4 * DIMENSION + 8) / (DIMENSION // 8 + 5))
        cold = await analysis(store, Tier.COLD)
        # The parts that grow with the dimension, at 1,536 numbers.
        wider = cold.memories * 4 * (1_536 - DIMENSION)
        code = cold.memories * (1_536 - DIMENSION) // 8
        assert (cold.row_bytes + wider) / (cold.stored_row_bytes + code) > 10

    play(postgres, scenario)


def test_the_report_is_fresh_cheap_and_complete(postgres):
    async def scenario(store):
        now = datetime.now(UTC)
        await store.add("recent", "working", created_at=now, tier_since=now)
        manager = store.manager(working_to_warm_days=3.5)
        report = msgspec.json.decode(msgspec.json.encode(await manager.report()), type=TierReport)
        assert [tier.memories for tier in report.tiers] == [1, 0, 0]
        assert report.settings.working_to_warm_days == 3.5
        assert report.moves_last_day == []
        assert report.cold_compression.text is None
        # Within a minute it is not made again, by anybody.
        await store.add("another", "working", created_at=now, tier_since=now)
        assert (await manager.report()).tiers[0].memories == 1
        assert (await store.manager().report()).tiers[0].memories == 1
        # When it is older, it is; but never more than a twentieth of the time.
        await store.database.fetch("UPDATE tier_statistics SET analysed_at = analysed_at - interval '2 minutes'")
        manager._not_before = float("inf")
        assert (await manager.report()).tiers[0].memories == 1
        assert (await store.manager().report()).tiers[0].memories == 2

        await store.database.fetch("UPDATE memories SET created_at = $1, tier_since = $1", now - timedelta(days=8))
        await manager.run_cycle()
        moves = msgspec.to_builtins((await manager.report()).moves_last_day)
        assert moves == [{"from": "Working", "to": "Warm", "reason": "idle", "memories": 2, "merged": 0}]

    play(postgres, scenario)


def test_many_ask_at_once(postgres):
    async def scenario(store):
        await store.add_many([f"memory {n}" for n in range(300)], "warm", 1)
        managers = [store.manager(batch=10) for _ in range(3)]
        reports = await asyncio.gather(*(manager.report() for manager in managers * 4))
        assert {tier.memories for report in reports for tier in report.tiers} <= {0, 300}
        assert await store.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0

    play(postgres, scenario)


def test_reviews_in_the_background(postgres):
    async def scenario(store):
        now = datetime.now(UTC)
        memory = await store.add("idle", created_at=now - timedelta(days=8), tier_since=now - timedelta(days=8))
        await store.add("cold", "cold")
        managers = [store.manager(interval_seconds=0.05) for _ in range(3)]
        assert managers[0].ratios() == {}
        for manager in managers:
            manager.start()
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.timeout(10):
                while await store.tier(memory) != "warm" or not all(manager.ratios() for manager in managers):
                    await asyncio.sleep(0.02)
        for manager in managers:
            await manager.stop()
        assert await store.value("SELECT count(*) FROM tier_moves") == 1
        assert managers[0].ratios().keys() == {"text", "vector", "row"}
        assert await store.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
        idle = store.manager(interval_seconds=0.0)
        idle.start()
        assert idle._task is None
        await idle.stop()

    play(postgres, scenario)
