"""Statistics of paired differences that assume nothing but symmetry: Wilcoxon's signed ranks, exact, also with ties.

Differences come as arrays whose last axis is the pairs; NaN marks a pair without one. All other axes are repeated
alike: a gate asks for one row, its calibration for thousands. In a gate a difference is log(head / base), above 0
where head is worse.
"""

import math
from functools import cache, lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]

FAR: Final = 1e9
"""Differences beyond it count as it: infinity has no average with minus infinity."""


class Estimate(NamedTuple):
    """A ratio and its interval; an end of None lies beyond all that so few pairs can tell."""

    ratio: float
    low: float | None
    high: float | None


def p_greater(d: npt.ArrayLike, than: npt.ArrayLike = 0.0) -> Floats:
    """The exact one-sided p of "the differences lie around `than` or below", by signed ranks.

    Given the sizes of d - than, each sign is a fair coin's under the null, whatever their distribution: all 2^n sign
    patterns are counted, with midranks where sizes are tied (Lehmann, Nonparametrics, 1975, chapter 3.3;
    scipy.stats.wilcoxon is exact only without ties). Differences equal to `than` are left out, as Wilcoxon did.

    Args:
        d: shape (..., pairs); up to 1,000 pairs.
        than: broadcast against (...).

    Returns:
        shape (...); 1 where there are no pairs.
    """
    shifted = _tame(d) - np.asarray(than, dtype=np.float64)[..., None]
    used = ~np.isnan(shifted) & (shifted != 0)
    # Unused ones are ranked behind all others, and then have no rank.
    sizes = np.where(used, np.abs(shifted), np.inf)
    doubled = np.where(used, np.rint(2 * rankdata(sizes, axis=-1)), 0).astype(np.int64)
    reached = np.where(shifted > 0, doubled, 0).sum(axis=-1)
    rows = np.sort(doubled, axis=-1).reshape(reached.size, doubled.shape[-1]).tolist()
    found = [_tail(tuple(row))[w] for row, w in zip(rows, reached.ravel().tolist(), strict=True)]
    return np.array(found, dtype=np.float64).reshape(reached.shape)


