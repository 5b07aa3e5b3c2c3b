"""A memory to be stored, a question about stored ones, and a corpus of both."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec


class NewMemory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of one create request.

    Attributes:
        content: The text, 1 to 1,048,576 characters.
        tier: "Working", "Warm" or "Cold".
        importance_score: 0 to 1.
        metadata: Any JSON object; ``metadata["source_id"]`` is the memory's key in the corpus, where it has
        one. created_at: RFC 3339 with offset; None leaves it to the service.
    """

    content: str
    tier: str
    importance_score: float
    metadata: dict[str, Any]
    created_at: str | None = None


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A search text that people would type, and where its answer is, if that is known.

    Attributes:
        text: The question.
        evidence: ``source_id`` of the memories that hold the answer; empty where unknown.
        conversation: The conversation it is about, or None.
        category: The corpus' own label for the sort of question, or None.
    """

    text: str
    evidence: tuple[str, ...] = ()
    conversation: str | None = None
    category: str | None = None


class Corpus(ABC):
    """Memories to load before a run, in a fixed order, with questions about them.

    Attributes:
        name: Short name for tables: the kind of corpus or its file's name.
        description: One sentence on what it holds, for reports.
        count: Number of memories, known before the first is read.
        seed: Seed of all that is drawn from this corpus.
    """

    name: str
    description: str
    count: int
    seed: int
    _fingerprint: str | None = None

    @property
    @abstractmethod
    def questions(self) -> Sequence[Question]:
        """Questions that came with the corpus; may be empty."""

    @property
    def query_texts(self) -> Sequence[Question]:
        """What searches ask for: questions or their stand-ins; empty leaves it to the generator."""
        return self.questions

    @abstractmethod
    def _memories(self) -> Iterator[NewMemory]:
        """All memories in order; the same each time."""

    def batches(self, size: int) -> Iterator[list[NewMemory]]:
        """All memories in order, ``size`` at a time; the last batch may be shorter.

        Reading to the end also settles the fingerprint, so that it costs no further pass.

        Raises:
            ValueError: ``size`` is below 1.
        """
        if size < 1:
            raise ValueError(f"a batch holds at least one memory, not {size}")
        return self._batches(size)

    def _batches(self, size: int) -> Iterator[list[NewMemory]]:
        digest = hashlib.sha256()
        encoder = msgspec.json.Encoder(order="sorted")
        batch: list[NewMemory] = []
        for memory in self._memories():
            batch.append(memory)
            if len(batch) == size:
                digest.update(encoder.encode_lines(batch))
                yield batch
                batch = []
        digest.update(encoder.encode_lines(batch))
        digest.update(encoder.encode_lines(list(self.questions)))
        self._fingerprint = digest.hexdigest()
        if batch:
            yield batch

    @property
    def fingerprint(self) -> str:
        """SHA-256, hex, over every memory and then every question, one canonical JSON line each.

        Equal fingerprints mean equal data, whatever the batch size. Generates or walks the whole corpus
        unless ``batches`` has been read to its end.
        """
        if self._fingerprint is None:
            for _ in self._batches(1_000):
                pass
        assert self._fingerprint is not None
        return self._fingerprint
