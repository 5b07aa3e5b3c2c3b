"""Packed texts come back as they were, whatever they are, and dictionaries are kept only where they help."""

import asyncio
import contextlib
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_impl.errors import ApiError
from reference_impl.models import CONTENT_MAX
from reference_impl.packing import Packer, UnpackError, unpacked_bytes
from reference_impl.settings import Settings
from reference_impl.storage.database import Database
from reference_impl.storage.migrations import migrate

WHO = ["Ada", "Grace", "Linus", "Barbara", "Ken", "Frances", "Edsger", "Radia"]
WHAT = ["prefers", "asked about", "has moved to", "wants a summary of", "dislikes", "is allergic to", "works on"]
WHICH = ["the quarterly report", "green tea without sugar", "the migration to PostgreSQL", "Lisbon", "late meetings",
         "peanuts", "the search service", "a trip to Kyoto in April", "the failing nightly build"]  # fmt: skip
WHEN = ["yesterday", "last Tuesday", "during the planning call", "in the morning", "before the release"]


def sentences(count, seed=1):
    draw = random.Random(seed)
    return [
        f"User {draw.choice(WHO)} {draw.choice(WHAT)} {draw.choice(WHICH)}, as mentioned {draw.choice(WHEN)}"
        f" (ticket {draw.randrange(10_000)})."
        for _ in range(count)
    ]


@contextlib.asynccontextmanager
async def opened(url):
    database = Database(Settings(database=url, dimension=256, pool_min=1, pool_max=4))
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture(scope="module")
def url(database):
    asyncio.run(migrate(database, 256))
    return database


@pytest.fixture(scope="module")
def trained(url):
    """Content of a dictionary for `sentences`, in the database as well."""

    async def train():
        async with opened(url) as database:
            packer = Packer(database)
            assert await packer.train(sentences(600), 600) is not None
            return await packer._dictionaries.content(packer.newest)

    return asyncio.run(train())


@pytest.fixture
def alone():
    """A packer whose database nobody can reach."""
    return Packer(Database(Settings(database="postgresql://nobody@127.0.0.1:1/none")))


def unpacked(packer, packed):
    return asyncio.run(packer.unpack(*packed))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=3_000)


@given(TEXTS)
@settings(deadline=None)
def test_any_text_comes_back(text):
    packer = Packer(Database(Settings(database="postgresql://nobody@127.0.0.1:1/none")))
    for packed in (packer.pack(text), *packer.pack_many([text])):
        assert packed.dictionary_id is None
        assert unpacked(packer, packed) == text
        assert unpacked_bytes(packed.data) == unpacked_bytes(packed.data[:14]) == len(text.encode())


@given(text=TEXTS)
@settings(deadline=None, max_examples=50)
def test_any_text_comes_back_with_a_dictionary(alone_trained, text):
    for packed in (alone_trained.pack(text), *alone_trained.pack_many([text])):
        assert packed.dictionary_id is not None
        assert unpacked(alone_trained, packed) == text


@pytest.fixture(scope="module")
def alone_trained(url, trained):
    async def refreshed():
        async with opened(url) as database:
            packer = Packer(database)
            await packer.refresh()
            return packer

    return asyncio.run(refreshed())


@pytest.mark.parametrize("with_dictionary", [False, True])
@pytest.mark.parametrize("character", ["a", "ß", "語", "\U0001f9e0"])
def test_the_longest_texts_come_back(alone, alone_trained, character, with_dictionary):
    packer = alone_trained if with_dictionary else alone
    text = character * CONTENT_MAX
    assert unpacked(packer, packer.pack(text)) == text


def test_a_long_text_that_hardly_shrinks_comes_back(alone):
    text = "".join(map(chr, random.Random(7).choices(range(0x10000, 0x30000), k=CONTENT_MAX)))
    assert unpacked(alone, alone.pack(text)) == text


def test_damaged_or_oversized_data_is_refused(alone):
    data = alone.pack("something to remember " * 20).data
    for broken in (b"", b"\0", data[:-1], data[:3], data + b"x", b"\xff" * 40):
        with pytest.raises(UnpackError):
            unpacked(alone, (broken, None))
    bomb = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(
            format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=True
        )
    ).compress(bytes(4 * CONTENT_MAX + 1))
    with pytest.raises(UnpackError, match="more than"):
        unpacked(alone, (bomb, None))


def test_an_unknown_dictionary_is_fetched_once_and_a_missing_one_named(url, trained):
    async def scenario():
        async with opened(url) as database:
            packer, other = Packer(database), Packer(database)
            await packer.refresh()
            packed = packer.pack("User Ada prefers green tea")
            assert await other.unpack(*packed) == "User Ada prefers green tea"
            assert other.newest is None  # reading with it is no reason to write with it
            with pytest.raises(UnpackError, match="no dictionary 4711"):
                await other.unpack(packed.data, 4711)
        # The database is closed: what is known needs it no more.
        assert await other.unpack(*packed) == "User Ada prefers green tea"
        with pytest.raises(ApiError) as error:
            await Packer(database).unpack(*packed)
        assert error.value.status == 503

    asyncio.run(scenario())


def test_a_dictionary_pays_and_is_learnt_of_by_others(url, trained):
    async def scenario():
        async with opened(url) as database:
            plain, packer = Packer(database), Packer(database)
            await packer.refresh()
            new = sentences(200, seed=2)
            small, large = packer.pack_many(new), plain.pack_many(new)
            assert sum(len(packed.data) for packed in small) < 0.7 * sum(len(packed.data) for packed in large)
            assert [await plain.unpack(*packed) for packed in small] == new
            await plain.refresh()
            assert plain.newest == packer.newest

    asyncio.run(scenario())


def test_training_keeps_nothing_that_does_not_help(url, trained):
    hopeless = {
        "too few": sentences(50),
        "all empty": [""] * 500,
        "all the same as before": sentences(600),
    }

    async def scenario():
        async with opened(url) as database:
            packer = Packer(database)
            await packer.refresh()
            newest = packer.newest
            for name, samples in hopeless.items():
                assert await packer.train(samples, len(samples)) is None, name
            assert packer.newest == newest
            assert packer.tried == 600
            count = await database.fetch("SELECT count(*) FROM compression_dictionaries")
            assert count[0][0] == 1

    asyncio.run(scenario())


def test_threads_do_not_share_compressors(alone_trained):
    texts = sentences(300, seed=3) + ["x" * 200_000]

    def work(_):
        packed = [alone_trained.pack(text) for text in texts] + alone_trained.pack_many(texts)
        return asyncio.run(everything(packed))

    async def everything(packed):
        return [await alone_trained.unpack(*item) for item in packed]

    with ThreadPoolExecutor(6) as pool:
        assert all(found == texts + texts for found in pool.map(work, range(12)))
