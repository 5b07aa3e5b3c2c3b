"""When there is no index, or less of one: too many, unheard changes, failures, too many dead."""

import asyncio
from uuid import UUID

import msgspec

from reference_impl.candidates import keeper as module
from reference_impl.errors import database_unavailable
from reference_impl.words import terms_of
from tests.reference_impl.index_keeper.conftest import eventually, several_rounds


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
        await world.loaded()
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
        await world.loaded()
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
        await world.loaded()
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
        await world.loaded()
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
        await world.loaded()
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
        await world.loaded()
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
        await world.loaded()
        await world.store.database.fetch("UPDATE memories SET importance_score = 1, tier = 'warm'")
        world.keeper.changed([memory_id])
        await world.settled()
        assert world.keeper.index().dead == 0
        assert world.found("tea", importance_from=0.9) == {memory_id}

    run(test)


def test_a_move_of_what_this_process_stored_leaves_nothing_dead_either(run):
    async def test(world):
        await world.loaded()
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
        await world.loaded()
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
