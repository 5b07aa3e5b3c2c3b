"""A move onto a memory with the same content: one of the two stands for both, whoever else is at work."""

import asyncio
import hashlib
import random
import time
from datetime import UTC, datetime, timedelta

import pytest

from reference_impl.errors import ApiError
from reference_impl.ids import new_id
from reference_impl.models import Tier
from reference_impl.storage.memories import Memories
from reference_impl.storage.records import NewMemory
from reference_impl.storage.tier_merges import survivor
from reference_impl.updates import Change, Updates
from reference_impl.words import terms_of
from tests.reference_impl.tier_store import DIMENSION, EMBEDDER, NOW, ago, play


def test_the_one_in_the_target_tier_stands_for_both(postgres):
    async def scenario(store):
        twin = await store.add(
            "twin", "warm", 20, importance_score=0.4, metadata='{"a": 1, "b": {"kept": true}}', tier_accesses=2
        )
        moving = await store.add(
            "twin", "working", 30, importance_score=0.7, metadata='{"b": {"lost": 1}, "c": 3}', tier_accesses=6
        )
        parent = await store.add("parent of the moving one")
        await store.database.fetch("UPDATE memories SET parent_id = $2 WHERE id = $1", moving, parent)
        children = [await store.add(f"child {n}", parent_id=moving) for n in range(3)]
        await store.read(twin, 4, ago(19))
        await store.read(moving, 10, ago(15))

        stats = await store.cycle()
        assert (stats.demoted, stats.merged) == (0, 1)
        row, gone = await store.row(twin), await store.row(moving)
        assert (row["status"], row["tier"], row["content"]) == ("active", "warm", "twin")
        assert row["importance_score"] == 0.7
        assert await store.metadata(twin) == {"a": 1, "b": {"kept": True}, "c": 3}
        assert (row["created_at"], row["updated_at"]) == (ago(30), ago(20))
        assert (row["access_count"], row["last_accessed_at"], row["tier_accesses"]) == (14, ago(15), 8)
        assert row["tier_since"] == ago(20)
        assert (gone["status"], gone["merged_into"], gone["updated_at"]) == ("deleted", twin, NOW)
        assert (gone["access_count"], gone["embedding"]) == (0, None)
        assert {(await store.row(child))["parent_id"] for child in children} == {twin}
        assert await store.history(moving) == [("working", "warm", "idle", twin)]
        assert await store.history(twin) == []
        assert {*store.changed[0]} == {twin, moving, *children}
        assert await survivor(store.database, moving) == twin
        assert await survivor(store.database, twin) is None
        await store.require_sound()

    play(postgres, scenario)


def test_a_child_that_is_the_twin_does_not_become_its_own_parent(postgres):
    async def scenario(store):
        moving = await store.add("twin", "working", 30)
        twin = await store.add("twin", "warm", 20, parent_id=moving)
        assert (await store.cycle()).merged == 1
        assert (await store.row(twin))["parent_id"] is None

    play(postgres, scenario)


@pytest.mark.parametrize(("moving", "twin"), [("cold", "warm"), ("warm", "cold"), ("warm", "working")])
def test_every_kind_of_move_may_meet_a_twin(postgres, moving, twin):
    async def scenario(store):
        loser = await store.add("twin", moving, 31)
        stays = await store.add("twin", twin, 20)
        if moving != "warm" or twin == "working":
            await store.read(loser, 5)
        assert (await store.cycle()).merged == 1
        assert [await store.tier(m) for m in (loser, stays)] == ["deleted", twin]
        assert await store.text(stays) == "twin"
        assert await survivor(store.database, loser) == stays
        assert await store.value("SELECT count(*) FROM tier_candidates") == 0
        await store.require_sound()

    play(postgres, scenario)


