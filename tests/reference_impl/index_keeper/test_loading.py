"""Loading the index: all that is there, and anew after a clear at any moment."""

from uuid import UUID

import pytest

from reference_impl.candidates import keeper as module
from reference_impl.candidates.rows import CandidateRows
from reference_impl.words import terms_of
from tests.reference_impl.index_keeper.conftest import eventually


def test_it_loads_what_is_there(run, monkeypatch):
    monkeypatch.setattr(module, "_PAGE", 10)

    async def test(world):
        kept = await world.store.add_many([f"tea number {number}" for number in range(25)])
        cold = await world.store.add("cold tea", tier="cold", metadata='{"a": 1}')
        gone = await world.store.add("tea that is gone")
        await world.delete(gone)
        assert world.keeper.index() is None
        await world.loaded()
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
        await world.loaded()
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


def test_a_clear_makes_it_load_anew(run):
    async def test(world):
        memory_id = await world.store.add("tea")
        await world.loaded()
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
        await world.loaded()
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
        await world.loaded()
        assert world.found("coffee") == {*ids}
        assert world.found("tea") == set()

    run(test)


def test_a_clear_while_something_is_looked_up(run):
    async def test(world):
        memory_id = await world.store.add("tea")
        await world.loaded()

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
