from __future__ import annotations

from datetime import UTC, datetime

import pytest

from harness.corpus import Corpus, Dataset, DatasetBuilder, GeneratedCorpus

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def load(corpus: Corpus) -> Dataset:
    """Stand in for a loader: ids are positions."""
    builder = DatasetBuilder(corpus)
    position = 0
    for batch in corpus.batches(500):
        builder.add(batch, [f"id-{position + offset}" for offset in range(len(batch))])
        position += len(batch)
    return builder.build()


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return load(GeneratedCorpus(3_000, seed=11, now=NOW))
