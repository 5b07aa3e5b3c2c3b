"""A corpus made from a seed: memories, queries about them, and contents for creates under load.

Everything is drawn in blocks of ``_BLOCK`` positions whose random streams are derived from the seed, the
purpose and the block's number. So equal arguments give equal data in every process, and a larger count begins
with all of a smaller one. The numbering of first sentences has two halves: the corpus takes its texts from
the first, creates under load from the second; no create can repeat a loaded memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np

from harness.corpus.errors import CorpusError
from harness.corpus.lexicon import SOURCES
from harness.corpus.memory import Corpus, NewMemory, Question
from harness.corpus.prose import KIND_NAMES, PEOPLE, Integers, Prose, Queries
from harness.corpus.sizes import Sizes, sizes_named
from harness.corpus.tiers import IMPORTANCE, TIERS, draw_ages, one_of_each, tiers_of
from harness.corpus.topics import TOPICS

USERS: Final = 500
"""Users whose memories these are; activity falls with rank, the busiest having about 2 % of all."""

TOPICS_PER_USER: Final = 5
"""Topics that one user talks about."""

_CONVERSATIONS_PER_USER: Final = 8
_ACTIVITY_EXPONENT: Final = 0.5
_BLOCK: Final = 4_000  # a multiple of 20, the strata of ages
_LOADED, _CREATED, _CAST = 1, 2, 3
_QUERY_BLOCK: Final = 1_024


def _rng(seed: int, *purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=purpose)))


class _Cast:
    """The users of one seed: names, topics and activity."""

    def __init__(self, seed: int) -> None:
        rng = _rng(seed, _CAST)
        self.names = [PEOPLE[person] for person in rng.choice(len(PEOPLE), USERS, replace=False).tolist()]
        self.topics = rng.permuted(np.tile(np.arange(len(TOPICS)), (USERS, 1)), axis=1)[:, :TOPICS_PER_USER]
        weights = np.arange(1, USERS + 1) ** -_ACTIVITY_EXPONENT
        self.activity = np.cumsum(weights) / weights.sum()
        self.prose = Prose(seed)


@lru_cache(maxsize=4)
def _cast(seed: int) -> _Cast:
    return _Cast(seed)


def _draw(
    cast: _Cast,
    positions: Integers,
    sizes: Sizes,
    rng: np.random.Generator,
    now: datetime | None,
    *,
    first: bool,
) -> list[NewMemory]:
    """Make the memories of one block; without ``now`` they carry no dates, as the service sets them."""
    count = positions.size
    users = np.minimum(np.searchsorted(cast.activity, rng.random(count), side="right"), USERS - 1)
    topics = cast.topics[users, rng.integers(0, TOPICS_PER_USER, count)]
    kinds = rng.integers(0, len(KIND_NAMES), count)
    ages = draw_ages(count // 20, rng)
    importance = np.round(rng.beta(*IMPORTANCE, count), 3)
    if first:
        one_of_each(ages)
        importance[:3] = np.minimum(importance[:3], 0.5)
    tiers = tiers_of(ages, importance)
    contents, things = cast.prose.contents(positions, topics, kinds, sizes.draw(count, rng), rng)
    seconds = np.rint(ages * 86_400).astype("timedelta64[s]")
    sessions = np.full(count, 53) if now is None else (53 - ages // 7).astype(np.int64)
    dates: list[str] | None = None
    if now is not None:
        moments = np.datetime64(now.astimezone(UTC).replace(tzinfo=None), "s") - seconds
        dates = np.datetime_as_string(moments, unit="s").tolist()
    rows = zip(
        contents,
        things,
        users.tolist(),
        topics.tolist(),
        kinds.tolist(),
        rng.integers(0, _CONVERSATIONS_PER_USER, count).tolist(),
        sessions.tolist(),
        rng.integers(0, len(SOURCES), count).tolist(),
        importance.tolist(),
        tiers.tolist(),
        range(count) if dates is None else dates,
        strict=True,
    )
    names = cast.names
    return [
        NewMemory(
            content=content,
            tier=TIERS[tier],
            importance_score=score,
            metadata={
                "user_id": f"user-{user:03d}",
                "conversation": f"user-{user:03d}/{conversation}",
                "session": session,
                "speaker": names[user],
                "topic": TOPICS[topic].name,
                "kind": KIND_NAMES[kind],
                "tags": [KIND_NAMES[kind], thing],
                "source": SOURCES[source],
            },
            created_at=None if dates is None else f"{date}Z",
        )
        for content, thing, user, topic, kind, conversation, session, source, score, tier, date in rows
    ]


class GeneratedCorpus(Corpus):
    """Memories drawn from a seed.

    Facts, preferences, events, tasks and decisions of 500 users about twenty topics, in English and all
    different. Tiers have the shares ``TIER_SHARES``: each twenty, counted from the first, have exactly
    ``AGE_SHARES``, but for what its importance keeps. The first three memories are one of each tier. NumPy may
    change its streams between versions; the fingerprint tells.

    Args:
        count: Number of memories, at least 1.
        seed: Any non-negative integer.
        sizes: Name of the length distribution: chat, notes or documents.
        now: The moment that ages are counted back from; needs a time zone.

    Raises:
        CorpusError: An argument is out of range.
    """

    def __init__(self, count: int, *, seed: int, sizes: str = "chat", now: datetime) -> None:
        if count < 1 or seed < 0:
            raise CorpusError(
                f"a generated corpus cannot have count {count} and seed {seed}",
                hint="give a count of at least 1 and a seed of at least 0",
            )
        if now.tzinfo is None:
            raise CorpusError("the moment that ages are counted from has no time zone", hint="give one, such as UTC")
        self.count = count
        self.seed = seed
        self.now = now
        self.sizes = sizes_named(sizes)
        self.name = f"generated-{sizes}"
        self.description = (
            f"{count:,} generated memories, seed {seed}, {sizes} (median {self.sizes.median:,} characters), "
            f"ages counted from {now.astimezone(UTC):%Y-%m-%d %H:%M}Z"
        )
        half = _cast(seed).prose.distinct // 2
        if count > half:
            raise CorpusError(f"{count:,} memories cannot all be different", hint=f"ask for {half:,} at most")

    @classmethod
    def of_day(cls, count: int, *, seed: int, moment: datetime) -> GeneratedCorpus:
        """One whose ages are counted from that day and not from that second: two of a day are the same.

        An hour of slack keeps the youngest from lying in a service's future.
        """
        today = moment.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=1)
        return cls(count, seed=seed, now=today)

    @property
    def questions(self) -> Sequence[Question]:
        """Empty: searches take their texts from ``queries``."""
        return ()

    def _memories(self) -> Iterator[NewMemory]:
        cast = _cast(self.seed)
        blocks = (
            _draw(
                cast,
                np.arange(start, start + _BLOCK, dtype=np.int64) % (cast.prose.distinct // 2),
                self.sizes,
                _rng(self.seed, _LOADED, start // _BLOCK),
                self.now,
                first=start == 0,
            )
            for start in range(0, self.count, _BLOCK)
        )
        return itertools.islice(itertools.chain.from_iterable(blocks), self.count)


def new_contents(seed: int, *, corpus_seed: int, sizes: str = "chat", first: int = 0) -> Iterator[NewMemory]:
    """Memories to create under load, without dates.

    All are different, and none equals one of the generated corpus of ``corpus_seed``. Streams of other seeds
    start elsewhere and differ in topics, kinds and elaborations, so that a second run on the same database
    creates new memories too; only within one seed is that certain.

    Args:
        seed: Chooses the stream, at least 0.
        corpus_seed: Seed of the loaded corpus.
        sizes: Name of the length distribution.
        first: Memories to leave out: as many as earlier requests of the same seed have used.

    Raises:
        CorpusError: No such sizes, or the stream is used up (after some 18 million).
    """
    cast, chosen = _cast(corpus_seed), sizes_named(sizes)
    half = cast.prose.distinct // 2
    start = int(_rng(seed, _CREATED).integers(0, half))
    block, skip = divmod(first, _BLOCK)
    for number in range(block, half // _BLOCK):
        positions = half + (start + number * _BLOCK + np.arange(_BLOCK, dtype=np.int64)) % half
        memories = _draw(cast, positions, chosen, _rng(seed, _CREATED, number), None, first=False)
        yield from memories[skip:]
        skip = 0
    raise CorpusError(f"all {half:,} contents of seed {seed} are used", hint="go on with another seed")


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A search.

    Attributes:
        text: What is searched for.
        filters: Metadata that results must have; may be empty.
    """

    text: str
    filters: dict[str, str]


def queries(seed: int) -> Iterator[Query]:
    """Searches about the people and things of generated memories, no text twice, filtered by the topic.

    Args:
        seed: Chooses the order, at least 0.

    Raises:
        CorpusError: The stream is used up (after some 1.4 billion).
    """
    texts = Queries(seed)
    for start in range(0, texts.distinct - _QUERY_BLOCK, _QUERY_BLOCK):
        block = texts.texts(np.arange(start, start + _QUERY_BLOCK, dtype=np.int64))
        yield from (Query(text=text, filters={"topic": topic}) for text, topic in zip(*block, strict=True))
    raise CorpusError(f"all queries of seed {seed} are used", hint="go on with another seed")
