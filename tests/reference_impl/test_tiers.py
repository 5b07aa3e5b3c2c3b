"""Memories move between tiers by the rules, never back and forth, and say the same wherever they are."""

import asyncio
import contextlib
import itertools
import random
from datetime import timedelta
from uuid import uuid4

import pytest

from reference_impl.errors import ApiError
from tests.reference_impl.tier_store import EMBEDDER, NOW, ago, cosine, play


def test_idle_working_memories_turn_warm(postgres):
    async def scenario(store):
        never_read = await store.add("never read", days=8)
        read_long_ago = await store.add("read long ago", days=30)
        await store.read(read_long_ago, 100, ago(7.5))
        fresh = await store.add("fresh", days=6)
        just_read = await store.add("old but just read", days=300)
        await store.read(just_read, 1, ago(6))
        # Imported with an old date: its time in the tier counts, too.
        imported = await store.add("imported", days=300, tier_since=ago(6))
        before = await store.row(never_read)

        stats = await store.cycle()
        assert (stats.demoted, stats.archived, stats.promoted, stats.merged) == (2, 0, 0, 0)
        assert stats.duration_ms > 0
        found = [await store.tier(m) for m in (never_read, read_long_ago, fresh, just_read, imported)]
        assert found == ["warm", "warm", "working", "working", "working"]
        assert await store.history(never_read) == [("working", "warm", "idle", None)]
        after = await store.row(never_read)
        assert after["tier_since"] == NOW
        assert (await store.row(read_long_ago))["tier_accesses"] == 100
        # A move is no edit.
        for column in ("content", "updated_at", "created_at", "indexed", "code", "terms", "embedding", "metadata"):
            assert after[column] == before[column], column
        assert sorted(itertools.chain(*store.changed)) == sorted([never_read, read_long_ago])
        assert store.moves == [("Working", "Warm", 2)]

    play(postgres, scenario)


TEXTS = ["Ada prefers tea", "\U0001f9e0 \r\n\t" * 700, "naïve café", "x" * 100_000, "語" * 5_000]


def test_texts_survive_the_cold_tier_byte_for_byte(postgres):
    async def scenario(store):
        ids = [await store.add(text, "warm", days=31) for text in TEXTS]
        own = await store.add("came with an embedding", "warm", days=31, own_embedding=True)
        before = [await store.row(m) for m in ids]
        assert (await store.cycle()).archived == len(TEXTS) + 1
        for memory, text, row in zip(ids, TEXTS, before, strict=True):
            cold = await store.row(memory)
            assert (cold["tier"], cold["content"], cold["embedding"]) == ("cold", None, None)
            assert (cold["code"], cold["terms"], cold["indexed"]) == (row["code"], row["terms"], row["indexed"])
            assert cold["updated_at"] == row["updated_at"]
            assert await store.text(memory) == text
        later = NOW + timedelta(days=2)
        for memory in (*ids, own):
            await store.read(memory, 5, later)
        assert (await store.cycle(later)).promoted == len(TEXTS) + 1
        for memory, text in zip(ids, TEXTS, strict=True):
            warm = await store.row(memory)
            assert (warm["tier"], warm["content"], warm["packed"]) == ("warm", text, None)
            assert cosine(warm["embedding"], EMBEDDER.embed([text])[0]) > 0.999
            assert [move[:3] for move in await store.history(memory)] == [
                ("warm", "cold", "idle"),
                ("cold", "warm", "read"),
            ]
        # What a caller gave cannot be made again.
        assert (await store.row(own))["embedding"] is None
        assert await store.text(own) == "came with an embedding"
        await store.require_sound()

    play(postgres, scenario)


