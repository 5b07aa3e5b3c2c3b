"""Content of cold memories, compressed: zstd, with a dictionary trained on other memories of the same store."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import zstandard
from zstandard import FORMAT_ZSTD1_MAGICLESS, ZstdCompressionDict, ZstdCompressor, ZstdDecompressor, ZstdError

from reference_impl.models import CONTENT_MAX
from reference_impl.storage.database import Database
from reference_impl.storage.dictionaries import Dictionaries

# A caller waits for a single create: about 15 us for a short text, 0.1 s for the longest. Nobody waits for a batch,
# and a tenth less is kept for good: about 40 us and 0.4 s.
SINGLE_LEVEL: Final = 12
BATCH_LEVEL: Final = 19
# UTF-8 takes four bytes for a character at most. Whatever claims to be longer was not packed here.
_UNPACKED_MAX: Final = 4 * CONTENT_MAX
_HEADER_MAX: Final = 14
# The tables that a compressor keeps grow with its longest input, to tens of megabytes.
_REUSED_MAX: Final = 1 << 17

_SAMPLES_MIN: Final = 100
# What a dictionary is good for is the beginning of a text; and training takes ten times its samples in memory.
_SAMPLE_BYTES: Final = 4_096
_VOLUME_MAX: Final = 4 << 20
_HELD_OUT: Final = 5
# Packing everything again has to pay.
_WORTH: Final = 0.98

_NO_DICTIONARY: Final = ZstdCompressionDict(b"")


class UnpackError(Exception):
    """Packed content cannot be read: damaged, or its dictionary is gone."""


class Packed(NamedTuple):
    """A packed text, and the dictionary that it takes to read it."""

    data: bytes
    dictionary_id: int | None


class _Tools(threading.local):
    """Compressors by dictionary and level, decompressors by dictionary; none is made for two threads."""

    def __init__(self) -> None:
        self.compressors: dict[tuple[int | None, int], ZstdCompressor] = {}
        self.decompressors: dict[int | None, ZstdDecompressor] = {}


class Packer:
    """Packs texts with the newest dictionary that the process knows, unpacks with any.

    Frames go without zstd's magic number, checksum and dictionary id: for a short text these are a tenth of it, and
    the table knows what it holds. Frames say how long their text is. Safe to call from several threads.

    Args:
        database: where the dictionaries are.
    """

    def __init__(self, database: Database) -> None:
        self._dictionaries = Dictionaries(database)
        self._contents: dict[int | None, bytes] = {None: b""}
        self._digests: dict[tuple[int | None, int], ZstdCompressionDict] = {}
        self._tools = _Tools()
        self._newest: int | None = None
        self._tried = 0

    @property
    def tried(self) -> int:
        """For how many memories this process last tried to train a dictionary, in vain or not."""
        return self._tried

    @property
    def newest(self) -> int | None:
        """Id of the dictionary that texts are packed with."""
        return self._newest

    def pack(self, text: str) -> Packed:
        """Packs one text while somebody waits; keep long ones off the event loop.

        Raises:
            UnicodeEncodeError: for half a surrogate pair.
        """
        newest = self._newest
        return Packed(self._compress(text.encode(), newest, SINGLE_LEVEL), newest)

    def pack_many(self, texts: Iterable[str]) -> list[Packed]:
        """Packs texts as small as it gets; meant for a thread of its own."""
        newest = self._newest
        return [Packed(self._compress(text.encode(), newest, BATCH_LEVEL), newest) for text in texts]

    async def unpack(self, data: bytes, dictionary_id: int | None) -> str:
        """The text that was packed.

        Raises:
            UnpackError: if the data are damaged or their dictionary is unknown.
            ApiError: 503 if a dictionary has to be fetched and the database is away.
        """
        if dictionary_id not in self._contents:
            content = await self._dictionaries.content(dictionary_id)
            if content is None:
                raise UnpackError(f"there is no dictionary {dictionary_id}")
            self._contents[dictionary_id] = content
        if unpacked_bytes(data) > _UNPACKED_MAX:
            raise UnpackError(f"claims to hold more than {_UNPACKED_MAX} bytes")
        try:
            return self._decompressor(dictionary_id).decompress(data, allow_extra_data=False).decode()
        except (ZstdError, UnicodeDecodeError) as error:
            raise UnpackError(str(error)) from None

    async def refresh(self) -> None:
        """Learns of a newer dictionary.

        Raises:
            ApiError: 503 if the database is away.
        """
        found = await self._dictionaries.newer_than(self._newest or 0)
        if found is not None:
            self._contents[found[0]] = found[1]
            self._newest = found[0]

    async def train(self, samples: Sequence[str], memories: int) -> int | None:
        """Trains a dictionary, and keeps it if it makes texts smaller that it was not trained on.

        Args:
            samples: texts, representative of all; those beyond 4 MiB in all are left out.
            memories: how many they stand for.

        Returns:
            Its id; None if there are too few samples or it is not worth it.

        Raises:
            ApiError: 503 if the database is away.
        """
        self._tried = memories
        content = await asyncio.to_thread(self._trained, samples)
        if content is None:
            return None
        self._newest = await self._dictionaries.add(content, len(samples), memories)
        self._contents[self._newest] = content
        return self._newest

    def _trained(self, texts: Sequence[str]) -> bytes | None:
        samples = [text[:_SAMPLE_BYTES].encode() for text in texts]
        volumes = itertools.accumulate(map(len, samples))
        samples = [sample for sample, volume in zip(samples, volumes, strict=True) if volume <= _VOLUME_MAX]
        if len(samples) < _SAMPLES_MIN:
            return None
        held_out = samples[::_HELD_OUT]
        rest: list[bytes | bytearray | memoryview] = [
            sample for number, sample in enumerate(samples) if number % _HELD_OUT
        ]
        try:
            content = zstandard.train_dictionary(_dictionary_bytes(sum(map(len, rest))), rest).as_bytes()
        except ZstdError:  # texts too few, too short or too much alike
            return None
        trained = _compressor(_digest(content, BATCH_LEVEL), BATCH_LEVEL)
        with_it = sum(len(trained.compress(sample)) for sample in held_out)
        without = sum(len(self._compress(sample, self._newest, BATCH_LEVEL)) for sample in held_out)
        return content if with_it < _WORTH * without else None

    def _compress(self, data: bytes, dictionary_id: int | None, level: int) -> bytes:
        key = (dictionary_id, level)
        digest = self._digests.get(key)
        if digest is None:
            digest = self._digests[key] = _digest(self._contents[dictionary_id], level)
        if len(data) > _REUSED_MAX:
            return _compressor(digest, level).compress(data)
        compressor = self._tools.compressors.get(key)
        if compressor is None:
            compressor = self._tools.compressors[key] = _compressor(digest, level)
        return compressor.compress(data)

    def _decompressor(self, dictionary_id: int | None) -> ZstdDecompressor:
        found = self._tools.decompressors.get(dictionary_id)
        if found is None:
            dictionary = ZstdCompressionDict(self._contents[dictionary_id])
            found = ZstdDecompressor(dict_data=dictionary, format=FORMAT_ZSTD1_MAGICLESS)
            self._tools.decompressors[dictionary_id] = found
        return found


def unpacked_bytes(data: bytes) -> int:
    """Length of a packed text in UTF-8, told from the first 14 bytes.

    Raises:
        UnpackError: if they are no header.
    """
    try:
        header = zstandard.get_frame_parameters(data[:_HEADER_MAX], format=FORMAT_ZSTD1_MAGICLESS)
    except ZstdError as error:
        raise UnpackError(str(error)) from None
    if header.content_size in {zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR}:
        raise UnpackError("does not say how much it holds")
    return header.content_size


def _dictionary_bytes(volume: int) -> int:
    """16 to 64 KiB, an eighth of the samples; less only where a third of them is less."""
    return min(max(volume // 8, 16 << 10), 64 << 10, volume // 3)


def _digest(content: bytes, level: int) -> ZstdCompressionDict:
    """A dictionary made ready for a level; what it takes is then spared for every text."""
    if not content:
        return _NO_DICTIONARY
    dictionary = ZstdCompressionDict(content)
    dictionary.precompute_compress(level=level)
    return dictionary


def _compressor(digest: ZstdCompressionDict, level: int) -> ZstdCompressor:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, format=FORMAT_ZSTD1_MAGICLESS, write_content_size=True, write_checksum=False, write_dict_id=False
    )
    return ZstdCompressor(dict_data=digest, compression_params=parameters)
