"""The keeper of the index: whatever is stored, changed or missed, what is searched by is the database's."""

import asyncio
import json
import random
import time
from types import SimpleNamespace
from uuid import UUID

import msgspec
import numpy as np
import pytest

from reference_impl.api.validation import Creates
from reference_impl.candidates import keeper as module
from reference_impl.candidates.keeper import IndexKeeper
from reference_impl.candidates.rows import CandidateRows
from reference_impl.errors import database_unavailable
from reference_impl.search_models import Query, Shares
from reference_impl.storage.memories import Memories
from reference_impl.storage.migrations import migrate
from reference_impl.words import terms_in, terms_of
from tests.reference_impl.tier_store import DIMENSION, EMBEDDER, opened

CREATES = Creates(DIMENSION)


class Rows:
    """The database's, counted; `hooks` run one by one after the answer is there and before it is given."""

    def __init__(self, database):
        self._rows = CandidateRows(database)
        self.pages = 0
        self.looked_up = []
        self.on_page = []
        self.on_some = []

    async def page(self, after, limit):
        self.pages += 1
        found = await self._rows.page(after, limit)
        return await self._given(found, self.on_page)

    async def some(self, ids):
        self.looked_up.append({*ids})
        found = await self._rows.some(ids)
        return await self._given(found, self.on_some)

    async def _given(self, found, hooks):
        hook = hooks.pop(0) if hooks else None
        if hook is not None:
            await hook(found)
        return found


class World:
    """A store, its index, and who keeps it."""

    def __init__(self, store, size_max=1_000):
        self.store = store
        self.rows = Rows(store.database)
        self.trusted = True
        self.keeper = IndexKeeper(self.rows, DIMENSION, size_max, lambda: self.trusted)

    async def create(self, *contents, **fields):
        """Commits new memories as this process would, and says nothing of them."""
        bodies = [json.dumps({"content": content, **fields}).encode() for content in contents]
        news = [
            msgspec.structs.replace(
                CREATES.record(body), embedding=EMBEDDER.embed([content])[0], terms=terms_of(content)
            )
            for body, content in zip(bodies, contents, strict=True)
        ]
        await Memories(self.store.database, DIMENSION, self.store.packer, "us").insert(news)
        return news

    async def rewrite(self, memory_id, words):
        await self.store.database.fetch("UPDATE memories SET terms = $2 WHERE id = $1", memory_id, terms_of(words))

    async def delete(self, memory_id):
        await self.store.database.fetch("UPDATE memories SET status = 'deleted' WHERE id = $1", memory_id)

    def found(self, words, **filters):
        """The ids of what has these words, by the index alone; None where it is not to be used."""
        index = self.keeper.index()
        if index is None:
            return None
        query = Query(shares=Shares(text=1.0), limit=10, terms=tuple(terms_in(words)), **filters)
        return {*index.find(query, index.weights(query.terms), 10_000).ids}

    async def settled(self):
        await eventually(lambda: self.keeper.usable and not self.keeper.doubted)


async def eventually(check, seconds=15):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.005)


async def several_rounds():
    await asyncio.sleep(4 * module._PAUSE_SECONDS)


@pytest.fixture(scope="module")
def migrated(database):
    asyncio.run(migrate(database, DIMENSION))
    return database


@pytest.fixture
def run(migrated, monkeypatch):
    """Runs `test(world)` on an empty database, with a keeper that has yet to be started."""
    for name in ("_FAILED_SECONDS", "_BROKEN_SECONDS"):
        monkeypatch.setattr(module, name, 0.05)

    async def scenario(test, options):
        async with opened(migrated) as store:
            await store.database.fetch("TRUNCATE memories, memory_vectors, memory_access")
            world = World(store, **options)
            try:
                await asyncio.wait_for(test(world), 60)
            finally:
                await world.keeper.stop()
            assert not world.keeper.usable
            assert world.keeper.index() is None
            assert world.keeper.size == 0

    return lambda test, **options: asyncio.run(scenario(test, options))


