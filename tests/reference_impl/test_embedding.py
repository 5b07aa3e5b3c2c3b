"""Embedding word by word gives what embedding the whole text gives."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reference_impl.embedding import Embedder

EMBEDDER = Embedder(256)
PIECES = st.text(max_size=6) | st.sampled_from(
    [
        "the",
        "tea",
        "Tea's",
        "naïve",
        "日本語",
        "🍵",
        "x" * 41,
        "<s>",
        "</s>",
        "<unk>",
        "<",
        "s>",
        "\u2581",
        "0x0A",
        "<0x0A>",
    ]
    + ["\n", "\t", "\r\n", "\u00a0", "\u3000", "\u200b", "e\u0301", "", " ", "  ", "...", "word,", "(a)"]
)
TEXTS = st.lists(PIECES, max_size=12).map(" ".join) | st.lists(PIECES, max_size=12).map("".join) | st.text()


@given(text=TEXTS)
@settings(max_examples=1_500, deadline=None)
@example(text="")
@example(text=" ")
@example(text="a b")
@example(text=" a b")
@example(text="a  b")
@example(text="a b ")
@example(text="the </s> end")
@example(text="half <s > and \u2581 block")
@example(text=f"{'long' * 20} word {'long' * 20}")
def test_the_tokens_of_the_words_are_those_of_the_text(text):
    tokens = EMBEDDER._encoded(text)
    assert EMBEDDER._tokens_of(text) == tokens
    # From what is remembered, too.
    assert EMBEDDER._tokens_of(text) == tokens


def test_most_texts_are_taken_word_by_word(monkeypatch):
    asked = []
    monkeypatch.setattr(EMBEDDER, "_tokens_of_word", lambda word: asked.append(word) or EMBEDDER._encoded(word))
    whole = f"Ada prefers tea, {'x' * 41} she said."
    assert EMBEDDER._tokens_of(whole) == EMBEDDER._encoded(whole)
    assert asked == ["Ada", "prefers", "tea,", "she", "said."]


@given(texts=st.lists(TEXTS, max_size=4))
@settings(max_examples=100, deadline=None)
def test_vectors_are_of_length_1_and_depend_on_their_text_alone(texts):
    vectors = EMBEDDER.embed(texts)
    assert vectors.shape == (len(texts), 256)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        assert EMBEDDER.embed([text])[0] == pytest.approx(vector, abs=1e-6)
