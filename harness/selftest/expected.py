"""What the figures must be, by arithmetic alone. All in milliseconds unless said."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

SHARE: Final = 0.03
"""By how much of itself a figure may be off."""
TAIL_MS: Final = 5.0
"""And by how many milliseconds beside that: what a busy machine adds to single requests."""
MIDDLE_MS: Final = 2.0
"""The same for a median, which single requests do not move."""


class Range(NamedTuple):
    """From `low` to `high`, both included."""

    low: float
    high: float

    def __contains__(self, value: object) -> bool:
        return isinstance(value, (int, float)) and self.low <= value <= self.high

    def widened(self, milliseconds: float, share: float = SHARE) -> "Range":
        """The range with its tolerance on both sides, never below 0."""
        return Range(max(self.low * (1 - share) - milliseconds, 0.0), self.high * (1 + share) + milliseconds)


def tolerance(percent: float) -> float:
    """The milliseconds beside the share by which a percentile may be off."""
    return MIDDLE_MS if percent <= 50 else TAIL_MS


def frozen(
    percent: float, *, window: float, freeze: float, base: float, rate: float = 0.0, drain: float = math.inf
) -> float:
    """What one freeze makes of a response percentile under evenly spaced requests, ms.

    A request due x into a freeze of S waits S - x, so that P_q = max(b, S - (1-q) T + b) over a window of T
    (after Tene, "How NOT to Measure Latency"). A backlog that drains at mu answers a second while r still come is
    served in turn: the request waits S - x (1 - r / mu), and (1-q) T (1 - r / mu) stands in for (1-q) T.

    Args:
        percent: q, 0 to 100.
        window: T, seconds.
        freeze: S, seconds.
        base: b, the latency without a freeze, ms.
        rate: r, requests per second.
        drain: mu, answers per second; infinite for a backlog that is gone at once.
    """
    beyond = (1 - percent / 100) * window * (1 - min(rate / drain, 1.0))
    return max(base, (freeze - beyond) * 1e3 + base)


def frozen_range(
    percent: float, *, window: float, freeze: Range, base: float, rate: float, drain: float, spacing: float = 0.0
) -> Range:
    """Between a backlog that is gone at once and one that drains as slowly as the generator can be.

    Args:
        percent: q, 0 to 100.
        window: T, seconds.
        freeze: S as it really was, seconds: from the least to the most it can have been.
        base: b, ms.
        rate: r, requests per second.
        drain: mu, answers per second, at the least.
        spacing: seconds by which the freeze may have begun before the first request that it held.
    """
    low = frozen(percent, window=window, freeze=freeze.low - spacing, base=base)
    return Range(low, frozen(percent, window=window, freeze=freeze.high, base=base, rate=rate, drain=drain))


def cycle_percentile(cycle: Sequence[tuple[float, int]], percent: float) -> float:
    """The percentile, by nearest rank, of values of which each occurs so many times in a cycle.

    Args:
        cycle: value and how often.
        percent: above 0, at most 100.
    """
    values = sorted(value for value, count in cycle for _ in range(count))
    return values[max(math.ceil(round(len(values) * percent / 100, 9)), 1) - 1]
