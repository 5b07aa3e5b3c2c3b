"""A corpus read from JSON lines: one memory a line, and, in a second file, one question a line.

A memory needs ``content`` (or ``text``). Also understood are ``id``, ``tier``, ``importance_score`` (or
``importance``), ``created_at`` (or ``said_at``, ``timestamp``), ``speaker`` and ``metadata``; whatever else a
line holds becomes metadata. A question needs ``question``; ``evidence``, ``conversation`` and ``category``
are optional. The first fault ends the reading with a ``CorpusError``: nothing has been stored by then, so
nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from harness.corpus.errors import CorpusError
from harness.corpus.lines import Fault, MemoryReader, parse_object, parse_question
from harness.corpus.memory import Corpus, NewMemory, Question
from harness.corpus.tiers import tiers_by_rank

EXCERPTS: Final = 2_000
"""At most so many excerpts stand in for missing questions."""

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+")
_EXCERPT_WORDS: Final = (4, 12)

_T = TypeVar("_T")


class JsonlCorpus(Corpus):
    """Memories, and perhaps questions, from files; held in memory.

    Content becomes "speaker: content" where there is a speaker. Memories without a tier get one by their age
    among themselves (``tiers_by_rank``), or by their order in the file, later being newer, if one of them has
    no date.

    Args:
        memories: The file of memories.
        questions: The file of questions, if there is one.
        seed: Seed of what is drawn from this corpus: excerpts, queries, contents of creates.

    Attributes:
        duplicates: Memories whose content and tier an earlier one has; the service stores them once.

    Raises:
        CorpusError: A file is missing, empty or a directory, or a line is at fault; names the line.
    """

    def __init__(self, memories: Path, questions: Path | None = None, *, seed: int = 0) -> None:
        rows = _read(memories, "memories", MemoryReader().read)
        untold = [position for position, row in enumerate(rows) if row.tier is None]
        dated = all(rows[position].moment is not None for position in untold)
        moments = [rows[position].moment or 0.0 if dated else float(position) for position in untold]
        for position, tier in zip(untold, tiers_by_rank(moments), strict=True):
            rows[position].tier = tier
        self._loaded = [row.memory() for row in rows]
        self.name = memories.stem
        self.count = len(rows)
        self.seed = seed
        self.duplicates = self.count - len({(memory.tier, memory.content) for memory in self._loaded})
        known = {row.metadata["source_id"] for row in rows if "source_id" in row.metadata}
        self._questions: list[Question] = []
        if questions is not None:
            self._questions = _read(questions, "questions", lambda row, line: parse_question(row, known))
        self.description = (
            f"{self.count:,} memories from {memories.name} ({self.duplicates:,} duplicates), "
            f"{len(self._questions):,} questions"
        )

    @property
    def questions(self) -> Sequence[Question]:
        """The questions of the file, in order."""
        return self._questions

    @property
    def query_texts(self) -> Sequence[Question]:
        """The questions, or without any, up to ``EXCERPTS`` excerpts.

        An excerpt is the longest sentence of a memory, cut to its first twelve words: people search with
        words they remember. Its evidence is that memory. Sentences of fewer than four words say too little
        and are left out, unless there are no others.
        """
        if self._questions:
            return self._questions
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.seed)))
        order = [self._loaded[position] for position in rng.permutation(self.count).tolist()]
        excerpts = {text: memory for memory in order[: 4 * EXCERPTS] if (text := _excerpt(memory))}
        if not excerpts:
            excerpts = {memory.content[:200]: memory for memory in order[:EXCERPTS]}
        return [_as_question(text, memory) for text, memory in list(excerpts.items())[:EXCERPTS]]

    def _memories(self) -> Iterator[NewMemory]:
        return iter(self._loaded)


def _excerpt(memory: NewMemory) -> str:
    speaker = memory.metadata.get("speaker")
    said = memory.content.removeprefix(f"{speaker}: ") if speaker else memory.content
    words = max(_SENTENCE_END.split(said), key=len).split()
    return " ".join(words[: _EXCERPT_WORDS[1]]) if len(words) >= _EXCERPT_WORDS[0] else ""


def _as_question(text: str, memory: NewMemory) -> Question:
    source = memory.metadata.get("source_id")
    conversation = memory.metadata.get("conversation")
    return Question(
        text=text,
        evidence=() if source is None else (source,),
        conversation=None if conversation is None else str(conversation),
        category="excerpt",
    )


def _read(path: Path, noun: str, parse: Callable[[dict[str, Any], int], _T]) -> list[_T]:
    """Parse every line that is not blank; ``parse`` takes the object and its line number."""
    if path.is_dir():
        raise CorpusError("this is a directory", path=path, hint=f"name a file of {noun}, one JSON object a line")
    parsed: list[_T] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    try:
                        parsed.append(parse(parse_object(line), number))
                    except Fault as fault:
                        good = f" (good {noun} before it: {len(parsed):,})"
                        raise CorpusError(str(fault) + good, path=path, line=number, hint=fault.hint) from None
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise CorpusError(problem, path=path, hint="check the path and its permissions") from error
    if not parsed:
        raise CorpusError(f"holds no {noun}", path=path, hint="give one JSON object a line")
    return parsed