@pytest.mark.parametrize(
    ("moving", "twin", "left"),
    [(None, 5, None), (5, None, None), (5, 9, 9), (9, 5, 9), (None, -1, "moved"), (9, -1, "moved")],
)
def test_what_lives_longer_decides_and_the_dead_take_nobody_along(postgres, moving, twin, left):
    def expiry(days):
        return None if days is None else NOW + timedelta(days=days)

    async def scenario(store):
        # Expires while the review is under way: its first step has not seen it yet.
        loser = await store.add("twin", "working", 30, expires_at=expiry(moving))
        stays = await store.add("twin", "warm", 20, expires_at=expiry(twin))
        if left == "moved":
            async with store.database.connection() as connection, connection.transaction():
                await connection.fetch("SELECT FROM memories WHERE id = $1 FOR UPDATE", stays)
                review = asyncio.create_task(store.cycle())
                while await store.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0:
                    await asyncio.sleep(0.01)
            assert (await review).demoted == 1
            assert [await store.tier(m) for m in (loser, stays)] == ["warm", "deleted"]
            assert await survivor(store.database, loser) is None
        else:
            assert (await store.cycle()).merged == 1
            assert (await store.row(stays))["expires_at"] == expiry(left)

    play(postgres, scenario)


def test_merges_can_be_followed_one_after_another(postgres):
    async def scenario(store):
        first = await store.add("twin", "working", 50)
        second = await store.add("twin", "warm", 45)
        third = await store.add("twin", "cold", 45)
        stats = await store.cycle()  # into warm, and from there into cold, in one review
        assert stats.merged == 2
        assert [await survivor(store.database, m) for m in (first, second, third)] == [third, third, None]
        # The merged ones are cleared away in their time, and a child that came late finds the survivor.
        late = await store.add("late child", parent_id=second)
        await store.cycle(NOW + timedelta(days=31))
        assert [await store.row(m) for m in (first, second)] == [None, None]
        assert (await store.row(late))["parent_id"] == third
        assert await survivor(store.database, first) is None

    play(postgres, scenario)


def test_a_twin_that_is_created_between_look_and_move(postgres):
    """Its insert is not committed when the review looks for twins, and is when the review moves."""

    async def scenario(store):
        moving = await store.add_many([f"twin {n}" for n in range(20)], days=10)
        async with store.database.connection() as connection, connection.transaction():
            insert = (
                "INSERT INTO memories (id, content, content_hash, tier, code, created_at, tier_since)"
                f" VALUES ($1, 'twin 7', sha256('twin 7'), 'warm', repeat('1', {DIMENSION})::bit({DIMENSION}), $2, $2)"
            )
            twin = new_id()
            await connection.execute(insert, twin, NOW)
            await connection.execute(
                "INSERT INTO memory_vectors SELECT $1, embedding FROM memory_vectors LIMIT 1", twin
            )
            review = asyncio.create_task(store.cycle())
            while await store.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0:
                assert not review.done()
                await asyncio.sleep(0.01)
        stats = await review
        assert (stats.demoted, stats.merged) == (19, 1)
        assert await survivor(store.database, moving[7]) == twin
        await store.require_sound()

    play(postgres, scenario)


def test_who_waits_for_the_review_is_not_the_victim_of_a_deadlock(postgres):
    """Somebody has a twin, not committed yet, and wants a row that the review holds; the review wants the twin."""

    async def scenario(store):
        moving = await store.add_many([f"twin {n}" for n in range(20)], days=10)
        held = await store.add("twin 0", "warm", days=10)

        async def waiting(count):
            while await store.value("SELECT count(*) FROM pg_locks WHERE NOT granted") < count:
                await asyncio.sleep(0.005)

        async with store.database.connection() as other, other.transaction():
            twin = await store.add("twin 19", "cold", days=10)
            await other.execute(
                "UPDATE memories SET tier = 'warm', content = 'twin 19', packed = NULL WHERE id = $1", twin
            )
            await other.execute(
                "INSERT INTO memory_vectors SELECT $1, embedding FROM memory_vectors WHERE id = $2", twin, moving[19]
            )
            async with store.database.connection() as holder, holder.transaction():
                await holder.execute("SELECT FROM memories WHERE id = $1 FOR UPDATE", held)
                review = asyncio.create_task(store.cycle())
                await waiting(1)
                wanted = asyncio.create_task(
                    other.execute("UPDATE memories SET importance_score = 0.9 WHERE id = $1", moving[5])
                )
                await waiting(2)
            await wanted  # PostgreSQL would have chosen this one, which waited first
        stats = await review
        # What was locked at the time may be left for the next review.
        assert stats.merged == 2
        assert stats.demoted in {17, 18}
        assert (await store.row(moving[5]))["importance_score"] == 0.9
        assert await survivor(store.database, moving[19]) == twin
        await store.require_sound()

    play(postgres, scenario)


