"""Recall: how many of the results that an exact search gives were in the answer given under load."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from harness.core.readings import Recall

LEAST_QUERIES: Final = 20
"""Queries below which nothing is said of recall: an interval over so few depends on one of them."""
SETTLED: Final = 2.0
"""Seconds that a memory must have lain untouched before a search to count in it. How soon a create or a counted read
shows in searches is another figure, about one second; the rest forgives clocks of two hosts that differ so much."""
TIE: Final = 1e-5
"""Relative difference up to which two scores are equal: they come rounded to six places."""
_RESAMPLES: Final = 2_000
_Z: Final = 1.959964
"""Of the normal distribution, 97.5%."""


class Hit(Struct, frozen=True):
    """One result of a search.

    Attributes:
        id: of the memory.
        score: by which it was ranked; None where the service does not tell.
        touched: when the memory was last created, changed or read, seconds since 1970; 0 when unknown.
    """

    id: str
    score: float | None = None
    touched: float = 0.0


class Shares(Struct, frozen=True):
    """What one query found.

    Attributes:
        found: how many of the wanted results were in the answer.
        wanted: how many results the answer should have had.
    """

    found: int
    wanted: int


def compare(answer: Sequence[Hit], exact: Sequence[Hit], limit: int, sent_at: float) -> Shares | None:
    """Recall@k of one answer, against the exact one that was made later.

    Memories that were created, changed or read since the search was sent are taken out of both, as though there were
    none: what they were worth then is not known now. So is their share of the limit. Where fewer exist than were asked
    for, fewer are wanted. A result whose exact score equals that of the last wanted one counts as found, whichever of
    the equals the exact search put first (distance-based recall: Aumüller, Bernhardsson, Faithfull, "ANN-Benchmarks: a
    benchmarking tool for approximate nearest neighbor algorithms", Information Systems 87, 2020; its epsilon there is
    1e-3, absolute).

    Args:
        answer: the results given under load.
        exact: the exact search's, the best first; of more than `limit` results, as some will be taken out.
        limit: results asked for under load.
        sent_at: when the search was sent, seconds since 1970. The service's clock is taken to agree within SETTLED;
            one that is further behind makes memories count that were created after the search.

    Returns:
        None where nothing is left to be found: that is neither good nor bad.
    """
    touched = {hit.id: hit.touched for hit in answer} | {hit.id: hit.touched for hit in exact}
    unsettled = {name for name, when in touched.items() if when > sent_at - SETTLED}
    given = {hit.id for hit in answer}
    truth = [hit for hit in exact if hit.id not in unsettled]
    wanted = min(limit - len(given & unsettled), len(truth))
    if wanted <= 0:
        return None
    last = truth[wanted - 1].score
    right = {hit.id for hit in truth[:wanted]} | {hit.id for hit in truth[wanted:] if _equal(hit.score, last)}
    return Shares(min(len(given & right), wanted), wanted)


def _equal(score: float | None, other: float | None) -> bool:
    return score is not None and other is not None and math.isclose(score, other, rel_tol=TIE)


def summarise(queries: Sequence[Shares], limits: Sequence[int], unanswered: int, seed: int) -> Recall | None:
    """Mean recall over queries with its 95% interval.

    The interval is the wider one, at each end, of two: the percentile bootstrap over queries, which knows that the
    results of one query are found or missed together (Efron & Tibshirani 1993), and Wilson's over single results
    (JASA 22, 1927), which does not shrink to a point where every query of the sample found everything.

    Args:
        queries: what each found.
        limits: how many results each had asked for.
        unanswered: how many more could not be compared.
        seed: of the bootstrap.

    Returns:
        None for fewer than LEAST_QUERIES.
    """
    if len(queries) < LEAST_QUERIES:
        return None
    each = np.array([query.found / query.wanted for query in queries])
    mean = float(each.mean())
    rng = np.random.default_rng(seed)
    means = each[rng.integers(len(each), size=(_RESAMPLES, len(each)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    lowest, highest = _wilson(mean, sum(query.wanted for query in queries))
    return Recall(
        k=float(np.mean(limits)),
        queries=len(queries),
        mean=mean,
        low=max(min(float(low), lowest), 0.0),
        high=min(max(float(high), highest), 1.0),
        unanswered=unanswered,
    )


def _wilson(share: float, count: int) -> tuple[float, float]:
    """The 95% interval of a share of `count` trials."""
    scale = 1 + _Z**2 / count
    middle = (share + _Z**2 / (2 * count)) / scale
    half = _Z / scale * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return middle - half, middle + half
