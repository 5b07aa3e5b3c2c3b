"""The keeper of the index in a world of its own: a store, and the database's answers counted."""

import asyncio
import json
import time
from types import SimpleNamespace

import msgspec
import pytest

from reference_impl.api.validation import Creates
from reference_impl.candidates import keeper as module
from reference_impl.candidates.keeper import IndexKeeper
from reference_impl.candidates.rows import CandidateRows
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

    async def loaded(self):
        self.keeper.start()
        await self.settled()

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


@pytest.fixture
def clock(monkeypatch):
    """The keeper's own; it stands still until it is set on: `clock.now += seconds`."""
    clock = SimpleNamespace(now=1_000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(module, "time", clock)
    return clock
