"""Words of a text: folded, stemmed, weighted as BM25 weighs them, and found again for highlights.

BM25 is an inner product of two sparse vectors. A memory's has the saturated, length-normalised frequency of each of
its words and is stored with it; a query's has the inverse document frequencies. The dimension is the word's hash.
Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, section 3.4; k1 = 0.9 and
b = 0.4 are the defaults of Anserini (Yang et al., SIGIR 2017) and suit short texts.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Final

import numpy as np
import Stemmer

DIMENSION: Final = 1 << 29
K1: Final = 0.9
B: Final = 0.4
# A fixed length to normalise by: the true mean would move with every create, and every stored weight with it.
_MEAN_WORDS: Final = 20.0
# pgvector takes 16,000. More different words than this say nothing that these do not.
_WORDS_MAX: Final = 4_000
_SNIPPETS: Final = 3
_AROUND: Final = 40

# What is longer is no word, and would be kept below like one.
_WORD: Final = re.compile(r"\w{1,100}")
# Function words and those that make a question: in so many memories that they find nothing and cost most.
_STOP: Final = frozenset(
    _WORD.findall(
        "a about all am an and any are as at be been but by can could did do does for from had has have he her hers him"
        " his how i if in into is it its just me my no not of on or our out she so some than that the their them then"
        " there they this to up us was we were what when where which who why will with would you your"
    )
)


_stemmer: Final = Stemmer.Stemmer("english", 0)  # without a cache of its own: the one below keeps more


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str | None:
    return None if word in _STOP else _stemmer.stemWord(word)


@lru_cache(maxsize=100_000)
def _term(word: str) -> int | None:
    stem = _stem(word)
    # 0 is left for counts of memories.
    return None if stem is None else zlib.crc32(stem.encode()) % (DIMENSION - 1) + 1


def terms_in(text: str) -> list[int]:
    """The terms of a text in order, 1 to `DIMENSION` - 1, repeated as often as they occur."""
    return [term for word in _WORD.findall(text.lower()) if (term := _term(word)) is not None]


def terms_of(text: str) -> bytes:
    """The weights of a memory's words, as pgvector's binary sparsevec.

    Args:
        text: any text. Of a text with more than 4,000 different words the most frequent count.
    """
    counts = Counter(terms_in(text))
    norm = K1 * (1 - B + B * counts.total() / _MEAN_WORDS)
    return to_sparsevec({term: n * (K1 + 1) / (n + norm) for term, n in counts.most_common(_WORDS_MAX)})


def inverse_frequency(containing: int, memories: int) -> float:
    """What a word is worth in a query; never negative.

    Args:
        containing: memories with the word.
        memories: all of them.
    """
    containing = min(containing, memories)
    return math.log1p((memories - containing + 0.5) / (containing + 0.5))


def to_sparsevec(weights: Mapping[int, float]) -> bytes:
    """Weights by term as pgvector's binary sparsevec: dimension, count, 0, then zero-based indexes and floats."""
    terms = sorted(weights)
    return b"".join(
        (
            np.array([DIMENSION, len(terms), 0], dtype=">i4").tobytes(),
            np.array([term - 1 for term in terms], dtype=">i4").tobytes(),
            np.array([weights[term] for term in terms], dtype=">f4").tobytes(),
        )
    )


def stems_in(text: str) -> tuple[str, ...]:
    """The different stems of a text's words in order, for `highlights`."""
    return tuple(dict.fromkeys(stem for word in _WORD.findall(text.lower()) if (stem := _stem(word)) is not None))


def highlights(content: str, stems: Collection[str]) -> list[str]:
    """Up to three extracts of a text around words that a query has, those words in `**`.

    Args:
        content: the text.
        stems: of the query's words.
    """
    lowered = content.lower()
    if len(lowered) != len(content):
        lowered = content  # a few letters get longer, and places would not be the text's own
    spans: list[tuple[int, int]] = []
    for stem in stems:
        _find_places(lowered, stem, spans)
    spans.sort()
    return [_extract(content, group) for group in _groups(spans)]


def _find_places(lowered: str, stem: str, found: list[tuple[int, int]]) -> None:
    """Adds where words with this stem are. Nearly all begin with it, but for its last letter."""
    beginning = stem[:-1] if len(stem) > 3 else stem
    at = lowered.find(beginning)
    while at >= 0:
        match = _WORD.match(lowered, at)
        end = at + 1 if match is None else match.end()
        before = lowered[at - 1] if at else " "
        if not (before.isalnum() or before == "_") and _stem(lowered[at:end]) == stem:
            found.append((at, end))
        at = lowered.find(beginning, end)


def _groups(spans: Iterable[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Neighbouring words share an extract."""
    groups: list[list[tuple[int, int]]] = []
    for span in spans:
        if groups and span[0] - groups[-1][-1][1] <= _AROUND and span[1] - groups[-1][0][0] <= 4 * _AROUND:
            groups[-1].append(span)
        elif len(groups) == _SNIPPETS:
            break
        else:
            groups.append([span])
    return groups


def _extract(content: str, spans: list[tuple[int, int]]) -> str:
    start, end = max(spans[0][0] - _AROUND, 0), min(spans[-1][1] + _AROUND, len(content))
    parts = ["…" if start else ""]
    for begin, stop in spans:
        parts += [content[start:begin], "**", content[begin:stop], "**"]
        start = stop
    parts += [content[start:end], "…" if end < len(content) else ""]
    return "".join(parts)
