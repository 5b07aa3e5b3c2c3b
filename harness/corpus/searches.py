"""Search requests, every one different from all before it.

With questions, three stages supply them: first every question with every limit, in a seeded order; then pairs
of different questions put together, as an agent does that wants to know two things at once; then generated
queries. n questions and l limits give n*l + n*(n-1) requests before the third stage: 1.8 million for 1,336
questions and 16 limits. Without questions only the third stage serves, whose texts are all different. Two
requests count as equal if tier, limit, threshold, filters and the text, without regard to case and spacing,
are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np

from harness.corpus.dataset import Dataset, FilterValue, Scalar
from harness.corpus.generator import Query, queries
from harness.corpus.memory import Question
from harness.corpus.permutation import Permutation

_CHUNK: Final = 1_024
_FILTERED_BY_OWN: Final = 0.7
"""Share of filters on the text's own conversation or topic; the others take any value there is."""


class Search(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of a search request, the fields that vary here."""

    query_text: str
    limit: int
    tier: str | None = None
    metadata_filters: dict[str, Scalar] | None = None
    similarity_threshold: float | None = None


class Searches:
    """An endless supply of different searches of a dataset.

    Args:
        dataset: What is searched.
        seed: Chooses order and draws.
        limits: Lowest and highest limit, both included.
        filters: Whether to filter by metadata that loaded memories have.
        tier: Tier to search; None for all.
        threshold: Similarity threshold; None for none.
    """

    def __init__(
        self,
        dataset: Dataset,
        seed: int,
        *,
        limits: tuple[int, int],
        filters: bool,
        tier: str | None,
        threshold: float | None,
    ) -> None:
        self._seed = seed
        self._low, self._limits = limits[0], limits[1] - limits[0] + 1
        self._tier = tier
        self._threshold = threshold
        self._questions = list({_normalised(question.text): question for question in dataset.questions}.values())
        self._rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
        self._values = {key: values for key, values in dataset.filters.items() if values} if filters else {}
        self._by_text = {key: {str(entry.value): entry.value for entry in self._values[key]} for key in self._values}
        self._flat = [(key, entry) for key, values in self._values.items() for entry in values]
        self._chances = _cumulative([entry for _, entry in self._flat])

    def __iter__(self) -> Iterator[Search]:
        seen: set[tuple[str, int, str, Scalar]] = set()
        stages = itertools.chain(self._singles(), self._pairs(), self._generated())
        for text, own, limit, chance, pick in self._with_draws(stages):
            filters = self._filter(own, chance, pick)
            name, value = next(iter(filters.items())) if filters else ("", "")
            key = (_normalised(text), limit, name, value)
            if key not in seen:
                seen.add(key)
                yield Search(text, limit, self._tier, filters, self._threshold)

    def _with_draws(self, texts: Iterator[tuple[str, dict[str, str], int | None]]) -> Iterator[Any]:
        """Give each text a limit, where it has none yet, and two numbers below 1 to choose a filter by."""
        while chunk := list(itertools.islice(texts, _CHUNK)):
            size = len(chunk)
            limits = self._rng.integers(self._low, self._low + self._limits, size).tolist()
            chances, picks = self._rng.random(size).tolist(), self._rng.random(size)
            places = np.searchsorted(self._chances, picks, side="right").tolist()
            for (text, own, limit), drawn, chance, place in zip(chunk, limits, chances, places, strict=True):
                yield text, own, drawn if limit is None else limit, chance, place

    def _filter(self, own: dict[str, str], chance: float, place: int) -> dict[str, Scalar] | None:
        if not self._flat:
            return None
        if chance < _FILTERED_BY_OWN:
            for key, text in own.items():
                value = self._by_text.get(key, {}).get(text)
                if value is not None:
                    return {key: value}
        key, entry = self._flat[min(place, len(self._flat) - 1)]
        return {key: entry.value}

    def _singles(self) -> Iterator[tuple[str, dict[str, str], int | None]]:
        if not self._questions:
            return
        order = Permutation(len(self._questions), self._limits, self._seed)
        for start in range(0, order.size, _CHUNK):
            numbers, limits = order.pairs(np.arange(start, min(start + _CHUNK, order.size), dtype=np.int64))
            for number, limit in zip(numbers.tolist(), limits.tolist(), strict=True):
                question = self._questions[number]
                yield question.text, _own(question), self._low + limit

    def _pairs(self) -> Iterator[tuple[str, dict[str, str], int | None]]:
        count = len(self._questions)
        if count < 2:
            return
        order = Permutation(count, count - 1, self._seed)
        for start in range(0, order.size, _CHUNK):
            firsts, steps = order.pairs(np.arange(start, min(start + _CHUNK, order.size), dtype=np.int64))
            seconds = (firsts + 1 + steps) % count
            for first, second in zip(firsts.tolist(), seconds.tolist(), strict=True):
                question = self._questions[first]
                yield f"{question.text} {self._questions[second].text}", _own(question), None

    def _generated(self) -> Iterator[tuple[str, dict[str, str], int | None]]:
        query: Query
        for query in queries(self._seed):
            yield query.text, query.filters, None


def _own(question: Question) -> dict[str, str]:
    return {} if question.conversation is None else {"conversation": question.conversation}


def _normalised(text: str) -> str:
    return " ".join(text.casefold().split())


def _cumulative(entries: list[FilterValue]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    counts = np.cumsum(np.array([entry.count for entry in entries], dtype=np.float64))
    return counts / counts[-1] if counts.size else counts
