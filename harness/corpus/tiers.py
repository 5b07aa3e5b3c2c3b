"""Which tier a memory is in, by its age and importance.

Ages follow a log-normal law whose two parameters are the only ones that put ``AGE_SHARES`` of the memories
below the service's two age limits: with F the normal distribution function, F(ln(7/median)/sigma) = 0.60 and
F(ln(30/median)/sigma) = 0.85 give a median of 4.37 days and a sigma of 1.858. The law is cut at one year.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

TIERS: Final = ("Working", "Warm", "Cold")
"""The tiers as the API spells them, youngest first."""

WORKING_DAYS: Final = 7.0
"""A memory older than this leaves the working tier (the service's default)."""

WARM_DAYS: Final = 30.0
"""A memory older than this leaves the warm tier (the service's default)."""

KEPT_IMPORTANCE: Final = 0.8
"""Above this importance a memory stays in the working tier as long as it would have been warm."""

OLDEST_DAYS: Final = 365.0
"""No memory is older."""

AGE_SHARES: Final = (0.60, 0.25, 0.15)
"""Shares of memories younger than ``WORKING_DAYS``, between the limits, and older than ``WARM_DAYS``."""

IMPORTANCE: Final = (2.0, 3.0)
"""Parameters of the Beta distribution of importance: mean 0.4, 2.72 % above ``KEPT_IMPORTANCE``."""

TIER_SHARES: Final = (0.6068, 0.2432, 0.15)
"""Expected shares of the tiers: ``AGE_SHARES`` after ``KEPT_IMPORTANCE`` has kept 2.72 % of the warm ones."""

_SIGMA: Final = math.log(WARM_DAYS / WORKING_DAYS) / float(ndtri(0.85) - ndtri(0.60))
_MU: Final = math.log(WORKING_DAYS) - _SIGMA * float(ndtri(0.60))
_STRATA: Final = 20


def draw_ages(groups: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw ages in days, one of twenty equal strata each, so that every group has the stated shares.

    Args:
        groups: Number of groups of twenty.
        rng: Source of the draws.

    Returns:
        Ages in days, shape ``(20 * groups,)``, in no order, at least one second and at most ``OLDEST_DAYS``.
    """
    strata = rng.permuted(np.tile(np.arange(_STRATA), (groups, 1)), axis=1).ravel()
    quantiles = (strata + rng.random(strata.size)) / _STRATA
    ages: npt.NDArray[np.float64] = np.exp(_MU + _SIGMA * ndtri(np.clip(quantiles, 1e-9, 1 - 1e-9)))
    # What the law puts beyond a year (0.9 %) is spread over the cold ages, so that none heap at the end.
    beyond = ages > OLDEST_DAYS
    ages[beyond] = rng.uniform(WARM_DAYS, OLDEST_DAYS, int(beyond.sum()))
    np.maximum(ages, 1 / 86_400, out=ages)
    return ages


def one_of_each(ages: npt.NDArray[np.float64]) -> None:
    """Swap within the first twenty ages, in place, so that the first three belong to three tiers."""
    for position, (low, high) in enumerate(((0, WORKING_DAYS), (WORKING_DAYS, WARM_DAYS), (WARM_DAYS, math.inf))):
        found = position + int(np.argmax((ages[position:_STRATA] >= low) & (ages[position:_STRATA] < high)))
        ages[[position, found]] = ages[[found, position]]


def tiers_of(ages: npt.NDArray[np.float64], importance: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Positions in ``TIERS`` for ages in days and importances; all of one shape."""
    by_age = np.digitize(ages, (WORKING_DAYS, WARM_DAYS))
    return np.where((by_age == 1) & (importance > KEPT_IMPORTANCE), 0, by_age).astype(np.int64)


def tiers_by_rank(moments: Sequence[float]) -> list[str]:
    """Tiers for memories of which only the order in time is known: ``AGE_SHARES`` of them, newest first.

    Args:
        moments: When each memory was made, in any unit; of equal ones the later in the sequence is newer.

    Returns:
        A tier for each, in the order given. Three or more memories have at least one in each tier.
    """
    count = len(moments)
    newest_first = np.argsort(np.asarray(moments, dtype=np.float64), kind="stable")[::-1]
    cold = max(round(count * AGE_SHARES[2]), 1 if count >= 3 else 0)
    warm = max(round(count * AGE_SHARES[1]), 1 if count >= 2 else 0)
    numbers = np.empty(count, dtype=np.int64)
    numbers[newest_first[: count - warm - cold]] = 0
    numbers[newest_first[count - warm - cold : count - cold]] = 1
    numbers[newest_first[count - cold :]] = 2
    return [TIERS[number] for number in numbers]
