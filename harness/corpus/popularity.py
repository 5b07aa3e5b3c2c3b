"""Which items are asked for, and how often: Zipf popularity."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

YCSB_EXPONENT: Final = 0.99
"""Skew of YCSB (Cooper et al., "Benchmarking Cloud Serving Systems with YCSB", SoCC 2010)."""


class Zipf:
    """Zipf popularity over ``n`` items.

    The item of rank ``k`` is drawn with probability proportional to ``1/k**s``. Ranks are drawn by inverting
    the exact distribution function over the finite ``n``, not by the approximation of Gray et al. ("Quickly
    Generating Billion-Record Synthetic Databases", SIGMOD 1994) that YCSB uses: a table of ``n`` numbers is
    cheap here. A seeded permutation says which item has which rank, so that the popular items are not merely
    the first or the newest.

    Args:
        n: Number of items, at least 1.
        exponent: The skew ``s``, at least 0; 0 is uniform.
        seed: Chooses the permutation; keep it over all phases of a run, so that the same items stay popular.

    Raises:
        ValueError: ``n`` or ``exponent`` is out of range.
    """

    def __init__(self, n: int, exponent: float = YCSB_EXPONENT, seed: int = 0) -> None:
        if n < 1:
            raise ValueError(f"Zipf needs at least one item, not {n}")
        if not (np.isfinite(exponent) and exponent >= 0):
            raise ValueError(f"the Zipf exponent must be a finite number of at least 0, not {exponent}")
        self.n = n
        self.exponent = exponent
        weights = np.arange(1, n + 1, dtype=np.float64) ** -exponent
        self._cumulative = np.cumsum(weights)
        self._items = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))).permutation(n)

    def probabilities(self) -> npt.NDArray[np.float64]:
        """Probability of each item, in item order; shape ``(n,)``, sums to 1."""
        by_rank = np.diff(self._cumulative, prepend=0.0) / self._cumulative[-1]
        by_item = np.empty(self.n)
        by_item[self._items] = by_rank
        return by_item

    def sample(self, size: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw ``size`` items independently; shape ``(size,)``, values in ``range(n)``."""
        # rng.random() < 1, yet its product with the total may round up to it: hence the minimum.
        thresholds = rng.random(size) * self._cumulative[-1]
        ranks = np.minimum(np.searchsorted(self._cumulative, thresholds, side="right"), self.n - 1)
        items: npt.NDArray[np.int64] = self._items[ranks]
        return items
