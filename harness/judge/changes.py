"""Where a series changed: E-divisive with a permutation test (Matteson and James 2014).

It is told the values and nothing else: neither how many changes there are nor how the values are distributed. A series
without any change gets one with a probability of ALPHA, as long as its values are independent. Where each resembles the
one before, permuting them breaks what the test takes for noise, and it finds changes where there are none far more
often: tests/judge/test_changes.py has both rates. Ratios from pairs on one machine resemble each other less than
records of single runs do, but nobody promises that they do not. Advice, never a gate.
"""

import math
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

ALPHA: Final = 0.05
LEAST: Final = 4
"""Fewest values between two changes: a change shows once four gates lie behind it."""
PERMUTATIONS: Final = 199
_SEED: Final = 2014

Matrix = npt.NDArray[np.float64]


class Split(NamedTuple):
    """A change that the test believes.

    Attributes:
        at: index of the first value after it.
        p: of the permutation test at the time it was found.
    """

    at: int
    p: float


def change_points(
    values: npt.ArrayLike, *, alpha: float = ALPHA, least: int = LEAST, permutations: int = PERMUTATIONS
) -> list[Split]:
    """The changes of a series, ascending.

    Splits hierarchically: of all segments so far, the split with the largest energy statistic is tested against the
    largest that the same segments have after their values were permuted within them; the first that is not significant
    ends the search. Seeded: the same series has the same changes.

    Args:
        values: of the series, by time; shape (n,). Logarithms, for ratios.
        alpha: significance of each test.
        least: fewest values of a segment.
        permutations: of each test; as few of them as the answer takes.
    """
    series = np.asarray(values, dtype=np.float64)
    distances = np.abs(series[:, None] - series[None, :])
    rng = np.random.default_rng([_SEED, len(series)])
    bounds, found = [0, len(series)], []
    while True:
        segments = list(pairwise(bounds))
        size, at = max(_best(distances[a:b, a:b], least, a) for a, b in segments)
        if at < 0:
            break
        p = _p_value(distances, segments, size, rng, least, permutations, alpha)
        if p > alpha:
            break
        found.append(Split(at, p))
        bounds = sorted([*bounds, at])
    return sorted(found)


def _p_value(
    distances: Matrix,
    segments: list[tuple[int, int]],
    size: float,
    rng: np.random.Generator,
    least: int,
    permutations: int,
    alpha: float,
) -> float:
    """Share of the permutations, the series itself among them, with a statistic as large."""
    larger = 0
    for done in range(1, permutations + 1):
        best = -math.inf
        for a, b in segments:
            order = rng.permutation(np.arange(a, b))
            best = max(best, _best(distances[np.ix_(order, order)], least, a)[0])
        # The slack is for sums that differ in their order only.
        larger += best >= size * (1 - 1e-9)
        if (larger + 1) / (permutations + 1) > alpha:
            return (larger + 1) / (done + 1)
    return (larger + 1) / (permutations + 1)


def _best(distances: Matrix, least: int, offset: int) -> tuple[float, int]:
    """The largest energy statistic of one segment, and where it splits; -1 where it is too short to be split.

    Of values x before a split and y from there to some later end (so that a change that is undone is seen, too):
    mn / (m + n) (2 E|x - y| - E|x - x'| - E|y - y'|), the means within over distinct pairs.
    """
    n = len(distances)
    if n < 2 * least:
        return -math.inf, -1
    sums = np.zeros((n + 1, n + 1))
    sums[1:, 1:] = distances.cumsum(axis=0).cumsum(axis=1)
    split, end = np.arange(least, n - least + 1)[:, None], np.arange(2 * least, n + 1)[None, :]
    before, after = split.astype(float), np.maximum(end - split, 2).astype(float)
    own, both, all_ = sums[split, split], sums[split, end], sums[end, end]
    between = (both - own) / (before * after)
    within = own / (before * (before - 1)) + (all_ - 2 * both + own) / (after * (after - 1))
    statistic = before * after / (before + after) * (2 * between - within)
    statistic[end - split < least] = -math.inf
    row = int(statistic.max(axis=1).argmax())
    return float(statistic[row].max()), offset + least + row
