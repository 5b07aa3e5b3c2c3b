"""The data: a seeded generator, readers for real files, and the requests that use them.

Nothing here speaks HTTP or SQL: memories come out in batches, requests as plain records.
"""

from harness.corpus.dataset import Dataset, DatasetBuilder, FilterValue
from harness.corpus.errors import CorpusError
from harness.corpus.generator import GeneratedCorpus, new_contents, queries
from harness.corpus.jsonl import JsonlCorpus
from harness.corpus.memory import Corpus, NewMemory, Question
from harness.corpus.popularity import Zipf
from harness.corpus.requests import RequestParams, params_of, requests
from harness.corpus.sizes import SIZES, Sizes
from harness.corpus.tiers import TIER_SHARES, TIERS

__all__ = [
    "SIZES",
    "TIERS",
    "TIER_SHARES",
    "Corpus",
    "CorpusError",
    "Dataset",
    "DatasetBuilder",
    "FilterValue",
    "GeneratedCorpus",
    "JsonlCorpus",
    "NewMemory",
    "Question",
    "RequestParams",
    "Sizes",
    "Zipf",
    "new_contents",
    "params_of",
    "queries",
    "requests",
]
