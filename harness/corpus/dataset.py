"""What a loaded corpus offers to requests: ids, questions and values to filter by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from harness.corpus.errors import CorpusError
from harness.corpus.memory import Corpus, NewMemory, Question
from harness.corpus.tiers import TIER_SHARES, TIERS

Scalar = str | int | float | bool

FILTER_VALUES: Final = 200
"""At most so many values a key, the most frequent ones."""

_COUNTED_VALUES: Final = 20_000


class FilterValue(msgspec.Struct, frozen=True):
    """A metadata value that loaded memories have, and how many of them."""

    value: Scalar
    count: int


class Dataset(msgspec.Struct, kw_only=True):
    """A corpus as it stands in the system under test; plain data, so that it can be kept as JSON.

    Attributes:
        source: Name of the corpus.
        fingerprint: The corpus' SHA-256.
        count: Memories loaded, duplicates included.
        seed: Seed of the corpus: decides which items are popular, and which contents creates must not repeat.
        sizes: Length distribution of created contents.
        ids: Ids by tier, in load order, each once.
        questions: Search texts; empty leaves them to the generator.
        filters: Values by metadata key, most frequent first; only keys whose values repeat.
        evidence: Id by source id, for the sources that questions name as evidence.
    """

    source: str
    fingerprint: str
    count: int
    seed: int
    sizes: str = "chat"
    ids: dict[str, list[str]]
    questions: list[Question] = []
    filters: dict[str, list[FilterValue]] = {}
    evidence: dict[str, str] = {}

    def ids_of(self, tier: str | None) -> list[str]:
        """The ids of one tier, or of all.

        Raises:
            CorpusError: There are none.
        """
        chosen = TIERS if tier is None else (tier,)
        found = [memory_id for name in chosen for memory_id in self.ids.get(name, ())]
        if not found:
            where = "" if tier is None else f" in the {tier} tier"
            hint = "load a corpus first" if tier is None else "load more memories, or ask for another tier"
            raise CorpusError(f"{self.source} has no memories{where}", hint=hint)
        return found

    @property
    def tier_shares(self) -> tuple[float, ...]:
        """Shares of the tiers among the ids, in the order of ``TIERS``; of nothing, the generator's."""
        counts = [len(self.ids.get(tier, ())) for tier in TIERS]
        return tuple(count / sum(counts) for count in counts) if sum(counts) else TIER_SHARES


class DatasetBuilder:
    """Gathers a dataset while a corpus is loaded.

    Args:
        corpus: The corpus that is loaded.
        sizes: Length distribution of contents created later.
    """

    def __init__(self, corpus: Corpus, *, sizes: str = "chat") -> None:
        self._corpus = corpus
        self._sizes = sizes
        # Keys of a dict keep their order and drop the repeated ids of deduplicated memories.
        self._ids: dict[str, dict[str, None]] = {tier: {} for tier in TIERS}
        self._values: dict[str, Counter[Scalar]] = {}
        self._questions = list(corpus.query_texts)
        self._cited = {source for question in self._questions for source in question.evidence}
        self._evidence: dict[str, str] = {}
        self._count = 0

    def add(self, memories: Sequence[NewMemory], ids: Sequence[str]) -> None:
        """Take in one batch and the ids that the service answered, in the same order.

        Raises:
            ValueError: The two differ in length.
        """
        for memory, memory_id in zip(memories, ids, strict=True):
            self._ids[memory.tier][memory_id] = None
            for key, value in memory.metadata.items():
                if key == "source_id":
                    if value in self._cited:
                        self._evidence[value] = memory_id
                elif isinstance(value, str | int | float | bool):
                    values = self._values.setdefault(key, Counter())
                    # A key with that many values is a key of its own for every memory: no filter.
                    if len(values) < _COUNTED_VALUES or value in values:
                        values[value] += 1
        self._count += len(memories)

    def build(self) -> Dataset:
        """The dataset of all that was added."""
        return Dataset(
            source=self._corpus.name,
            fingerprint=self._corpus.fingerprint,
            count=self._count,
            seed=self._corpus.seed,
            sizes=self._sizes,
            ids={tier: list(ids) for tier, ids in self._ids.items()},
            questions=self._questions,
            filters={
                key: [FilterValue(value, count) for value, count in values.most_common(FILTER_VALUES)]
                for key, values in sorted(self._values.items())
                if values.total() >= 2 * len(values)
            },
            evidence=self._evidence,
        )
