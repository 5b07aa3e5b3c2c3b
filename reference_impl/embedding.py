"""Text to unit vectors: static token vectors of WordLlama, averaged, lifted to the service's dimension."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import re
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file
from tokenizers import Tokenizer

Vector = npt.NDArray[np.float32]

BASE_DIMENSION: Final = 256
_LIFT_SEED: Final = 20_260
# Texts are pooled in slices of this many tokens, so that a megabyte of text needs 8 MB and not 300.
_SLICE: Final = 8_192
_WORDS_REMEMBERED: Final = 50_000
_WORD_MAX: Final = 40
# Runs of spaces are tokens of their own, as the block that stands for a space in tokens, and the marks of ends are.
_AS_A_WHOLE: Final = re.compile(r"^$|^ |  | $|\u2581|</?s>|<unk>")


class ModelMissingError(Exception):
    """The model cannot be loaded; the message says why in one line."""


class Embedder:
    """Embeds texts; deterministic. `embed` may be called from several threads, `embed_query` from one.

    Args:
        dimension: length of the vectors, at least 256.
        remembered: number of query texts whose vectors are kept.

    Raises:
        ValueError: if the dimension is below 256.
        ModelMissingError: if the package WordLlama or its files are missing.
    """

    def __init__(self, dimension: int, remembered: int = 5_000) -> None:
        if dimension < BASE_DIMENSION:
            raise ValueError(f"dimension {dimension} is below {BASE_DIMENSION}")
        self.dimension = dimension
        self.hits = 0
        self.misses = 0
        self._remembered = remembered
        self._recent: OrderedDict[str, Vector] = OrderedDict()
        self._tokenizer, self._tokens = _load()
        self._tokens_of_word = lru_cache(_WORDS_REMEMBERED)(self._encoded)
        self._lift = _lift_matrix(dimension)

    def embed(self, texts: Sequence[str]) -> Vector:
        """Embeds many texts.

        Args:
            texts: any text, the empty one included.

        Returns:
            Shape (len(texts), dimension), float32, each row of length 1.
        """
        pooled = np.empty((len(texts), BASE_DIMENSION), dtype=np.float32)
        for row, text in enumerate(texts):
            pooled[row] = self._pool(np.array(self._tokens_of(text), dtype=np.int64), text)
        lifted: Vector = pooled @ self._lift
        lifted /= np.linalg.norm(lifted, axis=1, keepdims=True)
        return lifted

    def embed_query(self, text: str) -> Vector:
        """Embeds one text and remembers the result; queries repeat.

        Returns:
            Shape (dimension,), float32, length 1.
        """
        found = self._recent.get(text)
        if found is not None:
            self.hits += 1
            self._recent.move_to_end(text)
            return found
        self.misses += 1
        vector: Vector = self.embed([text])[0]
        # A few huge queries must not hold the memory of thousands of ordinary ones.
        if len(text) <= 4_096:
            self._recent[text] = vector
            if len(self._recent) > self._remembered:
                self._recent.popitem(last=False)
        return vector

    def _tokens_of(self, text: str) -> list[int]:
        """The tokens of a text. None of them reaches across a single space, and words repeat."""
        if _AS_A_WHOLE.search(text):
            return self._encoded(text)
        ids: list[int] = []
        for word in text.split(" "):
            ids += self._tokens_of_word(word) if len(word) <= _WORD_MAX else self._encoded(word)
        return ids

    def _encoded(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def _pool(self, ids: npt.NDArray[np.int64], text: str) -> Vector:
        known = ids[ids < len(self._tokens)]
        total: Vector = np.zeros(BASE_DIMENSION, dtype=np.float32)
        for start in range(0, len(known), _SLICE):
            total += self._tokens.take(known[start : start + _SLICE], axis=0).sum(axis=0)
        length = math.sqrt(float(total @ total))
        if length > 1e-6:
            total /= length
            return total
        # Nothing known in the text: any fixed direction of its own is better than a zero vector without one.
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).standard_normal(BASE_DIMENSION, dtype=np.float32)


def _lift_matrix(dimension: int) -> Vector:
    """A (256, dimension) matrix with orthonormal rows: every cosine is kept, every sign bit gets a say."""
    noise = np.random.default_rng(_LIFT_SEED).standard_normal((dimension, BASE_DIMENSION))
    basis, triangle = np.linalg.qr(noise)
    # QR is unique only up to signs; pinning them makes every host build the same vectors.
    basis *= np.sign(np.diag(triangle))
    return np.ascontiguousarray(basis.T, dtype=np.float32)


def _load() -> tuple[Tokenizer, Vector]:
    """The tokenizer and token vectors, shape (32000, 256), that come with WordLlama; never from the network.

    They are read without the library: it takes as long to import as this service to start, configures the root
    logger, and pads a batch to its longest text, so that a megabyte among sixty short texts takes gigabytes.
    """
    found = importlib.util.find_spec("wordllama")
    if found is None or not found.submodule_search_locations:
        raise ModelMissingError("the package wordllama is not installed")
    home = Path(found.submodule_search_locations[0])
    try:
        tokenizer = Tokenizer.from_file(str(home / "tokenizers" / "l2_supercat_tokenizer_config.json"))
        tokens = load_file(home / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
    except Exception as error:
        raise ModelMissingError(f"the model in the package wordllama cannot be read: {error}") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer, tokens.astype(np.float32)