def test_it_loads_what_is_there(run, monkeypatch):
    monkeypatch.setattr(module, "_PAGE", 10)

    async def test(world):
        kept = await world.store.add_many([f"tea number {number}" for number in range(25)])
        cold = await world.store.add("cold tea", tier="cold", metadata='{"a": 1}')
        gone = await world.store.add("tea that is gone")
        await world.delete(gone)
        assert world.keeper.index() is None
        world.keeper.start()
        await world.settled()
        assert world.keeper.size == 26
        assert world.found("tea") == {*kept, cold}
        assert world.found("number") == {*kept}
        assert world.found("tea", metadata='{"a": 1}') == {cold}
        assert world.rows.pages == 4
        assert world.rows.looked_up == []

    run(test)


def test_what_has_no_words_yet_is_loaded_too(run):
    async def test(world):
        memory_id = await world.store.add("from before there were words")
        await world.store.database.fetch("UPDATE memories SET terms = NULL")
        world.keeper.start()
        await world.settled()
        assert memory_id in world.keeper.index()
        assert world.found("words") == set()

    run(test)


def test_an_entry_is_the_same_from_the_database_as_from_the_process(run):
    async def test(world):
        news = await world.create("one tea", "two teas", tier="warm", importance_score=0.1)
        far = {"expires_at": "2999-12-31T23:59:59.123456Z", "created_at": "0001-01-02T00:00:00.000001Z"}
        news += await world.create("a third", **far)
        loaded = {entry.id: entry for entry in await CandidateRows(world.store.database).page(UUID(int=0), 10)}
        assert loaded == {entry.id: entry for entry in module.entries_of(news)}
        assert len(loaded) == 3

    run(test)


def test_what_is_stored_is_found_at_once(run):
    async def test(world):
        world.keeper.start()
        await world.settled()
        for number in range(3):
            news = await world.create(f"tea {number} of this", f"coffee {number} of this")
            world.keeper.stored(news)
            assert news[0].id in world.found("tea")
            assert len(world.found("tea")) == number + 1
        assert world.keeper.size == 6
        await several_rounds()
        assert world.keeper.size == 6
        assert world.rows.looked_up == []

    run(test)


def test_what_is_stored_is_taken_in_without_a_search(run):
    async def test(world):
        world.keeper.start()
        await world.settled()
        world.keeper.stored(await world.create("tea"))
        await eventually(lambda: world.keeper.size == 1)
        world.keeper.stored(await world.create("more tea"))
        await eventually(lambda: world.keeper.size == 2)

    run(test)


def test_what_is_stored_or_changed_while_it_loads_is_looked_up(run):
    async def test(world):
        before = await world.store.add("tea that changes")
        stored = []

        async def meanwhile(_found):
            stored.extend(await world.create("tea of this process"))
            world.keeper.stored(stored)
            world.keeper.created([stored[0].id], here=True)
            await world.rewrite(before, "coffee")
            world.keeper.changed([before])

        world.rows.on_page = [meanwhile]
        world.keeper.start()
        await world.settled()
        assert world.found("tea") == {stored[0].id}
        assert world.found("coffee") == {before}
        assert world.rows.looked_up == [{before, stored[0].id}]

    run(test)


def test_what_is_changed_is_doubted_and_then_looked_up(run):
    async def test(world):
        memory_id = await world.store.add("tea")
        world.keeper.start()
        await world.settled()
        await world.rewrite(memory_id, "coffee")
        assert world.found("tea") == {memory_id}
        world.keeper.changed([memory_id])
        assert {*world.keeper.doubted} == {memory_id}
        # Who searches ranks those in doubt too.
        assert world.found("tea") == {memory_id}
        await world.settled()
        assert world.found("tea") == set()
        assert world.found("coffee") == {memory_id}
        assert world.rows.looked_up == [{memory_id}]

    run(test)


