"""Confidence intervals of percentiles, by resampling blocks of seconds.

Requests are not independent: a checkpoint or a stall touches all that are due in the same second, and in those after
it. What is drawn anew is therefore not requests but runs of consecutive seconds.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

from harness.core.histogram import Histogram, enough_for, upper_bounds
from harness.core.recorder import OperationLog

Bounds = tuple[int, int | None]
"""Both ends of an interval, microseconds; an upper end of None lies beyond all that was seen."""

CONFIDENCE: Final = 0.95
LEAST_SECONDS: Final = 12
"""Below it there are fewer than three blocks, which say nothing of how blocks differ."""
DRAWS: Final = 1000
MOST_BINS: Final = 300
"""Longer phases are folded into bins of several seconds, so that an hour costs no more than five minutes."""
_SEED: Final = 1992
_SLACK: Final = 1e-4


def block_seconds(seconds: int) -> int:
    """The length of a block out of so many seconds: ceil(1.5 n^(1/3))."""
    return math.ceil(1.5 * math.cbrt(seconds))


class SecondCounts:
    """The measure phase of one operation and clock: how many requests fell into which bucket in which second.

    Attributes:
        slots: the buckets in use, ascending; shape (buckets,).
        counts: requests; shape (seconds, buckets), a row for each second, also for one without requests.
    """

    def __init__(self, slots: npt.NDArray[np.intp], counts: npt.NDArray[np.int64]) -> None:
        self.slots = slots
        self.counts = counts

    @classmethod
    def of(cls, log: OperationLog, clock: str) -> "SecondCounts":
        """Decoded from an operation's log, by the second in which its requests were due."""
        found = {
            interval.second: Histogram.decode(interval.histograms[clock]).used()
            for interval in log.intervals
            if interval.second >= 0 and clock in interval.histograms
        }
        slots = np.unique(np.concatenate([used for used, _ in found.values()])) if found else np.zeros(0, dtype=np.intp)
        counts = np.zeros((max(found, default=-1) + 1, len(slots)), dtype=np.int64)
        for second, (used, numbers) in found.items():
            counts[second, np.searchsorted(slots, used)] = numbers
        return cls(slots, counts)

    def total(self) -> Histogram:
        """All seconds together."""
        return Histogram.of(self.slots, self.counts.sum(axis=0))


def intervals(seconds: SecondCounts, percents: Sequence[float], unknown_above: int = 0) -> list[Bounds | None]:
    """The 95% interval of each percentile, by a circular block bootstrap over seconds.

    Blocks of ceil(1.5 n^(1/3)) of the n seconds are drawn with replacement and the percentile is taken of each
    resample, by nearest rank as Histogram.percentile takes it (Kuensch 1989; Politis and Romano 1992, whose circle
    gives every second the same weight). The ends are quantiles of the resamples, further out the fewer blocks there
    are, as Student's t is wider than the normal (Hesterberg 2015, the expanded percentile interval). Drawn with a
    fixed seed: the same log gives the same ends. It knows only the seconds it has: where slow spells are rarer or
    longer than the phase could show, the tail's interval is too narrow.

    Args:
        seconds: the requests.
        percents: above 0, below 100.
        unknown_above: requests known only to be slower than all recorded ones. When they were due is not recorded,
            so that their number is drawn by itself (Poisson).

    Returns:
        per percentile the ends, or None where the phase has fewer than LEAST_SECONDS seconds or the sample does not
        carry the percentile.
    """
    counts = _folded(seconds.counts)
    samples = int(counts.sum())
    if len(seconds.counts) < LEAST_SECONDS or not samples:
        return [None] * len(percents)
    length = block_seconds(len(counts))
    weights, more = _draws(len(counts), length)
    below = weights @ np.cumsum(counts, axis=1, dtype=np.float32)
    known = np.rint(below[:, -1])
    unknown = _poisson(unknown_above) if unknown_above else np.zeros(DRAWS)
    carried = [samples + unknown_above >= enough_for(percent) for percent in percents]
    return [
        _ends(seconds, below, known, unknown, percent, more) if enough else None
        for percent, enough in zip(percents, carried, strict=True)
    ]


def _ends(
    seconds: SecondCounts,
    below: npt.NDArray[np.float32],
    known: npt.NDArray[np.float64],
    unknown: npt.NDArray[np.float64],
    percent: float,
    tail: float,
) -> Bounds | None:
    ranks = np.maximum(np.ceil((known + unknown) * percent / 100 - _SLACK), 1)
    # The first bucket that reaches the rank; one past the last where the rank lies among the unknown.
    at = np.sort((below < ranks[:, None] - 0.5).sum(axis=1))
    low, high = (int(at[index]) for index in (int(tail * DRAWS), DRAWS - 1 - int(tail * DRAWS)))
    if low == len(seconds.slots):
        return None
    top = upper_bounds(seconds.slots)
    return int(top[low]), int(top[high]) if high < len(top) else None


@cache
def _draws(seconds: int, length: int) -> tuple[npt.NDArray[np.float32], float]:
    """How often each resample holds each second, shape (DRAWS, seconds); and the share to leave out at either end."""
    rng = np.random.default_rng([_SEED, seconds])
    blocks = math.ceil(seconds / length)
    starts = rng.integers(seconds, size=(DRAWS, blocks))
    drawn = (starts[:, :, None] + np.arange(length)).reshape(DRAWS, -1)[:, :seconds] % seconds
    flat = np.bincount((drawn + np.arange(DRAWS)[:, None] * seconds).ravel(), minlength=DRAWS * seconds)
    free = seconds / length
    tail = float(ndtr(math.sqrt(free / (free - 1)) * stdtrit(free - 1, (1 - CONFIDENCE) / 2)))
    return flat.reshape(DRAWS, seconds).astype(np.float32), tail


def _poisson(mean: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng([_SEED, mean]).poisson(mean, DRAWS).astype(np.float64)


def _folded(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """At most MOST_BINS rows, each of as many consecutive seconds."""
    each = math.ceil(len(counts) / MOST_BINS)
    return np.add.reduceat(counts, np.arange(0, len(counts), each), axis=0) if each > 1 else counts
