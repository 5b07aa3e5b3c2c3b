"""Candidates from the memory of the process: all that pass a query's filters are compared, so none is missed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import numkong
import numpy as np
import numpy.typing as npt

from reference_impl.candidates.entries import Entry, signs
from reference_impl.candidates.postings import Labels, Scores, Slots, Words, labels_of
from reference_impl.embedding import Vector
from reference_impl.search_models import Query
from reference_impl.storage.search_sql import HALF_LIFE_DAYS
from reference_impl.storage.terms import weigh

# Comparing one takes about 50 ns. From about here on a walk through PostgreSQL's graph is faster, and nothing else in
# the process has to wait for it.
COMPARED_MAX: Final = 50_000
_TIERS: Final = {"working": 0, "warm": 1, "cold": 2}


class Candidates(NamedTuple):
    """Memories to rank; `complete` if all that pass the filters, and have one of the words if only they count, are."""

    ids: list[UUID]
    complete: bool


class CandidateIndex:
    """Words, labels, sign bits and the other things that filters ask for, of every live memory.

    Each memory has a slot. One whose text, vector or metadata changes gets a new slot, and the old one is dead.

    Args:
        dimension: length of the embeddings.
        room: slots to have room for from the start. It takes memory as it is used; to make more later takes a while.
    """

    def __init__(self, dimension: int, room: int = 1_024) -> None:
        self._words = Words()
        self._labels = Labels()
        self._ids: list[UUID] = []
        self._slots: dict[UUID, int] = {}
        # The share of differing signs tells the angle; see `search_sql`.
        self._cosines = np.cos(np.pi * np.arange(dimension + 1) / dimension)
        self._expiring = False  # until one expires at all
        self._columns: dict[str, npt.NDArray[Any]] = {
            "code": np.zeros((room, (dimension + 7) // 8), dtype=np.uint8),
            "live": np.zeros(room, dtype=np.bool_),
            "tier": np.zeros(room, dtype=np.uint8),
            "importance": np.zeros(room),
            "created_at": np.zeros(room),
            "expires_at": np.zeros(room),  # 0: never
            "order": np.zeros(room, dtype=np.uint64),  # the first half of the id
            "content": np.zeros(room, dtype=np.int64),  # a hash of what a slot stands for
        }

    def __len__(self) -> int:
        """Live memories, expired ones included."""
        return len(self._slots)

    def __contains__(self, memory_id: UUID) -> bool:
        return memory_id in self._slots

    @property
    def dead(self) -> int:
        """Slots that stand for nothing any more."""
        return len(self._ids) - len(self._slots)

    def put(self, entries: Iterable[Entry]) -> None:
        """Adds memories, or brings them up to date."""
        columns = self._columns
        for entry in entries:
            labels = labels_of(entry.metadata)
            content = hash((entry.code, entry.terms, labels))
            slot = self._slots.get(entry.id)
            if slot is None or columns["content"][slot] != content:
                self.drop((entry.id,))
                slot = self._append(entry, labels)
                columns = self._columns
                columns["content"][slot] = content
            columns["tier"][slot] = _TIERS[entry.tier]
            columns["importance"][slot] = entry.importance
            columns["created_at"][slot] = entry.created_at.timestamp()
            columns["expires_at"][slot] = 0.0 if entry.expires_at is None else entry.expires_at.timestamp()
            self._expiring |= entry.expires_at is not None

    def drop(self, ids: Iterable[UUID]) -> None:
        """Forgets memories; those that are not there are no error."""
        for memory_id in ids:
            slot = self._slots.pop(memory_id, None)
            if slot is not None:
                self._columns["live"][slot] = False

    def weights(self, terms: Iterable[int]) -> dict[int, float]:
        """What each term of a query is worth."""
        return weigh(self._words.counts(terms), len(self._ids))

    def find(self, query: Query, weights: Mapping[int, float], wanted: int) -> Candidates | None:
        """The memories that may answer a query best, by what their scores are like.

        Args:
            query: with a vector, or words, or both.
            weights: of its words.
            wanted: how many.

        Returns:
            None if so many pass the filters that the database finds them sooner.
        """
        passing = self._passing(query)
        if passing is None or len(passing) > COMPARED_MAX:
            return None
        words = self._words.scores(weights, len(self._ids))[passing] if weights else None
        if words is not None and query.vector is None:
            passing, words = passing[words > 0], words[words > 0]
        best = self._best(self._resembling(query, passing, words), passing, wanted)
        if words is not None and len(words):
            # The others' share by words is measured by the best.
            best = np.append(best, words.argmax())
        return Candidates([self._ids[slot] for slot in passing[best].tolist()], len(passing) <= wanted)

    def _resembling(self, query: Query, slots: Slots, words: Scores | None) -> npt.NDArray[np.float64]:
        """The scores but for how often memories were read, and with their signs for their vectors."""
        shares, columns = query.shares, self._columns
        scores = np.zeros(len(slots))
        if query.vector is not None and len(slots):
            scores += shares.semantic * self._cosines[self._differing(query.vector, slots)]
        if words is not None and len(words):
            scores += shares.text / max(float(words.max()), 1e-9) * words
        if shares.temporal:
            ages = (columns["created_at"].take(slots, mode="clip") - time.time()) / (HALF_LIFE_DAYS * 86_400)
            scores += shares.temporal * np.exp2(np.minimum(ages, 0, dtype=np.float32))
        if shares.importance:
            scores += shares.importance * columns["importance"].take(slots, mode="clip")
        return scores

    def _append(self, entry: Entry, labels: frozenset[int] | None) -> int:
        slot = len(self._ids)
        if slot == len(self._columns["live"]):
            self._columns = {name: _doubled(column) for name, column in self._columns.items()}
        self._columns["code"][slot] = np.frombuffer(entry.code, np.uint8)
        self._columns["live"][slot] = True
        self._columns["order"][slot] = entry.id.int >> 64
        self._words.add(slot, entry.terms)
        self._labels.add(slot, labels)
        self._ids.append(entry.id)
        self._slots[entry.id] = slot
        return slot

    def _passing(self, query: Query) -> Slots | None:
        """Slots of what passes the filters, ascending; None for more than are worth comparing."""
        labelled = None if query.metadata is None else self._labels.having(query.metadata)
        if labelled is None and not query.filtered and len(self) > COMPARED_MAX:
            return None

        def column(name: str) -> npt.NDArray[Any]:
            whole = self._columns[name]
            return whole[: len(self._ids)] if labelled is None else whole.take(labelled, mode="clip")

        tests = []
        if self.dead or labelled is None:
            tests.append(column("live"))
        if self._expiring:
            expires_at = column("expires_at")
            tests.append((expires_at == 0) | (expires_at > time.time()))
        if query.tier is not None:
            tests.append(column("tier") == _TIERS[query.tier.column])
        for name, compare, bound in (
            ("importance", np.greater_equal, query.importance_from),
            ("importance", np.less_equal, query.importance_to),
            ("created_at", np.greater_equal, query.created_from),
            ("created_at", np.less_equal, query.created_to),
        ):
            if bound is not None:
                tests.append(compare(column(name), bound.timestamp() if isinstance(bound, datetime) else bound))
        if labelled is None:
            return np.flatnonzero(np.logical_and.reduce(tests)).astype(np.uint32)
        return labelled[np.logical_and.reduce(tests)] if tests else labelled

    def _best(self, scores: Scores, slots: Slots, count: int) -> npt.NDArray[np.intp]:
        """Where the largest scores are, at most so many.

        Of equal ones the lowest ids, as in answers: else the pages of one would not be parts of the same whole.
        """
        if len(scores) <= count:
            return np.arange(len(scores))
        least = np.partition(scores, -count)[-count]
        above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
        wanted = count - len(above)
        if len(equal) > wanted:
            equal = equal[np.argsort(self._columns["order"][slots[equal]])[:wanted]]
        return np.concatenate([above, equal])

    def _differing(self, vector: Vector, slots: Slots) -> npt.NDArray[np.intp]:
        """How many signs differ from a vector's."""
        code = signs(vector)
        codes = self._columns["code"].take(slots, axis=0, mode="clip")
        return np.asarray(numkong.cdist(code[np.newaxis], codes, "hamming", dtype="uint1")).reshape(-1).astype(np.intp)


def _doubled(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate([column, np.zeros_like(column)])