def test_what_changes_again_while_it_is_looked_up_stays_in_doubt(run):
    async def test(world):
        memory_id, other = await world.store.add_many(["tea", "more tea"])
        world.keeper.start()
        await world.settled()
        doubted = []

        async def meanwhile(_found):
            await world.rewrite(memory_id, "coffee")
            world.keeper.changed([memory_id])

        async def again(_found):
            doubted.extend(world.keeper.doubted)

        world.rows.on_some = [meanwhile, again]
        world.keeper.changed([memory_id, other])
        await world.settled()
        assert doubted == [memory_id]
        assert world.found("coffee") == {memory_id}
        assert world.rows.looked_up == [{memory_id, other}, {memory_id}]

    run(test)


def test_many_in_doubt_are_looked_up_a_part_at_a_time(run, monkeypatch):
    monkeypatch.setattr(module, "_PAGE", 10)

    async def test(world):
        ids = await world.store.add_many([f"tea {number}" for number in range(25)])
        world.keeper.start()
        await world.settled()
        await world.store.database.fetch("UPDATE memories SET terms = $1", terms_of("coffee"))
        world.keeper.changed(ids)
        await world.settled()
        assert world.found("coffee") == {*ids}
        assert world.found("tea") == set()
        assert [len(part) for part in world.rows.looked_up] == [10, 10, 5]
        assert set().union(*world.rows.looked_up) == {*ids}

    run(test)


def test_what_is_deleted_vanishes(run):
    async def test(world):
        first, second = await world.store.add_many(["tea", "more tea"])
        world.keeper.start()
        await world.settled()
        await world.delete(first)
        world.keeper.changed([first, UUID(int=5)])
        await world.settled()
        assert world.found("tea") == {second}
        assert world.keeper.size == 1

    run(test)


def test_what_another_process_creates_is_doubted_and_then_looked_up(run):
    async def test(world):
        world.keeper.start()
        await world.settled()
        (new,) = await world.create("tea")
        world.keeper.created([new.id], here=False)
        assert {*world.keeper.doubted} == {new.id}
        await world.settled()
        assert world.found("tea") == {new.id}

    run(test)


