"""A seeded permutation of a large range, computed point by point and without a table."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

_ROUNDS: Final = 6
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scatter 64-bit words: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))


class Permutation:
    """A bijection of ``range(left * right)`` onto pairs in ``range(left) x range(right)``.

    Numbering texts through a permutation makes them unique by construction: different positions give
    different pairs, and neighbours look unrelated. It is a Feistel network over two mixed radices whose
    rounds add modulo ``left`` and ``right`` in turn, after the generalised Feistel of Black and Rogaway,
    "Ciphers with Arbitrary Finite Domains", CT-RSA 2002. It scatters; it keeps no secrets.

    Args:
        left: Size of the first component, 1 to 2**31.
        right: Size of the second component, 1 to 2**31.
        seed: Any non-negative integer; equal seeds give equal permutations.
    """

    def __init__(self, left: int, right: int, seed: int) -> None:
        self.left = left
        self.right = right
        self.size = left * right
        self._keys = np.random.SeedSequence(seed).generate_state(_ROUNDS, np.uint64)

    def pairs(self, positions: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Map positions to pairs.

        Args:
            positions: Any shape, values in ``range(self.size)``.

        Returns:
            First and second components, each of the shape of ``positions``.

        Raises:
            IndexError: A position lies outside the range.
        """
        if positions.size and (int(positions.min()) < 0 or int(positions.max()) >= self.size):
            raise IndexError(f"positions must lie in 0..{self.size - 1}")
        lefts, rights = np.uint64(self.left), np.uint64(self.right)
        values = positions.astype(np.uint64)
        first, second = values % lefts, values // lefts
        for number, key in enumerate(self._keys):
            if number % 2:
                second = (second + _mix(first * _GOLDEN + key) % rights) % rights
            else:
                first = (first + _mix(second * _GOLDEN + key) % lefts) % lefts
        return first.astype(np.int64), second.astype(np.int64)