class Walsh:
    """The averages of all differences taken two by two, each also with itself (Walsh 1949), in order.

    Their median is Hodges and Lehmann's estimate of the differences' centre; the k-th from either end are the ends
    of the interval that belongs to the signed-rank test (Hollander and Wolfe, Nonparametric Statistical Methods,
    3.2 and 3.3).

    Attributes:
        pairs: that there are, shape (...).
        averages: ascending, NaN last, shape (..., pairs (pairs + 1) / 2).
    """

    def __init__(self, d: npt.ArrayLike) -> None:
        """Of the differences `d`, shape (..., pairs)."""
        values = _tame(d)
        first, second = np.triu_indices(values.shape[-1])
        self.pairs = (~np.isnan(values)).sum(axis=-1)
        self.averages = np.sort((values[..., first] + values[..., second]) / 2, axis=-1)

    @property
    def centre(self) -> Floats:
        """Hodges and Lehmann's estimate, shape (...); NaN without pairs."""
        count = self.pairs * (self.pairs + 1) // 2
        return (self._at((count - 1) // 2, count > 0) + self._at(count // 2, count > 0)) / 2

    def lower(self, confidence: float) -> Floats:
        """The one-sided lower bound of the centre, shape (...); NaN where so few pairs give none."""
        cut = self._cut(confidence)
        return self._at(cut - 1, cut > 0)

    def upper(self, confidence: float) -> Floats:
        """The one-sided upper bound, likewise."""
        cut = self._cut(confidence)
        return self._at(self.pairs * (self.pairs + 1) // 2 - cut, cut > 0)

    def interval(self, confidence: float = 0.95) -> tuple[Floats, Floats]:
        """Both ends of the two-sided interval, likewise."""
        each = (1 + confidence) / 2
        return self.lower(each), self.upper(each)

    def _cut(self, confidence: float) -> npt.NDArray[np.int64]:
        cuts = np.array([_cut(pairs, round(1 - confidence, 12)) for pairs in range(int(self.pairs.max()) + 1)])
        return np.asarray(cuts[self.pairs], dtype=np.int64)

    def _at(self, index: npt.NDArray[np.int64], there: npt.NDArray[np.bool_]) -> Floats:
        if not self.averages.shape[-1]:
            return np.full(self.pairs.shape, np.nan)
        found = np.take_along_axis(self.averages, np.where(there, index, 0)[..., None], axis=-1)[..., 0]
        return np.where(there, found, np.nan)


def estimate(d: npt.ArrayLike, confidence: float = 0.95) -> Estimate | None:
    """The ratio that log ratios `d`, shape (pairs,), lie around, and its exact interval; None without pairs."""
    walsh = Walsh(d)
    low, high = walsh.interval(confidence)
    ratio = ratio_of(walsh.centre)
    return None if ratio is None else Estimate(ratio, ratio_of(low), ratio_of(high))


def upper_bound(d: npt.ArrayLike, confidence: float = 0.95) -> float | None:
    """The exact one-sided upper bound of the ratio that log ratios `d`, shape (pairs,), lie around."""
    return ratio_of(Walsh(d).upper(confidence))


def detectable(d: npt.ArrayLike, than: float, alpha: float, power: float = 0.8) -> float | None:
    """The smallest ratio that so many pairs, as noisy as these, would have told from `than`: approximately.

    The minimum detectable effect, than + (z(1 - alpha) + z(power)) SE (Bloom, Evaluation Review 19, 1995), on the log
    scale. SE is the 95% interval's width over 2 z(0.975): it follows the noise whatever its distribution.

    Args:
        d: log ratios, shape (pairs,).
        than: log of the ratio that the test has to reject.
        alpha: of the one test; divided by their number already where there are several.
        power: probability of finding it.

    Returns:
        a ratio; None where so few pairs could find nothing at this alpha, whatever the effect.
    """
    walsh = Walsh(d)
    low, high = walsh.interval()
    if np.isnan(low) or not 0.5 ** int(walsh.pairs) < alpha:
        return None
    error = float(high - low) / (2 * float(ndtri(0.975)))
    return ratio_of(np.asarray(than + float(ndtri(1 - alpha) + ndtri(power)) * error))


def holm(p: npt.ArrayLike) -> Floats:
    """P-values adjusted so that the chance of any false one stays below alpha (Holm 1979).

    Args:
        p: the first axis is the family.

    Returns:
        of the same shape, at most 1.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, axis=0)
    left = np.arange(len(values), 0, -1).reshape(-1, *[1] * (values.ndim - 1))
    stepped = np.maximum.accumulate(np.take_along_axis(values, order, axis=0) * left, axis=0)
    adjusted = np.empty_like(values)
    np.put_along_axis(adjusted, order, np.minimum(stepped, 1), axis=0)
    return adjusted


def ratio_of(log: npt.ArrayLike) -> float | None:
    """The ratio of a log ratio, infinite beyond a float's range; None for NaN."""
    value = float(np.asarray(log))
    if math.isnan(value):
        return None
    return math.exp(value) if value < 700 else math.inf


def _tame(d: npt.ArrayLike) -> Floats:
    return np.clip(np.asarray(d, dtype=np.float64), -FAR, FAR)


@lru_cache(maxsize=4096)
def _tail(doubled: tuple[int, ...]) -> Floats:
    """The chance of each sum of doubled ranks or a larger one, each rank counted by a fair coin."""
    ways, reach = np.zeros(sum(doubled) + 1), 0
    ways[0] = 1
    for rank in doubled:
        ways[rank : rank + reach + 1] += ways[: reach + 1].copy()
        reach += rank
    return np.asarray(np.cumsum(ways[::-1])[::-1] / ways.sum(), dtype=np.float64)


@cache
def _cut(pairs: int, tail: float) -> int:
    """How many-th average from either end bounds the centre but for a chance of `tail` at most; 0 when none does."""
    # Without ties doubled ranks are even, and sums as likely from below as from above.
    chances = _tail(tuple(range(2, 2 * pairs + 1, 2)))[::2][::-1]
    return int(np.searchsorted(chances, tail * (1 + 1e-12), side="right"))
