"""Posting lists: which memories have a word, and how much of it, or a label of their metadata.

A memory is known by its slot, a number that is given once and in ascending order; so the lists stay sorted.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

Slots = npt.NDArray[np.uint32]
Scores = npt.NDArray[np.float64]

_HEADER: Final = 12
_NONE: Final = np.empty(0, dtype=np.uint32)
_decode = msgspec.json.Decoder().decode


class Words:
    """Posting lists of the words, with their weights in each memory."""

    def __init__(self) -> None:
        self._lists: dict[int, tuple[array[int], array[float]]] = {}

    def add(self, slot: int, terms: bytes) -> None:
        """Adds a memory's words.

        Args:
            slot: higher than any before.
            terms: see `words.to_sparsevec`.
        """
        if not terms:
            return
        count = int.from_bytes(terms[4:8], "big")
        ids = np.frombuffer(terms, ">i4", count, _HEADER).tolist()
        weights = np.frombuffer(terms, ">f4", count, _HEADER + 4 * count).tolist()
        lists = self._lists
        for term, weight in zip(ids, weights, strict=True):
            found = lists.get(term)
            if found is None:
                lists[term] = array("I", (slot,)), array("f", (weight,))
            else:
                found[0].append(slot)
                found[1].append(weight)

    def counts(self, terms: Iterable[int]) -> dict[int, int]:
        """How many memories have each term; those that are gone count."""
        lists = self._lists
        return {term: len(found[0]) if (found := lists.get(term - 1)) else 0 for term in terms}

    def scores(self, weights: Mapping[int, float], size: int) -> Scores:
        """The inner product of a query's words with each memory's.

        Args:
            weights: of the query's terms, 1 to `words.DIMENSION` - 1.
            size: slots given so far.
        """
        slots: list[Slots] = [_NONE]
        shares: list[npt.NDArray[Any]] = [np.empty(0)]
        for term, weight in weights.items():
            found = self._lists.get(term - 1)
            if found is not None:
                slots.append(np.frombuffer(found[0], np.uint32))
                shares.append(weight * np.frombuffer(found[1], np.float32))
        scores: npt.NDArray[Any] = np.bincount(np.concatenate(slots), np.concatenate(shares), size)
        return scores


class Labels:
    """Posting lists of what metadata holds at its top level.

    Whatever contains a filter has all of the filter's labels; the reverse need not hold.
    """

    def __init__(self) -> None:
        self._unknown = array("I")
        self._lists: dict[int, array[int]] = {}

    def add(self, slot: int, labels: Iterable[int] | None) -> None:
        """Adds a memory's labels, None for unknown ones, under a slot higher than any before."""
        if labels is None:
            self._unknown.append(slot)
            return
        lists = self._lists
        for label in labels:
            found = lists.get(label)
            if found is None:
                lists[label] = array("I", (slot,))
            else:
                found.append(slot)

    def having(self, metadata: str) -> Slots | None:
        """The slots that may have all labels of a filter, ascending; None if any may."""
        wanted = labels_of(metadata)
        if not wanted:
            return None
        lists = [self._lists.get(label) for label in wanted]
        found: Slots | None = None
        for slots in sorted((_NONE if one is None else np.frombuffer(one, np.uint32) for one in lists), key=len):
            found = slots if found is None else np.intersect1d(found, slots, assume_unique=True)
        if found is None:
            return None
        # A copy: an array that is lent out cannot grow.
        return np.union1d(found, np.frombuffer(self._unknown, np.uint32)) if self._unknown else np.array(found)


def labels_of(metadata: str) -> frozenset[int] | None:
    """Hashes of the pairs of key and value in JSON text; good within this process only.

    None where they cannot be told: PostgreSQL holds numbers beyond floats, and nests deeper than is decoded here.
    """
    try:
        decoded = _decode(metadata)
    except (msgspec.DecodeError, RecursionError):
        return None
    return frozenset(hash(label) for label in _pairs(decoded))


def _pairs(metadata: dict[str, Any]) -> Iterable[tuple[str, object]]:
    for key, value in metadata.items():
        if isinstance(value, dict):
            yield key, "{}"
        elif isinstance(value, list):
            yield key, "[]"
            for element in value:
                if not isinstance(element, dict | list):
                    yield f"{key}[]", _scalar(element)
        else:
            yield key, _scalar(value)


def _scalar(value: object) -> object:
    """Numbers that PostgreSQL takes for equal have to be equal; a text is none of them, nor is true 1."""
    if isinstance(value, bool) or value is None:
        return (value,)
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return float("inf")
    return value
