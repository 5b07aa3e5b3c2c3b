"""When requests are due: arrival times planned before the run, never derived from sleeps that slip.

Every schedule has exactly the number of arrivals that its rate and duration ask for, so that an achieved rate
can be compared with the offered one and a sample's size is known beforehand.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Arrivals = npt.NDArray[np.int64]
"""Arrival times in nanoseconds from the schedule's start, ascending, all below the duration."""


def uniform(rate: float, duration: float) -> Arrivals:
    """Arrivals at equal distances.

    Args:
        rate: arrivals per second.
        duration: seconds.
    """
    count = _count(rate * duration)
    return np.asarray((np.arange(count) / rate) * 1e9, dtype=np.int64)


def poisson(rate: float, duration: float, rng: np.random.Generator) -> Arrivals:
    """Arrivals of independent callers: a Poisson process, given how many arrive in all.

    Given their number, the arrivals of a Poisson process are independent and uniform over the interval
    (Ross, Stochastic Processes, 2nd ed., theorem 2.3.1). Fixing the number takes nothing from the burstiness
    within the interval, and keeps two runs with other seeds at the same offered rate.

    Args:
        rate: mean arrivals per second.
        duration: seconds.
        rng: the seeded source of randomness.
    """
    return _sorted(rng.random(_count(rate * duration)) * duration, duration)


def ramp(start_rate: float, end_rate: float, duration: float, rng: np.random.Generator | None = None) -> Arrivals:
    """Arrivals whose rate changes linearly.

    The k-th arrival solves r0 t + (r1 - r0) t^2 / 2T = k for t: evenly spaced under that rate with k = 0, 1, 2, ...;
    with k uniform over their number, a Poisson process of that rate, given how many arrive in all (the inverse of
    its integrated rate: Cinlar, Introduction to Stochastic Processes, 1975, chapter 4.7).

    Args:
        start_rate: arrivals per second at the start; 0 is allowed.
        end_rate: arrivals per second at the end.
        duration: T, seconds.
        rng: the seeded source of randomness for a Poisson process; None for even spacing.
    """
    slope = (end_rate - start_rate) / duration
    if slope == 0:
        return uniform(start_rate, duration) if rng is None else poisson(start_rate, duration, rng)
    expected = (start_rate + end_rate) / 2 * duration
    count = _count(expected)
    k = np.arange(count, dtype=np.float64) if rng is None else rng.random(count) * expected
    # The root in the form that does not cancel: t = 2k / (r0 + sqrt(r0^2 + 2 slope k)); at k = 0 it is 0.
    root = np.sqrt(np.maximum(start_rate**2 + 2 * slope * k, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        seconds = np.where(k > 0, 2 * k / (start_rate + root), 0.0)
    return _sorted(seconds, duration)


def joined(pieces: Iterable[tuple[float, Arrivals]]) -> Arrivals:
    """Several schedules, one after the other.

    Args:
        pieces: of each its length in seconds, and its arrivals.
    """
    begin, parts = 0.0, [np.empty(0, dtype=np.int64)]
    for seconds, arrivals in pieces:
        parts.append(arrivals + np.int64(begin * 1e9))
        begin += seconds
    return np.concatenate(parts)


def _count(expected: float) -> int:
    if not np.isfinite(expected) or expected < 0:
        raise ValueError(f"rate times duration must be a number >= 0, not {expected}")
    return round(expected)


def _sorted(seconds: npt.NDArray[np.float64], duration: float) -> Arrivals:
    times = np.sort(np.asarray(seconds * 1e9, dtype=np.int64))
    return np.minimum(times, np.int64(max(duration * 1e9 - 1, 0)))