def test_reads_and_importance_promote_one_tier_at_a_time(postgres):
    async def scenario(store):
        read = await store.add("read", "cold", days=50)
        important = await store.add("important", "cold", days=50, importance_score=0.81)
        unread = await store.add("important, unread", "cold", days=50, importance_score=1.0)
        border = await store.add("not above the threshold", "cold", days=50, importance_score=0.8)
        seldom = await store.add("read four times", "cold", days=50)
        stale = await store.add("read long ago", "cold", days=50)
        before_the_move = await store.add("read while it was warm", "cold", days=50, tier_accesses=96)
        recent = await store.add("moved an hour ago", "cold", days=50, tier_since=ago(1 / 24))
        await store.read(read, 5)
        await store.read(important, 1)
        await store.read(border, 4)
        await store.read(seldom, 4)
        await store.read(stale, 50, ago(8))
        await store.read(before_the_move, 100)
        await store.read(recent, 5)

        assert (await store.cycle()).promoted == 2
        assert [await store.tier(m) for m in (read, important)] == ["warm", "warm"]
        for memory in (unread, border, seldom, stale, before_the_move, recent):
            assert await store.tier(memory) == "cold"
        assert (await store.history(important))[0][2] == "important"
        # Nobody else is looked at again until it is read, but who only has to wait.
        assert [row[0] for row in await store.database.fetch("SELECT id FROM tier_candidates")] == [recent]

        # At once it does not move on: it has to be read again where it is.
        assert (await store.cycle()).promoted == 0
        later = NOW + timedelta(days=1)
        assert (await store.cycle(later)).promoted == 1
        assert await store.tier(recent) == "warm"
        for memory in (read, important):
            await store.read(memory, 1, later)
        assert (await store.cycle(later)).promoted == 1
        assert [await store.tier(m) for m in (read, important)] == ["warm", "working"]
        # The fifth read of the one that was read four times before.
        await store.read(seldom, 1, later)
        assert (await store.cycle(later)).promoted == 1

    play(postgres, scenario)


def test_no_transaction_exceeds_the_batch_and_none_is_left_behind(postgres):
    async def scenario(store):
        ids = await store.add_many([f"idle {number}" for number in range(95)], days=10)
        # All created at one moment: pages must not lose the ones that share their last row's time.
        stats = await store.cycle(batch=10)
        assert (stats.demoted, stats.batches) == (95, 10)
        await store.database.fetch("UPDATE memories SET created_at = $1, tier_since = $1", ago(40))
        assert (await store.cycle(batch=10)).archived == 95
        for memory in ids:
            await store.read(memory, 5, NOW + timedelta(days=2))
        assert (await store.cycle(NOW + timedelta(days=2), batch=10)).promoted == 95
        sizes = await store.database.fetch("SELECT count(*) FROM tier_moves GROUP BY xmin::text")
        assert max(row[0] for row in sizes) == 10
        assert sum(row[0] for row in sizes) == 3 * 95
        assert all(len(ids) <= 10 for ids in store.changed)

    play(postgres, scenario)


def test_nothing_moves_back_and_forth(postgres):
    draw = random.Random(3)
    habits = {
        "never": lambda day: 0,
        "daily": lambda day: 1,
        "six a day": lambda day: 6,
        "weekly": lambda day: 6 * (day % 7 == 0),
        "every tenth day": lambda day: 20 * (day % 10 == 0),
        "monthly": lambda day: 5 * (day % 31 == 0),
        "at whim": lambda day: draw.choice([0, 0, 0, 0, 1, 9]),
        "only at first": lambda day: 9 * (day < 3),
    }

    async def scenario(store):
        tiers = ("working", "warm", "cold")
        memories = [
            (await store.add(f"{habit} {tier} {importance}", tier, importance_score=importance), habit)
            for habit in habits
            for tier in tiers
            for importance in (0.1, 0.95)
        ]
        reads = {memory: [] for memory, _ in memories}
        for day in range(160):
            now = NOW + timedelta(days=day)
            for memory, habit in memories:
                if times := habits[habit](day):
                    await store.read(memory, times, now)
                    reads[memory] += [now] * times
            await store.cycle(now)
            if day % 50 == 0:  # over and over at one moment: nothing more to do
                stats = [await store.cycle(now) for _ in range(2)]
                assert all(s.promoted == s.demoted == s.archived == s.merged == 0 for s in stats)
        order = {tier: rank for rank, tier in enumerate(tiers)}
        for memory, habit in memories:
            moves = await store.database.fetch(
                "SELECT from_tier::text, to_tier::text, moved_at FROM tier_moves WHERE memory_id = $1 ORDER BY number",
                memory,
            )
            came = NOW
            for source, target, at in moves:
                up = order[target] < order[source]
                assert abs(order[target] - order[source]) == 1
                assert at - came >= timedelta(days=1)
                since = [read for read in reads[memory] if came < read <= at]
                if up:
                    assert since
                    assert at - since[-1] < timedelta(days=7)
                else:
                    assert not since or at - since[-1] >= timedelta(days=7)
                came = at
            if habit == "never":
                assert [move[:2] for move in moves] in ([("working", "warm"), ("warm", "cold")], [("warm", "cold")], [])
            if habit == "six a day":
                assert await store.tier(memory) == "working"
                assert all(order[target] < order[source] for source, target, _ in moves)
        await store.require_sound()

    play(postgres, scenario)


