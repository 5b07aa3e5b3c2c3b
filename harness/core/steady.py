"""When a warm-up is over: MSER, applied while it runs."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

LEAST_BATCHES: Final = 8
"""Fewer say nothing of a trend."""
_TAIL: Final = 4
"""Batches at the end that are always kept: the statistic of very few values is small by chance."""


class Steadiness(NamedTuple):
    """What the series so far says.

    Attributes:
        steady: whether it has settled.
        truncation: batches at the start that belong to the transient.
        batches: in all.
    """

    steady: bool
    truncation: int
    batches: int


def steadiness(batches: Sequence[float]) -> Steadiness:
    """Whether a series of batch means has left its transient behind.

    MSER takes as the transient the first d values whose removal makes the standard error of the mean of the others
    smallest: it minimises sum((y_i - mean)^2) / (n - d)^2 over d. (White, An effective truncation heuristic for bias
    reduction in simulation output, Simulation 69(6), 1997; in batches: White, Cobb and Spratt, 2000.) A minimum in
    the second half means that the series is still too short to tell, so it is steady only with one in the first
    half (Hoad, Robinson and Davies, Automating warm-up length estimation, J. Oper. Res. Soc. 61, 2010).

    Args:
        batches: of equal length in time, in order; logarithms of durations, so that a few slow requests do not
            decide it alone.
    """
    values = np.asarray(batches, dtype=np.float64)
    count = len(values)
    if count < LEAST_BATCHES:
        return Steadiness(False, count, count)
    # All suffixes at once: the sum and the sum of squares of what follows each cut.
    kept = np.arange(count, 0, -1, dtype=np.float64)
    centred = values - values.mean()
    sums = np.cumsum(centred[::-1])[::-1]
    squares = np.cumsum(centred[::-1] ** 2)[::-1]
    error = np.maximum(squares - sums**2 / kept, 0.0) / kept**2
    truncation = int(np.argmin(error[: count - _TAIL]))
    return Steadiness(truncation <= count // 2, truncation, count)
