"""From an operation's description to its requests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from harness.core.scenario import Operation
from harness.core.tape import Request
from harness.corpus.dataset import Dataset
from harness.corpus.errors import CorpusError
from harness.corpus.generator import new_contents
from harness.corpus.popularity import YCSB_EXPONENT, Zipf
from harness.corpus.searches import Searches
from harness.corpus.tiers import TIERS

MEMORIES: Final = "/api/v1/memories"
SEARCH: Final = "/api/v1/search"
NOOP: Final = "/api/v1/noop"

_CHUNK: Final = 8_192


class RequestParams(msgspec.Struct, frozen=True, kw_only=True):
    """How the requests of one operation are drawn.

    Attributes:
        tier: Tier to read, create in or search; None for all: reads by popularity over all ids, creates in
            the corpus' shares, searches without a tier.
        zipf: Skew of popularity, of ids for get and of queries for search with ``distinct``; 0 is uniform.
        limit: Lowest and highest search limit, both included.
        filters: Whether searches filter by metadata that loaded memories have.
        distinct: None makes every search different; a number repeats that many, by popularity.
        similarity_threshold: Sent with searches, if given.
        first: Requests to leave out: as many as earlier tapes of the same seed have used, so that a measured
            phase repeats nothing of its warm-up.
    """

    tier: str | None = None
    zipf: float = YCSB_EXPONENT
    limit: tuple[int, int] = (5, 20)
    filters: bool = False
    distinct: int | None = None
    similarity_threshold: float | None = None
    first: int = 0

    def check(self) -> None:
        """Raise a ``CorpusError`` for a value out of range."""
        low, high = self.limit
        if self.tier is not None and self.tier not in TIERS:
            raise CorpusError(f"there is no tier {self.tier!r}", hint=f"choose one of {', '.join(TIERS)}")
        if not 1 <= low <= high <= 1_000:
            raise CorpusError(f"limits from {low} to {high} cannot be asked for", hint="stay within 1 to 1,000")
        if self.distinct is not None and self.distinct < 1:
            raise CorpusError(f"{self.distinct} distinct queries cannot be repeated", hint="give at least 1")
        if not self.zipf >= 0 or self.zipf == float("inf"):
            raise CorpusError(f"a Zipf exponent of {self.zipf} is out of range", hint="give 0 or more; YCSB uses 0.99")
        if self.first < 0:
            raise CorpusError(f"{self.first} requests cannot be left out", hint="give 0 or more")


def params_of(operation: Operation) -> RequestParams:
    """The parameters that a scenario's operation stands for."""
    return RequestParams(
        tier=operation.tier,
        zipf=operation.zipf,
        limit=operation.limit,
        filters=operation.filters,
        distinct=operation.distinct,
        similarity_threshold=operation.similarity_threshold,
    )


def requests(
    kind: str, *, dataset: Dataset, count: int, seed: int, params: RequestParams | None = None
) -> Iterator[Request]:
    """Plan the requests of one operation.

    Popularity follows the dataset's seed and the draws follow ``seed``: two phases with different seeds ask
    differently for the same popular items, as caches expect.

    Args:
        kind: get, create, search or noop.
        dataset: What is loaded.
        count: Number of requests.
        seed: Chooses the draws, at least 0.
        params: How to draw; defaults if None.

    Returns:
        ``count`` requests, made as they are read; arguments are checked at once.

    Raises:
        CorpusError: An argument is out of range, or the dataset lacks what the requests need.
    """
    chosen = params or RequestParams()
    chosen.check()
    if kind not in _MAKERS:
        raise CorpusError(f"there are no requests of kind {kind!r}", hint=f"choose one of {', '.join(_MAKERS)}")
    if count < 0 or seed < 0:
        raise CorpusError(f"a count of {count} with seed {seed} cannot be planned", hint="give 0 or more")
    return itertools.islice(_MAKERS[kind](dataset, seed, chosen), count)


def _rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))


def _popular(zipf: Zipf, seed: int, first: int) -> Iterator[int]:
    """Items by popularity, endlessly, after ``first`` of them."""
    rng = _rng(seed)
    chunks: Iterator[npt.NDArray[np.int64]] = (zipf.sample(_CHUNK, rng) for _ in itertools.count())
    return itertools.islice(itertools.chain.from_iterable(chunk.tolist() for chunk in chunks), first, None)


def _get(dataset: Dataset, seed: int, params: RequestParams) -> Iterator[Request]:
    ids = dataset.ids_of(params.tier)
    items = _popular(Zipf(len(ids), params.zipf, dataset.seed), seed, params.first)
    return (Request("GET", f"{MEMORIES}/{ids[item]}") for item in items)


def _create(dataset: Dataset, seed: int, params: RequestParams) -> Iterator[Request]:
    contents = new_contents(seed, corpus_seed=dataset.seed, sizes=dataset.sizes, first=params.first)
    rng = _rng(seed)
    bounds = np.cumsum(dataset.tier_shares)[:-1]
    drawn = itertools.chain.from_iterable(np.digitize(rng.random(_CHUNK), bounds).tolist() for _ in itertools.count())
    tiers = itertools.islice(drawn, params.first, None)
    encode = msgspec.json.Encoder().encode
    for memory in contents:
        tier = TIERS[next(tiers)] if params.tier is None else params.tier
        body = encode(msgspec.structs.replace(memory, tier=tier))
        yield Request("POST", MEMORIES, msgspec.Raw(body))


def _search(dataset: Dataset, seed: int, params: RequestParams) -> Iterator[Request]:
    # Repeated queries are those of the dataset's seed, so that every phase repeats the same ones.
    searches = Searches(
        dataset,
        seed if params.distinct is None else dataset.seed,
        limits=params.limit,
        filters=params.filters,
        tier=params.tier,
        threshold=params.similarity_threshold,
    )
    encode = msgspec.json.Encoder().encode
    bodies = (Request("POST", SEARCH, msgspec.Raw(encode(search))) for search in searches)
    if params.distinct is None:
        return itertools.islice(bodies, params.first, None)
    repeated = list(itertools.islice(bodies, params.distinct))
    items = _popular(Zipf(params.distinct, params.zipf, dataset.seed), seed, params.first)
    return (repeated[item] for item in items)


def _noop(dataset: Dataset, seed: int, params: RequestParams) -> Iterator[Request]:
    return itertools.repeat(Request("GET", NOOP))


_MAKERS: Final[dict[str, Callable[[Dataset, int, RequestParams], Iterator[Request]]]] = {
    "get": _get,
    "create": _create,
    "search": _search,
    "noop": _noop,
}