def test_expired_and_deleted_memories_are_cleared_away(postgres):
    async def scenario(store):
        expired = await store.add("expired", days=1, expires_at=ago(0.1))
        alive = await store.add("alive", days=1, expires_at=NOW + timedelta(days=1))
        deleted = await store.add("deleted", days=40)
        child = await store.add("child", parent_id=deleted)
        await store.read(deleted, 3)
        await store.database.fetch(
            "UPDATE memories SET status = 'deleted', updated_at = $2 WHERE id = $1", deleted, ago(31)
        )
        await store.database.fetch(
            "INSERT INTO tier_moves (memory_id, from_tier, to_tier, reason, moved_at)"
            " VALUES ($1, 'working', 'warm', 'idle', $2), ($1, 'warm', 'cold', 'idle', $3)",
            deleted, ago(91), ago(89),
        )  # fmt: skip
        stats = await store.cycle(batch=1)
        assert (stats.expired, stats.purged, stats.demoted) == (1, 1, 0)
        assert [await store.tier(m) for m in (expired, alive)] == ["deleted", "working"]
        assert await store.row(deleted) is None
        for table in ("memory_vectors", "memory_access", "tier_candidates"):
            assert await store.value(f"SELECT count(*) FROM {table} WHERE id = $1", deleted) == 0
        assert (await store.row(child))["parent_id"] is None
        assert set(itertools.chain(*store.changed)) == {expired, child}
        assert await store.history(deleted) == [("warm", "cold", "idle", None)]

    play(postgres, scenario)


def test_one_review_at_a_time_and_the_lock_comes_back(postgres):
    async def scenario(store):
        await store.add_many([f"idle {n}" for n in range(40)], days=10)
        outcomes = await asyncio.gather(*(store.cycle(batch=5) for _ in range(4)), return_exceptions=True)
        refused = [error for error in outcomes if isinstance(error, ApiError)]
        assert len(refused) == 3
        assert all((error.status, error.code) == (409, "TIER_REVIEW_RUNNING") for error in refused)
        assert sum(stats.demoted for stats in outcomes if not isinstance(stats, ApiError)) == 40
        for _ in range(15):  # on whichever connection
            await store.cycle()

        def fail(_ids):
            raise RuntimeError("no")

        await store.add("idle", days=10)
        with pytest.raises(RuntimeError):
            await store.manager(changed=fail).run_cycle(NOW)
        assert (await store.cycle()).demoted == 0  # it had been committed
        assert await store.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0

    play(postgres, scenario)


class Falters:
    """An embedder that fails after some calls."""

    def __init__(self, calls):
        self.dimension = EMBEDDER.dimension
        self.calls = calls

    def embed(self, texts):
        self.calls -= 1
        if self.calls < 0:
            raise RuntimeError("no more")
        return EMBEDDER.embed(texts)


def test_a_review_cut_off_leaves_valid_tiers_and_the_next_goes_on(postgres):
    async def scenario(store):
        cold = [await store.add(f"cold {n}", "cold", days=50) for n in range(30)]
        idle = await store.add_many([f"idle {n}" for n in range(300)], days=10)
        for memory in cold:
            await store.read(memory, 5)
        with pytest.raises(RuntimeError, match="no more"):
            await store.manager(embedder=Falters(2), batch=10).run_cycle(NOW)
        assert [await store.tier(m) for m in cold].count("warm") == 20
        await store.require_sound()

        # The server ends the connection while the review uses it.
        async def kill(_ids):
            await store.database.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            )

        killed = []
        manager = store.manager(changed=lambda ids: killed.append(asyncio.ensure_future(kill(ids))), batch=10)
        with pytest.raises(ApiError) as error:
            await manager.run_cycle(NOW)
        assert error.value.status == 503
        await asyncio.gather(*killed)
        await store.require_sound()

        # Told to stop in the middle.
        task = asyncio.create_task(store.manager(batch=10).run_cycle(NOW))
        while not task.done() and await store.value("SELECT count(*) FROM tier_moves WHERE reason = 'idle'") < 100:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await store.require_sound()
        assert await store.value("SELECT count(*) FROM memories WHERE tier = 'working'") > 0

        await store.cycle()
        assert {await store.tier(m) for m in cold + idle} == {"warm"}
        assert await store.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0

    play(postgres, scenario)