def test_reviews_beside_creates_updates_deletes_and_reads(postgres):
    """Forty contents, moved and created and changed and deleted at once in all tiers: none is lost or doubled."""
    contents = [f"content {number}" for number in range(40)]
    vectors = dict(zip(contents, EMBEDDER.embed(contents), strict=True))
    seconds = 4.0

    def record(packer, content, tier, days):
        moment = datetime.now(UTC) - timedelta(days=days)
        return NewMemory(
            id=new_id(), content=content, content_hash=hashlib.sha256(content.encode()).digest(), tier=tier,
            importance_score=0.5, metadata='{"n": 1}', parent_id=None, created_at=moment, updated_at=moment,
            expires_at=None, embedding=vectors[content], terms=terms_of(content),
            packed=packer.pack(content) if tier is Tier.COLD else None,
        )  # fmt: skip

    async def scenario(store):
        memories = Memories(store.database, DIMENSION, store.packer, "a" * 16)
        updates = Updates(store.database, EMBEDDER, store.packer, "a" * 16, lambda ids: None)
        end = time.monotonic() + seconds
        known = {content: [] for content in contents}
        deleted, refused = set(), set()
        counts = {"created": 0, "updated": 0, "deleted": 0, "moved": 0, "merged": 0}

        async def create(seed):
            draw = random.Random(seed)
            while time.monotonic() < end:
                chosen = draw.sample(contents[:30], 8)
                group = [record(store.packer, c, draw.choice(list(Tier)), draw.choice([0, 20, 60])) for c in chosen]
                for new, (stored, deduplicated) in zip(group, await memories.insert(group), strict=True):
                    known[new.content].append(stored.id)
                    counts["created"] += not deduplicated
                await asyncio.sleep(0.005)

        async def update(seed):
            draw = random.Random(seed)
            while time.monotonic() < end:
                await asyncio.sleep(0.002)
                ids = known[draw.choice(contents[:30])]
                if ids:
                    change = (
                        Change(tier=draw.choice(list(Tier)))
                        if draw.random() < 0.5
                        else Change(importance_score=draw.random(), metadata='{"m": 2}')
                    )
                    try:
                        await updates.update(draw.choice(ids), change)
                        counts["updated"] += 1
                    except ApiError as error:
                        refused.add(error.code)

        async def delete():
            """Only of contents that nobody else creates any more."""
            for content in contents[30:]:
                await asyncio.sleep(seconds / 20)
                for memory in known[content]:
                    try:
                        await updates.delete(memory)
                        counts["deleted"] += 1
                    except ApiError as error:
                        refused.add(error.code)
                deleted.add(content)

        async def read(seed):
            draw = random.Random(seed)
            while time.monotonic() < end:
                await asyncio.sleep(0.01)
                if ids := known[draw.choice(contents)]:
                    await store.read(draw.choice(ids), draw.choice([1, 6]), datetime.now(UTC))

        async def review():
            manager = store.manager(dwell_days=0.0, working_to_warm_days=0.3 / 86_400, warm_to_cold_days=0.3 / 86_400)
            while time.monotonic() < end:
                stats = await manager.run_cycle()
                counts["moved"] += stats.promoted + stats.demoted + stats.archived
                counts["merged"] += stats.merged

        for content in contents[30:]:
            for tier in Tier:
                known[content].append((await memories.insert([record(store.packer, content, tier, 60)]))[0][0].id)
        await asyncio.gather(
            create(1), create(2), create(3), update(4), update(5), update(6), delete(), read(7), review()
        )

        assert all(count > 0 for count in counts.values()), counts
        assert refused <= {"DUPLICATE_CONTENT", "MEMORY_NOT_FOUND"}
        await store.require_sound()
        for content in contents:
            rows = await store.database.fetch(
                "SELECT tier FROM memories WHERE content_hash = sha256($1::bytea) AND status = 'active'",
                content.encode(),
            )
            assert len({row[0] for row in rows}) == len(rows)
            assert bool(rows) == bool(known[content] and content not in deleted), content
        # Every id that was ever handed out leads to a live memory, and to that content.
        for content in contents[:30]:
            for memory in {*known[content]}:
                found = await updates._statements.find(memory)
                assert found is not None
                assert await store.text(found) == content
                assert await survivor(store.database, memory) == (None if found == memory else found)

    play(postgres, scenario)
