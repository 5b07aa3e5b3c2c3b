"""The index is kept: whatever is stored, changed or missed, what is searched by is the database's."""

import asyncio
import random
from uuid import UUID

import numpy as np

from reference_impl.candidates import keeper as module
from reference_impl.words import terms_in, terms_of
from tests.reference_impl.index_keeper.conftest import eventually, several_rounds


def test_what_is_stored_is_found_at_once(run):
    async def test(world):
        await world.loaded()
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
        await world.loaded()
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
        await world.loaded()
        assert world.found("tea") == {stored[0].id}
        assert world.found("coffee") == {before}
        assert world.rows.looked_up == [{before, stored[0].id}]

    run(test)


def test_what_is_changed_is_doubted_and_then_looked_up(run):
    async def test(world):
        memory_id = await world.store.add("tea")
        await world.loaded()
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
        await world.loaded()
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
        await world.loaded()
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
        await world.loaded()
        await world.delete(first)
        world.keeper.changed([first, UUID(int=5)])
        await world.settled()
        assert world.found("tea") == {second}
        assert world.keeper.size == 1

    run(test)


def test_what_another_process_creates_is_doubted_and_then_looked_up(run):
    async def test(world):
        await world.loaded()
        (new,) = await world.create("tea")
        world.keeper.created([new.id], here=False)
        assert {*world.keeper.doubted} == {new.id}
        await world.settled()
        assert world.found("tea") == {new.id}

    run(test)


def test_what_this_process_creates_and_then_confirms_is_not_looked_up(run, clock):
    async def test(world):
        await world.loaded()
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
        await world.loaded()
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
        await world.loaded()
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
        await world.loaded()
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


def test_after_any_storm_of_changes_it_finds_what_the_database_has(run):
    async def test(world):
        chance = random.Random(1)
        ids = await world.store.add_many([f"tea {number}" for number in range(40)])
        await world.loaded()
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