@pytest.fixture
def clock(monkeypatch):
    """The keeper's own; it stands still until it is set on: `clock.now += seconds`."""
    clock = SimpleNamespace(now=1_000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_what_this_process_creates_and_then_confirms_is_not_looked_up(run, clock):
    async def test(world):
        world.keeper.start()
        await world.settled()
        (first,) = await world.create("tea heard of before it is said")
        world.keeper.created([first.id], here=True)
        world.keeper.stored([first])
        (second,) = await world.create("tea heard of after it is said")
        world.keeper.stored([second])
        world.keeper.created([second.id], here=True)
        clock.now += 2 * module._OVERDUE_SECONDS
        await several_rounds()
        assert world.found("tea") == {first.id, second.id}
        assert world.rows.looked_up == []
        assert not world.keeper._announced

    run(test)


def test_what_this_process_creates_and_never_confirms_is_looked_up_once_overdue(run, clock):
    async def test(world):
        world.keeper.start()
        await world.settled()
        # All is quiet: nothing else wakes the keeper.
        await several_rounds()
        (new,) = await world.create("tea whose commit was not answered")
        absent = UUID(int=7)  # a commit that was refused, say
        world.keeper.created([new.id, absent], here=True)
        await several_rounds()
        assert world.rows.looked_up == []
        clock.now += 2 * module._OVERDUE_SECONDS
        await eventually(lambda: world.found("tea") == {new.id}, 3)
        await world.settled()
        assert world.rows.looked_up == [{new.id, absent}]

    run(test)


def test_once_one_is_overdue_those_that_are_not_yet_can_still_be_confirmed(run, clock):
    async def test(world):
        world.keeper.start()
        await world.settled()
        lost, late = await world.create("lost tea", "late tea")
        world.keeper.created([lost.id], here=True)
        clock.now += 0.6 * module._OVERDUE_SECONDS
        world.keeper.created([late.id], here=True)
        clock.now += 0.6 * module._OVERDUE_SECONDS
        world.keeper.stored(await world.create("coffee"))
        await eventually(lambda: world.found("tea") == {lost.id})
        world.keeper.stored([late])
        clock.now += module._OVERDUE_SECONDS
        await several_rounds()
        assert world.found("tea") == {lost.id, late.id}
        assert world.rows.looked_up == [{lost.id}]

    run(test)


def test_what_was_looked_up_before_its_creator_says_so_stays_as_it_was_looked_up(run):
    """The answer to the commit is slow, and another process has changed the memory meanwhile."""

    async def test(world):
        world.keeper.start()
        await world.settled()
        (new,) = await world.create("tea")
        world.keeper.created([new.id], here=True)
        await world.rewrite(new.id, "coffee")
        world.keeper.changed([new.id])
        await world.settled()
        assert world.found("coffee") == {new.id}
        world.keeper.stored([new])
        await several_rounds()
        await world.settled()
        assert world.found("tea") == set()
        assert world.found("coffee") == {new.id}

    run(test)


def test_a_clear_makes_it_load_anew(run):
    async def test(world):
        memory_id = await world.store.add("tea")
        world.keeper.start()
        await world.settled()
        # Nobody says so.
        await world.rewrite(memory_id, "coffee")
        (new,) = await world.create("more coffee")
        world.keeper.clear()
        assert world.keeper.index() is None
        assert world.keeper.size == 0
        await world.settled()
        assert world.found("coffee") == {memory_id, new.id}
        assert world.found("tea") == set()
        assert world.rows.looked_up == []

    run(test)


def test_what_was_stored_just_before_a_clear_is_loaded(run):
    async def test(world):
        world.keeper.start()
        await world.settled()
        news = await world.create("tea")
        world.keeper.stored(news)
        world.keeper.changed([news[0].id])
        world.keeper.clear()
        assert not world.keeper.doubted
        await world.settled()
        assert world.found("tea") == {news[0].id}
        assert world.keeper.size == 1

    run(test)


@pytest.mark.parametrize("page", range(4), ids=["first page", "second page", "third page", "the empty page at the end"])
def test_a_clear_while_it_loads_makes_it_load_anew(run, monkeypatch, page):
    monkeypatch.setattr(module, "_PAGE", 5)

    async def test(world):
        ids = await world.store.add_many([f"tea {number}" for number in range(15)])

        async def meanwhile(_found):
            # It is not said of which, as when the connection over which it would be said is lost.
            await world.store.database.fetch("UPDATE memories SET terms = $1", terms_of("coffee"))
            world.keeper.clear()

        world.rows.on_page = [None] * page + [meanwhile]
        world.keeper.start()
        await world.settled()
        assert world.found("coffee") == {*ids}
        assert world.found("tea") == set()

    run(test)


def test_a_clear_while_something_is_looked_up(run):
    async def test(world):
        memory_id = await world.store.add("tea")
        world.keeper.start()
        await world.settled()

        async def meanwhile(_found):
            await world.rewrite(memory_id, "coffee")
            world.keeper.clear()

        world.rows.on_some = [meanwhile]
        world.keeper.changed([memory_id])
        await eventually(lambda: world.rows.pages > 2)
        await world.settled()
        assert world.found("coffee") == {memory_id}
        assert world.rows.pages == 4  # one full and one empty, twice

    run(test)


def test_it_is_not_used_while_changes_may_go_unheard(run, monkeypatch):
    monkeypatch.setattr(module, "_UNTRUSTED_SECONDS", 0.01)

    async def test(world):
        memory_id = await world.store.add("tea")
        world.trusted = False
        world.keeper.start()
        await asyncio.sleep(0.2)
        assert world.rows.pages == 0
        assert not world.keeper.usable
        world.trusted = True
        await world.settled()
        assert world.found("tea") == {memory_id}
        world.trusted = False
        assert not world.keeper.usable
        assert world.keeper.index() is None
        assert world.keeper.size == 1
        world.trusted = True
        assert world.found("tea") == {memory_id}

    run(test)


def test_too_many_memories_turn_it_off_for_good(run, monkeypatch):
    monkeypatch.setattr(module, "_PAGE", 2)

    async def test(world):
        ids = await world.store.add_many([f"tea {number}" for number in range(9)])
        world.keeper.start()
        await eventually(world.keeper._task.done)
        assert world.rows.pages == 3  # it does not even read the rest
        await off(world, ids[0])

    run(test, size_max=5)


def test_as_many_as_are_allowed_are_not_too_many(run):
    async def test(world):
        await world.store.add_many([f"tea {number}" for number in range(4)])
        world.keeper.start()
        await world.settled()
        world.keeper.stored(await world.create("the fifth"))
        assert world.keeper.index() is not None
        assert world.keeper.size == 5
        world.keeper.stored(await world.create("the sixth"))
        assert world.keeper.index() is None
        await off(world, UUID(int=1))

    run(test, size_max=5)


def test_too_many_by_what_others_create_turn_it_off(run):
    async def test(world):
        ids = await world.store.add_many([f"tea {number}" for number in range(5)])
        world.keeper.start()
        await world.settled()
        (new,) = await world.create("the sixth")
        world.keeper.created([new.id], here=False)
        await eventually(lambda: world.keeper.size == 0)
        await off(world, ids[0])

    run(test, size_max=5)


def test_it_can_be_turned_off_from_the_start(run):
    async def test(world):
        memory_id = await world.store.add("tea")
        world.keeper.start()
        await off(world, memory_id)
        assert world.rows.pages == 0

    run(test, size_max=0)


async def off(world, memory_id):
    """Whatever happens, there is no index, and nothing is kept or asked for one."""
    keeper, asked = world.keeper, (world.rows.pages, len(world.rows.looked_up))
    keeper.stored(await world.create(f"stored beside {memory_id}"))
    keeper.changed([memory_id])
    keeper.created([memory_id], here=True)
    keeper.created([memory_id], here=False)
    keeper.clear()
    keeper.changed([memory_id])
    await several_rounds()
    assert keeper.index() is None
    assert not keeper.usable
    assert keeper.size == 0
    assert not keeper.doubted
    assert (world.rows.pages, len(world.rows.looked_up)) == asked


def test_with_too_many_in_doubt_it_is_not_used_until_they_are_looked_up(run, monkeypatch):
    monkeypatch.setattr(module, "_DOUBTED_MAX", 3)

    async def test(world):
        ids = await world.store.add_many([f"tea {number}" for number in range(5)])
        world.keeper.start()
        await world.settled()
        usable = []

        async def meanwhile(_found):
            usable.append(world.keeper.usable)

        world.rows.on_some = [meanwhile]
        world.keeper.changed(ids[:3])
        assert world.keeper.index() is not None
        world.keeper.changed(ids)
        assert not world.keeper.usable
        assert world.keeper.index() is None
        await world.settled()
        assert world.found("tea") == {*ids}
        assert usable == [False]

    run(test)


def test_a_database_that_is_away_is_asked_again(run):
    async def test(world):
        memory_id = await world.store.add("tea")

        async def away(_found):
            raise database_unavailable("it is away")

        world.rows.on_page = [away, None, away]
        world.keeper.start()
        await world.settled()
        assert world.found("tea") == {memory_id}
        world.rows.on_some = [away, away]
        await world.rewrite(memory_id, "coffee")
        world.keeper.changed([memory_id])
        await eventually(lambda: len(world.rows.looked_up) > 1)
        await world.settled()
        assert world.found("coffee") == {memory_id}
        assert world.rows.looked_up == [{memory_id}] * 3

    run(test)


def test_what_goes_wrong_makes_it_load_anew(run, monkeypatch):
    monkeypatch.setattr(module, "_BROKEN_SECONDS", 0.05)

    async def test(world):
        memory_id = await world.store.add("tea")

        async def broken(_found):
            raise RuntimeError("nobody knows why")

        world.rows.on_page, world.rows.on_some = [broken], [broken]
        world.keeper.start()
        await world.settled()
        await world.rewrite(memory_id, "coffee")
        world.keeper.changed([memory_id])
        await eventually(lambda: world.keeper.index() is None)
        await world.settled()
        assert world.found("coffee") == {memory_id}
        assert world.rows.looked_up == [{memory_id}]

    run(test)


def test_with_more_dead_than_living_it_is_loaded_anew(run, monkeypatch):
    monkeypatch.setattr(module, "_DEAD_MIN", 10)

    async def test(world):
        ids = await world.store.add_many([f"tea {number}" for number in range(4)])
        world.keeper.start()
        await world.settled()
        pages = world.rows.pages
        for number in range(3):
            await world.store.database.fetch("UPDATE memories SET terms = $1", terms_of(f"coffee {number}"))
            world.keeper.changed(ids)
            await eventually(lambda: not world.keeper.doubted)
        await world.settled()
        assert world.rows.pages > pages
        assert world.keeper.index().dead == 0
        assert world.found("coffee") == {*ids}

    run(test)


def test_a_new_tier_or_importance_leaves_nothing_dead(run):
    async def test(world):
        memory_id = await world.store.add("tea", metadata='{"a": [1, {"b": 2}]}')
        world.keeper.start()
        await world.settled()
        await world.store.database.fetch("UPDATE memories SET importance_score = 1, tier = 'warm'")
        world.keeper.changed([memory_id])
        await world.settled()
        assert world.keeper.index().dead == 0
        assert world.found("tea", importance_from=0.9) == {memory_id}

    run(test)


def test_a_move_of_what_this_process_stored_leaves_nothing_dead_either(run):
    async def test(world):
        world.keeper.start()
        await world.settled()
        # The database writes it in another way, and in another order.
        news = await world.create("tea", metadata={"second": 2.0, "a": [1, {"b": 2}], "e": 1e22})
        world.keeper.stored(news)
        assert world.found("tea") == {news[0].id}
        await world.store.database.fetch("UPDATE memories SET importance_score = 1, tier = 'warm'")
        world.keeper.changed([news[0].id])
        await world.settled()
        assert world.keeper.index().dead == 0
        assert world.found("tea", importance_from=0.9, metadata='{"e": 1e22, "second": 2}') == {news[0].id}

    run(test)


def test_what_cannot_be_taken_in_takes_nothing_else_with_it(run):
    async def test(world):
        world.keeper.start()
        await world.settled()
        news = await world.create("tea", "more tea", "most tea")
        # Of as many digits Python makes no number. So deep a nesting as the stack has no room for does the same.
        refused = msgspec.structs.replace(news[1], metadata='{"a": 1%s}' % ("0" * 5_000))
        world.keeper.stored([news[0], refused, news[2]])
        world.keeper.index()
        await eventually(lambda: world.found("tea") == {new.id for new in news}, 5)

    run(test)


def test_it_stops_in_the_middle_of_loading(run):
    async def test(world):
        await world.store.add("tea")
        reached = asyncio.Event()

        async def hang(_found):
            reached.set()
            await asyncio.sleep(60)

        world.rows.on_page = [hang]
        world.keeper.start()
        await reached.wait()

    run(test)


def test_after_any_storm_of_changes_it_finds_what_the_database_has(run):
    async def test(world):
        chance = random.Random(1)
        ids = await world.store.add_many([f"tea {number}" for number in range(40)])
        world.keeper.start()
        await world.settled()
        for number in range(150):
            kind, memory_id = chance.random(), chance.choice(ids)
            if kind < 0.3:
                news = await world.create(f"tea of the storm {number}")
                here = chance.random() < 0.5
                if here:
                    world.keeper.stored(news)
                world.keeper.created([news[0].id], here=here)
                ids.append(news[0].id)
            elif kind < 0.4:
                await world.delete(memory_id)
                world.keeper.changed([memory_id])
            elif kind < 0.97:
                await world.rewrite(memory_id, chance.choice(["tea", "coffee", "bread"]))
                world.keeper.changed([memory_id])
            else:
                world.keeper.clear()
            if kind > 0.9:
                await asyncio.sleep(0.02)
        await world.settled()
        for word in ("tea", "coffee", "bread"):
            rows = await world.store.database.fetch("SELECT id, terms FROM memories WHERE status = 'active'")
            held = np.array(terms_in(word)) - 1
            truth = {row[0] for row in rows if held[0] in np.frombuffer(row[1], ">i4", (len(row[1]) - 12) // 8, 12)}
            assert world.found(word) == truth
            assert truth

    run(test)