def test_a_memory_that_changes_while_its_move_is_prepared_is_left_alone(postgres):
    async def scenario(store):
        edited, deleted, held = [await store.add(name, "warm", days=40) for name in ("edited", "deleted", "held")]
        prepared, go_on = asyncio.Event(), asyncio.Event()

        class Meanwhile:
            """Packs as ever, but lets others change things before the result is used."""

            newest = None
            tried = 0

            def __getattr__(self, name):
                return getattr(store.packer, name)

            def pack_many(self, texts):
                loop.call_soon_threadsafe(prepared.set)
                asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
                return store.packer.pack_many(texts)

        loop = asyncio.get_running_loop()
        manager = store.manager()
        manager._packer = Meanwhile()
        review = asyncio.create_task(manager.run_cycle(NOW))
        await prepared.wait()
        await store.database.fetch(
            "UPDATE memories SET content = 'rewritten', content_hash = sha256('rewritten') WHERE id = $1", edited
        )
        await store.database.fetch(
            "UPDATE memories SET status = 'deleted', updated_at = $2 WHERE id = $1", deleted, NOW
        )
        async with store.database.connection() as connection, connection.transaction():
            await connection.fetch("SELECT FROM memories WHERE id = $1 FOR UPDATE", held)
            go_on.set()
            stats = await asyncio.wait_for(review, 10)  # waits for nobody
        assert stats.archived == 0
        assert [await store.tier(m) for m in (edited, deleted, held)] == ["warm", "deleted", "warm"]
        assert await store.text(edited) == "rewritten"
        assert (await store.cycle()).archived == 2
        await store.require_sound()

    play(postgres, scenario)


def test_damaged_content_holds_up_nobody(postgres):
    async def scenario(store):
        good, bad = await store.add("good", "cold", days=50), await store.add("bad", "cold", days=50)
        await store.database.fetch("UPDATE memories SET packed = packed || '\\x00' WHERE id = $1", bad)
        for memory in (good, bad):
            await store.read(memory, 5)
        assert (await store.cycle()).promoted == 1
        assert [await store.tier(m) for m in (good, bad)] == ["warm", "cold"]

    play(postgres, scenario)


def test_candidates_that_are_no_memories_any_more_are_dropped(postgres):
    async def scenario(store):
        working = await store.add("working")
        await store.database.fetch("INSERT INTO tier_candidates VALUES ($1), ($2)", working, uuid4())
        await store.cycle()
        assert await store.value("SELECT count(*) FROM tier_candidates") == 0

    play(postgres, scenario)


def test_reviews_use_indexes_only(postgres):
    async def scenario(store):
        for tier, count in (("working", 4_000), ("warm", 4_000), ("cold", 400)):
            for start in range(0, count, 1_000):
                texts = [f"{tier} {number}" for number in range(start, min(start + 1_000, count))]
                await store.add_many(texts, tier, days=50 - start / 1_000)
        await store.database.fetch("VACUUM ANALYZE memories")
        await store.database.fetch("VACUUM ANALYZE memory_vectors")

        async def scans():
            """By all connections that the pool has used."""
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(12):
                    connection = await stack.enter_async_context(store.database.connection())
                    await connection.execute("SELECT pg_stat_force_next_flush()")
            sql = "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname IN ('memories', 'memory_vectors')"
            return dict(await store.database.fetch(sql))

        before = await scans()
        stats = await store.cycle(working_to_warm_days=49.5, warm_to_cold_days=49.5)
        assert (stats.demoted, stats.archived) == (1_000, 1_000)
        assert await scans() == before

    play(postgres, scenario)
